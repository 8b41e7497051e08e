"""Pictures from viewpoints that no camera filmed, held against exact truth: scores, baselines, curves, report.

Only drawn speakers have such truth: they show any viewpoint of the same moment. As everywhere (nerf-methods.md §4) the
head is judged over the true torso and background. Yaw and pitch are the camera's about the head, degrees: positive yaw
to the viewer's right, positive pitch up (product.md, `--view`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from talkface.face.detect import LANDMARKS_68
from talkface.geometry import angle_between
from talkface.metrics import lips, lmd
from talkface.metrics.alignment import RIGID, apply, pixel_centres, sample, similarity
from talkface.metrics.charts import Line, curve_chart
from talkface.metrics.image import Psnr, mouth_mask
from talkface.metrics.picture_scores import pyramid_of
from talkface.metrics.pictures import Pictures, composite
from talkface.metrics.rows import measured
from talkface.metrics.structure import structure
from talkface.metrics.tables import Block, Column, Entry, Table
from talkface.metrics.video import MESH
from talkface.types import Score

YAW_DEG = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
PITCH_DEG = (-15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0)
COLUMNS = (
    Column("psnr", "head", "PSNR head", digits=2),
    Column("psnr", "mouth", "PSNR mouth", digits=2),
    Column("ssim", "head", "SSIM head"),
    Column("lmd", "mouth", "LMD mouth", higher_is_better=False),
    Column("lmd_eye", "eyes", "LMD eyes", higher_is_better=False),
    Column("faces", "frame", "faces found", digits=2),
)
_CHARTED = (("psnr", "head", "PSNR of the head", "dB"), ("ssim", "head", "SSIM of the head", ""),
            ("lmd", "mouth", "Landmark distance of the mouth", "px"))  # fmt: skip
_TURN_RAD, _CLOSURE = np.radians(4.0), 0.25
"""A turn or a closure this far off is as bad for a stand-in as a mouth one standard deviation off (our choice)."""


@dataclass(frozen=True)
class Viewpoint:
    """Where the camera stands."""

    yaw_deg: float
    pitch_deg: float

    @property
    def title(self) -> str:
        """As in tables."""
        return f"yaw {self.yaw_deg:+.0f}°, pitch {self.pitch_deg:+.0f}°"


def sweep() -> tuple[Viewpoint, ...]:
    """Yaw at no pitch, then pitch at no yaw; the middle once."""
    yaws = [Viewpoint(yaw, 0.0) for yaw in YAW_DEG]
    return (*yaws, *(Viewpoint(0.0, pitch) for pitch in PITCH_DEG if pitch))


@dataclass(frozen=True, eq=False)
class TrueView:
    """One moment from one viewpoint, as it exactly is."""

    picture: Float[np.ndarray, "height width 3"]
    head: Float[np.ndarray, "height width"]
    """How much of each pixel is head."""
    behind: Float[np.ndarray, "height width 3"]
    """Torso and room without the head."""
    landmarks_px: Float[np.ndarray, "68 2"]


class ViewScores:
    """Scores of one video at one viewpoint. Call `add` for every frame, then read `scores`."""

    def __init__(self) -> None:
        self._psnr = {"head": Psnr(), "mouth": Psnr()}
        self._ssim: list[float] = []
        self._points: list[tuple[np.ndarray, np.ndarray]] = []

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        points: Float[np.ndarray, "478 3"],
        true: TrueView,
        true_points: Float[np.ndarray, "478 3"],
    ) -> None:
        """Judge the next frame; points are the mesh found in both pictures, px, NaN without a face."""
        head = true.head > 0.5
        mouth = mouth_mask(true.landmarks_px, head.shape)
        for region, mask in (("head", head), ("mouth", mouth)):
            self._psnr[region].add(picture, true.picture, mask)
        found = structure(pyramid_of(picture), pyramid_of(true.picture)).map
        edge = (len(head) - len(found)) // 2
        self._ssim.append(float(found[head[edge : len(head) - edge, edge : head.shape[1] - edge]].mean()))
        self._points.append((points, true_points))

    def scores(self) -> list[Score]:
        """PSNR, SSIM and landmark distances (px of these pictures); `faces`: share of true faces found again."""
        rendered, true = (np.array(side)[:, list(LANDMARKS_68), :2] for side in zip(*self._points, strict=True))
        known = np.isfinite(true).all((1, 2))
        again = float(np.isfinite(rendered[known]).all((1, 2)).mean()) if known.any() else float("nan")
        return [
            *(measured("psnr", psnr.mean, True, len(self._ssim), region) for region, psnr in self._psnr.items()),
            measured("ssim", float(np.mean(self._ssim)), True, len(self._ssim), "head"),
            *lmd.lmd_scores(rendered, true, MESH),
            measured("faces", again, True, int(known.sum()), "frame", MESH),
        ]


class NearestView:
    """Baseline `nearest`: the training frame whose head, seen from its camera, is turned as it should be here.

    Mouth and lids count too; the frame is laid on the true place of the head by a similarity (an advantage to it).
    """

    what = "training frame nearest in relative pose, mouth and lids, laid on the true place, true head mask"

    def __init__(self, pictures: Pictures, every: int = 3) -> None:
        self._pictures, track = pictures, pictures.track
        known = np.isfinite(track.landmarks).all((1, 2)) & np.isfinite(track.closure).all(1)
        self._candidates = np.array([i for i in pictures.train_indices[::every].tolist() if known[i]])
        self._rotation = track.pose.rotation[self._candidates]
        self._opening = lips.opening(track.landmarks[self._candidates])
        self._spread = max(float(self._opening.std()), 1e-6)
        self._closure = track.closure[self._candidates].mean(1)

    def source_frame(
        self, rotation: Float[np.ndarray, "3 3"], landmarks: Float[np.ndarray, "68 3"], closure: float
    ) -> int:
        """Which training frame stands in for a head turned so relative to the camera."""
        turn = angle_between(self._rotation, rotation) / _TURN_RAD
        opening = (self._opening - lips.opening(landmarks[None])[0]) / self._spread
        lids = (self._closure - closure) / _CLOSURE
        return int(self._candidates[np.argmin(turn**2 + opening**2 + lids**2)])

    def frame(
        self, rotation: Float[np.ndarray, "3 3"], landmarks: Float[np.ndarray, "68 3"], closure: float, true: TrueView
    ) -> Float[np.ndarray, "height width 3"]:
        """The whole picture."""
        source = self.source_frame(rotation, landmarks, closure)
        there = self._pictures.landmarks_px(source)
        return _laid(self._pictures.truth(source), similarity(true.landmarks_px[RIGID], there[RIGID]), true)


class FlatView:
    """Baseline `flat`: the true picture of this very moment from the source camera, warped as if the face were flat."""

    what = "true picture from the source camera, warped by the best affine map of the 68 landmarks, true head mask"

    @staticmethod
    def frame(source: TrueView, true: TrueView) -> Float[np.ndarray, "height width 3"]:
        """The whole picture."""
        return _laid(source.picture, _affine(true.landmarks_px, source.landmarks_px), true)


def _laid(picture: np.ndarray, picture_from_view: Float[np.ndarray, "2 3"], true: TrueView) -> np.ndarray:
    colour, inside = true.behind.astype(np.float32).copy(), true.head > 0
    colour[inside] = sample(picture, apply(picture_from_view, pixel_centres(true.head.shape)[inside]))
    return composite(colour, true.head, true.behind)


def _affine(source: Float[np.ndarray, "points 2"], target: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "2 3"]:
    """Least-squares affine map that takes `source` to `target`."""
    rows = np.concatenate([source, np.ones((len(source), 1))], 1)
    return np.linalg.lstsq(rows, target, rcond=None)[0].T


Results = Mapping[str, Mapping[Viewpoint, Sequence[Score]]]
"""By video ("method", "nearest", "flat"), then by viewpoint."""


def view_table(results: Results, title: str) -> Table:
    """One block per viewpoint, its videos as rows."""
    views = list(next(iter(results.values())))
    blocks = [Block(view.title, [Entry(name, scores[view]) for name, scores in results.items()]) for view in views]
    return Table(title, COLUMNS, blocks)


def view_charts(results: Results, colours: Mapping[str, str]) -> list[str]:
    """Every charted score over yaw (at no pitch) and over pitch (at no yaw)."""
    drawn = []
    for name, region, title, unit in _CHARTED:
        for axis, angles in (("yaw", YAW_DEG), ("pitch", PITCH_DEG)):
            views = [Viewpoint(a, 0.0) if axis == "yaw" else Viewpoint(0.0, a) for a in angles]
            lines = [
                Line(video, colours[video], np.array([_value(scores.get(view, ()), name, region) for view in views]))
                for video, scores in results.items()
            ]
            drawn.append(curve_chart(f"{title} over {axis}", unit, lines, np.array(angles), "°"))
    return drawn


def view_json(results: Results) -> list[dict[str, Any]]:
    """One object per video and viewpoint."""
    return [
        {
            "video": video,
            "yaw_deg": view.yaw_deg,
            "pitch_deg": view.pitch_deg,
            "scores": [
                {"name": s.name, "region": s.region, "value": s.value, "frames": s.frames, "backend": s.backend}
                | ({"why": s.why} if s.why else {})
                for s in scores
            ],
        }
        for video, by_view in results.items()
        for view, scores in by_view.items()
    ]


def _value(scores: Sequence[Score], name: str, region: str) -> float:
    found = next((s.value for s in scores if (s.name, s.region) == (name, region)), None)
    return float("nan") if found is None else found
