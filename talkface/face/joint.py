"""Stage B of the fit: pose and expression of all frames at once (tracking.md §3).

Unknowns are ordered frame by frame (rotation, translation, expression), so that second differences and flow lie
within a band of twice a frame's unknowns; one banded Cholesky factorisation in float64 solves an iteration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import solveh_banded

from talkface.face.basis import FaceBasis
from talkface.face.fit import (
    Linear,
    Motion,
    Observations,
    Person,
    expression_prior,
    landmark_weight,
    linearise,
    moved,
    pose_slope,
)
from talkface.face.flow import FLOW_POINTS
from talkface.geometry import vector_from_rotation

_FLOW_WEIGHT, _FLOW_SIGMA = 0.3, 0.005
_CHUNK_FRAMES = 128
_WINDOW_FRAMES, _OVERLAP_FRAMES = 1000, 50
_SINGLE_ROUNDS, _JOINT_ROUNDS = 4, 3
_REJECT_OVER_MEDIAN, _REJECT_LEAST = 4.0, 0.03


@dataclass(frozen=True)
class Tempo:
    """Spread of second differences per frame² at 25 frames per second."""

    rotation: float = np.deg2rad(0.25)
    across_cm: float = 0.12
    depth_cm: float = 0.12

    def pose_precision(self, fps: float) -> Float[np.ndarray, 6]:
        """Weights of the squared second differences of rotation, x, y and z."""
        sd = np.array([self.rotation] * 3 + [self.across_cm] * 2 + [self.depth_cm])
        return 1 / (sd * _slower(fps)) ** 2


WITH_FLOW = Tempo()
WITHOUT_FLOW = Tempo(across_cm=0.06)


def _slower(fps: float) -> float:
    return (25.0 / fps) ** 2


def fit_frames(basis: FaceBasis, person: Person, seen: Observations, motion: Motion, unit_px: np.ndarray) -> Motion:
    """Each frame by itself, in pieces so that memory stays bounded: where the joint fit starts."""
    products = _products(basis)
    pieces = []
    for first in range(0, len(motion), _CHUNK_FRAMES):
        part = slice(first, first + _CHUNK_FRAMES)
        piece, look = motion[part], seen[part]
        for round_ in range(_SINGLE_ROUNDS):
            hessian, gradient = _normal_equations(
                basis, products, person, look, piece, unit_px[part], look.seen, round_ >= 2
            )
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            step[~look.seen] = 0.0
            piece = moved(basis, piece, step)
        pieces.append(piece)
    return _joined(pieces)


def fit_jointly(
    basis: FaceBasis,
    person: Person,
    seen: Observations,
    motion: Motion,
    unit_px: Float[np.ndarray, " frames"],
    trusted: Bool[np.ndarray, " frames"],
    chained: Bool[np.ndarray, " frames"],
    fps: float,
    use_flow: bool = True,
    tempo: Tempo | None = None,
) -> Motion:
    """All frames together, in overlapping windows so that memory stays bounded.

    Args:
        trusted: False for frames whose points are ignored; they stay in the chain and are interpolated.
        chained: False where the frame does not continue the one before (a cut, a long gap, another clip).
        tempo: How fast the head may change its speed; by default what fits with or without flow.
    """
    tempo = tempo or (WITH_FLOW if use_flow else WITHOUT_FLOW)
    total, products = len(motion), _products(basis)
    pieces, first = [], 0
    while first < total:
        stop = min(first + _WINDOW_FRAMES, total)
        if total - stop < 2 * _OVERLAP_FRAMES:
            stop = total
        begin, end = max(first - _OVERLAP_FRAMES, 0), min(stop + _OVERLAP_FRAMES, total)
        part = slice(begin, end)
        joins = chained[part].copy()
        joins[0] = False
        piece = motion[part]
        for _ in range(_JOINT_ROUNDS):
            piece = _joint_step(
                basis, products, person, seen[part], piece, unit_px[part], trusted[part], joins, fps, use_flow, tempo
            )
        pieces.append(piece[first - begin : stop - begin])
        first = stop
    return _joined(pieces)


def _joined(pieces: list[Motion]) -> Motion:
    return Motion(
        np.concatenate([p.rotation for p in pieces]),
        np.concatenate([p.translation for p in pieces]),
        np.concatenate([p.expression for p in pieces]),
    )


def residuals(
    basis: FaceBasis, person: Person, seen: Observations, motion: Motion, unit_px: Float[np.ndarray, " frames"]
) -> Float[np.ndarray, "frames 468"]:
    """Distance between seen and fitted points as a fraction of the distance between the irises; NaN where unseen."""
    result = np.full((len(motion), 468), np.nan)
    for first in range(0, len(motion), _CHUNK_FRAMES):
        part = slice(first, first + _CHUNK_FRAMES)
        shapes = basis.shapes(person.identity, person.offset, motion.expression[part])
        gap = seen.points[part, :, :2] - linearise(shapes, motion[part], person.focal_px).points
        result[part] = np.linalg.norm(gap, axis=-1) / unit_px[part, None]
    result[~seen.seen] = np.nan
    return result


def outliers(median: Float[np.ndarray, " frames"]) -> Bool[np.ndarray, " frames"]:
    """Frames whose median residual is over four times the clip's, or three sigma where that is more."""
    usual = np.nanmedian(median) if np.isfinite(median).any() else 0.0
    return np.nan_to_num(median, nan=0.0) > max(_REJECT_OVER_MEDIAN * usual, _REJECT_LEAST)


@dataclass(frozen=True, eq=False)
class _Products:
    """Expression modes, and their symmetric products: sums over points become single matrix products."""

    modes: np.ndarray
    squares: np.ndarray
    upper: tuple[np.ndarray, np.ndarray]


def _products(basis: FaceBasis) -> _Products:
    count = len(basis.names)
    upper = np.triu_indices(count)
    modes = basis.expression  # [modes, 468, 3]
    squares = np.empty((468, 6, len(upper[0])), np.float32)
    for row, (a, b) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
        outer = modes[upper[0], :, a] * modes[upper[1], :, b]
        if a != b:
            outer = outer + modes[upper[0], :, b] * modes[upper[1], :, a]
        squares[:, row] = outer.T
    flat = np.ascontiguousarray(modes.transpose(1, 2, 0).reshape(468 * 3, count))
    return _Products(flat, squares.reshape(468 * 6, -1), upper)


def _normal_equations(
    basis: FaceBasis,
    products: _Products,
    person: Person,
    seen: Observations,
    motion: Motion,
    unit_px: np.ndarray,
    trusted: np.ndarray,
    robust: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Hessian blocks [frames, n, n] and gradients [frames, n] of points and expression priors, n = 6 + expressions."""
    frames, count = len(motion), len(basis.names)
    shapes = basis.shapes(person.identity, person.offset, motion.expression)
    line = linearise(shapes, motion, person.focal_px)
    gap = seen.points[..., :2] - line.points
    weight = landmark_weight(basis, seen, gap, unit_px, trusted, robust)
    weighted = line.slope * weight[..., None, None]
    curve = np.matmul(np.swapaxes(weighted, 2, 3), line.slope)  # [frames, 468, 3, 3] in the head frame
    pull = np.matmul(gap[:, :, None], weighted)[:, :, 0]  # [frames, 468, 3]
    # A turn w moves a point by w x s, so its rows of the normal equations are s x (the curve's columns).
    turned = np.swapaxes(np.cross(shapes[:, :, None], np.swapaxes(curve, 2, 3)), 2, 3)
    lever = np.concatenate([turned, curve], 2)  # [frames, 468, 6, 3]
    hessian = np.zeros((frames, 6 + count, 6 + count))
    gradient = np.zeros((frames, 6 + count))
    pose = hessian[:, :6, :6]
    total = lever.sum(1)  # against translations
    pose[:, :, 3:] = total
    pose[:, :3, :3] = np.cross(shapes[:, :, None], lever[:, :, :3]).sum(1)
    pose[:, 3:, :3] = np.swapaxes(total[:, :3], 1, 2)
    gradient[:, :3] = np.cross(shapes, pull).sum(1)
    gradient[:, 3:6] = pull.sum(1)
    turn = np.zeros((frames, 6, 6))
    turn[:, :3, :3] = turn[:, 3:, 3:] = motion.rotation
    pose[:] = turn @ pose @ np.swapaxes(turn, 1, 2)
    gradient[:, :6] = np.einsum("fab,fb->fa", turn, gradient[:, :6])
    pose[:, np.arange(6), np.arange(6)] += 1e-6
    if count:
        mixed = (lever.transpose(0, 2, 1, 3).reshape(frames * 6, -1) @ products.modes).reshape(frames, 6, count)
        mixed = turn @ mixed
        hessian[:, :6, 6:], hessian[:, 6:, :6] = mixed, np.swapaxes(mixed, 1, 2)
        six = curve.reshape(frames, 468, 9)[..., [0, 1, 2, 4, 5, 8]].reshape(frames, -1).astype(np.float32)
        own = (six @ products.squares).astype(float)
        rows, columns = products.upper
        hessian[:, 6 + rows, 6 + columns] = own
        hessian[:, 6 + columns, 6 + rows] = own
        gradient[:, 6:] = pull.reshape(frames, -1) @ products.modes
        expression_prior(basis, person, motion.expression, seen, trusted, hessian, gradient)
    return hessian, gradient


def _joint_step(
    basis: FaceBasis,
    products: _Products,
    person: Person,
    seen: Observations,
    motion: Motion,
    unit_px: np.ndarray,
    trusted: np.ndarray,
    chained: np.ndarray,
    fps: float,
    use_flow: bool,
    tempo: Tempo,
) -> Motion:
    frames, size = len(motion), 6 + len(basis.names)
    hessian = np.empty((frames, size, size))
    gradient = np.empty((frames, size))
    for first in range(0, frames, _CHUNK_FRAMES):
        part = slice(first, first + _CHUNK_FRAMES)
        hessian[part], gradient[part] = _normal_equations(
            basis, products, person, seen[part], motion[part], unit_px[part], trusted[part], True
        )
    coupling = np.zeros((frames, 6, 6))
    if use_flow:
        coupling = _add_flow(basis, person, seen, motion, unit_px, trusted, chained, hessian, gradient)
    band = _band(hessian)
    del hessian
    for distance in range(-5, 6):  # rows of frame t + 1 against columns of frame t
        for column in range(max(0, -distance), min(6, 6 - distance)):
            band[size + distance].reshape(frames, size)[:-1, column] += coupling[1:, column + distance, column]
    precision = np.r_[tempo.pose_precision(fps), 1 / (basis.tempo_sd * _slower(fps)) ** 2]
    _add_tempo(band, gradient, motion, precision, chained)
    step = solveh_banded(band, gradient.ravel(), lower=True, overwrite_ab=True, check_finite=False)
    return moved(basis, motion, step.reshape(frames, size))


def _band(blocks: np.ndarray) -> np.ndarray:
    """Block-diagonal matrix in the lower banded form of LAPACK, with room for two frames' distance."""
    frames, size = blocks.shape[:2]
    band = np.zeros((2 * size + 1, frames * size))
    for distance in range(size):
        rows = band[distance].reshape(frames, size)
        rows[:, : size - distance] = np.diagonal(blocks, -distance, 1, 2)
    return band


def _add_tempo(
    band: np.ndarray, gradient: np.ndarray, motion: Motion, precision: np.ndarray, chained: np.ndarray
) -> None:
    """Second differences of every unknown, over each three frames that belong together."""
    frames, size = gradient.shape
    if frames < 3:
        return
    middle = (chained[1:-1] & chained[2:]).astype(float)
    turn = vector_from_rotation(motion.rotation[1:] @ np.swapaxes(motion.rotation[:-1], 1, 2))
    jerk = np.concatenate([np.diff(turn, axis=0), np.diff(motion.translation, 2, axis=0),
                           np.diff(motion.expression, 2, axis=0)], 1)  # fmt: skip
    pull = -middle[:, None] * precision * jerk
    gradient[:-2] += pull
    gradient[1:-1] -= 2 * pull
    gradient[2:] += pull
    own, next_, after = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    own[:-2] += middle
    own[1:-1] += 4 * middle
    own[2:] += middle
    next_[:-2] -= 2 * middle
    next_[1:-1] -= 2 * middle
    after[:-2] += middle
    band[0] += (own[:, None] * precision).ravel()
    band[size] += (next_[:, None] * precision).ravel()
    band[2 * size] += (after[:, None] * precision).ravel()


def _add_flow(
    basis: FaceBasis,
    person: Person,
    seen: Observations,
    motion: Motion,
    unit_px: np.ndarray,
    trusted: np.ndarray,
    chained: np.ndarray,
    hessian: np.ndarray,
    gradient: np.ndarray,
) -> np.ndarray:
    """Image motion between neighbours against the poses' motion; returns the coupling of t (rows) with t - 1."""
    index = list(FLOW_POINTS)
    shapes = basis.shapes(person.identity, person.offset, motion.expression)[:, index]
    line: Linear = linearise(shapes, motion, person.focal_px)
    slope = pose_slope(shapes, line.slope, motion.rotation)  # [frames, flow, 2, 6]
    gap = seen.flow[1:] - np.diff(line.points, axis=0)
    sigma = _FLOW_SIGMA * unit_px[1:, None]
    weight = _FLOW_WEIGHT / sigma**2 / (1 + (gap**2).sum(-1) / (4 * sigma**2))
    usable = chained[1:] & trusted[1:] & trusted[:-1] & seen.seen[1:] & seen.seen[:-1]
    weight = np.where(seen.flow_trusted[1:] & usable[:, None], weight, 0.0)
    pairs = len(gap)
    rows = slope.reshape(len(motion), -1, 6)
    spread = np.repeat(weight, 2, axis=1)[..., None]
    after, before = rows[1:], rows[:-1]
    flat_gap = gap.reshape(pairs, -1, 1)
    weighted_after, weighted_before = np.swapaxes(after * spread, 1, 2), np.swapaxes(before * spread, 1, 2)
    hessian[1:, :6, :6] += weighted_after @ after
    hessian[:-1, :6, :6] += weighted_before @ before
    gradient[1:, :6] += (weighted_after @ flat_gap)[..., 0]
    gradient[:-1, :6] -= (weighted_before @ flat_gap)[..., 0]
    coupling = np.zeros((len(motion), 6, 6))
    coupling[1:] = -weighted_after @ before
    return coupling
