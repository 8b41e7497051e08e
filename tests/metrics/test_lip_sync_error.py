"""Sync errors against the published distance function, a straight copy of the protocol, and drawn talkers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from talkface import assets
from talkface.audio.mfcc import mfcc13
from talkface.errors import UserError
from talkface.metrics import lip_sync_error, sync_judges
from talkface.metrics.face_crops import syncnet_crop
from talkface.metrics.face_tracks import Place, Sighting
from talkface.metrics.lip_sync_error import SyncErrors
from talkface.metrics.sync_judges import SYNCNET, Judge, Manner, euclidean, offset_distances, sync_error
from talkface.nets.syncnet import SyncNet
from talkface.types import Speech

GOLDEN = Path(__file__).parents[1] / "nets" / "golden" / "sync_distances.npz"
BLANK = np.zeros((4, 4, 3), np.uint8)


def test_distances_are_the_published_ones() -> None:
    with np.load(GOLDEN, allow_pickle=False) as file:
        golden = dict(file)
    heard = np.pad(golden["sound"], ((15, 15), (0, 0)))
    curve = offset_distances(golden["lips"], heard, euclidean)
    np.testing.assert_allclose(curve, golden["mean_distance"], rtol=0, atol=1e-5)
    confidence, distance, offset = sync_error(curve)
    np.testing.assert_allclose([offset, confidence, distance], golden["offset_confidence_distance"], rtol=0, atol=1e-5)
    assert offset == -5  # the sound is five frames late


class Echo:
    """A net that sees numbers and hears numbers; equal ones have equal codes. What it hears is late."""

    def __init__(self, late_frames: int = 0) -> None:
        self.codes = np.random.default_rng(0).normal(0, 1, (3000, 16)).astype(np.float32)
        self.late_frames = late_frames

    def see(self, crops: np.ndarray) -> np.ndarray:
        return self.codes[crops[:-4, 0].astype(int)]

    def hear(self, windows: np.ndarray) -> np.ndarray:
        return self.codes[windows[:, 0, 0].astype(int) - self.late_frames]


def counting(first: int = 1000) -> Manner:
    """Pictures and sound that carry nothing but the number of their frame, counted from `first` on."""
    return Manner(
        "echo",
        SYNCNET.names,
        sync_error,
        euclidean,
        lambda picture, place: np.array([place.box[0]]),
        lambda speech: speech.waveform[::640, None] * 3000,
        lambda windows: np.arange(windows),
        rows=1,
        frames=5,
        more_frames_than=100,
        more_px_than=100.0,
    )


def clock(frames: int, first: int = 1000) -> Speech:
    """Sound whose value is the number of its frame, over 3000."""
    return Speech(np.repeat((np.arange(frames) + first) / 3000, 640) + 1e-9)


def watch(judge: Judge, frames: range, track: int = 0, size_px: float = 150.0, missed: int = 0) -> None:
    for frame in frames:
        where = Place(np.array([1000.0 + frame, 0, 0]), np.zeros(4))
        judge.look(Sighting(track, frame, frame - frames.start >= missed, size_px, BLANK, where))


@pytest.mark.parametrize("late", [-15, -4, 0, 3, 15])
def test_blocks_give_what_the_whole_gives(late: int) -> None:
    judge = Judge(counting(), Echo(late))
    watch(judge, range(700))
    numbers, windows = judge.numbers(clock(700))
    assert windows == 695 and numbers["av_offset_frames"] == -late
    codes = torch.from_numpy(judge._net.codes)
    seen, heard = codes[1000:1695], torch.nn.functional.pad(codes[1000 - late : 1695 - late], (0, 0, 15, 15))
    curve = torch.stack([torch.nn.functional.pairwise_distance(seen, heard[s : s + 695]).mean() for s in range(31)])
    assert numbers["lse_d"] == pytest.approx(float(curve.min()), abs=1e-5)
    assert numbers["lse_c"] == pytest.approx(float(curve.median() - curve.min()), abs=1e-5)


def test_a_later_track_is_held_against_its_own_sound() -> None:
    judge = Judge(counting(), Echo())
    watch(judge, range(60))  # too short
    watch(judge, range(90, 300), track=1)
    watch(judge, range(300, 480), track=2, size_px=90.0)  # too small
    watch(judge, range(500, 650), track=3)
    numbers, windows = judge.numbers(clock(650))
    assert windows == 205 + 145 and numbers["av_offset_frames"] == 0


def test_sound_that_ends_early_leaves_fewer_windows() -> None:
    judge = Judge(counting(), Echo())
    watch(judge, range(200))
    assert judge.numbers(clock(150))[1] == 145
    with pytest.raises(UserError, match="the sound ends before"):
        judge.numbers(clock(5))


@pytest.mark.parametrize(
    ("frames", "size_px", "missed", "says"),
    [
        (101, 150.0, 0, None),
        (100, 150.0, 0, "100 of 150 px"),
        (300, 100.0, 0, "300 of 100"),
        (110, 150.0, 10, "100 of"),
    ],
)
def test_short_and_small_tracks_are_refused_with_the_reason(
    frames: int, size_px: float, missed: int, says: str | None
) -> None:
    judge = Judge(counting(), Echo())
    watch(judge, range(frames), size_px=size_px, missed=missed)
    if says is None:
        assert judge.numbers(clock(frames))[1] == frames - 5
        return
    with pytest.raises(UserError, match=f"more than 100 frames on end and larger than 100 px.*{says}"):
        judge.numbers(clock(frames))


def test_without_a_face_the_reason_says_so() -> None:
    with pytest.raises(UserError, match="no face was seen"):
        Judge(counting(), Echo()).numbers(clock(200))


def test_memory_does_not_grow_with_the_video() -> None:
    import tracemalloc

    def peak(frames: int) -> int:
        judge = Judge(counting(), Wide())
        tracemalloc.start()
        watch(judge, range(frames))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    class Wide(Echo):
        def see(self, crops: np.ndarray) -> np.ndarray:
            return np.zeros((len(crops) - 4, 65536), np.float32)

    assert peak(600) < 1.3 * peak(200)


def test_networks_that_are_absent_or_broken_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [tmp_path])
    (tmp_path / "lipsync_expert.pth").write_text("<!doctype html>")
    errors = SyncErrors(proxy=tmp_path / "none.safetensors")
    errors.add(BLANK, None)
    scores = {score.name: score for score in errors.scores(clock(1))}
    assert all(score.value is None for score in scores.values())
    assert "syncnet_v2.model is not here" in scores["lse_c"].why
    assert "web page" in scores["expert_cosine"].why
    assert "not a sync network" in scores["lse_d@proxy"].why
    assert {"lse_c", "lse_d", "av_offset_frames"} <= set(scores)
    assert all(score.backend == "talkface syncnet" for name, score in scores.items() if name.endswith("@proxy"))


def test_silence_and_no_frames_give_no_number() -> None:
    errors = SyncErrors()
    assert all(score.value is None and score.why for score in errors.scores(clock(3)))
    errors.add(BLANK, None)
    assert all(score.value is None and score.why for score in errors.scores(Speech(np.zeros(64000))))


def test_syncnet_scores_a_clip_like_its_own_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole path with drawn weights, against the script's steps written out: crops, windows, MFCC, distances."""
    torch.manual_seed(0)
    net = SyncNet().eval()
    torch.save(net.state_dict(), tmp_path / "syncnet_v2.model")
    monkeypatch.setattr(assets, "folders", lambda: [tmp_path])
    draw = np.random.default_rng(1)
    speech = Speech((0.1 * draw.normal(0, 1, 26 * 640)).round(4))
    points = draw.uniform(0, 1, (478, 3)) * (130, 110, 5) + (40, 30, 0)
    pictures = [draw.integers(0, 256, (180, 200, 3)).astype(np.uint8) for _ in range(3)]
    monkeypatch.setattr(lip_sync_error, "SYNCNET", replace(SYNCNET, more_frames_than=20))
    monkeypatch.setattr(sync_judges, "_BLOCK_FRAMES", 9)
    errors = SyncErrors(proxy=tmp_path / "none")
    seen = [pictures[frame % 3] for frame in range(26)]
    for picture in seen:
        errors.add(picture, points)
    scores = {score.name: score for score in errors.scores(speech)}

    low, high = points[:, :2].min(0), points[:, :2].max(0)
    steady = Place(np.array([*(low + high) / 2, (high - low).max() / 2]), np.zeros(4))
    crops = np.stack([syncnet_crop(picture, steady) for picture in seen[:8]])
    with torch.inference_mode():
        bgr = torch.from_numpy(crops[..., ::-1].copy()).permute(3, 0, 1, 2)[None].float()
        lips = torch.cat([net.netfclip(net.netcnnlip(bgr[:, :, t : t + 5])[:, :, 0, 0, 0]) for t in range(3)])
        lips = lips[torch.arange(21) % 3]  # three pictures in turn
        cepstra = torch.from_numpy(mfcc13(speech).T[None, None].copy()).float()
        heard = torch.cat([net.sound(cepstra[0, :, :, 4 * t : 4 * t + 20]) for t in range(21)])
        padded = torch.nn.functional.pad(heard, (0, 0, 15, 15))
        curve = torch.stack([torch.nn.functional.pairwise_distance(lips, padded[s : s + 21]).mean() for s in range(31)])
    assert scores["lse_d"].frames == 21
    assert scores["lse_d"].value == pytest.approx(float(curve.min()), abs=1e-4)
    assert scores["lse_c"].value == pytest.approx(float(curve.median() - curve.min()), abs=1e-4)
    assert scores["av_offset_frames"].value == 15 - int(curve.argmin())
