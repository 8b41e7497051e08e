"""Where each of the 468 mesh points lies on the ICT face: a triangle and barycentric weights (tracking.md §2).

Eyelids and lips are paired curve by curve; the rest by a non-rigid closest-point fit of the model to the canonical
face. Takes about a second and is kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int

from talkface.errors import UserError
from talkface.face.model import PARTS, FaceModel

_CURVES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    # (mesh points, iBUG landmarks the same curve passes through)
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (36, 37, 38, 39)),
    ((33, 7, 163, 144, 145, 153, 154, 155, 133), (36, 41, 40, 39)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (42, 43, 44, 45)),
    ((362, 382, 381, 380, 374, 373, 390, 249, 263), (42, 47, 46, 45)),
    ((61, 185, 40, 39, 37, 0), (48, 49, 50, 51)),
    ((0, 267, 269, 270, 409, 291), (51, 52, 53, 54)),
    ((61, 146, 91, 181, 84, 17), (48, 59, 58, 57)),
    ((17, 314, 405, 321, 375, 291), (57, 56, 55, 54)),
    ((78, 191, 80, 81, 82, 13), (60, 61, 62)),
    ((13, 312, 311, 310, 415, 308), (62, 63, 64)),
    ((78, 95, 88, 178, 87, 14), (60, 67, 66)),
    ((14, 317, 402, 318, 324, 308), (66, 65, 64)),
    ((1,), (30,)),
    ((2,), (33,)),
)
_ALARM_POINT, _ALARM_AT = 33, np.array([-4.446, 2.664, 3.173])
_HARD, _SOFT, _ROUNDS, _EXPRESSION_SD = 6.0, 3.0, 12, 0.3


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Mesh point k lies at ``sum_c weights[k, c] * vertex[corners[k, c]]``."""

    corners: Int[np.ndarray, "points 3"]
    weights: Float[np.ndarray, "points 3"]

    def gather(self, values: Float[np.ndarray, "... vertices 3"]) -> Float[np.ndarray, "... points 3"]:
        """Values of the model's vertices at the mesh points."""
        return np.einsum("...kcx,kc->...kx", values[..., self.corners, :], self.weights)


def correspondence(model: FaceModel, canonical: Float[np.ndarray, "468 3"]) -> Correspondence:
    """The correspondence of this model, read from the user's cache or computed and kept there.

    Raises:
        UserError: the canonical vertices are not in landmark order (one circulating file has them permuted).
    """
    _check_order(canonical)
    digest = hashlib.sha256()
    for array in (model.neutral, model.triangles, canonical):
        digest.update(np.ascontiguousarray(array).tobytes())
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "talkface"
    path = folder / f"correspondence-1-{digest.hexdigest()[:16]}.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            return Correspondence(data["corners"], data["weights"])
    except (OSError, EOFError, KeyError, ValueError, BadZipFile):
        found = find_correspondence(model, canonical)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.stem}.{os.getpid()}.npz")
        np.savez(beside, corners=found.corners, weights=found.weights)
        beside.replace(path)
    except OSError:
        pass  # a read-only home only costs the second
    return found


def find_correspondence(model: FaceModel, canonical: Float[np.ndarray, "468 3"]) -> Correspondence:
    """Compute the correspondence (the cache apart)."""
    _check_order(canonical)
    triangles = model.triangles[(model.triangles < PARTS["face"].stop).all(1)]
    points, corners, weights = _hard_pairs(model, triangles, canonical)
    hard = Correspondence(corners, weights)
    scale, rotation, shift = similarity(canonical[points], hard.gather(model.neutral))
    target = scale * canonical @ rotation.T + shift
    modes = np.concatenate([model.identity, model.expression]).astype(float)
    sd = np.r_[np.ones(len(model.identity)), np.full(len(model.expression), _EXPRESSION_SD)]
    hard_modes = hard.gather(modes).reshape(len(modes), -1)
    hard_neutral = hard.gather(model.neutral)
    free = np.setdiff1d(np.arange(len(canonical)), points)
    shape = model.neutral.astype(float)
    coefficients = np.zeros(len(modes))
    for _ in range(_ROUNDS):
        facing = _facing(shape, triangles)
        foot = Correspondence(*closest_on_mesh(target[free], shape, facing))
        normal = _normals(shape, foot.corners)
        soft_modes = np.einsum("mkx,kx->mk", foot.gather(modes), normal)
        soft_gap = np.einsum("kx,kx->k", target[free] - foot.gather(model.neutral), normal)
        rows = np.concatenate([_HARD * hard_modes, _SOFT * soft_modes], 1)
        gaps = np.concatenate([_HARD * (target[points] - hard_neutral).ravel(), _SOFT * soft_gap])
        coefficients = np.linalg.solve(rows @ rows.T + np.diag(1 / sd**2), rows @ gaps)
        shape = model.neutral + np.tensordot(coefficients, modes, 1)
        _, turn, move = similarity(target[points], hard.gather(shape), with_scale=False)
        target = target @ turn.T + move
    target = target + _spread(target[points], hard.gather(shape) - target[points], target)
    all_corners, all_weights = closest_on_mesh(target, shape, _facing(shape, triangles))
    all_corners[points], all_weights[points] = corners, weights
    return Correspondence(all_corners, all_weights)


def similarity(
    source: Float[np.ndarray, "points 3"],
    target: Float[np.ndarray, "points 3"],
    with_scale: bool = True,
) -> tuple[float, Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Scale, rotation and shift with ``target ~ scale * rotation @ source + shift`` in least squares (Umeyama)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (a**2).sum()) if with_scale else 1.0
    return scale, rotation, target.mean(0) - scale * rotation @ source.mean(0)


def closest_on_mesh(
    points: Float[np.ndarray, "points 3"],
    vertices: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    candidates: int = 48,
) -> tuple[Int[np.ndarray, "points 3"], Float[np.ndarray, "points 3"]]:
    """Corners and barycentric weights of the closest surface point, among the triangles with the nearest centroids."""
    from scipy.spatial import cKDTree

    corners = vertices[triangles]
    near = cKDTree(corners.mean(1)).query(points, k=min(candidates, len(triangles)))[1]
    a, b, c = (corners[near, i] for i in range(3))
    weights = _closest_in_triangle(points[:, None], a, b, c)
    foot = weights[..., :1] * a + weights[..., 1:2] * b + weights[..., 2:] * c
    best = np.argmin(((foot - points[:, None]) ** 2).sum(-1), 1)
    rows = np.arange(len(points))
    return triangles[near[rows, best]], weights[rows, best]


def _closest_in_triangle(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentric weights of the closest point: the plane's foot, or else the best of the three edges."""
    ab, ac, ap = b - a, c - a, p - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    determinant = np.maximum(d00 * d11 - d01**2, 1e-18)
    v, w = (d11 * d20 - d01 * d21) / determinant, (d00 * d21 - d01 * d20) / determinant
    inside = np.stack([1 - v - w, v, w], -1)
    options = [inside]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, end = (a, b, c)[i], (a, b, c)[j]
        edge = end - start
        along = np.clip(((p - start) * edge).sum(-1) / np.maximum((edge**2).sum(-1), 1e-18), 0, 1)
        option = np.zeros_like(inside)
        option[..., i], option[..., j] = 1 - along, along
        options.append(option)
    stacked = np.stack(options)
    foot = stacked[..., :1] * a + stacked[..., 1:2] * b + stacked[..., 2:] * c
    distance = ((foot - p) ** 2).sum(-1)
    distance[0] = np.where((inside >= 0).all(-1), distance[0], np.inf)
    best = np.argmin(distance, 0)
    return np.take_along_axis(stacked, best[None, ..., None], 0)[0]


def _hard_pairs(
    model: FaceModel, triangles: np.ndarray, canonical: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mesh points on the curves, placed on the model's mesh edges by arc length."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0)
    lengths = np.linalg.norm(model.neutral[edges[:, 0]] - model.neutral[edges[:, 1]], axis=1)
    size = PARTS["face"].stop
    graph = coo_matrix((lengths, edges.T), shape=(size, size)).tocsr()
    placed: dict[int, tuple[tuple[int, int], float]] = {}
    for mesh, through in _CURVES:
        stops = model.landmarks68[list(through)]
        path = [int(stops[0])]
        for stop in stops[1:]:
            previous = dijkstra(graph, directed=False, indices=int(stop), return_predecessors=True)[1]
            while path[-1] != stop:
                path.append(int(previous[path[-1]]))
        if len(mesh) == 1:
            placed[mesh[0]] = ((path[0], path[0]), 0.0)
            continue
        along_mesh, along_path = _arc(canonical[list(mesh)]), _arc(model.neutral[path])
        for point, fraction in zip(mesh, along_mesh, strict=True):
            i = int(np.clip(np.searchsorted(along_path, fraction, side="right") - 1, 0, len(path) - 2))
            rest = (fraction - along_path[i]) / (along_path[i + 1] - along_path[i])
            placed.setdefault(point, ((path[i], path[i + 1]), float(rest)))
    points = np.array(list(placed))
    corners = np.array([(a, b, a) for (a, b), _ in placed.values()])
    weights = np.array([(1 - rest, rest, 0.0) for _, rest in placed.values()])
    return points, corners, weights


def _arc(line: np.ndarray) -> np.ndarray:
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    return along / along[-1]


def _normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def _facing(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    return triangles[_normals(vertices, triangles)[:, 2] > 0]


def _spread(at: np.ndarray, gaps: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The hard pairs' remaining gaps, spread smoothly over the face."""
    from scipy.interpolate import RBFInterpolator

    return RBFInterpolator(at, gaps, kernel="linear", smoothing=1e-3)(to)


def _check_order(canonical: np.ndarray) -> None:
    if np.abs(canonical[_ALARM_POINT] - _ALARM_AT).max() > 0.01:
        raise UserError(
            f"the canonical face's vertices are not in landmark order: point {_ALARM_POINT} should be {_ALARM_AT}"
        )
