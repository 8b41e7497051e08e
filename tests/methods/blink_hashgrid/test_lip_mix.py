from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from talkface.audio.features import log_mel
from talkface.audio.lipnet import Learning
from talkface.audio.lips import LipPredictor
from talkface.audio.mouth import MOVING, opening
from talkface.methods.blink_hashgrid.lip_mix import mixed_lips
from talkface.methods.blink_hashgrid.motion_config import MotionConfig
from talkface.types import Speech

FRAMES = 250
MOUTH = list(MOVING)
STILL = [point for point in range(68) if point not in MOVING]


@pytest.fixture(scope="module")
def person() -> tuple[np.ndarray, np.ndarray, LipPredictor]:
    """Landmarks, log-mel, and a lip predictor that hardly learned: only what is done with it matters here."""
    rng = np.random.default_rng(0)
    waveform = (rng.normal(size=FRAMES * 640) * np.abs(np.sin(np.arange(FRAMES * 640) / 3000)) * 0.1).astype(np.float32)
    loud = np.abs(waveform).reshape(FRAMES, 640).mean(1)
    landmarks = np.repeat(rng.normal(size=(1, 68, 3)) * 3, FRAMES, 0)
    landmarks[:, 65:68, 1] -= 10 * loud[:, None]
    landmarks += 0.02 * rng.normal(size=landmarks.shape)
    landmarks = landmarks.astype(np.float32)
    mel = log_mel(Speech(waveform))
    quick = Learning(steps=3)
    return landmarks, mel, LipPredictor.fit(mel, landmarks, np.ones(FRAMES, bool), learning=quick, fine_tuning=quick)


def test_only_mouth_and_chin_are_touched(person: tuple[np.ndarray, np.ndarray, LipPredictor]) -> None:
    landmarks, mel, predictor = person
    mel = predictor.scale.normalisation.apply(mel)
    for lips in ("dlt", "predictors", "average"):
        mixed = mixed_lips(landmarks, mel, predictor, MotionConfig(lips=lips))  # type: ignore[arg-type]
        assert np.array_equal(mixed[:, STILL], landmarks[:, STILL])
        assert not np.array_equal(mixed[:, MOUTH], landmarks[:, MOUTH])


def test_predictors_alone_are_what_they_predict(person: tuple[np.ndarray, np.ndarray, LipPredictor]) -> None:
    landmarks, mel, predictor = person
    alone = mixed_lips(landmarks, predictor.scale.normalisation.apply(mel), predictor, MotionConfig(lips="predictors"))
    np.testing.assert_allclose(alone[:, MOUTH], predictor.predict(mel, FRAMES)[:, MOUTH], atol=1e-5)


def test_transformer_alone_keeps_its_mouth_and_the_mean_lies_between(
    person: tuple[np.ndarray, np.ndarray, LipPredictor],
) -> None:
    landmarks, mel, predictor = person
    mel = predictor.scale.normalisation.apply(mel)
    plain = MotionConfig(match_variance=False)
    own = mixed_lips(landmarks, mel, predictor, replace(plain, lips="dlt"))
    np.testing.assert_allclose(opening(own), opening(landmarks), atol=0.02)
    theirs = mixed_lips(landmarks, mel, predictor, replace(plain, lips="predictors"))
    mean = mixed_lips(landmarks, mel, predictor, replace(plain, lips="average", dlt_weight=0.25))
    between = 0.25 * own + 0.75 * theirs
    assert np.abs(opening(mean) - opening(between)).max() < 0.1 * opening(own).std()


def test_matching_returns_the_amplitude(person: tuple[np.ndarray, np.ndarray, LipPredictor]) -> None:
    landmarks, mel, predictor = person
    small = landmarks.mean(0) + 0.6 * (landmarks - landmarks.mean(0))
    mixed = mixed_lips(small, predictor.scale.normalisation.apply(mel), predictor, MotionConfig(lips="dlt"))
    assert opening(small).std() / opening(landmarks).std() == pytest.approx(0.6, abs=0.05)
    assert opening(mixed).std() / opening(landmarks).std() == pytest.approx(1, abs=0.1)
