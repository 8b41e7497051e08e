"""Frames against files made by PyAV alone with known times, colours and turns."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.io.video import MAX_SIDE_PX, probe, read_frames

TURNS = {  # ISO 14496-12 matrix (a, b, c, d) -> clockwise turn when shown
    (0, 1, -1, 0): 90,
    (-1, 0, 0, -1): 180,
    (0, -1, 1, 0): 270,
}


def expected_numbers(times_s: np.ndarray, end_s: float, fps: float = 25.0) -> list[int]:
    """Slow and plain: the nearest source frame for each output time; ties may go either way."""
    count = max(1, int(np.ceil((end_s - times_s[0]) * fps - 0.05)))
    return [int(np.abs(times_s - times_s[0] - k / fps).argmin()) for k in range(count)]


@pytest.mark.parametrize("fps", [5, 24, 25, 30, 60, 240])
def test_constant_rates_are_resampled_to_the_nearest_frame(tmp_path, media, fps):
    count = min(100, 4 * fps)
    times = np.arange(count) / fps
    path = media.make_video(tmp_path / "clip.mp4", media.numbered(count), times)
    got = [media.number_of(frame) for frame in read_frames(path)]
    want = expected_numbers(times, count / fps)
    assert len(got) == len(want)
    for k, (number, other) in enumerate(zip(got, want, strict=True)):
        assert abs(abs(times[number] - k / 25) - abs(times[other] - k / 25)) < 1e-4, k
    info = probe(path)
    assert info.fps == pytest.approx(fps, rel=1e-3)
    assert not info.variable_rate
    assert info.duration_s == pytest.approx(count / fps, abs=0.002)
    assert info.frames == count


def test_a_25_fps_video_is_passed_through_frame_by_frame(tmp_path, media):
    path = media.make_video(tmp_path / "clip.mp4", media.numbered(60), np.arange(60) / 25)
    assert [media.number_of(frame) for frame in read_frames(path)] == list(range(60))


def test_a_variable_rate_follows_the_time_stamps(tmp_path, media):
    gaps = np.random.default_rng(0).choice([0.011, 0.04, 0.09, 0.35], 60)
    times = 1.5 + np.concatenate([[0], np.cumsum(gaps[:-1])])
    path = media.make_video(tmp_path / "clip.mkv", media.numbered(60), times)
    got = [media.number_of(frame) for frame in read_frames(path)]
    for k, number in enumerate(got):
        nearest = np.abs(times - times[0] - k / 25).min()
        assert abs(times[number] - times[0] - k / 25) <= nearest + 0.0011, k  # Matroska rounds to 1 ms
    assert probe(path).variable_rate
    assert len(got) == pytest.approx((times[-1] - times[0]) * 25, abs=4)


def test_a_part_of_a_clip(tmp_path, media):
    path = media.make_video(tmp_path / "clip.mp4", media.numbered(100), np.arange(100) / 25)
    got = [media.number_of(frame) for frame in read_frames(path, start_s=1.0, end_s=2.0)]
    assert got == list(range(25, 50))
    assert [media.number_of(frame) for frame in read_frames(path, start_s=3.6)] == list(range(90, 100))
    with pytest.raises(UserError, match="nothing is left"):
        list(read_frames(path, start_s=9.0))


@pytest.mark.parametrize(("matrix", "clockwise_deg"), TURNS.items())
def test_the_rotation_flag_is_applied(tmp_path, media, matrix, clockwise_deg):
    stored = np.full((48, 64, 3), 30, np.uint8)
    stored[:16, :16] = (230, 30, 30)  # red in the stored picture's top left
    path = media.make_video(tmp_path / "clip.mp4", [stored] * 5, np.arange(5) / 25)
    media.set_rotation_matrix(path, matrix)
    shown = np.rot90(stored, -clockwise_deg // 90)
    frame = next(iter(read_frames(path)))
    assert frame.shape == shown.shape
    assert np.abs(frame.astype(int) - shown).mean() < 4
    info = probe(path)
    assert info.rotation_deg == clockwise_deg
    assert info.size_px == shown.shape[:2]


def test_odd_sizes_stay_odd_and_one_frame_is_one_frame(tmp_path, media):
    path = media.make_video(tmp_path / "clip.mkv", [np.full((47, 63, 3), 90, np.uint8)], [0.0], codec="ffv1")
    frames = list(read_frames(path))
    assert [frame.shape for frame in frames] == [(47, 63, 3)]
    assert probe(path).frames == 1


def test_large_frames_are_shrunk_on_request(tmp_path, media):
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[:, 320:] = 200
    path = media.make_video(tmp_path / "clip.mp4", [picture] * 3, np.arange(3) / 25)
    frame = next(iter(read_frames(path, max_side_px=160)))
    assert frame.shape == (120, 160, 3)
    assert frame[:, :70].max() < 12
    assert frame[:, 90:].min() > 190


@pytest.mark.parametrize(("size", "refused"), [((4320, 7680), True), ((2160, 3840), False)])
def test_8k_is_refused_with_a_way_out_and_4k_is_read(tmp_path, media, size, refused):
    path = media.make_video(tmp_path / "big.mkv", [np.zeros((*size, 3), np.uint8)], [0.0], codec="mjpeg")
    assert max(size) <= MAX_SIDE_PX or refused
    if refused:
        for read in (probe, lambda p: list(read_frames(p))):
            with pytest.raises(UserError, match=r"7680x4320.*shrink it first.*1920x1080"):
                read(path)
    else:
        assert next(iter(read_frames(path))).shape == (2160, 3840, 3)


def test_sound_is_described(tmp_path, media):
    sound = 0.1 * np.ones((2, 16_000))
    path = media.make_video(
        tmp_path / "clip.mkv", media.numbered(25), 0.2 + np.arange(25) / 25, sound, audio_codec="flac"
    )
    info = probe(path)
    assert (info.has_audio, info.channels) == (True, 2)
    assert info.audio_offset_s == pytest.approx(-0.2, abs=0.002)
    assert not probe(media.make_video(tmp_path / "mute.mp4", media.numbered(5), np.arange(5) / 25)).has_audio


@pytest.mark.parametrize("name", ["-i.mp4", "two words.mp4", "ünï 日本.mp4", "100%d.mp4", "a:b.mp4"])
def test_any_name_is_read(tmp_path, media, name, monkeypatch):
    (media.make_video(tmp_path / "clip.mp4", media.numbered(5), np.arange(5) / 25)).rename(tmp_path / name)
    assert len(list(read_frames(tmp_path / name))) == 5
    monkeypatch.chdir(tmp_path)
    assert probe(type(tmp_path)(name)).frames == 5


def test_a_truncated_recording_gives_what_is_there(tmp_path, media):
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), dtype=np.uint8)
    path = media.make_video(tmp_path / "clip.mkv", list(noise), np.arange(60) / 25)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert 10 < len(list(read_frames(path))) < 50


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_text("not a video at all " * 100), "not a video"),
        (lambda p: p.write_bytes(bytes(range(256)) * 40), "not a video"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: p.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"), "not a video"),
        (lambda p: p.write_text("ffconcat version 1.0\nfile '/etc/hostname'\n"), "not a video"),
    ],
)
def test_what_is_no_video_is_named(tmp_path, make, says):
    path = tmp_path / "clip.mp4"
    make(path)
    for read in (probe, lambda p: list(read_frames(p))):
        with pytest.raises(UserError, match=says):
            read(path)


def test_sound_alone_is_no_video(tmp_path):
    import wave

    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, 16_000, 0, "NONE", ""))
        wav.writeframes(bytes(32_000))
    with pytest.raises(UserError, match="no video track"):
        probe(path)


def test_a_still_picture_is_no_video(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    with pytest.raises(UserError, match="not a video"):
        probe(tmp_path / "photo.jpg")


def test_a_clip_with_a_late_first_frame_and_an_unreadable_one(shared_data):
    info = probe(shared_data / "speakers/cnn2/clip.mp4")
    assert (info.frames, info.size_px, info.channels) == (1779, (512, 512), 2)
    assert info.fps == pytest.approx(25)
    half = probe(shared_data / "multi/misc/latentsync_demo3.mp4")
    assert half.fps == pytest.approx(30, abs=0.1)
    part = list(read_frames(half.path, end_s=1.0))
    assert len(part) == 25
    assert part[0].shape == (1920, 1080, 3)
