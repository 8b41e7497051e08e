"""Pre-train the lip net on anybody's talking clips, so that a new person needs less of their own speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from talkface.audio.corpus import Part, cut
from talkface.audio.features import log_mel
from talkface.audio.lips import pretrain
from talkface.audio.sync import LEAST_S, measure
from talkface.audio.weights import save_pretrained
from talkface.errors import UserError
from talkface.io.sound import read_speech
from talkface.io.store import PersonFolder
from talkface.io.tracks import read_track, write_track
from talkface.io.video import read_frames
from talkface.progress import Progress
from talkface.types import FPS, Speech

VIDEO_SUFFIXES = (".mp4", ".mpg", ".mpeg", ".mov", ".mkv", ".webm", ".avi")
LEAST_R = 0.25
"""Clips whose lips agree less with their speech are left out (design page lip-sync, pre-training corpus)."""
LATEST_FRAMES = 3
"""Clips whose sound is further off are left out."""


@dataclass(frozen=True)
class TalkingClip:
    """One clip of one person, tracked."""

    name: str
    speech: Speech
    landmarks: Float[np.ndarray, "frames 68 3"]
    valid: Bool[np.ndarray, " frames"]
    stretches: tuple[tuple[int, int], ...]

    def parts(self) -> list[Part]:
        """Its unbroken stretches of speech."""
        return cut(log_mel(self.speech), self.landmarks, self.valid, self.stretches)


def train_lips(sources: Sequence[Path], out: Path, seed: int = 0) -> dict[str, Any]:
    """Pre-train on `sources` and write the net to `out` (safetensors; its header names the clips).

    Each source is one person: a processed folder, a video, or a folder of videos. Clips of 4 s and more whose sound is
    more than 3 frames off, or whose lips do not follow it, are left out and named in the answer.

    Raises:
        UserError: a source holds no video, or no clip is left.
    """
    people, used, left_out = [], [], []
    for source in sources:
        parts = []
        for clip in clips_of(Path(source)):
            if fault := fault_of(clip):
                left_out.append(f"{clip.name}: {fault}")
                continue
            parts += clip.parts()
            used.append(clip.name)
        if parts:
            people.append(parts)
    if not people:
        raise UserError("no clip is fit to learn lips from: " + ("; ".join(left_out) or "no source was given"))
    net = pretrain(people, seed)
    minutes = sum(len(part) for parts in people for part in parts) / FPS / 60
    facts = {"clips": "; ".join(used), "people": str(len(people)), "minutes": f"{minutes:.1f}", "seed": str(seed)}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_pretrained(out, net, facts)
    return {"net": str(out), **facts, "left_out": left_out}


def clips_of(source: Path, tracks: Path | None = None) -> list[TalkingClip]:
    """The clips of one person.

    Tracks of plain videos are kept in the folder `tracks`, where one is given, and found there again.

    Raises:
        UserError: there is no video, or it cannot be read.
    """
    if (source / "manifest.json").is_file():
        folder = PersonFolder(source)
        stretches = tuple((int(start), int(stop)) for start, stop in folder.manifest.split["train"])
        return [TalkingClip(source.name, folder.speech, folder.track.landmarks, folder.track.valid, stretches)]
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not files:
        raise UserError(f"{source} holds no video; give a processed folder, a video, or a folder of videos")
    return [_tracked(path, tracks) for path in files]


def fault_of(clip: TalkingClip) -> str:
    """Why a clip must not be learnt from; empty when it is sound, or too short to be judged."""
    if clip.valid.sum() < LEAST_S * FPS:
        return "" if clip.valid.any() else "no face"
    try:
        sync = measure(clip.speech, clip.landmarks, clip.valid)
    except UserError:
        return ""
    if abs(sync.lag_frames) > LATEST_FRAMES and sync.r >= LEAST_R:
        return f"its sound is {sync.lag_frames:+d} frames off"
    return f"lips and speech agree too little (r {sync.r:.2f})" if sync.r < LEAST_R else ""


def _tracked(path: Path, tracks: Path | None) -> TalkingClip:
    from talkface.face.track import track

    kept = None if tracks is None else tracks / f"{path.parent.name}-{path.stem}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept, allow_pickle=False) as file:
            frames = len(file["valid"])
        found = read_track(kept, frames)
    else:
        with Progress(f"tracking {path.name}") as progress:
            found = track(read_frames(path), on_frame=lambda _: progress.advance())
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_track(kept, found)
    landmarks = np.asarray(found.landmarks, np.float32)
    return TalkingClip(path.stem, read_speech(path), landmarks, found.valid, ((0, len(found)),))
