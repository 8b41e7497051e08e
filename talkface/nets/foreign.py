"""Weights that others published: read as tensors only, and put into a module that must fit them exactly.

A published file may be anything by the time it reaches a user: a web page saved under the file's name, half a download,
another network, or a pickle that wants to run a program. Nothing in it is executed, whatever it says.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from talkface.errors import UserError

LIMIT_BYTES = 4 << 30
"""Larger files are refused unread; the largest published checkpoint that talkface can use has about 2 GB (ours)."""
_ALL_RANKS = "module."
_COUNTER = "num_batches_tracked"
_NAMES_SHOWN = 3


def read_checkpoint(path: Path, limit_bytes: int = LIMIT_BYTES) -> dict[str, Tensor]:
    """Named tensors of a safetensors file or of a PyTorch checkpoint (zip or legacy), on the CPU.

    A dictionary under "state_dict" is opened (what stands beside it is dropped), and the prefix "module." is taken off
    when every name has it, as data-parallel training writes it. One-shot-methods.md §8.1.

    Raises:
        UserError: it is absent, too large, cut short, a web page, holds more than tensors, or no tensors at all.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if size > limit_bytes:
        raise UserError(f"{path} is {size / 2**30:.1f} GiB, more than any network that talkface can use")
    if start.lstrip().startswith((b"<", b"version https://git-lfs")):
        raise UserError(f"{path} is a web page or a pointer saved in the place of weights; download the file itself")
    found = _safetensors(path) if start[8:9] == b"{" else _torch(path, start, limit_bytes)
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    named = {k: v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, Mapping) else {}
    if not named or not all(isinstance(name, str) for name in named):
        raise UserError(f"{path} holds no named tensors, so it is not the weights of a network")
    if all(name.startswith(_ALL_RANKS) for name in named):
        named = {name.removeprefix(_ALL_RANKS): tensor for name, tensor in named.items()}
    return named


def load_exactly(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    path: Path,
    what: str = "this network",
    unused: tuple[str, ...] = (),
) -> None:
    """Copy weights into a module; every name and shape must agree, in both directions.

    Args:
        path: Where they come from, for the sentence.
        what: What they should be, for the sentence ("SyncNet v2").
        unused: Beginnings of names that the file may hold and the module does not have (a classifier). Counters of
            batch norms may be absent (files older than PyTorch 0.4.1).

    Raises:
        UserError: names or shapes differ (the first few are named), or a weight is not a finite number.
    """
    wanted = module.state_dict()
    given = {name: tensor for name, tensor in weights.items() if name in wanted or not name.startswith(unused)}
    missing = [name for name in wanted if name not in given and not name.endswith(_COUNTER)]
    unexpected = [name for name in given if name not in wanted]
    misfits = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given
        and (given[name].shape != tensor.shape or given[name].is_floating_point() != tensor.is_floating_point())
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", misfits))
    if wrong := [f"{_some(names)} {kind}" for kind, names in kinds if names]:
        raise UserError(f"{path} does not hold {what}: {'; '.join(wrong)}")
    for name, tensor in given.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"{path} is damaged: {name} holds values that are not finite numbers")
    module.load_state_dict({**wanted, **given})


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} is not a whole safetensors file; download it again") from error


def _torch(path: Path, start: bytes, limit_bytes: int) -> object:
    """What a PyTorch file holds, with PyTorch's unpickler that builds tensors and plain containers only."""
    if start.startswith(b"PK"):
        _check_archive(path, limit_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer pickle protocols work or fail; a remark helps nobody
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes fail in that unpickler in every way there is
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise UserError(
                f"{path} wants more than tensors to be loaded, which could run a program; refused"
            ) from error
        raise UserError(f"{path} is not a checkpoint of PyTorch, or is damaged; download it again") from error


def _check_archive(path: Path, limit_bytes: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UserError(f"{path} is cut short or damaged; download it again") from error
    if sum(entry.file_size for entry in inside) > limit_bytes:
        raise UserError(f"{path} unpacks to more than any network that talkface can use")
    if any(entry.filename.endswith("/constants.pkl") for entry in inside):
        raise UserError(f"{path} is a TorchScript program; save its state_dict() as a checkpoint and bring that")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}"
