"""Face tracks as SyncNet's published pipeline makes them, frame by frame and in constant memory.

The pipeline (joonson/syncnet_python, run_pipeline.py): boxes of consecutive detections that overlap by more than half
and are at most 25 frames apart form a track; missing boxes are interpolated; centre and size are smoothed by a median
of 13 frames whose ends are filled with zeros. Three things differ here, and are said wherever the scores are printed:
the box is that of the 478 mesh points instead of S3FD's, one face is followed instead of several, and a cut is a box
that jumps instead of a scene detector's word.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

OVERLAP = 0.5
"""Least intersection over union of consecutive boxes."""
GAP_FRAMES = 25
"""Most frames from one detection to the next."""
_REACH = 6
"""Frames to either side under the median."""
_OUTER_EYES = (33, 263)
_LIPS = (61, 291, 0, 17)


@dataclass(frozen=True)
class Place:
    """Where a face is in its picture, px (corner convention)."""

    box: Float[np.ndarray, "3"]
    """Centre x and y, and half of the longer side."""
    mouth: Float[np.ndarray, "4"]
    """Centre x and y, distance between the outer eye corners, and roll of the eye line in radians."""


@dataclass(frozen=True)
class Sighting:
    """One frame of a track, smoothed."""

    track: int
    """Number of the track; a new number means that the one before has ended."""
    frame: int
    detected: bool
    """False where the place was interpolated."""
    size_px: float
    """Longer side of the box before smoothing."""
    picture: UInt8[np.ndarray, "height width 3"]
    place: Place


@dataclass(frozen=True)
class _Waiting:
    frame: int
    detected: bool
    picture: np.ndarray
    raw: np.ndarray


class FaceTracks:
    """Tracks the one face of a video; call `add` for every frame, then `finish`. Holds at most 32 pictures."""

    def __init__(self) -> None:
        self._next = 0
        self._track = 0
        self._gap: list[np.ndarray] = []
        self._last: np.ndarray | None = None
        self._before: deque[np.ndarray] = deque(maxlen=_REACH)
        self._waiting: deque[_Waiting] = deque()

    def add(
        self, picture: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "478 3"] | None
    ) -> list[Sighting]:
        """The next frame with its mesh (None or NaN without a face); returns the frames whose place is now final."""
        frame, self._next = self._next, self._next + 1
        if points is None or not np.isfinite(points).all():
            if self._last is None:
                return []
            self._gap.append(picture)
            return self.finish() if len(self._gap) >= GAP_FRAMES else []
        raw = _place_of(points)
        ended = [] if self._last is None or _overlap(self._last, raw) > OVERLAP else self.finish()
        if self._last is None:
            self._before.extend([np.zeros(len(raw))] * _REACH)
            self._last = raw
        count = len(self._gap) + 1
        for step, missed in enumerate(self._gap, start=1):
            between = self._last + (raw - self._last) * step / count
            self._waiting.append(_Waiting(frame - count + step, False, missed, between))
        self._gap, self._last = [], raw
        self._waiting.append(_Waiting(frame, True, picture, raw))
        return ended + self._ready(_REACH)

    def finish(self) -> list[Sighting]:
        """End the track; returns its last frames. A face that is seen afterwards begins a new one."""
        if self._last is None:
            return []
        found = self._ready(0)
        self._before.clear()
        self._gap, self._last = [], None
        self._track += 1
        return found

    def _ready(self, wait: int) -> list[Sighting]:
        found = []
        while len(self._waiting) > wait:
            after = [one.raw for one in list(self._waiting)[: _REACH + 1]]
            after += [np.zeros(len(after[0]))] * (_REACH + 1 - len(after))
            smooth = np.median([*self._before, *after], axis=0)
            one = self._waiting.popleft()
            self._before.append(one.raw)
            place = Place(smooth[:3], smooth[4:])
            found.append(Sighting(self._track, one.frame, one.detected, float(one.raw[3]), one.picture, place))
        return found


def _place_of(points: np.ndarray) -> np.ndarray:
    """Box centre, half size, size; mouth centre, eye span, roll."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    size = (high - low).max()
    across = points[_OUTER_EYES[1]] - points[_OUTER_EYES[0]]
    mouth = points[list(_LIPS), :2].mean(0)
    return np.array(
        [*(low + high) / 2, size / 2, size, *mouth, np.linalg.norm(across), np.arctan2(across[1], across[0])]
    )


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of the squares around two places."""
    sides = np.minimum(one[:2] + one[2], other[:2] + other[2]) - np.maximum(one[:2] - one[2], other[:2] - other[2])
    inside = float(np.prod(np.maximum(sides, 0)))
    return inside / (4 * float(one[2] ** 2 + other[2] ** 2) - inside)
