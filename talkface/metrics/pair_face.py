"""Pose, action units and expression of a pair, from the face model fitted to both videos (`metrics.expression`)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from talkface.errors import UserError
from talkface.metrics.action_units import fitted_scores
from talkface.metrics.expression import expression_scores, fit_face
from talkface.metrics.face import pose_scores
from talkface.metrics.rows import absent
from talkface.types import FPS, Score

FITTED_FRAMES = 3_000
"""The fit sees the first two minutes, which keeps memory constant."""
LEAST_FRAMES = 25
_NAMES = (
    ("pose_error_deg", False, "head"),
    ("pose_error_mm", False, "head"),
    ("unsteadiness_deg", False, "head"),
    ("unsteadiness_ratio", False, "head"),
    ("au@fit", True, "face"),
    ("au_f1@fit", True, "face"),
    ("au_r@fit", True, "face"),
    ("exp_diff@ict", False, "face"),
)


class FittedPair:
    """Gathers the meshes of both videos; the video is fitted as the truth's person seen by the truth's camera."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        self._size_px = size_px
        self._true: list[np.ndarray] = []
        self._made: list[np.ndarray] = []

    def add(self, true: Float[np.ndarray, "478 3"], made: Float[np.ndarray, "478 3"]) -> None:
        """The meshes of the next frame of both, px; NaN without a face."""
        if len(self._true) < FITTED_FRAMES:
            self._true.append(true.astype(np.float32))
            self._made.append(made.astype(np.float32))

    def scores(self) -> dict[str, list[Score]]:
        """Scores of "truth" (against itself) and "video"."""
        points = [np.array(one, np.float64).reshape(-1, 478, 3) for one in (self._true, self._made)]
        seen = min(int(np.isfinite(one[:, 0, 0]).sum()) for one in points)
        if seen < LEAST_FRAMES:
            return self._nothing(f"a face is needed in {LEAST_FRAMES} frames of both videos; there are {seen}")
        try:
            true = fit_face(points[0], self._size_px, FPS)
            fits = {"truth": true, "video": fit_face(points[1], self._size_px, FPS, like=true)}
        except UserError as error:
            return self._nothing(str(error))
        return {
            row: [*pose_scores(fit, true), *fitted_scores(fit, true), *expression_scores(fit, true)]
            for row, fit in fits.items()
        }

    @staticmethod
    def _nothing(why: str) -> dict[str, list[Score]]:
        scores = [absent(name, higher, why, region, "joint fit") for name, higher, region in _NAMES]
        return {"truth": scores, "video": scores}
