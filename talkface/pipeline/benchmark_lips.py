"""The table of the design page lip-sync: how well each predictor of lips does on speech it has not heard.

Pre-trained nets never saw the person they are tested on. Needs the development clips. Tracks, nets and every fold are
kept, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from talkface.audio.corpus import Part
from talkface.audio.features import log_mel, windows
from talkface.audio.lipnet import LipNet
from talkface.audio.lips import SHARES, LipPredictor, pretrain
from talkface.audio.mouth import eye_distance
from talkface.audio.weights import load_pretrained, save_pretrained
from talkface.engine import trainer
from talkface.engine.run import Run, write_json, write_text
from talkface.errors import UserError
from talkface.methods.blink_hashgrid import motion_train
from talkface.methods.blink_hashgrid.lip_mix import mixed_lips
from talkface.methods.blink_hashgrid.motion import MotionModel
from talkface.methods.blink_hashgrid.motion_config import MotionConfig, motion_preset
from talkface.metrics import lips as measures
from talkface.pipeline import lip_folds
from talkface.pipeline.lip_folds import GRID, GRID_CLIPS, MORE, OTHERS, TESTED, Source
from talkface.pipeline.train_lips import TalkingClip, clips_of, fault_of
from talkface.progress import track_progress

TRANSFORMER = (("cnn2", "fold 2"), ("edtalk_pose2", "fold 2"))
"""Where the Dynamic Landmark Transformer is trained beside the predictors: it costs six times as much as they do."""
TRANSFORMED = "transformer, matched"
MEASURES = {
    "mouth_r": "mouth_r",
    "width_r": "r width",
    "error_iod": "error (iod)",
    "amplitude": "amplitude",
    "velocity_r": "velocity r",
    "closure_f1": "closure F1",
    "shifted_r": "shifted: r",
    "shifted_f1": "shifted: F1",
}
Corpus = Literal["shipped", "all"]
Landmarks = Float[np.ndarray, "frames 68 3"]


def benchmark_lips(
    out: Path, data: Path, clips: Sequence[str] = tuple(TESTED), corpus: Corpus = "shipped", seed: int = 0
) -> dict[str, Any]:
    """Measure every predictor on every split of `clips`; writes table.md and table.json, and prints the table.

    Args:
        out: Folder of the answer and of what is kept: tracks, nets, folds.
        data: The development clips.
        corpus: What the pre-trained net learns from: only what may ship, or every clip in sync; never the tested
            person.

    Raises:
        UserError: a clip is absent or unknown.
    """
    if unknown := set(clips) - set(TESTED):
        raise UserError(f"no lip benchmark for {', '.join(sorted(unknown))}; there are {', '.join(TESTED)}")
    results: dict[str, dict[str, Any]] = {}
    for name in track_progress(clips, "lip benchmark"):
        results[name] = {}
        found = clips_of(data / TESTED[name].path, out / "tracks")[:GRID_CLIPS]
        for split, (train, test) in lip_folds.splits(found).items():
            kept = _kept(out, corpus, seed, name, split)
            if not kept.is_file():
                net = _pretrained(out, data, corpus, TESTED[name].person, seed)
                predictor = LipPredictor.fit(
                    log_mel(train.speech), train.landmarks, train.valid, train.stretches, net, seed
                )
                said = predictions(predictor, train, test)
                predictor.save(kept.with_suffix(".safetensors"))
                write_json(kept, _scores(train, test, said))
            results[name][split] = json.loads(kept.read_text())
        _write(out, results)
    for name, split in TRANSFORMER:
        if name in clips:
            kept = _kept(out, corpus, seed, name, f"{split} transformer")
            if not kept.is_file():
                train, test = lip_folds.splits(clips_of(data / TESTED[name].path, out / "tracks"))[split]
                predictor = LipPredictor.load(_kept(out, corpus, seed, name, split).with_suffix(".safetensors"))
                write_json(kept, _scores(train, test, transformed(predictor, train, test, seed)))
            results[name][split]["models"] |= json.loads(kept.read_text())["models"]
            _write(out, results)
    print((out / "table.md").read_text())
    return {"clips": results}


def predictions(predictor: LipPredictor, train: TalkingClip, test: TalkingClip) -> dict[str, Landmarks]:
    """What each model says about the tested part, having learnt from the other; and what needs no sound at all."""
    parts = test.parts()
    mels = [predictor.scale.normalisation.apply(part.mel) for part in parts]
    said = [predictor.members(mel, len(part)) for mel, part in zip(mels, parts, strict=True)]
    values = {name: np.concatenate([each[name] for each in said]) for name in said[0]}
    values["both nets"] = (values["scratch"] + values["tuned"]) / 2
    values["ensemble"] = (1 - SHARES[2]) * values["both nets"] + SHARES[2] * values["ridge"]
    values["matched"] = predictor.matched(values["ensemble"])
    shown = {"training mean": np.broadcast_to(predictor.space.mean, (len(values["ridge"]), 68, 3))}
    if len(train.stretches) > 2:  # sentences of one form
        shown["mean curve"] = np.concatenate([_mean_curve(train, len(part)) for part in parts])
    return shown | {name: predictor.space.decode(predictor.targets.plain(value)) for name, value in values.items()}


def transformed(predictor: LipPredictor, train: TalkingClip, test: TalkingClip, seed: int) -> dict[str, Landmarks]:
    """The Dynamic Landmark Transformer alone, and averaged with the predictors as BLINK does by default."""
    model = _transformer(train.parts(), predictor, seed)
    parts = test.parts()
    mel = np.concatenate([predictor.scale.normalisation.apply(part.mel) for part in parts])
    own = [model.predict(_windows(predictor, part), np.zeros(len(part))) for part in parts]
    lips: dict[str, Literal["dlt", "average"]] = {TRANSFORMED: "dlt", "matched, with transformer": "average"}
    return {row: mixed_lips(np.concatenate(own), mel, predictor, MotionConfig(lips=of)) for row, of in lips.items()}


def _scores(train: TalkingClip, test: TalkingClip, said: Mapping[str, Landmarks]) -> dict[str, Any]:
    true = np.concatenate([part.landmarks for part in test.parts()]).astype(float)
    true[~np.concatenate([part.valid for part in test.parts()])] = np.nan
    known = np.concatenate([part.landmarks[part.valid] for part in train.parts()])
    threshold, iod = measures.closed_threshold(measures.opening(known)), eye_distance(known)
    models = {name: lip_folds.score(landmarks, true, threshold, iod) for name, landmarks in said.items()}
    return {"test_frames": len(true), "train_frames": len(known), "models": models}


def _mean_curve(train: TalkingClip, frames: int) -> Landmarks:
    """Frame by frame the mean of the training sentences: no sound is used."""
    length = max(frames, *(stop - start for start, stop in train.stretches))
    curves = np.full((len(train.stretches), length, 68, 3), np.nan)
    for curve, (start, stop) in zip(curves, train.stretches, strict=True):
        curve[: stop - start] = np.where(train.valid[start:stop, None, None], train.landmarks[start:stop], np.nan)
    return np.nan_to_num(np.nanmean(curves, 0))[:frames]


def _transformer(parts: Sequence[Part], predictor: LipPredictor, seed: int) -> MotionModel:
    """Stage 0 of BLINK at preset `small` without its eyes, on the same speech as the predictor."""
    clips = [
        motion_train.MotionClip(_windows(predictor, part), part.landmarks, np.zeros(len(part)), part.valid)
        for part in parts
    ]
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        model = MotionModel(replace(motion_preset("small"), blink_embedding=False), parts[0].mel.shape[1])
        motion_train.fit_person(model, clips)
        run = Run.create(Path(folder) / "run", "blink_hashgrid", {}, {})
        trainer.train(model, [motion_train.stage(model, clips)], run, seed=seed)
    return model


def _windows(predictor: LipPredictor, part: Part) -> np.ndarray:
    return windows(predictor.scale.normalisation.apply(part.mel), len(part), 16)


def _kept(out: Path, corpus: Corpus, seed: int, name: str, split: str) -> Path:
    folder = out / "folds"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{corpus}-{seed}-{name}-{split.replace('/', ' of ').replace(' ', '_')}.json"


def _write(out: Path, results: Mapping[str, Any]) -> None:
    write_text(out / "table.md", markdown(results))
    write_json(out / "table.json", {"clips": results})


def _pretrained(out: Path, data: Path, corpus: Corpus, person: str, seed: int) -> LipNet:
    """A net that never saw `person`; nets of persons outside the corpus are one and the same."""
    sources = [source for source in _sources(data) if corpus == "all" or source.may_ship]
    left_out = person if person in {source.person for source in sources} else "nobody"
    kept = out / "nets" / f"{corpus}-{seed}-without-{left_out}.safetensors"
    if not kept.is_file():
        people, names = [], []
        for source in sources:
            sound = [clip for clip in clips_of(data / source.path, out / "tracks") if not fault_of(clip)]
            if sound and source.person != left_out:
                people.append([part for clip in sound for part in clip.parts()])
                names.append(source.path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_pretrained(kept, pretrain(people, seed), {"clips": "; ".join(names)})
    return load_pretrained(kept)[0]


def _sources(data: Path) -> list[Source]:
    more = [
        Source(path.stem, str(path.relative_to(data)), folder == "multi/grid")
        for folder in MORE
        for path in sorted((data / folder).iterdir())
        if path.is_file() and "silent" not in path.stem
    ]
    return [*TESTED.values(), *OTHERS, *more]


def markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The median over the long clips, every clip over its folds, the transformer's folds, and the last elevenths."""
    folds = {
        name: [kept["models"] for split, kept in of.items() if split[:4] == "fold"] for name, of in results.items()
    }
    means = {name: _means(found) for name, found in folds.items()}
    long = {name: of for name, of in means.items() if name != GRID}
    text = ""
    if long:
        text += _table(f"Median over {', '.join(long)}, of the mean over five folds", _medians(list(long.values())))
    for name, of in means.items():
        text += _table(f"{name}: mean over five folds" + (", split by clip" if name == GRID else ""), of)
        some = [fold for fold in folds[name] if TRANSFORMED in fold]
        if some:
            text += _table(f"{name}: the same on the fold with the transformer", _means(some))
    for name, found in results.items():
        if kept := found.get("last 1/11"):
            length = f"{kept['test_frames'] / 25:.1f} s of test"
            text += _table(f"{name}: last 1/11 ({length})", kept["models"])
    return text


def _means(folds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Of the models that every fold has; a measure that is nowhere defined stays None."""
    models = [model for model in folds[0] if all(model in fold for fold in folds)]
    return {m: {key: _middle(np.mean, [fold[m][key] for fold in folds]) for key in MEASURES} for m in models}


def _medians(clips: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    models = [model for model in clips[0] if all(model in clip for clip in clips)]
    return {m: {key: _middle(np.median, [clip[m][key] for clip in clips]) for key in MEASURES} for m in models}


def _middle(of: Any, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(of(known)) if known else None


def _table(title: str, models: Mapping[str, Mapping[str, float | None]]) -> str:
    lines = [
        f"**{title}**",
        "",
        "| model | " + " | ".join(MEASURES.values()) + " |",
        "|---" * (len(MEASURES) + 1) + "|",
    ]
    for model, of in models.items():
        cells = ["–" if (value := of[key]) is None else f"{round(value, 3) + 0.0:.3f}" for key in MEASURES]
        lines.append("| " + " | ".join([model, *cells]) + " |")
    return "\n".join(lines) + "\n\n"
