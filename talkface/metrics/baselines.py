"""What a method must beat: a still frame, the nearest training frame, and a picture regression that fits in seconds.

All three give whole frames over the true torso and background, cut with the *true* head mask: an advantage to them.
Their rows are those of field-quality.md §2.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from talkface.metrics.alignment import (
    CONDITION_CLAMP_SIGMA,
    Alignment,
    Condition,
    apply,
    inverse,
    pixel_centres,
    sample,
)
from talkface.metrics.pictures import Pictures, composite

_COMPONENTS = 64
_MOST_BYTES = 600_000_000
_CHUNK = 6_144
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@runtime_checkable
class Baseline(Protocol):
    """Something that makes a frame from what a method is given."""

    what: str
    """What exactly it is, for the report."""

    def frame(
        self, index: int, landmarks: Float[np.ndarray, "68 3"] | None = None, closure: float | None = None
    ) -> Float[np.ndarray, "height width 3"]:
        """The whole picture of a test frame; landmarks (pose-free, cm) and closure replace the tracked ones."""
        ...


class Still:
    """`still`: the training frame whose pose, place, mouth and eyes are most ordinary, as it is."""

    what = "one training frame, not aligned"

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        condition = Condition(pictures.track, pictures.train_indices)
        vectors = np.array([condition.vector(i) for i in pictures.train_indices.tolist()])
        ordinary = np.argmin(np.linalg.norm(vectors, axis=1))
        self.source_frame = int(pictures.train_indices[ordinary])
        self._still = pictures.truth(self.source_frame)

    def frame(
        self, index: int, landmarks: Float[np.ndarray, "68 3"] | None = None, closure: float | None = None
    ) -> Float[np.ndarray, "height width 3"]:
        """The still head over the true frame."""
        return composite(self._still, self._pictures.head(index), self._pictures.truth(index))


class Nearest:
    """`nearest`: the training frame with the nearest pose, mouth and eyes, moved to where the head is."""

    what = "training frame nearest in pose, mouth and eyes, 2-D aligned"

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._alignment = Alignment(pictures)
        self._condition = Condition(pictures.track, pictures.train_indices)
        self._vectors = np.array([self._condition.vector(i) for i in pictures.train_indices.tolist()])
        self._grid = pixel_centres(pictures.size_px)

    def source_frame(
        self, index: int, landmarks: Float[np.ndarray, "68 3"] | None = None, closure: float | None = None
    ) -> int:
        """Which training frame stands in for a test frame."""
        wanted = self._condition.vector(index, landmarks, closure)
        return int(self._pictures.train_indices[np.argmin(self._condition.distances(self._vectors, wanted))])

    def frame(
        self, index: int, landmarks: Float[np.ndarray, "68 3"] | None = None, closure: float | None = None
    ) -> Float[np.ndarray, "height width 3"]:
        """The nearest training frame over the true frame."""
        source = self.source_frame(index, landmarks, closure)
        canvas_from_frame = inverse(self._alignment.frame_from_canvas(index))
        head, truth = self._pictures.head(index), self._pictures.truth(index)
        colour, inside = truth.copy(), head > 0
        at = apply(self._alignment.frame_from_canvas(source), apply(canvas_from_frame, self._grid[inside]))
        colour[inside] = sample(self._pictures.truth(source), at)
        return composite(colour, head, truth)


class PictureRegression:
    """`pca`: quadratic ridge regression from [mouth components, closure, pose] to 64 principal pictures of the head.

    Training frames are laid on a common canvas by the 2-D alignment; the regression's canvas is laid back at the test
    frame's pose. The ridge is the one that does best on the last tenth of the training frames. Memory stays under
    about 1 GB: from long or large clips evenly spaced training frames are taken.
    """

    what = "quadratic regression from mouth, eyes and pose to 64 image principal components, 2-D aligned"

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._alignment = Alignment(pictures)
        self._condition = Condition(pictures.track, pictures.train_indices)
        self._grid = pixel_centres(pictures.size_px)
        self._corner, self._canvas_px = self._canvas_box()
        values = self._canvas_px[0] * self._canvas_px[1] * 3
        step = -(-len(pictures.train_indices) * values // _MOST_BYTES)
        train = pictures.train_indices[::step]
        canvases = self._on_canvas(train, values)
        self._mean = canvases.mean(0, dtype=np.float64).astype(np.float32)
        left, size = _principal(canvases, self._mean)
        features = np.array([self._features(self._condition.vector(i)) for i in train.tolist()])
        self._weights = _best_ridge(features, left * size)
        self._components = _project(canvases, self._mean, left / size)

    def canvas(self, vector: Float[np.ndarray, " condition"]) -> Float[np.ndarray, "height width 3"]:
        """The picture of a condition, on the canvas."""
        values = self._mean + (self._features(vector) @ self._weights).astype(np.float32) @ self._components
        return values.reshape(*self._canvas_px, 3) / 255

    def frame(
        self, index: int, landmarks: Float[np.ndarray, "68 3"] | None = None, closure: float | None = None
    ) -> Float[np.ndarray, "height width 3"]:
        """The regressed head over the true frame."""
        canvas = self.canvas(self._condition.vector(index, landmarks, closure))
        head, truth = self._pictures.head(index), self._pictures.truth(index)
        colour, inside = truth.copy(), head > 0
        canvas_from_frame = inverse(self._alignment.frame_from_canvas(index))
        at = apply(canvas_from_frame, self._grid[inside]) - self._corner
        colour[inside] = np.clip(sample(canvas, at), 0, 1)
        return composite(colour, head, truth)

    def _canvas_box(self) -> tuple[np.ndarray, tuple[int, int]]:
        """The part of the canvas that any head covers (seen on up to 64 frames), with a small margin."""
        low, high = np.full(2, np.inf), np.full(2, -np.inf)
        train = self._pictures.train_indices.tolist()
        for index in train[:: max(1, len(train) // 64)]:
            inside = self._pictures.head(index) > 0.5
            if inside.any():
                at = apply(inverse(self._alignment.frame_from_canvas(index)), self._grid[inside])
                low, high = np.minimum(low, at.min(0)), np.maximum(high, at.max(0))
        margin = 0.03 * (high - low)
        corner, stop = np.floor(low - margin), np.ceil(high + margin)
        width, height = (stop - corner).astype(int)
        return corner, (int(height), int(width))

    def _on_canvas(self, train: np.ndarray, values: int) -> UInt8[np.ndarray, "frames values"]:
        grid = (pixel_centres(self._canvas_px) + self._corner).reshape(-1, 2)
        canvases = np.empty((len(train), values), np.uint8)
        for row, index in zip(canvases, train.tolist(), strict=True):
            colours = sample(self._pictures.truth(index), apply(self._alignment.frame_from_canvas(index), grid))
            row[:] = np.rint(colours * 255).reshape(-1)
        return canvases

    def _features(self, vector: Float[np.ndarray, " condition"]) -> Float[np.ndarray, " features"]:
        held = np.clip(vector, -CONDITION_CLAMP_SIGMA, CONDITION_CLAMP_SIGMA)
        rows, columns = np.triu_indices(len(held))
        return np.concatenate([[1.0], held, held[rows] * held[columns]])


def _principal(canvases: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors and singular values of the centred rows, from the Gram matrix, a chunk at a time."""
    gram = np.zeros((len(canvases), len(canvases)))
    for start in range(0, canvases.shape[1], _CHUNK):
        part = canvases[:, start : start + _CHUNK] - mean[start : start + _CHUNK]
        gram += part @ part.T
    values, vectors = np.linalg.eigh(gram)
    keep = [k for k in range(len(values) - 1, -1, -1) if values[k] > 1e-6 * values[-1]][:_COMPONENTS]
    return vectors[:, keep], np.sqrt(values[keep])


def _project(canvases: np.ndarray, mean: np.ndarray, left: np.ndarray) -> np.ndarray:
    """The principal pictures [components, values], float32, a chunk at a time."""
    components = np.empty((left.shape[1], canvases.shape[1]), np.float32)
    rows = left.T.astype(np.float32)
    for start in range(0, canvases.shape[1], _CHUNK):
        stop = start + _CHUNK
        components[:, start:stop] = rows @ (canvases[:, start:stop] - mean[start:stop])
    return components


def _best_ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Regression weights; the ridge is chosen on the last tenth of the frames, then all are used."""
    cut = max(1, len(features) * 9 // 10)

    def error(ridge: float) -> float:
        guess = features[cut:] @ _ridge(features[:cut], targets[:cut], ridge)
        return float(((guess - targets[cut:]) ** 2).sum())

    return _ridge(features, targets, min(_RIDGES, key=error))


def _ridge(features: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    penalty = np.full(features.shape[1], ridge * len(features))
    penalty[0] = 0.0
    return np.linalg.solve(features.T @ features + np.diag(penalty), features.T @ targets)
