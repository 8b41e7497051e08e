"""Rays against the house's projection: a point's pixel must send a ray through the point."""

from __future__ import annotations

import numpy as np
import torch

from talkface.fields.rays import HeadBox, camera_rays, cross_box
from talkface.geometry import head_from_camera, project, rotation_from_angles, to_world
from talkface.types import Camera, Pose

BOX = HeadBox((0.5, 1.0, -6.0), 28.0)


def test_a_ray_goes_through_the_point_that_projects_there() -> None:
    rng = np.random.default_rng(0)
    pose = Pose(
        rotation_from_angles(np.array([0.3]), np.array([-0.2]), np.array([0.1])), np.array([[2.0, -1.0, -80.0]])
    )
    camera = Camera(900.0, (250.0, 260.0), (512, 512))
    points = rng.uniform(-8, 8, (1, 20, 3))
    pixels = project(to_world(points, pose)[0], camera)
    view = torch.from_numpy(head_from_camera(pose, 0, camera))
    rays = camera_rays(torch.from_numpy(pixels), camera, view, BOX)
    target = torch.from_numpy(BOX.from_head(points[0])).T
    along = ((target - rays.origin[:, None]) * rays.direction).sum(0)
    torch.testing.assert_close(rays.origin[:, None] + rays.direction * along, target, atol=1e-9, rtol=0)
    assert (along > 0).all()
    torch.testing.assert_close(rays.direction.norm(dim=0), torch.ones(20, dtype=torch.float64))
    # a crop of the same picture sees the same ray
    small = camera.cropped(100, 60, (300, 300)).resized((150, 150))
    moved = camera_rays(torch.from_numpy((pixels - [100, 60]) / 2), small, view, BOX)
    torch.testing.assert_close(moved.direction, rays.direction, atol=1e-9, rtol=0)


def test_box_coordinates_round_trip() -> None:
    points = np.random.default_rng(1).normal(size=(5, 3)) * 10
    np.testing.assert_allclose(BOX.to_head(BOX.from_head(points)), points)
    np.testing.assert_allclose(BOX.from_head(np.array(BOX.center_cm)), 0.5)


def test_crossing_a_box() -> None:
    camera = Camera(100.0, (0.0, 0.0), (10, 10))
    view = torch.eye(4)
    view[:3, 3] = torch.tensor([0.5, 1.0, -34.0])  # looks along +z of the head frame, one box side before its middle
    pixels = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    rays = camera_rays(pixels, camera, view, BOX)
    near, far = cross_box(rays, torch.zeros(3), torch.ones(3))
    torch.testing.assert_close(near[0], torch.tensor(0.5))
    torch.testing.assert_close(far[0], torch.tensor(1.5))
    assert far[1] <= near[1]
