"""Where a head can be: a coarse grid of cells that lets rays skip empty space, and the march through it."""

from __future__ import annotations

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
    """Cells of the box that may hold matter; starts from a shell and is pruned by what training sees.

    `shell` is what geometry allows (never left again), `peak` a decaying maximum of the weights of each cell's
    samples, `occupied` what the march visits. All are buffers, so that a checkpoint resumes exactly.
    """

    shell: Tensor
    peak: Tensor
    occupied: Tensor

    def __init__(self, cells: int = 64) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("shell", torch.ones(cells, cells, cells, dtype=torch.bool))
        self.register_buffer("peak", torch.zeros(cells, cells, cells))
        self.register_buffer("occupied", torch.ones(cells, cells, cells, dtype=torch.bool))

    def start(self, shell: Bool[Tensor, "x y z"]) -> None:
        """Begin with the cells that geometry allows."""
        self.shell.copy_(shell)
        self.occupied.copy_(shell)
        self.peak.zero_()

    @torch.no_grad()
    def observe(self, points: Float[Tensor, "3 samples"], weight: Float[Tensor, " samples"]) -> None:
        """Note how much samples contributed to their rays; free, since training has just computed it."""
        cell = (points * self.cells).long().clamp_(0, self.cells - 1)
        flat = (cell[0] * self.cells + cell[1]) * self.cells + cell[2]
        self.peak.view(-1).scatter_reduce_(0, flat, weight, "amax")

    @torch.no_grad()
    def prune(self, threshold: float, decay: float = 0.5) -> None:
        """Keep cells where some sample had a weight above `threshold`, and their neighbours; forget by `decay`.

        Unlike pruning by density (ER-NeRF) this also drops what is hidden behind the surface, so that the few samples
        of a ray fall where they count (ours).
        """
        kept = ((self.peak > threshold) & self.shell).float()
        if kept.any():  # else nothing is known yet
            self.occupied.copy_((nn.functional.max_pool3d(kept[None], 3, 1, 1)[0] > 0) & self.shell)
        self.peak.mul_(decay)

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
