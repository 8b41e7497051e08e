"""Seeded weights from names alone, so that two implementations of a network get the same ones without a file.

Imports nothing of talkface: the scripts that make golden outputs run it beside the original packages.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch import Tensor


def filler(name: str, shape: tuple[int, ...]) -> Tensor:
    """Weights N(0, 1/sqrt(fan in)); gains and variances of norms in [0.5, 1.5]; biases and means N(0, 0.1)."""
    random = np.random.RandomState(crc32(name.encode()))
    if len(shape) > 1:
        values = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(("weight", "running_var")):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = 0.1 * random.standard_normal(shape)
    return torch.from_numpy(np.asarray(values, np.float32))


def fill_by_name(shapes: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """A state dict of the same names and shapes with seeded values; counters of batch norms become 0."""
    return {
        name: torch.zeros_like(old) if name.endswith("num_batches_tracked") else filler(prefix + name, tuple(old.shape))
        for name, old in shapes.items()
    }


def pictures(seed: int, count: int, height: int, width: int) -> Tensor:
    """Pictures in [0, 1] with large and small detail."""
    random = np.random.RandomState(seed)
    coarse = torch.from_numpy(random.rand(count, 3, 5, 7).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    fine = torch.from_numpy(random.rand(count, 3, height, width).astype(np.float32))
    return 0.7 * smooth + 0.3 * fine
