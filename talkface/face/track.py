"""A face over a clip: one pass over the frames for points and flow, then the joint fit. tracking.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from talkface.face.basis import FaceBasis, Source, face_basis
from talkface.face.clip import ClipFit, fit_clip
from talkface.face.detect import IRISES, LANDMARKS_68
from talkface.face.eyes import gaze_angles
from talkface.face.fit import FLAT, LIP_DEPTH_PER_GAP
from talkface.face.look import Sightings, look
from talkface.types import Camera, Pose, Track

_INNER_LIPS = ((61, 67), (62, 66), (63, 65))
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
    fit = fit_clip(sightings, basis or face_basis(), fps, focal_px, clips)
    return as_track(fit, sightings, fps)


def as_track(fit: ClipFit, sightings: Sightings, fps: float) -> Track:
    """Into the house's conventions: world from head, NaN where there was no face."""
    height, width = sightings.size_px
    centre = (width / 2, height / 2)
    rotation, translation = FLAT @ fit.motion.rotation, fit.motion.translation @ FLAT
    unseen = ~fit.seen.seen
    expression = np.where(unseen[:, None], np.nan, fit.motion.expression)
    landmarks = fit.shapes(LANDMARKS_68)
    follows = fit.trusted[:, None] & np.isin(np.arange(68), _LIFTED)
    landmarks = landmarks + np.where(follows[..., None], fit.lift(LANDMARKS_68), 0.0)
    _meet(landmarks, rotation)
    landmarks[unseen] = np.nan
    eyeballs = fit.basis.eyeballs + np.tensordot(fit.person.identity, fit.basis.eyeball_identity, 1)
    irises = sightings.points_px[:, list(IRISES), :2]
    focal_px = float(fit.person.focal_px)
    return Track(
        fps=fps,
        camera=Camera(focal_px, centre, sightings.size_px),
        pose=Pose(rotation, translation),
        points_px=sightings.points_px,
        landmarks_px=sightings.points_px[:, list(LANDMARKS_68), :2],
        landmarks=landmarks,
        closure=fit.closure,
        gaze=gaze_angles(irises, eyeballs, rotation, translation, focal_px, centre, fit.closure),
        identity=fit.person.identity,
        expression=expression,
        expression_names=fit.basis.names,
        face_model=fit.basis.name,
        residual=np.median(fit.residual, 1),
        valid=np.array([r == "" for r in fit.reason]),
        reason=fit.reason,
    )


def _meet(landmarks: np.ndarray, rotation: np.ndarray) -> None:
    """Move the inner lips' pairs along the line of sight, which no picture shows, until closed lips touch in depth too.

    The line of sight is taken parallel for the whole face: the camera's axis.
    """
    sight = rotation[:, 2]  # the camera's axis in the head frame
    across = np.array([0.0, -LIP_DEPTH_PER_GAP, 1.0])
    for upper, lower in _INNER_LIPS:
        gap = landmarks[:, upper] - landmarks[:, lower]
        move = 0.5 * ((gap @ across) / np.maximum(sight @ across, 0.3))[:, None] * sight
        landmarks[:, upper] -= move
        landmarks[:, lower] += move
