"""What a speaker wears: hair or cap as a lift off the skull, hanging hair, and a dressed torso."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from talkface.data.synthetic.anatomy import AXIS_Z_CM
from talkface.data.synthetic.paint import WIDTH, Look, hairline

CLOTH_HEIGHT = 360
"""Rows of the cloth's texture; it is as wide as the skin's."""
_AROUND, _DOWN = 72, 44
_DROP = np.array([0.0, 0.06, 0.14, 0.26, 0.38, 0.5, 0.62, 0.75, 1.0])
_HALF_WIDTH = np.array([5.6, 6.3, 8.6, 12.6, 16.2, 18.8, 20.2, 21.0, 22.0])
_HALF_DEPTH = np.array([5.5, 6.1, 6.9, 8.0, 9.0, 9.8, 10.4, 11.0, 11.5])
_LEVEL = np.array([-11.2, -12.2, -13.2, -14.8, -16.6, -19.2, -23.2, -31.0, -60.0])


@dataclass(frozen=True, eq=False)
class Garment:
    """A mesh in the neutral head's frame with texture coordinates into its own texture."""

    vertices: Float[np.ndarray, "vertices 3"]
    triangles: Int[np.ndarray, "triangles 3"]
    texels: Float[np.ndarray, "vertices 2"]


def hair_lift(points: Float[np.ndarray, "n 3"], look: Look, generator: np.random.Generator) -> Float[np.ndarray, " n"]:
    """How far hair or cap stands off the skull at canonical head points, cm; 0 on the face."""
    if look.style == "bald":
        return np.zeros(len(points), np.float32)
    angle = np.arctan2(points[:, 0], points[:, 2] - AXIS_Z_CM)
    above = points[:, 1] - hairline(angle, look)
    if look.style == "cap":
        rim = 1 + 0.35 * np.exp(-(((above - 1.2) / 1.2) ** 2))
        return (look.thickness_cm * (above / 0.5).clip(0, 1) * rim).astype(np.float32)
    waves = sum(np.sin(points @ generator.normal(0, 0.9, 3) + generator.uniform(0, 6.3)) for _ in range(5))
    rise = (above / 2.5).clip(0, 1)
    rise = rise * rise * (3 - 2 * rise)
    return (look.thickness_cm * rise * (1 + 0.12 * waves)).clip(0).astype(np.float32)


def hanging_hair(look: Look, generator: np.random.Generator) -> Garment | None:
    """A bob: two layers of hair from temple to temple behind the face, down to the neck. None for other styles."""
    if look.style != "bob":
        return None
    around = np.radians(np.linspace(50, 310, 64))
    down = np.linspace(0, 1, 22)
    length = generator.uniform(11.0, 15.0)
    angle, drop = np.meshgrid(around, down, indexing="ij")
    front = np.exp(-((np.minimum(angle - around[0], around[-1] - angle) / 0.35) ** 2))
    top = 12.0 - 2.5 * front
    y = top - drop * length * (1 - 0.12 * front)
    swell = np.interp(drop, [0, 0.12, 0.3, 0.6, 1], [0.70, 0.90, 1.02, 1.06, 0.96])
    swell = swell + 0.04 * np.sin(7 * angle + generator.uniform(0, 6)) * drop
    layers = []
    for inset in (0.0, 0.9):
        x = (8.5 - inset) * swell * np.sin(angle)
        z = AXIS_Z_CM - 0.8 + (10.3 - inset) * swell * np.cos(angle)
        layers.append(np.stack([x, y, z], -1).reshape(-1, 3))
    grid = _grid_triangles(len(around), len(down))
    count = len(layers[0])
    column = (angle / (2 * np.pi) * WIDTH).ravel() % WIDTH
    texel = np.stack([column, (6 + drop * 40).ravel()], -1)
    return Garment(
        np.concatenate(layers).astype(np.float32),
        np.concatenate([grid, grid[:, ::-1] + count]),
        np.tile(texel, (2, 1)).astype(np.float32),
    )


def torso(generator: np.random.Generator) -> Garment:
    """Neck opening, shoulders and chest as one surface of flattened rings."""
    broad = generator.uniform(0.92, 1.06)
    around = np.linspace(-np.pi, np.pi, _AROUND + 1)
    drop = np.linspace(0, 1, _DOWN) ** 1.4
    angle, fall = np.meshgrid(around, drop, indexing="ij")
    point = _torso_point(angle, fall, broad)
    column = (angle / (2 * np.pi) + 0.5) * (WIDTH - 1)
    texel = np.stack([column.ravel(), (fall ** (1 / 1.4) * (CLOTH_HEIGHT - 1)).ravel()], -1)
    return Garment(
        point.reshape(-1, 3).astype(np.float32),
        _grid_triangles(len(around), len(drop)),
        texel.astype(np.float32),
    )


def cloth(generator: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    """Texture of the torso `[CLOTH_HEIGHT, WIDTH, 3]`, linear albedo: jacket over shirt, jumper, or striped shirt."""
    angle, fall = np.meshgrid(np.linspace(-np.pi, np.pi, WIDTH), np.linspace(0, 1, CLOTH_HEIGHT) ** 1.4)
    point = _torso_point(angle, fall, 1.0)
    x, y, front = point[..., 0], point[..., 1], np.cos(angle) > 0
    noise = gaussian_filter(generator.standard_normal(x.shape), 0.8)
    weave = 1 + 0.10 * noise / noise.std()
    base = _dye(generator)
    kind = generator.choice(["jacket", "jumper", "stripes"])
    colour = np.broadcast_to(base, (*x.shape, 3)).copy()
    if kind == "jacket":
        colour *= 0.35
        depth = (-11.8 - y).clip(0)
        opening = front & (np.abs(x) < 5.6 - 0.27 * depth)
        lapel = front & (np.abs(x) < 8.4 - 0.22 * depth) & ~opening
        shirt = np.array([0.62, 0.64, 0.66]) * generator.uniform(0.7, 1.1)
        colour[lapel] *= 1.35
        edge = front & (np.abs(np.abs(x) - (8.4 - 0.22 * depth)) < 0.25)
        colour[edge] *= 0.4
        colour[opening] = shirt
        if generator.random() < 0.6:
            tie = front & (np.abs(x) < 1.5 + 0.05 * depth) & (depth > 0.4)
            stripe = 0.75 + 0.25 * np.sign(np.sin((x + y) * 3.0))
            colour[tie] = (_dye(generator) * stripe[..., None])[tie]
    elif kind == "stripes":
        colour *= (1 - 0.45 * (np.sin(y * 2.6) > 0.2))[..., None]
    collar = np.exp(-(((fall - 0.02) / 0.018) ** 2))
    colour *= (1 - 0.35 * collar)[..., None]
    folds = gaussian_filter(generator.standard_normal(x.shape), (30, 12))
    return (colour * weave[..., None] * (1 + 0.14 * folds / folds.std())[..., None]).clip(0.004, 0.9).astype(np.float32)


def _dye(generator: np.random.Generator) -> Float[np.ndarray, 3]:
    hue = generator.uniform(0, 2 * np.pi)
    wheel = 0.5 + 0.5 * np.cos(hue + np.array([0, 2.1, 4.2]))
    return (0.08 + 0.42 * generator.uniform(0.3, 1) * wheel) * generator.uniform(0.4, 1.0)


def _torso_point(angle: np.ndarray, fall: np.ndarray, broad: float) -> Float[np.ndarray, "... 3"]:
    """Surface point at an angle from the front and a way down (0 at the collar, 1 below the picture)."""
    shoulder = ((fall - 0.1) / 0.3).clip(0, 1)
    width = PchipInterpolator(_DROP, _HALF_WIDTH)(fall) * (1 + (broad - 1) * shoulder)
    depth = PchipInterpolator(_DROP, _HALF_DEPTH)(fall)
    level = PchipInterpolator(_DROP, _LEVEL)(fall)
    sine, cosine = np.sin(angle), np.cos(angle)
    square = 1 - 0.25 * shoulder
    x = width * np.sign(sine) * np.abs(sine) ** square
    z = depth * np.sign(cosine) * np.abs(cosine) ** square - 0.5 - 1.2 * shoulder
    # The collar dips in front; chest and back fall less steeply than the shoulders' line.
    y = (
        level
        - 1.6 * cosine.clip(0) * (1 - shoulder)
        + 3.2 * np.abs(cosine) * shoulder * (1 - ((fall - 0.4) / 0.6).clip(0, 1)) * -0.5
    )
    return np.stack([x, y, z], -1)


def _grid_triangles(across: int, down: int) -> Int[np.ndarray, "triangles 3"]:
    """Triangles of a grid [across, down] that face outward when `across` runs from the subject's right to left."""
    i, j = np.meshgrid(np.arange(across - 1), np.arange(down - 1), indexing="ij")
    a = (i * down + j).ravel()
    b = a + down
    return np.concatenate([np.stack([a, a + 1, b], -1), np.stack([b, a + 1, b + 1], -1)]).astype(np.int64)
