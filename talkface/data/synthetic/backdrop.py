"""What stands behind the speaker: a wall with a few soft things on it, seen in perspective from any viewpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates

from talkface.types import Camera

_WALL_CM = (420.0, 640.0)
_PER_CM = 1.0


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A wall parallel to the source camera's picture plane."""

    texture: Float[np.ndarray, "h w 3"]
    """Linear colour, out of focus."""
    centre: Float[np.ndarray, 3]
    """Its middle in the world, cm."""

    def picture(self, camera: Camera) -> Float[np.ndarray, "height width 3"]:
        """Linear colours of the wall through a camera."""
        height, width = camera.size_px
        x = (np.arange(width) + 0.5 - camera.center_px[0]) / camera.focal_px
        y = (np.arange(height) + 0.5 - camera.center_px[1]) / camera.focal_px
        rays = np.stack([*np.meshgrid(x, y), np.ones((height, width))], -1) @ camera.world_from_camera[:3, :3].T
        origin = camera.world_from_camera[:3, 3]
        forward = np.minimum(rays[..., 2], -0.05)
        hit = origin + rays * ((self.centre[2] - origin[2]) / forward)[..., None]
        row = (self.centre[1] - hit[..., 1]) * _PER_CM + self.texture.shape[0] / 2
        column = (hit[..., 0] - self.centre[0]) * _PER_CM + self.texture.shape[1] / 2
        return np.stack(
            [map_coordinates(self.texture[..., k], [row, column], order=1, mode="nearest") for k in range(3)], -1
        ).astype(np.float32)


def backdrop(centre: Float[np.ndarray, 3], generator: np.random.Generator) -> Backdrop:
    """A wall with a gradient, a lit spot, and shelves, frames or panels in soft focus."""
    height, width = int(_WALL_CM[0] * _PER_CM), int(_WALL_CM[1] * _PER_CM)
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    hue = generator.uniform(0, 2 * np.pi)
    wall = 0.28 + 0.06 * np.cos(hue + np.array([0, 2.1, 4.2]))
    wall = wall * generator.uniform(0.5, 1.1)
    glow = np.exp(-(((column - generator.uniform(0.4, 0.6) * width) / 90) ** 2) - ((row - 0.45 * height) / 80) ** 2)
    texture = wall * (0.6 + 0.6 * glow + 0.12 * (1 - row / height))[..., None]
    for _ in range(generator.integers(14, 24)):
        x, y = width / 2 + generator.normal(0, 75), height / 2 + generator.normal(0, 45)
        w, h = generator.uniform(8, 45), generator.uniform(8, 45)
        inside = (np.abs(column - x) < w / 2) & (np.abs(row - y) < h / 2)
        border = (np.abs(column - x) < w / 2 + 3) & (np.abs(row - y) < h / 2 + 3) & ~inside
        paint = wall * generator.uniform(0.25, 1.5) * (1 + generator.normal(0, 0.25, 3))
        texture[inside] = paint.clip(0.01, 0.8)
        texture[border] *= 0.45
    soft = gaussian_filter(texture, (generator.uniform(2.5, 5.0),) * 2 + (0,))
    return Backdrop(soft.clip(0.003, 0.9).astype(np.float32), np.asarray(centre, float))
