"""Pre-training and the lip benchmark on drawn talkers: folds do not touch, faults are named, the net is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface.audio import lips
from talkface.audio.features import log_mel
from talkface.audio.lipnet import Learning, LipNet
from talkface.audio.weights import load_pretrained
from talkface.errors import UserError
from talkface.methods.blink_hashgrid.motion_config import motion_preset
from talkface.pipeline import benchmark_lips as benchmark
from talkface.pipeline import lip_folds
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
    for train, test in lip_folds.fifths(whole):
        ((start, stop),) = test.stretches
        tested += range(start, stop)
        for low, high in train.stretches:
            assert high <= start - 15 or low >= stop + 15
    assert sorted(tested) == list(range(1000))


def test_joined_clips_are_tested_whole() -> None:
    found = lip_folds.splits([clip(3, seed) for seed in range(10)])
    assert list(found) == [*(f"fold {i}" for i in range(1, 6)), "last 1/11"]
    (learnt,), (tested,) = found["last 1/11"][0].stretches[-1:], found["last 1/11"][1].stretches
    assert learnt == (600, 675) and tested == (675, 750)
    folds = [found[f"fold {i}"] for i in range(1, 6)]
    spans = [span for _, test in folds for span in test.stretches]
    assert sorted(spans) == [(75 * i, 75 * (i + 1)) for i in range(10)]
    for train, test in folds:
        assert not set(train.stretches) & set(test.stretches)
        assert len(train.speech.waveform) == 10 * 3 * SPEECH_HZ


def test_the_last_eleventh_is_what_training_leaves() -> None:
    train, test = lip_folds.splits([clip(44, 0)])["last 1/11"]
    assert test.stretches == ((1000, 1100),) and train.stretches == ((0, 985),)


def test_scores_know_the_truth_from_its_shift() -> None:
    true = clip(12, 0).landmarks.astype(float)
    score = lip_folds.score(true, true, 0.1, 8.0)
    assert score["mouth_r"] == pytest.approx(1) and score["amplitude"] == pytest.approx(1)
    assert score["closure_f1"] == pytest.approx(1) and score["error_iod"] == 0
    assert abs(score["shifted_r"]) < 0.4 and score["shifted_f1"] < 0.9
    still = lip_folds.score(np.broadcast_to(true.mean(0), true.shape), true, 0.1, 8.0)
    assert still["mouth_r"] is None and still["amplitude"] == pytest.approx(0)


def test_every_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mouth follows the sound, so what hears it beats what does not."""
    quick = Learning(60, batch=3)
    monkeypatch.setattr(benchmark, "motion_preset", lambda _: motion_preset("test"))
    train, test = lip_folds.splits([clip(4, seed) for seed in range(6)])["fold 1"]
    predictor = lips.LipPredictor.fit(
        log_mel(train.speech), train.landmarks, train.valid, train.stretches, LipNet(), 0, quick, quick
    )
    said = benchmark.predictions(predictor, train, test) | benchmark.transformed(predictor, train, test, 0)
    assert all(np.isfinite(landmarks).all() for landmarks in said.values())
    scores = benchmark._scores(train, test, said)["models"]
    assert scores["matched"]["mouth_r"] > 0.6 > abs(scores["mean curve"]["mouth_r"] or 0)
    assert scores["matched"]["mouth_r"] > abs(scores["matched"]["shifted_r"]) + 0.3
    assert scores["training mean"]["mouth_r"] is None and scores["training mean"]["error_iod"] > 0
    assert {"ridge", "scratch", "tuned", "ensemble", "transformer, matched", "matched, with transformer"} < set(scores)


def test_what_was_measured_is_kept_and_tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"models": {"ridge": dict.fromkeys(benchmark.MEASURES, 0.5)}, "test_frames": 50, "train_frames": 500}
    calls: list[str] = []
    quick = Learning(1, batch=1)
    fit = lips.LipPredictor.fit
    monkeypatch.setattr(benchmark.LipPredictor, "fit", lambda *a: fit(*a[:5], learning=quick, fine_tuning=quick))
    monkeypatch.setattr(benchmark, "clips_of", lambda path, tracks: [clip(22, 0)])
    monkeypatch.setattr(benchmark, "_pretrained", lambda *given: LipNet())
    monkeypatch.setattr(benchmark, "predictions", lambda *given: calls.append("fold"))
    monkeypatch.setattr(benchmark, "transformed", lambda *given: calls.append("transformer"))
    monkeypatch.setattr(benchmark, "_scores", lambda *given: row)
    first = benchmark.benchmark_lips(tmp_path, tmp_path, ("cnn2",))
    assert calls == ["fold"] * 6 + ["transformer"]
    assert benchmark.benchmark_lips(tmp_path, tmp_path, ("cnn2",)) == first and len(calls) == 7
    table = (tmp_path / "table.md").read_text()
    assert "Median over cnn2" in table and "last 1/11 (2.0 s of test)" in table and "0.500" in table


def test_medians_are_over_clips_and_means_over_folds() -> None:
    def row(value: float | None) -> dict:
        return {"models": {"ridge": dict.fromkeys(benchmark.MEASURES, value)}, "test_frames": 50}

    results = {name: {"fold 1": row(v), "fold 2": row(v + 0.2)} for name, v in (("a", 0.1), ("b", 0.3), ("c", 0.7))}
    results["grid60"] = {"fold 1": row(None)}
    table = benchmark.markdown(results)
    median, *rest = [line for line in table.splitlines() if line.startswith("| ridge")]
    assert median.split(" | ")[1] == "0.400" and [line.split(" | ")[1] for line in rest] == [
        "0.200",
        "0.400",
        "0.800",
        "–",
    ]


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
