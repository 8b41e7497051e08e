"""Lip sync of a rendered video: regression from speech to mouth shape, its correlation and its lag.

It is the measure of the shared clips (audio/sync.py), not SyncNet's; hence its own names.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from talkface.audio.sync import measure
from talkface.errors import UserError
from talkface.face.detect import LANDMARKS_68
from talkface.metrics.video import measured
from talkface.types import FPS, SPEECH_HZ, Score, Speech

_BACKEND = "cross-validated mel regression"


def part_of(speech: Speech, first_frame: int, frames: int) -> Speech:
    """The sound of a stretch of frames."""
    start = round(first_frame * SPEECH_HZ / FPS)
    return Speech(speech.waveform[start : start + round(frames * SPEECH_HZ / FPS)])


def sync_scores(speech: Speech, points: Float[np.ndarray, "frames 478 3"]) -> list[Score]:
    """`sync_r` and `sync_lag_frames` (positive: the sound is late; natural speech reads 0 or 1).

    Args:
        speech: The sound of exactly these frames.
        points: Mesh of consecutive frames, px; NaN where there is none.
    """
    return landmark_sync(speech, points[:, list(LANDMARKS_68)])


def landmark_sync(speech: Speech, landmarks: Float[np.ndarray, "frames 68 dims"]) -> list[Score]:
    """The same from iBUG points, any unit."""
    frames = int(np.isfinite(landmarks[:, 0, 0]).sum())
    try:
        found = measure(speech, landmarks, np.isfinite(landmarks).all((1, 2)))
    except UserError as error:
        return [
            Score(name, None, better, frames, "mouth", _BACKEND, str(error))
            for name, better in (("sync_r", True), ("sync_lag_frames", False))
        ]
    return [
        measured("sync_r", found.r, True, frames, "mouth", _BACKEND),
        measured("sync_lag_frames", float(found.lag_frames), False, frames, "mouth", _BACKEND),
    ]
