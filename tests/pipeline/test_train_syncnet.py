"""The sync network trained from drawn talkers, and what it says of a stranger whose sound is late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face.detect import LANDMARKS_68
from talkface.metrics.lip_sync_error import SyncErrors
from talkface.nets.mouth_sync import facts_of
from talkface.pipeline import train_syncnet as training
from talkface.pipeline.train_syncnet import train_syncnet
from talkface.types import SPEECH_HZ, Speech

SIZE_PX, EYES_PX = 120, 40.0


class Drawn:
    """A face of few strokes whose mouth opens with the loudness of a noise; the sound may be late."""

    def __init__(self, name: str, seed: int, seconds: float = 14.0, late_frames: int = 0) -> None:
        draw = np.random.default_rng(seed)
        count = int(seconds * 25)
        self.name = name
        kernel = np.hanning(23)
        fine = np.convolve(draw.normal(size=4 * count + 200), kernel / kernel.sum(), "same") * 5
        self.loud = np.maximum(fine, 0)[100 : 100 + 4 * count : 4][:count]
        low, skin = draw.integers(12, 24), draw.uniform(120, 200)
        voice = np.convolve(draw.normal(size=len(fine) * 160 + low - 1), np.ones(low) / low, "valid")
        sound = np.repeat(np.maximum(fine, 0), 160) * voice + draw.normal(0, 1e-3, len(voice))
        start = (100 - 4 * late_frames) * 160
        self.speech = Speech((0.2 * sound[start : start + count * 640]).astype(np.float32))
        noise = draw.normal(0, 4, (8, SIZE_PX, SIZE_PX))
        self.frames = [
            (self._picture(value, skin, noise[i % 8]), self._mesh(value)) for i, value in enumerate(self.loud)
        ]

    @staticmethod
    def _picture(loud: float, skin: float, noise: np.ndarray) -> np.ndarray:
        rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
        inside = ((columns - 60) / 12) ** 2 + ((rows - 80) / (1.5 + 6 * loud)) ** 2 < 1
        grey = np.where(inside, 40, skin) + noise
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2)

    @staticmethod
    def _mesh(loud: float) -> np.ndarray:
        points = np.zeros((478, 3))
        points[:, :2] = np.random.default_rng(0).uniform(20, 100, (478, 2))
        points[33, :2], points[263, :2] = (40, 50), (40 + EYES_PX, 50)
        for lip in (61, 291, 0, 17):
            points[lip, :2] = (60, 80)
        inner = list(LANDMARKS_68[60:68])
        points[inner, 0] = [52, 56, 60, 64, 68, 64, 60, 56]
        points[inner, 1] = 80 + np.array([0, -1, -1, -1, 0, 1, 1, 1]) * (0.5 + 6 * loud)
        return points


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Drawn]]:
    """People by the name of their source; nothing is read from the disk."""
    known: dict[str, list[Drawn]] = {}
    monkeypatch.setattr(training, "_clips", lambda source: iter(known[source.name]))
    return known


def test_it_learns_to_time_a_stranger(people: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people |= {name: [Drawn(name, seed)] for seed, name in enumerate(("ann", "ben", "cem"))}
    people["late"] = [Drawn("late", 7, late_frames=6)]
    people["stranger"] = [Drawn("stranger", 9)]
    sources = [tmp_path / name for name in ("ann", "ben", "cem", "late")]
    out = tmp_path / "nets" / "sync.safetensors"
    result = train_syncnet(sources, out, [tmp_path / "stranger"], steps=45)
    assert len(result["left_out"]) == 1 and result["left_out"][0].startswith("late: its sound is +")
    assert result["within_one"] >= 0.8 and abs(result["whole_offset_frames"]) <= 1
    assert result["in_step"] < result["out_of_step"] - 0.2
    facts = facts_of(out)
    assert str(tmp_path) not in str(facts) and "ann" in facts["people"] and "late" not in facts["people"]

    other = Drawn("other", 21, late_frames=5)
    errors = SyncErrors(proxy=out)
    for picture, mesh in other.frames:
        errors.add(picture, mesh)
    scores = {score.name: score for score in errors.scores(other.speech)}
    assert abs(scores["av_offset_frames@proxy"].value + 5) <= 1
    assert scores["lse_c@proxy"].value > 0.1 and scores["lse_d@proxy"].value < 2
    assert scores["lse_c@proxy"].frames == len(other.frames) - 9


def test_what_cannot_be_learnt_from_is_said(people: dict, tmp_path: Path) -> None:
    shy, mute = Drawn("shy", 1, seconds=5), Drawn("mute", 2, seconds=5)
    shy.frames = [(picture, None) for picture, _ in shy.frames]
    mute.speech = Speech(np.zeros(5 * SPEECH_HZ, np.float32))
    people |= {"shy": [shy], "mute": [mute]}
    with pytest.raises(UserError, match=r"shy: no face; mute: its sound is silent"):
        train_syncnet([tmp_path / "shy", tmp_path / "mute"], tmp_path / "net.safetensors")
    people["brief"] = [Drawn("brief", 3, seconds=1.5)]
    with pytest.raises(UserError, match="none shows a face for 50 frames"):
        train_syncnet([tmp_path / "brief"], tmp_path / "net.safetensors")


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no video"):
        train_syncnet([tmp_path], tmp_path / "net.safetensors")
    with pytest.raises(UserError, match="at least 10"):
        train_syncnet([tmp_path], tmp_path / "net.safetensors", steps=0)
