"""A `Track` on disk: one npz of plain arrays, read without pickle and only after its sizes were checked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from talkface.errors import UserError
from talkface.io.whole import write_whole
from talkface.types import Camera, Pose, Track

_MAX_BYTES_PER_FRAME = 1 << 18
_MAX_BYTES = 1 << 26


def write_track(path: Path, track: Track) -> None:
    """Write a track, whole; floats keep 32 bits (a micrometre, a thousandth of a pixel), the camera 64.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    arrays: dict[str, np.ndarray] = {
        "fps": np.array(track.fps),
        "focal_px": np.array(track.camera.focal_px),
        "center_px": np.array(track.camera.center_px, float),
        "size_px": np.array(track.camera.size_px, np.int64),
        "world_from_camera": np.asarray(track.camera.world_from_camera, float),
        "rotation": np.asarray(track.pose.rotation, float),
        "translation": np.asarray(track.pose.translation, float),
        "expression_names": np.array(track.expression_names, np.str_),
        "face_model": np.array(track.face_model),
        "valid": np.asarray(track.valid, bool),
        "reason": np.array(track.reason, np.str_),
    }
    for name in _SINGLE:
        arrays[name] = np.asarray(getattr(track, name), np.float32)
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def read_track(path: Path, frames: int) -> Track:
    """Read a track of `frames` frames.

    Raises:
        UserError: absent, broken, of another length, or larger than a track can be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MAX_BYTES + frames * _MAX_BYTES_PER_FRAME:
            raise UserError(f"{path} would unpack to {size >> 20} MB, far more than a track of {frames} frames is")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _NAMES}
        for name in set(_SINGLE) - {"points_px"}:  # the mesh stays small: it is nine tenths of a track
            arrays[name] = arrays[name].astype(np.float64)
        return _track(arrays, frames)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; preprocess the video again") from error
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zipfile.error) as error:
        raise UserError(f"{path} is broken ({str(error)[:120]}); preprocess the video again") from error


_SINGLE = ("points_px", "landmarks_px", "landmarks", "closure", "gaze", "identity", "expression", "residual")
_NAMES = (
    "fps", "focal_px", "center_px", "size_px", "world_from_camera", "rotation", "translation", "expression_names",
    "face_model", "valid", "reason", *_SINGLE,
)  # fmt: skip


def _track(arrays: dict[str, np.ndarray], frames: int) -> Track:
    count = arrays["expression_names"].size
    shapes: dict[str, tuple[int, ...]] = {
        "fps": (), "focal_px": (), "center_px": (2,), "size_px": (2,), "world_from_camera": (4, 4), "face_model": (),
        "rotation": (frames, 3, 3), "translation": (frames, 3), "points_px": (frames, 478, 3),
        "landmarks_px": (frames, 68, 2), "landmarks": (frames, 68, 3), "closure": (frames, 2), "gaze": (frames, 2),
        "expression_names": (count,), "expression": (frames, count), "residual": (frames,), "valid": (frames,),
        "reason": (frames,),
    }  # fmt: skip
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape}")
    for name in ("fps", "focal_px", "center_px", "world_from_camera", "rotation", "translation"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")
    height, width = (int(side) for side in arrays["size_px"])
    x, y = (float(c) for c in arrays["center_px"])
    camera = Camera(float(arrays["focal_px"]), (x, y), (height, width), arrays["world_from_camera"])
    return Track(
        fps=float(arrays["fps"]),
        camera=camera,
        pose=Pose(arrays["rotation"], arrays["translation"]),
        points_px=arrays["points_px"],
        landmarks_px=arrays["landmarks_px"],
        landmarks=arrays["landmarks"],
        closure=arrays["closure"],
        gaze=arrays["gaze"],
        identity=arrays["identity"],
        expression=arrays["expression"],
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        face_model=str(arrays["face_model"]),
        residual=arrays["residual"],
        valid=arrays["valid"].astype(bool),
        reason=tuple(str(reason) for reason in arrays["reason"]),
    )
