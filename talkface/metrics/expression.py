"""The face model fitted to the points of a video: what expression, pose and action units are compared by.

The truth is fitted freely; a rendering of the same person is fitted with the truth's person and camera, so that both
share their biases and only what moves can differ. Fits have no optical flow here: both videos pass through the same
smoothing of the joint fit (tracking.md §3), and what is compared are differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from talkface.face.basis import FaceBasis, face_basis
from talkface.face.clip import ClipFit, fit_clip
from talkface.face.fit import FLAT, Person
from talkface.face.flow import FLOW_POINTS
from talkface.face.look import Sightings
from talkface.metrics.rows import absent, measured
from talkface.types import Pose, Score

NO_MODEL = "the ICT face model is not here (`talkface assets`); without it expressions have no names"


@dataclass(frozen=True, eq=False)
class FittedFace:
    """Pose and expression of every frame of one video."""

    model: str
    """Which face model: "ict", "canonical" or "average"."""
    names: tuple[str, ...]
    """Of the expression weights; ARKit's with "ict"."""
    expression: Float[np.ndarray, "frames expression"]
    """NaN where `valid` is False."""
    pose: Pose
    """World from head, cm; finite everywhere."""
    valid: Bool[np.ndarray, " frames"]
    person: Person
    """Camera and shape, for fitting another video of the same person."""
    basis: FaceBasis

    @property
    def named(self) -> bool:
        """Whether expressions mean what their names say."""
        return self.model == "ict"

    def __len__(self) -> int:
        return len(self.valid)


def fit_face(
    points_px: Float[np.ndarray, "frames 478 3"],
    size_px: tuple[int, int],
    fps: float,
    like: FittedFace | None = None,
    focal_px: float | None = None,
) -> FittedFace:
    """Fit a video's mesh points; about 5 ms a frame and, without `like`, 2 s a clip.

    Args:
        points_px: As the detector gives them, consecutive frames, NaN where there is no face.
        size_px: Picture (height, width).
        like: Another video of the same person and picture size: its person and camera are taken.
        focal_px: The camera's focal length, where known and `like` is None.

    Raises:
        UserError: there is no face in any frame.
    """
    seen = _sightings(points_px, size_px)
    if like is None:
        return _fitted(fit_clip(seen, face_basis(), fps, focal_px))
    return _fitted(fit_clip(seen, like.basis, fps, person=like.person))


def expression_scores(rendered: FittedFace, true: FittedFace) -> list[Score]:
    """Exp-Diff, `exp_diff@ict`: mean squared difference of the expression weights over frames and weights.

    The paper's (JEAN) is that of 64 Deep3DFaceRecon coefficients; these are 45 ARKit-named weights in [0, 1], hence
    the other name. Frames without a face in either are left out.
    """
    name, region, backend = "exp_diff@ict", "face", "joint fit, ict"
    if not (rendered.named and true.named):
        return [absent(name, False, NO_MODEL, region, backend)]
    both = rendered.valid & true.valid
    square = (rendered.expression[both] - true.expression[both]) ** 2
    return [
        measured(name, float(square.mean()) if both.any() else float("nan"), False, int(both.sum()), region, backend)
    ]


def _sightings(points_px: np.ndarray, size_px: tuple[int, int]) -> Sightings:
    """The points alone: no flow, no cuts, no second face."""
    frames = len(points_px)
    flow = np.zeros((frames, len(FLOW_POINTS), 2))
    same, calm = np.zeros(frames), np.ones(frames)
    return Sightings(points_px, flow, np.zeros(flow.shape[:2], bool), size_px, np.zeros(frames, bool), same, calm)


def _fitted(fit: ClipFit) -> FittedFace:
    motion = fit.motion
    expression = np.where(fit.trusted[:, None], motion.expression, np.nan)
    pose = Pose(FLAT @ motion.rotation, motion.translation @ FLAT)
    return FittedFace(fit.basis.name, fit.basis.names, expression, pose, fit.trusted, fit.person, fit.basis)
