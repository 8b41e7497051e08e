"""Blink, pose and jitter metrics on sequences worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.geometry import rotation_from_vector
from talkface.metrics import face
from talkface.types import Pose


def blinking(frames: int, *starts: int, depth: float = 0.95) -> np.ndarray:
    """Closure with one five-frame blink at every start."""
    closure = np.zeros(frames)
    for start in starts:
        closure[start : start + 5] = np.array([0.3, 0.8, 1.0, 0.6, 0.2]) * depth
    return closure


def test_blink_f1_counts_missed_invented_and_late_blinks() -> None:
    true = blinking(200, 20, 80, 140)
    assert face.blink_f1(true, true) == 1.0
    assert face.blink_f1(blinking(200, 22, 81, 139), true) == 1.0, "within the tolerance"
    assert face.blink_f1(blinking(200, 20, 80), true) == pytest.approx(2 * 2 / 5)
    assert face.blink_f1(blinking(200, 20, 50, 80, 140), true) == pytest.approx(2 * 3 / 7)
    assert face.blink_f1(blinking(200, 40, 100, 160), true) == 0.0
    assert face.blink_f1(blinking(200, 20, 80, 140, depth=0.4), true) == 0.0, "half-shut eyes do not blink"
    assert np.isnan(face.blink_f1(np.zeros(50), np.zeros(50)))
    assert face.blink_f1(blinking(50, 10), np.zeros(50)) == 0.0


def test_au45_correlation_and_rate() -> None:
    true = blinking(250, 20, 80, 140)
    assert face.au45_correlation(true, true) == pytest.approx(1.0)
    assert face.au45_correlation(np.roll(true, 2), true) < 0.5
    assert face.blink_rate(true, 25.0) == pytest.approx(18.0)
    half = true.copy()
    half[125:] = np.nan
    assert face.blink_rate(half, 25.0) == pytest.approx(24.0)


def test_head_shift_and_turn() -> None:
    rng = np.random.default_rng(0)
    mesh = rng.normal(size=(3, 68, 3)) * 50
    turned = mesh.copy()
    turned[1] = 1.3 * mesh[1] @ rotation_from_vector(np.array([0.0, 0.1, 0.0])).T + 7
    turned[2] = np.nan
    assert face.head_turn(turned, mesh)[:2] == pytest.approx([0.0, 0.1], abs=1e-7)
    assert np.isnan(face.head_turn(turned, mesh)[2])
    moved = mesh[..., :2] + np.array([3.0, -4.0])
    assert face.head_shift(moved, mesh[..., :2]) == pytest.approx([5.0] * 3)


def test_jitter_is_blind_to_even_motion_and_sees_shake() -> None:
    still = np.repeat(np.random.default_rng(0).uniform(0, 100, (1, 68, 2)), 40, 0)
    gliding = still + np.arange(40)[:, None, None]
    assert face.jitter(gliding) == pytest.approx(0.0, abs=1e-9)
    shaking = still.copy()
    shaking[::2, :, 0] += 0.5
    assert face.jitter(shaking) == pytest.approx(1.0)


def turning(angles_deg: np.ndarray) -> Pose:
    """A head that turns about one axis by given angles and walks sideways by a tenth of them."""
    vectors = np.radians(angles_deg)[:, None] * np.array([0.0, 1.0, 0.0])
    return Pose(rotation_from_vector(vectors), np.stack([angles_deg / 10, 0 * angles_deg, 0 * angles_deg], 1))


def test_pose_error_by_hand() -> None:
    true = turning(np.linspace(-5, 5, 9))
    rendered = turning(np.linspace(-5, 5, 9) + 2.0)
    angle, distance = face.pose_error(rendered, true)
    np.testing.assert_allclose(np.degrees(angle), 2.0, atol=1e-9)
    np.testing.assert_allclose(distance, 0.2)
    assert face.pose_error(true, true)[0] == pytest.approx(0, abs=1e-7)


def test_unsteadiness_by_hand() -> None:
    """Steady turning has none; a zigzag of +-1 degree has second differences of 4 degrees."""
    seen = np.ones(20, bool)
    assert face.unsteadiness(turning(np.arange(20.0)), seen) == pytest.approx(0, abs=1e-9)
    zigzag = turning(np.where(np.arange(20) % 2, 1.0, -1.0))
    assert np.degrees(face.unsteadiness(zigzag, seen)) == pytest.approx(4.0)
    seen[::3] = False
    assert np.isnan(face.unsteadiness(zigzag, seen)), "no three frames in a row"
    jump = np.zeros(20)
    jump[10:] = 5.0
    seen[:] = True
    seen[10] = False
    assert face.unsteadiness(turning(jump), seen) == pytest.approx(0, abs=1e-9), "a gap is not a jump"
