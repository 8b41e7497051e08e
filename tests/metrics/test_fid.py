"""Frechet distance and its streaming statistics against numpy, scipy and a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from talkface.metrics.fid import FeatureStatistics, frechet_distance


def vectors(seed: int, count: int, size: int = 24, offset: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, size)) @ random.normal(size=(size, size)) / 5 + 1 + offset).astype(np.float32)


def statistics(features: np.ndarray, batch: int = 7) -> FeatureStatistics:
    found = FeatureStatistics(features.shape[1])
    for start in range(0, len(features), batch):
        found.add(features[start : start + batch])
    return found


def direct(one: np.ndarray, other: np.ndarray) -> float:
    """As pytorch-fid computes it."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    here, there = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    apart = one.mean(0) - other.mean(0)
    return float(apart @ apart + np.trace(here) + np.trace(there) - 2 * np.trace(linalg.sqrtm(here @ there).real))


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_statistics_are_those_of_all_vectors_at_once(batch: int) -> None:
    features = vectors(0, 300)
    found = statistics(features, batch)
    assert found.count == 300
    np.testing.assert_allclose(found.mean, features.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-9)


def test_statistics_are_stable_far_from_zero() -> None:
    features = vectors(0, 2000).astype(np.float64) + 1e7
    np.testing.assert_allclose(
        statistics(features, 3).covariance,
        np.cov(vectors(0, 2000).astype(np.float64), rowvar=False),
        rtol=1e-4,
        atol=1e-6,
    )


def test_parts_merge_to_the_whole() -> None:
    features = vectors(1, 101)
    first, second, empty = statistics(features[:30]), statistics(features[30:]), FeatureStatistics(24)
    first.merge(empty)
    empty.merge(first)
    empty.merge(second)
    np.testing.assert_allclose(empty.covariance, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-9)


@pytest.mark.parametrize("counts", [(400, 300), (60, 500)])
def test_distance_is_that_of_scipy(counts: tuple[int, int]) -> None:
    one, other = vectors(2, counts[0]), vectors(3, counts[1], offset=0.3)
    wanted = direct(one, other)
    assert frechet_distance(statistics(one), statistics(other)) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(statistics(other), statistics(one)) == pytest.approx(wanted, rel=1e-6)


def test_distance_of_diagonal_normals_is_the_closed_form() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2 per feature; four corners of a box have exactly these moments."""
    corners = np.array(np.meshgrid([-1, 1], [-1, 1])).reshape(2, -1).T * np.sqrt(3) / 2  # sample variance 1
    one, other = corners * [1, 2] + [5, 0], corners * [4, 0.5] + [2, 1]
    assert frechet_distance(statistics(one), statistics(other)) == pytest.approx(9 + 1 + 9 + 2.25)


def test_equal_sets_and_fewer_vectors_than_features() -> None:
    few = vectors(4, 10)
    assert frechet_distance(statistics(few), statistics(few)) == pytest.approx(0, abs=1e-6)
    other = vectors(5, 10)
    assert frechet_distance(statistics(few), statistics(other)) == pytest.approx(direct(few, other), rel=1e-3)
    with pytest.raises(ValueError, match="fewer than two"):
        frechet_distance(statistics(few[:1]), statistics(other))
