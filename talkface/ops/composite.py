"""Volume rendering of packed samples: every ray has its own number of samples, stored one ray after the other.

Discrete form of the paper's equations 2 and 3: a sample of optical depth tau = sigma * delta lets exp(-tau) through,
and its weight is ``w_i = exp(-sum_{j<i} tau_j) (1 - exp(-tau_i))``.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

OPAQUE = 60.0
"""Optical depths are cut here: exp(-60) is nothing, and sums over many rays stay exact."""


def weights(depth: Float[Tensor, " samples"], ray: Int64[Tensor, " samples"]) -> Float[Tensor, " samples"]:
    """Share of every sample in the colour of its ray, differentiable in the optical depth.

    Args:
        depth: optical depth, density times step length, at least 0.
        ray: number of the ray of every sample, ascending; samples of a ray are ordered from near to far.
    """
    return _Weights.apply(depth, ray)


def accumulate(
    weight: Float[Tensor, " samples"],
    values: Float[Tensor, "channels samples"],
    ray: Int64[Tensor, " samples"],
    rays: int,
) -> Float[Tensor, "channels rays"]:
    """Sum of weighted sample values per ray, for colours, depths or features."""
    return torch.zeros(values.shape[0], rays, dtype=values.dtype, device=values.device).index_add(
        1, ray, values * weight
    )


def _exclusive(values: Tensor, ray: Tensor) -> Tensor:
    """Sum over the earlier samples of the same ray; in double precision because all rays share one running sum."""
    running = torch.cumsum(values.double(), 0)
    before = running - values
    if not len(values):
        return values
    first = torch.ones_like(ray, dtype=torch.bool)
    first[1:] = ray[1:] != ray[:-1]
    start = torch.cummax(torch.where(first, torch.arange(len(ray), device=ray.device), 0), 0).values
    return (before - before[start]).to(values.dtype)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, depth: Tensor, ray: Tensor) -> Tensor:
        depth = depth.clamp(max=OPAQUE)
        before = torch.exp(-_exclusive(depth, ray))
        through = torch.exp(-depth)
        weight = before * (1 - through)
        ctx.save_for_backward(before * through, weight, ray, depth)
        return weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        behind, weight, ray, depth = ctx.saved_tensors
        shaded = gradient * weight
        after = _exclusive(shaded.flip(0), ray.flip(0)).flip(0)
        return (gradient * behind - after) * (depth < OPAQUE), None
