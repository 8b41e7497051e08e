"""Where a head can be: a coarse grid of cells that lets rays skip empty space, and the march through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from talkface.fields.rays import Rays, cross_box


class Samples(NamedTuple):
    """Samples of many rays, ray after ray, near to far."""

    points: Float[Tensor, "3 samples"]
    """Box coordinates."""
    ray: Int64[Tensor, " samples"]
    distance: Float[Tensor, " samples"]
    """Along the ray, box units."""


class Occupancy(nn.Module):
    """Cells of the box that may hold matter; starts from a shell and is pruned by the learned density.

    `shell` is what geometry allows (never left again), `peak` a decaying maximum of each cell's density, `occupied`
    what the march visits. All are buffers, so that a checkpoint resumes exactly.
    """

    shell: Tensor
    peak: Tensor
    occupied: Tensor

    def __init__(self, cells: int = 64) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("shell", torch.ones(cells, cells, cells, dtype=torch.bool))
        self.register_buffer("peak", torch.full((cells, cells, cells), torch.inf))
        self.register_buffer("occupied", torch.ones(cells, cells, cells, dtype=torch.bool))

    def start(self, shell: Bool[Tensor, "x y z"]) -> None:
        """Begin with the cells that geometry allows."""
        self.shell.copy_(shell)
        self.occupied.copy_(shell)
        self.peak.fill_(torch.inf)

    @torch.no_grad()
    def refresh(
        self,
        density: Callable[[Tensor], Tensor],
        threshold: float,
        generator: torch.Generator,
        decay: float = 0.8,
        rounds: int = 1,
    ) -> None:
        """Measure the density at a random point of every shell cell and keep cells above `threshold`, dilated by one.

        Args:
            density: box points [3, n] -> densities [n], under one condition (call again for others).
            threshold: density per box unit below which a cell is empty.
            decay: how fast an old maximum is forgotten (ER-NeRF: 0.95 every 16 steps; ours is called more rarely).
            rounds: points per cell.
        """
        cells = self.shell.nonzero()
        found = torch.zeros(len(cells), device=cells.device)
        for _ in range(rounds):
            jitter = torch.rand(cells.shape, generator=generator, device=generator.device).to(cells.device)
            points = ((cells + jitter) / self.cells).T
            values = torch.cat([density(part) for part in points.split(8192, 1)])
            found = torch.maximum(found, values)
        index = tuple(cells.T)
        old = self.peak[index]
        self.peak[index] = torch.where(old.isinf(), found, torch.maximum(old * decay, found))
        kept = ((self.peak > threshold) & self.shell).float()
        self.occupied.copy_((nn.functional.max_pool3d(kept[None], 3, 1, 1)[0] > 0) & self.shell)

    @torch.no_grad()
    def bounds(self) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """Lowest and highest corner of the occupied cells, box coordinates."""
        cells = self.occupied.nonzero()
        if not len(cells):
            zero = torch.zeros(3, device=cells.device)
            return zero, zero
        return cells.amin(0) / self.cells, (cells.amax(0) + 1) / self.cells

    @torch.no_grad()
    def march(
        self, rays: Rays, step: float, most: int, offset: Float[Tensor, " rays"] | float = 0.5
    ) -> tuple[Int64[Tensor, " samples"], Float[Tensor, " samples"]]:
        """The first `most` samples of every ray in occupied cells: ray numbers and distances.

        Args:
            step: distance between samples, box units.
            offset: where in its step a sample lies, 0 to 1; random while training.
        """
        low, high = self.bounds()
        near, far = cross_box(rays, low, high)
        count = int(((far - near).clamp(min=0).amax() / step).ceil()) if len(near) else 0
        if count == 0:
            empty = torch.zeros(0, device=near.device)
            return empty.long(), empty
        shift = offset if isinstance(offset, float) else offset[:, None]
        distance = near[:, None] + (torch.arange(count, device=near.device) + shift) * step
        flat = torch.zeros(1, dtype=torch.int32, device=near.device)
        for axis in range(3):
            place = torch.addcmul(rays.origin[axis], distance, rays.direction[axis][:, None])
            flat = flat * self.cells + (place * self.cells).to(torch.int32).clamp_(0, self.cells - 1)
        hit = torch.index_select(self.occupied.reshape(-1), 0, flat.reshape(-1)).reshape(flat.shape)
        hit &= distance < far[:, None]
        hit &= hit.cumsum(1, dtype=torch.int32) <= most
        ray, number = hit.nonzero(as_tuple=True)
        return ray, distance[ray, number]

    def samples(self, rays: Rays, step: float, most: int, offset: Float[Tensor, " rays"] | float = 0.5) -> Samples:
        """`march`, with the points themselves; differentiable in the rays."""
        ray, distance = self.march(rays, step, most, offset)
        return Samples(rays.origin[:, None] + rays.direction[:, ray] * distance, ray, distance)


def cell_centers(cells: int) -> Float[Tensor, "3 cells"]:
    """Box coordinates of all cell centres, x slowest."""
    line = (torch.arange(cells) + 0.5) / cells
    return torch.stack(torch.meshgrid(line, line, line, indexing="ij")).reshape(3, -1)
