"""Sound in and out: any media file to mono 16 kHz speech on the clock of its first picture.

Time is taken from the time stamps of decoded sound, so container start times, edit lists, the silence that encoders put
in front and holes in a recording are all where they belong.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from jaxtyping import Float

from talkface.errors import UserError
from talkface.io.media import audio_stream, decode, first_picture_time, open_media
from talkface.io.whole import write_whole
from talkface.types import SPEECH_HZ, Speech

MAX_DURATION_S = 4 * 3600.0
"""Longest sound that is read (our choice: a guard against files whose clock lies)."""
SILENT_RMS = 1e-3
"""Level (-60 dB of full scale) that no 50 ms of a silent recording exceeds."""
_HOLE_S = 0.02
"""Time stamps that disagree with the count of samples by more than this mark a hole or an overlap; below, they are the
rounding of the container (Matroska: 1 ms) or a slowly drifting recorder."""
_RATES_HZ = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000)


def read_speech(path: Path) -> Speech:
    """The sound of any media file as mono 16 kHz speech in [-1, 1].

    Convention:
        - sample 0 is at the time of the first video frame; sound before it is cut, a later start is filled with
          silence. In a file without pictures sample 0 is the first sample
        - stereo is averaged; of 5.1 the centre counts most, as in FFmpeg's mix; the weights sum to 1, nothing clips

    Raises:
        UserError: no such file, not media, no audio track, or no sound in it.
    """
    return Speech(np.concatenate(list(stream_speech(path))))


def stream_speech(path: Path, block_s: float = 10.0) -> Iterator[Float[np.ndarray, " samples"]]:
    """As `read_speech`, in blocks of `block_s` seconds (the last is shorter), in constant memory."""
    for block in stream_sound(path, SPEECH_HZ, 1, block_s):
        yield block[0]


def stream_sound(
    path: Path, hz: int, channels: int, block_s: float = 10.0
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    """The sound of a media file at any rate, 1 or 2 channels, on the clock of `read_speech`, in blocks.

    Raises:
        UserError: as `read_speech`.
    """
    size = max(1, round(block_s * hz))
    parts: list[np.ndarray] = []
    held = total = 0
    for part in _on_clock(Path(path), hz, channels):
        parts.append(part)
        held += part.shape[1]
        total += part.shape[1]
        while held >= size:
            joined = np.concatenate(parts, axis=1)
            yield joined[:, :size]
            parts, held = [joined[:, size:]], held - size
    if held:
        yield np.concatenate(parts, axis=1)
    if total == 0:
        raise UserError(f"{path} holds no sound (its audio track has zero length)")


def sound_format(path: Path) -> tuple[int, int]:
    """Sample rate to keep (the file's own up to 48 kHz) and number of channels of a media file's sound.

    Raises:
        UserError: as `read_speech`.
    """
    with open_media(Path(path)) as container:
        stream = audio_stream(container)
        if stream is None:
            raise UserError(f"{path} has no audio track")
        context = stream.codec_context
        return context.rate if context.rate in _RATES_HZ else 48_000, max(1, context.channels)


def write_wav(path: Path, speech: Speech) -> None:
    """Write 16-bit mono 16 kHz; values beyond [-1, 1] are clipped.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    samples = (np.asarray(speech.waveform, np.float64).clip(-1, 1) * 32767).round().astype("<i2")

    def write(file: BinaryIO) -> None:
        with wave.open(file, "wb") as wav:
            wav.setparams((1, 2, SPEECH_HZ, len(samples), "NONE", ""))
            wav.writeframes(samples.tobytes())

    write_whole(Path(path), write)


def is_silent(speech: Speech) -> bool:
    """Whether nothing in the recording is louder than `SILENT_RMS` for 50 ms; empty speech is silent."""
    window = SPEECH_HZ // 20
    padded = np.pad(np.asarray(speech.waveform, np.float64), (0, -len(speech.waveform) % window))
    level = np.sqrt((padded.reshape(-1, window) ** 2).mean(-1))
    return not bool((level > SILENT_RMS).any())


def _on_clock(path: Path, hz: int, channels: int) -> Iterator[np.ndarray]:
    """Resampled parts [channels, samples] that follow each other without a hole from time 0 on."""
    before = 0  # samples that are still to come from before time 0 or twice
    for part in _without_holes(path, hz, channels):
        if isinstance(part, int):
            before += part
            continue
        yield part[:, before:]
        before = max(0, before - part.shape[1])


def _without_holes(path: Path, hz: int, channels: int) -> Iterator[np.ndarray | int]:
    """Resampled parts, silence where the time stamps jump ahead; a number where that many samples are too many."""
    start = first_picture_time(path)
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise UserError(f"{path} has no audio track")
        converter = _Converter(hz, channels)
        clock_s, first = 0.0, True  # where the next sample is expected
        for frame in decode(container, stream):
            if start is None:
                start = (frame.pts or 0) * (frame.time_base or Fraction(1))
            time_s = clock_s if frame.pts is None else float(frame.pts * frame.time_base - start)
            if time_s > MAX_DURATION_S:
                raise UserError(f"{path} lasts more than {MAX_DURATION_S / 3600:.0f} h; cut it first")
            late_s = time_s - clock_s
            if first or abs(late_s) > _HOLE_S:
                yield from converter.flush()
                missing = round(late_s * hz)
                if missing < 0:
                    yield -missing
                for begin in range(0, missing, hz):
                    yield np.zeros((channels, min(hz, missing - begin)), np.float32)
                clock_s, first = time_s, False
            clock_s += frame.samples / frame.sample_rate
            yield from converter(frame)
        yield from converter.flush()


class _Converter:
    """FFmpeg's resampler and mixer; survives a change of format in the middle of a stream."""

    def __init__(self, hz: int, channels: int) -> None:
        self._hz, self._layout = hz, "mono" if channels == 1 else "stereo"
        self._resampler: av.AudioResampler | None = None
        self._source: tuple[str, str, int] | None = None

    def __call__(self, frame: av.AudioFrame) -> list[np.ndarray]:
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        parts = [] if source == self._source else self.flush()
        if self._resampler is None:
            self._source = source
            # Whole numbers, because FFmpeg keeps the weights of a mix below 1 only for these (stereo would clip).
            self._resampler = av.AudioResampler(format="s32p", layout=self._layout, rate=self._hz)
        frame.pts = None  # the clock is kept by the caller
        return parts + [_as_float(part) for part in self._resampler.resample(frame)]

    def flush(self) -> list[np.ndarray]:
        """What the resampler still holds."""
        if self._resampler is None:
            return []
        parts = [_as_float(part) for part in self._resampler.resample(None)]
        self._resampler = self._source = None
        return parts


def _as_float(frame: av.AudioFrame) -> np.ndarray:
    return (frame.to_ndarray() / 2.0**31).astype(np.float32)
