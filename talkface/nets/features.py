"""Perceptual features of pictures: LPIPS where the user has its network, else fixed random features."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from talkface import assets
from talkface.errors import UserError

ALEX = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
"""Inputs, outputs, kernel, stride, padding of AlexNet's convolutions; max-pooling 3/2 precedes the 2nd and 3rd."""


class LpipsAlex(nn.Module):
    """LPIPS v0.1 with AlexNet (Zhang et al. 2018): pictures in [0, 1] -> distance per picture.

    The file holds `features.{0,3,6,8,10}.{weight,bias}` of torchvision's AlexNet and `lin{0..4}.weight` of LPIPS.
    """

    name = "lpips"
    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in ALEX])
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros(o)) for _, o, *_ in ALEX])
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("spread", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False)

    @classmethod
    def load(cls, path: Path) -> LpipsAlex:
        """Read the user's file.

        Raises:
            UserError: it does not hold this network.
        """
        tensors = load_file(path)
        net = cls()
        try:
            for number, layer in zip((0, 3, 6, 8, 10), net.convolutions, strict=True):
                weights = {part: tensors[f"features.{number}.{part}"] for part in ("weight", "bias")}
                layer.load_state_dict(weights)
            for number, head in enumerate(net.heads):
                head.data.copy_(tensors[f"lin{number}.weight"].reshape(-1))
        except (KeyError, RuntimeError) as error:
            raise UserError(f"{path} does not hold LPIPS with AlexNet: {error}") from error
        return net

    def forward(
        self, picture: Float[Tensor, "n 3 height width"], truth: Float[Tensor, "n 3 height width"]
    ) -> Float[Tensor, " n"]:
        """Distance of pictures in [0, 1]; 0 for equal ones."""
        here, there = ((one * 2 - 1 - self.mean) / self.spread for one in (picture, truth))
        total = torch.zeros(len(picture), device=picture.device)
        for number, (layer, head) in enumerate(zip(self.convolutions, self.heads, strict=True)):
            if number in (1, 2):
                here, there = (nn.functional.max_pool2d(one, 3, 2) for one in (here, there))
            here, there = layer(here).relu(), layer(there).relu()
            difference = (_unit(here) - _unit(there)).square()
            total = total + (difference * head[:, None, None]).sum(1).mean((1, 2))
        return total


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


def perceptual_features() -> LpipsAlex | RandomFeatures:
    """The best network at hand; its `name` says which."""
    path = assets.find("lpips_alex")
    return LpipsAlex.load(path) if path else RandomFeatures()


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _zero_mean(kernel: Tensor) -> Tensor:
    kernel = kernel - kernel.mean((1, 2, 3), keepdim=True)
    return kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None]
