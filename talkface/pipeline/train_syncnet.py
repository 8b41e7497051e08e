"""Train the sync network of our own on anybody's talking clips, and say how well it times people it never saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from talkface.audio.features import ROWS_PER_FRAME, fit_rows
from talkface.audio.sync import measure
from talkface.errors import UserError
from talkface.face.detect import LANDMARKS_68, Detector
from talkface.io.sound import is_silent, read_speech
from talkface.io.store import PersonFolder
from talkface.io.video import read_frames
from talkface.metrics.face_crops import mouth_crop
from talkface.metrics.face_tracks import FaceTracks, Sighting
from talkface.metrics.sync_judges import REACH_FRAMES, euclidean, own_features
from talkface.pipeline.train_lips import LATEST_FRAMES, LEAST_R, VIDEO_SUFFIXES
from talkface.progress import Progress
from talkface.types import FPS, SPEECH_HZ, Speech

JUDGED_FRAMES = 50
"""Length of the held-out stretches whose offset is looked for: two seconds."""
LEAST_STEPS = 10
_OFF_FRAMES = 8
"""Sound at least so far off counts as out of step in the margin."""


def train_syncnet(
    sources: Sequence[Path], out: Path, held_out: Sequence[Path] = (), steps: int = 800, seed: int = 0
) -> dict[str, Any]:
    """Train on `sources`, write the network to `out` (safetensors; its header says on what) and judge it on `held_out`.

    Each source is one person: a processed folder, a video, or a folder of videos. Clips whose sound is more than 3
    frames off, or whose lips do not follow it, are left out and named in the answer, as in `train lips`.

    Raises:
        UserError: fewer than 10 steps, a source holds no video, or no clip is fit.
    """
    from talkface.nets.mouth_learning import Learning, learn
    from talkface.nets.mouth_sync import save

    if steps < LEAST_STEPS:
        raise UserError(f"{steps} training steps teach nothing; give at least {LEAST_STEPS}")

    left_out: list[str] = []
    talks, others = (_talks(paths, left_out) for paths in (sources, held_out))
    learning = Learning(steps=steps)
    if not any(len(talk) >= learning.frames for talk in talks):
        why = "; ".join(left_out) or f"none shows a face for {learning.frames} frames"
        raise UserError(f"no clip is fit to learn sync from: {why}")
    with Progress("learning sync", steps) as progress:
        net = learn(talks, learning, seed, lambda *_: progress.advance())
    facts = {
        "people": "; ".join(sorted({talk.person for talk in talks})),
        "minutes": f"{sum(len(talk) for talk in talks) / FPS / 60:.1f}",
        "steps": str(steps),
        "seed": str(seed),
    }
    figures = judged(net, others)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(net, out, {**facts, **{name: f"{value:.3f}" for name, value in figures.items()}})
    return {"net": str(out), **facts, **figures, "left_out": left_out}


def judged(net: Any, talks: Sequence[Any]) -> dict[str, float]:
    """How well a network times these people: shares of two-second stretches, and mean distances of embeddings.

    `within_one`: the nearest of the offsets -15 to 15 is at most a frame from the one of the person's whole stretch;
    `whole_offset_frames`: the largest of those of whole stretches, either sign (positive: the sound is early);
    `in_step`, `out_of_step`: mean distance at 0 and at offsets of 8 frames and more. Empty without a long stretch.
    """
    hits, wholes, near, far = [], [], [], []
    for talk in talks:
        table = _distances(net, talk)
        if len(table) < JUDGED_FRAMES:
            continue
        offsets = np.arange(REACH_FRAMES, -REACH_FRAMES - 1, -1)
        whole = offsets[np.nanmean(table, 0).argmin()]
        wholes.append(float(whole))
        for start in range(0, len(table) - JUDGED_FRAMES + 1, JUDGED_FRAMES // 2):
            curve = np.nanmean(table[start : start + JUDGED_FRAMES], 0)
            hits.append(abs(offsets[np.nanargmin(curve)] - whole) <= 1)
            near.append(curve[REACH_FRAMES])
            far.append(np.nanmean(curve[np.abs(offsets) >= _OFF_FRAMES]))
    if not hits:
        return {}
    return {
        "within_one": float(np.mean(hits)),
        "whole_offset_frames": max(wholes, key=abs),
        "in_step": float(np.mean(near)),
        "out_of_step": float(np.mean(far)),
        "judged_stretches": float(len(hits)),
    }


def _distances(net: Any, talk: Any) -> Float[np.ndarray, "windows offsets"]:
    """Distance of every picture window to the sound at offsets -15 to 15; NaN where there is no such sound."""
    from talkface.nets.mouth_sync import FRAMES

    seen, heard = net.see(talk.crops), net.listen(talk.mel)[FRAMES // 2 :]
    table = np.full((len(seen), 2 * REACH_FRAMES + 1), np.nan)
    for column, offset in enumerate(range(-REACH_FRAMES, REACH_FRAMES + 1)):
        rows = np.arange(max(0, -offset), min(len(seen), len(seen) - offset))
        if len(rows):
            table[rows, column] = euclidean(seen[rows], heard[rows + offset])
    return table


def _talks(sources: Sequence[Path], left_out: list[str]) -> list[Any]:
    """Unbroken stretches of every source; what is unfit is named in `left_out`."""
    from talkface.nets.mouth_learning import Talk

    found = []
    for source in map(Path, sources):
        for clip in _clips(source):
            points, stretches = _seen(clip)
            if fault := _fault(clip.speech, points):
                left_out.append(f"{clip.name}: {fault}")
                continue
            mel = fit_rows(own_features(clip.speech), len(points))
            for first, crops in stretches:
                rows = mel[first * ROWS_PER_FRAME : (first + len(crops)) * ROWS_PER_FRAME]
                found.append(Talk(f"{source.parent.name}/{source.name}", crops, rows))
    return found


@dataclass(frozen=True)
class _Clip:
    name: str
    frames: Iterable[tuple[np.ndarray, np.ndarray | None]]
    """Pictures with mesh points, or None without a face."""
    speech: Speech


def _clips(source: Path) -> Iterator[_Clip]:
    if (source / "manifest.json").is_file():
        folder = PersonFolder(source)
        for start, stop in folder.manifest.split["train"]:
            sound = folder.speech.waveform[round(start * SPEECH_HZ / FPS) : round(stop * SPEECH_HZ / FPS)]
            frames = ((folder.frame(index), folder.track.points_px[index]) for index in range(start, stop))
            yield _Clip(f"{source.name} {start}-{stop}", frames, Speech(sound))
        return
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not files:
        raise UserError(f"{source} holds no video; give a processed folder, a video, or a folder of videos")
    for path in files:
        yield _Clip(path.stem, _detected(path), read_speech(path))


def _detected(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    with Detector() as detector, Progress(f"looking at {path.name}") as progress:
        for picture in read_frames(path):
            yield picture, detector.detect(picture)
            progress.advance()


def _seen(clip: _Clip) -> tuple[Float[np.ndarray, "frames 478 3"], list[tuple[int, np.ndarray]]]:
    """Mesh points of every frame, and the crops of every unbroken stretch with its first frame."""
    faces = FaceTracks()
    points: list[np.ndarray] = []
    crops: dict[int, tuple[int, list[np.ndarray]]] = {}

    def keep(sightings: list[Sighting]) -> None:
        for one in sightings:
            crops.setdefault(one.track, (one.frame, []))[1].append(mouth_crop(one.picture, one.place))

    for picture, found in clip.frames:
        points.append(np.full((478, 3), np.nan) if found is None else found)
        keep(faces.add(picture, found))
    keep(faces.finish())
    return np.array(points), [(first, np.stack(stretch)) for first, stretch in crops.values()]


def _fault(speech: Speech, points: Float[np.ndarray, "frames 478 3"]) -> str:
    """Why a clip must not be learnt from; empty when it is sound, or too short to be judged."""
    if is_silent(speech):
        return "its sound is silent"
    landmarks = points[:, list(LANDMARKS_68)]
    valid = np.isfinite(landmarks).all((1, 2))
    if not valid.any():
        return "no face"
    try:
        sync = measure(speech, landmarks, valid)
    except UserError:
        return ""
    if sync.r < LEAST_R:
        return f"lips and speech agree too little (r {sync.r:.2f})"
    return f"its sound is {sync.lag_frames:+d} frames off" if abs(sync.lag_frames) > LATEST_FRAMES else ""
