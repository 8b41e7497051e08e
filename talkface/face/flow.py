"""Witnesses of true image motion: skin points on nose and cheekbones followed by optical flow between two frames.

Detected points carry a bias that wanders from frame to frame; pixels do not. tracking.md §1, §3.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8

FLOW_POINTS: tuple[int, ...] = (
    6, 197, 195, 5, 4, 45, 275, 51, 281, 236, 456, 198, 420, 131, 360, 126, 355,
    101, 330, 118, 347, 117, 346, 123, 352, 50, 280, 100, 329,
)  # fmt: skip
"""Mesh points on nose and cheekbones: no brows, no forehead, whose skin slides over the skull."""

_WINDOW = 0.16
_RETURN = 0.02


class Flow:
    """Follows mesh points from each frame to the next by pyramidal Lucas-Kanade; only one grey frame is kept."""

    def __init__(self, points: tuple[int, ...] = FLOW_POINTS) -> None:
        self._index = list(points)
        self.grey: np.ndarray = np.zeros((0, 0), np.uint8)
        """The latest frame."""
        self._points: np.ndarray | None = None

    def step(
        self, frame: UInt8[np.ndarray, "height width 3"], points_px: Float[np.ndarray, "478 3"] | None
    ) -> tuple[Float[np.ndarray, "flow 2"], Bool[np.ndarray, " flow"]]:
        """Motion in px of each point from the previous frame to this one, and which of them can be trusted.

        The window is 16 % of the distance between the irises; a point is trusted when following it back returns
        within 2 % of that distance (95 to 100 % are). Nothing is trusted where either frame has no face.
        """
        import cv2

        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        here = points_px
        motion = np.zeros((len(self._index), 2))
        trusted = np.zeros(len(self._index), bool)
        before, start = self.grey, self._points
        if start is not None and here is not None and before.shape == grey.shape:
            iod = float(np.linalg.norm(start[468, :2] - start[473, :2]))
            side = max(5, round(_WINDOW * iod)) | 1
            enough = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)

            def follow(there: np.ndarray, here: np.ndarray, at: np.ndarray, guess: np.ndarray) -> tuple:
                return cv2.calcOpticalFlowPyrLK(
                    there, here, at, guess.copy(), winSize=(side, side), maxLevel=3, criteria=enough,
                    flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
                )  # fmt: skip

            first = start[self._index, :2].astype(np.float32)[:, None]
            then, ok, _ = follow(before, grey, first, here[self._index, :2].astype(np.float32)[:, None])
            back, ok_back, _ = follow(grey, before, then, first)
            motion = (then - first)[:, 0].astype(float)
            returns = np.linalg.norm((back - first)[:, 0], axis=-1) < _RETURN * iod
            trusted = returns & (ok[:, 0] == 1) & (ok_back[:, 0] == 1)
        self.grey, self._points = grey, here
        return motion, trusted
