"""The processed folder: what is written comes back, and what is broken or hostile is refused with one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.geometry import project, rotation_from_angles, to_world
from talkface.io.manifest import Manifest, split_frames
from talkface.io.store import PER_FRAME, SINGLE, PersonFolder, PersonWriter
from talkface.io.transforms import pose_over, read_transforms, write_transforms
from talkface.types import Camera, Pose, Speech, Track

FRAMES, SIZE = 12, (24, 32)


def some_track(frames: int = FRAMES, size_px: tuple[int, int] = SIZE) -> Track:
    rng = np.random.default_rng(0)
    angles = rng.normal(0, 0.2, (3, frames))
    valid = np.ones(frames, bool)
    valid[3] = False
    return Track(
        fps=25.0,
        camera=Camera(70.0, (size_px[1] / 2 + 0.3, size_px[0] / 2), size_px),
        pose=Pose(rotation_from_angles(*angles), rng.normal(0, 2, (frames, 3)) - (0, 0, 60)),
        points_px=rng.normal(10, 3, (frames, 478, 3)),
        landmarks_px=rng.normal(10, 3, (frames, 68, 2)),
        landmarks=rng.normal(0, 5, (frames, 68, 3)),
        closure=rng.random((frames, 2)),
        gaze=rng.normal(0, 0.1, (frames, 2)),
        identity=rng.normal(size=100),
        expression=rng.random((frames, 3)),
        expression_names=("jawOpen", "mouthSmile_L", "eyeBlink_R"),
        face_model="ict",
        residual=rng.random(frames),
        valid=valid,
        reason=tuple("" if v else "two faces" for v in valid),
    )


def some_pictures(frames: int = FRAMES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "frames": rng.integers(0, 255, (frames, *SIZE, 3), dtype=np.uint8),
        "matte": rng.integers(0, 255, (frames, *SIZE), dtype=np.uint8),
        "seg": rng.integers(0, 4, (frames, *SIZE), dtype=np.uint8),
        "torso": rng.integers(0, 255, (frames, *SIZE, 4), dtype=np.uint8),
        "background": rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8),
        "invented": rng.random(SIZE) > 0.5,
    }


@pytest.fixture
def folder(tmp_path):
    writer, pictures = PersonWriter(tmp_path / "person"), some_pictures()
    for index in range(FRAMES):
        writer.put_frame(index, pictures["frames"][index])
        writer.put_matte(index, pictures["matte"][index])
        writer.put_labels(index, pictures["seg"][index])
        writer.put_torso(index, pictures["torso"][index])
    writer.put_background(pictures["background"], pictures["invented"])
    writer.put_speech(Speech(np.linspace(-0.5, 0.5, 7_680).astype(np.float32)))
    writer.put_track(some_track())
    (writer.root / "au.csv").write_text("frame, AU45_r\n")
    clips = ((0, FRAMES),)
    writer.finish(
        Manifest(
            fps=25.0, size_px=SIZE, frames=FRAMES, clips=clips, split=split_frames(FRAMES, clips),
            providers={"landmarks": "drawn"}, source="clip é.mp4", facts={"sync_r": 0.5},
        )
    )  # fmt: skip
    return writer.root


def edit(folder, change) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_everything_comes_back(folder):
    person, pictures, track = PersonFolder(folder), some_pictures(), some_track()
    for index in range(FRAMES):
        assert np.array_equal(person.frame(index), pictures["frames"][index])
        assert np.array_equal(person.matte(index), pictures["matte"][index])
        assert np.array_equal(person.labels(index), pictures["seg"][index])
        assert np.array_equal(person.torso(index), pictures["torso"][index])
    assert np.array_equal(person.background, pictures["background"])
    assert np.array_equal(person.background_invented, pictures["invented"])
    assert np.abs(person.speech.waveform - np.linspace(-0.5, 0.5, 7_680)).max() < 1e-4
    assert person.manifest.facts == {"sync_r": 0.5}
    assert person.manifest.source == "clip é.mp4"
    for each in fields(Track):
        ours, want = getattr(person.track, each.name), getattr(track, each.name)
        if isinstance(want, np.ndarray):
            assert ours == pytest.approx(want, rel=1e-6), each.name
        elif each.name in ("pose", "camera"):
            assert all(np.array_equal(a, b) for a, b in zip(vars(ours).values(), vars(want).values(), strict=True))
        else:
            assert ours == want, each.name
    assert person.train_indices.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert person.test_indices.tolist() == [11]
    with pytest.raises(IndexError):
        person.frame(FRAMES)
    person.check()


def test_the_split_keeps_clips_whole_where_it_can():
    assert split_frames(1100, ((0, 1100),)) == {"train": ((0, 1000),), "test": ((1000, 1100),)}
    clips = tuple((75 * k, 75 * (k + 1)) for k in range(79))
    split = split_frames(75 * 79, clips)
    assert split["train"] + split["test"] == clips
    assert len(split["test"]) == 7
    assert split_frames(110, ((0, 50), (50, 110))) == {"train": ((0, 50), (50, 100)), "test": ((100, 110),)}
    assert split_frames(1, ((0, 1),)) == {"train": ((0, 1),), "test": ()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(version=2), "has version 2"),
        (lambda m: m.update(version="x" * 9999), "has version x"),
        (lambda m: m.update(format="zip"), "not the manifest"),
        (lambda m: m.pop("frames"), "frames is missing"),
        (lambda m: m.update(frames=10**12), "expected 1 to"),
        (lambda m: m.update(frames=-1), "expected 1 to"),
        (lambda m: m.update(frames=1.5), "expected 1 to"),
        (lambda m: m.update(frames=True), "expected 1 to"),
        (lambda m: m.update(frames=FRAMES + 1), "is missing"),
        (lambda m: m.update(size_px=[10**9, 10**9]), "height is 1000000000"),
        (lambda m: m.update(size_px=[24]), "broken"),
        (lambda m: m.update(fps="fast"), "broken"),
        (lambda m: m.update(fps=1e9), "fps is 1e"),
        (lambda m: m.update(split={"train": [[0, 99]], "test": []}), "expected 0 to 12"),
        (lambda m: m.update(split={"train": [[0, 8], [4, 12]], "test": []}), "out of order"),
        (lambda m: m.update(split=[]), "broken"),
        (lambda m: m["files"].update({"../../etc/passwd": {"bytes": 1, "sha256": ""}}), "foreign file"),
        (lambda m: m["files"].update({"/etc/passwd": {"bytes": 1, "sha256": ""}}), "foreign file"),
        (lambda m: m["files"].pop("track.npz"), "does not list track.npz"),
        (lambda m: m["files"]["audio.wav"].update(bytes=3), "audio.wav is missing or was changed"),
        (lambda m: m.update(files=7), "broken"),
        (lambda m: m.update(providers=None), "broken"),
    ],
)
def test_a_manifest_is_not_believed(folder, change, says):
    edit(folder, change)
    with pytest.raises(UserError, match=says):
        PersonFolder(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe\x00", b" " * (17 << 20)])
def test_a_manifest_that_is_none(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest\.json"):
        PersonFolder(folder)


def test_unfinished_and_absent_folders(folder, tmp_path):
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="not a finished processed folder"):
        PersonFolder(folder)
    with pytest.raises(UserError, match="does not exist"):
        PersonFolder(tmp_path / "nobody")


@pytest.mark.parametrize("name", [*SINGLE, *(f"{each}/000005.png" for each in PER_FRAME)])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name.replace('.', '[.]')} is missing"):
        PersonFolder(folder)


def test_a_changed_frame_is_found_by_its_hash(folder):
    source = (folder / "frames/000004.png").read_bytes()
    (folder / "frames/000005.png").write_bytes(source)
    with pytest.raises(UserError, match="frames was changed"):
        PersonFolder(folder).check()


def test_pictures_of_another_kind_are_refused(folder):
    from PIL import Image

    person = PersonFolder(folder)
    Image.new("RGB", (999, 24)).save(folder / "frames/000001.png")
    Image.new("RGB", (32, 24)).save(folder / "matte/000001.png")
    Image.new("L", (32, 24), 9).save(folder / "seg/000001.png")
    (folder / "torso/000001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for read in (person.frame, person.matte, person.labels, person.torso):
        with pytest.raises(UserError, match="preprocess the video again"):
            read(1)


def broken_npz(folder, name: str, array) -> None:
    with np.load(folder / "track.npz") as file:
        arrays = dict(file) | {name: array}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    (folder / "track.npz").write_bytes(stream.getvalue())
    edit(folder, lambda m: m["files"]["track.npz"].update(bytes=len(stream.getvalue())))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("rotation", np.zeros((3, 3, 3))),
        ("translation", np.full((FRAMES, 3), np.nan)),
        ("reason", np.array([{"a": 1}] * FRAMES, dtype=object)),
        ("size_px", np.array([48, 64])),
    ],
)
def test_a_broken_track_is_refused(folder, name, array):
    broken_npz(folder, name, array)
    with pytest.raises(UserError, match=r"track\.npz"):
        _ = PersonFolder(folder).track


def test_a_zip_bomb_is_refused_before_it_unpacks(folder):
    with zipfile.ZipFile(folder / "track.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points_px.npy", bytes(200 << 20))
    size = (folder / "track.npz").stat().st_size
    edit(folder, lambda m: m["files"]["track.npz"].update(bytes=size))
    with pytest.raises(UserError, match="would unpack to 200 MB"):
        _ = PersonFolder(folder).track


def test_transforms_put_points_where_our_camera_does(tmp_path):
    """Their convention written out by hand: u = cx - f X/Z, v = cy + f Y/Z in a camera that looks along -z."""
    track = some_track()
    write_transforms(tmp_path / "t.json", track, ((0, FRAMES),))
    content = json.loads((tmp_path / "t.json").read_text())
    assert [frame["img_id"] for frame in content["frames"]] == [i for i in range(FRAMES) if i != 3]
    points = np.random.default_rng(2).normal(0, 5, (FRAMES, 9, 3))
    ours = project(to_world(points, track.pose), track.camera)
    for frame in content["frames"]:
        head_from_camera = np.array(frame["transform_matrix"])
        local = (points[frame["img_id"]] / 100 - head_from_camera[:3, 3]) @ head_from_camera[:3, :3]
        assert (local[:, 2] < 0).all()
        u = content["cx"] - content["focal_len"] * local[:, 0] / local[:, 2]
        v = content["cy"] + content["focal_len"] * local[:, 1] / local[:, 2]
        assert np.abs(np.stack([u, v], -1) - ours[frame["img_id"]]).max() < 1e-6
    camera, poses = read_transforms(tmp_path / "t.json", SIZE)
    assert camera.focal_px == track.camera.focal_px
    assert camera.center_px == track.camera.center_px
    pose = pose_over(poses, FRAMES)
    good = track.valid
    assert np.abs(pose.rotation - track.pose.rotation)[good].max() < 1e-9
    assert np.abs(pose.translation - track.pose.translation)[good].max() < 1e-9
    assert np.array_equal(pose.translation[3], pose.translation[2]) or np.array_equal(
        pose.translation[3], pose.translation[4]
    )


def test_face_rect_is_centred_on_the_landmarks(tmp_path):
    track = some_track()
    landmarks = np.zeros((FRAMES, 68, 2))
    landmarks[:, 0], landmarks[:, 16] = (4, 10), (24, 10)
    landmarks[:, 27], landmarks[:, 8] = (14, 8), (14, 18)
    landmarks[:, [*range(1, 8), *range(9, 16), *range(17, 27), *range(28, 68)]] = (14, 12)
    write_transforms(tmp_path / "t.json", replace(track, landmarks_px=landmarks), ((0, 1),))
    rect = json.loads((tmp_path / "t.json").read_text())["frames"][0]["face_rect"]
    assert rect == [-1, -4, 30, 23]  # centre (14, 8), half width 0.75 x 20 and half height 1.15 x 10, rounded


@pytest.mark.parametrize("key", ["focal_length", "fl_x", "camera_angle_x"])
def test_other_names_of_the_focal_length(tmp_path, key):
    value = 2 * np.arctan(0.5 * 32 / 40) if key == "camera_angle_x" else 40.0
    content = {key: value, "frames": [{"img_id": 0, "transform_matrix": np.eye(4).tolist()}]}
    (tmp_path / "t.json").write_text(json.dumps(content))
    camera, _ = read_transforms(tmp_path / "t.json", SIZE)
    assert camera.focal_px == pytest.approx(40)
    assert camera.center_px == (16, 12)


@pytest.mark.parametrize("content", ["", "[]", '{"focal_len": 1}', '{"focal_len": -1, "frames": []}'])
def test_broken_transforms_are_named(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(UserError, match=r"t\.json"):
        read_transforms(tmp_path / "t.json", SIZE)


def test_read_only_folder(read_only_folder):
    with pytest.raises(UserError, match="cannot be made: permission denied"):
        PersonWriter(read_only_folder / "person")
