"""Log-mel spectra of speech of any length, their normalisation, and one window per video frame.

Row `j` of a spectrum is centred on sample `j * 16000 / rate_hz`: row 4 i of the 100 Hz spectrum is the moment of
25 fps video frame i. Ends are padded with silence. Long speech passes through in blocks: the answer is the same to the
bit however it was cut, because the spectrum is always computed in the same stretches of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float

from talkface.types import FPS, SPEECH_HZ, Speech

_ROWS = 1024
_FLOOR = 1e-7
_PRE_EMPHASIS = 0.97


@dataclass(frozen=True)
class MelSpec:
    """What a mel spectrum is made of; the default is the lip predictors' (design page lip-sync, method)."""

    rate_hz: int = 100
    """Rows per second; it must divide 16000."""
    window: int = 400
    """Samples under the Hann window."""
    fft: int = 512
    bands: int = 80
    low_hz: float = 50.0
    high_hz: float = 7600.0
    scale: Literal["log", "decibel"] = "log"
    """`log`: natural logarithm of power. `decibel`: magnitude as Wav2Lip scales it, in [-4, 4]."""

    @property
    def hop(self) -> int:
        """Samples from one row to the next."""
        return SPEECH_HZ // self.rate_hz


MEL = MelSpec()
ROWS_PER_FRAME = 4
"""Rows of `MEL` per 25 fps video frame."""


@lru_cache(maxsize=8)
def filter_bank(spec: MelSpec = MEL) -> Float[np.ndarray, "bands bins"]:
    """Triangles of unit area on Slaney's mel scale: linear to 1 kHz (3 mel per 200 Hz), logarithmic above."""
    log_step = np.log(6.4) / 27

    def mel_from_hz(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) / log_step

    mel = np.linspace(mel_from_hz(spec.low_hz), mel_from_hz(spec.high_hz), spec.bands + 2)
    corner_hz = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * log_step))
    low, peak, high = corner_hz[:-2, None], corner_hz[1:-1, None], corner_hz[2:, None]
    bin_hz = np.arange(spec.fft // 2 + 1) * SPEECH_HZ / spec.fft
    triangles = np.minimum((bin_hz - low) / (peak - low), (high - bin_hz) / (high - peak))
    return np.maximum(triangles, 0) * 2 / (high - low)


def band_centres_hz(spec: MelSpec = MEL) -> Float[np.ndarray, " bands"]:
    """Frequency at which each band answers most, Hz."""
    bank = filter_bank(spec)
    return bank.argmax(1) * SPEECH_HZ / spec.fft


def rows_of(samples: int, spec: MelSpec = MEL) -> int:
    """How many rows a waveform has: every row whose centre lies inside it."""
    return -(-samples // spec.hop)


def log_mel(speech: Speech, spec: MelSpec = MEL) -> Float[np.ndarray, "rows bands"]:
    """The spectrum of speech held in memory, float32; rows are `1 / rate_hz` apart."""
    blocks = list(mel_blocks([speech.waveform], spec))
    return np.concatenate(blocks) if blocks else np.zeros((0, spec.bands), np.float32)


def mel_blocks(
    waveforms: Iterable[Float[np.ndarray, " _"]], spec: MelSpec = MEL
) -> Iterator[Float[np.ndarray, "_ bands"]]:
    """The spectrum of speech that comes in pieces of any length, in pieces of up to 1024 rows.

    Memory does not grow with the length of the speech. The rows put together are those of `log_mel`, bit for bit.
    """
    before = spec.fft // 2
    tail = np.zeros(before, np.float64)
    previous, samples, done = 0.0, 0, 0
    needed = (_ROWS - 1) * spec.hop + spec.fft
    for piece in waveforms:
        piece = np.asarray(piece, np.float64)
        if not len(piece):
            continue
        emphasised = piece - _PRE_EMPHASIS * np.concatenate([[previous], piece[:-1]])
        previous, samples = piece[-1], samples + len(piece)
        tail = np.concatenate([tail, emphasised])
        while len(tail) >= needed:
            yield _rows(tail[:needed], _ROWS, spec)
            tail, done = tail[_ROWS * spec.hop :], done + _ROWS
    left = rows_of(samples, spec) - done
    while left > 0:
        rows = min(left, _ROWS)
        used = (rows - 1) * spec.hop + spec.fft
        yield _rows(np.pad(tail, (0, max(0, used - len(tail))))[:used], rows, spec)
        tail, left = tail[rows * spec.hop :], left - rows


def _rows(samples: np.ndarray, rows: int, spec: MelSpec) -> np.ndarray:
    return spectrum_rows(np.lib.stride_tricks.sliding_window_view(samples, spec.fft)[:: spec.hop][:rows], spec)


def spectrum_rows(frames: Float[np.ndarray, "rows samples"], spec: MelSpec = MEL) -> Float[np.ndarray, "rows bands"]:
    """The spectrum of stretches of pre-emphasised sound, each `spec.fft` samples long, float32."""
    taper = np.zeros(spec.fft)
    start = (spec.fft - spec.window) // 2
    taper[start : start + spec.window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
    magnitude = np.abs(np.fft.rfft(frames * taper, axis=1))
    bank = filter_bank(spec).T
    if spec.scale == "log":
        return np.log(magnitude**2 @ bank + _FLOOR).astype(np.float32)
    decibel = 20 * np.log10(np.maximum(magnitude @ bank, 1e-5)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4).astype(np.float32)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each band (CMVN)."""

    mean: Float[np.ndarray, " bands"]
    std: Float[np.ndarray, " bands"]

    def apply(self, features: Float[np.ndarray, "rows bands"]) -> Float[np.ndarray, "rows bands"]:
        """Features with mean 0 and standard deviation 1 where the statistics were taken."""
        return ((features - self.mean) / self.std).astype(np.float32)


@dataclass
class Statistics:
    """Gathers a `Normalisation` over features of any length, piece by piece (pairwise, so nothing cancels)."""

    rows: int = 0
    _mean: np.ndarray = field(default_factory=lambda: np.zeros(1))
    _squares: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def add(self, features: Float[np.ndarray, "rows bands"]) -> Statistics:
        """Count these rows in; returns itself."""
        if len(features):
            features = features.astype(np.float64)
            mean, total = features.mean(0), self.rows + len(features)
            shift = mean - self._mean
            self._squares = (
                self._squares + ((features - mean) ** 2).sum(0) + shift**2 * self.rows * len(features) / total
            )
            self._mean, self.rows = self._mean + shift * len(features) / total, total
        return self

    def normalisation(self) -> Normalisation:
        """The statistics so far; bands that never move get a deviation of 0.001 so that nothing explodes."""
        std = np.sqrt(self._squares / max(self.rows, 1))
        return Normalisation(self._mean.astype(np.float32), np.maximum(std, 1e-3).astype(np.float32))


def normalisation_of(features: Float[np.ndarray, "rows bands"]) -> Normalisation:
    """Mean and deviation of features held in memory."""
    return Statistics().add(features).normalisation()


def windows(
    features: Float[np.ndarray, "rows bands"],
    frames: int,
    size: int,
    rate_hz: float = float(MEL.rate_hz),
    fps: float = FPS,
    centre: int | None = None,
) -> Float[np.ndarray, "frames size bands"]:
    """The `size` rows around every video frame; what lies outside the speech is 0.

    Row `centre` (default `size // 2`) of window i is the row nearest to i / fps seconds.
    """
    middle = size // 2 if centre is None else centre
    rows = np.floor(np.arange(frames) * rate_hz / fps + 0.5).astype(np.int64)[:, None] + np.arange(size) - middle
    inside = (rows >= 0) & (rows < len(features))
    if not len(features):
        return np.zeros((frames, size, features.shape[1]), features.dtype)
    return np.where(inside[..., None], features[np.clip(rows, 0, len(features) - 1)], 0).astype(features.dtype)


def per_frame(mel: Float[np.ndarray, "rows bands"], frames: int) -> Float[np.ndarray, "frames bands"]:
    """The 100 Hz spectrum at 25 fps: the mean of the four rows about each frame's moment; silence after the end."""
    fitted = fit_rows(mel, frames)
    around = np.concatenate([fitted[:1], fitted[:1], fitted])[: len(fitted)]
    return around.reshape(frames, ROWS_PER_FRAME, mel.shape[1]).mean(1)


def fit_rows(mel: Float[np.ndarray, "rows bands"], frames: int) -> Float[np.ndarray, "fitted bands"]:
    """Exactly four rows per frame: cut, or lengthened with silence (the quietest value of each band)."""
    rows = frames * ROWS_PER_FRAME
    if len(mel) >= rows:
        return np.ascontiguousarray(mel[:rows], np.float32)
    quiet = mel.min(0) if len(mel) else np.zeros(mel.shape[1])
    return np.concatenate([mel, np.broadcast_to(quiet, (rows - len(mel), mel.shape[1]))]).astype(np.float32)
