"""The membrane against harmonic functions, which it must reproduce."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.face.fill import fill

pytest.importorskip("cv2")


def test_linear_picture_is_continued_linearly():
    y, x = np.mgrid[:96, :128].astype(np.float32)
    truth = np.stack([x + 2 * y, 255 - x], -1)
    known = np.ones((96, 128), bool)
    known[30:60, 40:90] = False
    filled = fill(np.where(known[..., None], truth, 0), known)
    assert np.array_equal(filled[known], truth[known])
    assert np.abs(filled - truth).max() < 4.0


def test_membrane_has_no_overshoot_and_is_linear_in_values():
    generator = np.random.default_rng(0)
    values = generator.uniform(0, 1, (61, 47, 3)).astype(np.float32)
    known = generator.uniform(0, 1, (61, 47)) > 0.7
    known[20:40, 10:30] = False
    filled = fill(values, known)
    assert filled.min() >= values[known].min() - 1e-5
    assert filled.max() <= values[known].max() + 1e-5
    assert np.allclose(fill(3 * values, known), 3 * filled, atol=1e-4)


def test_nothing_known_is_zero_and_everything_known_is_kept():
    values = np.ones((20, 20, 1), np.float32)
    assert not fill(values, np.zeros((20, 20), bool)).any()
    assert np.array_equal(fill(values, np.ones((20, 20), bool)), values)
