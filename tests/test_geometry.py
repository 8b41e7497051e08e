"""Group laws, round trips, and signs fixed on hand-known pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkface import geometry
from talkface.types import Camera, Pose

angle = st.floats(-1.2, 1.2)
camera = Camera(500.0, (50.0, 40.0), (80, 100))
pose_front = Pose(np.eye(3)[None], np.array([[0.0, 0.0, -60.0]]))


def picture(point: list[float], yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    pose = Pose(geometry.rotation_from_angles(yaw, pitch, roll)[None], pose_front.translation)
    return geometry.project(geometry.to_world(np.array([[point]]), pose), camera)[0, 0]


@given(angle, angle, angle)
def test_angles_round_trip(yaw: float, pitch: float, roll: float) -> None:
    rotation = geometry.rotation_from_angles(yaw, pitch, roll)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.allclose(geometry.angles_from_rotation(rotation), [yaw, pitch, roll], atol=1e-9)


@given(angle, angle, angle)
def test_vectors_round_trip(x: float, y: float, z: float) -> None:
    vector = np.array([x, y, z])
    assert np.allclose(geometry.vector_from_rotation(geometry.rotation_from_vector(vector)), vector, atol=1e-9)


def test_signs_on_pictures() -> None:
    nose, top, origin = [0.0, 0, 10], [0.0, 10, 0], [0.0, 0, 0]
    assert np.allclose(picture(origin), [50, 40])
    assert picture(nose, yaw=0.3)[0] > 51, "positive yaw turns the face to the viewer's right"
    assert picture(nose, pitch=0.3)[1] < 39, "positive pitch lifts the chin (pixel y falls)"
    assert picture(top, roll=0.3)[0] > 51, "positive roll tips the top of the head to the viewer's right"
    assert picture([1.0, 0, 0])[0] > 50, "the subject's left is the viewer's right"
    assert picture(top)[1] < 40, "up is up"


def test_orbit_moves_the_camera_the_right_way() -> None:
    centre = pose_front.translation[0]
    right = geometry.orbit(camera, centre, yaw=0.3, pitch=0.0)
    above = geometry.orbit(camera, centre, yaw=0.0, pitch=0.3)
    assert right.world_from_camera[0, 3] > 1
    assert above.world_from_camera[1, 3] > 1
    for moved in (right, above):
        assert np.allclose(geometry.project(centre[None], moved), [[50, 40]], atol=1e-9), "still looks at the head"
        assert np.linalg.norm(moved.world_from_camera[:3, 3] - centre) == pytest.approx(60)
    nose = geometry.to_world(np.array([[[0.0, 0, 10]]]), pose_front)[0]
    assert geometry.project(nose, right)[0, 0] < 50, "seen from the viewer's right the nose points left"


def test_head_from_camera_agrees_with_projection() -> None:
    rng = np.random.default_rng(0)
    pose = Pose(geometry.rotation_from_angles(0.2, -0.1, 0.3)[None], np.array([[1.0, -2, -55]]))
    points = rng.uniform(-8, 8, (7, 3))
    local = np.c_[points, np.ones(7)] @ np.linalg.inv(geometry.head_from_camera(pose, 0, camera)).T
    direct = local[:, :2] / local[:, 2:3] * camera.focal_px + np.array(camera.center_px)
    assert np.allclose(direct, geometry.project(geometry.to_world(points[None], pose)[0], camera))


def test_crop_and_resize_move_pixels_with_the_picture() -> None:
    point = np.array([[3.0, -2.0, -60.0]])
    at = geometry.project(point, camera)
    assert np.allclose(geometry.project(point, camera.cropped(10, 5, (40, 40))), at - [10, 5])
    assert np.allclose(geometry.project(point, camera.resized((160, 200))), at * 2)


def test_pingpong_has_no_jump() -> None:
    indices = [geometry.pingpong(i, 4) for i in range(17)]
    assert max(abs(a - b) for a, b in itertools.pairwise(indices)) == 1
    assert set(indices) == {0, 1, 2, 3}
