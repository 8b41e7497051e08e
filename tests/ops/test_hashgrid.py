"""The grid encoding against slow loops, finite differences and the published table sizes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from talkface.ops.hashgrid import PRIMES, GridShape, encode


def slow_encode(points, table, shape: GridShape):
    """One point, one level, one corner at a time, in Python integers."""
    planes, dimensions, count = points.shape
    features = table.shape[0]
    out = torch.zeros(features, shape.levels, planes, count, dtype=table.dtype)
    start = 0
    for level in range(shape.levels):
        growth = (shape.finest / shape.coarsest) ** (1 / max(shape.levels - 1, 1))
        scale = shape.coarsest * growth**level - 1
        stride, rows = shape.strides[level], shape.rows[level]
        for plane, point in itertools.product(range(planes), range(count)):
            position = [float(points[plane, axis, point]) * scale + 0.5 for axis in range(dimensions)]
            cell = [math.floor(value) for value in position]
            for corner in itertools.product((0, 1), repeat=dimensions):
                weight, node = 1.0, [c + o for c, o in zip(cell, corner, strict=True)]
                for value, low, side in zip(position, cell, corner, strict=True):
                    weight *= (value - low) if side else 1 - (value - low)
                if stride**dimensions <= 2**shape.log2_rows:
                    row = sum(n * stride**axis for axis, n in enumerate(node))
                else:
                    row = 0
                    for n, prime in zip(node, PRIMES, strict=False):
                        row ^= (n * prime) & 0xFFFFFFFF
                    row %= 2**shape.log2_rows
                assert row < rows
                out[:, level, plane, point] += weight * table[:, start + plane * rows + row]
        start += planes * rows
    return out.reshape(-1, count)


SHAPES = [
    GridShape(2, 5, 8, 64, 9, planes=3),
    GridShape(3, 4, 4, 20, 8),
    GridShape(2, 3, 4, 8, 12),
    GridShape(3, 2, 30, 60, 6),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("features", [1, 2])
def test_equals_the_slow_loop(shape: GridShape, features: int) -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(shape.planes, shape.dimensions, 23, generator=generator, dtype=torch.float64)
    points[..., 0], points[..., 1] = 0.0, 1.0
    table = torch.randn(features, shape.total_rows, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(encode(points, table, shape), slow_encode(points, table, shape))
    single = encode(points.float(), table.float(), shape)
    torch.testing.assert_close(single.double(), slow_encode(points, table, shape), atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(shape: GridShape) -> None:
    generator = torch.Generator().manual_seed(2)
    points = torch.rand(shape.planes, shape.dimensions, 4, generator=generator, dtype=torch.float64)
    table = torch.randn(2, shape.total_rows, generator=generator, dtype=torch.float64)
    points.requires_grad_()
    table.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: encode(p, table, shape), points, eps=1e-7, atol=1e-4)
    direction = torch.randn(table.shape, generator=generator, dtype=torch.float64)
    seed = torch.randn(2 * shape.levels * shape.planes, 4, generator=generator, dtype=torch.float64)
    (encode(points, table, shape) * seed).sum().backward()
    slope = ((encode(points, direction, shape)) * seed).sum()  # the encoding is linear in its table
    torch.testing.assert_close((table.grad * direction).sum(), slope)


def test_single_precision_scatter_equals_double() -> None:
    """float32 takes another route (bincount) than float64 (index_add)."""
    shape = SHAPES[0]
    points = torch.rand(3, 2, 500, generator=torch.Generator().manual_seed(3))
    seed = torch.randn(shape.levels * 3, 500, generator=torch.Generator().manual_seed(4))
    gradients = []
    for kind in (torch.float32, torch.float64):
        table = torch.zeros(1, shape.total_rows, dtype=kind, requires_grad=True)
        (encode(points.to(kind), table, shape) * seed.to(kind)).sum().backward()
        gradients.append(table.grad.double())
    torch.testing.assert_close(gradients[0], gradients[1], atol=2e-3, rtol=1e-3)


def test_published_sizes() -> None:
    """ER-NeRF's tri-plane, BLINK's landmark grid and the 3-D grid of the ablation (nerf-methods.md)."""
    triplane = GridShape(2, 12, 64, 512, 14, planes=3)
    assert triplane.rows[:5] == (4232, 6248, 9032, 13000, 16384)
    assert triplane.total_rows == 490_752
    assert GridShape(3, 16, 16, 2048, 16).total_rows == 903_480
    assert GridShape(3, 8, 4, 64, 12).total_rows == 21_232


def test_points_outside_are_clamped_and_have_no_gradient() -> None:
    shape = SHAPES[2]
    table = torch.randn(1, shape.total_rows, generator=torch.Generator().manual_seed(5))
    outside = torch.tensor([[[-0.3, 1.7], [0.4, 0.4]]], requires_grad=True)
    value = encode(outside, table, shape)
    torch.testing.assert_close(value, encode(outside.detach().clamp(0, 1), table, shape))
    value.sum().backward()
    assert outside.grad is not None
    assert outside.grad[0, 0].tolist() == [0, 0]
    assert (outside.grad[0, 1] != 0).all()
