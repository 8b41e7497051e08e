"""All scores of a video at once: perfect for the truth, each worse under the degradation it should see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from talkface.metrics.video import Reference, VideoScores, detected, relative_opening
from talkface.types import Score


@pytest.fixture(scope="module")
def reference(person, drawn) -> Reference:
    """Sixty frames with two blinks, so that events count."""
    return Reference(person, np.arange(140, 200), drawn.detect)


@pytest.fixture(scope="module")
def judge(reference, drawn):
    def scores(make_frame, **options) -> dict[str, Score]:
        video = VideoScores(reference)
        for index in reference.indices:
            video.add(make_frame(index), drawn.detect)
        return {f"{s.name}/{s.region}": s for s in video.scores(**options)}

    return scores


@pytest.fixture(scope="module")
def perfect(judge, person) -> dict[str, Score]:
    return judge(person.truth)


def test_the_truth_is_perfect(perfect) -> None:
    value = {name: score.value for name, score in perfect.items()}
    for name in ("psnr/frame", "psnr/head", "psnr/mouth", "psnr_pooled/head"):
        assert value[name] == 100.0, "PSNR is at most 100 dB, so that means are finite"
    for name in (
        "ssim/frame",
        "ssim/head",
        "ssim/mouth",
        "ssim_sk/frame",
        "sharpness/head",
        "opening_r/mouth",
        "velocity_r/mouth",
    ):
        assert value[name] == pytest.approx(1.0)
    for name in ("amplitude/mouth", "closure_f1/mouth", "blink_f1/eyes"):
        assert value[name] == pytest.approx(1.0)
    for name in ("lmd/mouth", "lmd/eyes", "head_shift_256/head", "head_turn_deg/head"):
        assert value[name] == pytest.approx(0.0, abs=1e-5)
    assert value["au45_r/eyes"] > 0.95, "measured on pictures against the commanded track"
    assert perfect["psnr/frame"].frames == 60


def test_networks_that_are_not_here_are_listed_with_a_reason(perfect) -> None:
    for name in ("lpips/frame", "lpips_vgg/frame", "fid/frame", "lse_c/mouth", "lse_d/mouth"):
        assert perfect[name].value is None and perfect[name].why and perfect[name].frames == 0
    assert "`talkface assets` says where to get" in perfect["lpips/frame"].why


def test_small_pictures_are_not_judged_at_five_scales(perfect) -> None:
    assert perfect["ms_ssim/frame"].value is None and "161 px" in perfect["ms_ssim/frame"].why


def test_blur_is_seen_by_picture_scores(judge, person, perfect) -> None:
    previous = {"psnr/head": 99.0, "psnr/mouth": 99.0, "ssim/frame": 1.0, "sharpness/head": 1.0}
    for sigma in (0.6, 1.2):
        found = judge(lambda i, s=sigma: ndimage.gaussian_filter(person.truth(i), (s, s, 0)))
        for name, before in previous.items():
            assert found[name].value < before, name
            previous[name] = found[name].value


def test_shift_is_seen_by_position_and_not_by_lip_shape(judge, person) -> None:
    found = judge(lambda i: np.roll(person.truth(i), 3, axis=1))
    assert found["head_shift_256/head"].value > 3
    assert found["psnr/head"].value < 25
    assert found["opening_r/mouth"].value > 0.98


def test_shake_is_seen_by_jitter(judge, person, perfect) -> None:
    found = judge(lambda i: np.roll(person.truth(i), i % 2, axis=1))
    assert found["jitter_256/head"].value > perfect["jitter_256/head"].value + 1


def test_desync_is_seen_by_lips_and_blinks(judge, person, perfect) -> None:
    late = judge(lambda i: person.drawn(i, person.opening_cm[i - 4], person.shut[i - 4]))
    for name in ("opening_r/mouth", "velocity_r/mouth", "closure_f1/mouth", "au45_r/eyes"):
        assert late[name].value < perfect[name].value - 0.2, name
    assert late["lmd/mouth"].value > 0.3
    assert late["amplitude/mouth"].value == pytest.approx(1.0, abs=0.1), "only the timing is wrong"


def test_a_frozen_mouth_and_eyes_that_never_close_are_seen(judge, person) -> None:
    frozen = judge(lambda i: person.drawn(i, 1.3, 0.0))
    assert frozen["amplitude/mouth"].value < 0.2
    assert frozen["closure_f1/mouth"].value == 0.0
    assert frozen["blink_f1/eyes"].value == 0.0
    assert frozen["blinks_per_minute/eyes"].value == 0.0
    assert frozen["opening_r/mouth"].value is None or abs(frozen["opening_r/mouth"].value) < 0.5


def test_a_frame_without_a_face_is_left_out(judge, person) -> None:
    found = judge(lambda i: person.truth(i) * 0 if i in (150, 151) else person.truth(i))
    assert found["opening_r/mouth"].frames == 58
    assert found["lmd/mouth"].value == pytest.approx(0.0, abs=1e-5)


def test_the_mouth_driven_by_audio_has_its_own_name(judge, person) -> None:
    assert "mouth_r/mouth" in judge(person.truth, by_audio=True)


def test_gaps_stay_gaps(person, drawn) -> None:
    indices = np.r_[150:160, 170:180]
    reference = Reference(person, indices, drawn.detect)
    assert len(reference.opening) == 30
    assert np.isnan(reference.opening[10:20]).all() and np.isfinite(reference.opening[20:]).all()


def test_small_pictures_are_enlarged_for_the_detector_and_points_come_back(person, drawn) -> None:
    seen = []

    def detect(frame: np.ndarray) -> np.ndarray:
        seen.append(frame.shape)
        return np.full((478, 3), 30.0)

    points = detected(detect, person.truth(0))
    assert seen == [(288, 288, 3)]
    np.testing.assert_allclose(points, 10.0)


def test_relative_opening_does_not_care_for_size(person) -> None:
    points = person.track.points_px[:5]
    np.testing.assert_allclose(relative_opening(points), relative_opening(3 * points))
