"""Skin, lips, brows, lashes, beard and hair painted on the cylinder around the head, from the head's own landmarks.

Texture coordinates are (angle about the vertical axis, height) of the canonical head, so that paint sticks to the skin
whatever the identity and the expression do to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter

from talkface.data.synthetic.anatomy import AXIS_Z_CM

TEXELS_PER_CM = 20
ARC_RADIUS_CM = 10.0
"""Radius that turns the angle about the axis into centimetres."""
TOP_CM, BOTTOM_CM = 17.0, -20.0
WIDTH = int(2 * np.pi * ARC_RADIUS_CM * TEXELS_PER_CM)
HEIGHT = int((TOP_CM - BOTTOM_CM) * TEXELS_PER_CM)

_HAIRLINE_DEG = np.array([0, 25, 48, 60, 66, 76, 80, 108, 114, 125, 150, 180.0])
_HAIRLINE_CM = np.array([10.4, 10.0, 8.4, 6.3, 3.6, 3.2, 6.9, 7.0, 3.0, -1.0, -4.5, -5.5])

Stroke = tuple[str, np.ndarray, float | int]
"""A filled polygon or a line: ("fill" or "line", points in texels, width)."""


@dataclass(frozen=True)
class Look:
    """How a person is coloured and dressed; colours are linear albedo."""

    skin: Float[np.ndarray, 3]
    hair: Float[np.ndarray, 3]
    lips: Float[np.ndarray, 3]
    iris: Float[np.ndarray, 3]
    cap: Float[np.ndarray, 3]
    style: str
    """"short", "crop", "bob", "bald" or "cap"."""
    thickness_cm: float
    """How far hair or cap stands off the skull."""
    hairline_cm: float
    """Hairline above (+) or below (-) the average."""
    brow_cm: float
    """Half width of the brows."""
    freckles: float
    beard: float
    lash: float


def texels(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Texture column and row of canonical head points."""
    angle = np.arctan2(points[:, 0], points[:, 2] - AXIS_Z_CM)
    column = (angle / (2 * np.pi) + 0.5) * WIDTH
    row = (TOP_CM - points[:, 1]) * TEXELS_PER_CM
    return np.stack([column.clip(0, WIDTH - 1), row.clip(0, HEIGHT - 1)], -1).astype(np.float32)


def hairline(angle: Float[np.ndarray, "..."], look: Look) -> Float[np.ndarray, "..."]:
    """Height of the hairline (or of the cap's rim) at an angle from the front, cm."""
    degrees = np.abs(np.degrees(angle))
    if look.style == "cap":
        return np.interp(degrees, [0, 60, 90, 180], [8.6, 8.0, 7.3, 4.5]) + look.hairline_cm
    lift = look.hairline_cm * np.interp(degrees, [0, 50, 70], [1, 1.2, 0])
    return np.interp(degrees, _HAIRLINE_DEG, _HAIRLINE_CM) + lift


def paint(
    landmarks: Float[np.ndarray, "68 3"], look: Look, generator: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    """The skin's texture, linear albedo `[HEIGHT, WIDTH, 3]`."""
    spots = texels(landmarks).astype(float)
    texture = _skin(look, generator)
    texture = _flush(texture, spots, look)
    if look.beard > 0:
        texture = _beard(texture, spots, look, generator)
    texture = _lips(texture, spots, look, generator)
    texture = _eyes(texture, spots, look)
    texture = _brows(texture, spots, look, generator)
    if look.style != "bald":
        texture = _hair(texture, look, generator)
    return texture.astype(np.float32)


def _noise(
    generator: np.random.Generator, vertical: float, horizontal: float | None = None
) -> Float[np.ndarray, "h w"]:
    """Smooth noise of unit deviation; grain in texels, as wide as high unless given."""
    horizontal = vertical if horizontal is None else horizontal
    coarse = max(1, int(vertical // 3)), max(1, int(horizontal // 3))  # coarse noise is made small and enlarged
    grain = generator.standard_normal((HEIGHT // coarse[0] + 2, WIDTH // coarse[1] + 2)).astype(np.float32)
    smooth = gaussian_filter(grain, (vertical / coarse[0], horizontal / coarse[1]), mode="wrap", truncate=3)
    if max(coarse) > 1:
        enlarged = Image.fromarray(smooth).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        smooth = np.asarray(enlarged)
    smooth = smooth[:HEIGHT, :WIDTH]
    return smooth / smooth.std()


def _blend(
    base: Float[np.ndarray, "h w 3"], colour: np.ndarray, amount: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    return base + amount[..., None] * (colour - base)


def _drawn(shapes: list[Stroke], soften: float | int) -> Float[np.ndarray, "h w"]:
    """Polygons and polylines as a soft mask; every shape is ("fill" or "line", points, width)."""
    picture = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(picture)
    for kind, points, width in shapes:
        flat = [(float(x), float(y)) for x, y in points]
        if kind == "fill":
            draw.polygon(flat, fill=255)
        else:
            draw.line(flat, fill=255, width=max(1, round(width)), joint="curve")
    return gaussian_filter(np.asarray(picture, np.float32) / 255, soften, truncate=3)


def _curve(points: Float[np.ndarray, "n 2"], count: int = 40) -> Float[np.ndarray, "count 2"]:
    return CubicSpline(np.arange(len(points)), points)(np.linspace(0, len(points) - 1, count))


def _grid() -> tuple[Float[np.ndarray, "h 1"], Float[np.ndarray, "1 w"]]:
    return np.arange(HEIGHT, dtype=np.float32)[:, None], np.arange(WIDTH, dtype=np.float32)[None]


def _blob(centre: np.ndarray, radius_cm: tuple[float, float]) -> Float[np.ndarray, "h w"]:
    row, column = _grid()
    across, down = (r * TEXELS_PER_CM for r in radius_cm)
    return np.exp(-(((column - centre[0]) / across) ** 2) - ((row - centre[1]) / down) ** 2)


def _skin(look: Look, generator: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    tone = 1 + 0.035 * _noise(generator, 40.0) + 0.03 * _noise(generator, 7.0) + 0.035 * _noise(generator, 1.2)
    texture = look.skin * tone[..., None]
    redness = 0.04 * _noise(generator, 22.0)
    texture = texture * (1 + redness[..., None] * np.array([0.4, -1.0, -0.8]))
    if look.freckles > 0:
        dots = (_noise(generator, 1.6) - 2.1 + 0.35 * look.freckles).clip(0, 1)
        texture = _blend(texture, look.skin * np.array([0.62, 0.45, 0.36]), (dots * look.freckles).clip(0, 0.75))
    for _ in range(generator.integers(0, 4)):
        place = np.array([WIDTH / 2 + generator.normal(0, 110), generator.uniform(0.3, 0.66) * HEIGHT])
        texture = _blend(texture, look.skin * 0.25, 0.8 * _blob(place, (0.12, 0.12)))
    return texture


def _flush(texture: np.ndarray, spots: np.ndarray, look: Look) -> Float[np.ndarray, "h w 3"]:
    red = look.skin * np.array([1.06, 0.74, 0.72])
    for side, corner in ((-1, 48), (1, 54)):
        cheek = np.array([spots[corner, 0] + side * 2.2 * TEXELS_PER_CM, spots[30, 1] + 0.4 * TEXELS_PER_CM])
        texture = _blend(texture, red, 0.45 * _blob(cheek, (2.0, 1.6)))
    texture = _blend(texture, red, 0.4 * _blob(spots[30], (1.2, 0.9)))
    for lids in (slice(36, 42), slice(42, 48)):
        centre = spots[lids].mean(0)
        texture = _blend(texture, look.skin * np.array([0.72, 0.60, 0.58]), 0.55 * _blob(centre, (2.2, 1.2)))
    fold = look.skin * np.array([0.82, 0.7, 0.66])
    for wing, corner, side in ((31, 48, -1), (35, 54, 1)):
        line = np.array(
            [
                spots[wing] + (side * 0.45 * TEXELS_PER_CM, -0.2 * TEXELS_PER_CM),
                (spots[wing] + spots[corner]) / 2 + (side * 0.8 * TEXELS_PER_CM, 0),
                spots[corner] + (side * 0.65 * TEXELS_PER_CM, -0.1 * TEXELS_PER_CM),
            ]
        )
        texture = _blend(texture, fold, 0.5 * _drawn([("line", _curve(line), 4)], 3.5))
    for nostril in (32, 34):
        texture = _blend(texture, look.skin * 0.12, 0.55 * _blob(spots[nostril] - (0, 2), (0.26, 0.14)))
    return texture


def _lips(
    texture: np.ndarray, spots: np.ndarray, look: Look, generator: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    upper = np.concatenate([_curve(spots[48:51], 16), _curve(spots[50:53], 12), _curve(spots[52:55], 16)])
    lower = _curve(np.concatenate([spots[54:60], spots[48:49]]), 40)
    mask = _drawn([("fill", np.concatenate([upper, lower]), 0)], 1.6)
    creases = 1 + 0.05 * _noise(generator, 9.0, 1.0)
    texture = _blend(texture, look.lips * creases[..., None], 0.92 * mask)
    seam = _curve(np.concatenate([spots[60:65]]), 30)
    seam_low = _curve(spots[[60, 67, 66, 65, 64]], 30)
    return _blend(texture, look.lips * 0.2, 0.8 * _drawn([("line", seam, 4), ("line", seam_low, 4)], 1.3))


def _eyes(texture: np.ndarray, spots: np.ndarray, look: Look) -> Float[np.ndarray, "h w 3"]:
    dark = look.hair * 0.25 + 0.004
    for corner, upper, lower in ((36, [36, 37, 38, 39], [36, 41, 40, 39]), (45, [45, 44, 43, 42], [45, 46, 47, 42])):
        out = spots[corner] + (spots[corner] - spots[upper[-1]]) * 0.07 - (0, 2)
        lid = _curve(np.concatenate([out[None], spots[upper]]), 50)
        crease = lid - (0, 0.62 * TEXELS_PER_CM)
        texture = _blend(texture, look.skin * np.array([0.5, 0.38, 0.34]), 0.55 * _drawn([("line", crease, 3)], 2.0))
        texture = _blend(
            texture, look.skin * np.array([0.9, 0.5, 0.45]), 0.6 * _drawn([("line", _curve(spots[lower]), 3)], 1.2)
        )
        lashes = [("line", lid - (0, 0.5), 2 + 2 * look.lash)]
        texture = _blend(texture, dark, _drawn(lashes, 1.0))
        texture = _blend(
            texture, dark, 0.4 * look.lash * _drawn([("line", _curve(spots[lower]) + np.array([0, 1.5]), 2)], 1.0)
        )
    return texture


def _brows(
    texture: np.ndarray, spots: np.ndarray, look: Look, generator: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    hairs: list[Stroke] = []
    body: list[Stroke] = []
    half = look.brow_cm * TEXELS_PER_CM
    for inner_first in ([21, 20, 19, 18, 17], [22, 23, 24, 25, 26]):
        line = _curve(spots[inner_first], 60)
        outward = np.sign(line[-1, 0] - line[0, 0])
        along = np.linspace(0, 1, 60)
        width = half * np.interp(along, [0, 0.12, 0.45, 0.75, 1], [0.6, 1, 0.95, 0.6, 0.12])
        body.append(
            (
                "fill",
                np.concatenate(
                    [line - np.stack([0 * width, width], -1), (line + np.stack([0 * width, width], -1))[::-1]]
                ),
                0,
            )
        )
        for _ in range(260):
            k = generator.integers(0, 60)
            root = line[k] + (generator.normal(0, 2.5), generator.uniform(-1, 1) * width[k])
            lean = np.interp(along[k], [0, 0.3, 1], [1.3, 0.5, 0.05]) + generator.normal(0, 0.2)
            length = generator.uniform(6, 11) * np.interp(along[k], [0, 1], [1, 0.7])
            tip = root + length * np.array([outward * np.cos(lean), -np.sin(lean) * np.sign(np.cos(lean)) * 0.8])
            hairs.append(("line", np.stack([root, tip]), 1))
    dark = look.hair * 0.55 + 0.006
    texture = _blend(texture, dark, 0.55 * _drawn(body, 2.5))
    return _blend(texture, dark, (0.85 * _drawn(hairs, 0.7)).clip(0, 1))


def _beard(
    texture: np.ndarray, spots: np.ndarray, look: Look, generator: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    jaw = spots[2:15]
    outline = np.concatenate([jaw + np.array([0, 1.6 * TEXELS_PER_CM]), spots[[35, 33, 31]] + (0, 0.4 * TEXELS_PER_CM)])
    mask = _drawn([("fill", outline, 0)], 12) * (
        0.8 + 0.14 * _noise(generator, 0.8) + 0.1 * _noise(generator, 12.0)
    ).clip(0, 1.2)
    return _blend(texture, np.minimum(look.hair * 0.6 + 0.01, look.skin * 0.4), (look.beard * mask).clip(0, 0.8))


def hair_mask(look: Look, generator: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Where the texture is hair or cap, 0 to 1, with a ragged edge."""
    row, column = _grid()
    angle = (column / WIDTH - 0.5) * 2 * np.pi
    height = TOP_CM - row / TEXELS_PER_CM
    if look.style == "cap":
        return ((height - hairline(angle, look)) * 8 + 0.5).clip(0, 1)
    ragged = 0.28 * _noise(generator, 14.0, 1.6) + 0.2 * _noise(generator, 8.0, 12.0)
    return ((height - hairline(angle, look) + ragged) / 0.5 + 0.5).clip(0, 1)


def _hair(texture: np.ndarray, look: Look, generator: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    mask = hair_mask(look, generator)
    if look.style == "cap":
        row, column = _grid()
        rib = 0.82 + 0.18 * np.sin(column * 2 * np.pi / 9) + 0 * row
        cloth = look.cap * (rib + 0.05 * _noise(generator, 1.0))[..., None]
        return _blend(texture, cloth, mask)
    strands = 1 + 0.38 * _noise(generator, 26.0, 1.1) + 0.22 * _noise(generator, 40.0, 5.0)
    return _blend(texture, look.hair * strands.clip(0.25, 2.2)[..., None], 0.97 * mask)


def covered(points: Float[np.ndarray, "n 3"], look: Look) -> Bool[np.ndarray, " n"]:
    """Which canonical head points lie under hair or cap (ears never do)."""
    angle = np.arctan2(points[:, 0], points[:, 2] - AXIS_Z_CM)
    return (points[:, 1] > hairline(angle, look)) if look.style != "bald" else np.zeros(len(points), bool)
