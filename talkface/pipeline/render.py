"""Speech to video: the person of a run says something new, with pose, blinks, viewpoint and background as asked.

Everything streams: speech in blocks, one frame at a time, so an hour needs no more memory than a second (beyond some
200 bytes a frame for the commanded pose, blink and view).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from talkface.engine.run import Run
from talkface.errors import UserError
from talkface.face.blink_habit import learn_habit, natural_blinks
from talkface.geometry import pingpong
from talkface.io.provenance import mark
from talkface.io.sound import is_silent, stream_speech
from talkface.io.writer import VideoWriter
from talkface.methods import all_methods, get
from talkface.pipeline import controls
from talkface.pipeline.background import backgrounds, composite, with_alpha
from talkface.progress import Progress
from talkface.types import FPS, SPEECH_HZ, Conditions, Pose, Speech, Track


def render(
    run: Path,
    audio: Path,
    out: Path,
    *,
    pose: str = "source",
    blink: str = "auto",
    expression: str | None = None,
    view: str | None = None,
    background: str = "original",
    timeline: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Render the person of `run` saying `audio` into `out`; see `talkface render --help` for the controls.

    Returns:
        What was made and how fast: video, frames, seconds of video, seconds taken, frames per second.

    Raises:
        UserError: bad input; nothing is left behind and an existing `out` stays as it was.
    """
    opened = Run(run)
    method = get(opened.config["method"])
    asked = {"pose": pose != "source", "blink": blink != "auto", "expression": bool(expression), "view": bool(view)}
    for control, wanted in asked.items():
        if wanted and control not in method.controls:
            raise method.refuse(control, all_methods())
    frames = frames_of(audio)
    started = time.monotonic()
    renderer = method.load(opened).to(torch_device(device))
    source = renderer.source
    asked_of = conditions(
        frames, source.pose, source.closure, source.valid, source.camera, pose, blink, view, timeline, seed
    )
    behind = backgrounds(background, source.background)
    facts = mark(method.name, audio, run=run.resolve().name)
    height, width = source.background.shape[:2]
    with (
        VideoWriter(out, (height, width), FPS, speech=audio, metadata=facts, alpha=behind is None) as writer,
        Progress("rendering", frames) as progress,
    ):
        for frame in renderer.frames(renderer.drives(stream_speech(audio), asked_of), asked_of):
            if behind is None:
                writer.write(with_alpha(frame.colour, frame.opacity))
            else:
                writer.write(composite(frame.colour, frame.opacity, next(behind)))
            progress.advance()
    taken = time.monotonic() - started
    return {
        "video": str(out),
        "frames": frames,
        "seconds": frames / FPS,
        "taken_s": round(taken, 2),
        "frames_per_second": round(frames / taken, 2),
    }


def frames_of(audio: Path) -> int:
    """How many frames a recording lasts; it is read through once, in blocks.

    Raises:
        UserError: no sound in it, or all of it silent.
    """
    samples, silent = 0, True
    for block in stream_speech(audio):
        samples += len(block)
        silent = silent and is_silent(Speech(block))
    if silent:
        raise UserError(f"{audio} is silent; there is nothing to say")
    return max(1, math.floor(samples / SPEECH_HZ * FPS))


def conditions(
    frames: int,
    source_pose: Pose,
    source_closure: Float[np.ndarray, " source"],
    source_valid: np.ndarray,
    camera: Any,
    pose: str,
    blink: str,
    view: str | None,
    timeline: Path | None,
    seed: int,
) -> Conditions:
    """The user's controls as numbers for every frame; a timeline's keys go before the single options."""
    keyed = controls.read_timeline(timeline) if timeline is not None else None
    head, source_frame = _pose(pose, frames, source_pose)
    mean = controls.mean_pose(source_pose)
    if keyed is not None and (values := keyed.values("pose", frames)) is not None:
        head = controls.pose_from_values(values, mean)
        source_frame = np.full(frames, controls.still_frame(source_pose))
    closure = _closure(blink, frames, source_closure, source_valid, seed)
    if keyed is not None and (values := keyed.values("blink", frames)) is not None:
        closure = values[:, 0]
    centre = mean.translation[0]
    cameras = controls.view(view, frames, camera, centre)
    if keyed is not None and (values := keyed.values("view", frames)) is not None:
        cameras = controls.view_from_values(values, camera, centre)
    return Conditions(head, closure, cameras, source_frame)


def torch_device(name: str) -> str:
    """`auto`, `cpu` or `cuda` to a device that is here.

    On a CPU one torch thread is used unless OMP_NUM_THREADS says otherwise: our steps are many small operations, where
    a second thread was seen to slow them many times on a shared machine (docs/performance.md).

    Raises:
        UserError: there is no such device.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {name}: it may be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: this torch sees no GPU; `talkface doctor` tells more")
    if name != "cpu" and torch.cuda.is_available():
        return "cuda"
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return "cpu"


def _pose(text: str, frames: int, source: Pose) -> tuple[Pose, np.ndarray]:
    """Head pose of every frame, and the training frame that lends its torso."""
    asked = controls.parse_pose(text)
    still = controls.still_frame(source)
    if asked == "source":
        indices = np.array([pingpong(i, len(source)) for i in range(frames)])
        return source[indices], indices
    held = np.full(frames, still)
    if asked == "still":
        return source[held], held
    mean = controls.mean_pose(source)
    if isinstance(asked, controls.PoseTable):
        return controls.pose_from_values(asked.at(controls.times(frames)), mean), held
    theirs = _tracked(asked).pose  # type: ignore[arg-type]
    indices = np.array([pingpong(i, len(theirs)) for i in range(frames)])
    return controls.rebase(theirs[indices], mean), held


def _closure(text: str, frames: int, source: np.ndarray, valid: np.ndarray, seed: int) -> np.ndarray:
    asked = controls.parse_blink(text)
    if asked == "none":
        return np.zeros(frames)
    if asked == "audio":
        raise UserError(f"--blink audio: blinks from speech need the method cpeb; it may be {controls.BLINK_FORMS}")
    if asked == "auto":
        habit = learn_habit(source, valid)
        return natural_blinks(frames, habit.rate_hz, habit.shape, np.random.default_rng(seed), habit.spread)
    if isinstance(asked, float):
        return np.full(frames, asked)
    if isinstance(asked, tuple):
        return np.interp(controls.times(frames), *asked)
    closure = np.nan_to_num(_tracked(asked).closure.mean(1))  # type: ignore[arg-type]
    return controls.fill(closure, frames)


def _tracked(path: Path) -> Track:
    """The face of another video, or of a processed folder."""
    if path.is_dir():
        from talkface.io.store import PersonFolder

        return PersonFolder(path).track
    from talkface.face.track import track
    from talkface.io.video import read_frames

    return track(_counted(read_frames(path), f"tracking {path.name}"), FPS)


def _counted(frames: Iterator[np.ndarray], what: str) -> Iterator[np.ndarray]:
    with Progress(what) as progress:
        for frame in frames:
            yield frame
            progress.advance()
