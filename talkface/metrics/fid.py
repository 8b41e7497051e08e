"""Frechet distance of two sets of feature vectors, from statistics that grow with the features and not with the frames.

FID (Heusel et al. 2017) is this distance for InceptionV3's last features of rendered and true frames.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


class FeatureStatistics:
    """Mean and covariance of vectors that come in batches, in double precision.

    Batches are joined by Chan's rule, which never subtracts large squares, so that the result does not depend on the
    order or size of batches beyond rounding.
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean: Float[np.ndarray, " size"] = np.zeros(size)
        self._scatter = np.zeros((size, size))

    def add(self, features: Float[np.ndarray, "vectors size"]) -> None:
        """Count more vectors."""
        if len(features):
            mean = features.mean(0, dtype=np.float64)
            centred = features - mean
            self._join(len(features), mean, centred.T @ centred if len(features) > 1 else None)

    def merge(self, other: FeatureStatistics) -> None:
        """Count all vectors that another one has counted."""
        if other.count:
            self._join(other.count, other.mean, other._scatter)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray | None) -> None:
        total = self.count + count
        apart = mean - self.mean
        self._scatter += np.outer(apart, apart * (self.count * count / total))
        if scatter is not None:
            self._scatter += scatter
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def covariance(self) -> Float[np.ndarray, "size size"]:
        """Sample covariance, divided by one less than the count.

        Raises:
            ValueError: fewer than two vectors were counted.
        """
        if self.count < 2:
            raise ValueError("the covariance of fewer than two vectors is not defined")
        return self._scatter / (self.count - 1)


def frechet_distance(one: FeatureStatistics, other: FeatureStatistics) -> float:
    """Squared Frechet distance of two normal distributions: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    The trace of the root is that of (R' C2 R)^(1/2) with C1 = R R', whose eigenvalues are real and not negative even
    where there are fewer vectors than features; nothing is added to the diagonals. Directions in which C1 has no more
    than rounding are left out of R.

    Raises:
        ValueError: one of them has fewer than two vectors.
    """
    here, there = one.covariance, other.covariance
    values, vectors = np.linalg.eigh(here)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    root = vectors[:, kept] * np.sqrt(values[kept])
    shared = np.sqrt(np.linalg.eigvalsh(root.T @ there @ root).clip(0)).sum()
    apart = one.mean - other.mean
    return float(max(apart @ apart + np.trace(here) + np.trace(there) - 2 * shared, 0.0))
