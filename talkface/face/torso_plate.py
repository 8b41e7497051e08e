"""Neck and shoulders of one frame, continued under the head."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from talkface.face.fill import fill
from talkface.face.matte import foreground
from talkface.face.regions import BACKGROUND, HEAD, NECK, TORSO, around

_RIM_AT_512_PX = 2


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
    import cv2

    scale = min(labels.shape) / 512
    head, body = around(labels == HEAD), around((labels == NECK) | (labels == TORSO))
    heads_side = (head > body) & ((labels == BACKGROUND) | (labels == HEAD)) & (matte > 0.01)
    rim = 2 * max(1, round(_RIM_AT_512_PX * scale)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    hidden = cv2.dilate((heads_side | (labels == HEAD)).astype(np.uint8), disc) > 0
    if not hidden.any():
        return np.dstack([foreground(frame, matte, background), np.round(matte * 255).astype(np.uint8)])
    alpha = _continued(matte[..., None], ~hidden)[..., 0]
    sharp = np.clip((alpha - 0.5) * 4 * scale + 0.5, 0.0, 1.0)
    alpha = np.where(hidden, sharp, matte)
    own = foreground(frame, np.where(hidden, 0.0, matte), background)
    solid = ~hidden & (matte > 0.6)
    colours = np.where(~hidden[..., None] & (matte > 0.02)[..., None], own, _continued(own, solid))
    return np.dstack([np.round(colours).astype(np.uint8), np.round(alpha * 255).astype(np.uint8)])


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
