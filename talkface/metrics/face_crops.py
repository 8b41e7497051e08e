"""Face crops as the sync networks want them: SyncNet v2's, the Wav2Lip expert's and our own network's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from talkface.metrics.face_tracks import Place

CROP_SCALE = 0.4
"""How far SyncNet's crop reaches beyond the box, in half box sizes (twice that below)."""
_OUTSIDE = 110
"""Grey outside the picture, as in SyncNet's pipeline."""
_SYNCNET_PX = 224
_EXPERT_PX = 96
MOUTH_PX = 32
_MOUTH_SPANS = 1.0
"""Side of our mouth crop in distances between the outer eye corners (our choice: lips, and the skin that they move)."""
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def syncnet_crop(picture: UInt8[np.ndarray, "height width 3"], place: Place) -> UInt8[np.ndarray, "224 224 3"]:
    """RGB, from the top of the box to 0.8 half sizes below it, 1.4 half sizes to either side of its centre."""
    x, y, half = place.box.tolist()
    pad = int(half * (1 + 2 * CROP_SCALE))  # whole pixels are cut as after that padding
    rows = np.arange(int(y + pad - half), int(y + pad + half * (1 + 2 * CROP_SCALE))) - pad
    columns = np.arange(int(x + pad - half * (1 + CROP_SCALE)), int(x + pad + half * (1 + CROP_SCALE))) - pad
    return resized(_cut(picture, rows, columns), _SYNCNET_PX)


def expert_crop(picture: UInt8[np.ndarray, "height width 3"], place: Place) -> UInt8[np.ndarray, "48 96 3"]:
    """RGB, the lower half of the box at 96 px, as Wav2Lip's expert was trained."""
    x, y, half = place.box.tolist()
    rows, columns = (np.arange(round(middle - half), round(middle + half)) for middle in (y, x))
    return resized(_cut(picture, rows, columns), _EXPERT_PX)[_EXPERT_PX // 2 :]


def mouth_crop(picture: UInt8[np.ndarray, "height width 3"], place: Place) -> UInt8[np.ndarray, "32 32"]:
    """Grey, upright, as wide as the outer eye corners are apart; large pictures are averaged down."""
    x, y, span, roll = place.mouth.tolist()
    side = max(span * _MOUTH_SPANS, 1.0)
    finer = max(1, int(np.ceil(side / MOUTH_PX)))
    offsets = ((np.arange(MOUTH_PX * finer) + 0.5) / (MOUTH_PX * finer) - 0.5) * side
    across, down = np.meshgrid(offsets, offsets)
    columns = x + across * np.cos(roll) - down * np.sin(roll) - 0.5
    rows = y + across * np.sin(roll) + down * np.cos(roll) - 0.5
    grey = _bilinear(picture, rows, columns) @ _LUMINANCE
    small = grey.reshape(MOUTH_PX, finer, MOUTH_PX, finer).mean((1, 3))
    return np.rint(small).astype(np.uint8)


def resized(picture: UInt8[np.ndarray, "height width 3"], size_px: int) -> UInt8[np.ndarray, "size size 3"]:
    """Square picture by bilinear interpolation between pixel centres, without averaging, as OpenCV's default."""
    low, high, part = (
        np.stack(each) for each in zip(*(_neighbours(n, size_px) for n in picture.shape[:2]), strict=True)
    )
    wide = picture.astype(np.float32)
    tall = wide[low[0]] * (1 - part[0])[:, None, None] + wide[high[0]] * part[0][:, None, None]
    full = tall[:, low[1]] * (1 - part[1])[:, None] + tall[:, high[1]] * part[1][:, None]
    return np.rint(full).astype(np.uint8)


def _neighbours(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    where = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = where.astype(np.int64)
    return low, np.minimum(low + 1, source - 1), (where - low).astype(np.float32)


def _cut(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The pixels of these rows and columns; grey where there are none; at least one pixel."""
    rows, columns = (one if len(one) else np.array([-1]) for one in (rows, columns))
    height, width = picture.shape[:2]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    found = picture[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
    return np.where(inside[..., None], found, np.uint8(_OUTSIDE))


def _bilinear(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "*shape 3"]:
    """Values between pixel centres; the border goes on beyond the picture."""
    height, width = picture.shape[:2]
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = (rows - top).astype(np.float32)[..., None], (columns - left).astype(np.float32)[..., None]
    below, beside = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    upper = picture[top, left] * (1 - right) + picture[top, beside] * right
    lower = picture[below, left] * (1 - right) + picture[below, beside] * right
    return upper * (1 - down) + lower * down
