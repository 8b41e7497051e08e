"""Encodings against closed forms and the definition of condition-linear planes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from talkface.fields.encodings import TRI_PLANE, ConditionedGrid, frequency, spherical_harmonics
from talkface.ops.hashgrid import GridShape, encode

PLANES = GridShape(2, 4, 8, 32, 8, planes=3)


def test_spherical_harmonics_equal_scipy_up_to_sign() -> None:
    """scipy knows nothing of our polynomials; signs and the order of real harmonics are conventions."""
    direction = torch.nn.functional.normalize(
        torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).double(), dim=0
    )
    ours = spherical_harmonics(direction).numpy()
    x, y, z = direction.numpy()
    polar, around = np.arccos(z), np.arctan2(y, x)
    row = 0
    for degree in range(4):
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), polar, around)
            real = value.real if order >= 0 else value.imag
            expected = real * (1 if order == 0 else np.sqrt(2))
            gap = min(np.abs(ours[row] - expected).max(), np.abs(ours[row] + expected).max())
            assert gap < 1e-9, (degree, order)
            row += 1


def test_frequency_encoding() -> None:
    values = torch.tensor([[0.3], [-1.2]])
    encoded = frequency(values, 2)
    expected = [0.3, -1.2, np.sin(0.3), np.sin(-1.2), np.sin(0.6), np.sin(-2.4)]
    torch.testing.assert_close(encoded[:6, 0], torch.tensor(expected, dtype=torch.float32))
    torch.testing.assert_close(encoded[6:, 0], torch.cos(torch.tensor([0.3, -1.2, 0.6, -2.4])))


def test_the_table_is_linear_in_the_condition() -> None:
    torch.manual_seed(0)
    grid = ConditionedGrid(PLANES, 2, conditions=3)
    torch.nn.init.normal_(grid.linear)
    condition = torch.tensor([0.5, -2.0, 1.5])
    expected = grid.base.clone()
    for weight, part in zip(condition, grid.linear, strict=True):
        expected += weight * part
    torch.testing.assert_close(grid.table(condition), expected)
    torch.testing.assert_close(grid.table(torch.zeros(3)), grid.base)
    assert grid.table(None) is grid.base


def test_planes_see_their_two_axes_only() -> None:
    """Moving a point along z must leave the features of plane XY alone, and change the others."""
    torch.manual_seed(0)
    grid = ConditionedGrid(PLANES)
    torch.nn.init.normal_(grid.base)
    one, two = torch.tensor([[0.3], [0.6], [0.2]]), torch.tensor([[0.3], [0.6], [0.7]])
    difference = (grid(one, grid.base) - grid(two, grid.base)).reshape(PLANES.levels, 3).abs().amax(0)
    assert difference[TRI_PLANE.index((0, 1))] == 0
    assert (difference[[TRI_PLANE.index((1, 2)), TRI_PLANE.index((0, 2))]] > 1e-3).all()


def test_solid_grid_is_the_plain_encoding() -> None:
    shape = GridShape(3, 3, 4, 16, 9)
    grid = ConditionedGrid(shape, 2)
    points = torch.rand(3, 9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(grid(points, grid.base), encode(points[None], grid.base, shape))
    assert grid.channels == 6
    with pytest.raises(ValueError):
        ConditionedGrid(GridShape(2, 3, 4, 16, 9))
