"""First guesses from landmarks and silhouettes: the box around a head, and the cells in which its surface can lie."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import RBFInterpolator

from talkface.fields.rays import HeadBox
from talkface.types import Camera

JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE_TIP = 30
CHIN = 8


def head_box(
    silhouettes: list[Bool[np.ndarray, "height width"]],
    camera: Camera,
    head_from_camera: Float[np.ndarray, "frames 4 4"],
    landmarks: Float[np.ndarray, "68 3"],
    margin: float = 0.05,
) -> HeadBox:
    """The smallest cube that holds the head of all frames, with a margin on each side as a share of its side.

    Silhouettes are placed at the depth of the head's origin; the front of the cube lies 1.5 cm before the nose tip.

    Args:
        silhouettes: the head in some frames, in the picture of `camera`.
        head_from_camera: cm, one for each silhouette.
        landmarks: mean pose-free landmarks, cm.
    """
    lows, highs = [], []
    for mask, pose in zip(silhouettes, head_from_camera, strict=True):
        rows, columns = np.nonzero(mask)
        if not len(rows):
            continue
        plane = (np.stack([columns, rows], 1) + 0.5 - camera.center_px) / camera.focal_px
        depth = np.linalg.inv(pose)[2, 3]
        points = np.concatenate([plane, np.ones((len(plane), 1))], 1) * depth
        flat = points @ pose[:3, :3].T + pose[:3, 3]
        lows.append(np.percentile(flat[:, :2], 0.3, axis=0))
        highs.append(np.percentile(flat[:, :2], 99.7, axis=0))
    low, high = np.percentile(lows, 5, axis=0), np.percentile(highs, 95, axis=0)
    side = float((high - low).max() * (1 + 2 * margin))
    front = float(landmarks[NOSE_TIP, 2]) + 1.5
    middle = (low + high) / 2
    return HeadBox((float(middle[0]), float(middle[1]), front - side / 2), side)


def surface_shell(landmarks: Float[np.ndarray, "68 3"], box: HeadBox, cells: int) -> Bool[np.ndarray, "x y z"]:
    """Cells of the box near the head's front surface, as the mean landmarks tell it.

    Between the landmarks the surface is a thin-plate spline; the shell reaches 1.5 cm before and 3.5 cm behind it
    (teeth, tongue) and widens by the distance from the nearest landmark (hair, ears, neck). Forehead points are
    guessed above the brows, since the 68 end there.
    """
    up = landmarks[BROWS].mean(0) - landmarks[CHIN]
    above = landmarks[17:27:3] + np.array([0.0, 0.45, 0.0]) * up[1] + np.array([0.0, 0.0, -1.5])
    known = np.concatenate([landmarks, above * [0.75, 1, 1] + [0, 0, 0]])
    line = box.to_head(np.repeat(((np.arange(cells) + 0.5) / cells)[:, None], 3, 1))
    x, y = np.meshgrid(line[:, 0], line[:, 1], indexing="ij")
    where = np.stack([x.ravel(), y.ravel()], 1)
    distance = np.linalg.norm(where[:, None] - known[None, :, :2], axis=-1)
    nearest = distance.argmin(1)
    away = np.maximum(distance[np.arange(len(where)), nearest] - 1.5, 0).reshape(cells, cells)
    spline = RBFInterpolator(known[:, :2], known[:, 2], smoothing=1.0, neighbors=None)(where)
    height = np.where(away.ravel() > 0.5, known[nearest, 2], spline).reshape(cells, cells)
    behind = line[None, None, :, 2] - height[..., None]
    return (behind < 1.5 + 0.4 * away[..., None]) & (behind > -3.5 - 1.2 * away[..., None])


def silhouette_hull(
    silhouettes: list[Bool[np.ndarray, "height width"]],
    camera: Camera,
    head_from_camera: Float[np.ndarray, "frames 4 4"],
    box: HeadBox,
    cells: int,
    agree: float = 0.8,
) -> Bool[np.ndarray, "x y z"]:
    """Cells whose centre falls into the head's silhouette in at least a share `agree` of the frames.

    The silhouettes should be dilated by about the size of a cell.
    """
    line = (np.arange(cells) + 0.5) / cells
    centers = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    points = box.to_head(centers)
    votes = np.zeros(len(points))
    for mask, pose in zip(silhouettes, head_from_camera, strict=True):
        back = np.linalg.inv(pose)
        local = points @ back[:3, :3].T + back[:3, 3]
        pixel = local[:, :2] / local[:, 2:] * camera.focal_px + camera.center_px
        column = np.clip(pixel[:, 0].astype(int), 0, mask.shape[1] - 1)
        row = np.clip(pixel[:, 1].astype(int), 0, mask.shape[0] - 1)
        votes += mask[row, column]
    return (votes >= agree * len(silhouettes)).reshape(cells, cells, cells)
