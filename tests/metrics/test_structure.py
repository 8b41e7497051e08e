"""The fast SSIM family against the definitions, and against an independent library."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from talkface.metrics import image
from talkface.metrics.structure import MS_LEAST_PX, Pyramid, halved, structure


def pair(height: int, width: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(height + width)
    truth = ndimage.gaussian_filter(rng.random((height, width, 3)), (2, 2, 0))
    truth = (truth - truth.min()) / np.ptp(truth)
    made = (ndimage.gaussian_filter(truth, (1, 1, 0)) + rng.normal(0, noise, truth.shape)).clip(0, 1)
    return made.astype(np.float32), truth.astype(np.float32)


def pyramid(picture: np.ndarray) -> Pyramid:
    return Pyramid(np.ascontiguousarray(picture.transpose(2, 0, 1)))


@pytest.mark.parametrize("size", [(11, 11), (40, 27), (161, 190), (233, 203)])
def test_it_is_what_the_definitions_say(size: tuple[int, int]) -> None:
    made, truth = pair(*size)
    found = structure(pyramid(made), pyramid(truth))
    assert found.ssim == pytest.approx(image.ssim(made, truth), abs=1e-9)
    assert found.ssim_sk == pytest.approx(image.ssim(made, truth, "uniform7"), abs=1e-9)
    np.testing.assert_allclose(found.map, image.ssim_map(made, truth).mean(-1), atol=1e-9)
    if min(size) < MS_LEAST_PX:
        assert np.isnan(found.ms_ssim)
    else:
        assert found.ms_ssim == pytest.approx(image.ms_ssim(made, truth), abs=1e-9)


def test_it_is_what_scikit_image_says() -> None:
    made, truth = pair(96, 80)
    theirs = structural_similarity(made, truth, channel_axis=2, data_range=1.0)
    assert structure(pyramid(made), pyramid(truth)).ssim_sk == pytest.approx(theirs, abs=2e-3), "they count the border"
    _, map_ = structural_similarity(made, truth, channel_axis=2, data_range=1.0, full=True)
    assert structure(pyramid(made), pyramid(truth)).ssim_sk == pytest.approx(map_[3:-3, 3:-3].mean(), abs=1e-5)


def test_equal_frames_are_exactly_one_and_the_order_does_not_matter() -> None:
    made, truth = pyramid(pair(170, 165)[0]), pyramid(pair(170, 165)[1])
    same = structure(truth, truth)
    assert (same.ssim, same.ssim_sk, same.ms_ssim) == (1.0, 1.0, 1.0)
    one, other = structure(made, truth), structure(truth, made)
    assert one.ssim == pytest.approx(other.ssim, abs=1e-9) and one.ms_ssim == pytest.approx(other.ms_ssim, abs=1e-9)


def test_flat_pictures_have_no_structure_to_lose() -> None:
    flat = Pyramid(np.full((3, 32, 32), 0.875, np.float32))
    dark = Pyramid(np.full((3, 32, 32), 0.5, np.float32))
    luminance = (2 * 0.875 * 0.5 + 1e-4) / (0.875**2 + 0.5**2 + 1e-4)
    assert structure(flat, dark).ssim == pytest.approx(luminance, abs=1e-9)


def test_halving_is_the_mean_of_four() -> None:
    planes = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    np.testing.assert_allclose(halved(planes)[0, 0, 0], (0 + 1 + 6 + 7) / 4)
    assert halved(np.ones((1, 5, 5), np.float32))[0].tolist()[0] == [0.25, 0.5, 0.5]


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="same size"):
        structure(Pyramid(np.zeros((3, 20, 20), np.float32)), Pyramid(np.zeros((3, 20, 21), np.float32)))
    with pytest.raises(ValueError, match="11 px"):
        structure(Pyramid(np.zeros((3, 9, 20), np.float32)), Pyramid(np.zeros((3, 9, 20), np.float32)))
