"""Lip metrics on mouths worked by hand and on degraded sequences."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.metrics import lips


def talking_mouth(frames: int = 120, seed: int = 0) -> np.ndarray:
    """Landmarks [frames, 68, 2] of a fixed face whose inner lips open by 2 to 18 px."""
    rng = np.random.default_rng(seed)
    face = np.repeat(rng.uniform(0, 100, (1, 68, 2)), frames, 0)
    gap = 10 + 8 * np.sin(np.arange(frames) * 0.37) * np.cos(np.arange(frames) * 0.11)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        face[:, upper] = [upper, 50]
        face[:, lower, 0] = upper
        face[:, lower, 1] = 50 + gap
    return face


def test_landmark_distance_by_hand() -> None:
    true = np.array([[[0.0, 0], [4, 0]]])
    assert lips.landmark_distance(true + 7, true) == pytest.approx([0.0]), "blind to shifts by definition"
    wider = np.array([[[-1.0, 0], [5, 0]]])
    assert lips.landmark_distance(wider, true) == pytest.approx([1.0])
    assert np.isnan(lips.landmark_distance(np.full((1, 2, 2), np.nan), true)).all()


def test_eye_distance_ignores_where_each_eye_is() -> None:
    true = talking_mouth(2)
    moved = true.copy()
    moved[:, 36:42] += 3
    moved[:, 42:48] -= 2
    assert lips.eye_distance(moved, true) == pytest.approx([0, 0])
    moved[:, 37, 1] += 6
    assert (lips.eye_distance(moved, true) > 0.5).all()


def test_opening_and_width_by_hand() -> None:
    landmarks = np.zeros((1, 68, 3))
    for (upper, lower), gap in zip(((61, 67), (62, 66), (63, 65)), (1.0, 2.0, 3.0), strict=True):
        landmarks[0, upper, 1], landmarks[0, lower, 1] = 1.0, 1.0 - gap
    landmarks[0, 48], landmarks[0, 54] = [-2, 0, 0], [2, 0, 3]
    assert lips.opening(landmarks) == pytest.approx([2.0])
    assert lips.width(landmarks) == pytest.approx([5.0])


def test_perfect_is_perfect_and_desync_hurts() -> None:
    true = lips.opening(talking_mouth())
    threshold = lips.closed_threshold(true)

    def scores(rendered: np.ndarray) -> list[float]:
        return [
            lips.correlation(rendered, true),
            lips.velocity_correlation(rendered, true),
            lips.closure_f1(rendered, true, threshold),
        ]

    assert scores(true) == pytest.approx([1.0, 1.0, 1.0])
    assert lips.amplitude(true, true) == pytest.approx(1.0)
    previous = scores(true)
    for late in (2, 4, 6):
        now = scores(np.concatenate([np.full(late, np.nan), true[:-late]]))
        assert all(a < b for a, b in zip(now, previous, strict=True)), f"{late} frames late"
        previous = now


def test_a_mumbled_mouth_keeps_r_and_loses_amplitude_and_closures() -> None:
    true = lips.opening(talking_mouth())
    mumbled = true.mean() + 0.4 * (true - true.mean())
    assert lips.correlation(mumbled, true) == pytest.approx(1.0)
    assert lips.amplitude(mumbled, true) == pytest.approx(0.4)
    assert lips.closure_f1(mumbled, true, lips.closed_threshold(true)) == 0.0


def test_correlation_agrees_with_numpy_and_skips_missing_frames() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=50), rng.normal(size=50)
    a[7] = b[30] = np.nan
    kept = np.isfinite(a) & np.isfinite(b)
    assert lips.correlation(a, b) == pytest.approx(np.corrcoef(a[kept], b[kept])[0, 1])
    assert np.isnan(lips.correlation(np.ones(5), np.arange(5.0))), "a frozen mouth has no correlation"


def test_closure_f1_by_hand() -> None:
    true = np.array([1, 0, 1, 1, 1, 1, 0, 1.0])
    rendered = np.array([1, 1, 0, 1, 0, 1, 1, 1.0])
    # Closed at 2 and 4 where the truth is at 1 and 6: with one frame of tolerance one of two is right, both ways.
    assert lips.closure_f1(rendered, true, 0.5) == pytest.approx(0.5)
    assert lips.closure_f1(rendered, true, 0.5, tolerance_frames=0) == 0.0
    assert np.isnan(lips.closure_f1(rendered, np.ones(8), 0.5))
    assert lips.closure_f1(np.ones(8), true, 0.5) == 0.0
