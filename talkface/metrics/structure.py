"""The SSIM family of a pair of frames in one go: SSIM under two windows, its map, and MS-SSIM.

The definitions are those of `metrics.image`; here every frame keeps its local means, so that a frame compared with
several others (a video, baselines, itself) is filtered once. In double precision, because in flat parts of a picture
single precision errs by 5e-5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

_C1, _C2 = 0.01**2, 0.03**2
_MIDDLE = 0.5
"""Planes are filtered as differences from mid-grey: squares and their means cancel less."""
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales of MS-SSIM, finest first (Wang et al. 2003)."""
_BLOCK = 16
MS_LEAST_PX = 161
"""The shortest side MS-SSIM can judge: the coarsest of five scales must hold the window of 11 px."""


@dataclass(frozen=True, eq=False)
class Window:
    """A separable averaging window with symmetric taps."""

    taps: Float[np.ndarray, " taps"]
    unbias: float
    """What a variance under it is multiplied with: 1, or n / (n - 1) for the sample variance."""

    def mean(self, planes: Float[np.ndarray, "planes height width"]) -> Float[np.ndarray, "planes inner_height inner"]:
        """Local means wherever the window lies inside the picture."""
        return self._down(self._down(planes).swapaxes(1, 2)).swapaxes(1, 2)

    def _down(self, planes: np.ndarray) -> np.ndarray:
        """Along the second axis: products with a band matrix, a few rows at a time (three times faster than sums)."""
        last = len(self.taps) - 1
        count, rows, columns = planes.shape[0], planes.shape[1] - last, planes.shape[2]
        block = min(_BLOCK, rows)
        band = np.zeros((block, block + last))
        for row in range(block):
            band[row, row : row + last + 1] = self.taps
        made = np.empty_like(planes, shape=(count, rows, columns))
        np.matmul(
            band, _blocks(planes, block, block + last, rows // block), out=_blocks(made, block, block, rows // block)
        )
        if rows % block:
            np.matmul(band, planes[:, rows - block :], out=made[:, rows - block :])
        return made


def _blocks(planes: np.ndarray, step: int, size: int, count: int) -> np.ndarray:
    """[planes, count, size, width]: stretches of `size` rows that begin every `step` rows, without a copy."""
    plane, row, column = planes.strides
    shape = (len(planes), count, size, planes.shape[2])
    return np.lib.stride_tricks.as_strided(planes, shape, (plane, step * row, row, column))


def _gaussian() -> Window:
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    return Window(taps / taps.sum(), 1.0)


GAUSSIAN = _gaussian()
"""11x11, sigma 1.5 (Wang et al. 2004)."""
UNIFORM7 = Window(np.full(7, 1 / 7), 49 / 48)
"""7x7 box with sample variance, scikit-image's default."""


class Smoothed:
    """One frame's planes and their local first and second moments, computed when first asked.

    Args:
        planes: in [0, 1].
    """

    def __init__(self, planes: Float[np.ndarray, "planes height width"], window: Window) -> None:
        self.planes, self.window = planes - _MIDDLE, window

    @cached_property
    def mean(self) -> Float[np.ndarray, "planes inner_height inner_width"]:
        """Local mean minus mid-grey."""
        return self.window.mean(self.planes)

    @cached_property
    def variance(self) -> Float[np.ndarray, "planes inner_height inner_width"]:
        """Local variance."""
        found = self.window.mean(self.planes * self.planes)
        found -= self.mean * self.mean
        found *= self.window.unbias
        return found

    @cached_property
    def mean_square(self) -> Float[np.ndarray, "planes inner_height inner_width"]:
        """Square of the local mean itself."""
        found = self.mean + _MIDDLE
        found *= found
        return found


def similarity(
    a: Smoothed, b: Smoothed
) -> tuple[Float[np.ndarray, "planes inner_height inner_width"], Float[np.ndarray, " planes"]]:
    """SSIM of every pixel and plane, and the mean over pixels of its contrast-structure factor for each plane."""
    if a is b:
        return np.ones_like(a.mean), np.ones(len(a.mean))
    both = a.mean * b.mean
    contrast = a.window.mean(a.planes * b.planes)
    contrast -= both
    contrast *= 2 * a.window.unbias
    contrast += _C2
    below = a.variance + b.variance
    below += _C2
    contrast /= below
    factor = contrast.mean((1, 2))
    # Luminance: means are held relative to mid-grey m, so (a + m)(b + m) = ab + m (a + b) + m^2, and so on.
    sum_ = a.mean + b.mean
    sum_ *= _MIDDLE
    sum_ += _MIDDLE**2
    np.add(both, sum_, out=both)
    both *= 2
    both += _C1
    np.add(a.mean_square, b.mean_square, out=below)
    below += _C1
    both /= below
    both *= contrast
    return both, factor


class Pyramid:
    """One frame at the five scales of MS-SSIM, each half the size of the one before, and under the box window.

    Args:
        planes: in [0, 1].
    """

    def __init__(self, planes: Float[np.ndarray, "planes height width"]) -> None:
        self._planes = planes.astype(np.float64)

    @cached_property
    def scales(self) -> list[Smoothed]:
        """Under the Gaussian window, finest first; only the finest where the frame is too small for MS-SSIM."""
        found, planes = [Smoothed(self._planes, GAUSSIAN)], self._planes
        if min(planes.shape[1:]) >= MS_LEAST_PX:
            for _ in MS_WEIGHTS[1:]:
                planes = halved(planes)
                found.append(Smoothed(planes, GAUSSIAN))
        return found

    @cached_property
    def boxed(self) -> Smoothed:
        """Under the 7x7 box."""
        return Smoothed(self._planes, UNIFORM7)


@dataclass(frozen=True)
class Structure:
    """The SSIM family of one pair of frames."""

    ssim: float
    """Gaussian window, mean over pixels and channels."""
    ssim_sk: float
    """7x7 box with sample variance (scikit-image's default)."""
    ms_ssim: float
    """NaN where the frames are smaller than `MS_LEAST_PX`."""
    map: Float[np.ndarray, "inner_height inner_width"]
    """SSIM of every pixel, mean over channels; 5 px smaller than the frame on every side."""


def structure(a: Pyramid, b: Pyramid) -> Structure:
    """Compare two frames of the same size.

    Raises:
        ValueError: they are smaller than 11 px or differ in size.
    """
    if a.scales[0].planes.shape != b.scales[0].planes.shape or min(a.scales[0].planes.shape[1:]) < 11:
        raise ValueError("frames to compare must have the same size, at least 11 px a side")
    map_, contrast = similarity(a.scales[0], b.scales[0])
    boxed, _ = similarity(a.boxed, b.boxed)
    product = np.maximum(contrast, 0) ** MS_WEIGHTS[0]
    for weight, one, other in zip(MS_WEIGHTS[1:], a.scales[1:], b.scales[1:], strict=False):
        fine, contrast = similarity(one, other)
        factor = fine.mean((1, 2)) if weight == MS_WEIGHTS[-1] else contrast
        product *= np.maximum(factor, 0) ** weight
    return Structure(
        min(float(map_.mean(dtype=np.float64)), 1.0),  # rounding may go beyond
        min(float(boxed.mean(dtype=np.float64)), 1.0),
        min(float(product.mean()), 1.0) if len(a.scales) == len(MS_WEIGHTS) else float("nan"),
        map_.mean(0),
    )


def halved(
    planes: Float[np.ndarray, "planes height width"],
) -> Float[np.ndarray, "planes half_height half_width"]:
    """Mean of 2x2 pixels; odd sizes are padded with zeros first, as the usual implementation of MS-SSIM does."""
    odd = [(0, 0), *((size % 2, size % 2) for size in planes.shape[1:])]
    padded = np.pad(planes, odd) if any(pad != (0, 0) for pad in odd) else planes
    padded = padded[:, : padded.shape[1] // 2 * 2, : padded.shape[2] // 2 * 2]
    return 0.25 * (padded[:, ::2, ::2] + padded[:, 1::2, ::2] + padded[:, ::2, 1::2] + padded[:, 1::2, 1::2])
