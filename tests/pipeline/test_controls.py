"""Controls mean what the contract says, and what cannot be read is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from talkface import geometry
from talkface.errors import UserError
from talkface.pipeline import controls
from talkface.types import Camera, Pose

camera = Camera(500.0, (64.0, 64.0), (128, 128))
mean = Pose(np.eye(3)[None], np.array([[1.0, 2.0, -60.0]]))


def test_numbers_turn_the_head_about_the_mean() -> None:
    table = controls.parse_pose("-10,5,0,1,0,0")
    assert isinstance(table, controls.PoseTable)
    pose = controls.pose_from_values(table.at(controls.times(3)), mean)
    assert np.allclose(np.degrees(geometry.angles_from_rotation(pose.rotation)), [-10, 5, 0])
    assert np.allclose(pose.translation, [2, 2, -60])


def test_zero_is_the_mean_head() -> None:
    held = Pose(geometry.rotation_from_angles(0.1, -0.2, 0.05)[None], np.array([[1.0, 2.0, -60.0]]))
    pose = controls.pose_from_values(np.array([[0.0] * 6, [10.0, 0, 0, 0, 0, 0]]), held)
    assert np.allclose(pose.rotation[0], held.rotation[0]) and np.allclose(pose.translation[0], held.translation[0])
    turned = geometry.angles_from_rotation(pose.rotation[1])
    assert np.allclose(turned, [0.1 + np.radians(10), -0.2, 0.05])


def test_a_pose_file_is_interpolated_and_held(tmp_path: Path) -> None:
    path = tmp_path / "pose.csv"
    path.write_text("time, yaw, pitch, roll\n0,0,0,0\n1,10,0,0\n")
    table = controls.parse_pose(str(path))
    assert isinstance(table, controls.PoseTable)
    assert np.allclose(table.at(np.array([-1.0, 0.5, 3.0]))[:, 0], [0, 5, 10])


def test_somebody_elses_motion_moves_about_this_persons_mean() -> None:
    angles = np.radians(np.array([[20.0, 5, 0], [30, 5, 0], [40, 5, 0]]))
    theirs = Pose(geometry.rotation_from_angles(*angles.T), np.array([[9.0, 9, -40]] * 3))
    ours = controls.rebase(theirs, mean)
    assert np.allclose(ours.rotation[1], np.eye(3), atol=1e-9) and np.allclose(ours.translation, mean.translation)
    turned = geometry.angle_between(ours.rotation[:-1], ours.rotation[1:])
    assert np.allclose(turned, geometry.angle_between(theirs.rotation[:-1], theirs.rotation[1:]))


def test_timeline_runs_smoothly_through_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    keys = [{"time": 0, "pose": [0, 0, 0], "blink": 0}, {"time": 1, "blink": 1}, {"time": 2, "pose": [20, 0, 0]}]
    path.write_text(json.dumps({"keyframes": keys}))
    timeline = controls.read_timeline(path)
    pose, blink = timeline.values("pose", 76), timeline.values("blink", 76)
    assert pose is not None and blink is not None and timeline.values("view", 76) is None
    assert pose[0, 0] == 0 and pose[50, 0] == pytest.approx(20) and pose[75, 0] == pytest.approx(20)
    assert np.all(np.diff(pose[:51, 0]) >= 0) and blink[25, 0] == pytest.approx(1)


def test_view_moves_the_camera() -> None:
    centre = mean.translation[0]
    moved = controls.view("15,0,0,2", 2, camera, centre)
    assert np.linalg.norm(moved[0, :3, 3] - centre) == pytest.approx(2 * np.linalg.norm(centre))
    swing = controls.view("orbit:20", 200, camera, centre)
    assert swing[:, 0, 3].max() > centre[0] > swing[:, 0, 3].min()


def test_blink_tables(tmp_path: Path) -> None:
    path = tmp_path / "blink.csv"
    path.write_text("time,closure\n0,0\n0.2,1\n")
    time_s, closure = controls.parse_blink(str(path))  # type: ignore[misc]
    assert np.allclose(time_s, [0, 0.2]) and np.allclose(closure, [0, 1])
    assert controls.parse_blink("0.5") == 0.5 and controls.parse_blink("none") == "none"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (controls.parse_pose, "1,2"),
        (controls.parse_pose, "200,0,0"),
        (controls.parse_pose, "nan,0,0"),
        (controls.parse_pose, "missing.mp4"),
        (controls.parse_pose, "missing.csv"),
        (controls.parse_blink, "1.5"),
        (controls.parse_blink, "often"),
        (controls.parse_blink, "0.1,0.2"),
        (lambda t: controls.view(t, 1, camera, mean.translation[0]), "up"),
        (lambda t: controls.view(t, 1, camera, mean.translation[0]), "0,0,0,99"),
        (lambda t: controls.view(t, 1, camera, mean.translation[0]), "orbit:no"),
    ],
)
def test_what_cannot_be_read_is_refused(call, text: str) -> None:
    with pytest.raises(UserError):
        call(text)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"keyframes": [{"pose": [1,2,3]}]}', '{"keyframes": [{"time": 0, "smile": 1}]}',
     '{"keyframes": [{"time": 0, "blink": 3}]}', '{"keyframes": [{"time": 1, "blink": 0}, {"time": 0, "blink": 1}]}',
     '{"keyframes": [{"time": 0, "pose": ["a", 1, 2]}]}'],
)  # fmt: skip
def test_bad_timelines_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "timeline.json"
    path.write_text(content)
    with pytest.raises(UserError):
        controls.read_timeline(path)
