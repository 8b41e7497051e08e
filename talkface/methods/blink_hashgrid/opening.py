"""Does the rendered mouth open, do the eyes close? Measured from pixels, without a face detector.

PSNR hides a frozen mouth (field-quality.md section 6). A ridge regression from pose-aligned mouth and eye pixels to
the tracked opening is fitted on true training frames and then read on rendered ones; the correlation with the track
is what training watches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from talkface.data.person import PersonData

INNER_LIPS = ((61, 67), (62, 66), (63, 65))
GRID = (12, 18)
"""Rows and columns of the sampled patch."""


class OpeningMeter:
    """Reads mouth opening (cm) and eye closure from colours at points of a picture."""

    def __init__(self, data: PersonData, folder: Any, frames: int = 150, ridge: float = 3.0) -> None:
        self._data = data
        landmarks, closure = folder.track.landmarks, np.nan_to_num(folder.track.closure)
        self._patches = {
            "mouth_opening": [_patch(data.mean_landmarks[48:68], 0.25, 0.5)],
            "eye_closure": [_patch(data.mean_landmarks[eye], 0.2, 0.8) for eye in (slice(36, 42), slice(42, 48))],
        }
        pairs = [np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=-1) for a, b in INNER_LIPS]
        self._truth = {"mouth_opening": np.mean(pairs, axis=0), "eye_closure": closure.mean(1)}
        some = data.indices[np.linspace(0, len(data.indices) - 1, min(frames, len(data.indices))).round().astype(int)]
        seen: dict[str, list[np.ndarray]] = {name: [] for name in self._patches}
        for frame in some:
            colour = data.picture(int(frame)).colour.astype(np.float32) / 255
            for name in seen:
                seen[name].append(_sample(colour, self.pixels(int(frame), name)))
        self._reader = {}
        for name, rows in seen.items():
            inputs, target = np.stack(rows), np.nan_to_num(self._truth[name][some])
            middle = inputs.mean(0)
            kernel = (inputs - middle) @ (inputs - middle).T
            gain = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), target - target.mean())
            self._reader[name] = (middle, (inputs - middle).T @ gain, target.mean())

    def pixels(self, frame: int, name: str) -> np.ndarray:
        """Image points [n, 2] of the patches of a frame."""
        pose = np.linalg.inv(self._data.poses[frame].astype(np.float64))
        camera = self._data.camera
        local = np.concatenate(self._patches[name]) @ pose[:3, :3].T + pose[:3, 3]
        return local[:, :2] / local[:, 2:] * camera.focal_px + camera.center_px

    def follow(self, frames: list[int], look: Callable[[int, Tensor], Tensor]) -> dict[str, float]:
        """Correlation of what is read from pictures with the track, over frames.

        Args:
            look: frame and image points [n, 2] -> colours [3, n].
        """
        scores = {}
        for name, (middle, gain, mean) in self._reader.items():
            read = []
            for frame in frames:
                colours = look(frame, torch.from_numpy(self.pixels(frame, name)).float())
                read.append((colours.numpy().T.ravel() - middle) @ gain + mean)
            truth = np.nan_to_num(self._truth[name][frames])
            flat = np.std(read) < 1e-9 or np.std(truth) < 1e-9
            scores[f"{name}_r"] = 0.0 if flat else float(np.corrcoef(read, truth)[0, 1])
        return scores


def _patch(points: np.ndarray, wider: float, taller: float) -> np.ndarray:
    """Head-frame points [n, 3] of a grid in the frontal plane around landmarks, margins as shares of the width."""
    low, high = points.min(0), points.max(0)
    width = high[0] - low[0]
    x = np.linspace(low[0] - wider * width, high[0] + wider * width, GRID[1])
    y = np.linspace(low[1] - taller * width, high[1] + taller * width, GRID[0])
    columns, rows = np.meshgrid(x, y)
    return np.stack([columns.ravel(), rows.ravel(), np.full(columns.size, points[:, 2].mean())], 1)


def _sample(colour: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear colours at image points, flattened point by point."""
    place = [pixels[:, 1] - 0.5, pixels[:, 0] - 0.5]
    channels = [map_coordinates(colour[..., c], place, order=1, mode="nearest") for c in range(3)]
    return np.stack(channels, 1).ravel()
