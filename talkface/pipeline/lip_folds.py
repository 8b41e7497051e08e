"""What the lip benchmark measures on: the development clips, their parts for training and test, and the scores.

Design page lip-sync: contiguous fifths of each long clip with 0.6 s of guard on both sides, GRID by clip, and the last
eleventh. Nothing of the test part reaches what is learnt, neither normalisation nor thresholds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from talkface.metrics import lips as measures
from talkface.pipeline.train_lips import TalkingClip
from talkface.types import FPS, SPEECH_HZ, Speech

GUARD_FRAMES = 15
FOLDS = 5
LAST_SHARE = 1 / 11
GRID_CLIPS = 20
GRID = "grid60"


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
    GRID: Source("grid_s1", "speakers/grid_s1", True),
}
OTHERS = (
    Source("obama", "speakers/obama_2/clip.mp4", True),
    Source("obama", "speakers/obama_3/clip.mp4"),
)
MORE = ("multi/grid", "multi/misc", "multi/voxceleb", "multi/wda_hdtf", "emotions/mead")
"""Folders in which every clip is another person."""

Split = tuple[TalkingClip, TalkingClip]
"""What is learnt from, and what is tested."""


def splits(found: Sequence[TalkingClip]) -> dict[str, Split]:
    """Five folds and the last eleventh of one clip, or of several that were recorded alike (split by clip)."""
    whole = found[0] if len(found) == 1 else joined(found)
    folds = fifths(whole) if len(found) == 1 else clip_folds(whole)
    return {**{f"fold {index}": split for index, split in enumerate(folds, 1)}, "last 1/11": _last(whole)}


def fifths(clip: TalkingClip) -> list[Split]:
    """Each contiguous fifth tested, the rest but the guards learnt from."""
    edges = np.linspace(0, len(clip.valid), FOLDS + 1).astype(int)
    folds = []
    for start, stop in itertools.pairwise(edges):
        around = [(0, start - GUARD_FRAMES), (stop + GUARD_FRAMES, len(clip.valid))]
        train = tuple((int(a), int(b)) for a, b in around if b - a > FOLDS * GUARD_FRAMES)
        folds.append((replace(clip, stretches=train), replace(clip, stretches=((int(start), int(stop)),))))
    return folds


def clip_folds(clip: TalkingClip) -> list[Split]:
    """Of clips joined in time, every fifth tested."""
    folds = []
    for fold in range(FOLDS):
        train = tuple(span for index, span in enumerate(clip.stretches) if index % FOLDS != fold)
        folds.append((replace(clip, stretches=train), replace(clip, stretches=clip.stretches[fold::FOLDS])))
    return folds


def joined(found: Sequence[TalkingClip]) -> TalkingClip:
    """Clips one after the other, each a stretch of its own."""
    edges = np.cumsum([0, *(len(clip.valid) for clip in found)])
    waveforms = []
    for clip in found:
        samples = round(len(clip.valid) * SPEECH_HZ / FPS)
        waveforms.append(np.pad(clip.speech.waveform[:samples], (0, max(0, samples - len(clip.speech.waveform)))))
    return TalkingClip(
        found[0].name,
        Speech(np.concatenate(waveforms)),
        np.concatenate([clip.landmarks for clip in found]),
        np.concatenate([clip.valid for clip in found]),
        tuple((int(a), int(b)) for a, b in itertools.pairwise(edges)),
    )


def _last(clip: TalkingClip) -> Split:
    """The last eleventh tested: of the frames, or of the clips where several were joined."""
    if len(clip.stretches) > 1:
        first = len(clip.stretches) - max(1, round(LAST_SHARE * len(clip.stretches)))
        return replace(clip, stretches=clip.stretches[:first]), replace(clip, stretches=clip.stretches[first:])
    frames = len(clip.valid)
    first = frames - round(LAST_SHARE * frames)
    train, test = ((0, first - GUARD_FRAMES),), ((first, frames),)
    return replace(clip, stretches=train), replace(clip, stretches=test)


def score(
    predicted: Float[np.ndarray, "frames 68 3"],
    true: Float[np.ndarray, "frames 68 3"],
    threshold: float,
    iod: float,
) -> dict[str, float | None]:
    """Every measure of the design page; None where it is not defined (a mouth that never moves has no correlation).

    `true` is NaN where there was no face. `shifted` is the control: the prediction, half the test part away.
    """
    said, shown = measures.opening(predicted), measures.opening(true)
    shifted = np.roll(said, len(said) // 2)
    values = {
        "mouth_r": measures.correlation(said, shown),
        "width_r": measures.correlation(measures.width(predicted), measures.width(true)),
        "error_iod": float(np.nanmean(np.linalg.norm((predicted - true)[:, 48:, :2], axis=-1)) / iod),
        "amplitude": measures.amplitude(said, shown),
        "velocity_r": measures.velocity_correlation(said, shown),
        "closure_f1": measures.closure_f1(said, shown, threshold),
        "shifted_r": measures.correlation(shifted, shown),
        "shifted_f1": measures.closure_f1(shifted, shown, threshold),
    }
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
