"""Windows of every provider: shapes, moments, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.audio.providers import PROVIDERS, speech_windows
from talkface.errors import UserError
from talkface.types import SPEECH_HZ, Speech


def click(at_s: float, seconds: float = 3.0) -> Speech:
    waveform = np.random.default_rng(0).normal(0, 1e-3, int(seconds * SPEECH_HZ)).astype(np.float32)
    waveform[int(at_s * SPEECH_HZ)] = 1.0
    return Speech(waveform)


@pytest.mark.parametrize("name", ["mel", "mel29", "wav2lip", "wav2lip_centred"])
def test_windows_have_their_shape(name: str) -> None:
    shape = next(p.shape for p in PROVIDERS if p.name == name)
    assert shape is not None
    got = speech_windows(name, click(1.0), 75)
    assert got.shape == (75, *shape) and got.dtype == np.float32 and np.isfinite(got).all()
    assert speech_windows(name, Speech(np.zeros(0, np.float32)), 2).shape == (2, *shape)


@pytest.mark.parametrize("name", ["mel", "mel29"])
def test_a_click_is_at_the_centre_of_its_frame(name: str) -> None:
    got = speech_windows(name, click(30 / 25), 75).sum(2)
    assert got[30].argmax() == 8
    assert abs(got[28].argmax() - 8) == {"mel": 8 - 1, "mel29": 4}[name] or name == "mel"


def test_wav2lip_windows_start_where_its_code_starts_them() -> None:
    speech = click(40 / 25)
    rows = speech_windows("wav2lip", speech, 75).sum(2).argmax(1)
    assert rows[40] == int(80 * 40 / 25) - int(80 * 40 / 25) == 0
    assert rows[38] == 128 - int(80 * 38 / 25)
    assert speech_windows("wav2lip_centred", speech, 75).sum(2).argmax(1)[40] == 128 - int(80 * 38 / 25)


def test_deepspeech_comes_from_a_file(tmp_path: Path) -> None:
    speech = click(1.0)
    values = np.random.default_rng(0).normal(size=(80, 16, 29)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(speech_windows("deepspeech", speech, 75, tmp_path / "a.npy"), values[:75])
    with pytest.raises(UserError, match="mel29"):
        speech_windows("deepspeech", speech, 75)
    with pytest.raises(UserError, match="expected"):
        speech_windows("deepspeech", speech, 90, tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="not a plain"):
        speech_windows("deepspeech", speech, 75, tmp_path / "b.npy")


@pytest.mark.parametrize("name", ["wav2vec2", "hubert"])
def test_recognisers_without_weights_are_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=name):
        speech_windows(name, click(1.0), 75, tmp_path)


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(UserError, match="mel29"):
        speech_windows("melon", click(1.0), 75)
