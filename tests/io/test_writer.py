"""Written videos, read back by PyAV alone: times, colours, transparency, sound; nothing is left after a fault."""

from __future__ import annotations

import subprocess
import sys

import av
import numpy as np
import pytest

from talkface.errors import UserError
from talkface.io.sound import read_speech
from talkface.io.video import VideoWriter, read_frames
from talkface.types import SPEECH_HZ, Speech

SIZE = (48, 64)
COLOURS = [(200, 30, 40), (30, 180, 60), (40, 60, 220), (235, 235, 235), (128, 128, 128)]


def bars(height: int = 48, width: int = 64) -> np.ndarray:
    columns = np.array(COLOURS, np.uint8)[np.arange(width) * len(COLOURS) // width]
    return np.repeat(columns[None], height, 0)


def onsets_s(waveform: np.ndarray, hz: int, level: float) -> list[float]:
    """When sound begins after at least 50 ms of quiet."""
    loud = np.flatnonzero(np.abs(waveform) > level)
    return [float(i) / hz for k, i in enumerate(loud) if k == 0 or i - loud[k - 1] > hz // 20]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov"])
def test_click_and_flash_stay_together_over_a_minute(tmp_path, suffix):
    """Decoded with PyAV alone; a frame is 40 ms, the sound must be within 5 ms of its flash from first to last."""
    seconds, events = 64, [0, 2, 333, 801, 1500, 1599]
    waveform = np.zeros(seconds * SPEECH_HZ, np.float32)
    for k in events:
        waveform[k * 640 : k * 640 + 100] = 0.8 * np.sin(np.arange(100) * 0.8)
    path = tmp_path / f"clap{suffix}"
    with VideoWriter(path, SIZE, 25.0, Speech(waveform)) as writer:
        for k in range(seconds * 25):
            writer.write(np.full((*SIZE, 3), 230 if k in events else 20, np.uint8))
    with av.open(str(path)) as container:
        flashes = [float(f.time) for f in container.decode(video=0) if f.to_ndarray(format="gray").mean() > 120]
    with av.open(str(path)) as container:
        clicks = []
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().reshape(frame.layout.nb_channels, -1)[0]
            clicks += [frame.time + i / frame.sample_rate for i in np.flatnonzero(np.abs(samples) > 0.3)]
    clicks = [t for k, t in enumerate(clicks) if k == 0 or t - clicks[k - 1] > 0.035]
    assert flashes == pytest.approx([k / 25 for k in events], abs=1e-3)
    assert clicks == pytest.approx(flashes, abs=0.005)
    # and through our own reader
    read = onsets_s(read_speech(path).waveform, SPEECH_HZ, 0.3)
    assert read == pytest.approx([k / 25 for k in events], abs=0.005)
    assert [k for k, frame in enumerate(read_frames(path)) if frame.mean() > 120] == events


def test_the_sound_of_a_file_keeps_its_rate_and_stereo(tmp_path, media):
    hz = 44_100
    time = np.arange(2 * hz) / hz
    stereo = np.stack([0.5 * np.sin(2 * np.pi * 9_000 * time), 0.5 * np.sin(2 * np.pi * 500 * time)])
    source = media.make_video(
        tmp_path / "in.mkv", media.numbered(50), np.arange(50) / 25, stereo, hz, audio_codec="flac"
    )
    with VideoWriter(tmp_path / "out.mp4", SIZE, 25.0, source) as writer:
        for frame in media.numbered(50):
            writer.write(frame)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (hz, 2)
        sound = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    peaks = [np.abs(np.fft.rfft(channel[:hz])).argmax() for channel in sound]
    assert peaks == [9_000, 500]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_colours_are_bt709_and_come_back(tmp_path, suffix):
    path = tmp_path / f"bars{suffix}"
    with VideoWriter(path, SIZE, 25.0, quality=8) as writer:
        for _ in range(5):
            writer.write(bars())
    frame = next(iter(read_frames(path)))
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        assert int(decoded.colorspace) == 1
        luma = np.frombuffer(decoded.planes[0], np.uint8).reshape(-1, decoded.planes[0].line_size)[:48, :64]
    for k, colour in enumerate(COLOURS):
        middle = round((k + 0.5) * 64 / len(COLOURS))
        assert frame[24, middle] == pytest.approx(np.array(colour), abs=4)
        # BT.709 limited range, written out: 16 + 219 Y'
        want = 16 + 219 / 255 * (0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2])
        assert luma[24, middle] == pytest.approx(want, abs=2.5)


@pytest.mark.parametrize(("suffix", "decoder"), [(".webm", "libvpx-vp9"), (".mov", "prores")])
def test_transparency_is_kept(tmp_path, suffix, decoder):
    picture = np.dstack([bars(), np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None], 48, 0)])
    path = tmp_path / f"see_through{suffix}"
    with VideoWriter(path, SIZE, 25.0, Speech(np.zeros(3200, np.float32)), alpha=True, quality=8) as writer:
        for _ in range(5):
            writer.write(picture)
    context = av.CodecContext.create(decoder, "r")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if decoder == "prores":
            context = stream.codec_context
        for packet in container.demux(stream):
            if frames := context.decode(packet):
                rgba = frames[0].to_ndarray(format="rgba")
                break
    assert np.abs(rgba[24, :, 3].astype(int) - picture[24, :, 3]).max() <= 6


def test_odd_sizes_are_padded_to_even(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4", (47, 63), 25.0) as writer:
        writer.write(bars(47, 63))
    frame = next(iter(read_frames(tmp_path / "odd.mp4")))
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame[:47, :63].astype(int) - bars(47, 63)).mean() < 8


def test_a_fault_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"the old one")
    with pytest.raises(ZeroDivisionError), VideoWriter(path, SIZE, 25.0) as writer:
        writer.write(bars())
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["talk.mp4"]
    assert path.read_bytes() == b"the old one"
    with pytest.raises(UserError, match="no frame"), VideoWriter(path, SIZE, 25.0):
        pass
    assert path.read_bytes() == b"the old one"
    assert [p.name for p in tmp_path.iterdir()] == ["talk.mp4"]


def test_a_read_only_folder_is_named(read_only_folder):
    with pytest.raises(UserError, match="cannot be written: permission denied"):
        VideoWriter(read_only_folder / "talk.mp4", SIZE, 25.0)
    assert list(read_only_folder.iterdir()) == []


def test_unknown_kinds_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        VideoWriter(tmp_path / "nowhere" / "talk.mp4", SIZE, 25.0)
    with pytest.raises(UserError, match=r"\.mp4, \.mov or \.webm"):
        VideoWriter(tmp_path / "talk.avi", SIZE, 25.0)
    with pytest.raises(UserError, match="no transparency"):
        VideoWriter(tmp_path / "talk.mp4", SIZE, 25.0, alpha=True)
    with pytest.raises(UserError, match="does not exist"):
        VideoWriter(tmp_path / "talk.mp4", SIZE, 25.0, tmp_path / "no.wav")
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from talkface.errors import UserError
from talkface.io.video import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
noise = np.random.default_rng(0)
try:
    with VideoWriter(Path(sys.argv[1]), (48, 64), 25.0) as writer:
        for _ in range(60):
            writer.write(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8))
except UserError as error:
    sys.exit(f"UserError: {error}")
"""


@pytest.mark.parametrize("room_bytes", [0, 30_000, 280_000])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, room_bytes):
    """A limit on file size stands for the full disk: writes fail in the middle or at the very end."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "-full disk.mp4"), str(room_bytes)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode == 0:
        assert (tmp_path / "-full disk.mp4").stat().st_size <= room_bytes
    else:
        assert "UserError: " in done.stderr
        assert "cannot be written" in done.stderr
        assert list(tmp_path.iterdir()) == []
    assert (done.returncode == 0) == (room_bytes == 280_000)
