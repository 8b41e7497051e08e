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

    What goes with the lids (cheeks and brows move in a blink, and so does what a detector reads) is taken out first:
    otherwise the components know of every blink of the training frames, the eye channel is left unlearned, and a
    commanded blink that comes with no such motion does not shut the eyes.
    """

    mean: Tensor
    basis: Tensor
    by_lids: Tensor
    usual_closure: Tensor

    def __init__(self, mouth: int = 8, brow: int = 2, clamp: float = 2.5) -> None:
        super().__init__()
        self.mouth, self.brow, self.clamp = mouth, brow, clamp
        self.register_buffer("mean", torch.zeros(68 * 3))
        self.register_buffer("basis", torch.zeros(mouth + brow, 68 * 3))
        self.register_buffer("by_lids", torch.zeros(68 * 3))
        self.register_buffer("usual_closure", torch.zeros(1))

    def fit(self, landmarks: Float[np.ndarray, "frames 68 3"], closure: Float[np.ndarray, " frames"]) -> None:
        """Find the components of the training frames (those with any NaN are left out); closure: 0 open to 1 shut."""
        flat = landmarks.reshape(len(landmarks), -1)
        known = np.isfinite(flat).all(1) & np.isfinite(closure)
        flat, lids = flat[known], closure[known] - closure[known].mean()
        mean = flat.mean(0)
        by_lids = lids @ (flat - mean) / max(float(lids @ lids), 1e-6)
        flat = flat - lids[:, None] * by_lids
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
        self.by_lids.copy_(torch.from_numpy(by_lids))
        self.usual_closure.fill_(float(closure[known].mean()))
        self.basis.copy_(torch.from_numpy(basis))

    def forward(
        self, landmarks: Float[Tensor, "*frames 68 3"], closure: Float[Tensor, "*frames 1"] | None = None
    ) -> Float[Tensor, "*frames components"]:
        """Components of landmarks, cm; a NaN landmark counts as the mean.

        Args:
            closure: Lids that moved the landmarks, 0 open to 1 shut; None: landmarks that no blink has moved.
        """
        offset = landmarks.flatten(-2).to(self.mean) - self.mean
        if closure is not None:
            offset = offset - (closure.to(self.mean) - self.usual_closure) * self.by_lids
        return (torch.nan_to_num(offset) @ self.basis.T).clamp(-self.clamp, self.clamp)
