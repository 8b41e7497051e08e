"""Pre-training and the lip benchmark on drawn talkers: folds do not touch, faults are named, the net is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.audio import lips
from talkface.audio.lipnet import Learning
from talkface.audio.weights import load_pretrained
from talkface.errors import UserError
from talkface.pipeline import benchmark_lips as benchmark
from talkface.pipeline import train_lips as training
from talkface.pipeline.train_lips import TalkingClip, fault_of, train_lips
from talkface.types import SPEECH_HZ, Speech


def clip(seconds: float, seed: int, late_frames: int = 0, name: str = "drawn") -> TalkingClip:
    """Low noise whose loudness is the mouth's opening, `late_frames` late."""
    draw = np.random.default_rng(seed)
    frames = int(seconds * 25)
    kernel = np.hanning(25) / np.hanning(25).sum()
    loudness = np.maximum(np.convolve(draw.normal(size=4 * frames + 200), kernel, "same") * 4, 0)
    carrier = np.convolve(draw.normal(size=len(loudness) * 160), np.ones(20) / 20, "same")
    sound = np.repeat(loudness, 160) * carrier + draw.normal(0, 1e-3, len(carrier))
    moment = 100 + 4 * np.arange(frames)
    landmarks = draw.normal(0, 0.01, (frames, 68, 3)) + np.linspace(-4, 4, 68)[:, None]
    landmarks[:, 60:68] = landmarks[:, 60:61]
    landmarks[:, [65, 66, 67], 1] -= loudness[moment][:, None]
    start = (100 - 4 * late_frames) * 160
    waveform = sound[start : start + frames * 640].astype(np.float32)
    valid = np.ones(frames, bool)
    return TalkingClip(name, Speech(waveform), landmarks.astype(np.float32), valid, ((0, frames),))


def test_faults_of_clips_are_named() -> None:
    assert fault_of(clip(12, 0)) == ""
    assert "frames off" in fault_of(clip(12, 0, late_frames=6))
    good, other = clip(60, 0), clip(60, 5)
    mixed = TalkingClip("mixed", other.speech, good.landmarks, good.valid, good.stretches)
    assert "agree too little" in fault_of(mixed)
    assert fault_of(TalkingClip("none", good.speech, good.landmarks, ~good.valid, good.stretches)) == "no face"
    assert fault_of(clip(3, 0)) == ""


def test_pre_training_writes_a_net_that_names_its_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"a": [clip(8, 0, name="one")], "b": [clip(8, 1, 6, name="late"), clip(3, 2, name="short")]}
    monkeypatch.setattr(training, "clips_of", lambda source: given[source.name])
    monkeypatch.setattr(training, "pretrain", lambda people, seed: lips.pretrain(people, seed, Learning(2, batch=2)))
    answer = train_lips([Path("a"), Path("b")], tmp_path / "deep" / "net.safetensors")
    assert answer["left_out"] and answer["left_out"][0].startswith("late")
    net, facts = load_pretrained(tmp_path / "deep" / "net.safetensors")
    assert facts["clips"] == "one; short" and facts["people"] == "2"
    assert net.head.out_channels == 89
    with pytest.raises(UserError, match="no clip is fit"):
        train_lips([], tmp_path / "other.safetensors")


def test_a_source_without_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no video"):
        training.clips_of(tmp_path)


def test_folds_cover_the_clip_once_and_keep_their_distance() -> None:
    whole = clip(40, 0)
    tested = []
    for train, test in benchmark._fifths(whole):
        ((start, stop),) = test.stretches
        tested += range(start, stop)
        for low, high in train.stretches:
            assert high <= start - 15 or low >= stop + 15
    assert sorted(tested) == list(range(1000))


def test_joined_clips_are_tested_whole() -> None:
    found = [clip(3, seed) for seed in range(10)]
    folds = benchmark._clip_folds(found)
    assert len(folds) == 5
    spans = [span for _, test in folds for span in test.stretches]
    assert sorted(spans) == [(75 * i, 75 * (i + 1)) for i in range(10)]
    for train, test in folds:
        assert not set(train.stretches) & set(test.stretches)
        assert len(train.speech.waveform) == 10 * 3 * SPEECH_HZ


def test_scores_know_the_truth_from_its_shift() -> None:
    true = clip(12, 0).landmarks.astype(float)
    score = benchmark._score(true, true, 0.1, 8.0)
    assert score["mouth_r"] == pytest.approx(1) and score["amplitude"] == pytest.approx(1)
    assert score["closure_f1"] == pytest.approx(1) and score["error_iod"] == 0
    assert abs(score["shifted_r"]) < 0.4


def test_unknown_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cnn2"):
        benchmark.benchmark_lips(tmp_path, tmp_path, clips=("nobody",))


@pytest.mark.slow
@pytest.mark.shared
def test_artificial_shifts_of_a_real_clip_are_found(shared_data: Path) -> None:
    from talkface.audio.sync import measure
    from talkface.face.track import track
    from talkface.io.sound import read_speech
    from talkface.io.video import read_frames

    path = shared_data / "speakers" / "cnn2" / "clip.mp4"
    found = track(read_frames(path, end_s=16.0))
    waveform = read_speech(path).waveform[: 16 * SPEECH_HZ]
    landmarks = np.asarray(found.landmarks, np.float32)
    own = measure(Speech(waveform), landmarks, found.valid)
    assert own.sure and own.in_step
    for shift in (-5, -2, 2, 5):
        moved = measure(Speech(np.roll(waveform, 640 * shift)), landmarks, found.valid)
        assert abs(moved.lag_frames - own.lag_frames - shift) <= 1
