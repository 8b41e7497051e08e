"""Loss terms that several methods share."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface.nets.features import RandomFeatures, perceptual_features
from talkface.nets.lpips import Lpips

LPIPS_OF_NOISE = 0.12
"""About what LPIPS-Alex says of a smooth patch with noise of standard deviation 0.05; our estimate."""


class Perceptual(nn.Module):
    """A perceptual distance and the factor that makes a weight meant for LPIPS fit it.

    `scale` is 1 for LPIPS. A stand-in is scaled to `LPIPS_OF_NOISE` on a fixed smooth pattern with noise (ours): as
    both distances start at 0 for equal pictures, their slopes towards the truth are then equal there, and
    "lambda = 0.001" means the same pull on the pixels. Patches too small for LPIPS are enlarged bilinearly to the
    least size it can judge.
    """

    def __init__(self, features: Lpips | RandomFeatures) -> None:
        super().__init__()
        self.features, self.name = features, features.name
        self.scale = 1.0 if isinstance(features, Lpips) else LPIPS_OF_NOISE / _distance_of_noise(features)

    def forward(
        self, picture: Float[Tensor, "n 3 height width"], truth: Float[Tensor, "n 3 height width"]
    ) -> Float[Tensor, ""]:
        """Mean distance of pictures in [0, 1]."""
        side, least = (
            min(picture.shape[-2:]),
            self.features.backbone.least_px if isinstance(self.features, Lpips) else 1,
        )
        if side < least:
            size = [-(-length * least // side) for length in picture.shape[-2:]]
            picture, truth = (nn.functional.interpolate(one, size=size, mode="bilinear") for one in (picture, truth))
        return self.features(picture, truth).mean()


def perceptual_loss(device: torch.device) -> Perceptual:
    """LPIPS where its file is, else the calibrated stand-in."""
    return Perceptual(perceptual_features()).to(device)


def binary_entropy(opacity: Float[Tensor, " rays"]) -> Float[Tensor, " rays"]:
    """Entropy of opacities in bits: 0 where a ray is empty or opaque, 1 at one half (ER-NeRF)."""
    inside = opacity.clamp(1e-5, 1 - 1e-5)
    return -inside * inside.log2() - (1 - inside) * (1 - inside).log2()


def _distance_of_noise(features: nn.Module, side: int = 32) -> float:
    generator = torch.Generator().manual_seed(7)
    truth = nn.functional.interpolate(torch.rand(1, 3, 6, 6, generator=generator), size=(side, side), mode="bilinear")
    noise = 0.05 * torch.randn(truth.shape, generator=generator)
    return float(features(truth + noise, truth))
