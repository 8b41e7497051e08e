"""How good a fit is: against image motion that it did not see, against its own points, and against known truth.

The quantities of tracking.md §4 and §8; image errors are fractions of the distance between the iris centres.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from talkface.face.basis import EYES, LIPS
from talkface.face.clip import ClipFit
from talkface.face.correspondence import similarity
from talkface.face.detect import FACE_OVAL
from talkface.face.eyes import blink_events, event_f1
from talkface.face.fit import FLAT, Motion, linearise
from talkface.face.flow import Flow
from talkface.face.look import Sightings
from talkface.face.truth import Truth
from talkface.geometry import rotation_from_vector, vector_from_rotation

WITNESS_POINTS: tuple[int, ...] = (
    122, 351, 196, 419, 3, 248, 174, 399, 217, 437, 49, 279, 209, 429, 142, 371, 36, 266, 119, 348, 120, 349,
    47, 277, 114, 343, 188, 412, 128, 357, 121, 350, 111, 340,
)  # fmt: skip
"""Points of nose and cheekbones that the fit's own flow leaves out."""

_INNER_LIPS = ((82, 87), (13, 14), (312, 317))
_SHUT = 0.8


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Motion of `WITNESS_POINTS` from the frame before, px, and which of it can be trusted."""

    flow_px: Float[np.ndarray, "frames witnesses 2"]
    trusted: Bool[np.ndarray, "frames witnesses"]


def watch(frames: Iterable[np.ndarray], sightings: Sightings) -> Witnesses:
    """Follow `WITNESS_POINTS` through the frames of a clip that was looked at before."""
    flow = Flow(WITNESS_POINTS)
    steps = []
    for frame, points in zip(frames, sightings.points_px, strict=False):
        steps.append(flow.step(frame, points.astype(float) if np.isfinite(points).all() else None))
    return Witnesses(np.stack([s[0] for s in steps]), np.stack([s[1] for s in steps]))


def witness_mismatch(fit: ClipFit, witnesses: Witnesses, motion: Motion | None = None) -> tuple[float, float]:
    """Image motion of the fit against flow that it never saw: median point error, and rms common shift."""
    motion = motion or fit.motion
    points = linearise(fit.shapes(WITNESS_POINTS), motion, fit.person.focal_px).points
    error = (np.diff(points, axis=0) - witnesses.flow_px[1:]) / fit.unit_px[1:, None, None]
    seen = _followed(fit, witnesses)
    common = _over_points(error, seen)
    return float(np.median(np.linalg.norm(error, axis=-1)[seen])), _rms(common[np.isfinite(common).all(1)])


def motion_kept(fit: ClipFit, witnesses: Witnesses, motion: Motion | None = None) -> tuple[float, float]:
    """Rms second difference of rigid points' common motion: of the fit, and as the witnesses saw it.

    The mean over the points is compared, because each point's flow has noise of its own.
    """
    motion = motion or fit.motion
    points = linearise(fit.shapes(WITNESS_POINTS), motion, fit.person.focal_px).points
    unit = fit.unit_px[2:, None, None]
    seen = _followed(fit, witnesses)
    both = seen[1:] & seen[:-1]
    fitted = _over_points(np.diff(points, 2, axis=0) / unit, both)
    flowed = _over_points(np.diff(witnesses.flow_px[1:], axis=0) / unit, both)
    known = np.isfinite(fitted).all(1)
    return _rms(fitted[known]), _rms(flowed[known])


def _followed(fit: ClipFit, witnesses: Witnesses) -> Bool[np.ndarray, "frames flow"]:
    return witnesses.trusted[1:] & (fit.trusted[1:] & fit.trusted[:-1] & fit.chained[1:])[:, None]


def _over_points(error: np.ndarray, seen: np.ndarray) -> np.ndarray:
    count = seen.sum(1)
    mean = np.where(seen[..., None], error, 0.0).sum(1) / np.maximum(count, 1)[:, None]
    return np.where((count > 4)[:, None], mean, np.nan)


def reprojection(fit: ClipFit) -> tuple[float, float, float]:
    """Mean distance between seen and fitted points: all but the oval, eyelids, lips."""
    inner = np.setdiff1d(np.arange(468), FACE_OVAL)
    error = fit.residual[fit.trusted]
    return float(error[:, inner].mean()), float(error[:, list(EYES)].mean()), float(error[:, list(LIPS)].mean())


def lip_gap(
    points: Float[np.ndarray, "frames points axes"], pairs: tuple[tuple[int, int], ...] = _INNER_LIPS
) -> np.ndarray:
    """Mean distance of the inner lips' pairs."""
    return np.mean([np.linalg.norm(points[:, a] - points[:, b], axis=-1) for a, b in pairs], 0)


def lip_gap_agreement(fit: ClipFit, sightings: Sightings) -> tuple[float, float]:
    """Correlation of the fitted inner-lip gap with the detected one, without and with lifting the residual."""
    flat = [point for pair in _INNER_LIPS for point in pair]
    pairs = ((0, 1), (2, 3), (4, 5))
    shapes = fit.shapes(flat)
    ok = fit.trusted
    raw = (lip_gap(sightings.points_px[..., :2]) / fit.unit_px)[ok]
    plain, lifted = lip_gap(shapes, pairs)[ok], lip_gap(shapes + fit.lift(flat), pairs)[ok]
    return float(np.corrcoef(raw, plain)[0, 1]), float(np.corrcoef(raw, lifted)[0, 1])


def blink_when_shut(fit: ClipFit) -> float | None:
    """Mean fitted eyeBlink weight where the lids are shut (closure 0.8 and over); None without such frames."""
    if fit.basis.blink is None:
        return None
    weight = fit.motion.expression[:, list(fit.basis.blink)]
    shut = (np.nan_to_num(fit.closure, nan=0.0) >= _SHUT) & fit.trusted[:, None]
    return float(weight[shut].mean()) if shut.any() else None


def rotation_jitter(rotation: Float[np.ndarray, "frames 3 3"]) -> float:
    """Rms second difference of rotation, radians per frame²."""
    return _rms(np.diff(vector_from_rotation(rotation[1:] @ np.swapaxes(rotation[:-1], 1, 2)), axis=0))


def pose_errors(fit: ClipFit, truth: Truth) -> dict[str, float]:
    """Against known truth: rotation in degrees and position in mm (rms, bias removed), shape in mm, closure, blinks.

    Depth is compared after the focal error is taken out, and shape after its size, for a single camera tells neither;
    xy is per coordinate.
    """
    error = fit.motion.rotation @ np.swapaxes(truth.motion.rotation, 1, 2)
    u, _, vt = np.linalg.svd(error.mean(0))
    unbiased = np.swapaxes(u @ vt, 0, 1) @ error
    focal = fit.person.focal_px / truth.person.focal_px
    shift = fit.motion.translation * (1.0, 1.0, 1 / focal) - truth.motion.translation
    shift = shift - shift.mean(0)
    rest = fit.basis.neutral + np.tensordot(fit.person.identity, fit.basis.identity, 1) + fit.person.offset
    # Expressions measured from the clip leave the resting face undefined; compare the mean shapes of the clip.
    rest = rest + np.tensordot(fit.motion.expression.mean(0), fit.basis.expression, 1)
    jitter, true_jitter = (np.rad2deg(rotation_jitter(m.rotation)) for m in (fit.motion, truth.motion))
    found, known = fit.closure.mean(1), truth.closure.mean(1)
    return {
        "rotation_deg": float(np.rad2deg(_rms(vector_from_rotation(error)))),
        "rotation_unbiased_deg": float(np.rad2deg(_rms(vector_from_rotation(unbiased)))),
        "jitter_deg": float(jitter),
        "true_jitter_deg": float(true_jitter),
        "xy_mm": 10 * _rms(shift[:, :2]) / np.sqrt(2),
        "z_mm": 10 * float(shift[:, 2].std()),
        "shape_mm": _shape_error_mm(rest, truth.mean_shape),
        "mean_face_mm": _shape_error_mm(fit.basis.neutral, truth.mean_shape),
        "focal": abs(focal - 1),
        "closure_rmse": float(np.sqrt(np.mean((fit.closure - truth.closure) ** 2))),
        "blink_f1": event_f1(blink_events(known), blink_events(found)),
    }


def _shape_error_mm(found: np.ndarray, known: np.ndarray) -> float:
    scale, turn, move = similarity(found, known)
    return 10 * float(np.linalg.norm(scale * found @ turn.T + move - known, axis=1).mean())


def pose_error_at(fit: ClipFit, reference: ClipFit, frames: np.ndarray) -> Float[np.ndarray, " picked"]:
    """Angle between two fits' rotations at some frames, degrees."""
    a, b = fit.motion.rotation[frames], reference.motion.rotation[frames]
    return np.rad2deg(np.linalg.norm(vector_from_rotation(np.swapaxes(a, 1, 2) @ b), axis=-1))


def pnp_smoothed(fit: ClipFit, window_frames: int = 9) -> Motion:
    """What most tools do, for comparison: each frame's pose by PnP on the fitted face, then Savitzky-Golay."""
    import cv2
    from scipy.signal import savgol_filter

    focal = fit.person.focal_px
    inner = np.setdiff1d(np.arange(468), FACE_OVAL)
    shapes = fit.shapes(inner.tolist())
    camera = np.diag([focal, focal, 1.0])
    turn, place = np.zeros((len(shapes), 3)), np.zeros((len(shapes), 3))
    for index, shape in enumerate(shapes):
        pixels = fit.seen.points[index, inner, :2].astype(float)
        guess = cv2.Rodrigues(fit.motion.rotation[index])[0], fit.motion.translation[index][:, None].copy()
        _, vector, shift = cv2.solvePnP(shape, pixels, camera, np.zeros(4), *guess, useExtrinsicGuess=True)
        turn[index] = vector_from_rotation(FLAT @ np.asarray(cv2.Rodrigues(vector)[0]))
        place[index] = shift[:, 0]
    turn, place = savgol_filter(turn, window_frames, 2, axis=0), savgol_filter(place, window_frames, 2, axis=0)
    return Motion(FLAT @ rotation_from_vector(turn), place, fit.motion.expression)


def _rms(values: np.ndarray) -> float:
    """Root of the mean squared vector length."""
    return float(np.sqrt((values**2).sum(-1).mean()))
