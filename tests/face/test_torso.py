"""Torso plates and the torso at any head pose, on a drawn person whose torso sways by a known amount."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face.regions import HEAD, NECK, TORSO, head_alpha
from talkface.face.torso import TorsoModel, compose, cut_out, torso_plate
from talkface.geometry import project, rotation_from_angles
from talkface.types import Camera, Pose, Track

cv2 = pytest.importorskip("cv2")

SIZE, FRAMES = 256, 12
SKIN, WALL = np.array([200.0, 150.0, 120.0]), np.array([90.0, 120.0, 150.0])
FACE = np.array([230.0, 20.0, 200.0])
"""A colour that neither neck nor clothes nor wall have, so that a leak is seen."""
CAMERA = Camera(600.0, (SIZE / 2, SIZE / 2), (SIZE, SIZE))
PX_PER_CM = 600.0 / 80.0


def _sway(index: int) -> np.ndarray:
    return np.array([3.0 * np.sin(index / 2), 1.5 * np.cos(index / 3)])


def _draw(index: int, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture and labels: striped clothes and neck that sway, a still head with its chin at (128, 140)."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    u, v = x - _sway(index)[0], y - _sway(index)[1]
    torso = (v > 185) & (np.abs(u - 128) < 40 + 1.5 * (v - 185))
    neck = (np.abs(u - 128) < 34) & (v > 110) & (v <= 200)
    head = np.hypot((x - 128) / 56, (y - 76) / 64) < 1
    cloth = 110 + 50 * np.sin(u / 7) + 40 * np.sin(v / 5 + u / 11)
    picture = np.broadcast_to(WALL, (SIZE, SIZE, 3)).copy()
    picture[torso] = np.stack([cloth, 0.6 * cloth, 0.4 * cloth], -1)[torso]
    picture[neck] = (SKIN + (8 * np.sin(u / 9) + 8 * np.sin(v / 8))[..., None])[neck]
    picture[head] = face
    labels = np.select([head, neck, torso], [HEAD, NECK, TORSO], 0).astype(np.uint8)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8), labels


class _Folder:
    """Stands for a processed folder."""

    def __init__(self, face: np.ndarray = FACE) -> None:
        landmarks = np.zeros((68, 3))
        landmarks[8], landmarks[27] = (0.0, -8.5, 8.0), (0.0, 3.0, 9.0)
        landmarks[0], landmarks[16] = (-7.3, 0.0, 0.0), (7.3, 0.0, 0.0)
        place = np.array([0.0, 8.5 - 12 / PX_PER_CM, -88.0])
        turn = rotation_from_angles(np.zeros(FRAMES), 0.0, 0.0)
        self.track = Track(
            fps=25.0,
            camera=CAMERA,
            pose=Pose(turn, np.tile(place, (FRAMES, 1))),
            points_px=np.zeros((FRAMES, 478, 3)),
            landmarks_px=np.zeros((FRAMES, 68, 2)),
            landmarks=np.tile(landmarks, (FRAMES, 1, 1)),
            closure=np.zeros((FRAMES, 2)),
            gaze=np.zeros((FRAMES, 2)),
            identity=np.zeros(0),
            expression=np.zeros((FRAMES, 0)),
            expression_names=(),
            face_model="average",
            residual=np.zeros(FRAMES),
            valid=np.ones(FRAMES, bool),
            reason=("",) * FRAMES,
        )
        self.manifest = SimpleNamespace(clips=((0, FRAMES),))
        self.train_indices = np.arange(FRAMES - 2)
        self.background = np.broadcast_to(WALL.astype(np.uint8), (SIZE, SIZE, 3)).copy()
        self._face = face

    def frame(self, index: int) -> np.ndarray:
        return _draw(index, self._face)[0]

    def labels(self, index: int) -> np.ndarray:
        return _draw(index, self._face)[1]

    def matte(self, index: int) -> np.ndarray:
        return cv2.GaussianBlur((self.labels(index) > 0).astype(np.float32), (3, 3), 0)

    def torso(self, index: int) -> np.ndarray:
        return torso_plate(self.frame(index), self.matte(index), self.labels(index), self.background)


@pytest.fixture(scope="module")
def folder() -> _Folder:
    return _Folder()


@pytest.fixture(scope="module")
def model(folder) -> TorsoModel:
    return TorsoModel.from_folder(folder)


def test_plate_has_no_head_keeps_the_torso_and_reaches_under_the_head(folder):
    plate, labels, matte = folder.torso(0), folder.labels(0), folder.matte(0)
    far_from_face = np.abs(plate[..., :3].astype(float) - FACE).sum(-1)
    assert far_from_face[plate[..., 3] > 0].min() > 120
    seen = ((labels == NECK) | (labels == TORSO)) & (cv2.erode(matte, np.ones((7, 7))) > 0.999)
    away = cv2.dilate((labels == HEAD).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.array_equal(plate[seen & away, :3], folder.frame(0)[seen & away])
    assert plate[seen & away, 3].min() == 255
    assert plate[118:140, 110:146, 3].min() > 250  # 3 cm up from the chin
    assert np.abs(plate[118:140, 110:146, :3] - SKIN).max() < 40
    assert plate[:60, :, 3].max() == 0


def test_plate_of_a_frame_without_a_head(folder):
    plate = torso_plate(
        folder.frame(0), folder.matte(0), np.where(folder.labels(0) > 0, TORSO, 0).astype(np.uint8), folder.background
    )
    assert np.array_equal(plate[..., 3], np.round(folder.matte(0) * 255))


def test_every_frame_comes_back_at_its_own_pose(folder, model):
    for index in range(FRAMES):
        picture = model.picture(model.rotation[index], model.translation[index], index)
        shown = picture[..., :3] * picture[..., 3:] + folder.background / 255 * (1 - picture[..., 3:])
        body = cv2.erode((folder.labels(index) >= NECK).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        error = np.mean((shown - folder.frame(index) / 255.0)[body] ** 2)
        still = np.mean((folder.frame(int(model.usable[0])) / 255.0 - folder.frame(index) / 255.0)[body] ** 2)
        assert -10 * np.log10(error + 1e-9) > 27
        assert error < max(still / 4, 2e-4)


def test_top_of_the_neck_follows_the_head_and_the_chest_stays(model):
    frame = int(model.usable[3])
    rotation, translation = model.rotation[frame], model.translation[frame]
    moved = translation + np.array([1.5, 0.5, 0.0])
    own, bent = model.picture(rotation, translation, frame), model.picture(rotation, moved, frame)
    shift = (project(moved[None], CAMERA) - project(translation[None], CAMERA))[0]
    jaw = own[128:146, 108:148]
    follow = np.float32([[1, 0, -shift[0]], [0, 1, -shift[1]]])
    back = cv2.warpAffine(bent, follow, (SIZE, SIZE))[128:146, 108:148]
    assert np.abs(back - jaw).max() < 0.06
    assert np.abs(bent[230:] - own[230:]).max() < 1e-3
    assert np.abs(bent[190:, :60] - own[190:, :60]).max() < 1e-3


def test_turned_head_meets_its_neck_without_a_seam():
    folder = _Folder(face=SKIN)
    model = TorsoModel.from_folder(folder)
    frame = int(model.usable[0])
    alpha = head_alpha(folder.labels(frame), folder.matte(frame))
    head = np.dstack([folder.frame(frame) / 255.0 * alpha[..., None], alpha]).astype(np.float32)
    for shift_cm in ([0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.5, 0.0], [-1.0, -0.7, 0.0]):
        place = model.translation[frame] + shift_cm
        move = (project(place[None], CAMERA) - project(model.translation[frame][None], CAMERA))[0]
        moved = cv2.warpAffine(head, np.float32([[1, 0, move[0]], [0, 1, move[1]]]), (SIZE, SIZE))
        torso = model.picture(model.rotation[frame], place, frame)
        picture = compose(moved[..., :3], moved[..., 3], torso, folder.background / 255.0)
        chin = round(140 + move[1])
        columns = slice(round(118 + move[0]), round(138 + move[0]))
        slope = np.abs(np.diff(picture[:, columns], axis=0)).max(-1)
        across, below = slope[chin - 4 : chin + 9].max(), slope[chin + 12 : 190].max()
        assert across < max(1.5 * below, 0.04)


def test_nearest_pose_and_resizing(model):
    rotation = rotation_from_angles(0.3, 0.0, 0.0)
    assert model.nearest(rotation, model.translation[0]) in model.usable
    small = model.resized((128, 128))
    large_picture = model.picture(model.rotation[1], model.translation[1] + 0.5, 1)
    small_picture = small.picture(model.rotation[1], model.translation[1] + 0.5, 1)
    expected = cv2.resize(large_picture, (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(small_picture - expected)[..., 3].mean() < 0.01
    solid = expected[..., 3] > 0.99
    assert np.abs(small_picture - expected)[solid].mean() < 0.02


def test_round_trip_and_hostile_files(model, tmp_path):
    model.save(tmp_path / "torso.npz")
    again = TorsoModel.load(tmp_path / "torso.npz")
    assert np.array_equal(
        again.picture(model.rotation[2], model.translation[2]), model.picture(model.rotation[2], model.translation[2])
    )
    (tmp_path / "broken.npz").write_bytes((tmp_path / "torso.npz").read_bytes()[:500])
    np.savez(tmp_path / "pickled.npz", plates=np.array([{}], dtype=object))
    arrays = {field.name: getattr(model, field.name) for field in fields(model)}
    np.savez(tmp_path / "unfit.npz", **(arrays | {"key_of_frame": model.key_of_frame[:2]}))
    for name in ("broken.npz", "pickled.npz", "absent.npz", "unfit.npz"):
        with pytest.raises(UserError):
            TorsoModel.load(tmp_path / name)


def test_rendering_needs_no_opencv(model, tmp_path):
    path: Path = tmp_path / "torso.npz"
    model.save(path)
    code = (
        "import sys; sys.modules['cv2'] = None; sys.modules['mediapipe'] = None\n"
        "from pathlib import Path; from talkface.face.torso import TorsoModel\n"
        f"m = TorsoModel.load(Path({str(path)!r})); print(m.picture(m.rotation[0], m.translation[0]).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "(256, 256, 4)" in done.stdout, done.stderr


def test_layers_by_hand():
    head, opacity = np.full((1, 1, 3), 0.3), np.full((1, 1), 0.5)
    torso = np.array([[[0.8, 0.8, 0.8, 0.25]]])
    wall = np.array([[[0.4, 0.4, 0.4]]])
    assert np.allclose(compose(head, opacity, torso, wall), 0.3 + 0.5 * (0.8 * 0.25 + 0.4 * 0.75))
    alone = cut_out(head, opacity, torso)
    assert np.allclose(alone[..., 3], 1 - 0.5 * 0.75)
    over = alone[..., :3] * alone[..., 3:] + wall * (1 - alone[..., 3:])
    assert np.allclose(over, compose(head, opacity, torso, wall))
