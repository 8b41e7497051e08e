"""A person in memory, held against a ball whose every pixel is known."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from talkface.data.person import PersonData, Shares
from talkface.data.shell import face_points, surface_shell
from talkface.fields.rays import camera_rays
from talkface.geometry import head_from_camera

_spec = importlib.util.spec_from_file_location("ball_person", Path(__file__).with_name("ball_person.py"))
ball_person = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ball_person)


@pytest.fixture(scope="module")
def folder():
    return ball_person.BallPerson(frames=24, size=(96, 128))


@pytest.fixture(scope="module")
def data(folder):
    return PersonData(folder, 64, folder.train_indices)


def test_the_square_holds_the_head_and_cameras_agree_with_it(folder, data) -> None:
    square = data.square
    assert square.left >= 0 and square.left + square.side <= 128 and square.top + square.side <= 96
    for index in (0, 7, 23):
        picture = data.picture(index)
        assert picture.colour.shape == (64, 64, 3)
        lost = int(folder.matte(index).astype(int).sum()) / 255 * (64 / square.side) ** 2
        assert picture.head.sum() / 255 == pytest.approx(lost, rel=0.02), "all of the head is inside"


def test_rays_of_landmark_pixels_meet_the_landmarks(folder, data) -> None:
    """Through crop, resize, pose and box: a ray through a landmark's pixel passes the landmark."""
    index = 5
    pixels = torch.from_numpy(data.landmarks_px[index]).float()
    rays = camera_rays(pixels, data.camera, torch.from_numpy(data.poses[index]), data.box)
    target = torch.from_numpy(data.box.from_head(folder.track.landmarks[index])).float().T
    along = ((target - rays.origin[:, None]) * rays.direction).sum(0)
    gap = (rays.origin[:, None] + rays.direction * along - target).norm(dim=0) * data.box.side_cm
    assert float(gap.max()) < 0.01


def test_the_box_and_the_shell_hold_the_ball(data) -> None:
    radius = ball_person.RADIUS_CM
    low, high = (data.box.to_head(np.full(3, edge)) for edge in (0.0, 1.0))
    assert (low[:2] < -radius).all() and (high[:2] > radius).all() and high[2] > radius
    assert data.box.side_cm < 3.2 * radius
    shell = data.shell(48)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-7, 7, (2, 500))
    front = ball_person.on_ball(x, y)
    front = front[x**2 + y**2 < 70]
    cells = (data.box.from_head(front) * 48).astype(int)
    assert shell[tuple(cells.T)].mean() > 0.98
    assert shell.mean() < 0.4


def test_the_shell_reaches_a_knot_behind_the_head(data) -> None:
    """Silhouettes decide beyond the face: what stands up behind the head stays, what the face hides does not."""
    hull = np.ones((48, 48, 48), bool)
    shell = surface_shell(data.mean_landmarks, hull, data.box)

    def holds(x: float, y: float, z: float) -> bool:
        return bool(shell[tuple((data.box.from_head(np.array([x, y, z])) * 48).astype(int))])

    top = float(data.mean_landmarks[:, 1].max())
    assert holds(0.0, top + 3.5, -6.0) and holds(0.0, 0.0, 8.5)
    assert not holds(0.0, 0.0, -6.0), "hidden behind the face"


def test_plate_is_exact_outside_the_head(folder) -> None:
    side = PersonData(folder, 16, folder.train_indices[:4]).square.side
    whole = PersonData(folder, side, folder.train_indices[:4])
    picture = whole.picture(2)
    outside = picture.head == 0
    np.testing.assert_array_equal(picture.plate[outside], picture.colour[outside])
    cut = np.s_[whole.square.top : whole.square.top + side, whole.square.left : whole.square.left + side]
    np.testing.assert_array_equal(picture.plate, folder.background[cut]), "no torso here: the background everywhere"


def test_drawn_pixels_are_those_of_the_picture(data) -> None:
    batch = data.draw(3, 600, torch.Generator().manual_seed(0))
    picture = data.picture(3)
    column, row = batch.pixels.floor().long().T.numpy()
    np.testing.assert_allclose(batch.colour.T.numpy() * 255, picture.colour[row, column], atol=1e-3)
    np.testing.assert_allclose(batch.plate.T.numpy() * 255, picture.plate[row, column], atol=1e-3)
    np.testing.assert_allclose(batch.head.numpy() * 255, picture.head[row, column], atol=1e-3)
    np.testing.assert_allclose(batch.person.numpy() * 255, picture.person[row, column], atol=1e-3)
    assert torch.equal(batch.pixels, data.draw(3, 600, torch.Generator().manual_seed(0)).pixels)
    assert not torch.equal(batch.pixels, data.draw(3, 600, torch.Generator().manual_seed(1)).pixels)


def test_shares(data) -> None:
    index, generator = 4, torch.Generator().manual_seed(0)
    left, top, right, bottom = data.mouth_box(index)

    def in_mouth(shares: Shares) -> float:
        x, y = data.draw(index, 2000, generator, shares).pixels.T
        return float(((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).float().mean())

    assert in_mouth(Shares(1.0, 0.0, 0.0)) == 1.0
    assert in_mouth(Shares(0.5, 0.0, 0.0)) > in_mouth(Shares(0.0, 0.0, 0.0)) + 0.3
    lips = data.landmarks_px[index, 48:68]
    assert left <= lips[:, 0].min() and lips[:, 0].max() <= right and top <= lips[:, 1].min()
    near = data.draw(index, 500, generator, Shares(0.0, 0.0, 1.0)).head
    assert 0.15 < float((near == 0).float().mean()) < 0.85, "the outline is seen from both sides"


def test_a_patch_is_a_piece_of_the_picture(data) -> None:
    batch = data.patch(6, 12, torch.Generator().manual_seed(2))
    column, row = (int(v) for v in batch.pixels[0].floor())
    piece = data.picture(6).colour[row : row + 12, column : column + 12] / 255
    np.testing.assert_allclose(batch.colour.reshape(3, 12, 12).permute(1, 2, 0).numpy(), piece, atol=1e-5)
    middle = batch.pixels.mean(0).numpy() - data.landmarks_px[6, 48:68].mean(0)
    assert np.abs(middle).max() < 10


def test_face_points_bend_a_rough_mesh_onto_the_landmarks(folder) -> None:
    """The mesh's depth is scaled wrongly, as detectors do; the surface must still be the ball's within 4 mm."""
    rng = np.random.default_rng(3)
    radius, angle = 8.2 * np.sqrt(rng.random(400)), 2 * np.pi * rng.random(400)
    ball = ball_person.on_ball(radius * np.cos(angle), radius * np.sin(angle))
    frames, track = [0, 6, 12, 18], folder.track
    camera = track.camera
    poses = np.stack([head_from_camera(track.pose, index, camera) for index in range(len(track))])
    mesh = np.zeros((len(track), 478, 3))
    for index in frames:
        points = np.concatenate([track.landmarks[index], ball])
        back = np.linalg.inv(poses[index])
        local = points @ back[:3, :3].T + back[:3, 3]
        mesh[index, :468, :2] = local[:, :2] / local[:, 2:] * camera.focal_px + camera.center_px
        mesh[index, :468, 2] = 0.75 * (local[:, 2] - 70) / 70 * camera.focal_px
    rough = dataclasses.replace(track, points_px=mesh)
    found = face_points(rough, poses, frames)
    assert found.shape == (468, 3)
    off = np.abs(np.linalg.norm(found, axis=1) - ball_person.RADIUS_CM)
    assert off.mean() < 0.4
    assert len(face_points(track, poses, frames)) == 68, "without a mesh: the landmarks"
