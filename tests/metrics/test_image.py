"""Picture metrics against scikit-image, closed forms and degradations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from talkface.errors import UserError
from talkface.metrics.image import MOUTH_MARGIN, MsSsim, Psnr, Ssim, mouth_mask, ms_ssim, psnr, ssim, ssim_map
from talkface.metrics.picture_scores import PictureScores, TrueFrame, pyramid_of
from talkface.metrics.sharpness import SharpnessRatio
from talkface.metrics.structure import MS_WEIGHTS, structure
from talkface.types import Score


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


def test_ssim_inside_a_mask_is_the_mean_of_the_map_there(pair) -> None:
    picture, truth = pair
    mask = np.zeros(truth.shape[:2], bool)
    mask[20:40, 3:30] = True
    found = ssim_map(picture, truth)[mask[5:-5, 5:-5]]
    assert ssim(picture, truth, mask=mask) == pytest.approx(found.mean())
    assert np.isnan(ssim(picture, truth, mask=np.zeros_like(mask)))


def large_pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(height * width)
    truth = ndimage.gaussian_filter(rng.random((height, width, 3)), (3, 3, 0))
    truth = (truth - truth.min()) / np.ptp(truth)
    worse = ndimage.gaussian_filter(truth, (1, 1, 0)) * 0.9 + rng.normal(0, 0.04, truth.shape)
    return worse.clip(0, 1).astype(np.float32), truth.astype(np.float32)


def batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None]).double()


@pytest.mark.parametrize("size", [(176, 192), (161, 163), (187, 250)])
def test_ms_ssim_is_that_of_pytorch_msssim(size: tuple[int, int]) -> None:
    pytorch_msssim = pytest.importorskip("pytorch_msssim")
    picture, truth = large_pair(*size)
    expected = float(pytorch_msssim.ms_ssim(batch(picture), batch(truth), data_range=1.0))
    assert ms_ssim(picture, truth) == pytest.approx(expected, abs=1e-5)
    assert 0.3 < expected < 0.99
    single = float(pytorch_msssim.ssim(batch(picture), batch(truth), data_range=1.0))
    assert ssim(picture, truth) == pytest.approx(single, abs=1e-5)


@pytest.mark.slow  # importing it takes longer than all the rest
def test_torchmetrics_agrees_where_it_means_the_same() -> None:
    """Its SSIM also judges the border (pictures reflected there), in MS-SSIM at the coarsest scale; that is cut off.

    It also averages channels before scales and drops odd rows, of which a grey 176 x 192 picture knows nothing.
    """
    image = pytest.importorskip("torchmetrics.functional.image")
    picture, truth = (p[..., :1].repeat(3, axis=2) for p in large_pair(176, 192))
    here, there = batch(picture), batch(truth)
    noise = float(image.peak_signal_noise_ratio(here, there, data_range=1.0))
    assert psnr(picture, truth) == pytest.approx(noise, abs=1e-5)

    similarity, product = image.structural_similarity_index_measure, 1.0
    _, full = similarity(here, there, data_range=1.0, return_full_image=True)
    np.testing.assert_allclose(
        ssim_map(picture, truth), full[0, :, 5:-5, 5:-5].permute(1, 2, 0).numpy(), rtol=0, atol=1e-5
    )
    for weight in MS_WEIGHTS[:-1]:
        product *= float(similarity(here, there, data_range=1.0, return_contrast_sensitivity=True)[1]) ** weight
        here, there = (torch.nn.functional.avg_pool2d(one, 2) for one in (here, there))
    _, full = similarity(here, there, data_range=1.0, return_full_image=True)
    product *= float(full[..., 5:-5, 5:-5].mean()) ** MS_WEIGHTS[-1]
    assert ms_ssim(picture, truth) == pytest.approx(product, abs=1e-5)


def test_five_scales_need_161_px() -> None:
    small, large = np.zeros((160, 300, 3)), np.zeros((161, 161, 3))
    with pytest.raises(ValueError, match="at least 161 px"):
        ms_ssim(small, small)
    assert ms_ssim(large, large) == 1
    score = MsSsim()
    score.add(small, small)
    score.add(large, large)
    assert score.frames == 1 and score.mean == 1


def test_the_fast_family_is_the_definition() -> None:
    for size in ((176, 192), (187, 251), (60, 75)):
        picture, truth = large_pair(*size)
        found = structure(pyramid_of(picture), pyramid_of(truth))
        assert found.ssim == pytest.approx(ssim(picture, truth), abs=1e-5)
        assert found.ssim_sk == pytest.approx(ssim(picture, truth, "uniform7"), abs=1e-5)
        np.testing.assert_allclose(found.map, ssim_map(picture, truth).mean(-1), atol=2e-4)
        if min(size) > 160:
            assert found.ms_ssim == pytest.approx(ms_ssim(picture, truth), abs=1e-5)


def test_frames_that_cannot_be_scored_are_named() -> None:
    good, worse = np.full((20, 30, 3), 0.5), np.full((20, 30, 3), 0.5)
    worse[3, 4, 1] = np.nan
    for score in (Psnr(), Ssim(), Ssim("uniform7"), SharpnessRatio()):
        score.add(good, good)
        with pytest.raises(UserError, match=r"^frame 1 holds values that are no numbers"):
            score.add(worse, good)
        with pytest.raises(UserError, match=r"^the true frame 1 holds values that are no numbers"):
            score.add(good, worse)
        assert len(score.values) == 1
    with pytest.raises(UserError, match="frame 0 has 30x20 px and the true one 31x20 px"):
        PictureScores().add(good, TrueFrame(np.zeros((20, 31, 3)), np.ones((20, 31), bool), np.ones((20, 31), bool)))


def true_frame(truth: np.ndarray) -> TrueFrame:
    head = np.zeros(truth.shape[:2], bool)
    head[20:140, 30:150] = True
    mouth = np.zeros_like(head)
    mouth[100:125, 70:110] = True
    return TrueFrame(truth, head, mouth)


def picture_scores(pictures: list[np.ndarray], true: TrueFrame) -> dict[str, Score]:
    gathered = PictureScores()
    for picture in pictures:
        gathered.add(picture, true)
    return {f"{s.name}/{s.region}": s for s in gathered.scores()}


def test_all_picture_scores_are_perfect_for_the_truth_and_worsen_with_what_they_should_see() -> None:
    _, truth = large_pair(176, 192)
    true, rng = true_frame(truth), np.random.default_rng(1)
    perfect = picture_scores([truth, truth], true)
    judged = [n for n in perfect if not n.startswith(("cpbd", "sharpness"))]
    best = {n: 100.0 if n.startswith("psnr") else 1.0 for n in judged}
    assert {n: perfect[n].value for n in judged} == pytest.approx(best, abs=1e-7)
    assert perfect["sharpness/head"].value == 1.0 and all(score.frames == 2 for score in perfect.values())
    assert true.mouth_box == (70, 100, 110, 125)

    noise = rng.normal(0, 1, truth.shape).astype(np.float32)
    series = {
        "blur": [ndimage.gaussian_filter(truth, (s, s, 0)) for s in (0.8, 1.6, 3.2)],
        "noise": [truth + s * noise for s in (0.02, 0.05, 0.1)],
        "shift": [np.roll(truth, s, axis=1) for s in (1, 2, 4)],
    }
    for kind, steps in series.items():
        previous = perfect
        for step in steps:
            found = picture_scores([step], true)
            for name in judged:
                assert found[name].value < previous[name].value, (kind, name)
            if kind == "blur":
                assert found["sharpness/head"].value < previous["sharpness/head"].value
            previous = found


def test_a_mistake_in_the_mouth_is_seen_there_most() -> None:
    _, truth = large_pair(176, 192)
    true = true_frame(truth)
    wrong = truth.copy()
    wrong[100:125, 70:110] = truth[100:125, 70:110][::-1]
    found = {name: score.value for name, score in picture_scores([wrong], true).items()}
    for name in ("psnr", "ssim"):
        assert found[f"{name}/mouth"] < found[f"{name}/head"] < found[f"{name}/frame"]
    elsewhere = truth.copy()
    elsewhere[150:, 160:] = 0
    found = {name: score.value for name, score in picture_scores([elsewhere], true).items()}
    assert found["psnr/mouth"] == found["psnr/head"] == 100.0 and found["ssim/mouth"] == pytest.approx(1)


def test_what_small_pictures_cannot_have_is_none_with_a_reason() -> None:
    truth = large_pair(60, 60)[1]
    found = picture_scores([truth], TrueFrame(truth, np.ones((60, 60), bool), np.zeros((60, 60), bool)))
    for name, why in {"ms_ssim/frame": "161 px", "cpbd/frame": "64 px", "psnr/mouth": "nothing to measure"}.items():
        assert found[name].value is None and why in found[name].why and found[name].frames == 0
