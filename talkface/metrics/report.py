"""`scores.json` and `report.html`: one table of everything measured, curves, stills, and a summary in plain words."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from talkface.io.whole import write_whole
from talkface.metrics.rows import Row
from talkface.metrics.words import summary
from talkface.types import Score


@dataclass(frozen=True)
class Still:
    """One moment, seen in every video: whole pictures, in the order of the columns."""

    title: str
    pictures: Mapping[str, Float[np.ndarray, "height width 3"]]
    captions: Mapping[str, str]
    mouth: tuple[int, int, int, int]
    """Left, top, right, bottom of the mouth, px."""


@dataclass(frozen=True)
class Report:
    """Everything an evaluation found. The first row is the truth's; the method's rows follow, then the baselines."""

    method: str
    run: str
    data: str
    split: str
    size_px: tuple[int, int]
    frames: int
    fps: float
    device: str
    rows: Sequence[Row]
    methods: Mapping[str, str] = field(default_factory=dict)
    """What each baseline exactly is."""

    def as_json(self) -> dict[str, Any]:
        """The object of `scores.json` (product.md); `drive` says what moved the mouth in the rows given twice."""
        baselines: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            if row.name not in ("truth", self.method):
                baselines.setdefault(row.name, []).extend(_entries(row))
        return {
            "method": self.method,
            "run": self.run,
            "data": self.data,
            "split": self.split,
            "size": list(self.size_px),
            "frames": self.frames,
            "device": self.device,
            "scores": [entry for row in self.rows if row.name == self.method for entry in _entries(row)],
            "ground_truth": [entry for row in self.rows if row.name == "truth" for entry in _entries(row)],
            "baselines": baselines,
        }

    def write_json(self, path: Path) -> None:
        """Write `scores.json`."""
        text = json.dumps(self.as_json(), indent=1, allow_nan=False)
        write_whole(path, lambda file: file.write(text.encode()))

    def write_html(
        self,
        path: Path,
        charts: Sequence[str],
        stills: Sequence[Still],
        worst: Sequence[Still],
        video: str,
        filmed: Sequence[str],
    ) -> None:
        """Write `report.html`: one file without outside resources but the video beside it.

        Args:
            video: Its name, beside the page.
            filmed: What it shows, left to right.
        """
        facts = {
            "method": self.method,
            "run": self.run,
            "data": self.data,
            "frames": f"{self.frames} of the {self.split} split, {self.frames / self.fps:.1f} s",
            "picture": f"{self.size_px[1]} x {self.size_px[0]} px",
            "device": self.device,
        }
        numbers = "The best value is bold, among what the true landmarks drive and among what speech drives."
        worst_words = "Where the head is furthest from the truth when the true landmarks drive it."
        write_page(
            path,
            title=f"{self.method} on {Path(self.data).name}",
            facts=facts,
            words=summary(self.method, self.rows, self.frames / self.fps),
            sections=[
                film_section(video, filmed),
                numbers_section(numbers, [_column(row) for row in self.rows]),
                *picture_sections(charts, stills, worst, worst_words),
            ],
            footer=f"Baselines: {'; '.join(f'{name}: {what}' for name, what in self.methods.items())}. "
            "All are laid over the true torso and background with the true head mask, an advantage to them.",
        )


@dataclass(frozen=True)
class ScoreColumn:
    """One video's column in the page's table."""

    heading: str
    note: str
    scores: Sequence[Score]
    group: str | None
    """The best value is marked among the columns of a group; None takes no part."""


def _column(row: Row) -> ScoreColumn:
    if row.name == "truth":
        return ScoreColumn(row.name, "", row.scores, None)
    return ScoreColumn(row.name, f"by {row.drive}", row.scores, row.drive)


@dataclass(frozen=True)
class Section:
    """A part of the page: heading, a sentence about it, and HTML."""

    heading: str
    note: str
    html: str


def film_section(video: str, filmed: Sequence[str]) -> Section:
    """The comparison film, a file beside the page, and what it shows from left to right."""
    html = f'<video src="{escape(video)}" controls loop preload="metadata"></video>'
    return Section("Watch it", f"Left to right: {' · '.join(filmed)}.", html)


def numbers_section(note: str, columns: Sequence[ScoreColumn]) -> Section:
    """Every score; the first column is the truth's."""
    truth = "The first column is the true video measured by the same instruments: what it does not reach, nobody can."
    return Section("The numbers", f"{note} {truth}", f'<div class="scroll">{score_table(columns)}</div>')


def picture_sections(
    charts: Sequence[str], stills: Sequence[Still], worst: Sequence[Still], worst_words: str
) -> list[Section]:
    """Curves of `charts.line_chart`, stills, and the worst frames."""
    about = (
        "Each picture, its mouth enlarged, and its difference from the truth (grey is no difference, twice amplified)."
    )
    return [
        Section("Over time", "A click in a chart takes the video to that moment.", "".join(charts)),
        Section("Side by side", about, "".join(_strip(still) for still in stills)),
        Section("The worst frames", worst_words, "".join(_strip(still) for still in worst)),
    ]


def write_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    words: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    footer: str,
) -> None:
    """Write a report: one file without outside resources but the video beside it.

    Args:
        words: Sentences with their mood, "good", "bad" or "".
    """
    page = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        facts="".join(f"<li>{escape(k)} <b>{escape(v)}</b></li>" for k, v in facts.items()),
        words="".join(f'<p class="{mood}">{escape(text)}</p>' for mood, text in words),
        sections="\n".join(
            f'<h2>{escape(section.heading)}</h2>\n<p class="quiet">{escape(section.note)}</p>\n{section.html}'
            for section in sections
        ),
        footer=escape(footer),
    )
    write_whole(path, lambda file: file.write(page.encode()))


def score_table(columns: Sequence[ScoreColumn]) -> str:
    """Every score of every column, by region; the best of each group bold."""
    order = {name: place for place, name in enumerate(TITLES)}
    found = {(s.name, s.region) for column in columns for s in column.scores}
    names = sorted(found, key=lambda key: (order.get(key[0].removesuffix("_256"), len(order)), key[0]))
    lines = []
    for region in dict.fromkeys(s.region for column in columns for s in column.scores):
        lines.append(f'<tr class="group"><td colspan="{len(columns) + 1}">{escape(region)}</td></tr>')
        lines += [_line(columns, name, where) for name, where in names if where == region]
    head = "".join(
        f"<th>{escape(column.heading)}{f'<small>{escape(column.note)}</small>' if column.note else ''}</th>"
        for column in columns
    )
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _line(columns: Sequence[ScoreColumn], name: str, region: str) -> str:
    scores = [next((s for s in c.scores if (s.name, s.region) == (name, region)), None) for c in columns]
    higher = next(s.higher_is_better for s in scores if s is not None)
    best = {}
    for group in {column.group for column in columns} - {None}:
        pairs = zip(columns, scores, strict=True)
        made = [s.value for c, s in pairs if c.group == group and s is not None and s.value is not None]
        if len(made) > 1 and name in _RANKED:
            best[group] = max(made) if higher else min(made)
    cells = []
    for column, score in zip(columns, scores, strict=True):
        if score is None or score.value is None:
            cells.append(f'<td class="none" title="{escape(score.why) if score else ""}">–</td>')
        else:
            mark = ' class="best"' if column.group and score.value == best.get(column.group) else ""
            cells.append(f"<td{mark}>{score.value:.{_DIGITS.get(name, 3)}f}</td>")
    arrow = "" if name not in _RANKED else " ↑" if higher else " ↓"
    return f"<tr><td>{escape(title_of(name))}{arrow}<small>{escape(name)}</small></td>{''.join(cells)}</tr>"


TITLES = {
    "psnr": "PSNR, mean over frames, dB",
    "psnr_pooled": "PSNR, all frames pooled, dB",
    "ssim": "SSIM, Gaussian window",
    "ssim_sk": "SSIM, 7x7 window (scikit-image's)",
    "ms_ssim": "SSIM at five scales, MS-SSIM",
    "cpbd": "Sharpness without reference, CPBD",
    "sharpness": "Detail relative to the truth (1 is as sharp)",
    "lmd": "Landmark distance, all points",
    "lmd_inner8": "Landmark distance, 8 points of the inner lips",
    "lmd_outer12": "Landmark distance, 12 points of the outer lips",
    "lmd_79": "Landmark distance, 79 points along the lips",
    "lmd_eye": "Landmark distance, both eyes centred together",
    "lmd_eye_per_eye": "Landmark distance, each eye centred",
    "lmd_eye_none": "Landmark distance, nothing centred",
    "opening_r": "Mouth opening follows the truth, r",
    "mouth_r": "Mouth opening follows the truth from speech alone, r",
    "velocity_r": "Mouth movement follows the truth, r",
    "amplitude": "Liveliness of the mouth (1 is as lively)",
    "closure_f1": "Closed lips at the right frames, F1",
    "au45_r": "Lids follow (AU45), r",
    "blink_f1": "Blinks at the right time, F1",
    "blinks_per_minute": "Blinks per minute",
    "head_shift_256": "Head out of place, px at 256 scale",
    "head_turn_deg": "Head turned wrongly, degrees",
    "pose_error_deg": "Head pose differs, degrees",
    "pose_error_mm": "Head stands apart, mm",
    "unsteadiness_deg": "Unsteadiness of the head, degrees per frame²",
    "unsteadiness_ratio": "Unsteadiness relative to the truth's",
    "au@fit": "Action units agree, share of frames and units",
    "au_f1@fit": "Action units present, F1",
    "au_r@fit": "Action units follow the truth, r",
    "exp_diff@ict": "Expression differs, mean square",
    "jitter_256": "Shake, px at 256 scale",
    "sync_r": "Speech and lips agree, r",
    "sync_lag_frames": "Sound late by, frames",
    "fps": "Frames per second",
    "lpips": "LPIPS, AlexNet",
    "lpips_vgg": "LPIPS, VGG16",
    "lpips_squeeze": "LPIPS, SqueezeNet",
    "fid": "FID",
    "fid_192": "FID of 192 features, for few frames",
    "acd": "Whose face: distance of ArcFace, ACD",
    "acd@dlib": "Whose face: distance of dlib's network",
    "lse_c": "SyncNet confidence, LSE-C",
    "lse_d": "SyncNet distance, LSE-D",
    "av_offset_frames": "SyncNet offset, frames (positive: the sound is early)",
    "expert_cosine": "Wav2Lip's expert: agreement of lips and sound",
    "expert_offset_frames": "Wav2Lip's expert: offset, frames",
    "lse_c@proxy": "Confidence of our own sync network",
    "lse_d@proxy": "Distance of our own sync network",
    "av_offset_frames@proxy": "Offset of our own sync network, frames",
}
"""What each score is, in words."""
_DIGITS = {"psnr": 2, "psnr_pooled": 2, "blinks_per_minute": 1, "sync_lag_frames": 0, "fps": 1}
_RANKED = frozenset([*TITLES, *(f"{name}_256" for name in TITLES if name.startswith("lmd"))]) - {
    "sharpness",
    "cpbd",
    "amplitude",
    "blinks_per_minute",
    "sync_lag_frames",
    "jitter_256",
    "unsteadiness_deg",
    "unsteadiness_ratio",
    "av_offset_frames",
    "expert_offset_frames",
    "av_offset_frames@proxy",
}


def title_of(name: str) -> str:
    """A score in words; what is unknown keeps its name."""
    if name.startswith("lmd"):
        scale = "256 scale" if name.endswith("_256") else "these pictures"
        return f"{TITLES.get(name.removesuffix('_256'), name)}, px of {scale}"
    return TITLES.get(name, name)


def entry(score: Score) -> dict[str, Any]:
    """A score as `scores.json` lists it."""
    return {k: v for k, v in asdict(score).items() if k != "why" or v}


def _entries(row: Row) -> list[dict[str, Any]]:
    drive = {} if row.name == "truth" else {"drive": row.drive}
    return [{**entry(score), **drive} for score in row.scores]


def _strip(still: Still) -> str:
    truth = next(iter(still.pictures.values()))
    left, top, right, bottom = still.mouth
    figures = []
    for name, picture in still.pictures.items():
        whole = _image(_bytes(picture), f"{name}, whole frame")
        mouth = Image.fromarray(_bytes(picture)[top:bottom, left:right]) if right > left and bottom > top else None
        enlarged = "" if mouth is None else _image(np.asarray(_enlarged(mouth)), f"{name}, mouth")
        change = np.clip(0.5 + 2 * (picture - truth), 0, 1)
        caption = still.captions.get(name, "")
        figures.append(
            f"<figure><figcaption>{escape(name)} <small>{escape(caption or 'no error')}</small></figcaption>"
            f"{whole}{enlarged}{_image(_bytes(change), f'{name}, difference')}</figure>"
        )
    columns = f"grid-template-columns: repeat({len(figures)}, minmax(7.5rem, 1fr))"
    strip = f'<div style="{columns}">{"".join(figures)}</div>'
    return f'<section class="strip"><h3>{escape(still.title)}</h3>{strip}</section>'


def _enlarged(picture: Image.Image, width: int = 320) -> Image.Image:
    return picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.Resampling.BICUBIC)


def _bytes(picture: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _image(pixels: UInt8[np.ndarray, "height width 3"], what: str) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, subsampling=0)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img loading="lazy" alt="{escape(what)}" src="data:image/jpeg;base64,{data}">'
