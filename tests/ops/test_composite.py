"""Volume rendering against a loop, closed forms and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from talkface.ops.composite import accumulate, weights


def packed(seed: int, rays: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 6, (rays,), generator=generator)
    ray = torch.repeat_interleave(torch.arange(rays), counts)
    return torch.rand(len(ray), generator=generator, dtype=torch.float64) * 3, ray


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_loop(seed: int) -> None:
    depth, ray = packed(seed)
    expected, through, last = [], 1.0, -1
    for tau, number in zip(depth.tolist(), ray.tolist(), strict=True):
        if number != last:
            through, last = 1.0, number
        expected.append(through * (1 - math.exp(-tau)))
        through *= math.exp(-tau)
    torch.testing.assert_close(weights(depth, ray), torch.tensor(expected, dtype=torch.float64))


def test_a_uniform_slab() -> None:
    """Opacity of a slab is 1 - exp(-sigma L), however it is cut; its mean depth has a closed form as well."""
    sigma, length, count = 1.7, 2.0, 20_000
    step = length / count
    depth = torch.full((count,), sigma * step, dtype=torch.float64)
    ray = torch.zeros(count, dtype=torch.int64)
    weight = weights(depth, ray)
    assert float(weight.sum()) == pytest.approx(1 - math.exp(-sigma * length), rel=1e-9)
    where = (torch.arange(count, dtype=torch.float64)[None] + 0.5) * step
    mean = float(accumulate(weight, where, ray, 1))
    exact = 1 / sigma - math.exp(-sigma * length) * (length + 1 / sigma)
    assert mean == pytest.approx(exact, rel=1e-6)


def test_gradients() -> None:
    depth, ray = packed(9)
    values = torch.randn(3, len(ray), dtype=torch.float64, requires_grad=True)
    depth.requires_grad_()
    assert torch.autograd.gradcheck(lambda d, v: accumulate(weights(d, ray), v, ray, 7), (depth, values))


def test_rays_do_not_touch_each_other() -> None:
    """An opaque ray in front of the packed row must not darken the next; and no ray at all is fine."""
    ray = torch.tensor([0, 0, 1, 1, 3])
    depth = torch.tensor([1e6, 1e6, 0.5, 0.5, 1e-4])
    weight = weights(depth, ray)
    torch.testing.assert_close(weight[:2], torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(weight[2:4], weights(depth[2:4], ray[2:4]))
    assert float(weight[4]) == pytest.approx(1e-4, rel=1e-3)
    empty = weights(torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert accumulate(empty, torch.zeros(3, 0), torch.zeros(0, dtype=torch.int64), 4).eq(0).all()


def test_many_rays_keep_single_precision_exact() -> None:
    """A running sum over a quarter of a million opaque samples must not spoil the last ray."""
    ray = torch.arange(30_000).repeat_interleave(8)
    depth = torch.rand(len(ray), generator=torch.Generator().manual_seed(1)) * 20
    torch.testing.assert_close(weights(depth, ray)[-8:], weights(depth[-8:], ray[-8:]), atol=1e-6, rtol=1e-5)
