"""Ridge against the normal equations, and that cross-validation cannot see what it predicts."""

from __future__ import annotations

import numpy as np

from talkface.audio.ridge import STRENGTHS, cross_predictions, fit_ridge


def test_finds_a_linear_law() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2000, 30)).astype(np.float32)
    weight = draw.normal(size=(30, 3))
    y = (x @ weight + 2 + draw.normal(0, 0.1, (2000, 3))).astype(np.float32)
    ridge, held_out = fit_ridge(x, y, score=3)
    chosen = STRENGTHS[0] * len(x)
    centred = x - x.mean(0)
    expected = np.linalg.solve(centred.T @ centred + chosen * np.eye(30), centred.T @ (y - y.mean(0)))
    np.testing.assert_allclose(ridge.weight, expected, atol=1e-3)
    np.testing.assert_allclose(ridge(x).mean(0), y.mean(0), atol=1e-3)
    np.testing.assert_array_equal(held_out, cross_predictions(x, y)[0])
    assert (held_out - y).std() > (ridge(x) - y).std()


def test_noise_gets_the_strongest_penalty_and_no_correlation() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(400, 200)).astype(np.float32), draw.normal(size=(400, 1)).astype(np.float32)
    held_out = cross_predictions(x, y)[:, :, 0]
    for predicted in held_out:
        assert abs(np.corrcoef(predicted, y[:, 0])[0, 1]) < 0.2
    errors = ((held_out - y[:, 0]) ** 2).mean(1)
    assert errors.argmin() == len(STRENGTHS) - 1
