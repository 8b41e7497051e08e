"""Eyes over time: lid closure, blink events, AU45, gaze, and OpenFace tables. tracking.md §5.

AU45 (0 to 5) exists only in this file, where tables are made of closure and back; everywhere else closure is 0 open,
1 shut.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float

from talkface.errors import UserError
from talkface.face.openface import read_table

_RIGHT = (((160, 144), (159, 145), (158, 153)), (33, 133))
_LEFT = (((385, 380), (386, 374), (387, 373)), (362, 263))
_LOCAL_FRAMES_25 = 60
_ON, _OFF, _MERGE_FRAMES_25 = 0.5, 0.35, 3
_EYEBALL_RADIUS_CM = 1.03
_GAZE_HELD_OVER = 0.2
_DIP, _LEAST_DIPS = 0.75, 3
_AU45_MAX = 5.0


def lid_opening(points_px: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames 2"]:
    """Mean gap between the lids over the eye's width, subject's right and left eye; about 0.3 open. NaN stays NaN."""
    flat = points_px[..., :2]

    def distance(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(flat[:, a] - flat[:, b], axis=-1)

    eyes = [np.mean([distance(*pair) for pair in lids], 0) / distance(*corners) for lids, corners in (_RIGHT, _LEFT)]
    return np.stack(eyes, -1)


def lid_closure(opening: Float[np.ndarray, "frames 2"], fps: float = 25.0) -> Float[np.ndarray, "frames 2"]:
    """Closure, 0 open to 1 shut, of each eye from its opening; unsmoothed, NaN where unknown.

    Open is the 85th percentile within 60 frames (2.4 s) either side, at least 0.75 of the clip's; shut is the clip's
    1st percentile or 0.3 of the median open level, whichever is less (so a clip without a blink gets none), at least
    0.03 (tracking.md section 5). A detector that never sees somebody's lids meet (dark or heavy lids, small pictures)
    would leave them without blinks, so where a clip has at least three dips of a blink's form and their median
    lies above 0.3, that median is shut (ours). Below 0.1 counts as open.
    """
    closure = np.full(opening.shape, np.nan)
    half = max(1, round(_LOCAL_FRAMES_25 * fps / 25))
    for eye in range(opening.shape[1]):
        values = opening[:, eye]
        known = np.isfinite(values)
        if not known.any():
            continue
        whole = np.percentile(values[known], 85)
        local = np.maximum(_moving_percentile(values, half, 85.0), 0.75 * whole)
        usual = float(np.median(local))
        shut = max(min(np.percentile(values[known], 1), 0.3 * usual), 0.03)
        dips = _dips(values / local, fps)
        if len(dips) >= _LEAST_DIPS and np.median(dips) > 0.3:
            shut = float(np.median(dips)) * usual
        raw = np.clip((local - values) / np.maximum(local - shut, 1e-6), 0, 1)
        closure[:, eye] = np.where(raw < 0.1, 0.0, raw)
        closure[~known, eye] = np.nan
    return closure


def _dips(relative: Float[np.ndarray, " frames"], fps: float) -> list[float]:
    """Depths (share of the open level) of dips that look like blinks: below 0.75 for at most 0.4 s, open around it."""
    low = np.nan_to_num(relative, nan=1.0) < _DIP
    edges = np.flatnonzero(np.diff(np.concatenate([[0], low.astype(np.int8), [0]])))
    around = max(2, round(0.16 * fps))
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        before, after = relative[max(0, start - around) : start], relative[stop : stop + around]
        brief = stop - start <= max(1, round(0.4 * fps))
        if brief and len(before) and len(after) and np.nanmax(before) > 0.9 and np.nanmax(after) > 0.9:
            found.append(float(np.nanmin(relative[start:stop])))
    return found


def _moving_percentile(values: np.ndarray, half: int, percent: float) -> np.ndarray:
    padded = np.pad(values, half, constant_values=np.nan)
    result = np.empty(len(values))
    for first in range(0, len(values), 2048):
        stop = min(first + 2048, len(values))
        windows = np.lib.stride_tricks.sliding_window_view(padded[first : stop + 2 * half], 2 * half + 1)
        empty = np.isnan(windows).all(1)
        result[first:stop] = np.nanpercentile(np.where(empty[:, None], 0.0, windows), percent, axis=1)
        result[first:stop][empty] = np.nan
    known = np.isfinite(result)
    return np.interp(np.arange(len(values)), np.flatnonzero(known), result[known])


def blink_events(closure: Float[np.ndarray, " frames"], fps: float = 25.0) -> list[tuple[int, int]]:
    """Blinks as (first frame, frame after the last): on at 0.5, off at 0.35, merged over pauses of up to 3 frames."""
    events: list[tuple[int, int]] = []
    first = None
    for index, value in enumerate(np.nan_to_num(closure, nan=0.0)):
        if first is None and value >= _ON:
            first = index
        elif first is not None and value < _OFF:
            events.append((first, index))
            first = None
    if first is not None:
        events.append((first, len(closure)))
    merged: list[tuple[int, int]] = []
    pause = _MERGE_FRAMES_25 * fps / 25
    for start, stop in events:
        if merged and start - merged[-1][1] <= pause:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return merged


def event_f1(truth: list[tuple[int, int]], found: list[tuple[int, int]], slack_frames: int = 2) -> float:
    """F1 of events, matched one to one when they overlap within `slack_frames`; 1 when both are empty."""
    if not truth and not found:
        return 1.0
    left = list(found)
    hits = 0
    for start, stop in truth:
        match = next((e for e in left if e[0] < stop + slack_frames and start < e[1] + slack_frames), None)
        if match is not None:
            left.remove(match)
            hits += 1
    return 2 * hits / (len(truth) + len(found))


def gaze_angles(
    iris_px: Float[np.ndarray, "frames 2 2"],
    eyeballs: Float[np.ndarray, "2 3"],
    rotation: Float[np.ndarray, "frames 3 3"],
    translation: Float[np.ndarray, "frames 3"],
    focal_px: float,
    center_px: tuple[float, float],
    closure: Float[np.ndarray, "frames 2"],
) -> Float[np.ndarray, "frames 2"]:
    """Gaze yaw and pitch in the head frame, radians, mean of both eyes; held while the lids are lowered.

    The ray through each iris centre meets a sphere of 1.03 cm about the eyeball's centre. The two eyes differ by a
    constant (kappa angle and detector bias), which the mean carries: differences over time mean more than level.

    Args:
        iris_px: Iris centres, subject's right and left.
        eyeballs: Eyeball centres in the head frame, cm.
        rotation, translation: World from head.
    """
    ray = np.concatenate([(iris_px - np.asarray(center_px)) / focal_px, np.ones((*iris_px.shape[:2], 1))], -1)
    ray = ray * (1.0, -1.0, -1.0)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    centre = eyeballs @ np.swapaxes(rotation, 1, 2) + translation[:, None]
    along = (ray * centre).sum(-1)
    beside = (centre**2).sum(-1) - along**2
    depth = along - np.sqrt(np.maximum(_EYEBALL_RADIUS_CM**2 - beside, 0.0))
    look = np.einsum("fyx,fey->fex", rotation, ray * depth[..., None] - centre)
    look /= np.linalg.norm(look, axis=-1, keepdims=True)
    yaw = np.arctan2(look[..., 0], look[..., 2])
    pitch = np.arcsin(np.clip(look[..., 1], -1, 1))
    angles = np.stack([yaw, pitch], -1).mean(1)
    known = np.isfinite(angles).all(-1)
    steady = known & (np.nan_to_num(closure, nan=1.0).max(-1) <= _GAZE_HELD_OVER)
    if not steady.any():
        steady = known
    if steady.any():
        last = np.maximum.accumulate(np.where(steady, np.arange(len(steady)), -1))
        last = np.where(last < 0, np.flatnonzero(steady)[0], last)
        angles = angles[last]
    angles[~known] = np.nan
    return angles


def read_openface(path: Path) -> tuple[Float[np.ndarray, " frames"], Float[np.ndarray, " frames"]]:
    """Times in seconds and closure 0 to 1 from an OpenFace table (its AU45_r, 0 to 5); NaN where it failed.

    Headers may begin with spaces, as OpenFace writes them. Without a timestamp column 25 frames per second are meant.

    Raises:
        UserError: not a readable table, or no AU45_r column.
    """
    times, found = read_table(path, "AU45_r")
    if "AU45_r" not in found:
        raise UserError(f"{path} has no column AU45_r; write it with OpenFace's FeatureExtraction -aus")
    return times, np.clip(found["AU45_r"] / _AU45_MAX, 0, 1)


def write_openface(
    path: Path, closure: Float[np.ndarray, " frames"], fps: float = 25.0, confidence: float = 0.98
) -> None:
    """Write closure as OpenFace would: frame, timestamp, confidence, success, AU45_r (0 to 5), AU45_c (0 or 1)."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", newline="", encoding="utf-8") as file:
        file.write("frame, face_id, timestamp, confidence, success, AU45_r, AU45_c\n")
        for index, value in enumerate(closure):
            known = bool(np.isfinite(value))
            level = _AU45_MAX * float(value) if known else 0.0
            sure = confidence if known else 0.0
            shut = int(known and value >= _ON)
            file.write(f"{index + 1}, 0, {index / fps:.4f}, {sure:.2f}, {int(known)}, {level:.3f}, {shut}\n")
    beside.replace(path)
