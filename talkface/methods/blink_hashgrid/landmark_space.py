"""The space in which landmarks travel inside BLINK: z-scored by the person's training frames.

P of Eq. 6 and 7 is a pose-free 68-point set, z-scored per coordinate with the training mean and deviation (GeneFace's
choice; its further factor of ten cancels in the z-score). Clamps, the box of the hash grid and the eye points' own
units live here too, because all of them are facts of the same training frames.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from talkface.errors import UserError

LANDMARKS = 68
EYES = slice(36, 48)
"""Six points of the subject's right eye, then six of the left."""
BROWS = slice(17, 27)
MOUTH = slice(48, 68)
OUTER_CORNERS = (36, 45)
LEAST_FRAMES = 25
"""Under a second of usable frames a mean and a deviation mean nothing."""
CLAMP_DEVIATIONS = 2.5
"""Largest |z| of a predicted coordinate at inference (GeneFace)."""
CLAMP_UPPER_FACE_DEVIATIONS = 1.25
"""The same for x and y of brows and eyes (GeneFace)."""
BOX_MARGIN = 0.05
"""Free room on either side of the training range in the hash box."""
SMALLEST_DEVIATION_CM = 0.02
"""Floor of the deviation: a point that hardly moves would otherwise turn tracker noise into signal (our choice)."""


class LandmarkSpace(nn.Module):
    """Mean, deviation and range of one person's landmarks, as buffers that are saved with the weights."""

    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(LANDMARKS, 3))
        self.register_buffer("deviation", torch.ones(LANDMARKS, 3))
        self.register_buffer("low", -torch.ones(LANDMARKS, 3))
        self.register_buffer("high", torch.ones(LANDMARKS, 3))

    def fit(self, landmarks: Float[np.ndarray, "frames 68 3"], valid: Bool[np.ndarray, " frames"]) -> None:
        """Learn the person from the training frames (cm, head frame); frames not `valid` are left out.

        Raises:
            UserError: fewer than 25 usable frames.
        """
        usable = valid & np.isfinite(landmarks).all((1, 2))
        if usable.sum() < LEAST_FRAMES:
            raise UserError(
                f"only {int(usable.sum())} training frames show the face; at least {LEAST_FRAMES} are needed"
            )
        points = torch.as_tensor(landmarks[usable], dtype=torch.float32)
        self.mean.copy_(points.mean(0))
        self.deviation.copy_(points.std(0).clamp_min(SMALLEST_DEVIATION_CM))
        scored = self.normalise(points)
        self.low.copy_(scored.amin(0))
        self.high.copy_(scored.amax(0))

    def normalise(self, landmarks: Float[Tensor, "*shape 68 3"]) -> Float[Tensor, "*shape 68 3"]:
        """Centimetres to P."""
        return (landmarks - self.mean) / self.deviation

    def restore(self, scored: Float[Tensor, "*shape 68 3"]) -> Float[Tensor, "*shape 68 3"]:
        """P to centimetres."""
        return scored * self.deviation + self.mean

    def clamp(self, scored: Float[Tensor, "*shape 68 3"]) -> Float[Tensor, "*shape 68 3"]:
        """Keep a prediction where the field has been trained: 2.5 deviations, brows' and eyes' x and y 1.25."""
        limit = torch.full((LANDMARKS, 3), CLAMP_DEVIATIONS, device=scored.device)
        limit[BROWS, :2] = CLAMP_UPPER_FACE_DEVIATIONS
        limit[EYES, :2] = CLAMP_UPPER_FACE_DEVIATIONS
        return torch.maximum(torch.minimum(scored, limit), -limit)

    def box(self, scored: Float[Tensor, "*shape 68 3"]) -> Float[Tensor, "*shape 68 3"]:
        """P into the unit cube of each landmark: training range plus 5 % either side, clamped."""
        span = (self.high - self.low).clamp_min(1e-3)
        low = self.low - BOX_MARGIN * span
        return ((scored - low) / (span * (1 + 2 * BOX_MARGIN))).clamp(0, 1)

    def eye_points(self, scored: Float[Tensor, "*shape 68 3"]) -> Float[Tensor, "*shape 2 6 2"]:
        """x and y of each eye's six points about the middle of that eye of the mean face, in outer eye distances."""
        points = self.restore(scored)[..., EYES, :2].unflatten(-2, (2, 6))
        return (points - self._eye_middles()) / self._eye_distance()

    def with_eye_points(
        self, scored: Float[Tensor, "*shape 68 3"], eyes: Float[Tensor, "*shape 2 6 2"]
    ) -> Float[Tensor, "*shape 68 3"]:
        """P with x and y of points 36 to 47 replaced, inside the training range; z stays as it was."""
        points = (eyes * self._eye_distance() + self._eye_middles()).flatten(-3, -2)
        wanted = (points - self.mean[EYES, :2]) / self.deviation[EYES, :2]
        wanted = torch.maximum(torch.minimum(wanted, self.high[EYES, :2]), self.low[EYES, :2])
        result = scored.clone()
        result[..., EYES, :2] = wanted
        return result

    def _eye_middles(self) -> Float[Tensor, "2 1 2"]:
        return self.mean[EYES, :2].unflatten(0, (2, 6)).mean(1, keepdim=True)

    def _eye_distance(self) -> Float[Tensor, ""]:
        return (self.mean[OUTER_CORNERS[0]] - self.mean[OUTER_CORNERS[1]]).norm()
