"""Resume equals not stopping; a torn checkpoint never counts; hostile run folders are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from talkface.engine.run import Run
from talkface.engine.trainer import Stage, train
from talkface.errors import UserError


class Counter:
    """Something besides the model that a stage needs to resume."""

    def __init__(self) -> None:
        self.value = torch.zeros(())

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.value = state["value"]


def toy(steps: tuple[int, int] = (7, 6)) -> tuple[nn.Module, list[Stage]]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
    counter = Counter()

    def step(index: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        counter.value = counter.value + 1
        x = torch.randn(16, 3, generator=generator)
        return {"loss": (model(x) - x.sum(1, keepdim=True) - 0.01 * counter.value).square().mean()}

    def stage(name: str, count: int) -> Stage:
        return Stage(
            name,
            count,
            [{"params": list(model.parameters()), "lr": 0.05}],
            step,
            learning_rate=lambda p: 0.1**p,
            validate=lambda: {"mouth": 0.2},
            validate_every=3,
            watch={"mouth": (0.5, "the mouth does not move")},
            state={"counter": counter},
        )

    return model, [stage("first", steps[0]), stage("second", steps[1])]


def new_run(path: Path) -> Run:
    return Run.create(path, "toy", {}, {})


@pytest.mark.parametrize("stop", [1, 5, 7, 9, 12])
def test_resume_equals_not_stopping(tmp_path: Path, stop: int) -> None:
    model, stages = toy()
    train(model, stages, new_run(tmp_path / "whole"))
    model, stages = toy()
    train(model, stages, new_run(tmp_path / "cut"), stop_after=stop)
    model, stages = toy()
    warnings = train(model, stages, Run(tmp_path / "cut"))
    whole, cut = Run(tmp_path / "whole").weights(), Run(tmp_path / "cut").weights()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]
    assert len(warnings) == 2 and "the mouth does not move" in warnings[0]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    model, stages = toy((120, 1))
    train(model, stages, new_run(tmp_path / "run"), log_every=10)
    losses = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in losses if "loss" in record]
    assert losses[-1] < losses[0] / 2


def test_a_torn_checkpoint_does_not_count(tmp_path: Path) -> None:
    model, stages = toy()
    run = new_run(tmp_path / "run")
    train(model, stages, run, stop_after=3)
    torn = run.root / "state" / ".0-000004.new"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    state = Run(tmp_path / "run").state()
    assert state is not None and state[1]["step"] == 3


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"version": 99, "method": "toy", "config": {}}', '{"version": 1}', "[" * 100_000],
)
def test_a_broken_run_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError):
        Run(tmp_path)


def test_damaged_weights_are_refused_by_name(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    with pytest.raises(UserError, match="holds no weights yet"):
        run.weights()
    (run.root / "weights").mkdir()
    (run.root / "weights" / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(UserError, match=r"model\.safetensors is not a whole"):
        run.weights()


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        new_run(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    weight = nn.Linear(1, 1)
    stage = Stage(
        "bad",
        3,
        [{"params": list(weight.parameters()), "lr": 1.0}],
        lambda i, g: {"loss": weight.weight.sum() * float("nan")},
    )
    with pytest.raises(UserError, match="became nan at step 0"):
        train(weight, [stage], new_run(tmp_path / "run"))
