"""Perceptual features of pictures: LPIPS where the user has its network, else fixed random features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface.nets.lpips import Lpips, find_lpips


class RandomFeatures(nn.Module):
    """Mean absolute difference of fixed random convolution features at three scales (ours, when LPIPS is absent).

    Filters have zero mean, so that plain brightness does not count; they are the same in every run (fixed seed).
    """

    name = "random_features"

    def __init__(self, channels: int = 32, scales: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2024)
        self.scales = scales
        first = torch.randn(channels, 3, 5, 5, generator=generator)
        second = torch.randn(channels, channels, 3, 3, generator=generator)
        self.register_buffer("first", _zero_mean(first))
        self.register_buffer("second", _zero_mean(second))

    def forward(
        self, picture: Float[Tensor, "n 3 height width"], truth: Float[Tensor, "n 3 height width"]
    ) -> Float[Tensor, " n"]:
        """Distance of pictures; 0 for equal ones."""
        total = torch.zeros(len(picture), device=picture.device)
        for _ in range(self.scales):
            here, there = picture, truth
            for kernel in (self.get_buffer("first"), self.get_buffer("second")):
                pad = kernel.shape[-1] // 2
                here, there = (
                    nn.functional.leaky_relu(nn.functional.conv2d(one, kernel, padding=pad), 0.2)
                    for one in (here, there)
                )
                total = total + (here - there).abs().mean((1, 2, 3))
            picture, truth = (nn.functional.avg_pool2d(one, 2) for one in (picture, truth))
            if min(picture.shape[-2:]) < 4:
                break
        return total


def perceptual_features() -> Lpips | RandomFeatures:
    """The best network at hand; its `name` says which."""
    return find_lpips("alex") or RandomFeatures()


def _zero_mean(kernel: Tensor) -> Tensor:
    kernel = kernel - kernel.mean((1, 2, 3), keepdim=True)
    return kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None]
