"""How like the true picture a rendered one is: PSNR, SSIM and MS-SSIM, over the frame and inside regions.

Pictures are RGB floats in [0, 1], masks are boolean. Every metric is a function of one pair and an accumulating
class that keeps one value per frame, so that curves and worst frames come from the same numbers as the mean. These
are the definitions, in double precision; `metrics.structure` computes the SSIM family of whole videos faster.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from talkface.errors import UserError
from talkface.metrics.structure import MS_LEAST_PX, MS_WEIGHTS, halved

_K1, _K2 = 0.01, 0.03
_GAUSSIAN_SIGMA, _GAUSSIAN_RADIUS = 1.5, 5
_UNIFORM_WIDTH = 7
MOST_DB = 100.0
"""Accumulated PSNR is at most this (one-shot-methods.md §6.1), so that equal frames count and means are finite."""
MOUTH_MARGIN = 0.2
"""The mouth region is the lip box grown by this part of its size on every side (field-quality.md: "lip box + 20 %")."""


def squared_error(
    picture: Float[np.ndarray, "height width 3"],
    truth: Float[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"] | None = None,
) -> tuple[float, int]:
    """Sum of squared differences and the number of values summed, inside `mask` or over the whole picture."""
    difference = (picture.astype(np.float64) - truth) ** 2
    if mask is not None:
        difference = difference[mask]
    return float(difference.sum()), difference.size


def psnr(
    picture: Float[np.ndarray, "height width 3"],
    truth: Float[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Peak signal-to-noise ratio, dB: -10 log10 of the mean squared difference (nerf-methods.md §4).

    Infinite for equal pictures, NaN for an empty mask.
    """
    total, count = squared_error(picture, truth, mask)
    return _decibel(total / count) if count else float("nan")


def ssim_map(
    picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height width 3"], window: str = "gaussian"
) -> Float[np.ndarray, "inner_height inner_width 3"]:
    """Structural similarity of every pixel whose window lies inside the picture, per channel.

    Args:
        window: "gaussian" is Wang et al. 2004, reported as `ssim`: 11x11, sigma 1.5, no sample covariance. "uniform7"
            is the default of scikit-image, reported as `ssim_sk`: 7x7 box with sample covariance.

    Raises:
        ValueError: the picture is smaller than the window, or the window is unknown.
    """
    luminance, structure = _similarity(picture, truth, window)
    return luminance * structure


def ssim(
    picture: Float[np.ndarray, "height width 3"],
    truth: Float[np.ndarray, "height width 3"],
    window: str = "gaussian",
    mask: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Mean structural similarity over pixels and channels; 1 for equal pictures (see `ssim_map`).

    With a mask, over the windows whose middle lies inside it; NaN where there is none.
    """
    found = ssim_map(picture, truth, window)
    if mask is not None:
        radius = (len(mask) - len(found)) // 2
        found = found[mask[radius:-radius, radius:-radius]]
    return float(found.mean()) if found.size else float("nan")


def ms_ssim(picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height width 3"]) -> float:
    """SSIM at five scales (Wang et al. 2003): contrast and structure of each, luminance of the coarsest.

    Per channel the product over scales of the means to the powers `MS_WEIGHTS`, negative means counted as 0; then the
    mean over channels. A picture is halved by means of 2x2 px, odd sides padded with 0 on both ends, all as
    pytorch-msssim does. (torchmetrics drops odd rows, averages channels before scales and judges the border of the
    coarsest scale too, so its values differ from these by some 1e-4.)

    Raises:
        ValueError: a side is shorter than `MS_LEAST_PX`.
    """
    if min(picture.shape[:2]) < MS_LEAST_PX:
        raise ValueError(f"MS-SSIM needs pictures of at least {MS_LEAST_PX} px a side")
    product = np.ones(3)
    here, there = picture.astype(np.float64), truth.astype(np.float64)
    for number, weight in enumerate(MS_WEIGHTS, 1):
        luminance, structure = _similarity(here, there, "gaussian")
        factor = structure if number < len(MS_WEIGHTS) else luminance * structure
        product *= np.maximum(factor.mean((0, 1)), 0) ** weight
        here, there = (halved(one.transpose(2, 0, 1)).transpose(1, 2, 0) for one in (here, there))
    return float(product.mean())


def _similarity(picture: np.ndarray, truth: np.ndarray, window: str) -> tuple[np.ndarray, np.ndarray]:
    """SSIM's two factors: luminance, and contrast with structure; [inner_height, inner_width, 3] each."""
    radius = {"gaussian": _GAUSSIAN_RADIUS, "uniform7": _UNIFORM_WIDTH // 2}.get(window)
    if radius is None:
        raise ValueError(f"window is {window!r}; it must be 'gaussian' or 'uniform7'")
    if min(picture.shape[:2]) < 2 * radius + 1:
        raise ValueError(f"a picture of {picture.shape[:2]} px is smaller than the SSIM window of {2 * radius + 1} px")
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / _GAUSSIAN_SIGMA) ** 2)
    unbias = 1.0
    if window == "uniform7":
        taps = np.ones(2 * radius + 1)
        unbias = _UNIFORM_WIDTH**2 / (_UNIFORM_WIDTH**2 - 1)
    taps /= taps.sum()

    def mean(values: np.ndarray) -> np.ndarray:
        rows = ndimage.correlate1d(values, taps, axis=0)[radius:-radius]
        return ndimage.correlate1d(rows, taps, axis=1)[:, radius:-radius]

    a, b = picture.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    both = mean_a**2 + mean_b**2
    spread = unbias * (mean(a * a + b * b) - both)
    shared = unbias * (mean(a * b) - mean_a * mean_b)
    c1, c2 = _K1**2, _K2**2
    return (2 * mean_a * mean_b + c1) / (both + c1), (2 * shared + c2) / (spread + c2)


def mouth_mask(landmarks_px: Float[np.ndarray, "68 2"], size_px: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """The mouth region of one frame: the box of lip points 48-67, grown by `MOUTH_MARGIN` of its size on every side.

    Empty where the landmarks are NaN.
    """
    mask = np.zeros(size_px, bool)
    lips = landmarks_px[48:]
    if not np.isfinite(lips).all():
        return mask
    margin = MOUTH_MARGIN * np.ptp(lips, axis=0)
    left, top = np.maximum(np.floor(lips.min(0) - margin), 0).astype(int)
    right, bottom = np.maximum(np.ceil(lips.max(0) + margin), 0).astype(int)
    mask[top:bottom, left:right] = True
    return mask


class PerFrame:
    """A score with one value per frame, in `values`; NaN where a frame has nothing to measure."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def check(self, picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height2 width2 3"]) -> None:
        """Look at the next pair before it is counted.

        Raises:
            UserError: the two differ in size or hold values that are no numbers; the frame is named, from 0.
        """
        check_pair(picture, truth, len(self.values))

    @property
    def mean(self) -> float:
        """Mean over the frames that have a value; NaN where none has."""
        return finite_mean(self.values)

    @property
    def frames(self) -> int:
        """How many frames have a value."""
        return int(np.sum(~np.isnan(self.values)))


class Psnr(PerFrame):
    """PSNR over frames, dB: `values` per frame, their mean, and the pooled value of all squared errors together.

    The two means differ: the mean of dB flatters a method that is very good on easy frames, the pooled value is ruled
    by the worst ones. Every value is at most `MOST_DB`. Frames whose mask is empty are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._total, self._count = 0.0, 0

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        truth: Float[np.ndarray, "height width 3"],
        mask: Bool[np.ndarray, "height width"] | None = None,
    ) -> None:
        """Count one more frame."""
        self.check(picture, truth)
        total, count = squared_error(picture, truth, mask)
        self.values.append(min(_decibel(total / count), MOST_DB) if count else float("nan"))
        self._total += total
        self._count += count

    @property
    def pooled(self) -> float:
        """PSNR of the mean squared error over all frames, dB."""
        return min(_decibel(self._total / self._count), MOST_DB) if self._count else float("nan")


class Ssim(PerFrame):
    """SSIM over frames, under one window of `ssim_map`."""

    def __init__(self, window: str = "gaussian") -> None:
        super().__init__()
        self.window = window

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        truth: Float[np.ndarray, "height width 3"],
        mask: Bool[np.ndarray, "height width"] | None = None,
    ) -> None:
        """Count one more frame."""
        self.check(picture, truth)
        self.values.append(ssim(picture, truth, self.window, mask))


class MsSsim(PerFrame):
    """MS-SSIM over frames; a frame smaller than `MS_LEAST_PX` has no value."""

    def add(self, picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height width 3"]) -> None:
        """Count one more frame."""
        self.check(picture, truth)
        small = min(truth.shape[:2]) < MS_LEAST_PX
        self.values.append(float("nan") if small else ms_ssim(picture, truth))


def check_pair(
    picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height2 width2 3"], number: int
) -> None:
    """Whether two pictures can be compared.

    Raises:
        UserError: they differ in size or hold values that are no numbers; `number` names the frame.
    """
    if picture.shape != truth.shape:
        ours, true = (f"{one.shape[1]}x{one.shape[0]}" for one in (picture, truth))
        raise UserError(f"frame {number} has {ours} px and the true one {true} px; bring them to one size first")
    for which, one in (("frame", picture), ("the true frame", truth)):
        if not np.isfinite(one.sum()):  # a sum is finite only where all its terms are
            raise UserError(f"{which} {number} holds values that are no numbers (NaN or infinite)")


def finite_mean(values: list[float]) -> float:
    """Mean of the values that are numbers (infinity counts); NaN where there is none."""
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")


def _decibel(mean_square: float) -> float:
    return float("inf") if mean_square == 0 else float(-10 * np.log10(mean_square))
