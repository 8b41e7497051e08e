"""Spectra exactly as published networks were trained on them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from talkface.audio.features import spectrum_rows
from talkface.audio.providers import WAV2LIP
from talkface.types import Speech

WAV2LIP_ROWS = 16
"""Columns that Wav2Lip and its expert see at once: 200 ms, five frames."""
_PRE_EMPHASIS = 0.97
_BLOCK_ROWS = 4096


def wav2lip_mel(speech: Speech, ends: Literal["reflect", "constant"] = "reflect") -> Float[np.ndarray, "rows 80"]:
    """Wav2Lip's mel spectrum: row j is centred on sample 200 j, N samples give 1 + N // 200 rows.

    Its weights were trained with librosa 0.7, which fills the ends by reflection; librosa 0.10 and later fill them with
    zeros. The two differ in the first and last two rows only. Speech too short to be reflected (up to 400 samples) is
    filled with zeros.
    """
    samples = speech.waveform.astype(np.float64)
    emphasised = samples - _PRE_EMPHASIS * np.append(0.0, samples[:-1])[: len(samples)]
    half = WAV2LIP.fft // 2
    padded = np.pad(emphasised, half, mode=ends if len(samples) > half else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WAV2LIP.fft)[:: WAV2LIP.hop]
    blocks = [
        spectrum_rows(frames[start : start + _BLOCK_ROWS], WAV2LIP) for start in range(0, len(frames), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks)


def wav2lip_starts(frames: int) -> np.ndarray:
    """First row of each video frame's window at 25 fps: the whole part of 80 i / 25."""
    return np.arange(frames) * 80 // 25
