"""Camera, person, pose and expression from mesh points over time: joint Gauss-Newton in two stages (tracking.md §3).

Stage A finds what is fixed over a clip (focal length, identity, a constant offset per point) from a few dozen varied
frames. Stage B solves pose and expression of all frames together: one banded Cholesky factorisation per iteration,
with second-difference priors and optical flow between neighbours.

Inside: camera x right, y down, z forward; ``point = f * (X / Z, Y / Z)`` relative to the principal point, px.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from talkface.face.basis import FaceBasis
from talkface.geometry import rotation_from_vector, vector_from_rotation

_RHO = 0.08
_BOUND_SD = 0.03
_BLINK_SD = 0.05
_OFFSET_SD_CM = 0.1
_LIP_PAIRS = ((81, 178), (82, 87), (13, 14), (312, 317), (311, 402))
_LIP_DEPTH_SD_CM = 0.1
LIP_DEPTH_PER_GAP = 0.4
"""How far the lower inner lip goes back as it goes down: ICT's jawOpen alone says 0.59, its lip shapes 0.1 to 0.2."""
_FOCAL_SD = 0.35
_STAGE_A_FRAMES, _STAGE_A_ROUNDS, _OFFSET_FROM, _ROBUST_FROM = 48, 12, 6, 2
FLAT = np.diag([1.0, -1.0, -1.0])
"""Camera from head of a frontal head."""


@dataclass(frozen=True, eq=False)
class Observations:
    """What was seen, frame by frame, relative to the principal point."""

    points: Float[np.ndarray, "frames 468 3"]
    """Mesh points, px; 0 where there is no face."""
    seen: Bool[np.ndarray, " frames"]
    closure: Float[np.ndarray, "frames 2"]
    """Lid closure, 0 where unknown."""
    flow: Float[np.ndarray, "frames flow 2"]
    """Motion of `FLOW_POINTS` from the frame before, px."""
    flow_trusted: Bool[np.ndarray, "frames flow"]

    def __getitem__(self, index: slice | np.ndarray) -> Observations:
        return replace(
            self,
            points=self.points[index],
            seen=self.seen[index],
            closure=self.closure[index],
            flow=self.flow[index],
            flow_trusted=self.flow_trusted[index],
        )


@dataclass(frozen=True, eq=False)
class Person:
    """What does not change over a clip."""

    focal_px: float
    identity: Float[np.ndarray, " identity"]
    offset: Float[np.ndarray, "468 3"]


@dataclass(frozen=True, eq=False)
class Motion:
    """What changes: camera from head, and expression."""

    rotation: Float[np.ndarray, "frames 3 3"]
    translation: Float[np.ndarray, "frames 3"]
    expression: Float[np.ndarray, "frames expression"]

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, index: slice | np.ndarray) -> Motion:
        return Motion(self.rotation[index], self.translation[index], self.expression[index])


def start(basis: FaceBasis, seen: Observations, focal_px: float) -> tuple[Motion, Float[np.ndarray, " frames"]]:
    """First pose of every frame from the mesh's own depth (weighted Procrustes), and its scale in px per cm.

    Frames without a face get the pose of their neighbours, interpolated.
    """
    weight = 1 / basis.sigma**2
    weight = weight / weight.sum()
    points = seen.points
    centre = np.einsum("k,fkx->fx", weight, points)
    model_centre = weight @ basis.neutral
    model = basis.neutral - model_centre
    cross = np.einsum("k,fkx,ky->fxy", weight, points - centre[:, None], model)
    u, s, vt = np.linalg.svd(cross)
    sign = np.ones((len(points), 3))
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = np.where(seen.seen[:, None, None], (u * sign[:, None]) @ vt, FLAT)
    scale = np.where(seen.seen, (s * sign).sum(-1) / (weight @ (model**2).sum(-1)), 1.0)
    shift = centre - scale[:, None] * (rotation @ model_centre)
    translation = np.concatenate([shift[:, :2], np.full((len(points), 1), focal_px)], 1) / scale[:, None]
    rotation, translation, scale = _fill(rotation, translation, scale, seen.seen)
    return Motion(rotation, translation, np.zeros((len(points), len(basis.names)))), scale


def _fill(
    rotation: np.ndarray, translation: np.ndarray, scale: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    known = np.flatnonzero(seen)
    if len(known) in (0, len(seen)):
        return rotation, translation, scale
    frames = np.arange(len(seen))
    after = known[np.clip(np.searchsorted(known, frames), 0, len(known) - 1)]
    before = known[np.clip(np.searchsorted(known, frames, side="right") - 1, 0, len(known) - 1)]
    part = np.clip((frames - before) / np.maximum(after - before, 1), 0, 1)[:, None]
    turn = vector_from_rotation(rotation[after] @ np.swapaxes(rotation[before], 1, 2))
    turned = rotation_from_vector(part * turn) @ rotation[before]
    moved = (1 - part) * translation[before] + part * translation[after]
    return turned, moved, (1 - part[:, 0]) * scale[before] + part[:, 0] * scale[after]


@dataclass(frozen=True, eq=False)
class Linear:
    """Model points of some frames and how they move: derivatives are taken in the head frame."""

    points: Float[np.ndarray, "frames points 2"]
    slope: Float[np.ndarray, "frames points 2 3"]
    """d point / d (position in the head frame)."""


def linearise(shapes: Float[np.ndarray, "frames points 3"], motion: Motion, focal_px: float) -> Linear:
    """Project shapes and differentiate."""
    placed = shapes @ np.swapaxes(motion.rotation, 1, 2) + motion.translation[:, None]
    depth = np.maximum(placed[..., 2], 1.0)
    over = focal_px / depth
    x, y = placed[..., 0] / depth, placed[..., 1] / depth
    rotation = motion.rotation
    rows = [
        over[..., None] * (rotation[:, None, i] - ratio[..., None] * rotation[:, None, 2])
        for i, ratio in ((0, x), (1, y))
    ]
    return Linear(focal_px * np.stack([x, y], -1), np.stack(rows, -2))


def landmark_weight(
    basis: FaceBasis,
    seen: Observations,
    gap: Float[np.ndarray, "frames 468 2"],
    unit_px: Float[np.ndarray, " frames"],
    trusted: Bool[np.ndarray, " frames"],
    robust: bool,
) -> Float[np.ndarray, "frames 468"]:
    """Weight of each point, 1/px²: noise is about 20 independent modes, not 936, hence rho; Student-t when robust."""
    sigma = basis.sigma * unit_px[:, None]
    weight = _RHO / sigma**2
    if robust:
        weight = weight / (1 + (gap**2).sum(-1) / (4 * sigma**2))
    return np.where((trusted & seen.seen)[:, None], weight, 0.0)


def choose_varied(
    motion: Motion,
    scale: Float[np.ndarray, " frames"],
    shape: Float[np.ndarray, "frames features"],
    usable: Bool[np.ndarray, " frames"],
    count: int = _STAGE_A_FRAMES,
) -> np.ndarray:
    """Frames for stage A: half farthest-point in pose, size and face shape, half random with a fixed seed."""
    known = np.flatnonzero(usable)
    if len(known) <= count:
        return known
    turn = vector_from_rotation(np.swapaxes(np.broadcast_to(FLAT, motion.rotation.shape), 1, 2) @ motion.rotation)
    features = np.concatenate([turn / 0.1, np.log(scale)[:, None] / 0.1, shape], 1)[known]
    chosen = [int(np.argmin(((features - np.median(features, 0)) ** 2).sum(1)))]
    distance = np.full(len(known), np.inf)
    while len(chosen) < count // 2:
        distance = np.minimum(distance, ((features - features[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(np.argmax(distance)))
    rest = np.setdiff1d(np.arange(len(known)), chosen)
    random = np.random.default_rng(0).choice(rest, count - len(chosen), replace=False)
    return np.sort(known[np.r_[chosen, random]])


def fit_person(
    basis: FaceBasis,
    seen: Observations,
    motion: Motion,
    unit_px: Float[np.ndarray, " frames"],
    focal_px: float,
    fixed_focal: bool,
) -> tuple[Person, Motion]:
    """Stage A: Gauss-Newton over focal length, identity and these frames' unknowns, the latter eliminated (Schur)."""
    count, shared = len(basis.identity), len(basis.identity) + 1
    size = 6 + len(basis.names)
    start_focal = focal_px
    identity, offset = np.zeros(count), np.zeros((468, 3))
    all_frames = np.ones(len(motion), bool)
    everything = np.concatenate([basis.identity, basis.expression]).reshape(-1, 468, 3)
    moves = np.ascontiguousarray(everything.transpose(1, 2, 0)).astype(np.float32)  # [468, 3, identity + expression]
    for round_ in range(_STAGE_A_ROUNDS):
        shapes = basis.shapes(identity, offset, motion.expression)
        line = linearise(shapes, motion, focal_px)
        gap = seen.points[..., :2] - line.points
        weight = landmark_weight(basis, seen, gap, unit_px, all_frames, round_ >= _ROBUST_FROM)
        root = np.sqrt(weight)[..., None]
        slope = (line.slope * root[..., None]).astype(np.float32)
        residual = gap * root
        modes = np.matmul(slope, moves).reshape(len(motion), 936, -1)
        pose = pose_slope(shapes, slope, motion.rotation).reshape(len(motion), 936, 6)
        focal = (line.points * root).reshape(len(motion), 936, 1)  # d point / d log f
        columns = np.concatenate([focal, modes[..., :count], pose, modes[..., count:]], -1).astype(np.float32)
        transposed = np.swapaxes(columns, 1, 2)
        hessian = np.matmul(transposed, columns).astype(float)
        gradient = np.einsum("fan,fn->fa", transposed, residual.reshape(len(motion), 936).astype(np.float32)).astype(
            float
        )
        own, own_gradient = hessian[:, shared:, shared:], gradient[:, shared:]
        expression_prior(
            basis, Person(focal_px, identity, offset), motion.expression, seen, all_frames, own, own_gradient
        )
        own[:, np.arange(6), np.arange(6)] += 1e-6
        cross = hessian[:, :shared, shared:]
        solved = np.linalg.solve(own, np.concatenate([np.swapaxes(cross, 1, 2), own_gradient[..., None]], -1))
        top = hessian[:, :shared, :shared].sum(0) - np.einsum("fas,fsb->ab", cross, solved[..., :shared])
        right = gradient[:, :shared].sum(0) - np.einsum("fas,fs->a", cross, solved[..., shared])
        top[np.arange(1, shared), np.arange(1, shared)] += 1.0
        right[1:] -= identity
        top[0, 0] += 1 / _FOCAL_SD**2
        right[0] -= np.log(focal_px / start_focal) / _FOCAL_SD**2
        if fixed_focal:
            top[0], top[:, 0], top[0, 0], right[0] = 0.0, 0.0, 1.0, 0.0
        step = np.linalg.solve(top, right)
        own_step = solved[..., shared] - solved[..., :shared] @ step
        # The focal step is limited: perspective is far from linear in it.
        grow = float(np.exp(np.clip(step[0], -0.3, 0.3)))
        focal_px, identity = focal_px * grow, identity + step[1:]
        motion = moved(basis, motion, own_step.reshape(len(motion), size))
        if round_ >= _OFFSET_FROM:
            offset = _best_offset(basis, seen, motion, focal_px, identity, offset, weight)
    return Person(focal_px, identity, offset), motion


def _best_offset(
    basis: FaceBasis,
    seen: Observations,
    motion: Motion,
    focal_px: float,
    identity: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Closed form per point: what the identity modes cannot say about this person or this detector."""
    line = linearise(basis.shapes(identity, offset, motion.expression), motion, focal_px)
    gap = seen.points[..., :2] - line.points
    normal = np.einsum("fk,fkix,fkiy->kxy", weight, line.slope, line.slope)
    right = np.einsum("fk,fkix,fki->kx", weight, line.slope, gap) - offset / _OFFSET_SD_CM**2
    return offset + np.linalg.solve(normal + np.eye(3) / _OFFSET_SD_CM**2, right[..., None])[..., 0]


def pose_slope(shapes: np.ndarray, slope: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """d point / d (rotation, translation), both in the camera frame: [frames, points, 2, 6]."""
    in_camera = np.matmul(slope, np.swapaxes(rotation, 1, 2)[:, None].astype(slope.dtype))
    turned = np.matmul(shapes, np.swapaxes(rotation, 1, 2)).astype(slope.dtype)
    return np.concatenate([np.cross(turned[:, :, None], in_camera), in_camera], -1)


def expression_prior(
    basis: FaceBasis,
    person: Person,
    expression: np.ndarray,
    seen: Observations,
    trusted: np.ndarray,
    hessian: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Add the priors on weights to the frames' normal equations: small, within [0, 1], lids as measured, lips meeting.

    The last is our addition: a picture hardly shows depth, and without it closed lips stood 3 mm before one another,
    which spoils every opening measured in space: the inner lips part in depth only as they part in height.
    """
    count = len(basis.names)
    diagonal = np.broadcast_to(1 / basis.weight_sd**2, expression.shape).copy()
    slope = -expression / basis.weight_sd**2
    if basis.bounded:
        outside = expression - np.clip(expression, 0, 1)
        diagonal += (outside != 0) / _BOUND_SD**2
        slope -= outside / _BOUND_SD**2
    if basis.blink is not None:
        blink = list(basis.blink)
        known = (seen.seen & trusted)[:, None] / _BLINK_SD**2
        diagonal[:, blink] += known
        slope[:, blink] += known * (seen.closure - expression[:, blink])
    if basis.bounded:
        upper, lower = np.array(_LIP_PAIRS).T
        rest = basis.neutral + person.offset + np.tensordot(person.identity, basis.identity, 1)
        across = np.array([0.0, -LIP_DEPTH_PER_GAP, 1.0])
        part = (basis.expression[:, upper] - basis.expression[:, lower]) @ across  # [expression, pairs]
        gap = (rest[upper] - rest[lower]) @ across + expression @ part
        hessian[:, 6:, 6:] += part @ part.T / _LIP_DEPTH_SD_CM**2
        slope -= gap @ part.T / _LIP_DEPTH_SD_CM**2
    index = 6 + np.arange(count)
    hessian[:, index, index] += diagonal
    gradient[:, 6:] += slope


def moved(basis: FaceBasis, motion: Motion, step: Float[np.ndarray, "frames unknowns"]) -> Motion:
    """Apply a step (rotation, translation, expression)."""
    expression = motion.expression + step[:, 6:]
    if basis.bounded:
        expression = np.clip(expression, -0.05, 1.2)
    translation = motion.translation + step[:, 3:6]
    translation[:, 2] = np.maximum(translation[:, 2], 0.3 * motion.translation[:, 2])
    return Motion(rotation_from_vector(step[:, :3]) @ motion.rotation, translation, expression)
