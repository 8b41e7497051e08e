"""Mean opinion scores: what listeners' files must hold, and what they add up to (KPBE's Table II).

Every listener rates every video on three scales from 1 to 5. The mean over listener x video is given with two 95 %
intervals: Student's t over all ratings (one-shot-methods.md §6.6; it takes ratings as independent, which those of one
listener are not) and a bootstrap that draws whole listeners. Nothing is filled in: without ratings there is no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from talkface.errors import UserError
from talkface.metrics.published import published
from talkface.metrics.rows import absent
from talkface.metrics.tables import Entry, Table, table
from talkface.types import Score

FORMAT = "talkface mos 1"
SCALES = {"lip_sync": "Lip sync", "head_pose": "Head pose naturalness", "realness": "Video realness"}
"""The three questions of every video, by their key in the files."""
TRUTH = "ground truth"
"""Name of the system that is the true videos."""
_DRAWS = 4000
BACKEND = "listeners"


@dataclass(frozen=True)
class Stimulus:
    """One video of the test, under a name that does not betray its system."""

    code: str
    system: str
    video: str
    """Which content: the same for all systems."""


@dataclass(frozen=True)
class Listener:
    """One listener's complete ratings."""

    name: str
    ratings: Mapping[str, Mapping[str, int]]
    """Code -> scale -> 1 to 5."""
    headphones: bool
    """Whether the headphone check was passed."""


@dataclass(frozen=True)
class Opinion:
    """One system on one scale. Means and intervals are None where there are too few ratings for them."""

    system: str
    scale: str
    mean: float | None
    half_width: float | None
    """Half the 95 % t-interval over all ratings."""
    by_listener: tuple[float, float] | None
    """95 % interval of the bootstrap over listeners."""
    ratings: int
    listeners: int


def read_listener(data: Any, study: str, codes: Sequence[str], where: str) -> Listener:
    """One listener's file, checked.

    Raises:
        UserError: not such a file, of another study, incomplete, or a rating that is not 1 to 5.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UserError(f"{where} is not a file of ratings that the sheet saved")
    if data.get("study") != study:
        raise UserError(f"{where} belongs to another listening test")
    name, ratings = data.get("listener"), data.get("ratings")
    if not isinstance(name, str) or not name.strip() or not isinstance(ratings, dict):
        raise UserError(f"{where} lacks its listener or its ratings")
    if unknown := sorted(set(ratings) - set(codes)):
        raise UserError(f"{where} rates {unknown[0]!r}, which is no video of this test")
    if missing := len(set(codes) - set(ratings)):
        raise UserError(f"{where} is not finished: {missing} of {len(codes)} videos have no rating")
    for code, row in ratings.items():
        if not isinstance(row, dict) or set(row) != set(SCALES):
            raise UserError(f"{where}: the rating of {code} does not have the scales {', '.join(SCALES)}")
        for scale, value in row.items():
            if type(value) is not int or not 1 <= value <= 5:
                raise UserError(f"{where}: {scale} of {code} is {value!r}; it must be a whole number from 1 to 5")
    check = data.get("headphones")
    passed = isinstance(check, dict) and check.get("passed") is True
    return Listener(name.strip(), ratings, passed)


def refuse_duplicates(listeners: Mapping[str, Listener]) -> None:
    """Every listener once, by name and by ratings.

    Args:
        listeners: By the file they come from.

    Raises:
        UserError: two files have one name, or the same ratings throughout under two names.
    """
    names: dict[str, str] = {}
    kept: dict[str, str] = {}
    for where, listener in listeners.items():
        other = names.setdefault(listener.name.casefold(), where)
        if other != where:
            raise UserError(f"{where} and {other} are of the same listener, {listener.name!r}; keep one of them")
        whole = repr(sorted((code, sorted(row.items())) for code, row in listener.ratings.items()))
        same = kept.setdefault(whole, where)
        if same != where and len(listener.ratings) * len(SCALES) >= 9 and len(set(_values(listener))) > 1:
            raise UserError(f"{where} and {same} hold the same ratings throughout; one must be a copy")


def opinions(listeners: Sequence[Listener], stimuli: Sequence[Stimulus], seed: int = 0) -> list[Opinion]:
    """Every system on every scale, systems in the order of the stimuli."""
    found = []
    for system in dict.fromkeys(s.system for s in stimuli):
        codes = [s.code for s in stimuli if s.system == system]
        for scale in SCALES:
            values = np.array([[one.ratings[code][scale] for code in codes] for one in listeners], float)
            found.append(_opinion(system, scale, values.reshape(len(listeners), len(codes)), seed))
    return found


def _opinion(system: str, scale: str, values: Float[np.ndarray, "listeners videos"], seed: int) -> Opinion:
    if not values.size:
        return Opinion(system, scale, None, None, None, 0, 0)
    half = None
    if values.size > 1:
        half = float(student.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))
    by_listener = None
    if len(values) > 1:
        generator = np.random.default_rng(seed)
        means = values.mean(1)[generator.integers(0, len(values), (_DRAWS, len(values)))].mean(1)
        low, high = np.percentile(means, [2.5, 97.5])
        by_listener = (float(low), float(high))
    return Opinion(system, scale, float(values.mean()), half, by_listener, values.size, len(values))


def opinion_table(found: Sequence[Opinion], listeners: int, videos: int) -> Table:
    """The table of a listening test: mean ± half the t-interval; the paper's beneath, which does not compare."""
    rows = []
    for system in dict.fromkeys(one.system for one in found):
        own = [one for one in found if one.system == system]
        half_widths = {(f"mos_{o.scale}", "video"): o.half_width for o in own if o.half_width is not None}
        rows.append(Entry(system, [_score(o) for o in own], system != TRUTH, half_widths))
    paper = published("kpbe.2")
    title = f"Mean opinion of {listeners} listeners, {videos} videos each; ± half the 95 % interval over ratings"
    return table(title, paper.columns, rows, [paper.block()])


def _score(opinion: Opinion) -> Score:
    name = f"mos_{opinion.scale}"
    if opinion.mean is None:
        return absent(name, True, "nobody has rated it", "video", BACKEND)
    return Score(name, opinion.mean, True, opinion.ratings, "video", BACKEND)


def _values(listener: Listener) -> list[int]:
    return [value for row in listener.ratings.values() for value in row.values()]
