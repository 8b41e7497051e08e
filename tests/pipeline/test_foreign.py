"""A fabricated folder of the AD-NeRF tools, made from a known head, comes out as that head."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest
from PIL import Image

from talkface.errors import UserError
from talkface.face.basis import face_basis
from talkface.face.detect import LANDMARKS_68
from talkface.geometry import rotation_from_angles
from talkface.io.store import PersonFolder
from talkface.pipeline.foreign import is_adnerf
from talkface.pipeline.preprocess import preprocess

FRAMES, HEIGHT, WIDTH, FOCAL = 44, 120, 100, 300.0
BLINK = 20


@pytest.fixture
def theirs(tmp_path):
    """44 frames of an average face whose head frame is turned, shifted and scaled against ours, and its truth."""
    rng = np.random.default_rng(0)
    root = tmp_path / "Obama ü"
    for name in ("ori_imgs", "parsing", "torso_imgs"):
        (root / name).mkdir(parents=True)
    wave_s = np.arange(FRAMES) / 25
    rotation = rotation_from_angles(0.3 * np.sin(2 * wave_s), 0.1 * np.cos(3 * wave_s), 0.05 * np.sin(5 * wave_s))
    translation = np.stack([np.sin(wave_s), np.cos(wave_s), -60 + np.sin(wave_s)], -1)
    face = face_basis("average").neutral[list(LANDMARKS_68)]
    world = face @ np.swapaxes(rotation, 1, 2) + translation[:, None]
    pixels = world[..., :2] / -world[..., 2:] * (FOCAL, -FOCAL) + (WIDTH / 2, HEIGHT / 2)
    # Their head frame: ours seen through a fixed turn, shift (cm) and scale.
    turn, shift, scale = rotation_from_angles(0.05, -0.08, 0.03), np.array([0.5, -1.0, 2.0]), 1.1
    their_rotation = rotation @ turn.T
    their_translation = scale * translation - (their_rotation @ shift)
    lists = {"train": [], "val": []}
    labels = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for k in range(FRAMES):
        labels[k, 30:80, 30 + k % 3 : 70] = 1
        labels[k, 80:95, 40:60] = 2
        labels[k, 95:, 20:80] = 3
        image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "ori_imgs" / f"{k}.jpg", quality=100, subsampling=0)
        colours = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 0), (255, 0, 0)], np.uint8)
        Image.fromarray(colours[labels[k]]).save(root / "parsing" / f"{k}.png")
        torso = np.dstack([image, np.where(labels[k] >= 2, 255, 0).astype(np.uint8)])
        Image.fromarray(torso).save(root / "torso_imgs" / f"{k}.png")
        if k != 7:
            (root / "ori_imgs" / f"{k}.lms").write_text("\n".join(f"{x} {y}" for x, y in pixels[k]))
        matrix = np.eye(4)
        matrix[:3, :3] = their_rotation[k].T
        matrix[:3, 3] = -their_rotation[k].T @ their_translation[k] / 100
        entry = {"img_id": k, "aud_id": k, "transform_matrix": matrix.tolist(), "face_rect": [0, 0, 9, 9]}
        lists["train" if k < 40 else "val"].append(entry)
    for name, frames in lists.items():
        content = {"focal_len": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "frames": frames}
        (root / f"transforms_{name}.json").write_text(json.dumps(content))
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), (10, 200, 30), np.uint8)).save(root / "bc.jpg", quality=100)
    au45 = np.where(np.arange(FRAMES) == BLINK, 4.0, 0.25)
    rows = "\n".join(f"{k + 1}, {k / 25:.3f}, 0.98, 1, {a:.2f}" for k, a in enumerate(au45))
    (root / "au.csv").write_text(f"frame, timestamp, confidence, success, AU45_r\n{rows}\n")
    (root / "track_params.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.")
    with wave.open(str(root / "aud.wav"), "wb") as wav:
        wav.setparams((1, 2, 16_000, 0, "NONE", ""))
        tone = 8000 * np.sin(np.arange(16_000 * 3) * 0.1)
        wav.writeframes(tone.astype("<i2").tobytes())
    return root, {"rotation": rotation, "translation": translation, "pixels": pixels, "labels": labels, "face": face}


def test_a_foreign_folder_becomes_ours(theirs, tmp_path):
    root, truth = theirs
    assert is_adnerf(root)
    person = preprocess(root, tmp_path / "mine")
    assert isinstance(person, PersonFolder)
    assert person.manifest.frames == FRAMES
    assert person.manifest.split == {"train": ((0, 40),), "test": ((40, 44),)}
    track = person.track
    assert track.valid.tolist() == [k != 7 for k in range(FRAMES)]
    assert track.reason[7] == "no face"
    good = track.valid
    # The unknown turn, shift and scale between the two head frames is found: pose and shape are the true ones in cm.
    assert np.abs(track.pose.rotation - truth["rotation"]).max() < 1e-3
    assert np.abs(track.pose.translation - truth["translation"]).max() < 0.1
    assert np.abs(track.landmarks[good] - truth["face"]).max() < 0.02
    assert np.abs(track.landmarks_px[good] - truth["pixels"][good]).max() < 1e-3
    assert track.closure[BLINK].tolist() == pytest.approx([0.8, 0.8])
    assert track.closure[3].tolist() == pytest.approx([0.05, 0.05])
    for k in (0, 11, 43):
        assert np.array_equal(person.labels(k), truth["labels"][k])
        assert np.array_equal(person.matte(k), np.where(truth["labels"][k] > 0, 255, 0))
        theirs_frame = np.asarray(Image.open(root / "ori_imgs" / f"{k}.jpg"))
        assert np.array_equal(person.frame(k), theirs_frame)
        assert np.array_equal(person.torso(k), np.asarray(Image.open(root / "torso_imgs" / f"{k}.png")))
    assert np.array_equal(person.background_invented, (truth["labels"] > 0).all(0))
    assert len(person.speech.waveform) == FRAMES * 640
    person.check()
    assert preprocess(root, tmp_path / "mine").root == person.root  # again: opened, not made anew


def test_without_tables_and_torsos_the_landmarks_and_masks_serve(theirs, tmp_path):
    root, truth = theirs
    (root / "au.csv").unlink()
    for path in (root / "torso_imgs").iterdir():
        path.unlink()
    shut = truth["pixels"][BLINK].copy()
    shut[[37, 38, 43, 44]] = shut[[41, 40, 47, 46]]
    (root / "ori_imgs" / f"{BLINK}.lms").write_text("\n".join(f"{x} {y}" for x, y in shut))
    person = preprocess(root, tmp_path / "mine")
    assert (person.track.closure[BLINK] > 0.95).all()
    assert np.nanmax(np.delete(person.track.closure, BLINK, 0)) < 0.3
    assert np.array_equal(person.torso(5)[..., 3] > 0, truth["labels"][5] >= 2)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda r: (r / "aud.wav").unlink(), "aud.wav does not exist"),
        (lambda r: (r / "bc.jpg").unlink(), "bc.jpg does not exist"),
        (lambda r: (r / "ori_imgs/4.jpg").unlink(), "not number 4"),
        (lambda r: (r / "parsing/4.png").unlink(), "4.png does not exist"),
        (lambda r: (r / "ori_imgs/3.lms").write_text("1 2\n3"), "3.lms is not a file of 68"),
        (lambda r: (r / "transforms_val.json").unlink(), "transforms_val.json does not exist"),
        (lambda r: (r / "transforms_train.json").write_text("{}"), "not a camera file"),
        (lambda r: (r / "au.csv").write_text("frame,AU45_r\n1,0\n"), "1 rows for 44 frames"),
        (lambda r: Image.new("RGB", (9, 9)).save(r / "bc.jpg"), "bc.jpg is 9x9"),
    ],
)
def test_what_is_missing_is_named(theirs, tmp_path, spoil, says):
    root, _ = theirs
    spoil(root)
    with pytest.raises(UserError, match=says):
        preprocess(root, tmp_path / "mine")
