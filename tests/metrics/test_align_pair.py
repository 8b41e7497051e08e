"""Size, crop and offset, each against a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from talkface.metrics.align_pair import WHOLE, Box, Fitting, face_crop, picture_lag


@pytest.fixture(scope="module")
def moving() -> list[np.ndarray]:
    """A blob that wanders over a pattern."""
    rng = np.random.default_rng(0)
    still = ndimage.gaussian_filter(rng.random((48, 64, 3)), (3, 3, 0)) * 255
    path = np.cumsum(ndimage.gaussian_filter1d(rng.normal(0, 3, (120, 2)), 2, axis=0), axis=0) % 30 + 8
    y, x = np.mgrid[:48, :64]
    frames = []
    for up, left in path:
        blob = np.exp(-((y - up) ** 2 + (x - left) ** 2) / 40)[..., None]
        frames.append((still * (1 - blob) + 255 * blob).astype(np.uint8))
    return frames


@pytest.mark.parametrize("delay", [-15, -4, 0, 1, 7])
def test_the_lag_is_the_delay(delay: int, moving) -> None:
    rng = np.random.default_rng(1)
    late = [(f * 0.7 + 20 + rng.normal(0, 8, f.shape)).clip(0, 255).astype(np.uint8) for f in moving]
    video = late[-delay:] if delay < 0 else [late[0]] * delay + late
    lag = picture_lag(moving, video)
    assert lag.best_frames == delay
    assert lag.better_than(0) == (delay != 0)
    assert not lag.better_than(lag.best_frames)


def test_a_still_or_a_short_video_has_no_lag(moving) -> None:
    for frames in ([moving[0]] * 80, moving[:20]):
        lag = picture_lag(moving, frames)
        assert lag.best_frames == 0 and not lag.better_than(0)


def test_shrinking_is_the_area_mean_and_enlarging_keeps_the_mean() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    small = Fitting((40, 60), (20, 30))
    assert small.resampling == "area" and small.stretch == pytest.approx(1)
    np.testing.assert_array_equal(small(frame), np.rint(frame.reshape(20, 2, 30, 2, 3).mean((1, 3))))
    large = Fitting((40, 60), (80, 120))
    assert large.resampling == "bicubic" and large(frame).shape == (80, 120, 3)
    same = Fitting((40, 60), (40, 60))
    assert same.resampling == "none" and same(frame) is frame
    assert Fitting((40, 60), (40, 40)).stretch == pytest.approx(2 / 3)


def test_a_box_is_cut_from_any_size() -> None:
    box = Box(0.5, 0.25, 1.0, 0.75)
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    fitting = Fitting((40, 60), (20, 30), box)
    assert box.on((40, 60)) == (30, 10, 60, 30)
    np.testing.assert_array_equal(fitting(frame), frame[10:30, 30:])
    assert WHOLE.on((40, 60)) == (0, 0, 60, 40)


def test_the_face_crop_is_the_union_grown_and_kept_inside() -> None:
    def mesh(left: float, top: float, right: float, bottom: float) -> np.ndarray:
        points = np.zeros((478, 3))
        points[:, 0], points[:, 1] = np.linspace(left, right, 478), np.linspace(top, bottom, 478)
        return points

    unknown = np.full((478, 3), np.nan)
    crop = face_crop([mesh(80, 60, 120, 110), unknown, mesh(90, 60, 130, 110)], (200, 300))
    left, top, right, bottom = crop.on((200, 300))
    assert (right - left, bottom - top) == pytest.approx((60, 60)), "50 px grown by a tenth on either side"
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((105, 85))
    edge = face_crop([mesh(0, 0, 50, 50)], (200, 300)).on((200, 300))
    assert edge == pytest.approx((0, 0, 60, 60))
    assert face_crop([mesh(0, 0, 300, 200)], (200, 300)).on((200, 300)) == pytest.approx((50, 0, 250, 200))
    assert face_crop([unknown], (200, 300)) is None
