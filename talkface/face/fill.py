"""Smooth continuation of a picture into places where it is not known: plates, hidden torso, motion fields."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

_SMALLEST_PX = 4


def fill(
    values: Float[np.ndarray, "height width channels"], known: Bool[np.ndarray, "height width"], sweeps: int = 12
) -> Float[np.ndarray, "height width channels"]:
    """Keep `values` where `known`, elsewhere continue them as a membrane held at the known border.

    Solved coarse to fine (each level halves the picture and adds `sweeps` averaging sweeps), which is linear in the
    values and so steady over time. Zero everywhere when nothing is known. Source: our choice; a membrane has no
    overshoot and no direction of its own.
    """
    if known.all():
        return values.astype(np.float32)
    if not known.any():
        return np.zeros(values.shape, np.float32)
    return _fill(values.astype(np.float32), known, sweeps)


def _fill(values: np.ndarray, known: np.ndarray, sweeps: int) -> np.ndarray:
    import cv2

    height, width, channels = values.shape
    if known.all():
        return values
    if min(height, width) <= _SMALLEST_PX:
        start = np.broadcast_to(values[known].mean(0), values.shape)
    else:
        half = ((width + 1) // 2, (height + 1) // 2)
        weight = cv2.resize(known.astype(np.float32), half, interpolation=cv2.INTER_AREA)
        coarse = cv2.resize(np.where(known[..., None], values, 0.0), half, interpolation=cv2.INTER_AREA)
        coarse = coarse.reshape(*weight.shape, channels) / np.maximum(weight, 1e-6)[..., None]
        start = cv2.resize(_fill(coarse, weight > 1e-3, sweeps), (width, height), interpolation=cv2.INTER_LINEAR)
        start = start.reshape(values.shape)
    filled = np.where(known[..., None], values, start)
    for _ in range(sweeps):
        smooth = cv2.blur(filled, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(values.shape)
        filled = np.where(known[..., None], values, smooth)
    return filled.astype(np.float32)


__all__ = ["fill"]
