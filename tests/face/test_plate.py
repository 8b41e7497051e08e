"""The background plate against a scene that is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face.plate import BackgroundPlate

pytest.importorskip("cv2")

HEIGHT, WIDTH = 96, 128


def _scene() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    checks = ((x // 8 + y // 8) % 2) * 60
    return np.stack([x + checks, y + checks, 120 + checks], -1).astype(np.uint8)


def _disc(centre_x: float) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (np.hypot(x - centre_x, y - 48) < 24).astype(np.float32)


def test_moving_disc_gives_back_the_scene():
    scene, plate = _scene(), BackgroundPlate()
    covered = np.ones((HEIGHT, WIDTH), bool)
    for time in range(150):
        matte = _disc(64 + 16 * np.sin(time / 9))
        plate.add(np.where(matte[..., None] > 0.5, np.uint8([250, 10, 10]), scene), matte)
        covered &= matte > 0.5
    picture, invented = plate.finish()
    assert np.array_equal(picture[~invented], scene[~invented])
    assert invented[covered].all()
    assert invented.sum() < 3 * covered.sum()
    assert not (np.abs(picture.astype(int) - [250, 10, 10]).sum(-1) < 30).any()


def test_memory_is_bounded_and_frames_are_spread():
    plate = BackgroundPlate()
    for time in range(1000):
        plate.add(np.full((16, 16, 3), time % 251, np.uint8), np.zeros((16, 16), np.float32))
    assert len(plate._kept) <= 64
    kept = [int(frame[0, 0, 0]) for frame, _ in plate._kept]
    assert kept == [time % 251 for time in range(0, 1000, plate._stride)]


def test_wrong_use_is_told():
    plate = BackgroundPlate()
    with pytest.raises(UserError, match="no frame"):
        plate.finish()
    plate.add(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32))
    with pytest.raises(UserError, match="px"):
        plate.add(np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9), np.float32))
