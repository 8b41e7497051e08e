"""The loop over stages that every method shares: steps, learning rates, validation, previews, exact resume.

A run that was killed and resumed gives the same weights as one that never stopped (same device, same seed): a
checkpoint holds the model, the optimiser, both random states and whatever else a stage names in `state`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from talkface.engine.run import Run, optimiser_tensors, restore_optimiser
from talkface.errors import UserError
from talkface.progress import Progress


@dataclass
class Stage:
    """One stage of a method's training, in the paper's order."""

    name: str
    steps: int
    parameters: list[dict[str, Any]]
    """Parameter groups as torch.optim takes them; each group's `lr` is the rate at factor 1."""
    step: Callable[[int, torch.Generator], dict[str, Tensor]]
    """Step index and the source of all randomness -> named losses; "loss" is minimised, the others are logged."""
    learning_rate: Callable[[float], float] = lambda progress: 1.0
    """Progress in [0, 1] -> factor on every group's rate."""
    optimiser: Literal["adam", "adamw"] = "adam"
    clip: float | None = None
    """Largest gradient norm."""
    validate: Callable[[], dict[str, float]] | None = None
    validate_every: int = 500
    watch: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Validated name -> (least acceptable value at the end, what it means when it is lower)."""
    preview: Callable[[], np.ndarray] | None = None
    """A picture `[H, W, 3]` uint8 of how it looks now; made with each validation."""
    prepare: Callable[[], None] | None = None
    """Called once before the first step, and again on resume."""
    state: dict[str, Any] = field(default_factory=dict)
    """Further objects with `state_dict` and `load_state_dict` (tensors only) that belong to an exact resume."""


def train(
    model: nn.Module,
    stages: Sequence[Stage],
    run: Run,
    *,
    seed: int = 0,
    checkpoint_every_s: float = 60.0,
    log_every: int = 50,
    stop_after: int | None = None,
) -> list[str]:
    """Run the stages from the run's latest checkpoint on, and save the finished weights.

    Args:
        stop_after: Stop as if killed after this many steps of this call, checkpoint written (for tests and tools).

    Returns:
        Warnings: what `Stage.watch` found at the end of each stage.

    Raises:
        UserError: a GPU's memory ran out, or the loss stopped being a number.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    first, step, warnings = 0, 0, list[str]()
    saved = run.state()
    if saved is not None:
        parts, facts = saved
        model.load_state_dict(parts["model"])
        generator.set_state(parts["random"]["generator"])
        torch.set_rng_state(parts["random"]["global"])
        first, step, warnings = int(facts["stage"]), int(facts["step"]), list(facts["warnings"])
        run.rewind_log(int(facts["total_step"]))
    budget = math.inf if stop_after is None else stop_after
    for index in range(first, len(stages)):
        stage = stages[index]
        before = sum(s.steps for s in stages[:index])
        optimiser = _optimiser(stage)
        if stage.prepare is not None:
            stage.prepare()
        if saved is not None and index == first and step > 0:
            restore_optimiser(optimiser, parts.get("optimiser", {}))
            for name, thing in stage.state.items():
                thing.load_state_dict(parts[f"extra_{name}"])
        last_save = time.monotonic()

        save = partial(_save, run, model, optimiser, generator, index, before, warnings, extra=stage.state)
        with Progress(stage.name, stage.steps) as progress:
            progress.advance(step)
            try:
                while step < stage.steps:
                    losses = _one_step(stage, optimiser, step, generator)
                    step += 1
                    budget -= 1
                    progress.advance(1, note=f"loss {losses['loss']:.4g}" if step % 20 == 0 else None)
                    if step % log_every == 0 or step == stage.steps:
                        run.log({"stage": stage.name, "step": step, "total_step": before + step, **losses})
                    if stage.validate is not None and (step % stage.validate_every == 0 or step == stage.steps):
                        found = _validate(stage, step, run)
                        run.log({"stage": stage.name, "step": step, "total_step": before + step, "validation": found})
                        if step == stage.steps:
                            warnings += _watch(stage, found)
                    if budget <= 0 or time.monotonic() - last_save > checkpoint_every_s:
                        save(step)
                        last_save = time.monotonic()
                    if budget <= 0:
                        return warnings
            except KeyboardInterrupt:
                save(step)
                raise
        step = 0
        _save(run, model, None, generator, index + 1, before + stage.steps, warnings, 0)
    run.save_weights(model.state_dict())
    return warnings


def _one_step(
    stage: Stage, optimiser: torch.optim.Optimizer, step: int, generator: torch.Generator
) -> dict[str, float]:
    factor = stage.learning_rate(step / max(stage.steps, 1))
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor
    optimiser.zero_grad(set_to_none=True)
    try:
        losses = stage.step(step, generator)
        losses["loss"].backward()
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the GPU ran out of memory; use a smaller --preset or --size, or --device cpu; the run can be resumed"
        ) from error
    if stage.clip is not None:
        nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], stage.clip)
    optimiser.step()
    values = {name: float(value.detach()) for name, value in losses.items()}
    if not math.isfinite(values["loss"]):
        raise UserError(
            f"the loss of stage {stage.name} became {values['loss']} at step {step}; lower its learning rate"
        )
    return values


def _optimiser(stage: Stage) -> torch.optim.Optimizer:
    groups = [{**group, "initial_lr": group["lr"]} for group in stage.parameters]
    kind = torch.optim.AdamW if stage.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, fused=True)


def _validate(stage: Stage, step: int, run: Run) -> dict[str, float]:
    assert stage.validate is not None
    with torch.no_grad():
        found = stage.validate()
        if stage.preview is not None:
            _write_preview(run.root / "previews" / f"{stage.name}-{step:06d}.png", stage.preview())
    return found


def _watch(stage: Stage, found: dict[str, float]) -> list[str]:
    return [
        f"{stage.name}: {name} is {found[name]:.2f} on held-out frames (at least {least:g} is healthy): {meaning}"
        for name, (least, meaning) in stage.watch.items()
        if name in found and not found[name] >= least
    ]


def _save(
    run: Run,
    model: nn.Module,
    optimiser: torch.optim.Optimizer | None,
    generator: torch.Generator,
    index: int,
    before: int,
    warnings: list[str],
    step: int,
    extra: Mapping[str, Any] | None = None,
) -> None:
    parts = {
        "model": model.state_dict(),
        "random": {"generator": generator.get_state(), "global": torch.get_rng_state()},
        "optimiser": optimiser_tensors(optimiser) if optimiser is not None else {},
    }
    parts |= {f"extra_{name}": thing.state_dict() for name, thing in (extra or {}).items()}
    facts = {"stage": index, "step": step, "total_step": before + step, "warnings": warnings}
    run.save_state(f"{index}-{step:06d}", parts, facts)


def _write_preview(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
