"""The scene without the person: a background plate gathered while frames go by, in bounded memory."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8

from talkface.errors import UserError
from talkface.face.fill import fill

_KEPT_FRAMES = 64
_KEPT_BYTES = 192 * 2**20
_SEEN_BELOW = 0.02
_MARGIN_AT_512_PX = 7


class BackgroundPlate:
    """Median of what was seen beside the person over a few dozen frames spread evenly over the clip.

    Every frame may be added; the set kept thins itself out (every second one is dropped when it is full), so memory
    is bounded whatever the length and size: at most 64 frames and about 200 MB. Source: shared study of tracking,
    section 6.4.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._stride = 1
        self._count = 0
        self._limit = _KEPT_FRAMES

    def add(self, frame: UInt8[np.ndarray, "height width 3"], matte: Float[np.ndarray, "height width"]) -> None:
        """Take note of one frame and of where its person is."""
        if self._count == 0:
            self._limit = int(np.clip(_KEPT_BYTES // (frame.shape[0] * frame.shape[1] * 4), 12, _KEPT_FRAMES))
        elif self._kept[0][0].shape != frame.shape:
            raise UserError(f"a frame is {frame.shape[:2]} px where the first was {self._kept[0][0].shape[:2]}")
        if self._count % self._stride == 0:
            self._kept.append((frame.copy(), self._seen(matte)))
            if len(self._kept) > self._limit:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._count += 1

    def finish(self) -> tuple[UInt8[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
        """The plate and where it is invented because no kept frame showed it.

        Raises:
            UserError: no frame was added.
        """
        if not self._kept:
            raise UserError("there is no frame to make a background plate from")
        height, width = self._kept[0][0].shape[:2]
        plate = np.zeros((height, width, 3), np.float32)
        count = np.zeros((height, width), np.int64)
        strip = max(1, 2**22 // (width * len(self._kept)))
        for top in range(0, height, strip):
            rows = slice(top, top + strip)
            seen = np.stack([s[rows] for _, s in self._kept])
            colours = np.stack([f[rows] for f, _ in self._kept]).astype(np.int16)
            colours[~seen] = 999
            colours.sort(axis=0)
            count[rows] = seen.sum(0)
            middle = np.maximum(count[rows] - 1, 0)[None, :, :, None]
            low = np.take_along_axis(colours, middle // 2, 0)[0]
            high = np.take_along_axis(colours, (middle + 1) // 2, 0)[0]
            plate[rows] = (low + high) / 2.0
        known = count > 0
        filled = fill(np.where(known[..., None], plate, 0.0), known)
        return np.clip(np.round(filled), 0, 255).astype(np.uint8), ~known

    @staticmethod
    def _seen(matte: np.ndarray) -> np.ndarray:
        import cv2

        margin = max(2, round(_MARGIN_AT_512_PX * min(matte.shape) / 512))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
        person = cv2.morphologyEx((matte > 0.5).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        near = cv2.dilate(person, disc) > 0
        return ~near & (matte < _SEEN_BELOW)


__all__ = ["BackgroundPlate"]
