"""FACS action units (AUs) from ARKit-named expression weights or from OpenFace tables, and how well two videos agree.

Intensities run from 0 to 5 (FACS A to E are 1 to 5), as OpenFace's `_r` columns do. The mapping below is our reading of
what each ARKit shape does; where FACS distinguishes what the shapes do not, it says so. AU45 is measured from the lids
(`face.au45_correlation`), not from the fit.

What the fit can be trusted with, measured on drawn speakers through the detector (`talkface benchmark face`, r of
fitted against known): AU25 0.96, AU2 0.86, AU26 0.77, AU12 0.75, AU1 and AU22 0.63; AU10, 14, 16, 18 and 20 0.1 to
0.5 at speech's small amplitudes, AU23 not at all. A face that is held (a lasting smile) counts as the person's own.

AU accuracy is nerf-methods.md §4's: the share of (frame, AU) pairs on whose presence both videos agree, over the AUs
that speech moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from talkface.errors import UserError
from talkface.face.openface import read_table
from talkface.metrics.expression import NO_MODEL, FittedFace
from talkface.metrics.lips import correlation
from talkface.metrics.rows import absent, measured
from talkface.types import Score

SPEECH_UNITS = (10, 12, 14, 15, 17, 20, 23, 25, 26)
"""AUs over which accuracy is counted (nerf-methods.md §4: the paper does not name its set)."""
PRESENT_FROM = 1.0
"""An AU is present from FACS A on: intensity 1 of 5."""
_MOST = 5.0
_LEAST_SPREAD = 0.1
"""An AU whose intensity hardly varies in the truth (standard deviation below this) has no correlation to speak of."""


@dataclass(frozen=True)
class Recipe:
    """How an AU's intensity follows from expression weights: 5 x clip((sum of share x weight - start) / full, 0, 1)."""

    shares: Mapping[str, float]
    """ARKit names without side; of a two-sided shape the mean of both sides counts."""
    full: float = 1.0
    start: float = 0.0


LIPS_PART: Mapping[str, float] = {
    "jawOpen": 1.0, "mouthClose": -1.29, "mouthFunnel": 0.37, "mouthLowerDown": 0.20, "mouthUpperUp": 0.24,
    "mouthShrugLower": -0.22, "mouthShrugUpper": 0.16,
}  # fmt: skip
"""Inner-lip opening that each shape of the ICT model adds, relative to jawOpen's 2.9 cm (both sides together)."""

RECIPES: Mapping[int, Recipe] = {
    1: Recipe({"browInnerUp": 1.0}),
    2: Recipe({"browOuterUp": 1.0}),
    4: Recipe({"browDown": 1.0}),
    5: Recipe({"eyeWide": 1.0}),
    6: Recipe({"cheekSquint": 1.0}),
    7: Recipe({"eyeSquint": 1.0}),
    9: Recipe({"noseSneer": 1.0}),
    10: Recipe({"mouthUpperUp": 1.0}),
    12: Recipe({"mouthSmile": 1.0}),
    14: Recipe({"mouthDimple": 1.0}),
    15: Recipe({"mouthFrown": 1.0}),
    16: Recipe({"mouthLowerDown": 1.0}),
    17: Recipe({"mouthShrugLower": 1.0}),
    18: Recipe({"mouthPucker": 1.0}),
    20: Recipe({"mouthStretch": 1.0}),
    22: Recipe({"mouthFunnel": 1.0}),
    23: Recipe({"mouthPress": 1.0}),  # ARKit has no lip tightener apart from pressed lips: AU23 and AU24 are one here
    25: Recipe(LIPS_PART, full=0.4),  # 1.2 cm of opening is the most
    26: Recipe({"jawOpen": 1.0}, full=0.5),  # the jaw drops (AU26) over the first half of its way,
    27: Recipe({"jawOpen": 1.0}, full=0.5, start=0.5),  # and is stretched open (AU27) over the second
    28: Recipe({"mouthRollLower": 0.5, "mouthRollUpper": 0.5}),
}
"""What each AU is made of."""


def intensities(
    expression: Float[np.ndarray, "frames expression"], names: Sequence[str]
) -> dict[int, Float[np.ndarray, " frames"]]:
    """Intensity 0 to 5 of every AU of `RECIPES` per frame; NaN where the weights are.

    Args:
        names: Of the weights, with `_L` and `_R` for the sides.

    Raises:
        UserError: a shape is missing: these are no ARKit names.
    """
    weights = {shape: _weight(expression, names, shape) for recipe in RECIPES.values() for shape in recipe.shares}
    found = {}
    for unit, recipe in RECIPES.items():
        total = sum(share * weights[shape] for shape, share in recipe.shares.items())
        found[unit] = _MOST * np.clip((total - recipe.start) / recipe.full, 0, 1)
    return found


def _weight(expression: np.ndarray, names: Sequence[str], shape: str) -> np.ndarray:
    columns = [place for place, name in enumerate(names) if name.removesuffix("_L").removesuffix("_R") == shape]
    if not columns:
        raise UserError(f"action units need ARKit-named expressions, and {shape} is not among these")
    return expression[:, columns].mean(1)


def present(
    units: Mapping[int, Float[np.ndarray, " frames"]], level: float = PRESENT_FROM
) -> dict[int, Float[np.ndarray, " frames"]]:
    """1 where an AU's intensity reaches `level`, 0 where not, NaN where unknown."""
    return {
        unit: np.where(np.isfinite(values), (values >= level).astype(float), np.nan) for unit, values in units.items()
    }


def accuracy(
    rendered: Mapping[int, Float[np.ndarray, " frames"]],
    true: Mapping[int, Float[np.ndarray, " frames"]],
    units: Sequence[int] = SPEECH_UNITS,
) -> tuple[float, int]:
    """Share of (frame, AU) pairs whose presence agrees, and the frames that both know; NaN and 0 without any.

    AUs that one of the two lacks are left out.
    """
    a, b = _stacked(rendered, true, units)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return float("nan"), 0
    return float((a == b)[known].mean()), int(known.any(1).sum())


def presence_f1(
    rendered: Mapping[int, Float[np.ndarray, " frames"]],
    true: Mapping[int, Float[np.ndarray, " frames"]],
    units: Sequence[int] = SPEECH_UNITS,
) -> float:
    """F1 of the present (frame, AU) pairs: unlike accuracy it gains nothing from AUs that never occur."""
    a, b = _stacked(rendered, true, units)
    hits, either = np.sum((a == 1) & (b == 1)), np.sum(np.isfinite(b) & (a == 1)) + np.sum(np.isfinite(a) & (b == 1))
    return float(2 * hits / either) if either else float("nan")


def intensity_correlation(
    rendered: Mapping[int, Float[np.ndarray, " frames"]],
    true: Mapping[int, Float[np.ndarray, " frames"]],
    units: Sequence[int] = SPEECH_UNITS,
) -> float:
    """Mean over AUs of the Pearson correlation of intensities; AUs that hardly move in the truth are left out."""
    shared = [u for u in units if u in rendered and u in true and np.isfinite(true[u]).any()]
    found = np.array([correlation(rendered[u], true[u]) for u in shared if np.nanstd(true[u]) >= _LEAST_SPREAD])
    return float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else float("nan")


def fitted_scores(rendered: FittedFace, true: FittedFace) -> list[Score]:
    """`au@fit` (accuracy), `au_f1@fit` and `au_r@fit` of two fitted videos on one time line."""
    kinds = ("au@fit", "au_f1@fit", "au_r@fit")
    if not (rendered.named and true.named):
        return [absent(name, True, NO_MODEL, "face", "joint fit, ict") for name in kinds]
    a, b = (intensities(face.expression, face.names) for face in (rendered, true))
    return _scores(kinds, a, b, present(a), present(b), "joint fit, ict")


def openface_scores(rendered: Path | None, true: Path | None, frames: int, fps: float) -> list[Score]:
    """`au` (accuracy), `au_f1` and `au_r` from both videos' OpenFace tables, `_c` for presence and `_r` for intensity.

    Args:
        frames: Of the time line, at `fps`; each takes the table's row nearest in time.

    Raises:
        UserError: a table cannot be read or holds no AUs.
    """
    kinds = ("au", "au_f1", "au_r")
    if rendered is None or true is None:
        why = "no OpenFace table of both videos was given"
        return [absent(name, True, why, "face", "openface") for name in kinds]
    a, b = (read_action_units(path, frames, fps) for path in (rendered, true))
    return _scores(kinds, a[0], b[0], a[1], b[1], "openface")


def read_action_units(
    path: Path, frames: int, fps: float
) -> tuple[dict[int, Float[np.ndarray, " frames"]], dict[int, Float[np.ndarray, " frames"]]]:
    """Intensities (`AU12_r`) and presences (`AU12_c`) of an OpenFace table on a time line.

    A frame further than one frame from any row of the table is NaN.

    Raises:
        UserError: not a table, or one without AU columns.
    """
    times, columns = read_table(path, "AU")
    if not columns or not len(times):
        raise UserError(f"{path} holds no action units; write it with OpenFace's FeatureExtraction -aus")
    wanted = np.arange(frames) / fps
    after = np.searchsorted(times, wanted).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(np.abs(times[before] - wanted) <= np.abs(times[after] - wanted), before, after)
    there = np.abs(times[nearest] - wanted) <= 1 / fps
    found: dict[str, dict[int, np.ndarray]] = {"r": {}, "c": {}}
    for name, values in columns.items():
        unit, _, kind = name.removeprefix("AU").partition("_")
        if unit.isdigit() and kind in found:
            found[kind][int(unit)] = np.where(there, values[nearest], np.nan)
    return found["r"], found["c"]


def _scores(
    kinds: Sequence[str],
    a: Mapping[int, np.ndarray],
    b: Mapping[int, np.ndarray],
    a_present: Mapping[int, np.ndarray],
    b_present: Mapping[int, np.ndarray],
    backend: str,
) -> list[Score]:
    share, frames = accuracy(a_present, b_present)
    values = (share, presence_f1(a_present, b_present), intensity_correlation(a, b))
    return [measured(name, value, True, frames, "face", backend) for name, value in zip(kinds, values, strict=True)]


def _stacked(
    rendered: Mapping[int, np.ndarray], true: Mapping[int, np.ndarray], units: Sequence[int]
) -> tuple[Float[np.ndarray, "frames units"], Float[np.ndarray, "frames units"]]:
    shared = [unit for unit in units if unit in rendered and unit in true]
    if not shared:
        return np.zeros((0, 0)), np.zeros((0, 0))
    return np.stack([rendered[u] for u in shared], 1), np.stack([true[u] for u in shared], 1)
