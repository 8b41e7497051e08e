"""The whole fit of one clip, from sightings to person and motion: stage A, stage B, gaps, cuts and outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from talkface.errors import UserError
from talkface.face.basis import FaceBasis
from talkface.face.detect import IRISES
from talkface.face.eyes import lid_closure, lid_opening
from talkface.face.fit import (
    Motion,
    Observations,
    Person,
    choose_varied,
    fit_person,
    linearise,
    start,
)
from talkface.face.joint import fit_frames, fit_jointly, outliers, residuals
from talkface.face.look import Sightings, find_blurred, find_cuts

_LONGEST_GAP_FRAMES_25 = 12
_SHORTEST_SHOT_FRAMES_25 = 5
_MEASURED_MODES, _MEASURED_ROUNDS, _MEASURED_FRAMES = 25, 2, 400


@dataclass(frozen=True, eq=False)
class ClipFit:
    """A fitted clip, in the fit's own camera frame (x right, y down, z forward)."""

    basis: FaceBasis
    person: Person
    motion: Motion
    seen: Observations
    unit_px: Float[np.ndarray, " frames"]
    """Distance between the irises, were the face frontal, px."""
    closure: Float[np.ndarray, "frames 2"]
    residual: Float[np.ndarray, "frames 468"]
    """Distance between seen and fitted points over `unit_px`; NaN where unseen."""
    trusted: Bool[np.ndarray, " frames"]
    """Frames whose points took part in the fit."""
    chained: Bool[np.ndarray, " frames"]
    """Whether a frame continues the one before; False after a cut, a long gap, or at the start of a clip."""
    reason: tuple[str, ...]

    def shapes(self, points: Sequence[int]) -> Float[np.ndarray, "frames points 3"]:
        """Chosen mesh points of every frame in the head frame, cm."""
        index = list(points)
        basis, person = self.basis, self.person
        rest = (basis.neutral + np.tensordot(person.identity, basis.identity, 1) + person.offset)[index]
        return rest + np.tensordot(self.motion.expression, basis.expression[:, index], 1)

    def lift(self, points: Sequence[int]) -> Float[np.ndarray, "frames points 3"]:
        """From fitted to seen points, parallel to the picture, in the head frame, cm."""
        shapes = self.shapes(points)
        gap = self.seen.points[:, list(points), :2] - linearise(shapes, self.motion, self.person.focal_px).points
        depth = (shapes @ self.motion.rotation[:, 2, :, None])[..., 0] + self.motion.translation[:, 2:]
        in_camera = np.concatenate([gap * depth[..., None] / self.person.focal_px, np.zeros((*gap.shape[:2], 1))], -1)
        return in_camera @ self.motion.rotation


def fit_clip(
    sightings: Sightings,
    basis: FaceBasis,
    fps: float,
    focal_px: float | None = None,
    clips: Sequence[tuple[int, int]] | None = None,
    person: Person | None = None,
) -> ClipFit:
    """Fit camera, person and motion of a clip (or of several clips of one person, joined).

    Args:
        person: Somebody already fitted, with `basis`, by the same camera: only pose and expression are sought.

    Raises:
        UserError: there is no face in any frame.
    """
    points_px = sightings.points_px
    height, width = sightings.size_px
    seen_at_all = np.isfinite(points_px).all((1, 2))
    if not seen_at_all.any():
        raise UserError("there is no face in any frame of this video")
    cuts = find_cuts(sightings.change, fps)
    reason = np.full(len(points_px), "", dtype=object)
    reason[find_blurred(sightings.sharpness)] = "blurred"
    reason[_short_shots(cuts, clips, fps)] = "cut"
    reason[sightings.several] = "two faces"
    reason[~seen_at_all] = "no face"
    usable = seen_at_all & (reason != "two faces")
    if not usable.any():
        usable = seen_at_all
    closure = lid_closure(lid_opening(points_px), fps)
    seen = Observations(
        points=np.where(usable[:, None, None], points_px[:, :468] - np.array([width / 2, height / 2, 0.0]), 0.0),
        seen=usable,
        closure=np.nan_to_num(closure, nan=0.0),
        flow=sightings.flow_px,
        flow_trusted=sightings.flow_trusted,
    )
    first_focal = person.focal_px if person else focal_px or 2.0 * max(height, width)
    fixed_focal = focal_px is not None or not basis.focal_is_seen
    first, scale = start(basis, seen, first_focal)
    apart = np.linalg.norm(points_px[:, IRISES[0], :2] - points_px[:, IRISES[1], :2], axis=-1)
    frontal = np.linalg.norm(first.rotation[:, :2, 0], axis=-1) * scale
    unit_px = scale * float(np.median((apart / frontal)[usable]))
    mouth = np.linalg.norm(points_px[:, 13, :2] - points_px[:, 14, :2], axis=-1) / unit_px
    features = np.nan_to_num(np.stack([closure.mean(1), mouth / 0.1], -1))
    chosen = choose_varied(first, scale, features, usable)
    if not basis.names:
        basis = _measure_expressions(basis, seen, first, unit_px, chosen, first_focal)
        first = Motion(first.rotation, first.translation, np.zeros((len(first), len(basis.names))))
    if person is None:
        person, _ = fit_person(basis, seen[chosen], first[chosen], unit_px[chosen], first_focal, fixed_focal)
    nearer = np.array([1.0, 1.0, person.focal_px / first_focal])
    first = Motion(first.rotation, first.translation * nearer, first.expression)
    motion = fit_frames(basis, person, seen, first, unit_px)
    wrong = outliers(_median(residuals(basis, person, seen, motion, unit_px)))
    trusted = usable & ~wrong
    reason[wrong & usable] = "fit"
    chained = _chain(trusted, cuts, clips, fps)
    use_flow = bool(sightings.flow_trusted.any())
    motion = fit_jointly(basis, person, seen, motion, unit_px, trusted, chained, fps, use_flow)
    error = residuals(basis, person, seen, motion, unit_px)
    reasons = tuple(str(r) for r in reason)
    return ClipFit(basis, person, motion, seen, unit_px, closure, error, trusted, chained, reasons)


def _median(error: np.ndarray) -> np.ndarray:
    known = np.isfinite(error).all(1)
    return np.where(known, np.median(np.where(known[:, None], error, 0.0), axis=1), np.nan)


def _chain(usable: np.ndarray, cuts: np.ndarray, clips: Sequence[tuple[int, int]] | None, fps: float) -> np.ndarray:
    """Where a frame continues the one before: not after a cut, nor at the start of a clip, nor inside a long gap."""
    chained = ~cuts
    chained[0] = False
    for first, _ in clips or ():
        chained[first] = False
    for first, stop in _runs(~usable):
        if stop - first > _LONGEST_GAP_FRAMES_25 * fps / 25:
            chained[first : min(stop + 1, len(chained))] = False
    return chained


def _short_shots(cuts: np.ndarray, clips: Sequence[tuple[int, int]] | None, fps: float) -> np.ndarray:
    """Frames of shots too short to be followed, such as a flash between two cuts."""
    edges = np.unique(np.r_[0, np.flatnonzero(cuts), [first for first, _ in clips or ()], len(cuts)].astype(int))
    short = np.zeros(len(cuts), bool)
    for first, stop in pairwise(edges):
        inside = first > 0 and stop < len(cuts)
        short[first:stop] = inside and stop - first < _SHORTEST_SHOT_FRAMES_25 * fps / 25
    return short


def _runs(flags: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(np.r_[0, flags, 0].astype(int))).reshape(-1, 2)


def _measure_expressions(
    basis: FaceBasis, seen: Observations, first: Motion, unit_px: np.ndarray, chosen: np.ndarray, focal_px: float
) -> FaceBasis:
    """Expression modes from the clip itself: what a rigid fit leaves, lifted to the head, in principal components."""
    known = np.flatnonzero(seen.seen)
    some = known[np.linspace(0, len(known) - 1, min(len(known), _MEASURED_FRAMES)).astype(int)]
    count = min(_MEASURED_MODES, len(some) - 1)
    weight = np.repeat((0.01 / basis.sigma)[:, None], 3, 1).ravel()
    for _ in range(_MEASURED_ROUNDS if count > 0 else 0):
        still = Motion(first.rotation, first.translation, np.zeros((len(first), len(basis.names))))
        person, _ = fit_person(basis, seen[chosen], still[chosen], unit_px[chosen], focal_px, True)
        motion = fit_frames(basis, person, seen[some], still[some], unit_px[some])
        closure, error = seen.closure[some], np.zeros((len(some), 468))
        all_seen = seen.seen[some]
        part = ClipFit(basis, person, motion, seen[some], unit_px[some], closure, error, all_seen, all_seen, ())
        moved = part.lift(range(468)) + np.tensordot(motion.expression, basis.expression, 1)
        flat = (moved - moved.mean(0)).reshape(len(some), -1) * weight
        _, spread, modes = np.linalg.svd(flat, full_matrices=False)
        sized = modes[:count] * (spread[:count, None] / np.sqrt(len(some))) / weight
        basis = basis.with_expressions(sized.reshape(count, 468, 3))
    return basis
