"""From pose-free landmarks to the few numbers that drive the field."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

MOUTH_AND_CHIN = (*range(4, 13), *range(48, 68))
BROWS = tuple(range(17, 27))


class LandmarkComponents(nn.Module):
    """Principal components of mouth and chin, and of the brows, in standard deviations, cut at +-`clamp`.

    Fitted to training frames only; kept as buffers, so that a checkpoint carries them. Ours (field-quality.md):
    eight mouth components hold 99 % of the variance of a speaker's mouth.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, mouth: int = 8, brow: int = 2, clamp: float = 2.5) -> None:
        super().__init__()
        self.mouth, self.brow, self.clamp = mouth, brow, clamp
        self.register_buffer("mean", torch.zeros(68 * 3))
        self.register_buffer("basis", torch.zeros(mouth + brow, 68 * 3))

    def fit(self, landmarks: Float[np.ndarray, "frames 68 3"]) -> None:
        """Find the components of the training frames (those with any NaN are left out)."""
        flat = landmarks.reshape(len(landmarks), -1)
        flat = flat[np.isfinite(flat).all(1)]
        mean = flat.mean(0)
        basis = np.zeros(self.basis.shape)
        row = 0
        for points, count in ((MOUTH_AND_CHIN, self.mouth), (BROWS, self.brow)):
            columns = (np.asarray(points)[:, None] * 3 + np.arange(3)).ravel()
            _, spread, directions = np.linalg.svd(flat[:, columns] - mean[columns], full_matrices=False)
            deviation = spread / np.sqrt(max(len(flat) - 1, 1))
            for one in range(min(count, int((deviation > 1e-6).sum()))):
                basis[row + one, columns] = directions[one] / deviation[one]
            row += count
        self.mean.copy_(torch.from_numpy(mean))
        self.basis.copy_(torch.from_numpy(basis))

    def forward(self, landmarks: Float[Tensor, "*frames 68 3"]) -> Float[Tensor, "*frames components"]:
        """Components of landmarks, cm; a NaN landmark counts as the mean."""
        offset = torch.nan_to_num(landmarks.flatten(-2).to(self.mean) - self.mean)
        return (offset @ self.basis.T).clamp(-self.clamp, self.clamp)
