"""How like the true picture a rendered one is: PSNR, SSIM and sharpness, over the frame and inside regions.

Pictures are RGB floats in [0, 1], masks are boolean. Every metric is a function of one pair and an accumulating
class that keeps one value per frame, so that curves and worst frames come from the same numbers as the mean.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

_K1, _K2 = 0.01, 0.03
_GAUSSIAN_SIGMA, _GAUSSIAN_RADIUS = 1.5, 5
_UNIFORM_WIDTH = 7
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
        window: "gaussian" is Wang et al. 2004: 11x11, sigma 1.5, no sample covariance. "uniform7" is the default of
            scikit-image: 7x7 box with sample covariance, which some papers report.

    Raises:
        ValueError: the picture is smaller than the window, or the window is unknown.
    """
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
    spread_a = unbias * (mean(a * a) - mean_a**2)
    spread_b = unbias * (mean(b * b) - mean_b**2)
    shared = unbias * (mean(a * b) - mean_a * mean_b)
    c1, c2 = _K1**2, _K2**2
    above = (2 * mean_a * mean_b + c1) * (2 * shared + c2)
    return above / ((mean_a**2 + mean_b**2 + c1) * (spread_a + spread_b + c2))


def ssim(
    picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height width 3"], window: str = "gaussian"
) -> float:
    """Mean structural similarity over pixels and channels; 1 for equal pictures (see `ssim_map`)."""
    return float(ssim_map(picture, truth, window).mean())


def sharpness(
    picture: Float[np.ndarray, "height width 3"], mask: Bool[np.ndarray, "height width"] | None = None
) -> float:
    """Standard deviation of the picture's Laplacian (grey, four neighbours) inside `mask`: how much detail it has."""
    laplacian = ndimage.laplace(picture.astype(np.float64).mean(-1))
    return float((laplacian if mask is None else laplacian[mask]).std())


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


class Psnr:
    """PSNR over frames: `values` per frame, their mean, and the pooled value of all squared errors together.

    The two means differ: the mean of dB flatters a method that is very good on easy frames, the pooled value is ruled
    by the worst ones. Frames whose mask is empty are left out.
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self._total, self._count = 0.0, 0

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        truth: Float[np.ndarray, "height width 3"],
        mask: Bool[np.ndarray, "height width"] | None = None,
    ) -> None:
        """Count one more frame."""
        total, count = squared_error(picture, truth, mask)
        self.values.append(_decibel(total / count) if count else float("nan"))
        self._total += total
        self._count += count

    @property
    def mean(self) -> float:
        """Mean of the per-frame values, dB."""
        return finite_mean(self.values)

    @property
    def pooled(self) -> float:
        """PSNR of the mean squared error over all frames, dB."""
        return _decibel(self._total / self._count) if self._count else float("nan")


class Ssim:
    """SSIM over frames: `values` per frame and their mean."""

    def __init__(self, window: str = "gaussian") -> None:
        self.window = window
        self.values: list[float] = []

    def add(self, picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height width 3"]) -> None:
        """Count one more frame."""
        self.values.append(ssim(picture, truth, self.window))

    @property
    def mean(self) -> float:
        """Mean of the per-frame values."""
        return finite_mean(self.values)


class SharpnessRatio:
    """Detail of the rendered head over that of the true head, per frame; 1 is as sharp, less is soft, more is noisy."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        truth: Float[np.ndarray, "height width 3"],
        mask: Bool[np.ndarray, "height width"],
    ) -> None:
        """Count one more frame."""
        if not mask.any():
            self.values.append(float("nan"))
            return
        true = sharpness(truth, mask)
        self.values.append(sharpness(picture, mask) / true if true > 0 else float("nan"))

    @property
    def mean(self) -> float:
        """Mean of the per-frame ratios."""
        return finite_mean(self.values)


def finite_mean(values: list[float]) -> float:
    """Mean of the values that are numbers (infinity counts); NaN where there is none."""
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")


def _decibel(mean_square: float) -> float:
    return float("inf") if mean_square == 0 else float(-10 * np.log10(mean_square))
