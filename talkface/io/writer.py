"""Video out: frames and sound to one file, in constant memory, whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import av.error
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from jaxtyping import UInt8

from talkface.errors import UserError
from talkface.io.sound import sound_format, stream_sound
from talkface.io.whole import cannot_write
from talkface.types import SPEECH_HZ, Speech


class VideoWriter:
    """Writes a video frame by frame; the file appears under its name only when all went well.

    Convention:
        - the suffix chooses the kind: .mp4 and .mov H.264 with AAC, .webm VP9 with Opus; with `alpha`, .webm is VP9
          with transparency and .mov is ProRes 4444 (mp4 has no transparency that players know)
        - frame k is shown at k / fps; sound sample 0 is at the time of frame 0 and the sound ends with the last frame
        - odd sizes are padded to even by repeating the last row or column
        - colours are BT.709, as players assume of untagged video too

    Example:
        with VideoWriter(Path("talk.mp4"), (512, 512), fps=25, speech=speech) as writer:
            for frame in frames:
                writer.write(frame)

    Args:
        size_px: (height, width) of the frames.
        fps: Frames per second, > 0.
        speech: The sound: a waveform, or a media file whose own rate (up to 48 kHz) and stereo are kept.
        metadata: Texts for the container, such as `provenance.mark(...)`.
        quality: Constant rate factor of H.264 and VP9, 0 (best) to 51; 18 is hard to tell from the original.

    Raises:
        UserError: unknown suffix, no transparency in this kind of file, the folder cannot be written, the disk is full.
    """

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        fps: float,
        speech: Speech | Path | None = None,
        metadata: Mapping[str, str] | None = None,
        alpha: bool = False,
        quality: int = 18,
    ) -> None:
        self.path = Path(path)
        kind = self.path.suffix.lower()
        if kind not in (".mp4", ".mov", ".webm"):
            raise UserError(f"{self.path}: videos are written as .mp4, .mov or .webm; choose one of these endings")
        if alpha and kind == ".mp4":
            raise UserError(f"{self.path}: an mp4 has no transparency; choose the ending .webm or .mov")
        self._height, self._width = size_px
        self._format = "rgba" if alpha else "rgb24"
        self._rate = Fraction(fps).limit_denominator(1001)
        self._frames = 0
        self._sound_s = 0.0
        if not self.path.parent.is_dir():
            raise UserError(f"{self.path} cannot be written: the folder {self.path.parent} does not exist; create it")
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._sound = _blocks(speech)  # opened before the output, so that a missing sound leaves nothing behind
        try:
            self._temporary.touch()  # FFmpeg would find out only at the first frame
            container_format = {".mp4": "mp4", ".mov": "mov", ".webm": "webm"}[kind]
            options = {} if kind == ".webm" else {"movflags": "+faststart"}
            self._container: OutputContainer = av.open(
                f"file:{self._temporary.absolute()}", mode="w", format=container_format, container_options=options
            )
            self._container.metadata.update(metadata or {})
            self._video = self._add_video(kind, alpha, quality)
            self._audio: av.AudioStream | None = None
            if self._sound is not None:
                hz = 48_000 if kind == ".webm" else self._sound.hz
                codec = "libopus" if kind == ".webm" else "aac"
                self._audio = cast(av.AudioStream, self._container.add_stream(codec, rate=hz))
                self._audio.layout = "mono" if self._sound.channels == 1 else "stereo"
                self._audio.bit_rate = 64_000 * self._sound.channels + (32_000 if self._sound.hz > 24_000 else 0)
        except OSError as error:
            self._discard()
            raise UserError(cannot_write(self.path, error)) from error

    def _add_video(self, kind: str, alpha: bool, quality: int) -> av.VideoStream:
        height, width = self._height + self._height % 2, self._width + self._width % 2
        if kind == ".webm":
            # deadline good at speed 4 is the fastest that still looks right at this size.
            options = {"crf": str(quality + 6), "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
            codec, pixels = "libvpx-vp9", "yuva420p" if alpha else "yuv420p"
        elif alpha:
            codec, pixels, options = "prores_ks", "yuva444p10le", {"profile": "4"}
        else:
            codec, pixels, options = "libx264", "yuv420p", {"crf": str(quality), "preset": "medium"}
        stream = cast(av.VideoStream, self._container.add_stream(codec, rate=self._rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        context = stream.codec_context
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.ITU709
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        return stream

    def write(self, frame: UInt8[np.ndarray, "height width channels"]) -> None:
        """Append one RGB frame, RGBA with `alpha`, of the writer's size.

        Raises:
            UserError: the disk is full.
        """
        expected = (self._height, self._width, len(self._format.removesuffix("24")))
        if frame.shape != expected:
            raise ValueError(f"frame of shape {frame.shape}, expected {expected}")
        if self._height % 2 or self._width % 2:
            frame = np.pad(frame, ((0, self._height % 2), (0, self._width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=self._format).reformat(
            format=self._video.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = self._frames, 1 / self._rate
        try:
            self._container.mux(self._video.encode(picture))
            self._frames += 1
            self._write_sound()
        except OSError as error:
            raise UserError(cannot_write(self.path, error)) from error

    def _write_sound(self) -> None:
        """Keep the sound level with the pictures, so that neither waits in memory for the other."""
        if self._sound is None or self._audio is None:
            return
        due = round(self._frames / self._rate * self._sound.hz)
        block = self._sound.take(due - self._sound.taken)
        if block.shape[1]:
            sound = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._audio.layout.name)
            sound.sample_rate, sound.time_base = self._sound.hz, Fraction(1, self._sound.hz)
            sound.pts = self._sound.taken - block.shape[1]
            self._container.mux(self._audio.encode(sound))

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or self._frames == 0:
            self._discard()
            if kind is None:
                raise UserError(f"{self.path} was not written: there is no frame to write")
            return
        try:
            self._container.mux(self._video.encode(None))
            if self._audio is not None:
                self._container.mux(self._audio.encode(None))
            self._container.close()
            self._temporary.replace(self.path)
        except OSError as problem:
            raise UserError(cannot_write(self.path, problem)) from problem
        finally:
            self._discard()

    def _discard(self) -> None:
        with contextlib.suppress(AttributeError, OSError, av.error.FFmpegError):
            self._container.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()


class _Sound:
    """A stream of blocks [channels, samples] from which any number of samples can be taken."""

    def __init__(self, hz: int, channels: int, blocks: Iterator[np.ndarray]) -> None:
        self.hz, self.channels = hz, channels
        self.taken = 0
        self._blocks = blocks
        self._rest = np.zeros((channels, 0), np.float32)

    def take(self, samples: int) -> np.ndarray:
        """The next samples, fewer at the end of the sound."""
        while self._rest.shape[1] < samples:
            block = next(self._blocks, None)
            if block is None:
                break
            self._rest = np.concatenate([self._rest, block], axis=1)
        block, self._rest = self._rest[:, :samples], self._rest[:, samples:]
        self.taken += block.shape[1]
        return np.ascontiguousarray(block)


def _blocks(speech: Speech | Path | None) -> _Sound | None:
    if speech is None:
        return None
    if isinstance(speech, Speech):
        waveform = np.asarray(speech.waveform, np.float32).clip(-1, 1)
        return _Sound(SPEECH_HZ, 1, iter([waveform[None]]))
    hz, channels = sound_format(speech)
    channels = min(channels, 2)
    return _Sound(hz, channels, stream_sound(speech, hz, channels, block_s=1.0))
