"""Lag of drawn talkers whose lag is known."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.audio.sync import measure
from talkface.errors import UserError
from talkface.types import Speech


@pytest.mark.parametrize("late", [-5, -1, 0, 3, 5])
def test_finds_how_late_the_sound_is(talking, late: int) -> None:
    speech, landmarks, _ = talking(10.0, seed=3, late_frames=late)
    result = measure(speech, landmarks, np.ones(len(landmarks), bool))
    assert abs(result.lag_frames - late) <= 1
    assert result.sure
    if abs(late) == 5:
        assert not result.in_step and abs(result.correction_frames - (late - 1)) <= 1
    elif late < 3:
        assert result.in_step and result.correction_frames == 0


def test_bad_frames_are_left_out(talking) -> None:
    speech, landmarks, _ = talking(16.0, seed=3, late_frames=2)
    valid = np.ones(len(landmarks), bool)
    valid[180:190] = False
    landmarks[180:190] = np.nan
    assert measure(speech, landmarks, valid).lag_frames in (1, 2, 3)


def test_another_voice_is_not_in_sync(talking) -> None:
    _, landmarks, _ = talking(20.0, seed=3)
    speech, _, _ = talking(20.0, seed=4)
    result = measure(speech, landmarks, np.ones(len(landmarks), bool))
    assert result.r < 0.3 and not result.sure and result.correction_frames == 0


def test_too_little_is_refused(talking) -> None:
    speech, landmarks, _ = talking(3.0)
    with pytest.raises(UserError, match="at least 4 s"):
        measure(speech, landmarks, np.ones(len(landmarks), bool))
    speech, landmarks, _ = talking(8.0)
    valid = np.arange(len(landmarks)) % 8 != 0
    with pytest.raises(UserError, match="scattered"):
        measure(Speech(speech.waveform), landmarks, valid)
