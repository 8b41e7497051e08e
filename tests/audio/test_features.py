"""Spectra against closed forms: a sine lands in its band, torch's STFT agrees, blocks change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkface.audio.features import (
    MEL,
    MelSpec,
    Statistics,
    band_centres_hz,
    filter_bank,
    fit_rows,
    log_mel,
    mel_blocks,
    normalisation_of,
    per_frame,
    windows,
)
from talkface.audio.providers import WAV2LIP
from talkface.types import SPEECH_HZ, Speech


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * SPEECH_HZ)).astype(np.float32)


def sine(hz: float, seconds: float = 1.0) -> Speech:
    return Speech((0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * SPEECH_HZ)) / SPEECH_HZ)).astype(np.float32))


@pytest.mark.parametrize("hz", [300, 700, 1200, 2500, 5000, 7000])
def test_a_sine_lands_in_the_band_of_its_pitch(hz: float) -> None:
    band = log_mel(sine(hz))[50].argmax()
    assert abs(band_centres_hz()[band] - hz) <= max(SPEECH_HZ / MEL.fft, 0.04 * hz)


def test_bands_are_triangles_of_unit_area_on_slaneys_scale() -> None:
    bank = filter_bank(MelSpec(fft=16384))
    area = bank.sum(1) * SPEECH_HZ / 16384
    np.testing.assert_allclose(area, 1, atol=0.02)
    # 1 kHz is mel 15 and each further 27 mel are a factor of 6.4 in frequency (Slaney, 1998).
    centres = band_centres_hz(MelSpec(fft=16384))
    ratios = centres[60:] / centres[59:-1]
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=2e-3)
    steps = np.diff(centres[:20])
    np.testing.assert_allclose(steps, steps.mean(), atol=1.5)


@pytest.mark.parametrize("spec", [MEL, WAV2LIP, MelSpec(rate_hz=50, window=640, fft=1024, bands=29)])
def test_spectrum_agrees_with_torch(spec: MelSpec) -> None:
    waveform = noise(0.7)
    emphasised = np.append(waveform[0], waveform[1:] - 0.97 * waveform[:-1]).astype(np.float64)
    spectrum = torch.stft(
        torch.from_numpy(emphasised),
        spec.fft,
        spec.hop,
        spec.window,
        torch.hann_window(spec.window, dtype=torch.float64),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    if spec.scale == "log":
        expected = np.log(filter_bank(spec) @ (spectrum.abs() ** 2).numpy() + 1e-7).T
    else:
        decibel = 20 * np.log10(np.maximum(filter_bank(spec) @ spectrum.abs().numpy(), 1e-5)) - 20
        expected = np.clip((decibel + 100) * 0.08 - 4, -4, 4).T
    ours = log_mel(Speech(waveform), spec)
    np.testing.assert_allclose(ours, expected[: len(ours)], atol=2e-5)


def test_one_row_is_the_fourier_sum() -> None:
    waveform = noise(0.2)
    row, spec = 7, MEL
    emphasised = np.append(waveform[0], waveform[1:] - 0.97 * waveform[:-1]).astype(np.float64)
    middle = row * spec.hop
    n = np.arange(-200, 200)
    piece = emphasised[middle + n] * np.sin(np.pi * (n + 200) / 400) ** 2
    power = [abs(np.sum(piece * np.exp(-2j * np.pi * k * n / spec.fft))) ** 2 for k in range(257)]
    np.testing.assert_allclose(log_mel(Speech(waveform))[row], np.log(filter_bank() @ power + 1e-7), atol=2e-5)


def test_rows_stand_at_their_times() -> None:
    waveform = np.zeros(SPEECH_HZ, np.float32)
    waveform[int(0.32 * SPEECH_HZ)] = 1.0
    assert log_mel(Speech(waveform)).sum(1).argmax() == 32
    assert log_mel(Speech(waveform), WAV2LIP).sum(1).argmax() == round(0.32 * 80)


@pytest.mark.parametrize("spec", [MEL, WAV2LIP])
def test_blocks_of_any_length_change_no_bit(spec: MelSpec) -> None:
    waveform = noise(25.3)
    whole = log_mel(Speech(waveform), spec)
    draw = np.random.default_rng(1)
    edges = np.sort(draw.integers(0, len(waveform), 40))
    pieces = np.split(waveform, edges)
    np.testing.assert_array_equal(np.concatenate(list(mel_blocks(pieces, spec))), whole)
    assert len(whole) == -(-len(waveform) // spec.hop)


def test_memory_does_not_grow_with_length() -> None:
    import tracemalloc

    def peak(minutes: int) -> int:
        tracemalloc.start()
        statistics = Statistics()
        for block in mel_blocks(np.zeros(SPEECH_HZ, np.float32) for _ in range(60 * minutes)):
            statistics.add(block)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert statistics.rows == 6000 * minutes
        return high

    assert peak(4) < 1.2 * peak(1)


def test_statistics_in_pieces_are_those_of_the_whole() -> None:
    mel = np.random.default_rng(0).normal(1000, 1, (5000, 80)).astype(np.float32)
    statistics = Statistics()
    for piece in np.array_split(mel, 13):
        statistics.add(piece)
    got = statistics.normalisation()
    np.testing.assert_allclose(got.mean, mel.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(got.std, mel.astype(np.float64).std(0), rtol=1e-5)
    normal = normalisation_of(mel).apply(mel)
    np.testing.assert_allclose(normal.std(0), 1, atol=1e-3)


def test_windows_are_centred_on_their_frames() -> None:
    rows = np.arange(400, dtype=np.float32)[:, None]
    for size, middle in ((5, 2), (16, 8)):
        cut = windows(rows, 100, size)
        np.testing.assert_array_equal(cut[10:90, middle, 0], 4 * np.arange(10, 90))
        assert (cut[0, :middle] == 0).all() and cut[0, middle + 1, 0] == 1
    uneven = windows(np.arange(1, 241, dtype=np.float32)[:, None], 80, 1, rate_hz=80.0)[:, 0, 0] - 1
    assert np.abs(uneven[:75] / 80 - np.arange(75) / 25).max() <= 0.5 / 80
    assert windows(rows[:0], 3, 4).shape == (3, 4, 1)


def test_frames_average_the_rows_about_their_moment() -> None:
    rows = np.arange(400, dtype=np.float32)[:, None]
    np.testing.assert_allclose(per_frame(rows, 100)[1:, 0], 4 * np.arange(1, 100) - 0.5)
    assert fit_rows(rows, 120).shape == (480, 1)
    assert (fit_rows(rows, 120)[400:] == 0).all()


def test_no_speech_at_all() -> None:
    assert log_mel(Speech(np.zeros(0, np.float32))).shape == (0, 80)
