"""`synthesize` writes a clip with sound, its truth, and a processed folder that opens."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.io.sound import read_speech
from talkface.io.store import PersonFolder
from talkface.io.video import probe, read_frames
from talkface.pipeline.synthesize import Synthesize, speech_sample, synthesize


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "a speaker"
    result = synthesize(out, Synthesize(seconds=2.2, size=96, head="builtin", recorded=True, processed=True))
    return out, result["clips"][0]


def test_clip_has_pictures_and_sound(made) -> None:
    out, clip = made
    assert clip["frames"] == 55
    info = probe(out / "clip.mp4")
    assert info.fps == pytest.approx(25)
    assert abs(read_speech(out / "clip.mp4").duration_s - 2.2) < 0.05


def test_truth_matches_the_folder_and_the_clip(made) -> None:
    out, clip = made
    folder = PersonFolder(out / "processed")
    folder.check()
    with np.load(clip["truth"], allow_pickle=False) as truth:
        assert np.allclose(folder.track.landmarks_px, truth["landmarks_px"], atol=1e-3)
        assert truth["mouth_opening"].shape == (55,)
        assert truth["phoneme_end_s"][-1] == pytest.approx(2.2)
    assert len(folder.test_indices) == 5
    shown = next(iter(read_frames(out / "clip.mp4")))
    shown = shown[1] if isinstance(shown, tuple) else shown
    assert np.abs(np.asarray(shown, float) - folder.frame(0)).mean() < 6


def test_many_people_and_emotions(tmp_path) -> None:
    options = Synthesize(seconds=0.2, size=48, head="builtin", recorded=True, people=2, emotions=("happy", "sad"))
    clips = synthesize(tmp_path / "many", options)["clips"]
    assert len(clips) == 4 and len({c["clip"] for c in clips}) == 4
    assert {c["emotion"] for c in clips} == {"happy", "sad"}


def test_mistakes_are_named(tmp_path) -> None:
    for wrong in (Synthesize(emotion="hungry"), Synthesize(people=0), Synthesize(size=1), Synthesize(voice="robot")):
        with pytest.raises(UserError):
            synthesize(tmp_path / "x", wrong)


def test_the_sample_is_there() -> None:
    assert 6 < read_speech(speech_sample()).duration_s < 9
