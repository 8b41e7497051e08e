"""Nets and arrays in safetensors files, and the pre-trained lip net that ships with the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from talkface.audio.lipnet import LipNet
from talkface.errors import UserError

PRETRAINED_FORMAT = "talkface-lipnet-1"
SHIPPED = Path(__file__).with_name("lips_pretrained.safetensors")
"""Trained on GRID (Cooke et al. 2006, CC BY 4.0) and public-domain addresses only; its header names the clips."""


def shipped() -> LipNet:
    """The pre-trained net of the package."""
    return load_pretrained(SHIPPED)[0]


def save_pretrained(path: Path, net: LipNet, facts: dict[str, str]) -> None:
    """Write a pre-trained net with what it was trained on, whole or not at all."""
    write_tensors(path, tensors_of(net, "net."), {**facts, "format": PRETRAINED_FORMAT})


def load_pretrained(path: Path) -> tuple[LipNet, dict[str, str]]:
    """A net that `save_pretrained` wrote, and its facts.

    Raises:
        UserError: absent, broken, or of another format.
    """
    arrays, facts = read_tensors(path, PRETRAINED_FORMAT)
    try:
        return net_of(arrays, "net."), facts
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise UserError(
            f"{path} is not a complete lip net ({error}); train it again with `talkface train lips`"
        ) from None


def read_tensors(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and facts of a safetensors file of the named format; `UserError` where it is not one."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path} is not there")
    try:
        with safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from None
    if facts.get("format") != kind:
        raise UserError(f"{path} is of format {facts.get('format')!r}, expected {kind!r}")
    return arrays, facts


def net_of(arrays: dict[str, np.ndarray], prefix: str) -> LipNet:
    """The net whose weights carry `prefix`."""
    state: dict[str, Any] = {
        name.removeprefix(prefix): torch.from_numpy(value) for name, value in arrays.items() if name.startswith(prefix)
    }
    channels, bands = state["down.0.weight"].shape[:2]
    net = LipNet(bands, len(state["head.bias"]), channels)
    net.load_state_dict(state)
    return net.eval()


def tensors_of(net: LipNet, prefix: str) -> dict[str, np.ndarray]:
    """The net's weights under names that begin with `prefix`."""
    return {prefix + name: value.numpy() for name, value in net.state_dict().items()}


def write_tensors(path: Path, arrays: dict[str, np.ndarray], facts: dict[str, str]) -> None:
    """Write beside the name, then rename."""
    from safetensors.numpy import save_file

    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, beside, metadata=facts)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
