"""Amplitude and closed lips are given back, and nothing is invented where there is nothing to match."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.audio.matching import LARGEST_SHIFT, Matching

LOW, HIGH = np.full(3, -2.0), np.full(3, 3.0)


def mumbled(frames: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A mouth that is shut three tenths of the time (all values standardised), and a timid prediction of it."""
    draw = np.random.default_rng(seed)
    kernel = np.hanning(9) / np.hanning(9).sum()
    motion = np.apply_along_axis(np.convolve, 0, draw.normal(size=(frames, 3)), kernel, "same")
    motion = motion / motion.std(0)
    true = motion.copy()
    shut = motion[:, 0] < np.quantile(motion[:, 0], 0.3)
    true[shut, 0] = motion[~shut, 0].min() - 0.3
    true = (true - true.mean(0)) / true.std(0)
    return 0.5 * (0.8 * motion + 0.4 * draw.normal(size=motion.shape)), true


@pytest.fixture(scope="module")
def matching() -> Matching:
    predicted, true = mumbled()
    return Matching.of(predicted, true)


def test_deviation_and_share_of_shut_lips_are_the_persons(matching: Matching) -> None:
    predicted, _ = mumbled(seed=1)
    share, level, _, _ = matching.closing
    assert 0.3 <= share < 0.34  # the 0.3 that were shut, and the first few above them
    got = matching(predicted, LOW, HIGH)
    np.testing.assert_allclose(got[:, 1:].std(0), 1, atol=0.05)
    assert (predicted[:, 0] < level).mean() < 0.1
    assert (got[:, 0] <= level + 1e-6).mean() == pytest.approx(share, abs=0.005)
    assert got[:, 0].std() == pytest.approx(1, abs=0.15)


def test_order_of_openings_is_kept_and_the_open_mouth_is_left_alone(matching: Matching) -> None:
    predicted, _ = mumbled(seed=2)
    got = matching(predicted, LOW, HIGH)[:, 0]
    order = np.argsort(predicted[:, 0])
    assert (np.diff(got[order]) >= -1e-6).all()
    plain = Matching(matching.gain, np.zeros(4, np.float32))(predicted, LOW, HIGH)[:, 0]
    wide = plain > np.quantile(plain, 0.8)
    np.testing.assert_allclose(got[wide], plain[wide], atol=1e-6)
    assert (got <= plain + 1e-6).all() and plain.std() == pytest.approx(1, abs=0.05)


def test_short_speech_takes_what_was_held_out(matching: Matching) -> None:
    predicted, _ = mumbled(seed=3)
    short = predicted[:100]
    got = matching(short, LOW, HIGH)
    np.testing.assert_allclose(got[:, 1].std(), short[:, 1].std() * matching.gain[1], rtol=0.05)
    shifted = short[:, 0].mean() + (short[:, 0] - short[:, 0].mean()) * matching.gain[0] - got[:, 0]
    assert shifted.max() == pytest.approx(float(matching.closing[3]), abs=0.02) and matching.closing[3] > 0.1


def test_a_mouth_at_rest_stays_at_rest(matching: Matching) -> None:
    draw = np.random.default_rng(0)
    rest = np.full((500, 3), -1.0) + 0.02 * draw.normal(size=(500, 3))
    got = matching(rest, LOW, HIGH)
    assert got.std(0).max() < 0.15
    agape = np.full((500, 3), 1.5) + 0.02 * draw.normal(size=(500, 3))
    assert matching(agape, LOW, HIGH)[:, 0].min() > 1.5 - LARGEST_SHIFT - 0.3


def test_nothing_leaves_the_training_range(matching: Matching) -> None:
    predicted, _ = mumbled(seed=4)
    predicted[::50] *= 10
    got = matching(predicted, LOW, HIGH)
    assert got.min() >= LOW[0] and got.max() <= HIGH[0]
