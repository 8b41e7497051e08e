"""Rotations, cameras and projection, with the house's sign conventions (product contract; tested on pictures).

Positive yaw turns the face to the viewer's right, positive pitch lifts the chin, positive roll tips the top of the
head to the viewer's right. In the world frame (x viewer's right, y up, z towards the viewer) that is
``R = Rx(-pitch) Ry(yaw) Rz(-roll)``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from talkface.types import SOURCE_CAMERA, Camera, Pose


def rotation_from_angles(
    yaw: float | Float[np.ndarray, ...],
    pitch: float | Float[np.ndarray, ...],
    roll: float | Float[np.ndarray, ...],
) -> Float[np.ndarray, "... 3 3"]:
    """Head rotation, world from head, of angles in radians."""
    yaw, pitch, roll = np.broadcast_arrays(np.asarray(yaw, float), np.asarray(pitch, float), np.asarray(roll, float))
    cx, sx = np.cos(-pitch), np.sin(-pitch)
    cy, sy = np.cos(yaw), np.sin(yaw)
    cz, sz = np.cos(-roll), np.sin(-roll)
    rows = [
        np.stack([cy * cz, -cy * sz, sy], -1),
        np.stack([cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy], -1),
        np.stack([sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy], -1),
    ]
    return np.stack(rows, -2)


def angles_from_rotation(rotation: Float[np.ndarray, "... 3 3"]) -> Float[np.ndarray, "... 3"]:
    """Yaw, pitch and roll in radians; the inverse of `rotation_from_angles` for |yaw| < 90 degrees."""
    yaw = np.arcsin(np.clip(rotation[..., 0, 2], -1, 1))
    pitch = np.arctan2(rotation[..., 1, 2], rotation[..., 2, 2])
    roll = np.arctan2(rotation[..., 0, 1], rotation[..., 0, 0])
    return np.stack([yaw, pitch, roll], -1)


def rotation_from_vector(vector: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3 3"]:
    """Rodrigues: the rotation by |vector| radians about its direction."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    safe = np.where(angle < 1e-8, 1.0, angle)
    first = np.where(angle < 1e-8, 1.0, np.sin(safe) / safe)
    second = np.where(angle < 1e-8, 0.5, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * cross + second * (cross @ cross)


def vector_from_rotation(rotation: Float[np.ndarray, "... 3 3"]) -> Float[np.ndarray, "... 3"]:
    """Axis times angle in radians, |angle| < pi; the inverse of `rotation_from_vector`."""
    skew = np.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        -1,
    )
    sine = np.linalg.norm(skew, axis=-1, keepdims=True) / 2
    cosine = (np.trace(rotation, axis1=-2, axis2=-1)[..., None] - 1) / 2
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine < 1e-9, 0.5, angle / np.where(sine < 1e-9, 1.0, 2 * sine))
    return scale * skew


def angle_between(a: Float[np.ndarray, "... 3 3"], b: Float[np.ndarray, "... 3 3"]) -> Float[np.ndarray, ...]:
    """Angle of the rotation that takes `a` to `b`, radians in [0, pi]."""
    return np.linalg.norm(vector_from_rotation(np.swapaxes(a, -1, -2) @ b), axis=-1)


def to_world(points: Float[np.ndarray, "frames points 3"], pose: Pose) -> Float[np.ndarray, "frames points 3"]:
    """Head-frame points of every frame, cm, into the world."""
    return points @ np.swapaxes(pose.rotation, -1, -2) + pose.translation[:, None]


def project(points: Float[np.ndarray, "... 3"], camera: Camera) -> Float[np.ndarray, "... 2"]:
    """World points, cm, to pixels. Points must lie in front of the camera."""
    camera_from_world = np.linalg.inv(camera.world_from_camera)
    local = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    return local[..., :2] / local[..., 2:] * camera.focal_px + np.asarray(camera.center_px)


def orbit(
    camera: Camera, centre: Float[np.ndarray, "3"], yaw: float, pitch: float, roll: float = 0.0, distance: float = 1.0
) -> Camera:
    """Move a camera about `centre` (world, cm): positive yaw to the viewer's right, positive pitch up, radians.

    `roll` turns the camera clockwise about its own axis; `distance` scales how far it stands from the centre.
    """
    turn = _about_y(yaw) @ _about_x(-pitch)
    moved = camera.world_from_camera.copy()
    moved[:3, :3] = turn @ camera.world_from_camera[:3, :3] @ _about_z(roll)
    moved[:3, 3] = centre + distance * (turn @ (camera.world_from_camera[:3, 3] - centre))
    return Camera(camera.focal_px, camera.center_px, camera.size_px, moved)


def head_from_camera(pose: Pose, index: int, camera: Camera) -> Float[np.ndarray, "4 4"]:
    """The camera seen from the head: static head, moving camera, as the radiance fields want it."""
    world_from_head = np.eye(4)
    world_from_head[:3, :3] = pose.rotation[index]
    world_from_head[:3, 3] = pose.translation[index]
    return np.linalg.inv(world_from_head) @ camera.world_from_camera


def pingpong(index: int, length: int) -> int:
    """0, 1, ..., n-1, n-1, ..., 1, 0, 0, 1, ...: play a sequence back and forth without a jump."""
    turn, rest = divmod(index, length)
    return rest if turn % 2 == 0 else length - 1 - rest


def _about_x(angle: float) -> np.ndarray:
    return rotation_from_vector(np.array([angle, 0.0, 0.0]))


def _about_y(angle: float) -> np.ndarray:
    return rotation_from_vector(np.array([0.0, angle, 0.0]))


def _about_z(angle: float) -> np.ndarray:
    return rotation_from_vector(np.array([0.0, 0.0, angle]))


__all__ = [
    "SOURCE_CAMERA",
    "angle_between",
    "angles_from_rotation",
    "head_from_camera",
    "orbit",
    "pingpong",
    "project",
    "rotation_from_angles",
    "rotation_from_vector",
    "to_world",
    "vector_from_rotation",
]
