"""`talkface benchmark face`: the face scores' own accuracy, on drawn speakers whose truth is exact.

Speakers are drawn, detected in the pictures as any video would be, and what the detector and the fit say is held
against the truth: blinks, lid closure (AU45), head pose, action units. It says how far a score of these can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from talkface.data.synthetic.speaker import SpeakerConfig, SyntheticSpeaker
from talkface.engine.run import write_json
from talkface.face.basis import face_basis
from talkface.face.eyes import lid_closure, lid_opening
from talkface.face.look import Sightings, look
from talkface.face.track import fit_track
from talkface.geometry import angle_between
from talkface.metrics import action_units, face
from talkface.metrics.expression import FittedFace, fit_face
from talkface.metrics.lips import correlation
from talkface.pipeline.benchmark_tracking import Figure
from talkface.progress import Progress
from talkface.types import FPS

CAST = ((1, "neutral"), (2, "neutral"), (3, "neutral"), (4, "happy"), (5, "angry"))
"""Seed and emotion of each speaker."""
SECONDS, SIZE_PX = 12.0, 256
_LEAST_SPREAD = 0.1
_APART = np.full(int(FPS), np.nan)


def benchmark_face(out: Path, cast: tuple[tuple[int, str], ...] = CAST, seconds: float = SECONDS) -> dict[str, Any]:
    """Print every figure with its target, and write them to `out`/face.json.

    Needs mediapipe; action units need the ICT face model and are left out without it.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = []
    for figure in _figures(cast, seconds):
        print(figure.line(), flush=True)
        figures.append(figure)
    result = {
        "face_model": face_basis().name,
        "figures": [asdict(f) | {"reached": f.reached} for f in figures],
        "missed": [f.name for f in figures if f.reached is False],
    }
    write_json(out / "face.json", result)
    return result


def _figures(cast: tuple[tuple[int, str], ...], seconds: float) -> Iterator[Figure]:
    kept: dict[str, list[float]] = {}
    units: dict[int, list[float]] = {}
    lids: list[np.ndarray] = []
    true_lids: list[np.ndarray] = []
    for seed, emotion in cast:
        speaker = SyntheticSpeaker(
            SpeakerConfig(seed=seed, size_px=SIZE_PX, seconds=seconds, emotion=emotion, recorded=True)
        )
        seen = look(_drawn(speaker))
        lids += [lid_closure(lid_opening(seen.points_px), FPS).mean(1), _APART]
        true_lids += [speaker.closure.mean(1), _APART]
        fitted = fit_face(seen.points_px, seen.size_px, FPS)
        for name, value in _poses(speaker, seen, fitted).items():
            kept.setdefault(name, []).append(value)
        for unit, value in _units(speaker, fitted).items():
            units.setdefault(unit, []).append(value)
    yield Figure("blink F1, all speakers", face.blink_f1(np.concatenate(lids), np.concatenate(true_lids), FPS), 0.95)
    follows = [correlation(found, true) for found, true in zip(lids[::2], true_lids[::2], strict=True)]
    yield Figure("AU45 r, mean of speakers", float(np.mean(follows)), 0.95)
    for name, values in kept.items():
        yield Figure(f"{name}, deg", float(np.mean(values)), most=1.0)
    for unit, values in sorted(units.items()):
        yield Figure(f"AU{unit} fitted against known, r, of {len(values)} speakers", float(np.mean(values)))


def _drawn(speaker: SyntheticSpeaker) -> Iterator[np.ndarray]:
    with Progress("drawing", speaker.frames) as progress:
        for picture in speaker.pictures():
            yield picture
            progress.advance()


def _poses(speaker: SyntheticSpeaker, seen: Sightings, fitted: FittedFace) -> dict[str, float]:
    """Mean angles in degrees.

    The score compares two heads of one person; here the same head a second later. Against the truth a constant turn
    (where a head's zero is) is taken out.
    """
    truth, step = speaker.pose.rotation, int(FPS)
    found = fitted.pose.rotation
    apart, true_apart = (angle_between(r[:-step], r[step:]) for r in (found, truth))
    known = fit_track(seen, FPS, focal_px=speaker.camera.focal_px).pose.rotation
    return {
        "pose score, error of the angle between two heads": float(np.degrees(np.abs(apart - true_apart).mean())),
        "tracked pose against truth, camera known": _unbiased_deg(known, truth),
        "tracked pose against truth, camera guessed": _unbiased_deg(fit_track(seen, FPS).pose.rotation, truth),
    }


def _unbiased_deg(found: np.ndarray, true: np.ndarray) -> float:
    u, _, vt = np.linalg.svd((found @ np.swapaxes(true, 1, 2)).mean(0))
    return float(np.degrees(angle_between((u @ vt) @ true, found)).mean())


def _units(speaker: SyntheticSpeaker, fitted: FittedFace) -> dict[int, float]:
    """Correlation of every action unit that moves, where both sides have named expressions."""
    track = speaker.track
    if not fitted.named or track.face_model != "ict":
        return {}
    found = action_units.intensities(fitted.expression, fitted.names)
    true = action_units.intensities(track.expression, track.expression_names)
    return {unit: correlation(found[unit], true[unit]) for unit in true if true[unit].std() > _LEAST_SPREAD}
