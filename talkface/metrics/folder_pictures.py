"""The pictures of a processed folder, as scores and baselines want them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from talkface.io.store import PersonFolder
from talkface.metrics.pictures import composite

_CACHE_BYTES = 300_000_000
_HEAD = 1

Crop = tuple[int, int, int, int]
"""Left, top, right, bottom in px of the stored frames; may reach outside, where the edge is repeated."""


class FolderPictures:
    """The pictures of a processed folder, cut and resized to the evaluation size; recent ones are kept in memory.

    Args:
        size_px: (height, width) of the evaluation; the stored size when None.
        crop: the part of the stored frame that is evaluated; all of it when None. Its aspect ratio must be that of
            `size_px`.
    """

    def __init__(self, folder: PersonFolder, size_px: tuple[int, int] | None = None, crop: Crop | None = None) -> None:
        self.folder = folder
        height, width = folder.manifest.size_px
        self.crop = crop or (0, 0, width, height)
        left, top, right, bottom = self.crop
        self.size_px = size_px or (bottom - top, right - left)
        self.track = folder.track
        self.camera = folder.track.camera.cropped(left, top, (bottom - top, right - left)).resized(self.size_px)
        self.train_indices, self.test_indices = folder.train_indices, folder.test_indices
        self._kept: dict[int, tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]] = {}
        self._keep_at_most = _CACHE_BYTES // (4 * self.size_px[0] * self.size_px[1])

    def truth(self, index: int) -> Float[np.ndarray, "height width 3"]:
        """The true frame, float32 RGB in [0, 1]."""
        return self._pair(index)[0].astype(np.float32) / 255

    def head(self, index: int) -> Float[np.ndarray, "height width"]:
        """How much of each pixel is head, 0 to 1: the matte where the label is head."""
        return self._pair(index)[1].astype(np.float32) / 255

    def plate(self, index: int) -> Float[np.ndarray, "height width 3"]:
        """What is behind the head: the true frame outside the head, torso and clean background inside."""
        torso = self.cut(self.folder.torso(index)).astype(np.float32) / 255
        background = self.cut(self.folder.background).astype(np.float32) / 255
        behind = composite(torso[..., :3], torso[..., 3], background)
        return composite(behind, self.head(index), self.truth(index))

    def landmarks_px(self, index: int) -> Float[np.ndarray, "68 2"]:
        """Tracked iBUG points in these pictures."""
        scale = self.size_px[1] / (self.crop[2] - self.crop[0])
        return (self.track.landmarks_px[index] - np.array(self.crop[:2])) * scale

    def _pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index not in self._kept:
            head = np.where(self.folder.labels(index) == _HEAD, self.folder.matte(index), 0).astype(np.uint8)
            pair = self.cut(self.folder.frame(index)), self.cut(head)
            if len(self._kept) >= self._keep_at_most:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[index] = pair
        return self._kept[index]

    def cut(self, picture: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
        """The evaluated part of a picture of the stored size, at the evaluation size (area average)."""
        left, top, right, bottom = self.crop
        height, width = picture.shape[:2]
        columns, rows = np.arange(left, right).clip(0, width - 1), np.arange(top, bottom).clip(0, height - 1)
        part = picture[rows[:, None], columns]
        if part.shape[:2] == self.size_px:
            return part
        return np.asarray(Image.fromarray(part).resize(self.size_px[::-1], Image.Resampling.BOX))
