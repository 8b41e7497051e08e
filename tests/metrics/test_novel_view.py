"""Novel views by hand: flat things warp exactly, scores see what is wrong, stand-ins are the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.geometry import rotation_from_angles
from talkface.metrics.novel_view import (
    FlatView,
    NearestView,
    TrueView,
    Viewpoint,
    ViewScores,
    sweep,
    view_charts,
    view_table,
)

SIZE = 64


def scene(a: np.ndarray, seed: int = 0) -> TrueView:
    """A smooth pattern seen through an affine map `a` (2 x 3) of the plane."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    linear = np.linalg.inv(a[:, :2])
    at = np.stack([x - a[0, 2], y - a[1, 2]], -1) @ linear.T
    picture = 0.5 + 0.4 * np.stack([np.sin(at[..., 0] / 5), np.cos(at[..., 1] / 6), np.sin(at.sum(-1) / 9)], -1)
    marks = np.random.default_rng(seed).uniform(20, 44, (68, 2)) @ a[:, :2].T + a[:, 2]
    head = np.zeros((SIZE, SIZE))
    head[16:48, 16:48] = 1.0
    return TrueView(picture.astype(np.float32), head, np.zeros((SIZE, SIZE, 3), np.float32), marks)


PLAIN = np.array([[1.0, 0, 0], [0, 1, 0]])
SHEARED = np.array([[0.8, 0.1, 5], [0.05, 1.1, -4]])


def test_what_is_flat_is_warped_exactly() -> None:
    made = FlatView.frame(scene(PLAIN), scene(SHEARED))
    inside = np.s_[18:46, 18:46]
    assert np.abs(made[inside] - scene(SHEARED).picture[inside]).max() < 0.03
    assert (made[0] == 0).all(), "outside the head stands what is behind it"


def test_scores_of_the_truth_and_of_something_else() -> None:
    true, points = scene(PLAIN), np.random.default_rng(1).uniform(10, 50, (478, 3))
    right, wrong = ViewScores(), ViewScores()
    right.add(true.picture, points, true, points)
    wrong.add(true.picture[::-1].copy(), np.full((478, 3), np.nan), true, points)
    best, bad = ({(s.name, s.region): s.value for s in scores.scores()} for scores in (right, wrong))
    assert best["ssim", "head"] == pytest.approx(1.0) and best["lmd", "mouth"] == 0.0 and best["faces", "frame"] == 1.0
    assert best["psnr", "head"] is None or best["psnr", "head"] >= 99
    assert bad["psnr", "head"] < 20 and bad["ssim", "head"] < 0.7
    assert bad["lmd", "mouth"] is None and bad["faces", "frame"] == 0.0


def test_the_nearest_frame_is_the_frame_itself(drawn) -> None:
    person = drawn.DrawnPerson()
    nearest = NearestView(person, every=1)
    index = int(person.train_indices[33])
    track = person.track
    found = nearest.source_frame(track.pose.rotation[index], track.landmarks[index], float(track.closure[index].mean()))
    same = track.landmarks[found] - track.landmarks[index]
    assert np.abs(same).max() < 1e-6 and np.abs(track.closure[found] - track.closure[index]).max() < 0.05
    turned = rotation_from_angles(0.5, 0.0, 0.0)
    assert nearest.source_frame(turned, track.landmarks[index], 0.0) in person.train_indices


def test_the_sweep_and_its_report() -> None:
    views = sweep()
    assert len(views) == len(set(views)) == 13 and Viewpoint(0.0, 0.0) in views
    true, points = scene(PLAIN), np.random.default_rng(1).uniform(10, 50, (478, 3))
    scores = ViewScores()
    scores.add(true.picture * 0.9, points, true, points)
    results = {"ours": {view: scores.scores() for view in views}}
    charts = view_charts(results, {"ours": "ours"})
    assert len(charts) == 6 and all("nan" not in chart for chart in charts)
    assert len(view_table(results, "t").blocks) == 13
