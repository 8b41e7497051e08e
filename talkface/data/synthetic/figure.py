"""A drawn person at rest: head, eyes, hair and clothes as one mesh with colours, ready to be posed and drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.sparse import coo_matrix

from talkface.data.synthetic.anatomy import GUMS, MOUTH, SKIN, SOCKET, TEETH, Anatomy
from talkface.data.synthetic.eyes import Eyeballs, eyeballs
from talkface.data.synthetic.paint import HEIGHT, WIDTH, Look, covered, paint, texels
from talkface.data.synthetic.raster import vertex_normals
from talkface.data.synthetic.wardrobe import CLOTH_HEIGHT, cloth, hair_lift, hanging_hair, torso

BACKGROUND, HEAD, NECK, TORSO = range(4)
"""Labels of pixels and triangles."""
_WHITE_ROW = HEIGHT + CLOTH_HEIGHT
_DARKEST_MOUTH, _LIT_MOUTH_CM = 0.12, 1.2
"""Light inside a shut mouth, and the lip opening from which teeth and tongue are fully lit (our modelling)."""


@dataclass(frozen=True, eq=False)
class Placement:
    """A rigid motion into the world, cm."""

    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, 3]

    def __call__(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points in the world."""
        return points @ self.rotation.T.astype(np.float32) + self.translation.astype(np.float32)


class Figure:
    """One person. Vertices are ordered: the face model's, hanging hair, eyeballs, torso."""

    def __init__(
        self, anatomy: Anatomy, identity: Float[np.ndarray, " modes"], look: Look, generator: np.random.Generator
    ) -> None:
        model = anatomy.model
        self.anatomy, self.model, self.look = anatomy, model, look
        canonical = model.neutral
        self.rest = (canonical + np.tensordot(identity.astype(np.float32), model.identity, 1)).astype(np.float32)
        self._flat_expression = model.expression.reshape(len(model.expression), -1)
        skin = model.triangles[anatomy.tissue == SKIN]
        on_skin = np.zeros(len(canonical), bool)
        on_skin[skin.ravel()] = True
        lift = np.where(covered(canonical, look) & on_skin, hair_lift(canonical, look, generator), 0)
        self._hair = (lift[:, None] * vertex_normals(self.rest, skin)).astype(np.float32)
        centre = np.stack([self.rest[e].mean(0) for e in anatomy.eye_vertices])
        self.eyes: Eyeballs = eyeballs(centre, anatomy.eye_radius, look.iris, generator)

        curtain, clothes = hanging_hair(look, generator), torso(generator)
        self._curtain = curtain.vertices if curtain else np.zeros((0, 3), np.float32)
        self._clothes = clothes.vertices
        first_curtain = len(canonical)
        first_eye = first_curtain + len(self._curtain)
        first_torso = first_eye + len(self.eyes.colour)
        self.blocks = (first_curtain, first_eye, first_torso)
        self.triangles = np.concatenate(
            [
                model.triangles,
                curtain.triangles + first_curtain if curtain else np.zeros((0, 3), np.int64),
                self.eyes.triangles + first_eye,
                clothes.triangles + first_torso,
            ]
        )
        self.labels = self._labels(first_curtain, first_torso)

        texture = np.concatenate([paint(canonical[model.landmarks68], look, generator), cloth(generator)])
        self.texture = np.concatenate([texture, np.ones((1, WIDTH, 3), np.float32)]).reshape(-1, 3)
        white = np.array([0.0, _WHITE_ROW], np.float32)
        spots = np.where(on_skin[:, None], texels(canonical), white)
        self.texels = np.concatenate(
            [
                spots,
                curtain.texels if curtain else np.zeros((0, 2)),
                np.tile(white, (len(self.eyes.colour), 1)),
                clothes.texels + np.array([0, HEIGHT]),
            ]
        ).astype(np.float32)
        self._tissue_colour(on_skin, len(clothes.vertices))
        self.neck_weight = _neck_weight(canonical)
        self.blink_columns = tuple(model.expression_names.index(f"eyeBlink_{side}") for side in "RL")
        self._blink_curve = tuple(self._measure_blink(side) for side in range(2))

    def _labels(self, first_curtain: int, first_torso: int) -> UInt8[np.ndarray, " triangles"]:
        labels = np.full(len(self.triangles), HEAD, np.uint8)
        labels[self.triangles.max(1) >= first_torso] = TORSO
        middle = self.model.neutral[self.model.triangles].mean(1)
        below = (middle[:, 1] < neck_line(middle[:, 2])) & (self.anatomy.tissue == SKIN)
        labels[: len(below)][below] = NECK
        return labels

    def _tissue_colour(self, on_skin: np.ndarray, clothes: int) -> None:
        """Fills `tint` (multiplies the texture) and `gloss` (oily, wet) of every vertex."""
        model, tissue = self.model, self.anatomy.tissue
        tint = np.ones((len(model.neutral), 3), np.float32)
        gloss = np.zeros((len(model.neutral), 2), np.float32)
        skin = model.triangles[tissue == SKIN]
        shade = _cavity(self.rest, skin)
        chin = model.neutral[model.landmarks68[8]]
        below = ((neck_line(model.neutral[:, 2]) - model.neutral[:, 1]) / 3).clip(0, 1) * (model.neutral[:, 2] > -4)
        shade = shade * (1 - 0.42 * below * (0.4 + 0.6 * ((model.neutral[:, 2] + 4) / (chin[2] + 4)).clip(0, 1)))
        tint[on_skin] = (shade[:, None] ** np.array([0.8, 1.0, 1.08]))[on_skin]
        lips = model.neutral[model.landmarks68[48:60]].mean(0)
        moist = np.exp(-(((model.neutral - lips) / (1.9, 0.55, 1.5)) ** 2).sum(1))
        forehead = ((model.neutral[:, 2] - 5) / 6).clip(0, 1)
        gloss[on_skin, 0] = (0.05 + 0.09 * forehead)[on_skin]
        gloss[on_skin, 1] = 0.10 * moist[on_skin]
        hairy = np.linalg.norm(self._hair, axis=1) > 0
        gloss[hairy, 0] = 0.03 if self.look.style == "cap" else 0.10

        self.mouth_vertices = np.unique(model.triangles[np.isin(tissue, (GUMS, TEETH, MOUTH))])
        for kind, colour, wet in (
            (GUMS, (0.30, 0.085, 0.08), 0.12),
            (TEETH, (0.70, 0.65, 0.55), 0.35),
            (MOUTH, (0.07, 0.016, 0.014), 0.02),
            (SOCKET, (0.30, 0.12, 0.10), 0.10),
        ):
            inside = np.setdiff1d(model.triangles[tissue == kind], np.flatnonzero(on_skin))
            tint[inside], gloss[inside, 1] = colour, wet
        teeth_front = model.neutral[model.triangles[tissue == TEETH], 2].max()
        deep = (1 - (teeth_front - model.neutral[self.mouth_vertices, 2]) / 3.6).clip(0.05, 1) ** 1.8
        inner = ~on_skin[self.mouth_vertices]
        # Lower teeth lie in the shade of the upper ones.
        below = model.expression[model.expression_names.index("jawOpen"), self.mouth_vertices, 1] < -0.5
        deep = deep * np.where(below, 0.4, 1.0)
        tint[self.mouth_vertices[inner]] *= deep[inner, None]

        eye_gloss = np.tile([0.0, 0.8], (len(self.eyes.colour), 1))
        hair = np.full((len(self._curtain), 3), 0.85)
        hair[len(hair) // 2 :] = 0.25  # the inner layer lies in the shade
        self.tint = np.concatenate([tint, hair, self.eyes.colour, np.ones((clothes, 3))]).astype(np.float32)
        self.gloss = np.concatenate(
            [gloss, np.tile([0.10, 0.0], (len(hair), 1)), eye_gloss, np.tile([0.015, 0.0], (clothes, 1))]
        ).astype(np.float32)

    def face(self, expression: Float[np.ndarray, " expression"]) -> Float[np.ndarray, "vertices 3"]:
        """The face model's vertices in the head frame, without hair; lids lie on the eyeballs, never inside."""
        active = np.flatnonzero(expression)
        shape = self.rest.copy()
        if len(active):
            shape += (expression[active].astype(np.float32) @ self._flat_expression[active]).reshape(-1, 3)
        lids = self.anatomy.lids
        for centre in self.eyes.centre:
            ray = shape[lids] - centre
            length = np.linalg.norm(ray, axis=1, keepdims=True)
            sunk = (length[:, 0] < self.eyes.radius * 1.02) & (ray[:, 2] > 0)
            shape[lids[sunk]] = centre + ray[sunk] / length[sunk] * self.eyes.radius * 1.02
        return shape

    def landmark_track(self, expression: Float[np.ndarray, "frames expression"]) -> Float[np.ndarray, "frames 68 3"]:
        """`landmarks` of many expressions."""
        return np.stack([self.landmarks(self.face(weights)) for weights in expression]).astype(float)

    def blink_weight(self, closure: Float[np.ndarray, " frames"], side: int) -> Float[np.ndarray, " frames"]:
        """The blink's weight that shuts the lids of the right (0) or left (1) eye by a share of their opening."""
        weights, share = self._blink_curve[side]
        return np.interp(closure, share, weights)

    def _measure_blink(self, side: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        weights = np.linspace(0, 1, 21)
        gaps = []
        for weight in weights:
            expression = np.zeros(len(self.model.expression))
            expression[self.blink_columns[side]] = weight
            gaps.append(lid_gaps(self.landmarks(self.face(expression)))[side])
        gap = np.minimum.accumulate(gaps)
        return weights, (gap[0] - gap) / (gap[0] - gap[-1]) + 1e-9 * weights

    def world(
        self,
        face: Float[np.ndarray, "vertices 3"],
        gaze: Float[np.ndarray, 2],
        head: Placement,
        body: Placement,
    ) -> Float[np.ndarray, "all 3"]:
        """Every vertex in the world; the neck bends between head and torso."""
        shape = face + self._hair
        moved = head(shape)
        moved += self.neck_weight[:, None] * (body(shape) - moved)
        return np.concatenate([moved, head(self._curtain), head(self.eyes.vertices(gaze)), body(self._clothes)])

    def landmarks(self, face: Float[np.ndarray, "vertices 3"]) -> Float[np.ndarray, "68 3"]:
        """Pose-free iBUG landmarks, head frame, cm."""
        return face[self.model.landmarks68]

    def shaded_tint(
        self, face: Float[np.ndarray, "vertices 3"], gaze: Float[np.ndarray, 2]
    ) -> Float[np.ndarray, "all 3"]:
        """`tint` with the shadows that move: lids on the eyeballs, lips on the inside of the mouth."""
        tint = self.tint.copy()
        marks = self.landmarks(face)
        _, first_eye, first_torso = self.blocks
        balls = self.eyes.vertices(gaze).reshape(2, -1, 3)
        for ball, upper, part in zip(
            balls, ((37, 38), (43, 44)), np.split(tint[first_eye:first_torso], 2), strict=True
        ):
            below_lid = marks[list(upper), 1].mean() - ball[:, 1]
            side = ((ball[:, 0] - ball[:, 0].mean()) / self.eyes.radius) ** 2
            part *= (0.42 + 0.58 * ((below_lid - 0.02) / 0.5).clip(0, 1) - 0.25 * side)[:, None].clip(0.2, 1)
        opening = np.linalg.norm(marks[[61, 62, 63]] - marks[[67, 66, 65]], axis=1).mean()
        inner = self.mouth_vertices
        lit = min(1.0, opening / _LIT_MOUTH_CM)
        tint[inner] *= np.float32(_DARKEST_MOUTH + (1 - _DARKEST_MOUTH) * lit)
        return tint


def lid_gaps(landmarks: Float[np.ndarray, "*frames 68 3"]) -> Float[np.ndarray, "*frames 2"]:
    """Mean distance of the lids of the right and the left eye, cm."""
    pairs = (((37, 41), (38, 40)), ((43, 47), (44, 46)))
    gap = [
        np.mean([np.linalg.norm(landmarks[..., a, :] - landmarks[..., b, :], axis=-1) for a, b in eye], 0)
        for eye in pairs
    ]
    return np.stack(gap, -1)


def neck_line(z: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Height of the plane that follows the jaw from chin to ear lobe, which parts head and neck (tracking.md 6.2)."""
    return -8.3 + 0.42 * (10.5 - z)


def _neck_weight(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    down = ((neck_line(points[:, 2]) - points[:, 1]) / 5.5).clip(0, 1)
    return (down * down * (3 - 2 * down)).astype(np.float32)


def _cavity(vertices: Float[np.ndarray, "n 3"], triangles: Int[np.ndarray, "t 3"]) -> Float[np.ndarray, " n"]:
    """Darkening of hollows: how far the smoothed surface lies above the surface, 1 on flat skin."""
    i = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    i = np.concatenate([i, i[:, ::-1]])
    count = len(vertices)
    links = coo_matrix((np.ones(len(i)), (i[:, 0], i[:, 1])), shape=(count, count)).tocsr()
    degree = np.asarray(links.sum(1)).ravel().clip(1)
    smooth = vertices.astype(float)
    for _ in range(8):
        smooth = (links @ smooth) / degree[:, None]
    normal = vertex_normals(vertices, triangles)
    hollow = ((smooth - vertices) * normal).sum(1)
    for _ in range(2):
        hollow = (links @ hollow) / degree
    return (1 - 2.6 * hollow.clip(0) + 0.5 * (-hollow).clip(0)).clip(0.35, 1.08)
