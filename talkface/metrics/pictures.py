"""One person's frames as the scores see them: truth, head mask and the plate a rendered head is laid over.

The published protocol renders the head over the *true* torso and background (nerf-methods.md §4). Outside the head mask
the plate is therefore exactly the true frame; a plate that differs there caps every score (field-quality.md §3).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from talkface.types import Camera, Track


@runtime_checkable
class Pictures(Protocol):
    """What scores and baselines need of a person; `FolderPictures` reads it from a processed folder."""

    size_px: tuple[int, int]
    camera: Camera
    """The camera of the pictures at their size."""
    track: Track
    train_indices: Int[np.ndarray, " train"]
    test_indices: Int[np.ndarray, " test"]

    def truth(self, index: int) -> Float[np.ndarray, "height width 3"]:
        """The true frame, float32 RGB in [0, 1]."""
        ...

    def head(self, index: int) -> Float[np.ndarray, "height width"]:
        """How much of each pixel is head, 0 to 1."""
        ...

    def plate(self, index: int) -> Float[np.ndarray, "height width 3"]:
        """What is behind the head: the true frame outside the head, torso and clean background inside."""
        ...

    def landmarks_px(self, index: int) -> Float[np.ndarray, "68 2"]:
        """Tracked iBUG points in these pictures."""
        ...


def composite(
    colour: Float[np.ndarray, "height width 3"],
    opacity: Float[np.ndarray, "height width"],
    behind: Float[np.ndarray, "height width 3"],
) -> Float[np.ndarray, "height width 3"]:
    """Lay a picture over another; `colour` is not multiplied by `opacity`. Where opacity is 0, exactly `behind`."""
    alpha = opacity[..., None]
    return np.where(alpha > 0, alpha * colour + (1 - alpha) * behind, behind).astype(np.float32)
