"""Picture metrics against scikit-image, closed forms and degradations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from talkface.metrics.image import MOUTH_MARGIN, Psnr, Ssim, mouth_mask, psnr, ssim, ssim_map
from talkface.metrics.sharpness import SharpnessRatio


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = ndimage.gaussian_filter(rng.random((61, 74, 3)), (2, 2, 0))
    truth = (truth - truth.min()) / np.ptp(truth)
    return np.clip(truth + rng.normal(0, 0.05, truth.shape), 0, 1).astype(np.float32), truth.astype(np.float32)


def test_ssim_equals_scikit_image_with_gaussian_weights(pair) -> None:
    picture, truth = pair
    expected = structural_similarity(
        picture, truth, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    assert ssim(picture, truth) == pytest.approx(expected, abs=1e-5)


def test_ssim_uniform_equals_scikit_image_default(pair) -> None:
    picture, truth = pair
    expected = structural_similarity(picture, truth, channel_axis=-1, data_range=1.0)
    assert ssim(picture, truth, "uniform7") == pytest.approx(expected, abs=1e-5)
    assert abs(expected - ssim(picture, truth)) > 1e-3, "the two windows must not be interchangeable"


def test_ssim_map_matches_in_every_pixel(pair) -> None:
    picture, truth = (p.astype(np.float64) for p in pair)
    _, full = structural_similarity(
        picture,
        truth,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    np.testing.assert_allclose(ssim_map(picture, truth), full[5:-5, 5:-5], atol=1e-5)


def test_psnr_equals_scikit_image_and_closed_form(pair) -> None:
    picture, truth = pair
    expected = peak_signal_noise_ratio(truth.astype(float), picture.astype(float), data_range=1)
    assert psnr(picture, truth) == pytest.approx(expected)
    assert psnr(np.full((8, 8, 3), 0.6), np.full((8, 8, 3), 0.5)) == pytest.approx(20.0)
    assert psnr(truth, truth) == float("inf")


def test_masked_psnr_sees_only_the_mask(pair) -> None:
    _, truth = pair
    mask = np.zeros(truth.shape[:2], bool)
    mask[10:20, 10:30] = True
    outside = truth.copy()
    outside[~mask] += 0.3
    assert psnr(outside, truth, mask) == float("inf")
    inside = truth.astype(np.float64)
    inside[mask] += 0.01
    assert psnr(inside, truth.astype(np.float64), mask) == pytest.approx(40.0)
    assert np.isnan(psnr(truth, truth, np.zeros_like(mask)))


def test_mean_and_pooled_psnr_differ_as_they_should() -> None:
    truth = np.zeros((4, 4, 3))
    score = Psnr()
    score.add(truth + 0.1, truth)
    score.add(truth + 0.01, truth)
    assert score.values == pytest.approx([20.0, 40.0])
    assert score.mean == pytest.approx(30.0)
    assert score.pooled == pytest.approx(-10 * np.log10((0.01 + 0.0001) / 2))
    score.add(truth + 0.5, truth, np.zeros((4, 4), bool))
    assert score.mean == pytest.approx(30.0), "a frame without the region is left out"


def test_blur_and_shift_worsen_every_picture_metric(pair) -> None:
    _, truth = pair
    mask = np.ones(truth.shape[:2], bool)

    def scores(picture: np.ndarray) -> tuple[float, float, float]:
        similarity, detail = Ssim(), SharpnessRatio()
        similarity.add(picture, truth)
        detail.add(picture, truth, mask)
        return psnr(picture, truth), similarity.mean, detail.mean

    perfect = scores(truth)
    assert perfect == (float("inf"), pytest.approx(1.0), pytest.approx(1.0))
    previous = perfect
    for sigma in (0.7, 1.5, 3.0):
        blurred = scores(ndimage.gaussian_filter(truth, (sigma, sigma, 0)))
        assert all(now < before for now, before in zip(blurred, previous, strict=True))
        previous = blurred
    one, three = (scores(np.roll(truth, k, axis=1)) for k in (1, 3))
    assert one[0] > three[0] and perfect[1] > one[1] > three[1]


def test_mouth_mask_is_the_lip_box_and_a_margin() -> None:
    landmarks = np.full((68, 2), 5.0)
    landmarks[48:] = [40, 50]
    landmarks[48], landmarks[54], landmarks[51], landmarks[57] = [30, 50], [50, 50], [40, 45], [40, 55]
    ys, xs = np.nonzero(mouth_mask(landmarks, (100, 100)))
    assert (xs.min(), xs.max() + 1) == (30 - MOUTH_MARGIN * 20, 50 + MOUTH_MARGIN * 20)
    assert (ys.min(), ys.max() + 1) == (45 - MOUTH_MARGIN * 10, 55 + MOUTH_MARGIN * 10)
    landmarks[60] = np.nan
    assert not mouth_mask(landmarks, (100, 100)).any()


def test_a_mouth_partly_outside_the_picture_is_cut() -> None:
    landmarks = np.zeros((68, 2))
    landmarks[48] = [-10, -10]
    landmarks[54] = [10, 10]
    mask = mouth_mask(landmarks, (20, 20))
    assert mask[:14, :14].all() and mask.sum() == 14 * 14


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller than the SSIM window"):
        ssim(np.zeros((8, 40, 3)), np.zeros((8, 40, 3)))
