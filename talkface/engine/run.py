"""The run folder: configuration, weights, exact state for resuming, and the log.

    config.json              the method, its configuration, what it was trained on
    weights/model.safetensors   the finished weights
    state/<stage>-<step>/    one complete checkpoint; state/latest.json names it
    previews/*.png           pictures made while training
    log.jsonl                one JSON object per logged step
    card.md                  what this is, for people

Everything is written beside its name and renamed, so a torn file never replaces a good one, and nothing in it can
execute: tensors are safetensors, the rest is JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkface.errors import UserError

RUN_VERSION = 1
_MAX_CONFIG_BYTES = 4 << 20


class Run:
    """One run folder. Opening it reads and checks `config.json`; see `Run.create` for a new one."""

    def __init__(self, root: Path) -> None:
        """Open an existing run.

        Raises:
            UserError: there is no run here, or it is broken or of another version.
        """
        self.root = root
        self.config = read_json(root / "config.json", f"{root} is not a run folder (made by `talkface train`)")
        if self.config.get("version") != RUN_VERSION:
            raise UserError(f"{root} has run format {self.config.get('version')!r}; this talkface reads {RUN_VERSION}")
        if not isinstance(self.config.get("method"), str) or not isinstance(self.config.get("config"), dict):
            raise UserError(f"{root / 'config.json'} does not name a method and its configuration")

    @classmethod
    def create(cls, root: Path, method: str, config: Mapping[str, Any], data: Mapping[str, Any]) -> Run:
        """Make a new run folder.

        Raises:
            UserError: the folder holds something already, or cannot be written.
        """
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise UserError(f"{root} exists already; choose another --out, or continue it with --resume")
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make {root}: {error.strerror}") from error
        write_json(root / "config.json", {"version": RUN_VERSION, "method": method, "config": config, "data": data})
        return cls(root)

    # -- weights ---------------------------------------------------------------------------------------------------

    def save_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """The finished weights."""
        write_tensors(self.root / "weights" / "model.safetensors", tensors)

    def weights(self) -> dict[str, Tensor]:
        """The finished weights, or those of the latest checkpoint while training goes on.

        Raises:
            UserError: nothing has been trained here yet, or the file is damaged.
        """
        path = self.root / "weights" / "model.safetensors"
        if not path.is_file():
            latest = self._latest()
            if latest is None:
                raise UserError(f"{self.root} holds no weights yet; finish it with `talkface train ... --resume`")
            path = latest / "model.safetensors"
        return read_tensors(path)

    # -- exact state -----------------------------------------------------------------------------------------------

    def save_state(self, name: str, parts: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]) -> None:
        """Replace the checkpoint by a complete new one: named sets of tensors, and plain facts."""
        state = self.root / "state"
        folder = state / name
        fresh = state / f".{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for part, tensors in parts.items():
            write_tensors(fresh / f"{part}.safetensors", tensors)
        write_json(fresh / "facts.json", facts)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        write_json(state / "latest.json", {"checkpoint": name})
        for old in state.iterdir():
            if old.is_dir() and old.name != name:
                shutil.rmtree(old, ignore_errors=True)

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
        """The latest checkpoint's sets of tensors and facts, or None."""
        folder = self._latest()
        if folder is None:
            return None
        parts = {path.stem: read_tensors(path) for path in sorted(folder.glob("*.safetensors"))}
        return parts, read_json(folder / "facts.json", f"the checkpoint in {folder} is incomplete")

    def _latest(self) -> Path | None:
        pointer = self.root / "state" / "latest.json"
        if not pointer.is_file():
            return None
        name = read_json(pointer, f"{pointer} is damaged").get("checkpoint", "")
        folder = pointer.parent / Path(str(name)).name
        return folder if folder.is_dir() else None

    # -- log -------------------------------------------------------------------------------------------------------

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to the log."""
        with (self.root / "log.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def rewind_log(self, total_step: int) -> None:
        """Drop lines that were written after the checkpoint at `total_step`."""
        path = self.root / "log.jsonl"
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if line]
            kept = [line for line in lines if json.loads(line).get("total_step", 0) <= total_step]
            write_text(path, "".join(line + "\n" for line in kept))


def write_text(path: Path, text: str) -> None:
    """Write beside the name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Plain JSON, indented, written atomically."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_json(path: Path, otherwise: str) -> dict[str, Any]:
    """One JSON object.

    Raises:
        UserError: with the sentence `otherwise`, when the file is absent, too large or not a JSON object.
    """
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise UserError(otherwise)
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(otherwise) from error
    if not isinstance(values, dict):
        raise UserError(otherwise)
    return values


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Safetensors, written atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    try:
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, fresh)
        fresh.replace(path)
    except (OSError, SafetensorError) as error:
        fresh.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Raises:
        UserError: it is absent, truncated or not safetensors.
    """
    try:
        return load_file(path, device="cpu")
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors, `<parameter index>.<name>`."""
    named = {}
    for index, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            named[f"{index}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return named


def restore_optimiser(optimiser: torch.optim.Optimizer, named: Mapping[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`, for an optimiser built from the same parameters."""
    whole = optimiser.state_dict()
    whole["state"] = {}
    for key, tensor in named.items():
        index, name = key.split(".", 1)
        whole["state"].setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict(whole)
