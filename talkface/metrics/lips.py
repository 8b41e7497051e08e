"""How well a rendered mouth follows the true one: landmark distance, opening, velocity, closures.

Landmarks are iBUG-68 in pixels of the pictures compared, found by the same detector in both; a frame without a face is
NaN and left out. Sequences run over consecutive frames, with NaN where a frame is missing, so that velocities never
jump a gap. Sources: lip-sync.md ("Measures"), nerf-methods.md §4.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

MOUTH = np.arange(48, 68)
EYES = np.arange(36, 48)
_INNER_LIPS = np.array([[61, 67], [62, 66], [63, 65]])
CLOSED_BELOW = 0.15
"""A mouth counts as closed under this part of the person's opening range."""


def landmark_distance(
    rendered: Float[np.ndarray, "frames points 2"], true: Float[np.ndarray, "frames points 2"]
) -> Float[np.ndarray, " frames"]:
    """LMD of every frame, px: each set minus its own mean, then the mean distance of matching points.

    Blind to where the points are as a whole, by definition (ER-NeRF's LMDMeter); see `face.head_shift` for that.
    """
    difference = (rendered - rendered.mean(1, keepdims=True)) - (true - true.mean(1, keepdims=True))
    return np.linalg.norm(difference, axis=-1).mean(1)


def eye_distance(
    rendered: Float[np.ndarray, "frames 68 2"], true: Float[np.ndarray, "frames 68 2"]
) -> Float[np.ndarray, " frames"]:
    """LMD of the eyes, px: each eye centred on its own mean, then both averaged."""
    right = landmark_distance(rendered[:, 36:42], true[:, 36:42])
    return (right + landmark_distance(rendered[:, 42:48], true[:, 42:48])) / 2


def opening(landmarks: Float[np.ndarray, "frames 68 axes"]) -> Float[np.ndarray, " frames"]:
    """Inner-lip opening in the unit of the landmarks: mean distance of the pairs 61-67, 62-66, 63-65."""
    return np.linalg.norm(landmarks[:, _INNER_LIPS[:, 0]] - landmarks[:, _INNER_LIPS[:, 1]], axis=-1).mean(1)


def width(landmarks: Float[np.ndarray, "frames 68 axes"]) -> Float[np.ndarray, " frames"]:
    """Mouth width in the unit of the landmarks: distance of the corners 48 and 54."""
    return np.linalg.norm(landmarks[:, 48] - landmarks[:, 54], axis=-1)


def eye_span(landmarks: Float[np.ndarray, "frames 68 axes"]) -> Float[np.ndarray, " frames"]:
    """Distance of the outer eye corners, `iod`: the measure that makes openings comparable between pictures."""
    return np.linalg.norm(landmarks[:, 36] - landmarks[:, 45], axis=-1)


def correlation(a: Float[np.ndarray, " frames"], b: Float[np.ndarray, " frames"]) -> float:
    """Pearson correlation over the frames both have; NaN under three frames or where one of them never moves."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3:
        return float("nan")
    a, b = a[both] - a[both].mean(), b[both] - b[both].mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-12 else float("nan")


def velocity_correlation(rendered: Float[np.ndarray, " frames"], true: Float[np.ndarray, " frames"]) -> float:
    """Pearson correlation of frame-to-frame differences: does it move when the true one moves."""
    return correlation(np.diff(rendered), np.diff(true))


def amplitude(rendered: Float[np.ndarray, " frames"], true: Float[np.ndarray, " frames"]) -> float:
    """Standard deviation rendered over true; 1 is as lively, less is mumbling."""
    both = np.isfinite(rendered) & np.isfinite(true)
    spread = float(np.std(true[both])) if both.any() else 0.0
    return float(np.std(rendered[both])) / spread if spread > 0 else float("nan")


def closed_threshold(training_opening: Float[np.ndarray, " frames"]) -> float:
    """Opening below which a mouth is closed: 15 % of the range from the 2nd to the 95th percentile of training."""
    low, high = np.nanpercentile(training_opening, [2, 95])
    return float(low + CLOSED_BELOW * (high - low))


def closure_f1(
    rendered: Float[np.ndarray, " frames"],
    true: Float[np.ndarray, " frames"],
    threshold: float,
    tolerance_frames: int = 1,
) -> float:
    """F1 of closed-mouth frames: a closed frame is right when the other has one within `tolerance_frames`.

    NaN where the true mouth never closes.
    """
    closed, truth = rendered < threshold, true < threshold
    if not truth.any():
        return float("nan")
    if not closed.any():
        return 0.0
    reach = np.ones(2 * tolerance_frames + 1)
    precision = (np.convolve(truth, reach, "same") > 0)[closed].mean()
    recall = (np.convolve(closed, reach, "same") > 0)[truth].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
