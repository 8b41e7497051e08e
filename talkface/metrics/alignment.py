"""2-D alignment of a head from its 3-D pose alone, and the condition vector that stands for a frame.

Used by the baselines: they must not look at the test frame, so both come from pose, pose-free landmarks and closure.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from talkface.geometry import project, vector_from_rotation
from talkface.metrics.pictures import Pictures
from talkface.types import Track

RIGID = np.array([0, 2, 14, 16, 27, 28, 29, 30, 31, 35, 36, 39, 42, 45])
"""iBUG points that speech and blinks hardly move: upper jaw line, nose, eye corners."""
MOUTH_AND_CHIN = np.r_[4:13, 48:68]
CONDITION_CLAMP_SIGMA = 2.5
"""Conditions beyond the training range are held: unseen ones make polynomials explode (field-quality.md §3)."""


class Alignment:
    """Where each frame's head lies on a common canvas: a similarity of the projected rigid points of the mean face."""

    def __init__(self, pictures: Pictures) -> None:
        self._camera, self._pose = pictures.camera, pictures.track.pose
        self._shape = pictures.track.landmarks[pictures.train_indices][:, RIGID].mean(0)
        self.canvas = np.mean([self._projected(i) for i in pictures.train_indices.tolist()], axis=0)

    def frame_from_canvas(self, index: int) -> Float[np.ndarray, "2 3"]:
        """Canvas px to the px of a frame, from its head pose."""
        return similarity(self.canvas, self._projected(index))

    def _projected(self, index: int) -> Float[np.ndarray, "points 2"]:
        return project(self._shape @ self._pose.rotation[index].T + self._pose.translation[index], self._camera)


class Condition:
    """Mouth components, closure and pose of a frame as one vector, each in training standard deviations.

    The mouth is a PCA of the pose-free mouth and chin points over the training frames.
    """

    def __init__(self, track: Track, train: Int[np.ndarray, " train"], mouth_components: int = 8) -> None:
        self._track = track
        points = self._points(track.landmarks[train])
        self._mean_points = points.mean(0)
        _, _, rows = np.linalg.svd(points - self._mean_points, full_matrices=False)
        self._components = rows[:mouth_components]
        self._mean_rotation = _mean_rotation(track.pose.rotation[train])
        raw = np.array([self._raw(i) for i in train.tolist()])
        self._mean, spread = raw.mean(0), raw.std(0)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        self.mouth = slice(0, len(self._components))
        self.closure = slice(self.mouth.stop, self.mouth.stop + 2)
        self.rotation = slice(self.closure.stop, self.closure.stop + 3)
        self._spread = spread

    def vector(
        self,
        index: int,
        landmarks: Float[np.ndarray, "68 3"] | None = None,
        closure: float | None = None,
    ) -> Float[np.ndarray, " condition"]:
        """Condition of a frame; `landmarks` (pose-free, cm) and `closure` replace the tracked ones."""
        return (self._raw(index, landmarks, closure) - self._mean) / self._scale

    def distances(
        self, vectors: Float[np.ndarray, "frames condition"], vector: Float[np.ndarray, " condition"]
    ) -> Float[np.ndarray, " frames"]:
        """How unlike frames are: head rotation, mouth and eyes count the same, each over its training spread.

        Inside a group the natural units rule, so that the large mouth components weigh more than the small ones.
        Translation is left out: the 2-D alignment takes care of it.
        """
        total = np.zeros(len(vectors))
        for group in (self.mouth, self.closure, self.rotation):
            weight = self._spread[group] ** 2
            total += ((vectors[:, group] - vector[group]) ** 2 @ weight) / max(weight.sum(), 1e-12)
        return np.sqrt(total)

    def _raw(
        self, index: int, landmarks: Float[np.ndarray, "68 3"] | None = None, closure: float | None = None
    ) -> Float[np.ndarray, " condition"]:
        points = self._track.landmarks[index] if landmarks is None else landmarks
        mouth = self._components @ (self._points(points[None])[0] - self._mean_points)
        lids = self._track.closure[index] if closure is None else np.full(2, closure)
        pose = self._track.pose
        turn = vector_from_rotation(self._mean_rotation.T @ pose.rotation[index])
        return np.concatenate([mouth, lids, turn, pose.translation[index]])

    @staticmethod
    def _points(landmarks: Float[np.ndarray, "frames 68 3"]) -> Float[np.ndarray, "frames values"]:
        return landmarks[:, MOUTH_AND_CHIN].reshape(len(landmarks), -1)


def similarity(
    source: Float[np.ndarray, "points 2"], target: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "2 3"]:
    """Least-squares shift, turn and scale that takes `source` to `target`: `target = m[:, :2] @ source + m[:, 2]`."""
    a = (source - source.mean(0)) @ np.array([1, 1j])
    b = (target - target.mean(0)) @ np.array([1, 1j])
    factor = (a.conj() @ b) / (a.conj() @ a)
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.concatenate([linear, (target.mean(0) - linear @ source.mean(0))[:, None]], axis=1)


def inverse(matrix: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The affine map that undoes `matrix`."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -(linear @ matrix[:, 2:])], axis=1)


def apply(matrix: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
    """Map points by an affine matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def pixel_centres(size_px: tuple[int, int]) -> Float[np.ndarray, "height width 2"]:
    """Coordinates (x, y) of every pixel's centre; the corner of the first pixel is (0, 0)."""
    y, x = np.mgrid[: size_px[0], : size_px[1]]
    return np.stack([x, y], -1) + 0.5


def sample(
    picture: Float[np.ndarray, "height width channels"], points: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "points channels"]:
    """Bilinear colours at pixel coordinates (x, y); outside, the edge is repeated."""
    height, width = picture.shape[:2]
    x = np.clip(points[:, 0] - 0.5, 0, width - 1)
    y = np.clip(points[:, 1] - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    u, v = (x - left).astype(np.float32)[:, None], (y - top).astype(np.float32)[:, None]
    flat = picture.reshape(height * width, -1)
    corner = top * width + left
    upper = flat[corner] * (1 - u) + flat[corner + 1] * u
    lower = flat[corner + width] * (1 - u) + flat[corner + width + 1] * u
    return upper * (1 - v) + lower * v


def _mean_rotation(rotations: Float[np.ndarray, "frames 3 3"]) -> Float[np.ndarray, "3 3"]:
    u, _, vt = np.linalg.svd(rotations.mean(0))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
