"""From a field and rays to colour, opacity and depth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from talkface.fields.occupancy import Occupancy
from talkface.fields.radiance import Frozen, RadianceField
from talkface.fields.rays import Rays
from talkface.ops.composite import accumulate, weights


class Rendered(NamedTuple):
    """What rays see; colour is premultiplied: the head over a plate is ``colour + (1 - opacity) * plate``."""

    colour: Float[Tensor, "3 rays"]
    opacity: Float[Tensor, " rays"]
    depth: Float[Tensor, " rays"]
    """Weighted distance from the camera, box units; divide by the opacity for the mean."""


def render_rays(
    field: RadianceField,
    occupancy: Occupancy,
    rays: Rays,
    frozen: Frozen,
    step: float,
    most: int,
    offset: Float[Tensor, " rays"] | float = 0.5,
    kind: torch.dtype = torch.float32,
    observe: bool = False,
) -> Rendered:
    """Differentiable rendering of a batch of rays; see `Occupancy.march` for `step`, `most` and `offset`.

    With `observe` the occupancy learns which cells matter.
    """
    count = rays.direction.shape[1]
    samples = occupancy.samples(rays, step, most, offset)
    density, colour = field(samples.points, samples.ray, rays.direction, frozen, kind)
    weight = weights(density * step, samples.ray)
    if observe:
        occupancy.observe(samples.points.detach(), weight.detach())
    values = torch.cat([colour, torch.ones_like(colour[:1]), samples.distance[None]])
    sums = accumulate(weight, values, samples.ray, count)
    return Rendered(sums[:3], sums[3], sums[4])


@torch.no_grad()
def render_image(
    field: RadianceField,
    occupancy: Occupancy,
    rays: Rays,
    frozen: Frozen,
    step: float,
    most: int,
    kind: torch.dtype = torch.float32,
    chunk: int = 16_384,
    round_samples: int = 4,
    enough: float = 0.005,
) -> Rendered:
    """Render many rays without gradients, in chunks of about `chunk` samples; rays stop once they are opaque.

    Every ray first takes `round_samples` samples; those that still let more than `enough` light through take the next
    ones, and so on.
    """
    count = rays.direction.shape[1]
    ray, distance = occupancy.march(rays, step, most)
    sums = torch.zeros(5, count, device=distance.device)
    through = torch.ones(count, device=distance.device)
    first = torch.ones_like(ray, dtype=torch.bool)
    first[1:] = ray[1:] != ray[:-1]
    place = torch.arange(len(ray), device=ray.device)
    order = place - torch.cummax(torch.where(first, place, 0), 0).values if len(ray) else ray
    for begin in range(0, most, round_samples):
        wanted = (order >= begin) & (order < begin + round_samples) & (through[ray] > enough)
        chosen = wanted.nonzero()[:, 0]
        if not len(chosen):
            break
        bits = [_shade(field, rays, frozen, ray[part], distance[part], step, kind) for part in chosen.split(chunk)]
        density = torch.cat([bit[0] for bit in bits])
        colour = torch.cat([bit[1] for bit in bits], 1)
        ray_here, distance_here = ray[chosen], distance[chosen]
        weight = weights(density * step, ray_here) * through[ray_here]
        values = torch.cat([colour, torch.ones_like(colour[:1]), distance_here[None]])
        sums += accumulate(weight, values, ray_here, count)
        through = 1 - sums[3]
    return Rendered(sums[:3], sums[3], sums[4])


def _shade(
    field: RadianceField, rays: Rays, frozen: Frozen, ray: Tensor, distance: Tensor, step: float, kind: torch.dtype
) -> tuple[Tensor, Tensor]:
    points = rays.origin[:, None] + rays.direction[:, ray] * distance
    return field(points, ray, rays.direction, frozen, kind)
