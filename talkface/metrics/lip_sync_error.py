"""Lip sync errors of a video: SyncNet v2's LSE-C and LSE-D, the Wav2Lip expert's agreement, and our own network's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from talkface.types import Score, Speech

_NAMES = (
    ("lse_c", True, "syncnet v2"),
    ("lse_d", False, "syncnet v2"),
    ("av_offset_frames", False, "syncnet v2"),
    ("expert_cosine", True, "wav2lip expert"),
    ("expert_offset_frames", False, "wav2lip expert"),
    ("lse_c@proxy", True, "talkface syncnet"),
    ("lse_d@proxy", False, "talkface syncnet"),
    ("av_offset_frames@proxy", False, "talkface syncnet"),
)


class SyncErrors:
    """Gathers one video frame by frame, 25 fps; `scores` judges it against its sound."""

    def __init__(self) -> None:
        self._frames = 0

    def add(self, picture: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "478 3"] | None) -> None:
        """The next frame, RGB, and its mesh points in px (None or NaN without a face)."""
        self._frames += 1

    def scores(self, speech: Speech) -> list[Score]:
        """The scores of the video seen so far; sample 0 of the speech is at its first frame."""
        return [
            Score(name, None, higher, self._frames, "mouth", backend, "its network is not here")
            for name, higher, backend in _NAMES
        ]
