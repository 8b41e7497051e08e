"""The table of the design page lip-sync: how well each predictor of lips does on speech it has not heard.

Contiguous fifths of each long clip with 0.6 s of guard, GRID by clip; all five folds; one seed. Pre-trained nets never
saw the person they are tested on. Needs the development clips.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from talkface.audio.features import log_mel
from talkface.audio.lipnet import LipNet
from talkface.audio.lips import SHARES, LipPredictor, pretrain
from talkface.audio.mouth import eye_distance
from talkface.errors import UserError
from talkface.metrics import lips as measures
from talkface.pipeline.train_lips import TalkingClip, clips_of, fault_of
from talkface.progress import track_progress
from talkface.types import Speech

GUARD_FRAMES = 15
FOLDS = 5
GRID_CLIPS = 20
MODELS = ("ridge", "scratch", "tuned", "both nets", "ensemble", "matched")


@dataclass(frozen=True)
class Source:
    """Clips that share one scale, and whose they are."""

    person: str
    path: str
    may_ship: bool = False
    """GRID and public domain: what the net in the package may have seen."""


TESTED = {
    "cnn2": Source("cnn2", "speakers/cnn2/clip.mp4"),
    "edtalk_pose2": Source("edtalk_pose2", "speakers/edtalk_pose2/clip.mp4"),
    "obama_address": Source("obama", "speakers/obama_address/clip_256.mp4", True),
    "person31": Source("person31", "speakers/person31/clip.mp4"),
    "grid60": Source("grid_s1", "speakers/grid_s1", True),
}
OTHERS = (
    Source("obama", "speakers/obama_2/clip.mp4", True),
    Source("obama", "speakers/obama_3/clip.mp4"),
)
MORE = ("multi/grid", "multi/misc", "multi/voxceleb", "multi/wda_hdtf", "emotions/mead")
"""Folders in which every clip is another person."""

Corpus = Literal["shipped", "all"]


def benchmark_lips(
    out: Path,
    data: Path,
    clips: Sequence[str] = tuple(TESTED),
    corpus: Corpus = "shipped",
    seed: int = 0,
) -> dict[str, Any]:
    """Measure every predictor on every fold of `clips`; writes `lips-<corpus>.json` and returns the same.

    Args:
        out: Folder of the answer; tracks of the clips are kept in `out/tracks`.
        data: The development clips.
        corpus: What the pre-trained net learns from: only what may ship, or every clip in sync; never the tested
            person.

    Raises:
        UserError: a clip is absent or unknown.
    """
    if unknown := set(clips) - set(TESTED):
        raise UserError(f"no lip benchmark for {', '.join(sorted(unknown))}; there are {', '.join(TESTED)}")
    tracks = out / "tracks"
    people = _people(data, tracks, corpus)
    rows: dict[str, Any] = {}
    for name in track_progress(clips, "lip benchmark"):
        source = TESTED[name]
        net = pretrain([parts for person, parts in people if person != source.person], seed)
        found = clips_of(data / source.path, tracks)[:GRID_CLIPS]
        folds = _clip_folds(found) if name == "grid60" else _fifths(found[0])
        rows[name] = [_fold(train, test, net, seed) for train, test in folds]
    answer = {"corpus": corpus, "seed": seed, "clips": rows, "table": _table(rows)}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"lips-{corpus}.json").write_text(json.dumps(answer, indent=1))
    return answer


def _people(data: Path, tracks: Path, corpus: Corpus) -> list[tuple[str, Any]]:
    more = [
        Source(path.stem, str(path.relative_to(data)), folder == "multi/grid")
        for folder in MORE
        for path in sorted((data / folder).iterdir())
        if path.is_file() and "silent" not in path.stem
    ]
    people = []
    for source in (*TESTED.values(), *OTHERS, *more):
        if corpus == "all" or source.may_ship:
            sound = [clip for clip in clips_of(data / source.path, tracks) if not fault_of(clip)]
            if sound:
                people.append((source.person, [part for clip in sound for part in clip.parts()]))
    return people


def _fifths(clip: TalkingClip) -> list[tuple[TalkingClip, TalkingClip]]:
    edges = np.linspace(0, len(clip.valid), FOLDS + 1).astype(int)
    folds = []
    for start, stop in itertools.pairwise(edges):
        around = [(0, start - GUARD_FRAMES), (stop + GUARD_FRAMES, len(clip.valid))]
        train = tuple((int(a), int(b)) for a, b in around if b - a > FOLDS * GUARD_FRAMES)
        folds.append((_of(clip, train), _of(clip, ((int(start), int(stop)),))))
    return folds


def _clip_folds(found: Sequence[TalkingClip]) -> list[tuple[TalkingClip, TalkingClip]]:
    """GRID clips joined in time, every fifth one tested."""
    frames = [len(clip.valid) for clip in found]
    starts = np.cumsum([0, *frames])
    waveforms = []
    for clip in found:
        samples = len(clip.valid) * 640
        waveforms.append(np.pad(clip.speech.waveform[:samples], (0, max(0, samples - len(clip.speech.waveform)))))
    joined = TalkingClip(
        "grid60",
        Speech(np.concatenate(waveforms)),
        np.concatenate([clip.landmarks for clip in found]),
        np.concatenate([clip.valid for clip in found]),
        (),
    )
    spans = [(int(a), int(b)) for a, b in itertools.pairwise(starts)]
    return [
        (
            _of(joined, tuple(span for i, span in enumerate(spans) if i % FOLDS != fold)),
            _of(joined, tuple(spans[fold::FOLDS])),
        )
        for fold in range(FOLDS)
    ]


def _of(clip: TalkingClip, stretches: tuple[tuple[int, int], ...]) -> TalkingClip:
    return TalkingClip(clip.name, clip.speech, clip.landmarks, clip.valid, stretches)


def _fold(train: TalkingClip, test: TalkingClip, net: LipNet, seed: int) -> dict[str, dict[str, float]]:
    mel = log_mel(train.speech)
    predictor = LipPredictor.fit(mel, train.landmarks, train.valid, train.stretches, net, seed)
    parts = test.parts()
    said = [predictor.members(predictor.scale.normalisation.apply(part.mel), len(part)) for part in parts]
    values = {name: np.concatenate([each[name] for each in said]) for name in said[0]}
    values["both nets"] = (values["scratch"] + values["tuned"]) / 2
    values["ensemble"] = (1 - SHARES[2]) * values["both nets"] + SHARES[2] * values["ridge"]
    values["matched"] = predictor.matched(values["ensemble"])
    true = np.concatenate([part.landmarks for part in parts])
    true[~np.concatenate([part.valid for part in parts])] = np.nan
    known = np.concatenate([part.landmarks[part.valid] for part in train.parts()])
    threshold = measures.closed_threshold(measures.opening(known))
    decoded = {name: predictor.space.decode(predictor.targets.plain(values[name])) for name in MODELS}
    return {name: _score(landmarks, true, threshold, eye_distance(known)) for name, landmarks in decoded.items()}


def _score(predicted: np.ndarray, true: np.ndarray, threshold: float, iod: float) -> dict[str, float]:
    said, shown = measures.opening(predicted), measures.opening(true)
    away = np.linalg.norm((predicted - true)[:, 48:, :2], axis=-1)
    return {
        "mouth_r": measures.correlation(said, shown),
        "width_r": measures.correlation(measures.width(predicted), measures.width(true)),
        "error_iod": float(np.nanmean(away) / iod),
        "amplitude": measures.amplitude(said, shown),
        "velocity_r": measures.velocity_correlation(said, shown),
        "closure_f1": measures.closure_f1(said, shown, threshold),
        "shifted_r": measures.correlation(np.roll(said, len(said) // 2), shown),
    }


def _table(rows: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Mean over folds, then median over the long clips (GRID stands apart: its clips are alike)."""
    means = {
        clip: {
            model: {key: float(np.nanmean([f[model][key] for f in folds])) for key in folds[0][model]}
            for model in MODELS
        }
        for clip, folds in rows.items()
    }
    long = [clip for clip in rows if clip != "grid60"]
    table = {f"{clip} {model}": means[clip][model] for clip in rows for model in MODELS}
    for model in MODELS if long else ():
        keys = means[long[0]][model]
        table[f"median {model}"] = {key: float(np.median([means[clip][model][key] for clip in long])) for key in keys}
    return table
