"""Baselines on a drawn person whose pictures follow from pose, mouth and lids alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from talkface.metrics.alignment import Alignment, Condition, apply, inverse, sample, similarity
from talkface.metrics.baselines import Nearest, PictureRegression, Still, _principal, _project
from talkface.metrics.image import Psnr, mouth_mask
from talkface.metrics.pictures import composite

BASELINES = (Still, Nearest, PictureRegression)


def region_scores(person, baseline) -> tuple[float, float]:
    head, mouth = Psnr(), Psnr()
    for index in person.test_indices.tolist():
        picture, truth = baseline.frame(index), person.truth(index)
        head.add(picture, truth, person.head(index) > 0.5)
        mouth.add(picture, truth, mouth_mask(person.landmarks_px(index), person.size_px))
    return head.pooled, mouth.pooled


@pytest.fixture(scope="module")
def fitted(person) -> dict[str, object]:
    return {baseline.__name__: baseline(person) for baseline in BASELINES}


def test_outside_the_head_every_baseline_is_exactly_the_true_frame(person, fitted) -> None:
    for index in person.test_indices[::5].tolist():
        outside = person.head(index) == 0
        assert outside.any()
        for name, baseline in fitted.items():
            np.testing.assert_array_equal(baseline.frame(index)[outside], person.truth(index)[outside], name)


def test_a_plate_that_differs_outside_the_head_would_be_seen(person) -> None:
    index = person.test_indices[0]
    plate, head, truth = person.plate(index), person.head(index), person.truth(index)
    perfect = composite(truth, head, plate)
    np.testing.assert_array_equal(perfect[head == 0], truth[head == 0])
    grown = ndimage.grey_dilation(head, 9)
    wrong = composite(truth, head, composite(plate * 0, grown, truth))
    assert (wrong[head == 0] != truth[head == 0]).any()


def test_each_baseline_is_stronger_than_a_still(person, fitted) -> None:
    scores = {name: region_scores(person, baseline) for name, baseline in fitted.items()}
    for name in ("Nearest", "PictureRegression"):
        assert scores[name][0] > scores["Still"][0] + 6, scores
        assert scores[name][1] > scores["Still"][1] + 6, scores


def test_nearest_finds_a_frame_it_has_seen(person, fitted) -> None:
    seen = int(person.train_indices[33])
    assert fitted["Nearest"].source_frame(seen) == seen
    np.testing.assert_allclose(fitted["Nearest"].frame(seen), person.truth(seen), atol=1e-4)


def test_nearest_is_not_led_by_where_the_head_is(person, fitted) -> None:
    index = int(person.test_indices[3])
    source = fitted["Nearest"].source_frame(index)
    assert abs(person.opening_cm[source] - person.opening_cm[index]) < 0.2
    assert abs(person.shut[source] - person.shut[index]) < 0.2


def test_other_landmarks_give_another_mouth(person, fitted) -> None:
    index = int(person.test_indices[0])
    opened = person.track.landmarks[np.argmax(person.opening_cm[person.train_indices])]
    closed = person.track.landmarks[np.argmin(person.opening_cm[person.train_indices])]
    mouth = mouth_mask(person.landmarks_px(index), person.size_px)
    for name in ("Nearest", "PictureRegression"):
        dark = [fitted[name].frame(index, landmarks, 0.0)[mouth].mean() for landmarks in (opened, closed)]
        assert dark[0] < dark[1] - 0.03, "an open mouth is darker"


def test_principal_pictures_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    canvases = rng.integers(0, 255, (12, 7000)).astype(np.uint8)
    mean = canvases.mean(0).astype(np.float32)
    left, size = _principal(canvases, mean)
    components = _project(canvases, mean, left / size)
    np.testing.assert_allclose(size, np.linalg.svd(canvases - mean, compute_uv=False)[: len(size)], rtol=1e-4)
    np.testing.assert_allclose(components @ components.T, np.eye(len(size)), atol=1e-3)
    np.testing.assert_allclose((left * size) @ components, canvases - mean, atol=0.1)


def test_similarity_recovers_a_known_one_and_inverse_undoes_it() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 2)) * 20
    angle, scale = 0.3, 1.4
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(points, points @ turn.T + [5, -7])
    np.testing.assert_allclose(found, np.column_stack([turn, [5, -7]]), atol=1e-9)
    np.testing.assert_allclose(apply(inverse(found), apply(found, points)), points, atol=1e-9)


def test_sampling_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((20, 30, 3)).astype(np.float32)
    points = rng.uniform(-3, 33, (200, 2))
    at = [(points[:, 1] - 0.5), (points[:, 0] - 0.5)]
    expected = [ndimage.map_coordinates(picture[..., c], at, order=1, mode="nearest") for c in range(3)]
    np.testing.assert_allclose(sample(picture, points), np.stack(expected, -1), atol=1e-5)


def test_alignment_follows_the_head(person) -> None:
    alignment = Alignment(person)
    for index in person.test_indices[::7].tolist():
        nose = person.landmarks_px(index)[30]
        other = person.landmarks_px(0)[30]
        on_canvas = apply(inverse(alignment.frame_from_canvas(index)), nose)
        np.testing.assert_allclose(apply(alignment.frame_from_canvas(0), on_canvas), other, atol=0.05)


def test_condition_is_whitened_over_training(person) -> None:
    condition = Condition(person.track, person.train_indices)
    vectors = np.array([condition.vector(i) for i in person.train_indices.tolist()])
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-6)
    spread = vectors.std(0)
    assert (np.isclose(spread, 1) | np.isclose(spread, 0)).all()
