"""The evaluation as a whole, with a drawn person and renderers that are good or bad on purpose."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from talkface.errors import UserError
from talkface.metrics.lips import opening
from talkface.pipeline.evaluate import GENERATED, Subject, judge, sound_of, with_landmarks
from talkface.types import Drive, Speech

FRAMES = 48


def _drawn() -> ModuleType:
    path = Path(__file__).parents[1] / "metrics" / "drawn.py"
    spec = importlib.util.spec_from_file_location("drawn_person", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


drawn = _drawn()


class Painter:
    """Renders what it is told: the drawn head with the mouth of the landmarks, and some noise."""

    crop = None
    size_px = drawn.SIZE_PX

    def __init__(self, person, noise: float = 0.01) -> None:
        self.person, self.noise = person, noise

    def head(self, drives, closure, pose):
        index = int(np.argmin(np.linalg.norm(self.person.track.pose.translation - pose.translation[0], axis=1)))
        assert self.person.shut[index] == closure
        landmarks = self.told(drives)
        picture = self.person.drawn(index, float(opening(landmarks[None])[0]), closure * self.blinks)
        grain = np.random.default_rng(index).normal(0, self.noise, picture.shape)
        return (picture + grain).clip(0, 1).astype(np.float32), self.person.head(index)

    blinks = 1.0

    def told(self, drives) -> np.ndarray:
        assert len(drives) == 5
        return drives[2].landmarks


class FrozenPainter(Painter):
    """Ignores what it is told."""

    blinks = 0.0

    def told(self, drives) -> np.ndarray:
        return self.person.track.landmarks[0]


@pytest.fixture(scope="module")
def person():
    made = drawn.DrawnPerson(260)
    made.test_indices = np.arange(200, 200 + FRAMES)
    made.train_indices = np.arange(200)
    return made


def run(person, renderer, out: Path, **options):
    late = [Drive(person.track.landmarks[max(i - 2, 0)], np.zeros(0)) for i in range(len(person.track))]
    subject = Subject("painter", "runs/one", "data/drawn", "cpu", person.speech, late)
    return judge(person, renderer, subject, out, new_detector=lambda: drawn.detect, **options)


def value(entries, name: str, region: str, drive: str | None = None):
    (entry,) = [e for e in entries if (e["name"], e["region"], e.get("drive")) == (name, region, drive)]
    return entry["value"]


@pytest.fixture(scope="module")
def evaluated(person, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return out, run(person, Painter(person), out, add_torso=lambda index, colour, opacity: person.truth(index) * 0.9)


def test_scores_json_is_what_the_contract_says(evaluated) -> None:
    out, returned = evaluated
    scores = json.loads((out / "scores.json").read_text())
    assert scores == returned
    assert list(scores) == [
        "method", "run", "data", "split", "size", "frames", "device", "scores", "ground_truth", "baselines",
    ]  # fmt: skip
    assert (scores["size"], scores["frames"], scores["split"]) == ([96, 96], FRAMES, "test")
    assert set(scores["baselines"]) == {"still", "nearest", "pca"}
    for entry in [*scores["scores"], *scores["ground_truth"], *chain(*scores["baselines"].values())]:
        assert {"name", "backend", "value", "higher_is_better", "frames", "region"} <= set(entry)
        assert (entry["value"] is None) == bool(entry.get("why")), entry
    assert {e["drive"] for e in scores["scores"]} == {"landmarks", "audio"}, "person-specific scores are given twice"


def test_a_good_renderer_beats_every_baseline_and_late_audio_costs_lips(evaluated) -> None:
    _, scores = evaluated
    own = scores["scores"]
    for region in ("frame", "head", "mouth"):
        for name in ("still", "nearest", "pca"):
            drive = "landmarks"
            baseline = value(scores["baselines"][name], "psnr_pooled", region, drive)
            assert value(own, "psnr_pooled", region, drive) > baseline, (name, region)
    assert value(own, "opening_r", "mouth", "landmarks") > 0.99
    assert value(own, "mouth_r", "mouth", "audio") < 0.9
    assert value(own, "psnr", "mouth", "audio") < value(own, "psnr", "mouth", "landmarks")
    assert value(own, "blink_f1", "eyes", "landmarks") == 1.0
    assert value(own, "fps", "head", "landmarks") > 0
    assert value(scores["ground_truth"], "ssim", "frame") == pytest.approx(1.0)


def test_the_own_torso_has_its_own_region(evaluated) -> None:
    _, scores = evaluated
    whole = value(scores["scores"], "psnr", GENERATED, "landmarks")
    assert whole < value(scores["scores"], "psnr", "frame", "landmarks")


def test_the_report_needs_nothing_from_outside(evaluated) -> None:
    out, _ = evaluated
    page = (out / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {s if not s.startswith("data:") else "data" for s in sources} == {"data", "comparison.mp4"}
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 3 and "nan" not in "".join(re.findall(r'd="([^"]*)"', page)).lower()
    assert "nearer the truth than the best baseline" in page
    assert page.count('class="strip"') == 7


def test_the_film_is_as_long_as_the_test_and_has_sound(evaluated) -> None:
    out, _ = evaluated
    with av.open(str(out / "comparison.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == FRAMES
        assert len(film.streams.audio) == 1
        assert "generated by talkface" in film.metadata["comment"]


def test_a_frozen_face_is_named_in_plain_words(person, tmp_path: Path) -> None:
    scores = run(person, FrozenPainter(person), tmp_path, max_frames=24)
    assert value(scores["scores"], "blink_f1", "eyes", "landmarks") == 0.0
    page = (tmp_path / "report.html").read_text()
    assert "hardly follows" in page or "never moves" in page
    assert 'class="bad"' in page


def test_noise_worsens_what_it_should(person, evaluated, tmp_path: Path) -> None:
    _, clean = evaluated
    noisy = run(person, Painter(person, noise=0.05), tmp_path, max_frames=20)
    assert noisy["frames"] == 20
    for name, region in (("psnr", "head"), ("psnr", "mouth"), ("ssim", "frame")):
        before, now = (value(s["scores"], name, region, "landmarks") for s in (clean, noisy))
        assert now < before, name
    assert value(noisy["scores"], "sharpness", "head", "landmarks") > 1.2


def test_an_empty_test_split_is_the_users_to_mend(person, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no usable test frames"):
        run(person, Painter(person), tmp_path, max_frames=0)


def test_a_report_folder_that_cannot_be_made(person, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be made"):
        run(person, Painter(person), tmp_path / "file" / "report", max_frames=5)


def test_sound_leaves_out_what_the_picture_leaves_out() -> None:
    speech = Speech(np.repeat(np.arange(10.0), 640) / 10)
    part = sound_of(speech, np.array([2, 3, 7, 9]))
    np.testing.assert_array_equal(part.waveform, np.repeat([0.2, 0.3, 0.7, 0.9], 640))
    assert len(sound_of(Speech(speech.waveform[:-100]), np.array([9])).waveform) == 640


def test_frames_without_a_face_borrow_the_nearest_landmarks(person) -> None:
    landmarks = person.track.landmarks.copy()
    landmarks[[0, 10, 11, 12, -1]] = np.nan
    drives = [Drive(landmarks[0], np.full(3, float(i))) for i in range(len(landmarks))]
    told = with_landmarks(drives, replace(person.track, landmarks=landmarks))
    for index, source in ((0, 1), (5, 5), (10, 9), (12, 13), (len(landmarks) - 1, len(landmarks) - 2)):
        np.testing.assert_array_equal(told[index].landmarks, landmarks[source])
        assert told[index].code[0] == index
