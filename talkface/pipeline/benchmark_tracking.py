"""Every figure of the tracker in one go, its target beside it: known truth, gaps and broken frames, and real clips.

Targets are those of the tracking study (its §8); the fits without the face model stand beside as they are.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from talkface import assets
from talkface.errors import UserError
from talkface.face.basis import FaceBasis, face_basis
from talkface.face.clip import ClipFit, fit_clip
from talkface.face.eyes import blink_events, event_f1
from talkface.face.figures import (
    blink_when_shut,
    lip_gap_agreement,
    motion_kept,
    pnp_smoothed,
    pose_error_at,
    pose_errors,
    reprojection,
    watch,
    witness_mismatch,
)
from talkface.face.fit import Motion
from talkface.face.look import Sightings, look
from talkface.face.track import as_track
from talkface.face.truth import draw_motion, observe
from talkface.io.video import read_frames
from talkface.progress import track_progress
from talkface.types import FPS

CLIPS: tuple[tuple[str, str, int], ...] = (
    ("cnn2", "speakers/cnn2/clip.mp4", 600),
    ("obama_address", "speakers/obama_address/clip_450.mp4", 300),
    ("person31", "speakers/person31/clip.mp4", 200),
    ("grid_s1", "speakers/grid_s1/*.mpg", 300),
    ("edtalk_pose2", "speakers/edtalk_pose2/clip.mp4", 300),
    ("KatieHill", "multi/wda_hdtf/WDA_KatieHill_000.mp4", 200),
)
"""Name, file (a pattern: those files, joined), and how many frames of it are used."""
_FOCALS, _SYNTHETIC_FRAMES, _SIDE_PX = (1.0, 2.0, 3.5, 1.0, 2.0, 3.5), 300, 512


@dataclass(frozen=True)
class Figure:
    """One number, what it should be, and whether it is."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def reached(self) -> bool | None:
        """None where there is no target."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def line(self) -> str:
        """One line of the printed table."""
        bounds = [f">= {self.least:g}"] if self.least is not None else []
        bounds += [f"<= {self.most:g}"] if self.most is not None else []
        verdict = {True: "reached", False: "MISSED", None: ""}[self.reached]
        return f"{self.name:<58}{self.value:>10.3f}   {' and '.join(bounds):<20}{verdict}"


def benchmark_tracking(out: Path, data: Path | None = None) -> dict:
    """Print every figure with its target, and write them to `out`/tracking.json.

    Args:
        out: Folder for the result, made when absent.
        data: Folder of the development clips (`speakers/cnn2/clip.mp4` and so on); without it only known truth is
            measured.

    Raises:
        UserError: `data` is not such a folder, or mediapipe is missing.
    """
    if data is not None and not (data / CLIPS[0][1]).is_file():
        raise UserError(f"{data} does not hold the development clips: {CLIPS[0][1]} is not there")
    out.mkdir(parents=True, exist_ok=True)
    best = face_basis()
    figures = []
    for figure in _all_figures(best, data):
        print(figure.line(), flush=True)
        figures.append(figure)
    result = {
        "face_model": best.name,
        "figures": [asdict(f) | {"reached": f.reached} for f in figures],
        "missed": [f.name for f in figures if f.reached is False],
    }
    beside = out / f".tracking.{os.getpid()}.json"
    beside.write_text(json.dumps(result, indent=1))
    beside.replace(out / "tracking.json")
    return result


def _all_figures(best: FaceBasis, data: Path | None) -> Iterator[Figure]:
    seen: dict[str, Sightings] = {}
    motions: list[tuple[Motion, float]] = []
    if data is not None:
        for name, file, frames in track_progress(CLIPS, "clips"):
            began = time.process_time()
            seen[name] = look(_frames(data / file, frames))
            look_ms = 1e3 * (time.process_time() - began) / frames
            began = time.process_time()
            fit = fit_clip(seen[name], best, FPS)
            fit_s = time.process_time() - began
            motions.append((fit.motion, fit.person.focal_px / seen[name].size_px[1]))
            yield from _clip_figures(name, data / file, seen[name], fit)
            if name == "cnn2":
                per_frame = look_ms + 1e3 * max(fit_s - 3.0, 0.0) / frames
                yield Figure(f"{name}: frames/s at 512 (one look with decoding, fit beyond 3 s)", 1e3 / per_frame, 60)
                yield from _repeated_detection(data / file, best)
    if best.bounded:
        yield from _truth_figures("truth", best, best, motions, targets=True)
        yield from _broken_frames(best)
    for source in ("canonical", "average"):
        if source == "canonical" and assets.find("canonical") is None:
            continue
        basis = face_basis(source)
        if best.bounded:
            yield from _truth_figures(f"truth, {source} face", best, basis, motions, targets=False)
        for name, file, _ in CLIPS[:3]:
            if data is not None:
                fit = fit_clip(seen[name], basis, FPS)
                yield from _clip_figures(f"{name}, {source} face", data / file, seen[name], fit, targets=False)


def _frames(path: Path, count: int) -> Iterator[np.ndarray]:
    files = sorted(path.parent.glob(path.name))
    return islice(chain.from_iterable(read_frames(file) for file in files), count)


def _clip_figures(name: str, path: Path, seen: Sightings, fit: ClipFit, targets: bool = True) -> Iterator[Figure]:
    main = name == "cnn2"
    witnesses = watch(_frames(path, len(seen.change)), seen)
    point, common = witness_mismatch(fit, witnesses)
    most = 0.28 if main else None
    yield Figure(f"{name}: unseen flow against fit, point %", 100 * point, most=most)
    yield Figure(f"{name}: unseen flow against fit, common %", 100 * common, most=most)
    if targets:
        smooth = witness_mismatch(fit, witnesses, pnp_smoothed(fit))
        yield Figure(f"{name}: the same for PnP + Savitzky-Golay, point %", 100 * smooth[0])
        yield Figure(f"{name}: the same for PnP + Savitzky-Golay, common %", 100 * smooth[1])
    kept, there = motion_kept(fit, witnesses)
    bounds = (0.9, 1.1) if targets else (None, None)
    yield Figure(f"{name}: second difference, fit over flow", kept / there, *bounds)
    error, eyes, lips = reprojection(fit)
    yield Figure(f"{name}: reprojection %", 100 * error, most=(0.75 if main else 1.4) if targets else None)
    yield Figure(f"{name}: reprojection of eyelids %", 100 * eyes)
    yield Figure(f"{name}: reprojection of lips %", 100 * lips)
    plain, _ = lip_gap_agreement(fit, seen)
    yield Figure(f"{name}: lip gap of the model's shape, r", plain, 0.96 if targets else None)
    if targets:
        landmarks = as_track(fit, seen, FPS).landmarks
        gap = np.mean([np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=-1) for a, b in _LIPS_68], 0)
        raw = np.mean([np.linalg.norm(seen.points_px[:, a, :2] - seen.points_px[:, b, :2], axis=-1)
                       for a, b in _LIPS_478], 0) / fit.unit_px  # fmt: skip
        yield Figure(f"{name}: lip gap of the landmarks, r", float(np.corrcoef(gap, raw)[0, 1]), 0.96)
    shut = blink_when_shut(fit)
    if shut is not None:
        yield Figure(f"{name}: eyeBlink on shut frames", shut, 0.8 if main else 0.6)
    yield Figure(f"{name}: focal length over width", fit.person.focal_px / seen.size_px[1])


_LIPS_68 = ((61, 67), (62, 66), (63, 65))
_LIPS_478 = ((82, 87), (13, 14), (312, 317))


def _repeated_detection(path: Path, basis: FaceBasis, frames: int = 300) -> Iterator[Figure]:
    """The same clip seen twice, each frame shifted, scaled and turned at random: three times ordinary noise."""
    twice = [fit_clip(_shaken(path, frames, seed), basis, FPS) for seed in (1, 2)]
    first, second = (blink_events(np.nan_to_num(fit.closure).mean(1)) for fit in twice)
    yield Figure("cnn2 seen twice: blink event F1", event_f1(first, second), 0.97)
    difference = pose_error_at(twice[0], twice[1], np.arange(frames))
    yield Figure("cnn2 seen twice: rotation between the two, deg rms", float(np.sqrt((difference**2).mean())))


def _shaken(path: Path, frames: int, seed: int) -> Sightings:
    import cv2

    generator = np.random.default_rng(seed)
    turns: list[np.ndarray] = []

    def shaken() -> Iterator[np.ndarray]:
        for frame in _frames(path, frames):
            height, width = frame.shape[:2]
            angle, scale = generator.uniform(-4, 4), generator.uniform(0.93, 1.07)
            matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), float)
            matrix[:, 2] += generator.uniform(-8, 8, 2)
            turns.append(matrix)
            yield cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    seen = look(shaken())
    points = seen.points_px.astype(float)
    for index, matrix in enumerate(turns):
        back = cv2.invertAffineTransform(matrix)
        points[index, :, :2] = points[index, :, :2] @ back[:, :2].T + back[:, 2]
        points[index, :, 2] *= np.sqrt(abs(np.linalg.det(back[:, :2])))
    return replace(
        seen, points_px=points, flow_trusted=np.zeros_like(seen.flow_trusted), change=np.zeros(frames),
        sharpness=np.ones(frames),
    )  # fmt: skip


def _truth_figures(
    name: str, truth_basis: FaceBasis, basis: FaceBasis, motions: list[tuple[Motion, float]], targets: bool
) -> Iterator[Figure]:
    """Six random people; they move as the real clips do where those are given, else as drawn."""
    for flow_noise in (None, 0.002) if targets else (None,):
        rows = []
        long = [(m, f) for m, f in motions if len(m) >= 200]
        for index, focal in enumerate(_FOCALS):
            generator = np.random.default_rng(index)
            focal_px = focal * _SIDE_PX
            motion = draw_motion(truth_basis, generator, _SYNTHETIC_FRAMES, focal_px, _SIDE_PX)
            if long:
                path, path_focal = long[index % len(long)]
                part = path[-_SYNTHETIC_FRAMES:]
                nearer = np.array([1.0, 1.0, focal / path_focal])
                motion = Motion(part.rotation, part.translation * nearer, np.clip(part.expression, 0, 1))
            truth = observe(truth_basis, generator, motion, focal_px, (_SIDE_PX, _SIDE_PX), flow_noise=flow_noise)
            rows.append(pose_errors(fit_clip(truth.sightings, basis, FPS), truth))
        title = name + ("" if flow_noise is None else ", with flow")
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        pooled = np.sqrt(sum(r["jitter_deg"] ** 2 for r in rows) / sum(r["true_jitter_deg"] ** 2 for r in rows))
        near = float(np.mean([row["focal"] for row, focal in zip(rows, _FOCALS, strict=True) if focal <= 2]))

        def most(value: float) -> float | None:
            return value if targets else None

        yield Figure(f"{title}: rotation deg", mean["rotation_deg"], most=most(1.0))
        yield Figure(f"{title}: rotation, bias removed, deg", mean["rotation_unbiased_deg"], most=most(0.45))
        # The target was set for real motion; drawn judder is quicker than a real head's and shows what smoothing costs.
        yield Figure(f"{title}: jitter over true jitter", float(pooled), *((0.8, 1.1) if targets and long else ()))
        yield Figure(f"{title}: position across, mm", mean["xy_mm"], most=most(0.6))
        yield Figure(f"{title}: depth, mm", mean["z_mm"], most=most(2.0))
        yield Figure(f"{title}: shape, mm (mean face {mean['mean_face_mm']:.2f})", mean["shape_mm"], most=most(1.2))
        yield Figure(f"{title}: focal at 1 to 2 widths, %", 100 * near, most=most(6.0))
        yield Figure(f"{title}: closure rmse", mean["closure_rmse"], most=most(0.06))
        yield Figure(f"{title}: blink event F1", mean["blink_f1"], 0.98 if targets else None)


def _broken_frames(basis: FaceBasis) -> Iterator[Figure]:
    """Five frames without a face, and frames whose points are scrambled."""
    generator = np.random.default_rng(9)
    focal_px = 2.0 * _SIDE_PX
    motion = draw_motion(basis, generator, 200, focal_px, _SIDE_PX)
    truth = observe(basis, generator, motion, focal_px, (_SIDE_PX, _SIDE_PX))
    whole = fit_clip(truth.sightings, basis, FPS)
    hidden = np.arange(90, 95)
    points, trusted = truth.sightings.points_px.copy(), truth.sightings.flow_trusted.copy()
    points[hidden], trusted[90:96] = np.nan, False
    gap = fit_clip(replace(truth.sightings, points_px=points, flow_trusted=trusted), basis, FPS)
    yield Figure("gap of 5 frames: rotation deg", float(pose_error_at(gap, whole, hidden).mean()), most=0.5)
    scrambled = np.arange(5, 200, 10)
    points = truth.sightings.points_px.copy()
    points[scrambled, :, :2] += generator.normal(0, 0.12 * whole.unit_px.mean(), (len(scrambled), 478, 2))
    fit = fit_clip(replace(truth.sightings, points_px=points), basis, FPS)
    rejected = np.mean([fit.reason[i] == "fit" for i in scrambled])
    yield Figure("scrambled frames rejected, %", 100 * float(rejected), 95)
    wrongly = np.mean([fit.reason[i] != "" for i in np.setdiff1d(np.arange(200), scrambled)])
    yield Figure("good frames rejected beside them, %", 100 * float(wrongly), most=2)
