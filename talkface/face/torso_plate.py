"""Neck and shoulders of one frame, continued under the head."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from talkface.face.fill import fill
from talkface.face.matte import foreground
from talkface.face.regions import BACKGROUND, HEAD, NECK, TORSO, around

_RIM_AT_512_PX = 2
_SHARPNESS = 10.0
"""How steeply the hidden outline falls where the continued alpha passes one half."""


def torso_plate(
    frame: UInt8[np.ndarray, "height width 3"],
    matte: Float[np.ndarray, "height width"],
    labels: UInt8[np.ndarray, "height width"],
    background: UInt8[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "height width 4"]:
    """Neck and torso alone, straight RGBA, continued smoothly under the head so that a moved head uncovers no hole.

    Where neck or torso is seen the colour is the frame's own (free of old background along the edge) and alpha the
    matte. Under the head both are continued as membranes, the outline being the continued alpha's half-way line: it
    enters the head where the neck does and arches about half a neck's width up. No pixel of the head is left. A plate
    depends on its frame alone and changes as smoothly as that does. Source: ours, in place of copying columns upward
    (shared specification of NeRF methods, section 0.1), which leaves streaks and jumps between frames.
    """
    hidden = _head_side(labels, matte)
    if not hidden.any():
        return np.dstack([foreground(frame, matte, background), np.round(matte * 255).astype(np.uint8)])
    alpha = np.where(hidden, 0.0, matte).astype(np.float32)
    own = foreground(frame, alpha, background)
    inside = (slice(*_span(np.any(hidden, 1))), slice(*_span(np.any(hidden, 0))))
    solid = ~hidden & (matte > 0.6)
    continued = _continued(alpha[inside][..., None], ~hidden[inside])[..., 0]
    sharp = np.clip((continued - 0.5) * _SHARPNESS + 0.5, 0.0, 1.0)
    alpha[inside] = np.where(hidden[inside], sharp, alpha[inside])
    visible = (~hidden & (matte > 0.02))[inside][..., None]
    own[inside] = np.where(visible, own[inside], np.round(_continued(own[inside], solid[inside])))
    return np.dstack([own, np.round(alpha * 255).astype(np.uint8)])


def _head_side(labels: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """The head with a rim, and those pixels of the soft fringe that lie nearer to it than to neck or torso."""
    import cv2

    height, width = labels.shape
    scale = min(1.0, 256 / min(height, width))
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    nearer = around(small == HEAD) > around((small == NECK) | (small == TORSO))
    nearest = cv2.resize(nearer.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    side = (labels == HEAD) | (nearest & (labels == BACKGROUND) & (matte > 0.01))
    rim = 2 * max(1, round(_RIM_AT_512_PX * min(height, width) / 512)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    return cv2.dilate(side.astype(np.uint8), disc) > 0


def _span(occupied: np.ndarray) -> tuple[int, int]:
    """First and last position with a margin that shows what borders on it."""
    where = np.flatnonzero(occupied)
    margin = max(8, len(occupied) // 12)
    return max(0, int(where[0]) - margin), min(len(occupied), int(where[-1]) + margin + 1)


def _continued(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`fill` at half size: the result is smooth anyway, and where it is known the caller keeps the original."""
    import cv2

    height, width = known.shape
    half = ((width + 1) // 2, (height + 1) // 2)
    weight = cv2.resize(known.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    masked = np.where(known[..., None], values, 0).astype(np.float32)
    small = cv2.resize(masked, half, interpolation=cv2.INTER_AREA).reshape(*weight.shape, -1)
    small = small / np.maximum(weight, 1e-6)[..., None]
    filled = fill(small, weight > 0.25)
    return cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)


__all__ = ["torso_plate"]
