"""Tables of scores: rows by columns, the best marked, backends and gaps in footnotes, published numbers kept apart.

A table is made of blocks. Within a block numbers compare: the best of a column is marked among its ranked rows, unless
they come from different backends. Published numbers form blocks of their own, with the reason why they do not compare.
The four forms (Markdown, LaTeX, HTML, JSON) show the same grid; `table_forms.py` writes them.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from talkface.types import Score

Key = tuple[str, str]
"""Score name and region."""
OWN_BACKEND = "talkface"
"""Scores computed by our own code need no footnote."""
MISSING = "–"


@dataclass(frozen=True)
class Column:
    """Which score a column shows and how.

    `higher_is_better` None means that no direction is better: no arrow, no best. `percent` shows a fraction times 100.
    """

    name: str
    region: str = "frame"
    title: str = ""
    higher_is_better: bool | None = True
    digits: int = 3
    percent: bool = False

    @property
    def key(self) -> Key:
        """What it looks for in a row."""
        return self.name, self.region

    @property
    def heading(self) -> str:
        """Its title, or the score's name with its region."""
        return self.title or (self.name if self.region == "frame" else f"{self.name} ({self.region})")

    @property
    def arrow(self) -> str:
        """↑, ↓ or nothing."""
        return "" if self.higher_is_better is None else "↑" if self.higher_is_better else "↓"

    def text(self, value: float) -> str:
        """The value as shown."""
        return f"{100 * value:.{self.digits}f} %" if self.percent else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Entry:
    """One row: what was judged and its scores."""

    title: str
    scores: Sequence[Score]
    ranked: bool = True
    """Whether it may be the best; not the ground truth."""
    half_widths: Mapping[Key, float] = field(default_factory=dict)
    """Half the 95 % interval of a score, shown as ±, where there is one."""

    def score(self, column: Column) -> Score | None:
        """Its score for a column; None where it was not asked."""
        return next((s for s in self.scores if (s.name, s.region) == column.key), None)


@dataclass(frozen=True)
class Block:
    """Rows that compare with one another."""

    title: str
    entries: Sequence[Entry]
    not_comparable: str = ""
    """Why these numbers do not compare with those of the other blocks; empty for our own."""


@dataclass(frozen=True)
class Cell:
    """One field of the finished grid."""

    text: str
    best: bool
    mark: str
    """Letter of its footnote, or empty."""


@dataclass(frozen=True)
class Line:
    """One line of the finished grid: a block's heading (no cells) or a row."""

    title: str
    cells: tuple[Cell, ...] = ()
    mark: str = ""


@dataclass(frozen=True)
class Grid:
    """A table ready to be written in any form."""

    title: str
    headings: tuple[Cell, ...]
    lines: tuple[Line, ...]
    notes: tuple[tuple[str, str], ...]
    """Letter and text of every footnote."""


@dataclass(frozen=True)
class Table:
    """What is compared, by which scores."""

    title: str
    columns: Sequence[Column]
    blocks: Sequence[Block]

    def best(self, block: Block, column: Column) -> frozenset[str]:
        """Titles of the best rows at the digits shown; empty under two values or where backends differ."""
        found = {
            entry.title: score
            for entry in block.entries
            if entry.ranked and (score := entry.score(column)) is not None and score.value is not None
        }
        if column.higher_is_better is None or len(found) < 2 or len({s.backend for s in found.values()}) > 1:
            return frozenset()
        shown = {
            title: float(column.text(s.value).removesuffix(" %")) for title, s in found.items() if s.value is not None
        }
        top = max(shown.values()) if column.higher_is_better else min(shown.values())
        return frozenset(title for title, value in shown.items() if value == top)

    def grid(self) -> Grid:
        """The texts, marks and footnotes, the same for every form."""
        notes = _Notes()
        common = [self._common_backend(column) for column in self.columns]
        headings = tuple(
            Cell(f"{column.heading} {column.arrow}".strip(), False, notes.mark(_by(backend)))
            for column, backend in zip(self.columns, common, strict=True)
        )
        lines: list[Line] = []
        for block in self.blocks:
            if block.title:
                why = f"not comparable: {block.not_comparable}" if block.not_comparable else ""
                lines.append(Line(block.title, mark=notes.mark(why)))
            best = [self.best(block, column) for column in self.columns]
            for entry in block.entries:
                cells = [
                    _cell(entry, column, entry.title in top, notes, "" if block.not_comparable else backend)
                    for column, top, backend in zip(self.columns, best, common, strict=True)
                ]
                lines.append(Line(entry.title, tuple(cells)))
        return Grid(self.title, headings, tuple(lines), notes.all)

    def as_json(self) -> dict[str, Any]:
        """Every number at full precision, with its backend, its frames and why it is missing."""
        return {
            "title": self.title,
            "columns": [
                {"name": c.name, "region": c.region, "title": c.heading, "higher_is_better": c.higher_is_better}
                for c in self.columns
            ],
            "blocks": [
                {
                    "title": block.title,
                    "comparable": not block.not_comparable,
                    "why": block.not_comparable,
                    "rows": [
                        {
                            "title": e.title,
                            "ranked": e.ranked,
                            "cells": [self._json_cell(block, e, c) for c in self.columns],
                        }
                        for e in block.entries
                    ],
                }
                for block in self.blocks
            ],
        }

    def _json_cell(self, block: Block, entry: Entry, column: Column) -> dict[str, Any]:
        score = entry.score(column)
        return {
            "name": column.name,
            "region": column.region,
            "value": score.value if score else None,
            "half_width": entry.half_widths.get(column.key),
            "backend": score.backend if score else "",
            "frames": score.frames if score else 0,
            "why": score.why if score else "not measured",
            "best": entry.title in self.best(block, column),
        }

    def _common_backend(self, column: Column) -> str:
        """The one backend of all our values in a column; empty where there are several, or it is our own code."""
        scores = [e.score(column) for block in self.blocks if not block.not_comparable for e in block.entries]
        backends = {s.backend for s in scores if s is not None and s.value is not None}
        return backends.pop() if len(backends) == 1 and backends != {OWN_BACKEND} else ""


def table(title: str, columns: Sequence[Column], rows: Sequence[Entry], published: Sequence[Block] = ()) -> Table:
    """Our rows, and beneath them what was published (see `published.py` for its blocks)."""
    return Table(title, columns, [Block("Measured here" if published else "", rows), *published])


class _Notes:
    """Footnotes by letter, each text once."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        if not text:
            return ""
        if text not in self._letters:
            place, letters = len(self._letters), string.ascii_lowercase
            self._letters[text] = letters[place] if place < 26 else letters[place // 26 - 1] + letters[place % 26]
        return self._letters[text]

    @property
    def all(self) -> tuple[tuple[str, str], ...]:
        return tuple((letter, text) for text, letter in self._letters.items())


def _by(backend: str) -> str:
    return f"by {backend}" if backend else ""


def _cell(entry: Entry, column: Column, best: bool, notes: _Notes, common: str) -> Cell:
    score = entry.score(column)
    if score is None:
        return Cell("", False, "")
    if score.value is None:
        return Cell(MISSING, False, notes.mark(score.why))
    half = entry.half_widths.get(column.key)
    text = column.text(score.value) + ("" if half is None or not np.isfinite(half) else f" ± {half:.{column.digits}f}")
    own = score.backend in (OWN_BACKEND, PUBLISHED_BACKEND, common)
    return Cell(text, best, "" if own else notes.mark(_by(score.backend)))


PUBLISHED_BACKEND = "published"
"""Backend of a number read in a paper."""
