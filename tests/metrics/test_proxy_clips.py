"""The package's sync network on people it never saw, whose sound is moved or is somebody else's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.face.detect import Detector
from talkface.io.sound import read_speech
from talkface.io.video import read_frames
from talkface.metrics.lip_sync_error import SyncErrors
from talkface.types import Speech

CLIPS = ("multi/misc/retalking_4.mp4", "multi/voxceleb/00015.mp4", "multi/misc/styletalk_feifeili2.mp4")


def moved(speech: Speech, frames: int) -> Speech:
    """The sound this many frames later."""
    silence = np.zeros(max(0, 640 * frames), np.float32)
    return Speech(np.concatenate([silence, speech.waveform[max(0, -640 * frames) :]]))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("clip", CLIPS)
def test_the_proxy_finds_how_far_the_sound_was_moved(shared_data: Path, clip: str) -> None:
    errors, speech = SyncErrors(), read_speech(shared_data / clip)
    with Detector() as detector:
        for frame in read_frames(shared_data / clip):
            errors.add(frame, detector.detect(frame))
    scores = {
        shift: {score.name: score.value for score in errors.scores(moved(speech, shift))} for shift in (-6, -2, 0, 3, 6)
    }
    own = scores[0]["av_offset_frames@proxy"]
    assert abs(own) <= 2
    for shift, found in scores.items():
        assert abs(found["av_offset_frames@proxy"] - own + shift) <= 1, shift
    another = read_speech(shared_data / "speakers/person31/clip.mp4")
    foreign = {score.name: score.value for score in errors.scores(another)}
    assert foreign["lse_c@proxy"] < 0.7 * scores[0]["lse_c@proxy"]
    assert foreign["lse_d@proxy"] > scores[0]["lse_d@proxy"] + 0.05
