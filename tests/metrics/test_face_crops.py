"""Crops against the published script's own arithmetic with OpenCV, and against drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.metrics.face_crops import MOUTH_PX, expert_crop, mouth_crop, resized, syncnet_crop
from talkface.metrics.face_tracks import Place


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def place(x: float, y: float, half: float, roll: float = 0.0) -> Place:
    return Place(np.array([x, y, half]), np.array([x, y, half, roll]))


@pytest.mark.parametrize("size", [(90, 90), (224, 224), (400, 310)])
def test_resizing_is_opencvs(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    picture = noise(*size)
    ours, theirs = resized(picture, 224).astype(int), cv2.resize(picture, (224, 224)).astype(int)
    assert np.abs(ours - theirs).max() <= 1  # OpenCV rounds its weights to 1/2048


@pytest.mark.parametrize(("x", "y", "half"), [(150.3, 140.8, 61.4), (20.2, 31.9, 55.1), (290.0, 230.7, 80.6)])
def test_syncnet_crop_is_the_published_one(x: float, y: float, half: float) -> None:
    cv2 = pytest.importorskip("cv2")
    picture, scale = noise(240, 320), 0.4
    pad = int(half * (1 + 2 * scale))
    padded = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), "constant", constant_values=(110, 110))
    my, mx = y + pad, x + pad
    face = padded[
        int(my - half) : int(my + half * (1 + 2 * scale)), int(mx - half * (1 + scale)) : int(mx + half * (1 + scale))
    ]
    expected = cv2.resize(face, (224, 224)).astype(int)
    assert np.abs(syncnet_crop(picture, place(x, y, half)).astype(int) - expected).max() <= 1


def test_expert_sees_the_lower_half() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[100:] = 200
    crop = expert_crop(picture, place(100.0, 100.0, 40.0))
    assert crop.shape == (48, 96, 3) and (crop[1:] == 200).all()
    assert (expert_crop(picture, place(100.0, 60.0, 40.0))[1:-1] == 0).all()


@pytest.mark.parametrize("roll", [0.0, 0.3, -0.5])
@pytest.mark.parametrize("span", [30.0, 64.0, 200.0])
def test_mouth_crop_is_upright_and_centred(roll: float, span: float) -> None:
    rows, columns = np.mgrid[:400, :400] + 0.5
    across = (columns - 210) * np.cos(roll) + (rows - 190) * np.sin(roll)
    down = -(columns - 210) * np.sin(roll) + (rows - 190) * np.cos(roll)
    ellipse = (across / (0.3 * span)) ** 2 + (down / (0.1 * span)) ** 2 < 1
    crop = mouth_crop(
        np.where(ellipse[..., None], 255, 0).astype(np.uint8).repeat(3, 2), place(210.0, 190.0, span, roll)
    )
    mass = crop / 255.0
    v, u = np.mgrid[:MOUTH_PX, :MOUTH_PX] + 0.5 - MOUTH_PX / 2
    centre = np.array([(mass * u).sum(), (mass * v).sum()]) / mass.sum()
    assert np.abs(centre).max() < 0.5
    tilt = (mass * u * v).sum() / (mass * u * u).sum()
    assert abs(tilt) < 0.05
    assert mass.sum() == pytest.approx(np.pi * 0.3 * 0.1 * MOUTH_PX**2, rel=0.1)


def test_a_place_far_outside_is_grey_or_border_not_an_error() -> None:
    picture = noise(50, 50)
    far = place(-500.0, 900.0, 30.0)
    assert (syncnet_crop(picture, far) == 110).all() and (expert_crop(picture, far) == 110).all()
    assert mouth_crop(picture, far).shape == (MOUTH_PX, MOUTH_PX)
