"""Media made in the tests, with PyAV alone and no code of the room under test."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest


def make_video(
    path: Path,
    frames: Sequence[np.ndarray],
    times_s: Sequence[float],
    sound: np.ndarray | None = None,
    sound_hz: int = 16_000,
    sound_start_s: float = 0.0,
    codec: str = "libx264",
    audio_codec: str = "aac",
) -> Path:
    """A video whose frame k is shown at times_s[k]; `sound` [channels, samples] starts at `sound_start_s`."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        if codec == "libx264":
            video.options = {"crf": "10", "g": "10"}
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = {"libx264": "yuv444p", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        video.codec_context.time_base = Fraction(1, 90_000)
        audio = None
        if sound is not None:
            audio = container.add_stream(audio_codec, rate=sound_hz)
            audio.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
        for image, time_s in zip(frames, times_s, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None:
            block = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound, dtype=np.float32), format="fltp", layout=audio.layout.name
            )
            block.sample_rate, block.time_base = sound_hz, Fraction(1, sound_hz)
            block.pts = round(sound_start_s * sound_hz)
            container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def numbered(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames that carry their number as eight black and white bars, which no codec can blur away."""
    bars = np.arange(width) * 8 // width
    return [
        np.repeat(np.where(k >> bars & 1, 230, 25).astype(np.uint8)[None, :, None], 3, 2).repeat(height, 0)
        for k in range(count)
    ]


def number_of(frame: np.ndarray) -> int:
    middles = ((np.arange(8) + 0.5) * frame.shape[1] / 8).astype(int)
    return int(sum((frame[frame.shape[0] // 2, x, 0] > 128) << k for k, x in enumerate(middles)))


def set_rotation_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write the transform (a, b, c, d) of ISO 14496-12 into the first track header: (x, y) -> (ax + cy, bx + dy)."""
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd")
    a, b, c, d = (value * 0x10000 for value in matrix)
    start = header + 4 + 40  # version 0: flags, times, ids, duration, layer, volume before the matrix
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(content)


@pytest.fixture
def media() -> SimpleNamespace:
    """The makers above (test files do not import each other)."""
    return SimpleNamespace(
        make_video=make_video, numbered=numbered, number_of=number_of, set_rotation_matrix=set_rotation_matrix
    )


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder into which nobody may write; a superuser becomes somebody else meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "locked"
        folder.mkdir()
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        superuser = os.geteuid() == 0
        if superuser:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if superuser:
                os.seteuid(0)
            folder.chmod(0o755)
