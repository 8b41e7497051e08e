"""Light and shading: several lights baked into one lookup over the normals that a camera can see.

Every surface point is shaded per sample by its interpolated normal. For a viewer that is far compared with the head the
light that a normal returns depends on the normal alone, so diffuse light (with the soft, reddish edge of skin) and the
highlights of oily and of wet surfaces are tables over the disc of visible normals: two gathers per sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from talkface.types import Camera

_SIDE = 257
_WRAP = np.array([0.42, 0.22, 0.16], np.float32)
"""How far light creeps past the terminator in red, green and blue: a cheap stand-in for scattering in skin."""
_OIL_POWER, _WET_POWER = 14.0, 180.0


@dataclass(frozen=True)
class Lamp:
    """A distant lamp; direction towards it in the world, colour in linear light."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class LightTable:
    """Returned light over the disc of normals (x right, y up in the camera), `_SIDE` squared entries."""

    diffuse: Float[np.ndarray, "entries 3"]
    oil: Float[np.ndarray, "entries 3"]
    wet: Float[np.ndarray, "entries 3"]

    def shade(
        self,
        normal_xy: Float[np.ndarray, "hits 2"],
        albedo: Float[np.ndarray, "hits 3"],
        gloss: Float[np.ndarray, "hits 2"],
    ) -> Float[np.ndarray, "hits 3"]:
        """Linear colour of samples; `gloss` holds the strength of the oily and the wet highlight."""
        cell = np.rint((normal_xy * 0.5 + 0.5) * (_SIDE - 1)).astype(np.int32).clip(0, _SIDE - 1)
        entry = cell[:, 1] * _SIDE + cell[:, 0]
        colour = np.take(self.diffuse, entry, 0)
        colour *= albedo
        colour += np.take(self.oil, entry, 0) * gloss[:, :1]
        shiny = np.flatnonzero(gloss[:, 1] > 0.01)
        colour[shiny] += np.take(self.wet, entry[shiny], 0) * gloss[shiny, 1:]
        return colour


def studio(generator: np.random.Generator) -> tuple[Lamp, ...]:
    """A key, a fill, a rim and a top lamp, varied a little in place, strength and warmth."""
    side = generator.choice([-1.0, 1.0])
    warm = generator.uniform(-0.06, 0.08)
    tone = np.array([1 + warm, 1.0, 1 - warm])

    def lamp(direction: tuple[float, float, float], strength: float, tint: np.ndarray) -> Lamp:
        moved = np.array(direction) + generator.normal(0, 0.08, 3)
        moved /= np.linalg.norm(moved)
        colour = strength * generator.uniform(0.9, 1.1) * tint
        return Lamp(
            (float(moved[0]), float(moved[1]), float(moved[2])), (float(colour[0]), float(colour[1]), float(colour[2]))
        )

    return (
        lamp((-0.55 * side, 0.55, 0.75), 0.85, tone),
        lamp((0.75 * side, 0.15, 0.65), 0.34, tone[::-1]),
        lamp((0.7 * side, 0.35, -0.75), 0.5, tone[::-1]),
        lamp((0.0, 0.95, 0.25), 0.22, np.ones(3)),
    )


def light_table(lamps: tuple[Lamp, ...], camera: Camera) -> LightTable:
    """The lamps as seen through a camera, over an ambient light that is brighter from above."""
    axis = np.linspace(-1, 1, _SIDE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y).clip(1e-6)
    shrink = np.minimum(1.0, 0.999 / radius)
    x, y = x * shrink, y * shrink
    z = np.sqrt(1 - x**2 - y**2)
    # Camera axes are right, down, forward; the table's are right, up, towards the viewer.
    world = np.stack([x, -y, -z], -1).reshape(-1, 3) @ camera.world_from_camera[:3, :3].T.astype(np.float32)
    eye = -camera.world_from_camera[:3, 2].astype(np.float32)
    reflected = 2 * (world @ eye)[:, None] * world - eye

    up = world[:, 1:2] * 0.5 + 0.5
    diffuse = 0.17 * (1 - up) * np.array([1.0, 0.86, 0.76]) + 0.30 * up * np.array([0.95, 0.98, 1.04])
    oil = np.zeros_like(world)
    wet = np.zeros_like(world)
    for lamp in lamps:
        direction = np.array(lamp.direction, np.float32)
        facing = (world @ direction)[:, None]
        diffuse = diffuse + np.array(lamp.colour) * (((facing + _WRAP) / (1 + _WRAP)).clip(0)) ** 1.3
        mirror = (reflected @ direction).clip(0)[:, None]
        oil += np.array(lamp.colour, np.float32) * mirror**_OIL_POWER
        wet += np.array(lamp.colour, np.float32) * mirror**_WET_POWER
    # Skin shines more at grazing angles.
    grazing = (1 - (world @ eye).clip(0))[:, None] ** 3
    oil = oil * (1 + 2.5 * grazing) + 0.05 * grazing
    return LightTable(diffuse.astype(np.float32), oil.astype(np.float32), wet.astype(np.float32))


def to_srgb(linear: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Linear light to display values in [0, 1], with a soft shoulder above 0.8."""
    soft = np.where(linear > 0.8, 0.8 + 0.2 * (1 - np.exp(-(linear - 0.8) / 0.2)), linear)
    return (soft.clip(0, 1) ** np.float32(1 / 2.2)).astype(np.float32)
