"""Blink, pose and jitter metrics on sequences worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.geometry import rotation_from_vector
from talkface.metrics import face


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
