"""Multi-resolution grid encodings, dense where a level fits its table and hashed where not.

Plain PyTorch that defines the answer. The layout is structure-of-arrays (one row per feature, one column per point),
indices are int32, and the backward pass is written by hand: on a CPU that is ten times faster than the textbook form
(performance.md section 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

PRIMES = (1, 2654435761, 805459861)
"""Spatial hash of Instant-NGP: coordinates times these, XORed, modulo a power of two."""


@dataclass(frozen=True)
class GridShape:
    """Levels of one grid, or of several grids of the same shape ("planes") that share one table.

    Level l has the scale ``s = coarsest * growth^l - 1``; a point x in [0, 1] lies at ``x * s + 0.5`` between nodes.
    Rows of a level follow each other plane by plane, levels from coarse to fine. (ER-NeRF's grid encoder; rows are
    rounded up to a multiple of 8 as there.)
    """

    dimensions: int
    levels: int
    coarsest: int
    finest: int
    log2_rows: int
    """A level has at most 2**log2_rows rows; larger ones are hashed."""
    planes: int = 1

    @property
    def scales(self) -> tuple[float, ...]:
        """Nodes per unit length of every level."""
        growth = math.log2(self.finest / self.coarsest) / max(self.levels - 1, 1)
        return tuple(self.coarsest * 2 ** (level * growth) - 1 for level in range(self.levels))

    @property
    def strides(self) -> tuple[int, ...]:
        """Nodes along one axis of every level."""
        return tuple(math.ceil(round(scale, 6)) + 2 for scale in self.scales)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of one plane at every level."""
        dense = [-(-(stride**self.dimensions) // 8) * 8 for stride in self.strides]
        return tuple(min(rows, 2**self.log2_rows) for rows in dense)

    @property
    def hashed(self) -> tuple[bool, ...]:
        """Whether a level does not fit its table."""
        return tuple(stride**self.dimensions > 2**self.log2_rows for stride in self.strides)

    @property
    def total_rows(self) -> int:
        """Rows of all planes and levels."""
        return self.planes * sum(self.rows)


def encode(
    points: Float[Tensor, "planes dimensions points"], table: Float[Tensor, "features rows"], shape: GridShape
) -> Float[Tensor, "encoded points"]:
    """Multilinear interpolation of `table` at `points` (in [0, 1], clamped), differentiable in both.

    The rows of the result are ordered feature, level, plane (slowest first).
    """
    return _Encode.apply(points, table, shape)


@lru_cache(maxsize=64)
def _constants(shape: GridShape, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Scales [levels, 1, 1, 1], strides [levels, 1, 1] and first rows [levels, planes, 1]."""
    scales = torch.tensor(shape.scales, dtype=dtype, device=device)[:, None, None, None]
    strides = torch.tensor(shape.strides, dtype=torch.int32, device=device)[:, None, None]
    starts, row = [], 0
    for rows in shape.rows:
        starts.append([row + plane * rows for plane in range(shape.planes)])
        row += shape.planes * rows
    return scales, strides, torch.tensor(starts, dtype=torch.int32, device=device)[:, :, None]


def _corner_rows(cell: list[Int[Tensor, "levels planes points"]], shape: GridShape, starts: Tensor) -> list[Tensor]:
    """Table rows of the 2^d nodes around every point, axis 0 in the lowest bit; flat int32."""
    _, strides, _ = _constants(shape, cell[0].device, torch.float32)
    dense = sum(not hashed for hashed in shape.hashed)  # levels are ordered, so the dense ones come first
    parts: list[list[Tensor]] = []
    if dense:
        per_axis = []
        for axis, nodes in enumerate(cell):
            pitch = strides[:dense] ** axis
            low = nodes[:dense] * pitch if axis else nodes[:dense] + starts[:dense]
            per_axis.append((low, low + pitch))
        parts.append(_combine(per_axis, torch.add))
    if dense < shape.levels:
        per_axis = []
        for axis, nodes in enumerate(cell):
            prime = PRIMES[axis] - 2**32 if PRIMES[axis] >= 2**31 else PRIMES[axis]  # the same bits as int32
            low = nodes[dense:] * prime if axis else nodes[dense:]
            per_axis.append((low, low + prime))
        mask = 2**shape.log2_rows - 1
        hashes = _combine(per_axis, torch.bitwise_xor)
        parts.append([(rows & mask).add_(starts[dense:]) for rows in hashes])
    return [torch.cat([part[corner] for part in parts]).reshape(-1) for corner in range(2**shape.dimensions)]


def _combine(per_axis: list[tuple[Tensor, Tensor]], join: Any) -> list[Tensor]:
    corners = list(per_axis[0])
    for low, high in per_axis[1:]:
        corners = [join(corner, side) for side in (low, high) for corner in corners]
    return corners


def _interpolate(corners: list[Tensor], fraction: list[Tensor]) -> Tensor:
    """Multilinear mix; axis 0 is the lowest bit of the corner number."""
    for weight in fraction:
        corners = [torch.lerp(corners[i], corners[i + 1], weight) for i in range(0, len(corners), 2)]
    return corners[0]


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, shape: GridShape) -> Tensor:
        scales, _, starts = _constants(shape, points.device, points.dtype)
        inside = points.clamp(0, 1)
        position = torch.addcmul(scales.new_tensor(0.5), inside[None], scales)  # [levels, planes, axes, points]
        cell = position.floor()
        fraction = [(position - cell)[:, :, axis].reshape(-1) for axis in range(shape.dimensions)]
        nodes = cell.to(torch.int32)
        rows = _corner_rows([nodes[:, :, axis] for axis in range(shape.dimensions)], shape, starts)
        ctx.shape, ctx.features, ctx.total = shape, table.shape[0], table.shape[1]
        ctx.save_for_backward(points, table, *fraction, *rows)
        count = shape.levels * shape.planes
        out = torch.empty(table.shape[0], count, points.shape[-1], dtype=table.dtype, device=table.device)
        for feature, values in enumerate(table):
            corners = [torch.index_select(values, 0, row) for row in rows]
            out[feature] = _interpolate(corners, fraction).reshape(count, -1)
        return out.reshape(table.shape[0] * count, points.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        points, table, *rest = ctx.saved_tensors
        shape: GridShape = ctx.shape
        fraction, rows = rest[: shape.dimensions], rest[shape.dimensions :]
        gradients = gradient.reshape(ctx.features, -1)
        for_table = for_points = None
        if ctx.needs_input_grad[1]:
            where = torch.cat(rows)
            for_table = torch.stack([_scatter(where, one, fraction, ctx.total) for one in gradients])
        if ctx.needs_input_grad[0]:
            parts = zip(table, gradients, strict=True)
            each = [_point_gradient(points, values, one, fraction, rows, shape) for values, one in parts]
            for_points = torch.stack(each).sum(0)
        return for_points, for_table, None


def _scatter(where: Tensor, gradient: Tensor, fraction: list[Tensor], total: int) -> Tensor:
    """Gradient of one feature column of the table: every point adds to its corners."""
    weights = [gradient]
    for weight in reversed(fraction):
        high = [part * weight for part in weights]
        weights = [side for part, up in zip(weights, high, strict=True) for side in (part - up, up)]
    values = torch.cat(weights)
    if values.device.type == "cpu" and values.dtype == torch.float32:
        return torch.bincount(where, values, total)  # the fastest scatter there, and in a fixed order
    return torch.zeros(total, dtype=values.dtype, device=values.device).index_add_(0, where, values)


def _point_gradient(
    points: Tensor, values: Tensor, gradient: Tensor, fraction: list[Tensor], rows: list[Tensor], shape: GridShape
) -> Tensor:
    scales, _, _ = _constants(shape, points.device, points.dtype)
    corners = [torch.index_select(values, 0, row) for row in rows]
    per_axis = []
    for axis in range(shape.dimensions):
        step = 1 << axis
        slopes = [corners[i + step] - corners[i] for i in range(len(corners)) if not i & step]
        others = [weight for other, weight in enumerate(fraction) if other != axis]
        per_axis.append((_interpolate(slopes, others) * gradient).reshape(shape.levels, shape.planes, -1))
    out = (torch.stack(per_axis, 2) * scales).sum(0)
    return out * ((points >= 0) & (points <= 1))
