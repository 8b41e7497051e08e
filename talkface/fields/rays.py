"""The box that a head lives in, and the rays of a camera through it.

Box coordinates: the head frame (x subject's left, y up, z out of the face) moved and scaled so that the box is the
cube [0, 1]^3. Centimetres become box units only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from talkface.types import Camera


@dataclass(frozen=True)
class HeadBox:
    """A cube in the head frame."""

    center_cm: tuple[float, float, float]
    side_cm: float

    def from_head(self, points_cm: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
        """Head-frame points, cm, into box coordinates."""
        return (points_cm - np.asarray(self.center_cm)) / self.side_cm + 0.5

    def to_head(self, points: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
        """Box coordinates back into the head frame, cm."""
        return (points - 0.5) * self.side_cm + np.asarray(self.center_cm)


class Rays(NamedTuple):
    """Rays of one pinhole view, in box coordinates: a common origin and unit directions."""

    origin: Float[Tensor, "3"]
    direction: Float[Tensor, "3 rays"]


def camera_rays(
    pixels: Float[Tensor, "rays 2"], camera: Camera, head_from_camera: Float[Tensor, "4 4"], box: HeadBox
) -> Rays:
    """Rays through image points (x, y; pixel corners are whole numbers), differentiable in `head_from_camera` (cm).

    Only the focal length and the principal point of `camera` are used; where it stands is `head_from_camera`.
    """
    center = torch.tensor(camera.center_px, dtype=pixels.dtype, device=pixels.device)
    plane = (pixels - center) / camera.focal_px
    local = torch.cat([plane, torch.ones_like(plane[:, :1])], 1).T
    direction = head_from_camera[:3, :3].to(pixels.dtype) @ local
    middle = torch.tensor(box.center_cm, dtype=pixels.dtype, device=pixels.device)
    origin = (head_from_camera[:3, 3].to(pixels.dtype) - middle) / box.side_cm + 0.5
    return Rays(origin, direction / direction.norm(dim=0, keepdim=True))


def cross_box(
    rays: Rays, low: Float[Tensor, "3"], high: Float[Tensor, "3"]
) -> tuple[Float[Tensor, " rays"], Float[Tensor, " rays"]]:
    """Distances at which rays enter and leave an axis-parallel box, box units; far <= near where a ray misses."""
    tiny = torch.where(rays.direction.abs() < 1e-9, 1e-9, rays.direction)
    first = (low - rays.origin)[:, None] / tiny
    second = (high - rays.origin)[:, None] / tiny
    near = torch.minimum(first, second).amax(0).clamp(min=0)
    far = torch.maximum(first, second).amin(0)
    return near, far
