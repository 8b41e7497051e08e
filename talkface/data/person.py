"""One processed person in memory at one picture size: frames, mattes, cameras, and the rays that training draws.

The picture is a square cut from the frames that holds the head all the time; pixels are cached as bytes in a window
around the head of every frame, so that the longest clips at 512 px stay below 4 GB. Centimetres become box units
in `fields.rays`, nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from PIL import Image
from scipy.ndimage import binary_dilation
from torch import Tensor

from talkface.data.shell import face_points, head_box, silhouette_hull, surface_shell
from talkface.fields.rays import HeadBox
from talkface.geometry import head_from_camera
from talkface.progress import track_progress
from talkface.types import Camera, Track

HEAD = 1
MOUTH_POINTS = slice(48, 68)
EYE_POINTS = (slice(36, 42), slice(42, 48))


@runtime_checkable
class Folder(Protocol):
    """What is needed of a processed folder (`io.store.PersonFolder`)."""

    track: Track
    background: np.ndarray

    def frame(self, index: int) -> np.ndarray: ...
    def matte(self, index: int) -> np.ndarray: ...
    def labels(self, index: int) -> np.ndarray: ...
    def torso(self, index: int) -> np.ndarray: ...


class Picture(NamedTuple):
    """One frame at the training size, bytes."""

    colour: UInt8[np.ndarray, "height width 3"]
    plate: UInt8[np.ndarray, "height width 3"]
    """The frame without its head: exact outside the head, torso plate over background inside."""
    head: UInt8[np.ndarray, "height width"]
    """Soft mask of the head."""
    person: UInt8[np.ndarray, "height width"]
    """Soft mask of the whole person."""


class RayBatch(NamedTuple):
    """Pixels of one frame to learn from; colours in [0, 1]."""

    pixels: Float[Tensor, "rays 2"]
    colour: Float[Tensor, "3 rays"]
    plate: Float[Tensor, "3 rays"]
    head: Float[Tensor, " rays"]
    person: Float[Tensor, " rays"]


@dataclass(frozen=True)
class Shares:
    """How the rays of a step are divided; the rest falls on the head."""

    mouth: float = 0.25
    eyes: float = 0.10
    edge: float = 0.15
    """Near the outline of the head, inside and outside."""


@dataclass(frozen=True)
class Square:
    """The square of the source frames that is seen."""

    left: int
    top: int
    side: int


class PersonData:
    """A person's training frames at `size_px` (height = width), and the geometry of all frames.

    Args:
        folder: a processed folder.
        size_px: side of the training picture.
        indices: frames to hold in memory (valid training frames).
        square: reuse the square of another size; by default it is chosen here.
        box: reuse the head box likewise.
    """

    def __init__(
        self,
        folder: Any,
        size_px: int,
        indices: Int[np.ndarray, " frames"],
        square: Square | None = None,
        box: HeadBox | None = None,
    ) -> None:
        self.folder: Folder = folder
        self.size_px, self.indices = size_px, indices
        track = folder.track
        some = indices[np.linspace(0, len(indices) - 1, min(len(indices), 24)).round().astype(int)]
        self.square = square or _square(folder, some)
        whole = track.camera.cropped(self.square.left, self.square.top, (self.square.side, self.square.side))
        self.camera: Camera = whole.resized((size_px, size_px))
        self.poses: Float32[np.ndarray, "frames 4 4"] = np.stack(
            [head_from_camera(track.pose, index, self.camera) for index in range(len(track))]
        ).astype(np.float32)
        shown = [self.picture(int(index)).head for index in some]
        self._masks = [head > 127 for head in shown]
        self._mask_poses = self.poses[some]
        self.mean_landmarks = np.nanmean(track.landmarks[indices], axis=0)
        self.box = box or head_box(self._masks, self.camera, self._mask_poses, self.mean_landmarks)
        scale = size_px / self.square.side
        self.landmarks_px = (track.landmarks_px - [self.square.left, self.square.top]) * scale
        self._row = {int(index): row for row, index in enumerate(indices)}
        self._cache()

    def shell(self, cells: int) -> np.ndarray:
        """Cells of the box where the head can be, from silhouettes and landmarks; bool [cells, cells, cells]."""
        grown = max(1, round(self.size_px * 0.02))
        masks = [binary_dilation(mask, iterations=grown) for mask in self._masks]
        hull = silhouette_hull(masks, self.camera, self._mask_poses, self.box, cells)
        face = face_points(self.folder.track, self.poses, [int(index) for index in self._sampled()])
        return surface_shell(face, hull, self.box)

    def picture(self, index: int) -> Picture:
        """A whole picture of any frame of the clip, from the folder."""
        square = self.square
        cut = np.s_[square.top : square.top + square.side, square.left : square.left + square.side]
        frame, matte = self.folder.frame(index)[cut], self.folder.matte(index)[cut]
        head = np.where(self.folder.labels(index)[cut] == HEAD, matte, 0).astype(np.uint8)
        inside = head > 0
        torso = self.folder.torso(index)[cut][inside].astype(np.float32)
        opacity = torso[:, 3:] / 255
        plate = frame.copy()
        plate[inside] = torso[:, :3] * opacity + self.folder.background[cut][inside] * (1 - opacity) + 0.5
        return Picture(*(self._resize(part) for part in (frame, plate, head, matte)))

    def draw(
        self,
        index: int,
        rays: int,
        generator: torch.Generator,
        shares: Shares = Shares(),
    ) -> RayBatch:
        """Random pixels of a cached frame: mouth, eyes and outline more often than their size."""
        row = self._row[index]
        height, width = self._head.shape[1:]
        counts = [round(rays * share) for share in (shares.mouth, shares.eyes, shares.edge)]
        head = torch.from_numpy(self._head[row]).reshape(-1)
        places = [self._in_boxes(row, [self._mouth_box[row]], counts[0], generator)]
        places.append(self._in_boxes(row, list(self._eye_boxes[row]), counts[1], generator))
        edge = _choose((head > 0) & (head < 255), counts[2], generator)
        reach = max(2, round(self.size_px * 0.05))
        shift = torch.randint(-reach, reach + 1, (2, counts[2]), generator=generator)
        y = (edge // width + shift[0]).clamp(0, height - 1)
        places.append(y * width + (edge % width + shift[1]).clamp(0, width - 1))
        places.append(_choose(head > 0, rays - sum(counts), generator))
        return self._batch(row, torch.cat(places))

    def patch(self, index: int, size: int, generator: torch.Generator) -> RayBatch:
        """A square patch of `size` x `size` pixels that holds the mouth's centre, at a random shift, row by row."""
        row = self._row[index]
        height, width = self._head.shape[1:]
        left, top, right, bottom = (int(v) for v in self._mouth_box[row])
        spare_x, spare_y = abs(right - left - size) // 2 + 1, abs(bottom - top - size) // 2 + 1
        shift = torch.rand(2, generator=generator)
        x = round((left + right - size) / 2 + (float(shift[0]) * 2 - 1) * spare_x)
        y = round((top + bottom - size) / 2 + (float(shift[1]) * 2 - 1) * spare_y)
        x, y = min(max(x, 0), width - size), min(max(y, 0), height - size)
        places = (torch.arange(size) + y)[:, None] * width + torch.arange(size) + x
        return self._batch(row, places.reshape(-1))

    @property
    def window_px(self) -> tuple[int, int]:
        """Height and width of the cached window around the head."""
        return self._head.shape[1], self._head.shape[2]

    def mouth_box(self, index: int) -> Int[np.ndarray, "4"]:
        """Left, top, right, bottom of the mouth in the whole picture of any frame, px, 20 % larger than the lips."""
        return _box(self.landmarks_px[index, MOUTH_POINTS], 0.2, self.size_px)

    def _in_boxes(self, row: int, boxes: list[np.ndarray], count: int, generator: torch.Generator) -> Tensor:
        width = self._head.shape[2]
        which = torch.randint(len(boxes), (count,), generator=generator)
        low = torch.from_numpy(np.stack([box[:2] for box in boxes]))[which]
        high = torch.from_numpy(np.stack([box[2:] for box in boxes]))[which]
        place = low + (torch.rand(count, 2, generator=generator) * (high - low)).long()
        return place[:, 1] * width + place[:, 0]

    def _batch(self, row: int, places: Tensor) -> RayBatch:
        width = self._head.shape[2]
        flat = places.numpy()
        colour = torch.from_numpy(self._colour[row].reshape(-1, 3)[flat].T.astype(np.float32) / 255)
        plate = torch.from_numpy(self._plate[row].reshape(-1, 3)[flat].T.astype(np.float32) / 255)
        head = torch.from_numpy(self._head[row].reshape(-1)[flat].astype(np.float32) / 255)
        person = torch.from_numpy(self._person[row].reshape(-1)[flat].astype(np.float32) / 255)
        left, top = self._corner[row]
        pixels = torch.stack([places % width + (float(left) + 0.5), places // width + (float(top) + 0.5)], 1)
        return RayBatch(pixels.float(), colour, plate, head, person)

    def _resize(self, picture: np.ndarray) -> np.ndarray:
        if picture.shape[0] == self.size_px:
            return picture
        whole = Image.fromarray(np.ascontiguousarray(picture))
        return np.asarray(whole.resize((self.size_px, self.size_px), Image.Resampling.BOX))

    def _cache(self) -> None:
        """Windows around the head of all training frames, one size for all."""
        side = self.size_px
        centers = np.nanmean(self.landmarks_px[self.indices], axis=1)
        around = [np.argwhere(mask) for mask in self._masks if mask.any()]
        reach = np.stack([np.ptp(pixels, axis=0) for pixels in around]).max(0) if around else np.array([side, side])
        height, width = (int(min(side, np.ceil(extent * 1.3 + 4))) for extent in reach)
        middle = [np.argwhere(mask).mean(0)[::-1] for mask in self._masks if mask.any()]
        rows = [i for i, mask in enumerate(self._masks) if mask.any()]
        known = np.nanmean(self.landmarks_px[self._sampled()][rows], axis=1) if rows else centers[:1]
        shift = np.mean(np.stack(middle) - known, axis=0) if rows else np.zeros(2)
        corner = np.round(centers + shift - [width / 2, height / 2]).astype(int)
        self._corner = np.clip(corner, 0, [side - width, side - height])
        count = len(self.indices)
        self._colour = np.empty((count, height, width, 3), np.uint8)
        self._plate = np.empty((count, height, width, 3), np.uint8)
        self._head = np.empty((count, height, width), np.uint8)
        self._person = np.empty((count, height, width), np.uint8)
        for row, index in enumerate(track_progress(self.indices, f"reading frames at {side} px")):
            picture = self.picture(int(index))
            left, top = self._corner[row]
            window = np.s_[top : top + height, left : left + width]
            self._colour[row], self._plate[row] = picture.colour[window], picture.plate[window]
            self._head[row], self._person[row] = picture.head[window], picture.person[window]
        points = self.landmarks_px[self.indices] - self._corner[:, None]
        limits = (width, height)
        self._mouth_box = np.stack([_box(one[MOUTH_POINTS], 0.2, limits) for one in points])
        self._eye_boxes = np.stack([[_box(one[eye], 0.35, limits) for eye in EYE_POINTS] for one in points])

    def _sampled(self) -> np.ndarray:
        count = len(self.indices)
        return self.indices[np.linspace(0, count - 1, min(count, 24)).round().astype(int)]


def _square(folder: Folder, some: Sequence[int] | np.ndarray) -> Square:
    """The whole frame when it is square and the head large in it, else a square 1.6 heads wide about the head."""
    masks = [(folder.labels(int(index)) == HEAD) & (folder.matte(int(index)) > 127) for index in some]
    height, width = masks[0].shape
    seen = np.any(masks, axis=0)
    rows, columns = np.nonzero(seen.any(1))[0], np.nonzero(seen.any(0))[0]
    if not len(rows):
        side = min(height, width)
        return Square((width - side) // 2, (height - side) // 2, side)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    most = min(height, width)
    side = most if extent * 1.6 > 0.85 * most else int(np.ceil(extent * 1.6))
    left = int(np.clip((columns[0] + columns[-1] - side) // 2, 0, width - side))
    top = int(np.clip((rows[0] + rows[-1] - side) // 2, 0, height - side))
    return Square(left, top, side)


def _choose(mask: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Random places where a flat mask holds; anywhere if it holds nowhere."""
    choice = mask.nonzero()[:, 0]
    if not len(choice):
        return torch.randint(len(mask), (count,), generator=generator)
    return choice[torch.randint(len(choice), (count,), generator=generator)]


def _box(points: np.ndarray, margin: float, limits: int | tuple[int, int]) -> np.ndarray:
    """Left, top, right, bottom around points, grown by a share of the width, kept inside the picture."""
    limits = (limits, limits) if isinstance(limits, int) else limits
    low, high = points.min(0), points.max(0)
    grow = margin * (high[0] - low[0])
    top_left = np.clip(np.floor(low - grow), 0, np.asarray(limits) - 2)
    bottom_right = np.clip(np.ceil(high + grow), top_left + 1, limits)
    return np.concatenate([top_left, bottom_right]).astype(np.int64)
