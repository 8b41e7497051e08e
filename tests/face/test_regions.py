"""Labels on drawn people, where every pixel's owner is known."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.face.regions import BACKGROUND, HEAD, NECK, TORSO, ClipRegions, head_alpha
from talkface.geometry import project, rotation_from_angles
from talkface.types import Camera, Pose, Track

cv2 = pytest.importorskip("cv2")

SIZE = 320
SKIN, HAIR, SUIT, WALL = (205, 150, 125), (60, 42, 35), (50, 70, 140), (120, 130, 120)


def _track(frames: int = 3) -> Track:
    """An average head 80 cm away, drifting a little; 68 landmarks and mesh points on an ellipsoid's face."""
    camera = Camera(800.0, (SIZE / 2, SIZE / 2), (SIZE, SIZE))
    turn = rotation_from_angles(np.radians(np.linspace(-4, 4, frames)), 0.0, 0.0)
    shift = np.stack([np.linspace(-0.5, 0.5, frames), np.full(frames, 3.0), np.full(frames, -85.0)], -1)
    angle = np.linspace(-np.pi, 0, 17)
    jaw = np.stack([7.3 * np.cos(angle), 8.5 * np.sin(angle), 3 - 6 * np.sin(angle)], -1)
    landmarks = np.concatenate([jaw, np.tile([0.0, 3.0, 10.0], (51, 1))])
    ring = np.linspace(0, 2 * np.pi, 478)
    mesh = np.stack([6.8 * np.cos(ring), 0.5 + 8.3 * np.sin(ring), np.full(478, 5.0)], -1)
    pose = Pose(turn, shift)
    flat = np.stack([project(mesh @ r.T + t, camera) for r, t in zip(turn, shift, strict=True)])
    flat68 = np.stack([project(landmarks @ r.T + t, camera) for r, t in zip(turn, shift, strict=True)])
    return Track(
        fps=25.0,
        camera=camera,
        pose=pose,
        points_px=np.concatenate([flat, np.zeros((frames, 478, 1))], -1),
        landmarks_px=flat68,
        landmarks=np.tile(landmarks, (frames, 1, 1)),
        closure=np.zeros((frames, 2)),
        gaze=np.zeros((frames, 2)),
        identity=np.zeros(0),
        expression=np.zeros((frames, 0)),
        expression_names=(),
        face_model="average",
        residual=np.zeros(frames),
        valid=np.ones(frames, bool),
        reason=("",) * frames,
    )


def _draw(
    track: Track, index: int, hair: str = "short", suit: tuple = SUIT
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, matte and true labels. Hair: "short", or "long" (down onto the shoulders)."""
    px = track.camera.focal_px / 80.0
    origin = project((track.pose.translation[index])[None], track.camera)[0]
    labels = np.zeros((SIZE, SIZE), np.uint8)
    picture = np.full((SIZE, SIZE, 3), WALL, np.uint8)

    def paint(label: int, colour: tuple, shape: str, x: float, y: float, a: float, b: float) -> None:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        at = (round(origin[0] + x * px), round(origin[1] - y * px))
        if shape == "disc":
            cv2.ellipse(mask, at, (round(a * px), round(b * px)), 0, 0, 360, 1, -1)
        else:
            low, high = (round(at[0] - a * px), round(at[1] - b * px)), (round(at[0] + a * px), round(at[1] + b * px))
            cv2.rectangle(mask, low, high, 1, -1)
        labels[mask > 0] = label
        picture[mask > 0] = colour

    if hair == "long":
        paint(HEAD, HAIR, "box", 0, -2, 9.5, 9)
    paint(TORSO, suit, "disc", 0, -26, 19, 14)
    if hair == "long":
        for side in (-8.0, 8.0):
            paint(HEAD, HAIR, "box", side, -6, 2.2, 6)
    paint(NECK, tuple(int(0.85 * c) for c in SKIN), "box", 0, -11, 5.5, 4)
    paint(HEAD, HAIR, "disc", 0, 4.5, 9.2, 10.5)
    for side in (-8.6, 8.6):
        paint(HEAD, SKIN, "disc", side, 0, 1.6, 3.2)
    paint(HEAD, SKIN, "disc", 0, 0.5, 7.2, 9.0)
    noise = np.random.default_rng(index).normal(0, 3, picture.shape)
    picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    matte = cv2.GaussianBlur((labels > 0).astype(np.float32), (5, 5), 0)
    return picture, matte, labels


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(a & b) / np.sum(a | b))


def _regions(**drawing: object) -> tuple[ClipRegions, list]:
    track = _track()
    drawn = [_draw(track, index, **drawing) for index in range(len(track))]
    return ClipRegions(track, [(i, picture, matte) for i, (picture, matte, _) in enumerate(drawn)]), drawn


def test_short_hair_ears_and_neck():
    regions, drawn = _regions()
    assert not regions.long_hair
    for index, (picture, matte, truth) in enumerate(drawn):
        labels = regions.labels(index, picture, matte)
        assert _overlap(labels == HEAD, truth == HEAD) > 0.95
        assert _overlap(labels == NECK, truth == NECK) > 0.8
        assert _overlap(labels == TORSO, truth == TORSO) > 0.95
        assert _overlap(labels == BACKGROUND, truth == BACKGROUND) > 0.98


def test_suit_of_the_colour_of_the_hair_stays_torso():
    regions, drawn = _regions(suit=HAIR)
    assert not regions.long_hair
    picture, matte, truth = drawn[0]
    assert _overlap(regions.labels(0, picture, matte) == TORSO, truth == TORSO) > 0.95


def test_long_hair_is_head():
    regions, drawn = _regions(hair="long")
    assert regions.long_hair
    for index, (picture, matte, truth) in enumerate(drawn):
        assert _overlap(regions.labels(index, picture, matte) == HEAD, truth == HEAD) > 0.9


def test_frame_without_a_face_is_all_torso():
    regions, drawn = _regions()
    picture, matte, truth = drawn[1]
    regions.track.landmarks_px[1] = np.nan
    labels = regions.labels(1, picture, matte)
    assert set(np.unique(labels)) == {BACKGROUND, TORSO}
    assert _overlap(labels == TORSO, truth > 0) > 0.98


@pytest.mark.parametrize("scale", [1, 2])
def test_head_alpha_overlaps_the_neck_and_not_the_clothes(scale):
    size = 256 * scale
    labels = np.full((size, size), HEAD, np.uint8)
    labels[size // 2 :, :] = NECK
    matte = np.ones((size, size), np.float32)
    column = head_alpha(labels, matte)[size // 2 :, size // 2]
    assert column[: round(2 * scale)].min() > 0.95
    assert column[round(5 * scale) :].max() < 0.05
    labels[size // 2 :, :] = TORSO
    assert head_alpha(labels, matte)[size // 2 + 2 * scale :, size // 2].max() < 0.05


def test_head_alpha_keeps_the_soft_edge_against_the_background():
    labels = np.zeros((256, 256), np.uint8)
    labels[:120, 60:200] = HEAD
    labels[120:, 60:200] = TORSO
    matte = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 3)
    alpha = head_alpha(labels, matte)
    assert np.allclose(alpha[:100], matte[:100], atol=1e-3)
    assert alpha[140:].max() < 1e-3
