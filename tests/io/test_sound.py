"""Sound against sine waves and clicks of known time, pitch and level, in many containers."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.io.sound import is_silent, read_speech, stream_speech, write_wav
from talkface.types import SPEECH_HZ, Speech


def tone(hz: int, seconds: float, pitch_hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * hz)) / hz)


def click(hz: int, seconds: float, at_s: float) -> np.ndarray:
    sound = np.zeros(round(seconds * hz))
    start = round(at_s * hz)
    sound[start : start + hz // 100] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(hz // 100) / hz)
    return sound


def first_loud_s(waveform: np.ndarray) -> float:
    return float(np.flatnonzero(np.abs(waveform) > 0.25)[0]) / SPEECH_HZ


def pcm_file(path, channels: np.ndarray, hz: int):
    with wave.open(str(path), "wb") as wav:
        wav.setparams((len(channels), 2, hz, 0, "NONE", ""))
        wav.writeframes((channels.T * 32767).round().astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("hz", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_become_mono_16_khz(tmp_path, hz, channels):
    path = pcm_file(tmp_path / "a.wav", np.repeat(tone(hz, 2.0)[None], channels, 0), hz)
    waveform = read_speech(path).waveform
    assert waveform.dtype == np.float32
    assert len(waveform) == pytest.approx(2 * SPEECH_HZ, abs=2)
    spectrum = np.abs(np.fft.rfft(waveform[:SPEECH_HZ] * np.hanning(SPEECH_HZ)))
    assert spectrum.argmax() == 440
    middle = waveform[4000:28000]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    want = tone(SPEECH_HZ, 2.0)[4000:28000]
    assert np.abs(middle - want).max() < 0.02


def test_pcm_at_16_khz_is_exact(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32767, 40_000)
    path = pcm_file(tmp_path / "a.wav", samples[None] / 32767, SPEECH_HZ)
    assert np.abs(read_speech(path).waveform - samples / 32768).max() < 2 / 32768


@pytest.mark.parametrize(
    ("suffix", "codec", "hz"),
    [("mp4", "aac", 48_000), ("mp4", "aac", 16_000), ("mkv", "flac", 44_100), ("webm", "libopus", 48_000),
     ("mov", "pcm_s16le", 8_000), ("mkv", "aac", 44_100)],
)  # fmt: skip
@pytest.mark.parametrize("offset_s", [0.0, 0.3, -0.3])
def test_sound_is_on_the_clock_of_the_first_picture(tmp_path, media, suffix, codec, hz, offset_s):
    """A click 1 s after the first picture, in files whose sound starts with it, later or earlier."""
    picture_start_s, sound_start_s = max(0.0, -offset_s), max(0.0, offset_s)
    sound = click(hz, 2.0, 1.0 + picture_start_s - sound_start_s)[None]
    path = media.make_video(
        tmp_path / f"a.{suffix}", media.numbered(50), picture_start_s + np.arange(50) / 25, sound, hz, sound_start_s,
        codec="libvpx-vp9" if suffix == "webm" else "libx264", audio_codec=codec,
    )  # fmt: skip
    assert first_loud_s(read_speech(path).waveform) == pytest.approx(1.0, abs=0.004)


def test_blocks_are_the_whole(tmp_path, media):
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 44_100 * 5))
    path = media.make_video(tmp_path / "a.mkv", media.numbered(5), np.arange(5) / 25, noise, 44_100, audio_codec="flac")
    blocks = list(stream_speech(path, block_s=0.7))
    assert {len(block) for block in blocks[:-1]} == {round(0.7 * SPEECH_HZ)}
    assert np.array_equal(np.concatenate(blocks), read_speech(path).waveform)


def test_a_hole_in_a_recording_stays_a_hole(tmp_path):
    """Two beeps whose time stamps leave 1 s between them, as a recorder that dropped packets writes."""
    from fractions import Fraction

    import av

    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=SPEECH_HZ)
        stream.layout = "mono"
        for start_s in (0.0, 1.5):
            beep = (tone(SPEECH_HZ, 0.576, level=0.9)[None] * 32767).astype(np.int16)
            for k in range(0, beep.shape[1], 4608):  # the encoder's own block, so that none spans the hole
                frame = av.AudioFrame.from_ndarray(beep[:, k : k + 4608], format="s16", layout="mono")
                frame.sample_rate, frame.time_base = SPEECH_HZ, Fraction(1, SPEECH_HZ)
                frame.pts = round(start_s * SPEECH_HZ) + k
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    waveform = np.abs(read_speech(path).waveform)
    loud_ms = np.flatnonzero(np.pad(waveform, (0, -len(waveform) % 16)).reshape(-1, 16).max(-1) > 0.5)
    gap = int(np.diff(loud_ms).argmax())
    assert loud_ms[gap] == pytest.approx(575, abs=3)
    assert loud_ms[gap + 1] == pytest.approx(1500, abs=3)


def test_a_song_with_a_cover_picture_starts_at_its_first_sample(tmp_path):
    pytest.importorskip("soundfile", reason="an independent mp3 writer")
    import soundfile

    path = tmp_path / "a.mp3"
    soundfile.write(path, click(44_100, 2.0, 1.0), 44_100)
    assert first_loud_s(read_speech(path).waveform) == pytest.approx(1.0, abs=0.03)


def test_written_sound_comes_back(tmp_path):
    waveform = np.clip(np.random.default_rng(0).normal(0, 0.4, 30_000), -1.2, 1.2).astype(np.float32)
    write_wav(tmp_path / "a b.wav", Speech(waveform))
    with wave.open(str(tmp_path / "a b.wav")) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getnframes()) == (SPEECH_HZ, 1, 30_000)
        raw = np.frombuffer(wav.readframes(30_000), "<i2") / 32767
    assert np.abs(raw - waveform.clip(-1, 1)).max() < 1 / 32767
    assert np.abs(read_speech(tmp_path / "a b.wav").waveform - waveform.clip(-1, 1)).max() < 1e-4


def test_silence_is_told_from_speech():
    rng = np.random.default_rng(0)
    assert is_silent(Speech(np.zeros(50_000, np.float32)))
    assert is_silent(Speech(np.zeros(0, np.float32)))
    assert is_silent(Speech((1e-4 * rng.normal(size=50_000)).astype(np.float32)))
    whisper = np.zeros(50_000, np.float32)
    whisper[20_000:22_000] = 0.01 * rng.normal(size=2000)
    assert not is_silent(Speech(whisper))


def test_faults_are_named(tmp_path, media):
    with pytest.raises(UserError, match="does not exist"):
        read_speech(tmp_path / "no.wav")
    mute = media.make_video(tmp_path / "mute.mp4", media.numbered(5), np.arange(5) / 25)
    with pytest.raises(UserError, match="no audio track"):
        read_speech(mute)
    with pytest.raises(UserError, match="no sound"):
        read_speech(pcm_file(tmp_path / "empty.wav", np.zeros((1, 0)), 16_000))
    (tmp_path / "text.wav").write_text("hello " * 100)
    with pytest.raises(UserError, match="not a video or sound file"):
        read_speech(tmp_path / "text.wav")


def test_a_read_only_folder_is_named(read_only_folder):
    with pytest.raises(UserError, match="cannot be written: permission denied"):
        write_wav(read_only_folder / "a.wav", Speech(np.zeros(10, np.float32)))


def test_against_an_independent_reader(shared_data):
    """Durations and loudness of real speech against libsndfile, where it is installed."""
    soundfile = pytest.importorskip("soundfile")
    paths = sorted((shared_data / "audio").glob("*.wav"))[:6]
    assert paths
    for path in paths:
        theirs, hz = soundfile.read(path, always_2d=True)
        ours = read_speech(path).waveform
        assert len(ours) / SPEECH_HZ == pytest.approx(len(theirs) / hz, abs=0.001), path.name
        assert np.sqrt((ours**2).mean()) == pytest.approx(np.sqrt((theirs.mean(1) ** 2).mean()), rel=0.05), path.name
