"""What the user asks of a video, as one number or pose per frame: `--pose`, `--blink`, `--view`, `--timeline`.

Degrees and the spellings of the command line end here; behind this room there are radians, centimetres and seconds.
Anything that cannot be read raises `UserError` with what was expected.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from talkface import geometry
from talkface.errors import UserError
from talkface.types import FPS, SOURCE_CAMERA, Camera, Pose

POSE_FORMS = (
    "source, still, a video, a pose file (.csv or .json), or yaw,pitch,roll[,x,y,z] in degrees and cm, relative to the "
    "source's mean head"
)
BLINK_FORMS = "auto, none, a number from 0 to 1, a video, an OpenFace .csv, or a .csv of time,closure"
VIEW_FORMS = "yaw,pitch,roll[,distance] in degrees (distance 1 is the source's), or orbit:DEGREES"
MAX_TABLE_BYTES = 64 << 20
_POSE_COLUMNS = ("yaw", "pitch", "roll", "x", "y", "z")


@dataclass(frozen=True)
class PoseTable:
    """Poses at times, relative to the source's mean head: angles in degrees, translations in cm."""

    time_s: Float[np.ndarray, " rows"]
    values: Float[np.ndarray, "rows 6"]
    """yaw, pitch, roll, x, y, z."""

    def at(self, time_s: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames 6"]:
        """Linear between rows, held before the first and after the last."""
        columns = [np.interp(time_s, self.time_s, column) for column in self.values.T]
        return np.stack(columns, -1)


def times(frames: int) -> Float[np.ndarray, " frames"]:
    """The time of every output frame, s."""
    return np.arange(frames) / FPS


def pose_from_values(values: Float[np.ndarray, "frames 6"], mean: Pose) -> Pose:
    """Poses relative to the mean head: angles in degrees and translations in cm are added to its own.

    Relative, because a tracker's zero is not a person's: 0, 0, 0 is the head as this person usually holds it.
    """
    yaw, pitch, roll = (geometry.angles_from_rotation(mean.rotation)[0] + np.radians(values[:, :3])).T
    return Pose(geometry.rotation_from_angles(yaw, pitch, roll), mean.translation[0] + values[:, 3:])


def mean_pose(pose: Pose) -> Pose:
    """The average head of a clip: mean of the angles, median position; one frame."""
    angles = geometry.angles_from_rotation(pose.rotation).mean(0)
    return Pose(geometry.rotation_from_angles(*angles)[None], np.median(pose.translation, 0)[None])


def still_frame(pose: Pose) -> int:
    """The frame whose head is nearest the clip's average: turning by 6 degrees counts like moving by 1 cm."""
    mean = mean_pose(pose)
    turned = np.degrees(geometry.angle_between(np.broadcast_to(mean.rotation, pose.rotation.shape), pose.rotation))
    moved = np.linalg.norm(pose.translation - mean.translation, axis=-1)
    return int(np.argmin(turned / 6 + moved))


def rebase(pose: Pose, mean: Pose) -> Pose:
    """Somebody else's head motion about this person's mean head: turns and moves relative to their own mean."""
    theirs = mean_pose(pose)
    return Pose(
        mean.rotation @ np.swapaxes(theirs.rotation, -1, -2) @ pose.rotation,
        mean.translation + pose.translation - theirs.translation,
    )


def fill(values: np.ndarray, frames: int) -> np.ndarray:
    """Stretch a sequence to `frames` by playing it back and forth."""
    return values[[geometry.pingpong(i, len(values)) for i in range(frames)]]


def parse_pose(text: str) -> str | PoseTable | Path:
    """`source`, `still`, numbers (a table of one row), a pose file, or the path of a video."""
    if text in ("source", "still"):
        return text
    numbers = _numbers(text)
    if numbers is not None:
        if len(numbers) not in (3, 6):
            raise UserError(f"--pose {text} has {len(numbers)} numbers; it may be {POSE_FORMS}")
        _check_angles(numbers[:3], "--pose")
        row = np.zeros((1, 6))
        row[0, : len(numbers)] = numbers
        return PoseTable(np.zeros(1), row)
    path = Path(text)
    if path.suffix.lower() in (".csv", ".json"):
        return read_pose_file(path)
    return _existing(path, "--pose", POSE_FORMS)


def read_pose_file(path: Path) -> PoseTable:
    """A table with the columns time (s), yaw, pitch, roll (degrees) and optionally x, y, z (cm).

    All but time are relative to the mean head. JSON is a list of objects with these keys, or an object with a list
    under "poses".
    """
    rows = _json_rows(path, "poses") if path.suffix.lower() == ".json" else _csv_rows(path)
    time_s = _column(rows, "time", path)
    values = np.stack([_column(rows, name, path, default=0.0 if name in "xyz" else None) for name in _POSE_COLUMNS], -1)
    _check_times(time_s, path)
    _check_angles(values[:, :3].ravel(), str(path))
    return PoseTable(time_s, values)


def parse_blink(text: str) -> str | float | Path | tuple[np.ndarray, np.ndarray]:
    """`auto`, `none`, `audio`, a closure, a video's path, or (times s, closures) from a table."""
    if text in ("auto", "none", "audio"):
        return text
    numbers = _numbers(text)
    if numbers is not None:
        if len(numbers) != 1 or not 0 <= numbers[0] <= 1:
            raise UserError(f"--blink {text} is not between 0 (open) and 1 (shut); it may be {BLINK_FORMS}")
        return numbers[0]
    path = Path(text)
    if path.suffix.lower() != ".csv":
        return _existing(path, "--blink", BLINK_FORMS)
    rows = _csv_rows(path)
    if rows and "AU45_r" in rows[0]:
        from talkface.face.eyes import read_openface

        time_s, closure = read_openface(path)
        known = np.isfinite(closure)
        if not known.any():
            raise UserError(f"{path} found no face in any frame")
        return time_s[known], closure[known]
    time_s, closure = _column(rows, "time", path), _column(rows, "closure", path)
    _check_times(time_s, path)
    if closure.min() < 0 or closure.max() > 1:
        raise UserError(f"{path}: closure must lie between 0 (open) and 1 (shut)")
    return time_s, closure


def view(
    text: str | None, frames: int, camera: Camera, centre: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "frames 4 4"]:
    """World from camera of every frame: the source camera moved about the head's centre (world, cm).

    `orbit:DEG` swings to +DEG and back to -DEG of yaw once in 8 s.
    """
    if text is None:
        return np.broadcast_to(SOURCE_CAMERA, (frames, 4, 4))
    if text.startswith("orbit:"):
        swing = _numbers(text.removeprefix("orbit:"))
        if swing is None or len(swing) != 1 or not 0 < abs(swing[0]) <= 90:
            raise UserError(f"--view {text}: the swing must be up to 90 degrees; it may be {VIEW_FORMS}")
        rows = np.zeros((frames, 4))
        rows[:, 0] = swing[0] * np.sin(2 * math.pi * times(frames) / 8)
        rows[:, 3] = 1
        return view_from_values(rows, camera, centre)
    numbers = _numbers(text)
    if numbers is None or len(numbers) not in (3, 4):
        raise UserError(f"--view {text} cannot be read; it may be {VIEW_FORMS}")
    row = np.array([*numbers, 1.0][:4])
    _check_view(row[None], "--view")
    return view_from_values(np.repeat(row[None], frames, 0), camera, centre)


def view_from_values(
    values: Float[np.ndarray, "frames 4"], camera: Camera, centre: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "frames 4 4"]:
    """Cameras from yaw, pitch, roll in degrees and relative distance."""
    moved = []
    for yaw, pitch, roll, distance in values:
        turn = geometry.orbit(camera, centre, math.radians(yaw), math.radians(pitch), math.radians(roll), distance)
        moved.append(turn.world_from_camera)
    return np.stack(moved)


@dataclass(frozen=True)
class Timeline:
    """Keyframed controls. Between keys values run smoothly (a cubic without overshoot); outside they are held."""

    keys: dict[str, tuple[np.ndarray, np.ndarray]]
    """"pose" [rows, 6], "blink" [rows, 1], "view" [rows, 4]: each with its times in s."""

    def values(self, name: str, frames: int) -> np.ndarray | None:
        """One row per frame, or None where the timeline does not speak of `name`."""
        if name not in self.keys:
            return None
        from scipy.interpolate import PchipInterpolator

        time_s, rows = self.keys[name]
        if len(time_s) == 1:
            return np.repeat(rows, frames, 0)
        return PchipInterpolator(time_s, rows)(np.clip(times(frames), time_s[0], time_s[-1]))


def read_timeline(path: Path) -> Timeline:
    """A JSON file ``{"keyframes": [{"time": 0, "pose": [0, 0, 0], "blink": 0, "view": [0, 0, 0]}, ...]}``.

    Every key but `time` is optional in each keyframe; `pose` takes 3 or 6 numbers, `view` 3 or 4.
    """
    rows = _json_rows(path, "keyframes")
    defaults = {"pose": [0.0] * 6, "blink": [0.0], "view": [0.0, 0.0, 0.0, 1.0]}
    least = {"pose": 3, "blink": 1, "view": 3}
    found: dict[str, list[tuple[float, list[float]]]] = {}
    for row in rows:
        unknown = sorted(set(row) - {"time", *defaults})
        if unknown:
            raise UserError(f"{path}: a keyframe has {unknown[0]!r}; it may have time, pose, blink and view")
        for name in set(row) & set(defaults):
            given = row[name] if isinstance(row[name], list) else [row[name]]
            whole = defaults[name]
            if not least[name] <= len(given) <= len(whole) or not all(_is_number(v) for v in [*given, row.get("time")]):
                raise UserError(
                    f"{path}: {name} at time {row.get('time')} should be {least[name]} to {len(whole)} numbers"
                )
            found.setdefault(name, []).append((float(row["time"]), [*map(float, given), *whole[len(given) :]]))
    if not found:
        raise UserError(f"{path} holds no keyframes for pose, blink or view")
    keys = {}
    for name, entries in found.items():
        time_s = np.array([t for t, _ in entries])
        values = np.array([v for _, v in entries])
        _check_times(time_s, path)
        if name == "pose":
            _check_angles(values[:, :3].ravel(), str(path))
        if name == "view":
            _check_view(values, str(path))
        if name == "blink" and (values.min() < 0 or values.max() > 1):
            raise UserError(f"{path}: blink must lie between 0 (open) and 1 (shut)")
        keys[name] = (time_s, values)
    return Timeline(keys)


def _numbers(text: str) -> list[float] | None:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _existing(path: Path, option: str, forms: str) -> Path:
    if not path.exists():
        raise UserError(f"{option} {path}: no such file; it may be {forms}")
    return path


def _check_angles(degrees: Any, where: str) -> None:
    if np.abs(np.asarray(degrees)).max() > 90:
        raise UserError(f"{where}: angles are degrees between -90 and 90")


def _check_view(values: np.ndarray, where: str) -> None:
    _check_angles(values[:, :3].ravel(), where)
    if values[:, 3].min() < 0.3 or values[:, 3].max() > 4:
        raise UserError(f"{where}: distance is relative to the source camera's, from 0.3 to 4")


def _check_times(time_s: np.ndarray, path: Path) -> None:
    if len(time_s) == 0 or np.any(np.diff(time_s) <= 0):
        raise UserError(f"{path}: times must be seconds that grow from row to row")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise UserError(f"{path} is larger than {MAX_TABLE_BYTES >> 20} MB; is it really a table?")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file") from error


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(_read_text(path).splitlines(), skipinitialspace=True))
    if not rows:
        raise UserError(f"{path} has no rows; the first line names the columns")
    return rows


def _json_rows(path: Path, key: str) -> list[dict[str, Any]]:
    try:
        values = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON") from error
    rows = values.get(key) if isinstance(values, dict) else values
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} should hold a list of objects under {key!r}")
    return rows


def _column(rows: list[dict[str, Any]], name: str, path: Path, default: float | None = None) -> np.ndarray:
    try:
        values = np.array([float(row.get(name, default)) for row in rows])  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: column {name!r} is missing or holds something that is not a number") from error
    if not np.isfinite(values).all():
        raise UserError(f"{path}: column {name!r} holds something that is not a number")
    return values
