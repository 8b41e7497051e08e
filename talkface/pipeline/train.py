"""Processed folder to run folder: a method learns one person, stage by stage, resumable at any point."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from talkface import methods
from talkface.config import MethodConfig, from_json, to_json
from talkface.engine.run import Run, write_text
from talkface.engine.trainer import train as train_stages
from talkface.errors import UserError
from talkface.io.sound import is_silent
from talkface.io.store import PersonFolder
from talkface.pipeline.render import torch_device
from talkface.types import FPS

LEAST_SECONDS = 4.0
"""Under this a person's mouth cannot be told from its noise (our choice)."""


def train(
    method: str,
    data: Path,
    out: Path,
    *,
    config: MethodConfig | None = None,
    resume: bool = False,
    device: str = "auto",
    stop_after: int | None = None,
) -> dict[str, Any]:
    """Learn the person of the processed folder `data` into the run folder `out`.

    Args:
        config: Settings; default is the method's preset `small`. With `resume` the run's own settings are used.
        stop_after: Stop as if killed after so many steps (tests).

    Returns:
        Run folder, seconds taken, and warnings from what was watched on held-out frames.

    Raises:
        UserError: data is too short, silent or absent; `out` exists; memory ran out.
    """
    known = methods.get(method)
    folder = PersonFolder(data)
    check(folder)
    chosen = torch_device(device)
    if resume:
        run = Run(out)
        if run.config["method"] != method:
            raise UserError(f"{out} is a run of {run.config['method']}, not of {method}")
        settings = from_json(known.config, run.config["config"], str(out / "config.json"))  # type: ignore[arg-type]
    else:
        settings = config if config is not None else known.preset("small")
        facts = {"folder": str(data.resolve()), "frames": folder.manifest.frames, "source": folder.manifest.source}
        run = Run.create(out, method, to_json(settings), facts)
    started = time.monotonic()
    model = known.build(settings, folder).to(chosen)
    warnings = train_stages(model, known.stages(model, folder, run), run, seed=settings.seed, stop_after=stop_after)
    known.finish(model, folder, run)
    taken = time.monotonic() - started
    _write_card(run, known.name, folder, taken, warnings)
    return {"run": str(out), "taken_s": round(taken, 1), "warnings": warnings}


def check(folder: PersonFolder) -> None:
    """Refuse data that cannot be learned from.

    Raises:
        UserError: too few usable frames, or no speech.
    """
    seconds = len(folder.train_indices) / FPS
    if seconds < LEAST_SECONDS:
        raise UserError(
            f"{folder.root} has {seconds:.1f} s of usable training frames; at least {LEAST_SECONDS:g} s are needed, "
            "and a minute or more is better"
        )
    if is_silent(folder.speech):
        raise UserError(f"{folder.root} has no speech in its sound; a talking face cannot be learned from silence")


def _write_card(run: Run, method: str, folder: PersonFolder, taken_s: float, warnings: list[str]) -> None:
    track = folder.track
    lines = [
        f"# A run of {method}",
        "",
        f"- learned from `{folder.manifest.source}`: {len(folder.train_indices)} frames "
        f"({len(folder.train_indices) / FPS:.0f} s), {int(np.sum(~track.valid))} frames unusable",
        f"- face model of the tracking: {track.face_model}",
        f"- last part of the training took {taken_s / 60:.1f} min",
        "- settings: `config.json`; log: `log.jsonl`; pictures made on the way: `previews/`",
        "",
        "This is a model of a real or drawn person's face. Use it only with that person's consent; what it renders",
        "carries a mark that `talkface verify` reads.",
        *[f"\nWarning: {warning}" for warning in warnings],
    ]
    write_text(run.root / "card.md", "\n".join(lines) + "\n")
