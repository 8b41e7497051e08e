"""Speech with phoneme timings: lengths, order, and that the timings fit the sound."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.data.synthetic.articulation import VISEMES, mouth_track, mouth_weights, visemes
from talkface.data.synthetic.motion import blinks
from talkface.data.synthetic.voice import HELD_OUT, VOICES, Phoneme, installed, load, speak, synthesise
from talkface.errors import UserError
from talkface.types import SPEECH_HZ

SOURCES = [True, pytest.param(False, marks=pytest.mark.skipif(not installed(), reason="espeak-ng ABSENT"))]


def loudness_of(waveform: np.ndarray, phonemes: tuple[Phoneme, ...], wanted) -> float:
    parts = [waveform[int(p.start_s * SPEECH_HZ) : int(p.end_s * SPEECH_HZ)] ** 2 for p in phonemes if wanted(p.symbol)]
    return float(np.sqrt(np.concatenate(parts).mean()))


@pytest.mark.parametrize("recorded", SOURCES)
@pytest.mark.parametrize("voice", VOICES)
def test_speech_has_the_length_asked_for_and_timings_without_gaps(recorded, voice) -> None:
    said = speak(6.0, voice, np.random.default_rng(1), recorded=recorded)
    assert len(said.speech.waveform) == 6 * SPEECH_HZ
    assert np.abs(said.speech.waveform).max() <= 1.0
    starts, ends = (np.array([getattr(p, name) for p in said.phonemes]) for name in ("start_s", "end_s"))
    assert starts[0] == 0 and ends[-1] == pytest.approx(6.0)
    assert np.all(ends > starts - 1e-9)
    assert np.abs(starts[1:] - ends[:-1]).max() < 0.02


@pytest.mark.parametrize("recorded", SOURCES)
def test_pauses_are_silent_and_vowels_louder_than_stops(recorded) -> None:
    said = speak(12.0, "alto", np.random.default_rng(2), recorded=recorded)
    loud = [
        loudness_of(said.speech.waveform, said.phonemes, lambda s, group=group: s.strip("',") in group)
        for group in (("_", "_:"), ("p", "t", "k"), ("a", "A:", "0", "E", "i:", "aI", "eI", "oU", "V"))
    ]
    assert loud[0] < 0.25 * loud[2] and loud[1] < 0.6 * loud[2]


def test_the_end_of_recorded_speech_uses_sentences_of_its_own() -> None:
    seconds = 66.0
    said = speak(seconds, "alto", np.random.default_rng(3), recorded=True)
    _, starts = load("speech")
    assert len(starts) == 10
    symbols = [(p.start_s, p.symbol) for p in said.phonemes]
    cut = seconds * (1 - HELD_OUT)
    late = "".join(s for t, s in symbols if t > cut + 5.0)
    early = "".join(s for t, s in symbols if t < cut - 5.0)
    assert late and late[:40] not in early


@pytest.mark.skipif(not installed(), reason="espeak-ng ABSENT")
def test_a_text_is_said() -> None:
    said = synthesise("My mother.", VOICES["baritone"])
    spoken = [p.symbol.strip("',") for p in said.phonemes]
    assert spoken.count("m") == 2 and "D" in spoken


def test_a_text_without_espeak_is_refused() -> None:
    with pytest.raises(UserError, match="espeak"):
        speak(2.0, "alto", np.random.default_rng(0), text="hello", recorded=True)


def test_sample_is_another_text_than_the_recording() -> None:
    sample, _ = load("speech_sample")
    whole, _ = load("speech")
    assert 6 < sample.speech.duration_s < 9 and 30 < whole.speech.duration_s < 41
    said, known = ("".join(p.symbol for p in u.phonemes) for u in (sample, whole))
    assert said[20:60] not in known


def test_every_phoneme_of_the_recordings_has_a_mouth_shape() -> None:
    for name in ("speech", "speech_sample"):
        for phoneme in load(name)[0].phonemes:
            assert all(shape in VISEMES for shape in visemes(phoneme.symbol))
    assert visemes("'aI") == ("ah", "ih") and visemes("_:") == ("rest",) and visemes("m") == ("lips",)


def test_a_bilabial_shuts_the_lips_between_vowels() -> None:
    word = (Phoneme(0.0, 0.3, "_"), Phoneme(0.3, 0.5, "'A:"), Phoneme(0.5, 0.58, "m"), Phoneme(0.58, 0.8, "'A:"))
    times = np.arange(0, 0.8, 0.01)
    weights = mouth_weights(mouth_track(word, times, np.random.default_rng(0)))
    at_m, at_a = np.argmin(np.abs(times - 0.54)), np.argmin(np.abs(times - 0.40))
    assert weights["mouthClose"][at_m] > 0.9 * weights["jawOpen"][at_m]
    assert weights["jawOpen"][at_a] > 0.25 and weights["mouthClose"][at_a] < 0.05


def test_rounding_spreads_to_the_consonant_before() -> None:
    def pucker_at_s(vowel: str) -> float:
        word = (Phoneme(0.0, 0.1, "s"), Phoneme(0.1, 0.3, vowel))
        return float(mouth_weights(mouth_track(word, np.array([0.07]), np.random.default_rng(0)))["mouthPucker"][0])

    assert pucker_at_s("'u:") > pucker_at_s("'i:") + 0.05


def test_blinks_have_a_human_rate_and_length() -> None:
    closure = blinks(25 * 600, 25.0, 18.0, np.random.default_rng(0))[:, 0]
    shut = closure > 0.5
    onsets = np.flatnonzero(shut[1:] & ~shut[:-1])
    assert 13 <= len(onsets) / 10 <= 23
    assert 3 <= shut.sum() / len(onsets) <= 8
    assert closure.max() <= 1 and blinks(100, 25.0, 0.0, np.random.default_rng(0)).max() == 0
