"""MFCC and mel against what the original tools gave (published_features.npz, from make_published_features.py).

The tools are `mfcc` of python_speech_features on 16-bit integers, and Wav2Lip's recipe in librosa 0.11 with both ways
of filling the ends, in double precision; the mel spectra are kept in single precision.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.audio.mel_sets import WAV2LIP_ROWS, wav2lip_mel, wav2lip_starts
from talkface.audio.mfcc import mfcc13
from talkface.types import SPEECH_HZ, Speech

GOLDEN = Path(__file__).with_name("published_features.npz")


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as file:
        return dict(file)


def wave(seconds: float = 0.777, seed: int = 7) -> np.ndarray:
    """Chirps with noise and a hole of digital silence, 16-bit."""
    count = int(seconds * SPEECH_HZ)
    t, draw = np.arange(count) / SPEECH_HZ, np.random.default_rng(seed)
    loud = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    waveform = 0.4 * loud * np.sin(2 * np.pi * (150 * t + 400 * t * t)) + 0.02 * loud * draw.normal(size=count)
    waveform[count // 2 : count // 2 + 2400] = 0
    return np.rint(np.clip(waveform, -1, 1) * 32767) / 32768


def test_mfcc_is_python_speech_features(golden: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(mfcc13(Speech(wave())), golden["mfcc"], rtol=0, atol=1e-5)


def test_speech_shorter_than_a_window_gives_one_row(golden: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(mfcc13(Speech(wave()[3000:3300])), golden["mfcc_short"], rtol=0, atol=1e-5)
    assert mfcc13(Speech(np.zeros(0))).shape == (1, 13)


@pytest.mark.parametrize("ends", ["reflect", "constant"])
def test_mel_is_wav2lips(golden: dict[str, np.ndarray], ends: str) -> None:
    ours = wav2lip_mel(Speech(wave()), ends)
    assert ours.shape == golden[ends].shape
    np.testing.assert_allclose(ours, golden[ends], rtol=0, atol=1e-5)


def test_the_two_ways_of_filling_differ_in_two_rows_at_each_end_only(golden: dict[str, np.ndarray]) -> None:
    differs = np.abs(golden["reflect"] - golden["constant"]).max(1) > 0
    assert not differs[2:-2].any() and differs[:2].any()


def test_long_speech_is_cut_into_blocks_without_a_seam() -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 60 * SPEECH_HZ)
    mel, cepstra = wav2lip_mel(Speech(waveform)), mfcc13(Speech(waveform))
    assert mel.shape == (1 + len(waveform) // 200, 80) and cepstra.shape == (5999, 13)
    middle = slice(20 * SPEECH_HZ, 40 * SPEECH_HZ)
    np.testing.assert_allclose(wav2lip_mel(Speech(waveform[middle]))[3:-3], mel[1600:3201][3:-3], atol=1e-5)
    np.testing.assert_allclose(mfcc13(Speech(waveform[middle]))[1:-1], cepstra[2000:3998][1:], atol=1e-6)


def test_windows_start_where_wav2lip_starts_them() -> None:
    expected = [int(80.0 * (frame / 25.0)) for frame in range(200)]
    assert wav2lip_starts(200).tolist() == expected
    assert WAV2LIP_ROWS * 200 / SPEECH_HZ == 5 / 25
