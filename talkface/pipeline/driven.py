"""A run driven by somebody else's speech and a commanded blink track: does the picture do what was asked?

There is no true video of it, so the picture is held against what was asked of it: mouth opening against the predicted
landmarks', lids against the command, both read by the face detector from the rendered frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from talkface.engine.run import Run, write_json
from talkface.face.blink_habit import PUBLISHED_SHAPE, natural_blinks
from talkface.face.detect import LANDMARKS_68, Detector
from talkface.face.eyes import lid_closure, lid_opening
from talkface.io.provenance import mark
from talkface.io.sound import read_speech
from talkface.io.writer import VideoWriter
from talkface.methods import get
from talkface.metrics.face import blink_f1, jitter
from talkface.metrics.lips import amplitude, correlation, eye_span, opening
from talkface.metrics.video import relative_opening
from talkface.pipeline.background import composite
from talkface.pipeline.render import conditions, frames_of, torch_device
from talkface.progress import Progress
from talkface.types import FPS, SPEECH_HZ, Conditions, Drive, Speech

BLINKS_PER_S = 0.4
"""Commanded rate (our choice): a dozen blinks in half a minute, so that F1 means something."""
CONTROL_SHIFT_S = 2.0
"""The same correlation with the prediction moved by this much is the control: it should be near 0."""


def driven(
    run: Path, speech: Path, out: Path, *, seconds: float = 30.0, seed: int = 1, device: str = "auto"
) -> dict[str, Any]:
    """Render up to `seconds` of `speech` with the training clip's head motion and a commanded blink track.

    Leaves `driven.mp4` and `driven.json` in `out`.

    Returns:
        `opening_r` (rendered against predicted mouth opening), `opening_r_shifted` (the control), `amplitude`,
        `blink_f1`, `closure_r`, `jitter_px`, and how many frames were judged.
    """
    opened = Run(run)
    renderer = get(opened.config["method"]).load(opened).to(torch_device(device))
    source = renderer.source
    frames = min(frames_of(speech), math.floor(seconds * FPS))
    asked = conditions(
        frames, source.pose, source.closure, source.valid, source.camera, "source", "none", None, None, seed
    )
    blinks = natural_blinks(frames, BLINKS_PER_S, PUBLISHED_SHAPE, np.random.default_rng(seed), 0.4)
    asked = replace(asked, closure=blinks)
    heard = Speech(read_speech(speech).waveform[: round(frames / FPS * SPEECH_HZ)])
    drives = list(renderer.drives(iter([heard.waveform]), asked))
    out.mkdir(parents=True, exist_ok=True)
    points = _filmed(renderer, drives, asked, heard, out / "driven.mp4", mark(opened.config["method"], speech))
    predicted = np.stack([drive.landmarks for drive in drives])
    wanted = opening(predicted) / eye_span(predicted)
    shown = relative_opening(points)
    closure = lid_closure(lid_opening(points), FPS).mean(1)
    shift = round(CONTROL_SHIFT_S * FPS)
    scores = {
        "speech": speech.name,
        "frames": frames,
        "opening_r": correlation(shown, wanted),
        "opening_r_shifted": correlation(shown[shift:], wanted[:-shift]) if frames > 2 * shift else None,
        "amplitude": amplitude(shown, wanted),
        "blink_f1": blink_f1(closure, blinks, FPS),
        "closure_r": correlation(closure, blinks),
        "jitter_px": jitter(points[:, list(LANDMARKS_68), :2]),
    }
    write_json(out / "driven.json", scores)
    return scores


def _filmed(
    renderer: Any, drives: list[Drive], asked: Conditions, speech: Speech, path: Path, facts: dict[str, str]
) -> Float[np.ndarray, "frames 478 3"]:
    """Render, write the film, and find the face in every frame (NaN where there is none)."""
    background = renderer.source.background
    behind = background.astype(np.float32) / 255
    found = []
    with (
        Detector() as detector,
        VideoWriter(path, background.shape[:2], FPS, speech=speech, metadata=facts) as writer,
        Progress("driving", len(drives)) as progress,
    ):
        frames: Iterator[Any] = renderer.frames(drives, asked)
        for frame in islice(frames, len(drives)):
            picture = composite(frame.colour, frame.opacity, behind)
            writer.write(picture)
            points = detector.detect(picture)
            found.append(np.full((478, 3), np.nan) if points is None else points)
            progress.advance()
    return np.stack(found)
