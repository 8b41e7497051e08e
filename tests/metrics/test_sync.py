"""Lip sync scores on lips drawn from the loudness of the sound."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.metrics.sync import sync_scores


@pytest.fixture(scope="module")
def long_person(drawn):
    return drawn.DrawnPerson(300)


def scores(person, late_frames: int = 0, frames: int = 300) -> dict[str, object]:
    points = np.roll(person.track.points_px, late_frames, axis=0)[:frames]
    return {score.name: score for score in sync_scores(person.speech, points)}


def test_lips_that_follow_the_sound_are_in_step(long_person) -> None:
    found = scores(long_person)
    assert found["sync_r"].value > 0.7, "loudness follows the drawn mouth"
    assert abs(found["sync_lag_frames"].value) <= 1


@pytest.mark.parametrize("late_frames", [-5, 4])
def test_lips_out_of_step_move_the_lag(long_person, late_frames: int) -> None:
    found = scores(long_person, late_frames)["sync_lag_frames"].value
    in_step = scores(long_person)["sync_lag_frames"].value
    assert found - in_step == pytest.approx(-late_frames, abs=1), "lips that are late leave the sound early"


def test_lips_of_other_speech_have_a_lower_r(long_person) -> None:
    assert scores(long_person, 100)["sync_r"].value < scores(long_person)["sync_r"].value - 0.2


def test_too_short_a_stretch_says_so(long_person) -> None:
    found = scores(long_person, frames=60)
    assert found["sync_r"].value is None and "too little" in found["sync_r"].why
    assert found["sync_r"].frames == 60
