"""First guesses from landmarks and silhouettes: the box around a head, and the cells in which its surface can lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import distance_transform_edt
from scipy.spatial import Delaunay

from talkface.fields.rays import HeadBox
from talkface.types import Camera, Track

NOSE_TIP = 30
HAIR_REACH_CM = 12.0
"""A knot at the back of the head lies so far behind the plane of the ears, with some to spare (our choice)."""


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


def face_points(track: Track, poses: Float[np.ndarray, "frames 4 4"], frames: Sequence[int]) -> np.ndarray:
    """The person's mean face surface in the head frame, cm, [points, 3]: all mesh points where the track has them.

    The mesh knows depth only roughly: it is taken from the detector, then bent (smoothly) onto the fitted landmarks,
    which are a choice among its points. Without a mesh the 68 mean landmarks are returned.

    Args:
        poses: head from camera.
    """
    landmarks = np.nanmean(track.landmarks[frames], axis=0)
    gap = np.linalg.norm(track.points_px[frames[0], :468, None, :2] - track.landmarks_px[frames[0]][None], axis=-1)
    if not gap.min(0).max() < 0.01:
        return landmarks
    chosen, camera = gap.argmin(0), track.camera
    found = []
    for frame in frames:
        pixels, pose = track.points_px[frame, :468], poses[frame]
        back = np.linalg.inv(pose)
        depths = track.landmarks[frame] @ back[2, :3] + back[2, 3]
        scale = depths.mean() / camera.focal_px
        depth = depths.mean() + (pixels[:, 2] - pixels[chosen, 2].mean()) * scale
        local = np.concatenate([(pixels[:, :2] - camera.center_px) / camera.focal_px, np.ones((468, 1))], 1)
        found.append((local * depth[:, None]) @ pose[:3, :3].T + pose[:3, 3])
    mesh = np.mean(found, axis=0)
    kept, where = np.unique(chosen, return_index=True)
    bend = RBFInterpolator(mesh[kept, :2], landmarks[where] - mesh[kept], smoothing=1.0)(mesh[:, :2])
    return mesh + bend


def surface_shell(
    face: Float[np.ndarray, "points 3"], hull: Bool[np.ndarray, "x y z"], box: HeadBox
) -> Bool[np.ndarray, "x y z"]:
    """Cells of the hull near the head's front surface.

    Inside the outline of the face points the surface is a thin-plate spline; outside it bends back like an ellipse
    to the plane of the ears, which it meets at the silhouette. The shell reaches 1 cm before and 3 cm behind it
    (teeth, tongue), and 1.5 cm more before it outside the face (hair). Thin, because rays with few samples put
    matter where they enter it. Beyond the face, where a bun, a hat or long hair may stand up behind the head, it
    reaches further back the further out it is: there the hull alone, carved by silhouettes from several poses, decides.
    """
    cells = len(hull)
    line = box.to_head(np.repeat(((np.arange(cells) + 0.5) / cells)[:, None], 3, 1))
    x, y = np.meshgrid(line[:, 0], line[:, 1], indexing="ij")
    where = np.stack([x.ravel(), y.ravel()], 1)
    inside = Delaunay(face[:, :2]).find_simplex(where) >= 0
    spline = RBFInterpolator(face[:, :2], face[:, 2], smoothing=0.1, neighbors=60)(where[inside])
    distance = np.linalg.norm(where[:, None] - face[None, :, :2], axis=-1)
    away, nearest = np.where(inside, 0, distance.min(1)), distance.argmin(1)
    ears = float(np.percentile(face[:, 2], 2))
    silhouette = hull[:, :, np.clip(np.searchsorted(line[:, 2], ears), 0, cells - 1)]
    rim = distance_transform_edt(silhouette).ravel() * box.side_cm / cells
    outward = away / np.maximum(away + rim, 1e-6)
    height = ears + (face[nearest, 2] - ears) * np.sqrt(1 - np.minimum(outward, 1) ** 2)
    height[inside] = spline
    height, away = height.reshape(cells, cells, 1), away.reshape(cells, cells, 1)
    ahead = line[:, 2] - height
    return hull & (ahead < 1.0 + np.minimum(away, 1.5)) & (ahead > -3.0 - np.minimum(3.0 * away, HAIR_REACH_CM))


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
