"""The first hour in one command: a drawn speaker is filmed, learned, made to say something new, and scored.

Every step is a verb of the toolkit called as a user would call it; a step whose result is there already is not
repeated, so an interrupted demo goes on where it stopped.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from talkface.engine.run import write_json
from talkface.pipeline.driven import driven
from talkface.pipeline.evaluate import evaluate
from talkface.pipeline.preprocess import preprocess
from talkface.pipeline.render import render
from talkface.pipeline.synthesize import Synthesize, speech_sample, synthesize
from talkface.pipeline.train import train

SECONDS = 88.0
"""Length of the drawn clip: 80 s to learn from (lips follow speech better than with 60) and 8 s to test on."""
SIZE_PX = 256
SEED = 0
"""Whose lips and lids the face detector reads best among three that were tried."""
TIMELINE = {
    "keyframes": [
        {"time": 0, "pose": [0, 0, 0], "view": [0, 0, 0]},
        {"time": 2, "pose": [-9, 2, 0], "view": [0, 0, 0]},
        {"time": 4, "pose": [9, -2, 2], "view": [0, 0, 0]},
        {"time": 6, "pose": [0, 0, 0], "view": [0, 0, 0]},
        {"time": 7, "pose": [0, 0, 0], "view": [12, 4, 0]},
        {"time": 8, "pose": [0, 0, 0], "view": [0, 0, 0]},
    ]
}
"""What the demo's video shows: a turn of the head each way, then a move of the camera."""


def demo(out: Path, seed: int = SEED) -> dict[str, Any]:
    """Run it all into `out`; about twelve minutes on two cores.

    Returns:
        The paths of the video and the report, and the main scores.
    """
    clip, person, run = out / "speaker", out / "person", out / "run"
    if not (clip / "clip.mp4").is_file():
        synthesize(clip, Synthesize(seconds=SECONDS, size=SIZE_PX, seed=seed, processed=not _can_track()))
    if _can_track():
        preprocess(clip / "clip.mp4", person)
    else:
        person = clip / "processed"
    if not (run / "source.npz").is_file():
        train("blink_hashgrid", person, run, resume=(run / "config.json").is_file())
    write_json(out / "timeline.json", TIMELINE)
    render(run, speech_sample(), out / "talking.mp4", timeline=out / "timeline.json", seed=seed)
    scores = evaluate(run, out, data=person)
    asked = driven(run, speech_sample(), out)
    return {
        "video": str(out / "talking.mp4"),
        "report": str(out / "report.html"),
        "scores": _main_scores(scores),
        "driven": asked,
    }


def _can_track() -> bool:
    """Without mediapipe the drawn speaker's exact ground truth stands in for preprocessing."""
    return importlib.util.find_spec("mediapipe") is not None


def _main_scores(report: dict[str, Any]) -> dict[str, float | None]:
    wanted = {("psnr", "head", "landmarks"), ("mouth_r", "mouth", "audio"), ("blink_f1", "eyes", "landmarks")}
    return {
        f"{row['name']} ({row['region']}, by {row['drive']})": row["value"]
        for row in report["scores"]
        if (row["name"], row["region"], row["drive"]) in wanted
    }
