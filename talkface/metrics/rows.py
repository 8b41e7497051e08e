"""One judged video: where its frames come from, its scores, and its row of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from talkface.types import Score

Drive = Literal["landmarks", "audio"]


def measured(
    name: str, value: float, higher_is_better: bool, frames: int, region: str = "frame", backend: str = "talkface"
) -> Score:
    """A score; what is no finite number becomes None and says why."""
    if np.isfinite(value):
        return Score(name, float(value), higher_is_better, frames, region, backend)
    why = "no error at all" if value == float("inf") else "nothing to measure in these frames"
    return Score(name, None, higher_is_better, frames, region, backend, why)


def absent(name: str, higher_is_better: bool, why: str, region: str = "frame", backend: str = "talkface") -> Score:
    """A score that cannot be computed here, and why: listed, so that nobody wonders."""
    return Score(name, None, higher_is_better, 0, region, backend, why)


@dataclass(frozen=True)
class Row:
    """One video that was judged."""

    name: str
    """`truth`, the method's name, or a baseline's."""
    drive: Drive
    """What moved the mouth: the true landmarks, or speech alone."""
    scores: Sequence[Score]
    colour: str = "truth"
    """Its colour class in the page."""

    @property
    def title(self) -> str:
        """Heading of its column."""
        return self.name if self.name == "truth" else f"{self.name}, by {self.drive}"

    def value(self, name: str, region: str) -> float | None:
        """A score by name and region; None where it was not measured."""
        return next((s.value for s in self.scores if (s.name, s.region) == (name, region)), None)


@dataclass(eq=False)
class Source:
    """One video to judge, made frame by frame."""

    name: str
    drive: Drive
    colour: str
    picture: Callable[[int], np.ndarray]
    """The whole picture of a frame, float [height, width, 3] in [0, 1]; asked twice, it gives the same."""
    filmed: bool = False
    """Whether the comparison film shows it."""
    seconds: float = 0.0
    """Time spent making it."""
    extra: list[Score] = field(default_factory=list)
    """Scores beside those that every video gets."""

    @property
    def title(self) -> str:
        """As in the report."""
        return Row(self.name, self.drive, ()).title
