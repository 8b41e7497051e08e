"""The built-in head, for those without the ICT model: skin with slits for eyes and mouth, ears, teeth, gums, tongue.

The skin is a grid (angle x height). Along two rows it is cut between the corners of the eyes and of the mouth: the two
sides of a cut are the lids and the lips, and from there skin goes on inwards, so that both can open and shut.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from talkface.data.synthetic.anatomy import GUMS, MOUTH, SKIN, TEETH, Anatomy
from talkface.data.synthetic.builtin_motion import expressions, identities
from talkface.data.synthetic.builtin_shape import (
    EYE_CENTRE,
    EYE_CORNERS,
    EYE_LINE,
    EYE_RADIUS,
    MOUTH_HALF,
    MOUTH_LINE,
    lid_depth,
    lid_lines,
    lip_relief,
    lips,
    relief,
    skull,
)
from talkface.face.model import FaceModel

_COLUMNS = 121
LOWER, UPPER, JAW, FIXED = range(4)
"""Which way a vertex goes where the face parts: with the lower or upper lip and lid, with the jaw, or not at all."""


@dataclass
class Mesh:
    """A mesh under construction, with what the motions need to know of each vertex."""

    points: list[Float[np.ndarray, "n 3"]] = field(default_factory=list)
    places: list[Float[np.ndarray, "n 2"]] = field(default_factory=list)
    """x, y on the shut face: motions are fields over these."""
    sides: list[Int[np.ndarray, " n"]] = field(default_factory=list)
    triangles: list[Int[np.ndarray, "t 3"]] = field(default_factory=list)
    tissues: list[Int[np.ndarray, " t"]] = field(default_factory=list)
    count: int = 0

    def add(
        self,
        points: Float[np.ndarray, "n 3"],
        places: Float[np.ndarray, "n 2"],
        side: int | Int[np.ndarray, " n"],
        triangles: Int[np.ndarray, "t 3"],
        tissue: int,
    ) -> int:
        """Adds vertices and triangles (numbered from 0); returns the number of the first vertex."""
        first = self.count
        self.points.append(points)
        self.places.append(places)
        self.sides.append(np.broadcast_to(np.asarray(side), len(points)))
        self.link(triangles + first, tissue)
        self.count += len(points)
        return first

    def link(self, triangles: Int[np.ndarray, "t 3"], tissue: int) -> None:
        """Adds triangles of existing vertices."""
        self.triangles.append(triangles)
        self.tissues.append(np.full(len(triangles), tissue))


def builtin_anatomy() -> Anatomy:
    """The built-in head; conventions, tissues and expression names as for the ICT model."""
    mesh = Mesh()
    grid = _skin(mesh)
    for side in (1, -1):
        _ear(mesh, side)
    _teeth(mesh)
    _tongue(mesh)
    eyes = tuple(_eye_markers(mesh, side) for side in (-1, 1))
    points = np.concatenate(mesh.points)
    places, sides = np.concatenate(mesh.places), np.concatenate(mesh.sides)
    names, motion = expressions(points, places, sides)
    model = FaceModel(
        name="builtin",
        neutral=points.astype(np.float32),
        triangles=np.concatenate(mesh.triangles),
        triangle_material=np.concatenate(mesh.tissues),
        materials=("skin", "gums", "teeth", "mouth"),
        identity=identities(points, places).astype(np.float32),
        expression=motion.astype(np.float32),
        expression_names=names,
        landmarks68=_landmarks(grid, points, places, sides),
    )
    tissue = np.concatenate(mesh.tissues)
    near = np.minimum(*(np.linalg.norm(points - EYE_CENTRE * (s, 1, 1), axis=1) for s in (1, -1)))
    lids = np.flatnonzero((near < 2.3) & (np.arange(len(points)) < grid.skin))
    return Anatomy(model, tissue, (eyes[0], eyes[1]), EYE_RADIUS, lids)


@dataclass(frozen=True)
class _Grid:
    skin: int
    """Number of skin vertices, the first of the mesh."""


def _rows() -> Float[np.ndarray, " rows"]:
    """Heights of the grid's rows: close together where the face moves."""
    parts = [
        np.linspace(-20, -9.4, 10, endpoint=False),
        np.linspace(-9.4, -5.2, 12, endpoint=False),
        np.linspace(-5.2, MOUTH_LINE, 12, endpoint=False),
        np.linspace(MOUTH_LINE, -1.6, 11, endpoint=False),
        np.linspace(-1.6, 1.9, 15, endpoint=False),
        np.linspace(1.9, EYE_LINE, 9, endpoint=False),
        np.linspace(EYE_LINE, 5.2, 12, endpoint=False),
        np.linspace(5.2, 8.5, 8, endpoint=False),
        np.linspace(8.5, 13.0, 9, endpoint=False),
        np.array([13.0, 13.5, 13.9, 14.2, 14.3]),
    ]
    return np.concatenate(parts)


def _skin(mesh: Mesh) -> _Grid:
    share = np.linspace(-1, 1, _COLUMNS)
    angle = np.pi * (0.38 * share + 0.62 * share**3)
    rows = _rows()
    mouth, eye = (int(np.argmin(np.abs(rows - line))) for line in (MOUTH_LINE, EYE_LINE))
    bands = [rows[: mouth + 1], rows[mouth : eye + 1], rows[eye:]]
    first: list[int] = []
    for index, band in enumerate(bands):
        y, turn = np.meshgrid(band, angle, indexing="ij")
        x, _ = skull(turn, y)
        front = np.cos(turn) > 0
        # The band's lower border is the upper lip or lid, its upper border the lower one.
        edge = np.where(y - band[0] < band[-1] - y, UPPER, LOWER)
        edge = np.full(y.shape, LOWER) if index == 0 else np.full(y.shape, UPPER) if index == 2 else edge
        points = _surface(x, y, turn, edge, front)
        first.append(
            mesh.add(
                points.reshape(-1, 3),
                np.stack([np.where(front, x, np.sign(x) * 20), y], -1).reshape(-1, 2),
                edge.ravel(),
                _sheet(len(band), _COLUMNS),
                SKIN,
            )
        )
    _sew(mesh, first[0] + mouth * _COLUMNS, first[1], lambda x: np.abs(x) < MOUTH_HALF)
    below_eyes = first[1] + (eye - mouth) * _COLUMNS
    inner, outer = EYE_CORNERS
    _sew(mesh, below_eyes, first[2], lambda x: (np.abs(x) > inner) & (np.abs(x) < outer))
    _line_lips(mesh, first[0] + mouth * _COLUMNS, first[1])
    _line_lids(mesh, below_eyes, first[2])
    return _Grid(mesh.count)


def _surface(
    x: np.ndarray, y: np.ndarray, turn: np.ndarray, edge: np.ndarray, front: np.ndarray
) -> Float[np.ndarray, "r c 3"]:
    """The face at rest: lips shut, eyes open."""
    _, base = skull(turn, y)
    facing = np.cos(turn).clip(0) ** 0.5
    z = base + relief(x, y) * facing
    z = z + np.where(front, lip_relief(x, y - MOUTH_LINE) * (np.abs(y - MOUTH_LINE) < 1.7), 0)
    upper, lower = lid_lines(x)
    inside = front & (np.abs(x) > EYE_CORNERS[0]) & (np.abs(x) < EYE_CORNERS[1])
    above, below = ((y - EYE_LINE) / 1.5).clip(0, 1), ((EYE_LINE - y) / 1.3).clip(0, 1)
    lift = np.where(edge == UPPER, upper * (1 - above) ** 2, lower * (1 - below) ** 2)
    moved = y + np.where(inside & (np.abs(y - EYE_LINE) < 1.6), lift, 0)
    over, weight = lid_depth(x, moved)
    z = np.where(front, z + weight * (over - z), z)
    return np.stack([x, moved, z], -1)


def _sheet(rows: int, columns: int) -> Int[np.ndarray, "t 3"]:
    """Triangles of rows that go up and columns that go to the subject's left, facing out."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    b = a + columns
    return np.concatenate([np.stack([a, a + 1, b], -1), np.stack([b, a + 1, b + 1], -1)])


def _sew(mesh: Mesh, lower: int, upper: int, cut: object) -> None:
    """Joins two rows of vertices into one except where `cut(x)` is true."""
    points = np.concatenate(mesh.points)
    x, z = points[upper : upper + _COLUMNS, 0], points[upper : upper + _COLUMNS, 2]
    joined = ~(np.asarray(cut(x)) & (z > 3))  # type: ignore[operator]
    target = np.arange(mesh.count)
    target[upper : upper + _COLUMNS][joined] = np.arange(lower, lower + _COLUMNS)[joined]
    mesh.triangles = [target[t] for t in mesh.triangles]


def _line_lips(mesh: Mesh, lower: int, upper: int) -> None:
    """Lips roll inwards and the inside of the mouth goes on from there to its back."""
    points, places = np.concatenate(mesh.points), np.concatenate(mesh.places)
    columns = np.flatnonzero(
        (np.abs(points[upper : upper + _COLUMNS, 0]) < MOUTH_HALF + 0.2) & (points[upper : upper + _COLUMNS, 2] > 3)
    )
    for start, side, sign in ((upper, UPPER, 1.0), (lower, LOWER, -1.0)):
        edge = points[start + columns]
        ring = [edge]
        for back, away, narrow in (
            (0.18, 0.02, 1.0),
            (0.42, 0.12, 1.01),
            (0.8, 0.5, 1.03),
            (1.6, 1.3, 1.06),
            (4.0, 1.7, 1.1),
            (6.5, 0.0, 0.3),
        ):
            taper = (1 - (edge[:, 0] / (MOUTH_HALF + 0.2)) ** 2).clip(0) ** 0.5
            ring.append(
                edge * (narrow, 1, 1) + np.stack([0 * taper, sign * away * taper, -back * (0.35 + 0.65 * taper)], -1)
            )
        depth = len(ring)
        count = len(columns)
        # Upwards from the upper edge the lining runs back and up: same order as the skin below a lip.
        stacked = np.concatenate(ring[1:])
        here = np.tile(places[start + columns], (depth - 1, 1))
        ids = np.concatenate([start + columns, mesh.count + np.arange((depth - 1) * count)])
        cells = _sheet(depth, count)
        cells = cells[:, ::-1] if sign > 0 else cells
        inside = np.arange(len(cells)) % (len(cells) // 2) >= 2 * (count - 1)
        mesh.add(stacked, here, side, np.zeros((0, 3), int), MOUTH)
        mesh.link(ids[cells[~inside]], SKIN)
        mesh.link(ids[cells[inside]], MOUTH)


def _line_lids(mesh: Mesh, lower: int, upper: int) -> None:
    """Edges of the lids turn in towards the eyeball."""
    points, places = np.concatenate(mesh.points), np.concatenate(mesh.places)
    inner, outer = EYE_CORNERS
    for side in (-1, 1):
        row = points[upper : upper + _COLUMNS]
        columns = np.flatnonzero((row[:, 0] * side > inner - 0.2) & (row[:, 0] * side < outer + 0.2) & (row[:, 2] > 3))
        centre = EYE_CENTRE * (side, 1, 1)
        for start, part in ((upper, UPPER), (lower, LOWER)):
            edge = points[start + columns]
            ray = edge - centre
            rim = centre + ray * ((EYE_RADIUS * 0.97) / np.linalg.norm(ray, axis=1, keepdims=True)).clip(None, 1)
            ids = np.concatenate([start + columns, mesh.count + np.arange(len(columns))])
            cells = _sheet(2, len(columns))
            cells = cells[:, ::-1] if part == UPPER else cells
            mesh.add(rim, places[start + columns], part, np.zeros((0, 3), int), SKIN)
            mesh.link(ids[cells], SKIN)


def _ear(mesh: Mesh, side: int) -> None:
    """A bowl with a rolled rim."""
    turn = np.linspace(0, 2 * np.pi, 25)
    radius = np.array([0.02, 0.35, 0.55, 0.72, 0.86, 0.97, 1.02, 0.95, 0.7])
    height = np.array([-0.25, -0.22, 0.02, 0.10, 0.32, 0.34, 0.12, -0.15, -0.35])
    r, t = np.meshgrid(radius, turn, indexing="ij")
    h = np.broadcast_to(height[:, None], r.shape)
    across = 1.75 * r * np.cos(t) * (1 + 0.15 * np.sin(t))
    y = 2.1 + 3.1 * r * np.sin(t) * (1 - 0.12 * np.cos(t))
    z = 0.3 + across + 0.12 * (y - 2.1)
    x = 7.35 - 0.42 * across + h
    points = np.stack([side * x, y, z], -1).reshape(-1, 3)
    cells = _sheet(len(radius), len(turn))
    mesh.add(points, np.tile([side * 20.0, 2.0], (len(points), 1)), FIXED, cells if side < 0 else cells[:, ::-1], SKIN)


def _teeth(mesh: Mesh) -> None:
    for top, bottom, z_front, part, gum in ((-2.5, -3.72, 10.05, FIXED, 0.75), (-4.0, -5.0, 9.65, JAW, -0.75)):
        x = np.linspace(-2.5, 2.5, 61)
        rise = np.linspace(0, 1, 6)
        tooth = x / 0.72 - 0.5 if part == FIXED else x / 0.56 - 0.5
        round_off = np.abs(np.sin(np.pi * (tooth + 0.5))) ** 0.35
        column, row = np.meshgrid(x, rise)
        y = bottom + (top - bottom) * row
        free = 1 - row if part == FIXED else row
        shorter = 0.16 * (column / 2.5) ** 2 * (1 if part == FIXED else -1) * free
        z = z_front - 0.36 * column**2 + 0.10 * (round_off - 1) - 0.18 * free**3
        points = np.stack([column, y + shorter, z], -1).reshape(-1, 3)
        mesh.add(points, points[:, :2] * (1, 0) + (0, -3.4), part, _sheet(len(rise), len(x)), TEETH)
        gums = np.stack(
            [
                column,
                (top if gum > 0 else bottom) + gum * row + 0.06 * (1 - round_off),
                z_front + 0.05 - 0.36 * column**2 - 0.25 * row,
            ],
            -1,
        )
        cells = _sheet(len(rise), len(x))
        mesh.add(
            gums.reshape(-1, 3), points[:, :2] * (1, 0) + (0, -3.4), part, cells if gum > 0 else cells[:, ::-1], GUMS
        )


def _tongue(mesh: Mesh) -> None:
    up, turn = np.meshgrid(np.linspace(0, np.pi / 2, 7), np.linspace(-np.pi / 2, np.pi / 2, 13), indexing="ij")
    x, y, z = 1.75 * np.cos(up) * np.sin(turn), -4.75 + 0.75 * np.sin(up), 7.0 + 2.55 * np.cos(up) * np.cos(turn)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    mesh.add(points, points[:, :2] * (0, 0) + (0, -5.0), JAW, _sheet(7, 13), GUMS)


def _eye_markers(mesh: Mesh, side: int) -> Int[np.ndarray, " n"]:
    """One vertex without triangles at the centre of an eyeball; identity moves it with the lids."""
    centre = EYE_CENTRE * (side, 1, 1)
    return np.array([mesh.add(centre[None], centre[None, :2], FIXED, np.zeros((0, 3), int), MOUTH)])


def _landmarks(
    grid: _Grid, points: Float[np.ndarray, "n 3"], places: Float[np.ndarray, "n 2"], sides: Int[np.ndarray, " n"]
) -> Int[np.ndarray, 68]:
    """The skin vertex nearest to each iBUG landmark of the shut face."""
    upper, lower = lips(np.array([0.0, 0.75, 1.75]))
    jaw_x = np.array([7.4, 7.3, 7.05, 6.65, 5.75, 4.4, 3.0, 1.5])
    jaw_y = np.array([3.4, 1.4, -0.5, -2.4, -4.5, -6.1, -7.0, -7.5])
    brow = np.array([[5.6, 5.3], [4.75, 5.95], [3.7, 6.15], [2.4, 5.95], [1.2, 5.55]])
    inner, outer = EYE_CORNERS
    third = (outer - inner) / 3
    eye = [
        (outer, EYE_LINE, 2),
        (outer - third, EYE_LINE, UPPER),
        (inner + third, EYE_LINE, UPPER),
        (inner, EYE_LINE, 2),
        (inner + third, EYE_LINE, LOWER),
        (outer - third, EYE_LINE, LOWER),
    ]
    wanted: list[tuple[float, float, int]] = [(-x, y, 2) for x, y in zip(jaw_x, jaw_y, strict=True)] + [(0.0, -7.75, 2)]
    wanted += [(x, y, 2) for x, y in zip(jaw_x[::-1], jaw_y[::-1], strict=True)]
    wanted += [(-x, y, 2) for x, y in brow] + [(x, y, 2) for x, y in brow[::-1]]
    wanted += [(0.0, y, 2) for y in (3.7, 2.6, 1.5, 0.25)] + [
        (x, y, 2) for x, y in ((-1.2, -1.1), (-0.6, -1.2), (0, -1.25), (0.6, -1.2), (1.2, -1.1))
    ]
    wanted += [(-x, y, s) for x, y, s in eye]
    mirrored = [(x, y, s) for x, y, s in eye]
    wanted += [mirrored[k] for k in (3, 2, 1, 0, 5, 4)]
    m, h = MOUTH_LINE, MOUTH_HALF
    wanted += [
        (-h, m, 2),
        (-1.75, m + upper[2], 2),
        (-0.75, m + upper[1], 2),
        (0, m + upper[0], 2),
        (0.75, m + upper[1], 2),
        (1.75, m + upper[2], 2),
        (h, m, 2),
    ]
    wanted += [
        (1.75, m + lower[2], 2),
        (0.95, m + lower[1], 2),
        (0, m + lower[0], 2),
        (-0.95, m + lower[1], 2),
        (-1.75, m + lower[2], 2),
    ]
    wanted += [
        (-h + 0.3, m, UPPER),
        (-1.0, m, UPPER),
        (0, m, UPPER),
        (1.0, m, UPPER),
        (h - 0.3, m, UPPER),
        (1.0, m, LOWER),
        (0, m, LOWER),
        (-1.0, m, LOWER),
    ]
    skin = slice(0, grid.skin)
    found = []
    on_front = points[skin, 2] > 2
    for x, y, side in wanted:
        cost = np.hypot(places[skin, 0] - x, places[skin, 1] - y) + 100 * ~on_front
        if side != 2:
            cost = cost + 100 * (sides[skin] != side)
        found.append(int(np.argmin(np.where(np.isfinite(cost), cost, 1e9))))
    return np.array(found)
