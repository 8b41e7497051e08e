"""The regression sync on real clips whose sound is moved by known amounts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.audio.sync import SURE_R, measure
from talkface.face.detect import LANDMARKS_68, Detector
from talkface.io.sound import read_speech
from talkface.io.video import read_frames
from talkface.types import SPEECH_HZ, Speech

CLIPS = (
    "speakers/cnn2/clip.mp4",
    "speakers/edtalk_pose2/clip.mp4",
    "speakers/obama_2/clip.mp4",
    "speakers/obama_3/clip.mp4",
    "speakers/obama_address/clip_256.mp4",
    "speakers/person31/clip.mp4",
    "multi/misc/latentsync_demo1.mp4",
    "multi/misc/latentsync_demo3.mp4",
)
"""Those of more than 8 s that reach r 0.45."""


def moved(speech: Speech, frames: int) -> Speech:
    """The sound this many frames later."""
    samples = frames * SPEECH_HZ // 25
    if samples < 0:
        return Speech(speech.waveform[-samples:])
    return Speech(np.concatenate([np.zeros(samples, np.float32), speech.waveform]))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("clip", CLIPS)
def test_a_moved_sound_is_found_within_a_frame(shared_data: Path, clip: str) -> None:
    speech = read_speech(shared_data / clip)
    with Detector() as detector:
        found = [detector.detect(frame) for frame in read_frames(shared_data / clip)]
    meshes = np.array([np.full((478, 3), np.nan) if mesh is None else mesh for mesh in found])
    landmarks = meshes[:, list(LANDMARKS_68)]
    valid = np.isfinite(landmarks).all((1, 2))
    own = measure(speech, landmarks, valid)
    assert own.seconds > 8 and own.r >= SURE_R
    lags = {shift: measure(moved(speech, shift), landmarks, valid).lag_frames for shift in range(-5, 6)}
    errors = {shift: lag - own.lag_frames - shift for shift, lag in lags.items()}
    print(f"{clip} | {own.r:.2f} | {own.lag_frames:+d} | {max(map(abs, errors.values()))}")
    assert max(map(abs, errors.values())) <= 1, errors
