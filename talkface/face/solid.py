"""The head as a few convex solids whose outlines in the picture tell head from neck and shoulders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from talkface.face.model import PARTS, FaceModel, ict
from talkface.types import Track

CHIN, BRIDGE, JAW_RIGHT, JAW_LEFT = 8, 27, 0, 16
"""iBUG landmarks that give a face its size."""
_FOREHEAD = 1.55
"""Height of the hairless face (chin to hairline) over chin to nose bridge."""
_AVERAGE_JAW_WIDTH_CM = 14.6


@dataclass(frozen=True, eq=False)
class HeadSolid:
    """Points whose convex hulls make up one person's head and neck, in the head frame, cm.

    The hull of a solid's points seen by a pinhole camera is the hull of the points in the picture, so a few hundred
    points give an exact outline at any pose.
    """

    skull: Float[np.ndarray, "points 3"]
    """Face and cranium down to the neck plane, without ears, mouth at rest."""
    skull_expression: Float[np.ndarray, "expression points 3"]
    ears: tuple[Float[np.ndarray, "left 3"], Float[np.ndarray, "right 3"]]
    neck: Float[np.ndarray, "neck 3"]
    chin: Float[np.ndarray, 3]
    height_cm: float
    """Chin to hairline."""
    width_cm: float
    """Between the ends of the jaw line."""

    @cached_property
    def forehead(self) -> Float[np.ndarray, 3]:
        """The point of the hairline above the chin."""
        return self.chin + np.array([0.0, self.height_cm, 0.0])


def head_solid(track: Track) -> HeadSolid:
    """The tracked person's solids: from the ICT model where it was fitted, else ellipsoids of the average head.

    Source: neck plane ``y = -8.3 + 0.42 (10.5 - z)`` cm on the neutral mesh, from jaw to ear lobe (shared study of
    tracking, section 6.2); the ellipsoids follow the ICT mean head (ours).
    """
    landmarks = np.nanmedian(track.landmarks, 0)
    height_cm = _FOREHEAD * float(np.linalg.norm(landmarks[CHIN] - landmarks[BRIDGE]))
    width_cm = float(np.linalg.norm(landmarks[JAW_LEFT] - landmarks[JAW_RIGHT]))
    chin = landmarks[CHIN]
    if track.face_model == "ict":
        skull, motion, ears, neck = _from_model(ict(), track)
    else:
        skull, ears, neck = _average(width_cm / _AVERAGE_JAW_WIDTH_CM, landmarks)
        motion = np.zeros((track.expression.shape[1], len(skull), 3), np.float32)
    return HeadSolid(skull, motion, ears, neck, chin, height_cm, width_cm)


def _from_model(
    model: FaceModel, track: Track
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    outer = slice(PARTS["face"].start, PARTS["head_and_neck"].stop)
    rest = model.neutral[outer]
    shape = rest + np.tensordot(track.identity.astype(np.float32), model.identity[:, outer], 1)
    x, y, z = rest.T
    above = y > -8.3 + 0.42 * (10.5 - z)
    ear = (np.abs(x) > 7.3) & (y > -4.0) & (y < 5.0) & (z < 1.5)
    names = {name: index for index, name in enumerate(model.expression_names)}
    order = [names[name] for name in track.expression_names]
    opened = shape + model.expression[names["jawOpen"], outer]
    body = np.flatnonzero(above & ~ear)
    corners = body[np.union1d(_hull(shape[body]), _hull(opened[body]))]
    neck = shape[~above & (np.abs(x) < 7.5) & (y > -15.0)]
    left, right = shape[ear & (x > 0)], shape[ear & (x < 0)]
    motion = model.expression[:, outer][order][:, corners]
    return shape[corners], motion, (left[_hull(left)], right[_hull(right)]), neck[_hull(neck)]


def _average(scale: float, landmarks: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    cranium = np.array([0.0, 3.8, 0.5]) + _sphere() * [7.9, 10.5, 9.0]
    cranium = cranium[cranium[:, 1] > -8.3 + 0.42 * (10.5 - cranium[:, 2])] * scale
    skull = np.concatenate([cranium, landmarks])
    ear = _sphere() * [1.2, 3.8, 1.8]
    left, right = (scale * (ear + np.array([side * 8.0, 0.6, -1.0])) for side in (1.0, -1.0))
    neck = np.array([[x, y, z] for x in (-6.0, 6.0) for y in (-15.0, -4.0) for z in (-5.0, 4.0)]) * scale
    return skull.astype(np.float32), (left.astype(np.float32), right.astype(np.float32)), neck.astype(np.float32)


def _hull(points: np.ndarray) -> np.ndarray:
    """The points furthest out in one of many directions: the corners of the hull, near enough."""
    return np.unique(np.argmax(points @ _sphere(600).T, 0))


def _sphere(points: int = 300) -> np.ndarray:
    """Even directions (Fibonacci lattice)."""
    index = np.arange(points) + 0.5
    y = 1 - 2 * index / points
    turn = np.pi * (1 + np.sqrt(5.0)) * index
    radius = np.sqrt(1 - y * y)
    return np.stack([radius * np.cos(turn), y, radius * np.sin(turn)], -1)


__all__ = ["HeadSolid", "head_solid"]
