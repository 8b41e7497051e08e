"""Video in: what a file holds, and its frames at a constant rate on the clock of the first frame.

`VideoWriter`, `read_image` and `write_image` live in `writer.py` and `image.py` and are offered from here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from talkface.errors import UserError
from talkface.io.image import read_image, write_image
from talkface.io.media import audio_stream, decode, open_media, video_stream
from talkface.io.writer import VideoWriter
from talkface.types import FPS

MAX_SIDE_PX = 4096
"""Longest side that is read (4K and cinema 4K pass). Beyond, one frame and its masks are hundreds of megabytes, for a
face that no method renders larger than 512 px (our choice)."""
MAX_DURATION_S = 4 * 3600.0
"""Longest video that is read (our choice: a guard against files whose clock lies)."""
_RATE_SPREAD = 0.1
"""Frame intervals that differ by more than this fraction of their median make a variable rate."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds; sizes are as shown, after its rotation flag and pixel shape."""

    path: Path
    size_px: tuple[int, int]
    """(height, width)."""
    frames: int
    fps: float
    """Mean over the file."""
    variable_rate: bool
    duration_s: float
    rotation_deg: int
    """Clockwise turn that the file asks for: 0, 90, 180 or 270."""
    has_audio: bool
    channels: int
    audio_offset_s: float
    """How much later than the first video frame the sound starts; negative where the sound starts first."""


def probe(path: Path) -> VideoInfo:
    """What a video holds, from its packets and its first frame.

    Raises:
        UserError: no such file, not a video, no video track, no frame in it, or beyond the limits above.
    """
    path = Path(path)
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise UserError(f"{path} has no video track")
        _check_size(path, stream.codec_context.height, stream.codec_context.width)
        packets = (p for p in container.demux(stream) if p.size and not p.is_discard)
        times = np.array(
            sorted(float((p.pts if p.pts is not None else p.dts or 0) * p.time_base) for p in packets), float
        )
        rate = float(stream.average_rate or stream.guessed_rate or FPS)
    if not len(times):
        raise UserError(f"{path} holds no video frame")
    interval = np.diff(times)
    interval = interval[interval > 0]
    typical = float(np.median(interval)) if len(interval) else 1 / rate
    variable = bool(len(interval) and np.ptp(np.percentile(interval, (1, 99))) > _RATE_SPREAD * typical + 0.002)
    mean_fps = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else rate
    duration_s = float(times[-1] - times[0]) + typical
    if duration_s > MAX_DURATION_S:
        raise UserError(f"{path} lasts {duration_s / 3600:.1f} h; cut it to at most {MAX_DURATION_S / 3600:.0f} h")

    with open_media(path) as container:
        stream = video_stream(container)
        first = None if stream is None else next(decode(container, stream), None)
        if stream is None or first is None:
            raise UserError(f"{path} holds no video frame that can be decoded")
        upright = _Upright(path, first, stream.sample_aspect_ratio, None)
        start_s = float(_time(first) or 0)
    channels, offset_s = _sound(path, start_s)
    return VideoInfo(
        path=path,
        size_px=upright.size_px,
        frames=len(times),
        fps=float(mean_fps),
        variable_rate=variable,
        duration_s=duration_s,
        rotation_deg=upright.clockwise_deg,
        has_audio=channels > 0,
        channels=channels,
        audio_offset_s=offset_s,
    )


def read_frames(
    path: Path, fps: float = FPS, start_s: float = 0.0, end_s: float | None = None, max_side_px: int | None = None
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Upright RGB frames at a constant rate, from a source of any rate, constant or variable.

    Convention:
        - time 0 is the first frame's; output frame k is the source frame whose time is nearest to start_s + k / fps
        - there is an output frame for every k / fps at which the source still shows a picture (its last frame is taken
          to last as long as the others do on average), and at least one
        - pixels that are not square and rotation flags are undone; odd sizes stay odd

    Args:
        fps: Output frames per second, > 0.
        start_s, end_s: Part of the clip, seconds from the first frame; `end_s` None reads to the end.
        max_side_px: Frames whose longer side is above this are shrunk to it.

    Raises:
        UserError: as `probe`, or nothing lies between `start_s` and `end_s`.
    """
    path = Path(path)
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise UserError(f"{path} has no video track")
        _check_size(path, stream.codec_context.height, stream.codec_context.width)
        source_interval_s = 1 / float(stream.average_rate or stream.guessed_rate or FPS)
        upright: _Upright | None = None
        start, previous, previous_s, made = 0.0, None, 0.0, 0
        for number, frame in enumerate(decode(container, stream)):
            time = _time(frame)
            if upright is None:
                upright = _Upright(path, frame, stream.sample_aspect_ratio, max_side_px)
                start = float(time or 0)
            now_s = number * source_interval_s if time is None else float(time) - start
            if now_s > MAX_DURATION_S:
                raise UserError(f"{path} lasts more than {MAX_DURATION_S / 3600:.0f} h; cut it first")
            if previous is not None:
                if now_s <= previous_s:
                    continue  # a repeated or backward time stamp
                middle_s = (previous_s + now_s) / 2
                due = _frames_before(middle_s if end_s is None else min(middle_s, end_s), start_s, fps)
                yield from _repeat(upright, previous, due - made)
                made = max(made, due)
                if end_s is not None and previous_s >= end_s:
                    return
                source_interval_s = now_s / number
            previous, previous_s = frame, now_s
        if previous is None or upright is None:
            raise UserError(f"{path} holds no video frame that can be decoded")
        stop_s = previous_s + source_interval_s
        due = _frames_before(min(stop_s, stop_s if end_s is None else end_s), start_s, fps, slack_frames=0.05)
        if made == 0:
            if start_s >= stop_s:
                raise UserError(f"{path} lasts {stop_s:.2f} s; nothing is left from {start_s:g} s on")
            due = max(due, 1)
        yield from _repeat(upright, previous, due - made)


class _Upright:
    """Turns decoded frames into upright RGB arrays of one size: that of the first frame."""

    def __init__(self, path: Path, first: av.VideoFrame, pixel_shape: Fraction | None, max_side_px: int | None) -> None:
        height, width = first.height, first.width
        _check_size(path, height, width)
        if pixel_shape and pixel_shape > 0:
            width = max(1, round(width * pixel_shape))
        shrink = min(1.0, (max_side_px or MAX_SIDE_PX) / max(height, width))
        self._height, self._width = max(1, round(height * shrink)), max(1, round(width * shrink))
        self._filter = "AREA" if shrink < 1 else "BILINEAR"
        self._quarters = round(first.rotation / 90) % 4
        turned = self._quarters % 2 == 1
        self.size_px = (self._width, self._height) if turned else (self._height, self._width)
        self.clockwise_deg = (-90 * self._quarters) % 360

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """[height, width, 3] uint8."""
        image = frame.to_ndarray(format="rgb24", width=self._width, height=self._height, interpolation=self._filter)
        return np.ascontiguousarray(np.rot90(image, self._quarters)) if self._quarters else image


def _repeat(upright: _Upright, frame: av.VideoFrame, times: int) -> Iterator[np.ndarray]:
    if times > 0:
        image = upright(frame)
        for _ in range(times):
            yield image.copy() if times > 1 else image


def _frames_before(time_s: float, start_s: float, fps: float, slack_frames: float = 1e-6) -> int:
    """How many output frames k have start_s + k / fps < time_s; the slack is for rounded time stamps."""
    return max(0, int(np.ceil((time_s - start_s) * fps - slack_frames)))


def _time(frame: av.VideoFrame | av.AudioFrame) -> Fraction | None:
    return None if frame.pts is None or frame.time_base is None else frame.pts * Fraction(frame.time_base)


def _sound(path: Path, picture_start_s: float) -> tuple[int, float]:
    """Channels of the sound track (0 without one) and its start after the first picture, seconds."""
    with open_media(path) as container:
        stream = audio_stream(container)
        first = None if stream is None else next(decode(container, stream), None)
        if stream is None or first is None:
            return 0, 0.0
        return first.layout.nb_channels, float(_time(first) or 0) - picture_start_s


def _check_size(path: Path, height: int, width: int) -> None:
    if max(height, width) > MAX_SIDE_PX:
        raise UserError(
            f"{path} is {width}x{height}; frames up to {MAX_SIDE_PX} px a side are read, so shrink it first, "
            f"for example to {round(1920 * width / max(height, width))}x{round(1920 * height / max(height, width))}"
        )


__all__ = ["MAX_SIDE_PX", "VideoInfo", "VideoWriter", "probe", "read_frames", "read_image", "write_image"]
