"""Preprocessing: bad input is named, a killed run goes on, and real clips come out whole.

Most tests let plain stand-ins take the place of detector, fit and masks (their own tests hold those), so that what is
tested here is the story: which files, when, from what, and what happens when it stops in the middle.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.geometry import rotation_from_angles
from talkface.io.sound import read_speech
from talkface.io.store import PersonFolder, PersonWriter
from talkface.io.video import VideoWriter, read_frames
from talkface.pipeline import preprocess as story
from talkface.pipeline.fitness import image_noise, overall, verdicts
from talkface.pipeline.preprocess import preprocess
from talkface.pipeline.recordings import joined_speech
from talkface.types import Camera, Pose, Speech, Track

SIZE = (48, 64)


def chirp(seconds: float) -> Speech:
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    return Speech((0.3 * np.sin(2 * np.pi * (200 + 60 * time_s) * time_s)).astype(np.float32))


def film(path: Path, frames: int = 60, speech: Speech | None = None, size: tuple[int, int] = SIZE, fps: float = 25.0):
    rng = np.random.default_rng(frames)
    base = rng.integers(60, 200, (*size, 3), dtype=np.uint8)
    with VideoWriter(path, size, fps, chirp(frames / fps) if speech is None else speech, quality=10) as writer:
        for k in range(frames):
            writer.write(np.roll(base, k, axis=1))
    return path


def drawn_track(frames: int, size_px: tuple[int, int], bad: dict[int, str] | None = None) -> Track:
    """A head that nods, a mouth that moves and two blinks, as a track would tell of them."""
    reason = tuple((bad or {}).get(k, "") for k in range(frames))
    wave = np.sin(np.arange(frames) * 0.4)
    angles = 0.1 * wave
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 3, (68, 3))
    shape[36], shape[45] = (-4.5, 3, 2), (4.5, 3, 2)
    landmarks = np.repeat(shape[None], frames, 0)
    landmarks[:, 60:68] += wave[:, None, None] * np.where(np.arange(8) < 4, 0.5, -0.5)[None, :, None]
    flat = landmarks[..., :2] * 2 + np.array(size_px)[::-1] / 2
    points = np.zeros((frames, 478, 3))
    points[:, :68, :2] = flat
    points[:, 10], points[:, 152] = (size_px[1] / 2, 5, 0), (size_px[1] / 2, size_px[0] - 5, 0)
    closure = np.zeros((frames, 2))
    closure[10:13] = closure[40:43] = 1
    return Track(
        fps=25.0,
        camera=Camera(100.0, (size_px[1] / 2, size_px[0] / 2), size_px),
        pose=Pose(rotation_from_angles(angles, angles, angles), np.tile([0.0, 0, -60], (frames, 1))),
        points_px=points,
        landmarks_px=flat,
        landmarks=landmarks,
        closure=closure,
        gaze=np.zeros((frames, 2)),
        identity=np.zeros(3),
        expression=np.zeros((frames, 1)),
        expression_names=("jawOpen",),
        face_model="average",
        residual=np.full(frames, 0.008),
        valid=np.array([r == "" for r in reason]),
        reason=reason,
    )


class Sightings:
    def __init__(self, frames: list[np.ndarray]) -> None:
        self.change = np.zeros(len(frames))
        self.size_px = frames[0].shape[:2]
        self.brightness = np.array([frame.mean() for frame in frames])


@pytest.fixture
def stand_ins(monkeypatch):
    """Detector, fit and masks replaced; the dictionary tells how often each was called and steers them."""
    import talkface.face.look
    import talkface.face.matte
    import talkface.face.plate
    import talkface.face.regions
    import talkface.face.torso_plate
    import talkface.face.track

    calls = {"look": 0, "fit": 0, "labels": 0, "bad": {}, "cuts": [], "focal_px": None}

    def look(frames, on_frame=None):
        calls["look"] += 1
        return Sightings(list(frames))

    def fit_track(sightings, fps, focal_px=None, clips=None, basis=None):
        calls["fit"] += 1
        calls["focal_px"], calls["clips"] = focal_px, clips
        return drawn_track(len(sightings.change), tuple(map(int, sightings.size_px)), calls["bad"])

    def find_cuts(change, fps=25.0):
        return np.isin(np.arange(len(change)), calls["cuts"])

    class Matter:
        def __call__(self, frame):
            return (frame[..., 0] / 255).astype(np.float32)

    class Plate:
        def add(self, frame, matte):
            self.frame = frame

        def finish(self):
            return self.frame, self.frame[..., 0] > 128

    class Regions:
        long_hair = False

        def __init__(self, track, sample):
            assert len(sample) > 0

        def labels(self, index, frame, matte):
            calls["labels"] += 1
            return (frame[..., 1] // 64).astype(np.uint8)

    def torso_plate(frame, matte, labels, background):
        return np.dstack([frame, labels])

    monkeypatch.setattr(talkface.face.look, "look", look)
    monkeypatch.setattr(talkface.face.look, "find_cuts", find_cuts)
    monkeypatch.setattr(talkface.face.track, "fit_track", fit_track)
    monkeypatch.setattr(talkface.face.matte, "Matter", Matter)
    monkeypatch.setattr(talkface.face.plate, "BackgroundPlate", Plate)
    monkeypatch.setattr(talkface.face.regions, "ClipRegions", Regions)
    monkeypatch.setattr(talkface.face.torso_plate, "torso_plate", torso_plate)
    return calls


def contents(root: Path) -> dict[str, str]:
    """Hash of every file but those that hold times of day."""
    skip = {"track.npz", "manifest.json", "steps.json"}  # an npz carries the time of writing
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name not in skip
    }


def test_a_video_becomes_a_processed_folder(tmp_path, stand_ins):
    stand_ins["bad"] = {5: "no face", 30: "blurred"}
    video = film(tmp_path / "-me & you ü.mp4", 60)
    person = preprocess(video, tmp_path / "out folder")
    assert person.manifest.frames == 60
    assert person.manifest.source == "-me & you ü.mp4"
    assert person.train_indices.tolist() == [k for k in range(55) if k not in (5, 30)]
    assert person.test_indices.tolist() == list(range(55, 60))
    for k, frame in enumerate(read_frames(video)):
        assert np.array_equal(person.frame(k), frame)
        assert np.array_equal(person.matte(k), frame[..., 0])
        assert np.array_equal(person.labels(k), frame[..., 1] // 64)
    assert len(person.speech.waveform) == 60 * 640
    assert person.manifest.facts["bad_frames"] == {"no face": 1, "blurred": 1}
    rows = (person.root / "au.csv").read_text().splitlines()
    assert len(rows) == 61
    assert "AU45_r" in rows[0]
    person.check()


def test_the_report_says_it_all_in_one_file(tmp_path, stand_ins):
    stand_ins["bad"] = dict.fromkeys(range(20, 25), "two faces")
    person = preprocess(film(tmp_path / "a <b>.mp4", 60), tmp_path / "out")
    page = (person.root / "report.html").read_text()
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "a &lt;b&gt;.mp4" in page
    assert page.count("data:image/jpeg;base64,") == 12
    for word in ("Length", "Face size", "Sound and lips", "Mouth range", "Head turns", "Picture noise", "two faces"):
        assert word in page
    assert "0.80 to 1.00 s" in page


@pytest.mark.parametrize(
    "stop_at",
    [("put_frame", 33), ("put_track", 0), ("put_labels", 17), ("put_torso", 40), ("put_speech", 0), ("finish", 0)],
)  # fmt: skip
def test_a_killed_run_goes_on_to_the_same_result(tmp_path, stand_ins, monkeypatch, stop_at):
    video = film(tmp_path / "me.mp4", 60)
    whole = contents(preprocess(video, tmp_path / "whole").root)
    name, count = stop_at
    real, seen = getattr(PersonWriter, name), []

    def stopping(self, *arguments):
        seen.append(arguments)
        if len(seen) == count + 1:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(PersonWriter, name, stopping)
    with pytest.raises(KeyboardInterrupt):
        preprocess(video, tmp_path / "torn")
    with pytest.raises(UserError, match="not a finished processed folder"):
        PersonFolder(tmp_path / "torn")
    monkeypatch.setattr(PersonWriter, name, real)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "torn/frames").iterdir() if not p.name.startswith(".")}
    looks, labels = stand_ins["look"], stand_ins["labels"]
    (tmp_path / "torn/matte/.000003.png.123.part").write_bytes(b"torn")  # as a power cut leaves it
    done = preprocess(video, tmp_path / "torn")
    assert contents(done.root) == whole
    assert all(p.stat().st_mtime_ns == time for p, time in kept.items())  # finished frames are kept
    if name in ("put_labels", "put_torso", "put_speech", "finish"):
        assert stand_ins["look"] == looks  # the face is not looked for again
    if name in ("put_speech", "finish"):
        assert stand_ins["labels"] == labels


def test_a_finished_folder_is_opened_not_made_again(tmp_path, stand_ins):
    video = film(tmp_path / "me.mp4", 60)
    first = preprocess(video, tmp_path / "out")
    times = {p: p.stat().st_mtime_ns for p in first.root.rglob("*")}
    preprocess(video, tmp_path / "out")
    assert stand_ins["look"] == 1
    assert {p: p.stat().st_mtime_ns for p in first.root.rglob("*")} == times
    preprocess(video, tmp_path / "out", focal_px=130.0)  # another question: the face is fitted again
    assert (stand_ins["fit"], stand_ins["focal_px"]) == (2, 130.0)
    with pytest.raises(UserError, match="positive"):
        preprocess(video, tmp_path / "out", focal_px=0.0)


def test_another_video_does_not_go_into_the_same_folder(tmp_path, stand_ins):
    person = preprocess(film(tmp_path / "me.mp4", 60), tmp_path / "out")
    before = contents(person.root)
    with pytest.raises(UserError, match="made from another video"):
        preprocess(film(tmp_path / "you.mp4", 64), tmp_path / "out")
    assert contents(person.root) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").write_text("dear diary")
    with pytest.raises(UserError, match="holds other files"):
        preprocess(tmp_path / "me.mp4", tmp_path / "mine")
    assert (tmp_path / "mine/diary.txt").read_text() == "dear diary"
    with pytest.raises(UserError, match="is a file"):
        preprocess(tmp_path / "me.mp4", tmp_path / "you.mp4")
    with pytest.raises(UserError, match="processed folder already"):
        preprocess(person.root, tmp_path / "again")


def test_a_folder_of_clips_is_one_person(tmp_path, stand_ins):
    clips = tmp_path / "clips"
    clips.mkdir()
    for k in range(4):
        speech = Speech(np.full(40 * 640, 0.1 * (k + 1), np.float32))
        film(clips / f"{k}.mp4", 40, speech)
        (clips / f"{k}.align").write_text("0 1000 sil")
    person = preprocess(clips, tmp_path / "out")
    assert person.manifest.frames == 160
    assert person.manifest.clips == ((0, 40), (40, 80), (80, 120), (120, 160))
    assert stand_ins["clips"] == [(0, 40), (40, 80), (80, 120), (120, 160)]
    level = [np.median(person.speech.waveform[k * 25600 + 3000 : (k + 1) * 25600 - 3000]) for k in range(4)]
    assert level == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.02)


def test_cuts_part_a_video(tmp_path, stand_ins):
    stand_ins["cuts"] = [25, 52]
    person = preprocess(film(tmp_path / "me.mp4", 60), tmp_path / "out")
    assert person.manifest.clips == ((0, 25), (25, 52), (52, 60))
    assert person.manifest.split == {"train": ((0, 55),), "test": ((55, 60),)}


def test_sound_is_moved_clip_by_clip():
    ramp = [Speech((np.arange(25_600) + 1 + 1e6 * k).astype(np.float32)) for k in range(2)]
    ranges = [(0, 40), (40, 80)]
    moved = joined_speech(ramp, ranges, 0.1).waveform
    assert len(moved) == 80 * 640
    assert moved[0] == 1601
    assert moved[25_600] == 1e6 + 1601
    assert (moved[24_000:25_600] == 0).all()
    later = joined_speech(ramp, ranges, -0.1).waveform
    assert (later[:1600] == 0).all()
    assert later[1600] == 1


def synced(lag: int, r: float = 0.6, seconds: float = 20.0):
    from talkface.audio.sync import SyncResult

    return SyncResult(r, lag, np.zeros(31), seconds)


@pytest.mark.parametrize(("lag", "moved_ms"), [(6, 220), (-4, -180), (1, 0), (0, 0)])
def test_fix_sync_moves_the_sound_by_what_was_measured(tmp_path, stand_ins, monkeypatch, lag, moved_ms):
    import talkface.audio.sync

    click = np.zeros(100 * 640, np.float32)
    click[32_000:32_160] = 0.8
    video = film(tmp_path / "me.mp4", 100, Speech(click))
    answers = [synced(lag), synced(0)]
    monkeypatch.setattr(talkface.audio.sync, "measure", lambda *_: answers.pop(0))
    person = preprocess(video, tmp_path / "out", fix_sync=True)
    onset = int(np.flatnonzero(np.abs(person.speech.waveform) > 0.3)[0])
    assert onset == pytest.approx(32_000 - 16 * moved_ms, abs=40)
    sync = person.manifest.facts["sync"]
    assert sync["moved_s"] == pytest.approx(moved_ms / 1000)
    assert sync["lag_frames"] == (0 if moved_ms else lag)


def test_an_unsure_lag_is_not_acted_upon(tmp_path, stand_ins, monkeypatch):
    import talkface.audio.sync

    monkeypatch.setattr(talkface.audio.sync, "measure", lambda *_: synced(9, r=0.2))
    person = preprocess(film(tmp_path / "me.mp4"), tmp_path / "out", fix_sync=True)
    assert person.manifest.facts["sync"]["moved_s"] == 0


@pytest.mark.parametrize("fps", [5.0, 24.0, 30.0, 240.0])
def test_any_frame_rate_works(tmp_path, stand_ins, fps):
    person = preprocess(film(tmp_path / "me.mp4", round(3 * fps), fps=fps), tmp_path / "out")
    assert person.manifest.frames == 75
    assert person.manifest.facts["source_fps"] == pytest.approx(fps, rel=0.01)


def test_large_frames_are_shrunk_and_their_focal_length_with_them(tmp_path, stand_ins, monkeypatch):
    monkeypatch.setattr(story, "MAX_SIDE_PX", 32)
    person = preprocess(film(tmp_path / "me.mp4"), tmp_path / "out", focal_px=100.0)
    assert person.manifest.size_px == (24, 32)
    assert stand_ins["focal_px"] == 50.0


def silent(seconds: float) -> Speech:
    return Speech(np.zeros(round(seconds * 16_000), np.float32))


def without_sound(path: Path) -> Path:
    with VideoWriter(path, SIZE, 25.0) as writer:
        for _ in range(60):
            writer.write(np.zeros((*SIZE, 3), np.uint8))
    return path


def clip_folder(path: Path, sizes: list[tuple[int, int]]) -> Path:
    path.mkdir()
    for k, size in enumerate(sizes):
        film(path / f"{k}.mp4", 40, size=size)
    return path


def eight_k(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 4320, 7680, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(7680, 4320, "yuvj420p")))
        container.mux(stream.encode(None))
    return path


BAD = {
    "no file": (lambda p: p, "does not exist"),
    "empty file": (lambda p: (p.write_bytes(b""), p)[1], "is empty"),
    "text": (lambda p: (p.write_text("hello" * 99), p)[1], "not a video"),
    "no sound": (without_sound, "no audio track"),
    "silent": (lambda p: film(p, 60, silent(2.4)), "is silent"),
    "one frame": (lambda p: film(p, 1), "one frame"),
    "too short": (lambda p: film(p, 20), "lasts 0.8 s"),
    "8K": (lambda p: eight_k(p.with_suffix(".mkv")), "7680x4320.*shrink it"),
    "empty folder": (lambda p: (p.mkdir(), p)[1], "holds no video"),
    "two sizes": (lambda p: clip_folder(p, [(48, 64), (64, 48)]), "must have one size"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, stand_ins, name):
    make, says = BAD[name]
    video = make(tmp_path / "-my clip ü.mp4")
    with pytest.raises(UserError, match=says) as caught:
        preprocess(video, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert stand_ins["look"] == 0


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({k: "no face" for k in range(60) if k % 10}, r"in 6 of 60 frames \(10 %; most others: no face\).*full view"),
        (dict.fromkeys(range(60), "two faces"), "in 0 of 60 frames.*only one person"),
        (dict.fromkeys(range(20), "blurred"), "in 40 of 60 frames.*more light"),
    ],
)
def test_a_face_seen_too_seldom_is_named_and_leaves_nothing(tmp_path, stand_ins, bad, says):
    stand_ins["bad"] = bad
    with pytest.raises(UserError, match=says):
        preprocess(film(tmp_path / "me.mp4", 60), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_later_leaves_what_existed(tmp_path, stand_ins):
    video = film(tmp_path / "me.mp4", 60)
    preprocess(video, tmp_path / "out")
    stand_ins["bad"] = dict.fromkeys(range(60), "two faces")
    with pytest.raises(UserError, match="only one person"):
        preprocess(video, tmp_path / "out", focal_px=77.0)
    assert len(list((tmp_path / "out/frames").iterdir())) == 60


def test_a_read_only_folder_is_named(stand_ins):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        video = film(Path(name) / "me.mp4", 60)
        video.chmod(0o644)
        (Path(name) / "locked").mkdir(mode=0o555)
        superuser = os.geteuid() == 0
        if superuser:
            os.seteuid(65534)
        try:
            with pytest.raises(UserError, match="cannot be made: permission denied"):
                preprocess(video, Path(name) / "locked" / "out")
        finally:
            if superuser:
                os.seteuid(0)


def test_a_full_disk_is_named_and_finished_frames_are_kept(tmp_path, stand_ins, monkeypatch):
    import talkface.io.store

    real, room = talkface.io.store.write_image, [40]

    def filling(path, image):
        if room[0] == 0:
            raise UserError(f"{path} cannot be written: no space left on device") from OSError(28, "No space left")
        room[0] -= 1
        real(path, image)

    monkeypatch.setattr(talkface.io.store, "write_image", filling)
    video = film(tmp_path / "me.mp4", 60)
    with pytest.raises(UserError, match="no space left"):
        preprocess(video, tmp_path / "out")
    assert len(list((tmp_path / "out/frames").glob("*.png"))) == 40
    room[0] = 10**6
    assert preprocess(video, tmp_path / "out").manifest.frames == 60


def test_noise_is_measured():
    rng = np.random.default_rng(0)
    ramp = np.linspace(50, 200, 300)[None].repeat(200, 0)
    ramp[:, 150:] += 30  # an edge is not noise
    for sigma in (1.0, 4.0, 9.0):
        assert image_noise(ramp + rng.normal(0, sigma, ramp.shape)) == pytest.approx(sigma, rel=0.08)


def test_the_verdict_follows_the_numbers():
    facts = {
        "seconds": 70.0, "valid_seconds": 69.0, "face_px": 271.0, "yaw_deg": [-9.0, 9.0], "mouth_opening": [0.0, 0.13],
        "blinks": 20, "blinks_per_minute": 17.0, "noise": 1.0, "residual": 0.007,
        "sync": {"r": 0.59, "lag_frames": 1, "moved_s": 0.0, "sure": True},
    }  # fmt: skip
    judged = verdicts(facts)
    assert {v.level for v in judged} == {"good"}
    assert overall(judged)[0] == "good"
    late = facts | {"sync": facts["sync"] | {"lag_frames": 6}}
    assert (
        "240 ms late: run again with --fix-sync" in next(v for v in verdicts(late) if v.what == "Sound and lips").says
    )
    assert overall(verdicts(late))[0] == "poor"
    still = verdicts(facts | {"yaw_deg": [0.0, 1.0]})
    assert overall(still) == ("fair", "Fit for training; head turns could be better.")
    short = {v.what: v.level for v in verdicts(facts | {"valid_seconds": 8.0, "seconds": 8.1, "face_px": 150.0})}
    assert (short["Length"], short["Face size"], short["Usable frames"]) == ("poor", "fair", "good")


# --- the real thing -------------------------------------------------------------------------------------------------


def recut(source: Path, out: Path, frames: int, size: int, pictures=None) -> Path:
    """The first frames of a clip, shrunk, with its own sound; `pictures` may replace them."""
    speech = read_speech(source)
    with VideoWriter(out, (size, size), 25.0, Speech(speech.waveform[: frames * 640]), quality=16) as writer:
        for k, frame in enumerate(read_frames(source, end_s=frames / 25, max_side_px=size)):
            writer.write(frame if pictures is None else pictures(k, frame))
    return out


@pytest.fixture(scope="module")
def person(shared_data, tmp_path_factory):
    pytest.importorskip("mediapipe")
    folder = tmp_path_factory.mktemp("real")
    clip = recut(shared_data / "speakers/edtalk_pose2/clip.mp4", folder / "clip.mp4", 120, 256)
    return preprocess(clip, folder / "person")


def test_a_real_clip_comes_out_whole(person):
    person.check()
    facts = person.manifest.facts
    assert person.track.valid.mean() > 0.97
    assert 150 < facts["face_px"] < 185  # 168 over the whole clip by another measurement
    labels, matte = person.labels(60), person.matte(60)
    inside = person.track.landmarks_px[60][27:68].astype(int)
    assert (labels[inside[:, 1], inside[:, 0]] == 1).all()  # nose, eyes and mouth lie on the head
    assert (matte[inside[:, 1], inside[:, 0]] > 240).all()
    assert labels[250, 128] in (2, 3)
    assert labels[3, 3] == 0
    torso = person.torso(60)
    assert torso[250, 128, 3] > 200
    assert torso[60, 128, 3] == 0
    assert not person.background_invented[3, 3]
    assert person.background_invented[128, 128]


@pytest.mark.slow
def test_a_real_clip_with_a_stranger_and_an_absence_keeps_gaps(shared_data, tmp_path):
    """Frames 30-39 show nobody, 60-79 two people; the rest is as filmed."""
    pytest.importorskip("mediapipe")

    def pictures(k, frame):
        if 30 <= k < 40:
            return np.full_like(frame, 90)
        if 60 <= k < 80:
            half = np.ascontiguousarray(frame[32:224, 64:192])
            double = np.concatenate([half, half], axis=1)
            return np.pad(double, ((32, 32), (0, 0), (0, 0)), mode="edge")
        return frame

    clip = recut(shared_data / "speakers/edtalk_pose2/clip.mp4", tmp_path / "clip.mp4", 130, 256, pictures)
    track = preprocess(clip, tmp_path / "person").track
    assert set(track.reason[30:40]) == {"no face"}
    assert sum(track.reason[k] == "two faces" for k in range(60, 80)) >= 16
    assert track.valid[:30].all()
    assert track.valid[82:].mean() > 0.9
    assert np.isfinite(track.pose.rotation).all()


@pytest.mark.parametrize("kind", ["nobody", "seldom", "two"])
def test_real_videos_without_one_face_are_refused(shared_data, tmp_path, kind):
    pytest.importorskip("mediapipe")
    noise = np.random.default_rng(0)

    def pictures(k, frame):
        if kind == "two":
            half = np.ascontiguousarray(frame[32:224, 64:192])
            return np.pad(np.concatenate([half, half], axis=1), ((32, 32), (0, 0), (0, 0)), mode="edge")
        if kind == "seldom" and k % 10 == 0:
            return frame
        return noise.integers(0, 60, frame.shape, dtype=np.uint8)

    clip = recut(shared_data / "speakers/edtalk_pose2/clip.mp4", tmp_path / "clip.mp4", 60, 256, pictures)
    with pytest.raises(UserError, match={"nobody": "no face", "seldom": "of 60 frames", "two": "one person"}[kind]):
        preprocess(clip, tmp_path / "person")
    assert not (tmp_path / "person").exists()


@pytest.mark.slow
def test_a_real_run_killed_again_and_again_comes_to_the_same_end(shared_data, tmp_path):
    """SIGKILL, which nothing can catch, at six moments spread over the run."""
    import signal
    import subprocess
    import sys
    import time

    clip = recut(shared_data / "speakers/edtalk_pose2/clip.mp4", tmp_path / "clip.mp4", 100, 256)
    program = "import sys\nfrom pathlib import Path\nfrom talkface.pipeline.preprocess import preprocess\n"
    program += "preprocess(Path(sys.argv[1]), Path(sys.argv[2]))"

    def start(out: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program, str(clip), str(tmp_path / out)])

    began = time.monotonic()
    assert start("whole").wait() == 0
    whole_s = time.monotonic() - began
    killed = 0
    for part in (0.15, 0.35, 0.5, 0.65, 0.8, 0.9):
        run = start("torn")
        try:
            run.wait(part * whole_s)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            killed += 1
    assert killed >= 3
    assert start("torn").wait() == 0
    ours, theirs = contents(tmp_path / "torn"), contents(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert ours == theirs


@pytest.mark.slow
def test_cnn2_in_six_minutes_and_three_gigabytes(shared_data, tmp_path):
    """In a process of its own; prints what it took."""
    import subprocess
    import sys

    program = (
        "import json, resource, sys, time\nfrom pathlib import Path\n"
        "from talkface.pipeline.preprocess import preprocess\n"
        "start = time.monotonic()\nfolder = preprocess(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(json.dumps({'s': time.monotonic() - start, 'cpu_s': used.ru_utime + used.ru_stime, "
        "'GB': used.ru_maxrss / 1e6, 'frames': folder.manifest.frames}))"
    )
    clip = shared_data / "speakers/cnn2/clip.mp4"
    done = subprocess.run(
        [sys.executable, "-c", program, str(clip), str(tmp_path / "person")], capture_output=True, text=True, check=True
    )
    took = json.loads(done.stdout.splitlines()[-1])
    print(took)
    assert took["frames"] == 1779
    assert took["GB"] < 3
    assert took["cpu_s"] < 2 * 360
