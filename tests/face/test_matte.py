"""Matte edges and the person's own colour, on pictures composed from a known foreground."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.face.matte import Matter, foreground, guided_filter

cv2 = pytest.importorskip("cv2")


def _disc(size: int = 160, radius: float = 45.0, soft: float = 5.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.clip((radius - np.hypot(x - size / 2, y - size / 2)) / soft + 0.5, 0, 1).astype(np.float32)


def test_old_background_leaves_no_halo():
    generator = np.random.default_rng(1)
    matte = _disc()
    hair = np.array([60.0, 40.0, 30.0]) + generator.normal(0, 4, (160, 160, 1))
    old, new = np.full((160, 160, 3), (20, 90, 230), np.uint8), np.full((160, 160, 3), (240, 240, 240), np.uint8)
    alpha = matte[..., None]
    frame = np.clip(np.round(alpha * hair + (1 - alpha) * old), 0, 255).astype(np.uint8)
    own = foreground(frame, matte, old)
    truth = alpha * hair + (1 - alpha) * new
    edge = (matte > 0.05) & (matte < 0.95)
    cured = np.abs(alpha * own + (1 - alpha) * new - truth)[edge].mean()
    naive = np.abs(alpha * frame + (1 - alpha) * new - truth)[edge].mean()
    assert cured < 2.0
    assert cured < naive / 5
    inside = cv2.erode(matte, np.ones((7, 7), np.uint8)) > 0.999
    assert np.array_equal(own[inside], frame[inside])


def test_smeared_colour_under_a_full_matte_is_cured():
    """The smear reaches 2 px into the full matte of a picture of 512 px."""
    matte = _disc(512, radius=150.0, soft=1.0)
    old, hair = np.full((512, 512, 3), (20, 90, 230), np.uint8), np.full((512, 512, 3), (60, 40, 30), np.uint8)
    smeared = _disc(512, radius=149.0, soft=2.0)[..., None]
    frame = np.round(smeared * hair + (1 - smeared) * old).astype(np.uint8)
    solid = matte > 0.999
    own = foreground(frame, matte, old)
    assert np.abs(own.astype(float) - hair)[solid].max() < 0.5 * np.abs(frame.astype(float) - hair)[solid].max()


def test_guided_filter_pulls_a_displaced_mask_to_the_picture_edge():
    truth = _disc(soft=1.0)
    frame = np.where(truth[..., None] > 0.5, 200, 40).astype(np.uint8).repeat(3, -1)
    rough = cv2.GaussianBlur(np.roll(truth, 3, 1), (0, 0), 3)
    sharp = guided_filter(frame, rough, 6, 1e-4)

    def overlap(mask: np.ndarray) -> float:
        a, b = mask > 0.5, truth > 0.5
        return np.sum(a & b) / np.sum(a | b)

    assert overlap(sharp) > 0.98 > overlap(rough)
    even = guided_filter(frame, np.full((160, 160), 0.4, np.float32), 6, 1e-4)
    assert np.allclose(even, 0.4, atol=1e-3)


@pytest.mark.shared
def test_matte_of_a_portrait(shared_data):
    pytest.importorskip("mediapipe")
    picture = cv2.imread(str(shared_data / "portraits/astronaut.png"))[..., ::-1]
    matte = Matter()(np.ascontiguousarray(picture))
    assert matte.shape == (512, 512)
    assert matte.dtype == np.float32
    assert 0 <= matte.min() < matte.max() <= 1
    assert matte[80:150, 195:250].min() > 0.95  # the face
    assert matte[:60, :60].max() < 0.05  # flag behind her
