"""How sharp a picture is: its detail relative to the truth's, and CPBD, which needs no truth.

CPBD is the "cumulative probability of blur detection" of Narvekar and Karam (2011): the share of edges whose blur
nobody would notice. The details (Sobel edges, widths of Marziliano's method along rows, Canny to choose blocks) are
those of the public Python package `cpbd`, with which it is compared in tests/metrics/golden.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from talkface.metrics.image import PerFrame

BLOCK_PX = 64
"""CPBD judges whole blocks of this size from the upper left corner; what remains at the other edges is left out."""
_EDGE_SHARE = 0.002
_BETA = 3.6
_CONTRAST, _JUST_NOTICEABLE_PX = 50, (5.0, 3.0)
_NOT_DETECTED = 63
_MOST_STEPS = 100
_LOW, _HIGH = 0.1, 0.2
"""Thresholds of Canny on grey values of 0 to 255, as the package has them: almost every slope counts."""


def sharpness(
    picture: Float[np.ndarray, "height width 3"], mask: Bool[np.ndarray, "height width"] | None = None
) -> float:
    """Standard deviation of the picture's Laplacian (grey, four neighbours) inside `mask`: how much detail it has."""
    laplacian = ndimage.laplace(picture.astype(np.float64).mean(-1))
    return float((laplacian if mask is None else laplacian[mask]).std())


class SharpnessRatio(PerFrame):
    """Detail of the rendered head over that of the true head, per frame; 1 is as sharp, less is soft, more is noisy."""

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        truth: Float[np.ndarray, "height width 3"],
        mask: Bool[np.ndarray, "height width"] | None = None,
    ) -> None:
        """Count one more frame."""
        self.check(picture, truth)
        true = sharpness(truth, mask) if mask is None or mask.any() else 0.0
        self.values.append(sharpness(picture, mask) / true if true > 0 else float("nan"))


class Cpbd(PerFrame):
    """CPBD over frames; frames (or regions) without a whole block have no value."""

    def add(
        self, picture: Float[np.ndarray, "height width 3"], mask: Bool[np.ndarray, "height width"] | None = None
    ) -> None:
        """Count one more frame; only the box around `mask` is judged."""
        self.check(picture, picture)
        if mask is not None:
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            picture = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else picture[:0]
        self.values.append(cpbd(grey_levels(picture)))


def grey_levels(picture: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
    """Luma of BT.601 in whole levels, as image readers give it (65536ths of 0.299, 0.587 and 0.114, rounded)."""
    levels = np.rint(np.clip(picture, 0, 1) * np.float32(255)).astype(np.uint32)
    luma = 19595 * levels[..., 0] + 38470 * levels[..., 1] + 7471 * levels[..., 2] + 0x8000
    return (luma >> 16).astype(np.uint8)


def cpbd(grey: UInt8[np.ndarray, "height width"]) -> float:
    """Share of edges whose probability of being seen as blurred is below the just noticeable 63 %; 1 is sharp.

    Args:
        grey: levels 0 to 255.

    Returns:
        0 to 1; 0 for a picture without edges (as the package says), NaN without a whole block.
    """
    height, width = (side // BLOCK_PX for side in grey.shape)
    if not height * width:
        return float("nan")
    used = np.s_[: height * BLOCK_PX, : width * BLOCK_PX]
    rows, columns, widths = edge_widths(grey)
    inside = (rows < height * BLOCK_PX) & (columns < width * BLOCK_PX)
    block = (rows // BLOCK_PX * width + columns // BLOCK_PX)[inside]
    judged = _edge_blocks(grey, height, width)[block]
    tiles = _tiles(grey[used], height, width)
    contrast = tiles.max((1, 2)).astype(int) - tiles.min((1, 2))
    noticeable = np.where(contrast <= _CONTRAST, *_JUST_NOTICEABLE_PX)[block[judged]]
    detected = 1 - np.exp(-((widths[inside][judged] / noticeable) ** _BETA))
    return float((np.rint(100 * detected) <= _NOT_DETECTED).mean()) if len(detected) else 0.0


def edge_widths(
    grey: UInt8[np.ndarray, "height width"],
) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " edges"], Int[np.ndarray, " edges"]]:
    """Rows, columns and widths (px) of the edges that rise or fall along a row (Marziliano et al. 2002).

    An edge is where the horizontal Sobel response is strong and larger than at both neighbours in a row or a column.
    Its width is how far the grey value keeps rising (or falling) to both sides, at most 101 px each. (In a picture that
    rises to the right everywhere the package finds no widths; here it has them.)
    """
    level = grey.astype(np.int16)
    step = np.sign(np.diff(level, axis=1)).astype(np.int8)
    edge = _sobel_edges(grey)
    edge[[0, -1]] = False
    edge[:, [0, -1]] = False
    rows, columns = np.nonzero(edge)
    across = level[rows, columns + 1] - level[rows, columns - 1]
    down = level[rows + 1, columns] - level[rows - 1, columns]
    angle = np.where(across != 0, np.degrees(np.arctan2(down, across)), 0.0)
    quarter = np.rint(angle / 45)
    along = np.isin(quarter, (-4, 0, 4))
    rows, columns, rising = rows[along], columns[along], quarter[along] == 0
    widths = np.where(rising, _run(step > 0, rows, columns), _run(step < 0, rows, columns))
    return rows, columns, widths


def _run(
    going: Bool[np.ndarray, "height steps"], rows: Int[np.ndarray, " edges"], columns: Int[np.ndarray, " edges"]
) -> Int[np.ndarray, " edges"]:
    """Steps in a row that go on, from the second left and the second right of a column, and one px on each side.

    Step c is the one from column c to c + 1.
    """
    steps = going.shape[1]
    place = np.arange(steps, dtype=np.int32)
    broken_before = np.maximum.accumulate(np.where(going, np.int32(-1), place), axis=1)
    broken_after = np.minimum.accumulate(np.where(going, np.int32(steps), place)[:, ::-1], axis=1)[:, ::-1]
    left, right = columns - 2, columns + 1
    to_left = np.where(left >= 0, left - broken_before[rows, left.clip(0)], 0)
    to_right = np.where(right < steps, broken_after[rows, right.clip(max=steps - 1)] - right, 0)
    return np.minimum(to_left, _MOST_STEPS) + np.minimum(to_right, _MOST_STEPS) + 2


def _sobel_edges(grey: UInt8[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Where the horizontal Sobel response squared is over twice its root mean square and over two neighbours."""
    padded = np.pad(grey.astype(np.int32), 1, mode="symmetric")
    column = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    strength = (column[:, 2:] - column[:, :-2]) ** 2
    strength[strength / 64 <= 2 * np.sqrt(strength.mean() / 64)] = 0
    around = np.pad(strength, 1)
    over_row = (strength > around[1:-1, :-2]) & (strength > around[1:-1, 2:])
    over_column = (strength > around[:-2, 1:-1]) & (strength > around[2:, 1:-1])
    return over_row | over_column


def _edge_blocks(grey: UInt8[np.ndarray, "height width"], height: int, width: int) -> Bool[np.ndarray, " blocks"]:
    """Blocks in which more than 0.2 % of the pixels are Canny edges (sigma 1)."""
    used = np.s_[: height * BLOCK_PX, : width * BLOCK_PX]
    enough = _EDGE_SHARE * BLOCK_PX**2

    def count(edges: Bool[np.ndarray, "height width"]) -> Int[np.ndarray, " blocks"]:
        return _tiles(edges[used], height, width).sum((1, 2))

    slopes = Slopes(grey)
    certain = count(slopes.largest(every=4) >= _HIGH) > enough
    if (certain | (count(slopes.size >= _LOW) <= enough)).all():
        return certain
    thin = slopes.largest()
    labels, found = ndimage.label(thin >= _LOW, np.ones((3, 3), bool))
    joined = np.zeros(found + 1, bool)  # weak slopes count where they join strong ones
    joined[labels[thin >= _HIGH]] = True
    return count(joined[labels]) > enough


class Slopes:
    """The slope of a picture smoothed with sigma 1, as scikit-image's Canny has it.

    Attributes:
        size: length of the Sobel gradient; smoothing is renormalised at the border.
    """

    def __init__(self, grey: UInt8[np.ndarray, "height width"]) -> None:
        reach = [ndimage.gaussian_filter1d(np.ones(side), 1.0, mode="constant") for side in grey.shape]
        smooth = ndimage.gaussian_filter(grey.astype(np.float64), 1.0, mode="constant")
        smooth /= reach[0][:, None] * reach[1] + np.finfo(float).eps
        padded = np.pad(smooth, 1, mode="symmetric")
        column = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        row = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
        self._across, self._down = column[:, 2:] - column[:, :-2], row[2:] - row[:-2]
        self.size = np.sqrt(self._across**2 + self._down**2)

    def largest(self, every: int = 1) -> Float[np.ndarray, "height width"]:
        """The slope where it is at least at both neighbours across the edge (between pixels), else 0.

        Args:
            every: Look at every so many rows only; the others are 0.
        """
        height, width = self.size.shape

        def at(y: int, x: int) -> Float[np.ndarray, "rows inner_width"]:
            return self.size[1 + y : height - 1 + y : every, 1 + x : width - 1 + x]

        inside = np.s_[1:-1:every, 1:-1]
        down, across = self._down[inside], self._across[inside]
        falling = down * across < 0
        down, across = np.abs(down), np.abs(across)
        steep = down > across
        share = np.minimum(down, across) / np.maximum(np.maximum(down, across), np.finfo(float).tiny)
        largest = at(0, 0) >= _LOW
        for sign in (1, -1):
            straight = np.where(steep, at(sign, 0), at(0, sign))
            skew = np.where(falling, np.where(steep, at(sign, -sign), at(-sign, sign)), at(sign, sign))
            largest &= skew * share + straight * (1 - share) <= at(0, 0)
        found = np.zeros((height, width))
        found[inside] = np.where(largest, at(0, 0), 0)
        return found


def _tiles(values: np.ndarray, height: int, width: int) -> np.ndarray:
    return values.reshape(height, BLOCK_PX, width, BLOCK_PX).swapaxes(1, 2).reshape(-1, BLOCK_PX, BLOCK_PX)
