"""Landmark distances on points worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.metrics import lips, lmd


def face(frames: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 200, (frames, 68, 2))


def moved(true: np.ndarray, point: int, by: tuple[float, float]) -> np.ndarray:
    result = true.copy()
    result[:, point] += by
    return result


@pytest.mark.parametrize(("points", "count"), [("all20", 20), ("inner8", 8), ("outer12", 12)])
def test_one_point_that_moves_by_hand(points: str, count: int) -> None:
    """A point that moves by 5 px of n leaves itself 5 (n - 1) / n off, the others 5 / n each: 10 (n - 1) / n² mean."""
    true = face()
    point = 50 if points == "outer12" else 62
    rendered = moved(true, point, (3.0, 4.0))
    assert lmd.mouth_distance(rendered, true, points) == pytest.approx([10 * (count - 1) / count**2])
    assert lmd.mouth_distance(rendered, true, points, "sum") == pytest.approx([10 * (count - 1) / count])


def test_points_outside_the_choice_do_not_count() -> None:
    true = face()
    assert lmd.mouth_distance(moved(true, 50, (3, 4)), true, "inner8") == pytest.approx([0])
    assert lmd.mouth_distance(moved(true, 62, (3, 4)), true, "outer12") == pytest.approx([0])
    assert lmd.mouth_distance(moved(true, 30, (3, 4)), true, "all20") == pytest.approx([0])
    assert lmd.mouth_distance(moved(true, 30, (3, 4)), true, "lips79") == pytest.approx([0])


def test_all20_is_the_distance_used_so_far() -> None:
    true, rendered = face(4), face(4, 1)
    expected = lips.landmark_distance(rendered[:, lips.MOUTH], true[:, lips.MOUTH])
    np.testing.assert_allclose(lmd.mouth_distance(rendered, true), expected)


def test_how_eyes_are_centred_by_hand() -> None:
    """The right eye moves by (-6, 0), the left by (+6, 0): each is in itself right, together they stand 6 px off."""
    true = face()
    rendered = true.copy()
    rendered[:, 36:42] += (-6, 0)
    rendered[:, 42:48] += (6, 0)
    assert lmd.eye_distance(rendered, true, "per_eye") == pytest.approx([0])
    assert lmd.eye_distance(rendered, true, "both") == pytest.approx([6])
    both_aside = true + np.array([8, 6])
    assert lmd.eye_distance(both_aside, true, "both") == pytest.approx([0])
    assert lmd.eye_distance(both_aside, true, "none") == pytest.approx([10])
    assert lmd.eye_distance(both_aside, true, "none", "sum") == pytest.approx([120])


def test_per_eye_is_the_distance_used_so_far() -> None:
    true, rendered = face(3), face(3, 1)
    np.testing.assert_allclose(lmd.eye_distance(rendered, true, "per_eye"), lips.eye_distance(rendered, true))


def test_a_square_resampled_by_hand() -> None:
    square = np.array([[[0.0, 0], [4, 0], [4, 4], [0, 4]]])
    expected = [[0, 0], [2, 0], [4, 0], [4, 2], [4, 4], [2, 4], [0, 4], [0, 2]]
    np.testing.assert_allclose(lmd.resampled(square, 8)[0], expected)
    np.testing.assert_allclose(lmd.resampled(square, 2)[0], [[0, 0], [4, 4]])


def test_79_points_start_at_the_left_corner_and_lie_on_the_contours() -> None:
    angle = np.pi - 2 * np.pi * np.arange(12) / 12  # from the viewer's left over the top, y down
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, 48:60] = 10 * np.stack([np.cos(angle), -np.sin(angle)], -1)
    landmarks[0, 60:68] = 5 * np.stack(
        [np.cos(np.pi - np.pi * np.arange(8) / 4), -np.sin(np.pi * np.arange(8) / 4)], -1
    )
    points = lmd.lips_79(landmarks)[0]
    assert points.shape == (79, 2)
    np.testing.assert_allclose(points[0], landmarks[0, 48])
    np.testing.assert_allclose(points[47], landmarks[0, 60])
    steps = np.linalg.norm(np.diff(np.r_[points[:47], points[:1]], axis=0), axis=1)
    assert steps.max() <= 24 * 10 * np.sin(np.pi / 12) / 47 + 1e-9, "no step is longer than the arc between points"
    assert np.linalg.norm(points[:47], axis=1).min() >= 10 * np.cos(np.pi / 12) - 1e-9


def test_79_points_of_a_wider_mouth_by_hand() -> None:
    """Both contours stretched by 2 about the middle: every point moves by its own distance from the common mean."""
    landmarks = face()
    points = lmd.lips_79(landmarks)
    expected = np.linalg.norm(points - points.mean(1, keepdims=True), axis=-1).mean(1)
    np.testing.assert_allclose(lmd.mouth_distance(2 * landmarks, landmarks, "lips79"), expected)


def test_contours_of_no_length_and_missing_faces() -> None:
    assert lmd.resampled(np.full((1, 4, 2), 3.0), 5) == pytest.approx(3.0)
    assert np.isnan(lmd.lips_79(np.full((2, 68, 2), np.nan))).all()


def test_scores_name_skip_and_count() -> None:
    true = face(4)
    rendered = moved(true, 62, (3.0, 4.0))
    rendered[2] = np.nan
    scores = {(s.name, s.region): s for s in lmd.lmd_scores(rendered, true, "a detector")}
    assert set(scores) == {
        ("lmd", "mouth"), ("lmd_inner8", "mouth"), ("lmd_outer12", "mouth"), ("lmd_79", "mouth"),
        ("lmd_eye", "eyes"), ("lmd_eye_per_eye", "eyes"), ("lmd_eye_none", "eyes"),
    }  # fmt: skip
    inner = scores["lmd_inner8", "mouth"]
    assert inner.value == pytest.approx(70 / 64)
    assert (inner.frames, inner.backend, inner.higher_is_better) == (3, "a detector", False)
    halved = {s.name: s.value for s in lmd.lmd_scores(rendered, true, scale=0.5, suffix="_256", reduction="sum")}
    assert halved["lmd_inner8_256_sum"] == pytest.approx(8 * 70 / 64 / 2)
    nothing = lmd.lmd_scores(np.full((2, 68, 2), np.nan), true[:2])
    assert all(s.value is None and s.why and s.frames == 0 for s in nothing)
