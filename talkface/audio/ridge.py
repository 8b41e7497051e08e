"""Ridge regression with its strength chosen by cross-validation over contiguous fifths."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Tried penalties, as fractions of the number of rows (features have unit variance)."""


@dataclass(frozen=True)
class Ridge:
    """``y = x @ weight + bias``."""

    weight: Float[np.ndarray, "features outputs"]
    bias: Float[np.ndarray, " outputs"]

    def __call__(self, x: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "rows outputs"]:
        """Predictions, float32."""
        return (x @ self.weight + self.bias).astype(np.float32)


def fit_ridge(
    x: Float[np.ndarray, "rows features"],
    y: Float[np.ndarray, "rows outputs"],
    score: int = 1,
    guard: int = 15,
) -> tuple[Ridge, Float[np.ndarray, "rows outputs"]]:
    """The ridge whose strength predicts the first `score` outputs best in cross-validation (mean squared error).

    Beside it, what ridges of that strength say of every row without having seen it (`cross_predictions`).
    """
    held_out = cross_predictions(x, y, guard)
    best = int(((held_out - y)[:, :, :score] ** 2).mean((1, 2)).argmin())
    mean_x, mean_y = x.mean(0), y.mean(0)
    values, vectors = np.linalg.eigh(_gram(x - mean_x))
    target = vectors.T @ ((x - mean_x).T @ (y - mean_y)).astype(np.float64)
    weight = vectors @ (target / (np.maximum(values, 0) + STRENGTHS[best] * len(x))[:, None])
    return Ridge(weight.astype(np.float32), (mean_y - mean_x @ weight).astype(np.float32)), held_out[best]


def cross_predictions(
    x: Float[np.ndarray, "rows features"], y: Float[np.ndarray, "rows outputs"], guard: int = 15, folds: int = 5
) -> Float[np.ndarray, "strengths rows outputs"]:
    """Predictions of every row by a ridge that saw neither its fifth nor `guard` rows on either side."""
    out = np.zeros((len(STRENGTHS), *y.shape), np.float32)
    edges = np.linspace(0, len(x), folds + 1).astype(int)
    for start, stop in itertools.pairwise(edges):
        keep = np.ones(len(x), bool)
        keep[max(0, start - guard) : stop + guard] = False
        if not keep.any():
            continue
        mean_x, mean_y = x[keep].mean(0), y[keep].mean(0)
        centred = x[keep] - mean_x
        values, vectors = np.linalg.eigh(_gram(centred))
        target = vectors.T @ (centred.T @ (y[keep] - mean_y)).astype(np.float64)
        turned = (x[start:stop] - mean_x) @ vectors
        for index, strength in enumerate(STRENGTHS):
            shrink = np.maximum(values, 0) + strength * keep.sum()
            out[index, start:stop] = turned @ (target / shrink[:, None]) + mean_y
    return out


def _gram(x: np.ndarray) -> np.ndarray:
    return (x.T @ x).astype(np.float64)
