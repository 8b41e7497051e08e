"""The 13 cepstra of SyncNet v2: python_speech_features with its defaults at 16 kHz."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.fft import dct

from talkface.types import SPEECH_HZ, Speech

ROWS_HZ = 100
"""Rows per second: four for each video frame."""
_WINDOW, _HOP, _FFT = 400, 160, 512
_BANDS, _CEPSTRA, _LIFTER = 26, 13, 22
_PRE_EMPHASIS = 0.97
_INTEGERS = 32768
_BLOCK_ROWS = 4096


def mfcc13(speech: Speech) -> Float[np.ndarray, "rows 13"]:
    """Cepstra of 25 ms every 10 ms, no taper, lifted; the first is the logarithm of the window's energy.

    Row j covers samples 160 j to 160 j + 399; the last row is filled up with zeros, so N samples give
    1 + ceil((N - 400) / 160) rows, at least one. The waveform is taken as 16-bit integers, because SyncNet's pipeline
    reads such a file: this moves the first cepstrum and decides what silence is.
    """
    samples = np.rint(speech.waveform.astype(np.float64) * _INTEGERS).clip(-_INTEGERS, _INTEGERS - 1)
    rows = 1 + max(0, -(-(len(samples) - _WINDOW) // _HOP))
    emphasised = np.zeros((rows - 1) * _HOP + _WINDOW)
    emphasised[: len(samples)] = samples
    emphasised[1 : len(samples)] -= _PRE_EMPHASIS * samples[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW)[::_HOP]
    return np.concatenate([_cepstra(frames[start : start + _BLOCK_ROWS]) for start in range(0, rows, _BLOCK_ROWS)])


def _cepstra(frames: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(frames, _FFT, axis=1)) ** 2 / _FFT
    bands = _positive(power @ _filter_bank().T)
    lift = 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(_CEPSTRA) / _LIFTER)
    cepstra = dct(np.log(bands), type=2, axis=1, norm="ortho")[:, :_CEPSTRA] * lift
    cepstra[:, 0] = np.log(_positive(power.sum(1)))
    return cepstra


def _positive(energy: np.ndarray) -> np.ndarray:
    """Zero becomes the smallest step above one, as there, so that the logarithm is finite."""
    return np.where(energy == 0, np.finfo(float).eps, energy)


@lru_cache(maxsize=1)
def _filter_bank() -> Float[np.ndarray, "bands bins"]:
    """Triangles of height one between whole bins, evenly spaced on the mel scale 2595 log10(1 + Hz / 700)."""
    top = 2595 * np.log10(1 + SPEECH_HZ / 2 / 700)
    corners_hz = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    corners = np.floor((_FFT + 1) * corners_hz / SPEECH_HZ)
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.arange(_FFT // 2 + 1)
    rising, falling = (bins - low) / (peak - low), (high - bins) / (high - peak)
    return np.where((bins >= low) & (bins < peak), rising, np.where((bins >= peak) & (bins < high), falling, 0.0))
