"""Cameras around a still head, in the files of the AD-NeRF family of tools (`transforms_train.json`).

Their head stands still at the origin and the camera moves: `transform_matrix` is the head frame from the camera, the
camera looks along -z with x right and y up, and one unit is a metre (their tracker's decimetres, divided by ten)
[nerf-methods.md 0.2]. Our head frame has the same axes: only the unit and the side on which the motion is told change.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from talkface.errors import UserError
from talkface.io.manifest import Ranges
from talkface.io.whole import write_whole
from talkface.types import Camera, Pose, Track

CM_PER_UNIT = 100.0


def write_transforms(path: Path, track: Track, ranges: Ranges) -> None:
    """Write the valid frames of `ranges`.

    `face_rect` [x, y, width, height] px: half width 1.5 x half the landmarks' width, half height 1.15 x the distance
    from the nose's top to the chin [AD-NeRF process_data.py].

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    frames = []
    for index in (i for start, stop in ranges for i in range(start, stop) if track.valid[i]):
        matrix = np.eye(4)
        matrix[:3, :3] = track.pose.rotation[index].T
        matrix[:3, 3] = -track.pose.rotation[index].T @ track.pose.translation[index] / CM_PER_UNIT
        points = track.landmarks_px[index]
        left, right = points[:, 0].min(), points[:, 0].max()
        half_width, half_height = 0.75 * (right - left), 1.15 * (points[8, 1] - points[27, 1])
        rect = [(left + right) / 2 - half_width, points[27, 1] - half_height, 2 * half_width, 2 * half_height]
        frames.append(
            {
                "img_id": index,
                "aud_id": index,
                "transform_matrix": matrix.tolist(),
                "face_rect": [round(float(value)) for value in rect],
            }
        )
    x, y = track.camera.center_px
    text = json.dumps({"focal_len": track.camera.focal_px, "cx": x, "cy": y, "frames": frames})
    write_whole(path, lambda file: file.write(text.encode()))


def read_transforms(path: Path, size_px: tuple[int, int]) -> tuple[Camera, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """The camera, and per frame id the head's rotation and translation (world from head, cm).

    `focal_len`, `focal_length`, `fl_x` and `camera_angle_x` are understood.

    Raises:
        UserError: absent or broken.
    """
    height, width = size_px
    try:
        content = json.loads(path.read_bytes())
        focal = next((content[key] for key in ("focal_len", "focal_length", "fl_x") if key in content), None)
        if focal is None:
            focal = 0.5 * width / math.tan(0.5 * content["camera_angle_x"])
        center_px = (float(content.get("cx", width / 2)), float(content.get("cy", height / 2)))
        poses = {}
        for frame in content["frames"]:
            matrix = np.array(frame["transform_matrix"], float)
            if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
                raise ValueError(f"transform_matrix of frame {frame['img_id']} is not a finite 4x4 matrix")
            left, _, right = np.linalg.svd(matrix[:3, :3].T)
            rotation = left @ right  # the nearest rotation: theirs is written with few digits
            poses[int(frame["img_id"])] = (rotation, -rotation @ matrix[:3, 3] * CM_PER_UNIT)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is not a camera file of the AD-NeRF tools ({str(error)[:100]})") from error
    if not float(focal) > 0:
        raise UserError(f"{path} has the focal length {focal}, expected a positive number of pixels")
    return Camera(float(focal), center_px, size_px), poses


def pose_over(poses: dict[int, tuple[np.ndarray, np.ndarray]], frames: int) -> Pose:
    """Poses of all frames; frames without one take the nearest frame's."""
    known = np.array(sorted(poses))
    nearest = known[np.searchsorted((known[1:] + known[:-1]) / 2, np.arange(frames))]
    return Pose(np.stack([poses[i][0] for i in nearest]), np.stack([poses[i][1] for i in nearest]))
