"""Encodings of position and direction: grids whose tables may follow a condition, spherical harmonics, frequencies."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface.ops.hashgrid import GridShape, encode

TRI_PLANE = ((0, 1), (1, 2), (0, 2))
"""Axes of the planes XY, YZ and XZ (paper equation 4)."""


class ConditionedGrid(nn.Module):
    """Learned grid features of a point in the unit cube: three hash planes, or one 3-D hash grid.

    With `conditions` > 0 the table is linear in a condition, ``T(c) = T_0 + sum_k c_k T_k`` (ours: field-quality.md).
    The sum is formed once per frame by `table`, so that a sample costs the same.
    """

    def __init__(self, shape: GridShape, features: int = 1, conditions: int = 0) -> None:
        super().__init__()
        if shape.dimensions == 2 and shape.planes != len(TRI_PLANE):
            raise ValueError("a 2-D grid here has the three planes XY, YZ, XZ")
        self.shape, self.features = shape, features
        self.base = nn.Parameter(torch.empty(features, shape.total_rows).uniform_(-1e-4, 1e-4))
        self.linear = nn.Parameter(torch.zeros(conditions, features, shape.total_rows)) if conditions else None

    @property
    def channels(self) -> int:
        """Rows of the encoding."""
        return self.features * self.shape.levels * self.shape.planes

    def table(self, condition: Float[Tensor, " conditions"] | None) -> Float[Tensor, "features rows"]:
        """The table under one condition; `None` and zero give T_0."""
        if self.linear is None or condition is None:
            return self.base
        return self.base + (condition @ self.linear.flatten(1)).reshape_as(self.base)

    def forward(
        self, points: Float[Tensor, "3 samples"], table: Float[Tensor, "features rows"]
    ) -> Float[Tensor, "channels samples"]:
        """Features at `points` in [0, 1]^3 from a table of `table`."""
        if self.shape.dimensions == 3:
            return encode(points[None], table, self.shape)
        planes = torch.stack([torch.stack([points[first], points[second]]) for first, second in TRI_PLANE])
        return encode(planes, table, self.shape)


def spherical_harmonics(direction: Float[Tensor, "3 rays"]) -> Float[Tensor, "16 rays"]:
    """Real spherical harmonics up to degree 3 (ER-NeRF's "degree 4") of unit directions, orthonormal on the sphere."""
    x, y, z = direction
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    one = torch.ones_like(x)
    return torch.stack(
        [
            0.28209479177387814 * one,
            -0.48860251190291987 * y,
            0.48860251190291987 * z,
            -0.48860251190291987 * x,
            1.0925484305920792 * xy,
            -1.0925484305920792 * yz,
            0.94617469575755997 * zz - 0.31539156525251999,
            -1.0925484305920792 * xz,
            0.54627421529603959 * (xx - yy),
            0.59004358992664352 * y * (-3 * xx + yy),
            2.8906114426405538 * xy * z,
            0.45704579946446572 * y * (1 - 5 * zz),
            0.3731763325901154 * z * (5 * zz - 3),
            0.45704579946446572 * x * (1 - 5 * zz),
            1.4453057213202769 * z * (xx - yy),
            0.59004358992664352 * x * (-xx + 3 * yy),
        ]
    )


def frequency(values: Float[Tensor, "channels samples"], octaves: int) -> Float[Tensor, "encoded samples"]:
    """The values themselves, then sine and cosine of 2^0 .. 2^(octaves-1) times them (NeRF, without the pi)."""
    scaled = torch.cat([values * 2.0**octave for octave in range(octaves)])
    return torch.cat([values, scaled.sin(), scaled.cos()])
