"""The predictor on drawn talkers whose mouth is known, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from talkface.audio.features import log_mel
from talkface.audio.lipnet import Learning, LipNet, predict_values
from talkface.audio.lips import LipPredictor
from talkface.audio.mouth import opening, width
from talkface.audio.weights import load_pretrained, read_tensors, save_pretrained, write_tensors
from talkface.errors import UserError
from talkface.types import Speech

SHORT = Learning(steps=40, batch=3)


def fitted(talking, **options) -> LipPredictor:
    speech, landmarks, _ = talking(24.0, seed=1)
    valid = np.ones(len(landmarks), bool)
    valid[100:110] = False
    landmarks[100:110] = np.nan
    return LipPredictor.fit(log_mel(speech), landmarks, valid, learning=SHORT, fine_tuning=SHORT, **options)


@pytest.fixture(scope="module")
def predictor(talking) -> LipPredictor:
    return fitted(talking)


def test_predicts_speech_it_has_not_heard(talking, predictor) -> None:
    speech, _, true = talking(12.0, seed=2)
    got = predictor.predict(log_mel(speech), len(true))
    assert got.shape == (300, 68, 3) and np.isfinite(got).all()
    assert np.corrcoef(opening(got), true)[0, 1] > 0.85


def test_shifted_speech_is_not_predicted(talking, predictor) -> None:
    speech, _, true = talking(12.0, seed=2)
    shifted = Speech(np.roll(speech.waveform, 3 * 16000))
    assert abs(np.corrcoef(opening(predictor.predict(log_mel(shifted), len(true))), true)[0, 1]) < 0.3


def test_variance_matching_restores_the_persons_amplitude_and_keeps_the_order(talking, predictor) -> None:
    speech, _, _ = talking(12.0, seed=2)
    mel = log_mel(speech)
    plain, matched = (opening(predictor.predict(mel, 300, match_variance=m)) for m in (False, True))
    wanted = predictor.scale.targets.std[0] * predictor.scale.space.iod_cm
    assert 0.85 * wanted < matched.std() < 1.1 * wanted
    assert np.corrcoef(plain, matched)[0, 1] > 0.97


def test_silence_does_not_talk(talking, predictor) -> None:
    draw = np.random.default_rng(0)
    silence = Speech(draw.normal(0, 1e-3, 16000 * 10).astype(np.float32))
    speech, _, true = talking(12.0, seed=2)
    assert opening(predictor.predict(log_mel(silence))).std() < 0.3 * true.std()
    assert len(predictor.predict(log_mel(Speech(speech.waveform[:0])))) == 0


def test_another_recording_is_normalised_by_itself(talking, predictor) -> None:
    speech, _, true = talking(12.0, seed=2)
    quiet = Speech((speech.waveform * 0.1).astype(np.float32))
    own = opening(predictor.predict(log_mel(quiet), len(true), foreign=True))
    assert np.corrcoef(own, true)[0, 1] > 0.8
    reference = opening(predictor.predict(log_mel(speech), len(true), foreign=True))
    assert np.abs(own - reference).mean() < 0.25 * reference.std()


def test_same_seed_same_predictor_and_another_seed_another(talking, predictor) -> None:
    speech, _, _ = talking(6.0, seed=2)
    mel = log_mel(speech)
    state = torch.random.get_rng_state()
    again, other = fitted(talking), fitted(talking, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    np.testing.assert_array_equal(again.predict(mel), predictor.predict(mel))
    assert np.abs(other.predict(mel) - predictor.predict(mel)).max() > 1e-4


def test_file_keeps_everything(talking, predictor, tmp_path: Path) -> None:
    tuned = fitted(talking, pretrained=predictor.scratch[0])
    speech, _, _ = talking(6.0, seed=2)
    mel = log_mel(speech)
    for each in (predictor, tuned):
        each.save(tmp_path / "lips.safetensors")
        np.testing.assert_array_equal(LipPredictor.load(tmp_path / "lips.safetensors").predict(mel), each.predict(mel))
    older = LipPredictor.load(tmp_path / "lips.safetensors")
    arrays, facts = read_tensors(tmp_path / "lips.safetensors", "talkface-lips-1")
    write_tensors(tmp_path / "lips.safetensors", {k: v for k, v in arrays.items() if k != "closing"}, facts)
    without = LipPredictor.load(tmp_path / "lips.safetensors")
    assert without.matching.closing[0] == 0 < older.matching.closing[0]
    assert len(tuned.tuned) == 1 and [p.name for p in tmp_path.iterdir()] == ["lips.safetensors"]


def test_broken_files_are_refused(predictor, tmp_path: Path) -> None:
    path = tmp_path / "lips.safetensors"
    with pytest.raises(UserError, match="not there"):
        LipPredictor.load(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(UserError, match="not a safetensors"):
        LipPredictor.load(path)
    save_pretrained(path, predictor.scratch[0], {"clips": "none"})
    with pytest.raises(UserError, match="format"):
        LipPredictor.load(path)
    net, facts = load_pretrained(path)
    assert facts["clips"] == "none"
    torch.testing.assert_close(net.state_dict(), predictor.scratch[0].state_dict())


def test_too_little_speech_is_refused(talking) -> None:
    speech, landmarks, _ = talking(6.0)
    with pytest.raises(UserError, match="at least 8 s"):
        LipPredictor.fit(log_mel(speech), landmarks, np.ones(len(landmarks), bool))


def test_long_speech_in_blocks_is_the_same(predictor) -> None:
    mel = np.random.default_rng(0).normal(size=(4 * 4100, 80)).astype(np.float32)
    net = predictor.scratch[0]
    with torch.inference_mode():
        whole = net(torch.from_numpy(mel)[None])[0].numpy()
    np.testing.assert_allclose(predict_values([net], mel, 4100), whole, atol=1e-5)


def test_net_is_centred_small_and_sees_a_third_of_a_second() -> None:
    net = LipNet().eval()
    assert 80_000 < sum(p.numel() for p in net.parameters()) < 120_000
    mel = torch.randn(1, 800, 80, requires_grad=True)
    out = net(mel)
    assert out.shape == (1, 200, 89)
    out[0, 100].sum().backward()
    touched = mel.grad.abs().sum((0, 2)).nonzero()[:, 0]
    assert touched.min() == 400 - 34 and touched.max() == 400 + 34


def test_width_is_learnt_too(talking, predictor) -> None:
    speech, landmarks, _ = talking(12.0, seed=2)
    got = predictor.predict(log_mel(speech), 300)
    assert np.corrcoef(width(got), width(landmarks))[0, 1] > 0.7
