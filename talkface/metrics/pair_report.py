"""What a judged pair leaves behind: its record for `scores.json`, and the page with curves, stills and worst frames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from talkface.face.eyes import blink_events
from talkface.io.whole import write_whole
from talkface.metrics.charts import Line, line_chart
from talkface.metrics.image import MOST_DB
from talkface.metrics.pair import PairScores
from talkface.metrics.report import (
    ScoreColumn,
    Still,
    entry,
    film_section,
    numbers_section,
    picture_sections,
    write_page,
)
from talkface.types import FPS, Score

BASELINES = {
    "still": "the first true frame repeated, which needs no method at all",
    "previous": "the true video one frame (40 ms) late, the price of the smallest delay",
}
"""What stands beside the video in every report."""
_STILLS, _WORST = 4, 3
_BLOCK_FRAMES = 50
_LEAST_R, _TIE_DB = 0.5, 0.1
_COLOURS = {"truth": "truth", "video": "ours", "still": "still", "previous": "nearest"}


@dataclass(frozen=True)
class Moment:
    """One frame kept for the page."""

    frame: int
    psnr: float
    truth: UInt8[np.ndarray, "height width 3"]
    video: UInt8[np.ndarray, "height width 3"]
    mouth: tuple[int, int, int, int]
    """Left, top, right, bottom, px."""


class Moments:
    """Keeps a few frames of a stream: evenly spaced ones, and the worst of each two seconds, of which the worst three.

    Args:
        expected: How many frames will come, about.
    """

    def __init__(self, expected: int) -> None:
        self._wanted = set(np.linspace(0, max(expected - 1, 0), _STILLS + 2).round().astype(int)[1:-1].tolist())
        self.even: list[Moment] = []
        self._worst: list[Moment] = []
        self._block: Moment | None = None

    def see(self, moment: Moment) -> None:
        """Look at the next frame."""
        if moment.frame in self._wanted:
            self.even.append(moment)
        if moment.frame % _BLOCK_FRAMES == 0:
            self._worst, self._block = self.worst, None
        if self._block is None or moment.psnr < self._block.psnr:
            self._block = moment

    @property
    def worst(self) -> list[Moment]:
        """The worst frames, worst first."""
        blocks = [*self._worst, *([self._block] if self._block else [])]
        return sorted((b for b in blocks if b.psnr < MOST_DB), key=lambda moment: moment.psnr)[:_WORST]


@dataclass(frozen=True)
class PairReport:
    """Everything found about one pair; `rows` are "truth", "video" and the baselines, with what was gathered."""

    truth: Path
    video: Path
    size_px: tuple[int, int]
    device: str
    alignment: Mapping[str, Any]
    """How the two were laid over each other, in plain numbers."""
    options: Mapping[str, Any]
    """What was asked for."""
    digests: Mapping[str, str]
    """SHA-256 of both files."""
    warnings: Sequence[str]
    gathered: Mapping[str, PairScores]
    scores: Mapping[str, Sequence[Score]]
    """By row."""
    moments: Moments = field(default_factory=lambda: Moments(0))

    @property
    def frames(self) -> int:
        """How many were scored."""
        return len(self.gathered["truth"])

    def as_json(self) -> dict[str, Any]:
        """The object of `scores.json` (product.md), with how the pair was aligned."""
        entries = {row: [entry(score) for score in scores] for row, scores in self.scores.items()}
        return {
            "method": self.video.stem,
            "run": str(self.video),
            "data": str(self.truth),
            "split": "pair",
            "size": list(self.size_px),
            "frames": self.frames,
            "device": self.device,
            "scores": entries["video"],
            "ground_truth": entries["truth"],
            "baselines": {name: entries[name] for name in BASELINES},
            "alignment": dict(self.alignment),
            "warnings": list(self.warnings),
            "options": dict(self.options),
            "sha256": dict(self.digests),
        }

    def write(self, folder: Path, film: str) -> dict[str, Any]:
        """Write `report.html`, then `scores.json`, which therefore says that all is there; returns its content.

        Args:
            film: Name of the comparison video in the folder.
        """
        content = self.as_json()
        write_page(
            folder / "report.html",
            title=f"{self.video.name} against {self.truth.name}",
            facts={
                "video": str(self.video),
                "truth": str(self.truth),
                "frames": f"{self.frames}, {self.frames / FPS:.1f} s",
                "picture": f"{self.size_px[1]} x {self.size_px[0]} px",
                "offset": f"{self.alignment['offset_frames']:+d} frames",
            },
            words=[*self._words(), *(("bad", warning) for warning in self.warnings)],
            sections=[
                film_section(film, ["truth", self.video.stem]),
                numbers_section("The best value is bold.", self._columns()),
                *picture_sections(
                    self._charts(),
                    [self._still(moment) for moment in self.moments.even],
                    [self._still(moment) for moment in self.moments.worst],
                    "The frame furthest from the truth, of every two seconds the worst three.",
                ),
            ],
            footer=f"Baselines: {'; '.join(f'{name}: {what}' for name, what in BASELINES.items())}. "
            f"PSNR is given as {MOST_DB:.0f} dB where frames are equal.",
        )
        text = json.dumps(content, indent=1, allow_nan=False)
        write_whole(folder / "scores.json", lambda file: file.write(text.encode()))
        return content

    def _columns(self) -> list[ScoreColumn]:
        return [
            ScoreColumn("truth", "", self.scores["truth"], None),
            ScoreColumn(self.video.stem, "", self.scores["video"], "made"),
            *(ScoreColumn(name, "baseline", self.scores[name], "made") for name in BASELINES),
        ]

    def _value(self, row: str, name: str, region: str) -> float | None:
        return next((s.value for s in self.scores[row] if (s.name, s.region) == (name, region)), None)

    def _words(self) -> list[tuple[str, str]]:
        found = []
        for region in ("frame", "mouth"):
            own, other = (self._value(row, "psnr_pooled", region) for row in ("video", "still"))
            if own is not None and other is not None:
                mood = "good" if own > other + _TIE_DB else "bad" if own < other - _TIE_DB else ""
                text = f"The {region} reaches {own:.1f} dB; the first true frame repeated reaches {other:.1f} dB."
                found.append((mood, text))
        follows = self._value("video", "opening_r", "mouth")
        if follows is not None:
            text = f"The mouth opens when the true one does with r {follows:.2f}."
            found.append(("good" if follows > 0.9 else "bad" if follows < _LEAST_R else "", text))
        sync, lag = (self._value("video", name, "mouth") for name in ("sync_r", "sync_lag_frames"))
        true = self._value("truth", "sync_r", "mouth")
        if sync is not None and lag is not None:
            beside = f"; the true video: r {true:.2f}" if true is not None else ""
            found.append(("", f"Speech and lips agree with r {sync:.2f} at {lag:+.0f} frames{beside}."))
        return found

    def _charts(self) -> list[str]:
        truth, video = self.gathered["truth"], self.gathered["video"]
        name = self.video.stem
        mouth = [Line("true", "truth", truth.opening), Line(name, "ours", video.opening)]
        lids = [Line("true", "truth", truth.closure), Line(name, "ours", video.closure)]
        noise = [
            Line(name if row == "video" else row, _COLOURS[row], gathered.psnr[:, 0])
            for row, gathered in self.gathered.items()
            if row != "truth"
        ]
        blinks = blink_events(truth.closure, FPS)
        return [
            line_chart("Mouth opening", "inner lips, in eye spans", mouth, FPS),
            line_chart("Lid closure", "0 open, 1 shut; true blinks shaded", lids, FPS, blinks),
            line_chart("PSNR, frame by frame", "dB, higher is better", noise, FPS),
        ]

    def _still(self, moment: Moment) -> Still:
        name = self.video.stem if self.video.stem != "truth" else "video"
        pictures = {"truth": moment.truth, name: moment.video}
        return Still(
            f"{moment.frame / FPS:.2f} s, frame {moment.frame}",
            {title: picture.astype(np.float32) / 255 for title, picture in pictures.items()},
            {name: f"{moment.psnr:.1f} dB"},
            moment.mouth,
        )
