"""How two videos are laid over each other before they are scored, explicitly: size, crop, and offset in time.

Both are read at 25 fps on their own clocks (time 0 is the first frame), upright and with square pixels (`io.video`).
Nothing is aligned in space beyond size and crop: a head out of place is an error of the video, and is scored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

REACH_FRAMES = 15
"""Offsets that are tried, to either side."""
LAG_FRAMES = 3_000
"""The offset is looked for in the first two minutes, which keeps memory constant."""
BETTER_R = 0.05
"""An offset is worth a word when pictures agree better there than at the given one by this much: unrelated people agree
to 0.02 by chance, one frame of delay costs 0.1 and more even under heavy noise (measured on cnn2)."""
CROP_GROWTH = 0.1
CROP_PX = 256
_THUMB_PX = 32


@dataclass(frozen=True)
class Box:
    """A part of a frame as fractions of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    def on(self, size_px: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in px of a frame of (height, width)."""
        height, width = size_px
        return self.left * width, self.top * height, self.right * width, self.bottom * height


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Fitting:
    """Brings the frames of one video to the size that is scored.

    Attributes:
        resampling: "none", "area" (shrinking: every pixel counts) or "bicubic" (enlarging in either direction).

    Args:
        from_px, to_px: (height, width) of the frames and of what is scored.
        box: The part that is scored.
    """

    def __init__(self, from_px: tuple[int, int], to_px: tuple[int, int], box: Box = WHOLE) -> None:
        self._box, self._size = box.on(from_px), to_px[::-1]
        width, height = self._box[2] - self._box[0], self._box[3] - self._box[1]
        if box == WHOLE and from_px == to_px:
            self.resampling = "none"
        else:
            self.resampling = "area" if to_px[0] <= height and to_px[1] <= width else "bicubic"
        self.stretch = (to_px[1] / width) / (to_px[0] / height)
        """Change of the aspect ratio; 1 where shapes stay."""

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "to_height to_width 3"]:
        if self.resampling == "none":
            return frame
        way = Image.Resampling.BOX if self.resampling == "area" else Image.Resampling.BICUBIC
        planes = [Image.fromarray(frame[..., channel].astype(np.float32)) for channel in range(3)]
        # Whole levels would be rounded up in both directions, which brightens by half a level.
        made = np.stack([np.asarray(plane.resize(self._size, way, box=self._box)) for plane in planes], -1)
        return np.rint(made).clip(0, 255).astype(np.uint8)


def face_crop(points: Iterable[Float[np.ndarray, "478 3"]], size_px: tuple[int, int]) -> Box | None:
    """The square that one-shot papers score (FOMM's): around the union of the face boxes, enlarged by 0.1 a side.

    It never leaves the frame: it is moved inside, and made smaller where the frame is. FOMM's boxes are another
    detector's; ours are those of the mesh, from forehead to chin.

    Args:
        points: Meshes of some frames of the true video, px; NaN without a face.

    Returns:
        None where no frame has a face.
    """
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for mesh in points:
        if np.isfinite(mesh).all():
            low, high = np.minimum(low, mesh[:, :2].min(0)), np.maximum(high, mesh[:, :2].max(0))
    if not np.isfinite(low).all():
        return None
    frame = np.array(size_px[::-1], float)
    side = min((high - low).max() * (1 + 2 * CROP_GROWTH), *frame)
    corner = np.clip((low + high) / 2 - side / 2, 0, frame - side)
    (left, top), (right, bottom) = corner / frame, (corner + side) / frame
    return Box(float(left), float(top), float(right), float(bottom))


@dataclass(frozen=True)
class Lag:
    """How well pictures agree in time."""

    best_frames: int
    """The offset where they agree best; positive: the video is late."""
    curve: Float[np.ndarray, " offsets"]
    """Correlation of picture changes at offsets -15 ... +15; NaN where too little overlaps."""

    def at(self, offset_frames: int) -> float:
        """The correlation at an offset; NaN where it was not tried."""
        place = offset_frames + REACH_FRAMES
        return float(self.curve[place]) if 0 <= place < len(self.curve) else float("nan")

    @property
    def r(self) -> float:
        """The correlation at the best offset."""
        return self.at(self.best_frames)

    def better_than(self, offset_frames: int) -> bool:
        """Whether the best offset is clearly better than the given one."""
        here = self.at(offset_frames)
        return bool(self.best_frames != offset_frames and self.r > (0.0 if np.isnan(here) else here) + BETTER_R)


def picture_lag(
    truth: Iterable[UInt8[np.ndarray, "height width 3"]],
    video: Iterable[UInt8[np.ndarray, "other_height other_width 3"]],
) -> Lag:
    """Where in time two videos of the same scene agree best.

    Frames become grey pictures of 32x32 px; the change from each frame to the next is correlated over all pixels and
    frames. Changes are sharper in time than pictures, and blind to a constant difference in colour or background.
    Without movement, or under two seconds, the best offset is 0.
    """
    a, b = (_changes(frames) for frames in (truth, video))
    offsets = range(-REACH_FRAMES, REACH_FRAMES + 1)
    curve = np.array([_correlation(a, b, offset) for offset in offsets])
    known = np.isfinite(curve).all() and curve.max() > 0
    return Lag(int(np.argmax(curve)) - REACH_FRAMES if known else 0, curve)


def _changes(frames: Iterable[np.ndarray]) -> Float[np.ndarray, "changes pixels"]:
    thumbs = [
        np.asarray(Image.fromarray(frame).convert("L").resize((_THUMB_PX, _THUMB_PX), Image.Resampling.BOX))
        for frame in islice(frames, LAG_FRAMES)
    ]
    return np.diff(np.array(thumbs, np.float32).reshape(len(thumbs), -1), axis=0)


def _correlation(a: np.ndarray, b: np.ndarray, offset: int) -> float:
    """Correlation of a[k] with b[k + offset]."""
    first, count = max(0, -offset), min(len(a), len(b) - offset)
    if count - first < 2 * REACH_FRAMES:
        return float("nan")
    one, other = a[first:count], b[first + offset : count + offset]
    scale = np.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else float("nan")
