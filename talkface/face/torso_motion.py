"""Gathering a torso model from a processed clip: which frames become key plates, and how the torso moves."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8

from talkface.errors import UserError
from talkface.face.fill import fill
from talkface.face.regions import HEAD, NECK, TORSO
from talkface.face.solid import CHIN, JAW_LEFT, JAW_RIGHT
from talkface.geometry import angle_between, project, to_world
from talkface.progress import track_progress
from talkface.types import Track

_WORK_PX = 256
_CELLS = 48
"""Cells of the motion grid along the longer side of the picture."""
_STEADY_FRAMES = 0.6
_REACH_CM = (3.0, 9.0)


@runtime_checkable
class _Manifest(Protocol):
    @property
    def clips(self) -> Any:
        """(start, stop) ranges."""


@runtime_checkable
class TorsoSource(Protocol):
    """The part of a processed folder that a torso model is made from (`io.store.PersonFolder` offers it)."""

    @property
    def track(self) -> Track:
        """Head poses and the camera."""

    @property
    def manifest(self) -> _Manifest:
        """`clips` are (start, stop) ranges of frames without a cut."""

    @property
    def train_indices(self) -> Int[np.ndarray, " train"]:
        """Valid frames that may be learned from."""

    def frame(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """RGB."""

    def labels(self, index: int) -> UInt8[np.ndarray, "height width"]:
        """0 background, 1 head, 2 neck, 3 torso."""

    def torso(self, index: int) -> UInt8[np.ndarray, "height width 4"]:
        """Torso plate, straight RGBA."""


def gather(folder: TorsoSource) -> dict[str, np.ndarray]:
    """The arrays of a `TorsoModel`: one key plate per clip, motion of every valid frame by dense optical flow.

    Raises:
        UserError: the folder has no training frame.
    """
    from scipy.ndimage import gaussian_filter1d

    track, train = folder.track, folder.train_indices
    if len(train) == 0:
        raise UserError("no valid training frame to take the torso from; record a clip with the face in view")
    clips = [(int(start), int(stop)) for start, stop in folder.manifest.clips]
    keys = [_key(folder, inside) for a, b in clips if len(inside := train[(train >= a) & (train < b)])]
    height, width = track.camera.size_px
    cell = max(height, width) / _CELLS
    cells = (max(2, round(height / cell)), max(2, round(width / cell)))
    motion = np.zeros((len(track), 2, *cells), np.float32)
    key_of_frame = np.zeros(len(track), np.int64)
    flow = _Flow((height, width))
    views = [flow.view(folder.frame(k), folder.labels(k)) for k in keys]
    for start, stop in clips:
        inside_keys = [number for number, key in enumerate(keys) if start <= key < stop]
        for index in track_progress(range(start, stop), "torso"):
            number = inside_keys[0] if inside_keys else _nearest(track, keys, index)
            key_of_frame[index] = number
            if track.valid[index]:
                view = flow.view(folder.frame(index), folder.labels(index))
                motion[index] = flow.between(view, views[number], cells)
        _bridge(motion[start:stop], track.valid[start:stop])
        motion[start:stop] = gaussian_filter1d(motion[start:stop], _STEADY_FRAMES, axis=0, mode="nearest")
    camera = track.camera
    return {
        "plates": np.stack([folder.torso(k) for k in keys]),
        "key_of_frame": key_of_frame,
        "motion": motion.astype(np.float16),
        "rotation": track.pose.rotation.astype(np.float32),
        "translation": track.pose.translation.astype(np.float32),
        "usable": np.asarray(train, np.int64),
        "camera": np.array([camera.focal_px, *camera.center_px], np.float32),
        "neck": _neck(folder, keys[:12]),
    }


class _Flow:
    """Backward motion of neck and torso between two frames, on a coarse grid, without the head's own."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._scale = min(1.0, _WORK_PX / min(size_px))
        self._size = (round(size_px[1] * self._scale), round(size_px[0] * self._scale))
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def view(self, frame: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Small grey picture and where neck or torso is surely seen."""
        import cv2

        grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), self._size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(labels, self._size, interpolation=cv2.INTER_NEAREST)
        body = ((small == NECK) | (small == TORSO)).astype(np.uint8)
        near_head = cv2.dilate((small == HEAD).astype(np.uint8), np.ones((5, 5), np.uint8))
        return grey, (cv2.erode(body, np.ones((3, 3), np.uint8)) > 0) & (near_head == 0)

    def between(
        self, here: tuple[np.ndarray, np.ndarray], there: tuple[np.ndarray, np.ndarray], cells: tuple[int, int]
    ) -> Float[np.ndarray, "2 rows columns"]:
        """Where `here`'s pixels lie in `there`, as offsets in px of the full picture."""
        import cv2

        flow = self._dis.calc(here[0], there[0], np.zeros((*here[0].shape, 2), np.float32))
        y, x = np.mgrid[: here[0].shape[0], : here[0].shape[1]].astype(np.float32)
        arrives = cv2.remap(there[1].astype(np.uint8), x + flow[..., 0], y + flow[..., 1], cv2.INTER_NEAREST) > 0
        known = here[1] & arrives
        size = (cells[1], cells[0])
        weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        total = cv2.resize(np.where(known[..., None], flow, 0), size, interpolation=cv2.INTER_AREA)
        mean = total / np.maximum(weight, 1e-6)[..., None]
        return fill(mean, weight > 0.1).transpose(2, 0, 1) / self._scale


def _key(folder: TorsoSource, indices: np.ndarray) -> int:
    """Among the frames with a middling head pose, whose neck is bent little on the way to others, the barest neck."""
    pose = folder.track.pose
    some = indices[np.linspace(0, len(indices) - 1, min(len(indices), 64)).astype(int)]
    turn = np.degrees(angle_between(pose.rotation[some][:, None], pose.rotation[some][None]))
    shift = np.linalg.norm(pose.translation[some][:, None] - pose.translation[some][None], axis=-1)
    middling = some[np.argsort((turn + 5 * shift).sum(1))[: max(1, len(some) // 4)]]
    return int(max(middling, key=lambda index: int(np.sum(folder.labels(int(index)) == NECK))))


def _nearest(track: Track, keys: list[int], index: int) -> int:
    shift = np.linalg.norm(track.pose.translation[keys] - track.pose.translation[index], axis=-1)
    return int(np.argmin(shift))


def _bridge(motion: np.ndarray, valid: np.ndarray) -> None:
    """Straight lines over frames without motion, in place."""
    known, missing = np.flatnonzero(valid), np.flatnonzero(~valid)
    if len(known) and len(missing):
        flat = motion.reshape(len(motion), -1)
        for column in range(flat.shape[1]):
            flat[missing, column] = np.interp(missing, known, flat[known, column])


def _neck(folder: TorsoSource, keys: list[int]) -> Float[np.ndarray, 3]:
    """Chin height, distance from chin to collar where the neck's skin ends, and face width, cm."""
    track = folder.track
    landmarks = np.nanmedian(track.landmarks, 0)
    width_cm = float(np.linalg.norm(landmarks[JAW_LEFT] - landmarks[JAW_RIGHT]))
    reaches = []
    for key in keys:
        line = landmarks[CHIN] + np.array([[0.0, -d, 0.0] for d in np.arange(0, 12, 0.25)])
        pixels = project(to_world(line[None], track.pose[key : key + 1])[0], track.camera)
        x, y = np.floor(pixels).astype(int).T
        labels = folder.labels(key)
        inside = (x >= 0) & (y >= 0) & (x < labels.shape[1]) & (y < labels.shape[0])
        reaches.append(0.25 * np.sum(labels[y[inside], x[inside]] == NECK))
    reach_cm = np.clip(np.median(reaches), *_REACH_CM)
    return np.array([landmarks[CHIN][1], reach_cm, width_cm], np.float32)


__all__ = ["TorsoSource", "gather"]
