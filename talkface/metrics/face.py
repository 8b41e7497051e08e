"""How well rendered eyes and head follow the commanded ones: blinks, AU45, head position and pose, jitter.

Closure is 0 open to 1 shut; NaN where there is no face. Sequences run over consecutive frames. Blink events are those
of `face.eyes`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from talkface.face.eyes import blink_events, event_f1
from talkface.geometry import angle_between, vector_from_rotation
from talkface.metrics.expression import FittedFace
from talkface.metrics.lips import correlation
from talkface.metrics.rows import measured
from talkface.types import Pose, Score

BLINK_TOLERANCE_FRAMES = 2
"""How far apart two blinks may be and still be the same one: 80 ms, a third of a blink (our choice)."""
STABLE = np.array([27, 28, 29, 30, 36, 39, 42, 45])
"""iBUG points that speech and blinks hardly move: nose bridge and eye corners."""


def blink_f1(rendered: Float[np.ndarray, " frames"], true: Float[np.ndarray, " frames"], fps: float = 25.0) -> float:
    """F1 of blink events, matched one to one where they overlap within `BLINK_TOLERANCE_FRAMES`.

    NaN where the truth has no blink and none was rendered (nothing to judge); 0 where one was invented.
    """
    found, wanted = blink_events(rendered, fps), blink_events(true, fps)
    return event_f1(wanted, found, BLINK_TOLERANCE_FRAMES) if found or wanted else float("nan")


def blink_rate(closure: Float[np.ndarray, " frames"], fps: float) -> float:
    """Blinks per minute of the frames that have a face; NaN where none has."""
    seen = int(np.isfinite(closure).sum())
    return len(blink_events(closure, fps)) * 60 * fps / seen if seen else float("nan")


def au45_correlation(rendered: Float[np.ndarray, " frames"], true: Float[np.ndarray, " frames"]) -> float:
    """Pearson correlation of lid closure; the same as that of AU45, which is 5 x closure."""
    return correlation(rendered, true)


def head_shift(
    rendered: Float[np.ndarray, "frames 68 2"], true: Float[np.ndarray, "frames 68 2"]
) -> Float[np.ndarray, " frames"]:
    """How far the stable points as a whole stand from where they should, px, per frame."""
    return np.linalg.norm((rendered[:, STABLE] - true[:, STABLE]).mean(1), axis=-1)


def head_turn(
    rendered: Float[np.ndarray, "frames points 3"], true: Float[np.ndarray, "frames points 3"]
) -> Float[np.ndarray, " frames"]:
    """Angle of the rotation that best takes the true mesh to the rendered one, radians, per frame; NaN without a face.

    Kabsch on the same detector's points in both pictures; scale and place are taken out first.
    """
    angles = np.full(len(true), np.nan)
    seen = np.isfinite(rendered).all((1, 2)) & np.isfinite(true).all((1, 2))
    if not seen.any():
        return angles
    a = true[seen] - true[seen].mean(1, keepdims=True)
    b = rendered[seen] - rendered[seen].mean(1, keepdims=True)
    u, _, vt = np.linalg.svd(np.swapaxes(b, 1, 2) @ a)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    angles[seen] = np.arccos(np.clip((np.trace(u @ vt, axis1=1, axis2=2) - 1) / 2, -1, 1))
    return angles


def jitter(landmarks: Float[np.ndarray, "frames 68 2"]) -> float:
    """Shake of the head: root mean square second difference of the stable points' centre, px; NaN under three frames.

    Compare with the truth's: what is above it was added by the renderer.
    """
    centre = landmarks[:, STABLE].mean(1)
    second = centre[2:] - 2 * centre[1:-1] + centre[:-2]
    square = (second**2).sum(-1)
    square = square[np.isfinite(square)]
    return float(np.sqrt(square.mean())) if len(square) else float("nan")


def pose_error(rendered: Pose, true: Pose) -> tuple[Float[np.ndarray, " frames"], Float[np.ndarray, " frames"]]:
    """How far two heads stand apart, per frame: angle of the turn between them, radians, and distance, cm."""
    distance = np.linalg.norm(rendered.translation - true.translation, axis=-1)
    return angle_between(true.rotation, rendered.rotation), distance


def unsteadiness(pose: Pose, seen: Bool[np.ndarray, " frames"]) -> float:
    """Shake of the head's rotation: root mean square second difference, radians per frame².

    Only over three consecutive frames that were seen; NaN without any. The truth's own is the measure: speech moves
    heads, and what is above the truth's was added.
    """
    turn = vector_from_rotation(pose.rotation[1:] @ np.swapaxes(pose.rotation[:-1], 1, 2))
    second = np.diff(turn, axis=0)[seen[2:] & seen[1:-1] & seen[:-2]]
    return float(np.sqrt((second**2).sum(-1).mean())) if len(second) else float("nan")


def pose_scores(rendered: FittedFace, true: FittedFace) -> list[Score]:
    """Pose error in degrees and mm, and unsteadiness of the rendered head in degrees and as a ratio to the truth's.

    Both must be fitted with one person and camera (`expression.fit_face(..., like=true)`), or their biases differ.
    """
    both = rendered.valid & true.valid
    angle, distance_cm = pose_error(rendered.pose, true.pose)
    shake, true_shake = unsteadiness(rendered.pose, both), unsteadiness(true.pose, both)
    found = {
        "pose_error_deg": float(np.degrees(angle[both].mean())) if both.any() else float("nan"),
        "pose_error_mm": 10 * float(distance_cm[both].mean()) if both.any() else float("nan"),
        "unsteadiness_deg": float(np.degrees(shake)),
        "unsteadiness_ratio": shake / true_shake if true_shake > 0 else float("nan"),
    }
    backend, frames = f"joint fit, {rendered.model}", int(both.sum())
    return [measured(name, value, False, frames, "head", backend) for name, value in found.items()]
