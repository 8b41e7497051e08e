"""A face over a clip: one pass over the frames for points and flow, then the joint fit. tracking.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from talkface.errors import UserError
from talkface.face.basis import FaceBasis, Source, face_basis
from talkface.face.detect import IRISES, LANDMARKS_68
from talkface.face.eyes import gaze_angles, lid_closure, lid_opening
from talkface.face.fit import (
    FLAT,
    IRIS_DISTANCE_CM,
    Motion,
    Observations,
    Person,
    choose_varied,
    fit_person,
    linearise,
    start,
)
from talkface.face.joint import fit_frames, fit_jointly, outliers, residuals
from talkface.face.look import Sightings, find_blurred, find_cuts, look
from talkface.types import Camera, Pose, Track

_LONGEST_GAP_FRAMES_25 = 12
_LIFTED = tuple(range(17, 68))
"""Landmarks that follow the picture rather than the modes: all but the jaw, whose points slide with yaw."""


def track(
    frames: Iterable[np.ndarray],
    fps: float = 25.0,
    *,
    focal_px: float | None = None,
    clips: Sequence[tuple[int, int]] | None = None,
    face_model: Source = "auto",
    on_frame: Callable[[int], None] | None = None,
) -> Track:
    """Track the face of a clip; frames are looked at once and not kept.

    Args:
        frames: uint8 [height, width, 3] RGB, all of one size.
        focal_px: The camera's focal length where it is known; else it is estimated (weakly seen: no calibration).
        clips: First and last-plus-one frame of each clip where several were joined; by default one clip.
        face_model: Which face to fit; "auto" takes the best at hand.
        on_frame: Called with the index of each frame when it has been looked at.

    Raises:
        UserError: no frames, frames of different sizes, no face at all, or the tracker or face model is missing.
    """
    basis = face_basis(face_model)
    return fit_track(look(frames, on_frame), fps, focal_px=focal_px, clips=clips, basis=basis)


def fit_track(
    sightings: Sightings,
    fps: float = 25.0,
    *,
    focal_px: float | None = None,
    clips: Sequence[tuple[int, int]] | None = None,
    basis: FaceBasis | None = None,
) -> Track:
    """The fit alone, from what `look` saw.

    Raises:
        UserError: there is no face in any frame.
    """
    basis = basis or face_basis()
    points_px, size_px = sightings.points_px, sightings.size_px
    height, width = size_px
    centre = (width / 2, height / 2)
    seen_at_all = np.isfinite(points_px).all((1, 2))
    if not seen_at_all.any():
        raise UserError("there is no face in any frame of this video")
    reason = np.full(len(points_px), "", dtype=object)
    reason[find_blurred(sightings.sharpness)] = "blurred"
    reason[sightings.several] = "two faces"
    reason[~seen_at_all] = "no face"
    usable = seen_at_all & (reason != "two faces")
    if not usable.any():
        usable = seen_at_all
    closure = lid_closure(lid_opening(points_px), fps)
    seen = Observations(
        points=np.where(usable[:, None, None], points_px[:, :468] - (*centre, 0.0), 0.0),
        seen=usable,
        closure=np.nan_to_num(closure, nan=0.0),
        flow=sightings.flow_px,
        flow_trusted=sightings.flow_trusted,
        side_px=float(max(size_px)),
    )
    first_focal = focal_px or 2.0 * max(size_px)
    fixed = focal_px is not None or not basis.focal_is_seen
    motion, scale = start(basis, seen, first_focal)
    unit_px = scale * IRIS_DISTANCE_CM
    chained = _chain(usable, find_cuts(sightings.change, fps), clips, fps)
    mouth = np.linalg.norm(points_px[:, 13, :2] - points_px[:, 14, :2], axis=-1) / unit_px
    shape = np.nan_to_num(np.stack([closure.mean(1), mouth / 0.1], -1))
    chosen = choose_varied(motion, scale, shape, usable)
    person, _ = fit_person(basis, seen[chosen], motion[chosen], unit_px[chosen], first_focal, fixed)
    motion = _with_focal(motion, first_focal, person.focal_px)
    motion = fit_frames(basis, person, seen, motion, unit_px)
    wrong = outliers(np.nanmedian(residuals(basis, person, seen, motion, unit_px), 1))
    good = usable & ~wrong
    motion = fit_jointly(
        basis, person, seen, motion, unit_px, good, chained, fps, use_flow=bool(sightings.flow_trusted.any())
    )
    reason[wrong & usable] = "fit"
    return _as_track(basis, person, motion, points_px, closure, seen, unit_px, size_px, fps, reason)


def _with_focal(motion: Motion, before: float, after: float) -> Motion:
    """The same picture through another lens: the head moves nearer or farther."""
    translation = motion.translation * np.array([1.0, 1.0, after / before])
    return Motion(motion.rotation, translation, motion.expression)


def _chain(usable: np.ndarray, cuts: np.ndarray, clips: Sequence[tuple[int, int]] | None, fps: float) -> np.ndarray:
    """Where a frame continues the one before: not after a cut, nor at the start of a clip, nor inside a long gap."""
    chained = ~cuts
    chained[0] = False
    for first, _ in clips or ():
        chained[first] = False
    edges = np.flatnonzero(np.diff(np.r_[0, ~usable, 0].astype(int)))
    for first, stop in edges.reshape(-1, 2):
        if stop - first > _LONGEST_GAP_FRAMES_25 * fps / 25:
            chained[first : min(stop + 1, len(chained))] = False
    return chained


def _as_track(
    basis: FaceBasis,
    person: Person,
    motion: Motion,
    points_px: np.ndarray,
    closure: np.ndarray,
    seen: Observations,
    unit_px: np.ndarray,
    size_px: tuple[int, int],
    fps: float,
    reason: np.ndarray,
) -> Track:
    """Into the house's conventions: world from head, NaN where there was no face."""
    centre = (size_px[1] / 2, size_px[0] / 2)
    rotation, translation = FLAT @ motion.rotation, motion.translation @ FLAT
    error = residuals(basis, person, seen, motion, unit_px)
    landmarks = _pose_free(basis, person, motion, seen)
    expression = motion.expression.copy()
    expression[~seen.seen] = np.nan
    eyeballs = basis.eyeballs + np.tensordot(person.identity, basis.eyeball_identity, 1)
    gaze = gaze_angles(
        points_px[:, list(IRISES), :2], eyeballs, rotation, translation, person.focal_px, centre, closure
    )
    return Track(
        fps=fps,
        camera=Camera(float(person.focal_px), centre, (int(size_px[0]), int(size_px[1]))),
        pose=Pose(rotation, translation),
        points_px=points_px,
        landmarks_px=points_px[:, list(LANDMARKS_68), :2],
        landmarks=landmarks,
        closure=closure,
        gaze=gaze,
        identity=person.identity,
        expression=expression,
        expression_names=basis.names,
        face_model=basis.name,
        residual=np.nanmedian(np.where(seen.seen[:, None], error, 0.0), 1) + np.where(seen.seen, 0.0, np.nan),
        valid=reason == "",
        reason=tuple(str(r) for r in reason),
    )


def _pose_free(basis: FaceBasis, person: Person, motion: Motion, seen: Observations) -> np.ndarray:
    """68 landmarks in the head frame: the fitted shape, moved parallel to the picture onto the detected points."""
    index = list(LANDMARKS_68)
    shapes = basis.shapes(person.identity, person.offset, motion.expression)[:, index]
    placed = shapes @ np.swapaxes(motion.rotation, 1, 2) + motion.translation[:, None]
    gap = seen.points[:, index, :2] - linearise(shapes, motion, person.focal_px).points
    lift = np.concatenate([gap * placed[..., 2:] / person.focal_px, np.zeros((*gap.shape[:2], 1))], -1)
    follows = np.zeros((68, 1))
    follows[list(_LIFTED)] = 1.0
    landmarks = shapes + follows * (lift @ motion.rotation)
    landmarks[~seen.seen] = np.nan
    return landmarks
