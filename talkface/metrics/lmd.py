"""Landmark distance (LMD) in every form the field publishes, each under its own name.

All take iBUG-68 in px of the pictures compared, subtract each set's own mean, and average the distance of matching
points; they differ in which points, which mean, and whether points are averaged or summed (ATVG's code sums, its paper
and CP-EB's magnitudes mean). Frames without a face are NaN, left out and counted. Sources: nerf-methods.md §4,
one-shot-methods.md §6.3.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from talkface.metrics.rows import measured
from talkface.types import Score

Reduction = Literal["mean", "sum"]
Center = Literal["both", "per_eye", "none"]
MouthPoints = Literal["all20", "inner8", "outer12", "lips79"]

MOUTH_NAMES: dict[MouthPoints, str] = {
    "all20": "lmd",
    "inner8": "lmd_inner8",
    "outer12": "lmd_outer12",
    "lips79": "lmd_79",
}
"""Score name of each choice of mouth points; region "mouth"."""
EYE_NAMES: dict[Center, str] = {"both": "lmd_eye", "per_eye": "lmd_eye_per_eye", "none": "lmd_eye_none"}
"""Score name of each way of centring; region "eyes"."""
_OUTER, _INNER, _RIGHT_EYE, _LEFT_EYE = slice(48, 60), slice(60, 68), slice(36, 42), slice(42, 48)
_OUTER_79, _INNER_79 = 47, 32


def centred_distance(
    rendered: Float[np.ndarray, "frames points 2"],
    true: Float[np.ndarray, "frames points 2"],
    reduction: Reduction = "mean",
) -> Float[np.ndarray, " frames"]:
    """Distance of matching points after each set's mean is taken out: blind to where the points are as a whole."""
    difference = (rendered - rendered.mean(1, keepdims=True)) - (true - true.mean(1, keepdims=True))
    return _reduced(difference, reduction)


def mouth_distance(
    rendered: Float[np.ndarray, "frames 68 2"],
    true: Float[np.ndarray, "frames 68 2"],
    points: MouthPoints = "all20",
    reduction: Reduction = "mean",
) -> Float[np.ndarray, " frames"]:
    """LMD of the mouth per frame, px.

    Args:
        points: "all20" (48-67), "inner8" (60-67, CP-EB's), "outer12" (48-59), "lips79" (`lips_79`, NeRF-3DTalker's).
        reduction: "mean" over points, or "sum".
    """
    if points == "lips79":
        return centred_distance(lips_79(rendered), lips_79(true), reduction)
    part = {"all20": slice(48, 68), "inner8": _INNER, "outer12": _OUTER}[points]
    return centred_distance(rendered[:, part], true[:, part], reduction)


def eye_distance(
    rendered: Float[np.ndarray, "frames 68 2"],
    true: Float[np.ndarray, "frames 68 2"],
    center: Center = "both",
    reduction: Reduction = "mean",
) -> Float[np.ndarray, " frames"]:
    """LMD of the 12 eye points per frame, px.

    Args:
        center: what is taken out first: the mean of both eyes together (CP-EB's as we read it), of each eye alone, or
            nothing (then it sees where the eyes are, too).
    """
    eyes = slice(_RIGHT_EYE.start, _LEFT_EYE.stop)
    if center == "none":
        return _reduced(rendered[:, eyes] - true[:, eyes], reduction)
    if center == "both":
        return centred_distance(rendered[:, eyes], true[:, eyes], reduction)
    right, left = (centred_distance(rendered[:, eye], true[:, eye], reduction) for eye in (_RIGHT_EYE, _LEFT_EYE))
    return (right + left) / 2 if reduction == "mean" else right + left


def lips_79(landmarks: Float[np.ndarray, "frames 68 2"]) -> Float[np.ndarray, "frames 79 2"]:
    """The closed lip contours resampled by arc length: outer (48-59) to 47 points, inner (60-67) to 32.

    Each starts at the corner on the viewer's left (48, 60) and goes on over the upper lip. Which 79 points the paper
    means it does not say; this is our choice, comparable inside this project only.
    """
    outer, inner = landmarks[:, _OUTER], landmarks[:, _INNER]
    return np.concatenate([resampled(outer, _OUTER_79), resampled(inner, _INNER_79)], 1)


def resampled(contour: Float[np.ndarray, "frames points 2"], count: int) -> Float[np.ndarray, "frames count 2"]:
    """`count` points at equal arc length along a closed contour, the first at its first point.

    A contour of no length gives its only point; a frame with NaN stays NaN.
    """
    closed = np.concatenate([contour, contour[:, :1]], 1)
    steps = np.linalg.norm(np.diff(closed, axis=1), axis=-1)
    found = np.full((len(contour), count, 2), np.nan)
    for frame in np.flatnonzero(np.isfinite(contour).all((1, 2))):
        at = np.concatenate([[0.0], np.cumsum(steps[frame])])
        wanted = at[-1] * np.arange(count) / count
        for axis in range(2):
            found[frame, :, axis] = np.interp(wanted, at, closed[frame, :, axis])
    return found


def lmd_scores(
    rendered: Float[np.ndarray, "frames 68 2"],
    true: Float[np.ndarray, "frames 68 2"],
    backend: str = "talkface",
    reduction: Reduction = "mean",
    scale: float = 1.0,
    suffix: str = "",
) -> list[Score]:
    """Every landmark distance of a pair, px times `scale`.

    Args:
        backend: The landmark detector.
        reduction: "sum" adds `_sum` to the names.
        scale: px of these pictures to px of the size reported, with `suffix` to name it (such as "_256").
    """
    ending = suffix + ("_sum" if reduction == "sum" else "")
    per_frame = [
        (name, "mouth", mouth_distance(rendered, true, which, reduction)) for which, name in MOUTH_NAMES.items()
    ]
    per_frame += [(name, "eyes", eye_distance(rendered, true, how, reduction)) for how, name in EYE_NAMES.items()]
    return [_score(name + ending, distance * scale, region, backend) for name, region, distance in per_frame]


def _score(name: str, distance: np.ndarray, region: str, backend: str) -> Score:
    seen = np.isfinite(distance)
    mean = float(distance[seen].mean()) if seen.any() else float("nan")
    return measured(name, mean, False, int(seen.sum()), region, backend)


def _reduced(difference: np.ndarray, reduction: Reduction) -> np.ndarray:
    lengths = np.linalg.norm(difference, axis=-1)
    return lengths.sum(1) if reduction == "sum" else lengths.mean(1)
