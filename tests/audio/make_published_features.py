"""Make published_features.npz: python_speech_features and librosa on the waveform of test_published_features.

python make_published_features.py, where python_speech_features (commit e280ac2) and librosa 0.11 are importable.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import python_speech_features
from scipy import signal


def wave(seconds: float = 0.777, seed: int = 7) -> np.ndarray:
    """As in the test."""
    count = int(seconds * 16000)
    t, draw = np.arange(count) / 16000, np.random.default_rng(seed)
    loud = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    waveform = 0.4 * loud * np.sin(2 * np.pi * (150 * t + 400 * t * t)) + 0.02 * loud * draw.normal(size=count)
    waveform[count // 2 : count // 2 + 2400] = 0
    return np.rint(np.clip(waveform, -1, 1) * 32767) / 32768


def wav2lip(waveform: np.ndarray, ends: str) -> np.ndarray:
    """The recipe of Wav2Lip's audio.py with the numbers of its hparams.py, in double precision."""
    emphasised = signal.lfilter([1, -0.97], [1], waveform)
    spectrum = np.abs(librosa.stft(y=emphasised, n_fft=800, hop_length=200, win_length=800, pad_mode=ends))
    bands = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600) @ spectrum
    decibel = 20 * np.log10(np.maximum(1e-5, bands)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4).T.astype(np.float32)


if __name__ == "__main__":
    given = wave()
    integers = np.rint(given * 32768).astype(np.int16)
    np.savez_compressed(
        Path(__file__).with_name("published_features.npz"),
        mfcc=python_speech_features.mfcc(integers, 16000),
        mfcc_short=python_speech_features.mfcc(integers[3000:3300], 16000),
        reflect=wav2lip(given, "reflect"),
        constant=wav2lip(given, "constant"),
    )
