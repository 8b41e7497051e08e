"""What speech moves: mouth and chin of the pose-free 68 landmarks, and how they turn into numbers and back.

A mouth is 89 values in units of iod (distance between the outer eye corners), relative to the person's training mean:
inner-lip opening, width, then x, y, z of the chin points 4-12 and the mouth points 48-67.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

MOVING = (*range(4, 13), *range(48, 68))
"""Landmarks that are predicted; the others stay at the person's mean."""
VALUES = 2 + 3 * len(MOVING)
"""Numbers per mouth: opening, width, points."""
_UPPER, _LOWER = [61, 62, 63], [67, 66, 65]
"""Inner lips, pair by pair."""


def opening(landmarks: Float[np.ndarray, "frames 68 dims"]) -> Float[np.ndarray, " frames"]:
    """Mean distance of the three inner-lip pairs, in the landmarks' unit."""
    return np.linalg.norm(landmarks[:, _UPPER] - landmarks[:, _LOWER], axis=-1).mean(-1)


def width(landmarks: Float[np.ndarray, "frames 68 dims"]) -> Float[np.ndarray, " frames"]:
    """Distance between the mouth corners, in the landmarks' unit."""
    return np.linalg.norm(landmarks[:, 54] - landmarks[:, 48], axis=-1)


def eye_distance(landmarks: Float[np.ndarray, "frames 68 dims"]) -> float:
    """Median distance between the outer eye corners (iod), in the landmarks' unit."""
    return float(np.median(np.linalg.norm(landmarks[:, 45] - landmarks[:, 36], axis=-1)))


@dataclass(frozen=True)
class MouthSpace:
    """One person's mouths as numbers; made from training frames only."""

    mean: Float[np.ndarray, "68 3"]
    """Mean landmarks, cm."""
    iod_cm: float
    shape: Float[np.ndarray, "2"]
    """Mean opening and width, iod."""
    slope: Float[np.ndarray, "2 coordinates"]
    """How the points move with opening and width (regression over the training frames), iod per iod."""

    @classmethod
    def of(cls, landmarks: Float[np.ndarray, "frames 68 3"]) -> MouthSpace:
        """The space of one person's valid training frames (pose-free, cm)."""
        mean, iod = landmarks.mean(0), eye_distance(landmarks)
        both = np.stack([opening(landmarks), width(landmarks)], 1) / iod
        points = ((landmarks - mean)[:, MOVING] / iod).reshape(-1, VALUES - 2)
        centred = both - both.mean(0)
        slope = np.linalg.solve(centred.T @ centred + 1e-6 * np.eye(2) * len(both), centred.T @ points)
        return cls(mean.astype(np.float32), iod, both.mean(0).astype(np.float32), slope.astype(np.float32))

    def encode(self, landmarks: Float[np.ndarray, "frames 68 3"]) -> Float[np.ndarray, "frames values"]:
        """Landmarks in cm to mouth values, float32."""
        both = np.stack([opening(landmarks), width(landmarks)], 1) / self.iod_cm - self.shape
        points = (landmarks - self.mean)[:, MOVING] / self.iod_cm
        return np.concatenate([both, points.reshape(-1, VALUES - 2)], 1).astype(np.float32)

    def decode(self, values: Float[np.ndarray, "frames values"]) -> Float[np.ndarray, "frames 68 3"]:
        """Mouth values to landmarks in cm, float32.

        Opening and width are predicted better than single points, so the points are moved along the person's own
        regression until they show them, and then the inner lips alone until the opening is exact. An opening below
        zero is a closed mouth.
        """
        wanted = np.maximum(values[:, :2] + self.shape, 0.0)
        points = values[:, 2:].copy()
        landmarks = np.broadcast_to(self.mean, (len(values), 68, 3)).copy()
        for _ in range(3):
            landmarks[:, MOVING] = self.mean[list(MOVING)] + points.reshape(-1, len(MOVING), 3) * self.iod_cm
            shown = np.stack([_signed_opening(landmarks), width(landmarks)], 1) / self.iod_cm
            points = points + (wanted - shown) @ self.slope
        landmarks[:, MOVING] = self.mean[list(MOVING)] + points.reshape(-1, len(MOVING), 3) * self.iod_cm
        _open(landmarks, wanted[:, 0] * self.iod_cm)
        return landmarks.astype(np.float32)


def _signed_opening(landmarks: np.ndarray) -> np.ndarray:
    """The opening, negative where predicted lips have passed through each other."""
    gap = landmarks[:, _UPPER] - landmarks[:, _LOWER]
    return (np.linalg.norm(gap, axis=-1) * np.sign(gap[..., 1])).mean(-1)


def _open(landmarks: np.ndarray, wanted: np.ndarray) -> None:
    """Scale the gaps between the inner lips about their middles, in place, so that their mean size is `wanted`."""
    upper, lower = landmarks[:, _UPPER], landmarks[:, _LOWER]
    middle, half = (upper + lower) / 2, (upper - lower) / 2
    half[..., 1] = np.maximum(half[..., 1], 1e-6)
    half *= (wanted / (2 * np.linalg.norm(half, axis=-1).mean(-1)))[:, None, None]
    landmarks[:, _UPPER], landmarks[:, _LOWER] = middle + half, middle - half


@dataclass(frozen=True)
class Talk:
    """One unbroken stretch of speech and mouth: the unit that predictors learn from."""

    mel: Float[np.ndarray, "rows bands"]
    """Normalised log-mel, four rows per frame."""
    values: Float[np.ndarray, "frames values"]
    """Targets; anything where not valid."""
    valid: Bool[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.valid)
