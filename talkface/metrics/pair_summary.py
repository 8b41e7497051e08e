"""Many judged pairs as one table: every pair's main scores, and the mean over pairs with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from scipy import stats

from talkface.metrics.report import Section, title_of, write_page
from talkface.metrics.table_forms import html, write_table
from talkface.metrics.tables import Column, Entry, Table, table
from talkface.types import FPS, Score

COLUMNS = (
    Column("psnr", title="PSNR, dB", digits=2),
    Column("ssim", title="SSIM"),
    Column("ms_ssim", title="MS-SSIM"),
    Column("psnr", "mouth", "PSNR of the mouth, dB", digits=2),
    Column("lmd", "mouth", "LMD, px", higher_is_better=False, digits=2),
    Column("lmd_eye", "eyes", "LMD of the eyes, px", higher_is_better=False, digits=2),
    Column("opening_r", "mouth", "Mouth r"),
    Column("blink_f1", "eyes", "Blink F1", digits=2),
    Column("head_turn_deg", "head", "Head turn, degrees", higher_is_better=False, digits=2),
    Column("sync_r", "mouth", "Sync r"),
    Column("lpips", title="LPIPS", higher_is_better=False),
    Column("lse_c", "mouth", "LSE-C", digits=2),
    Column("lse_d", "mouth", "LSE-D", higher_is_better=False, digits=2),
)
"""What the table shows; `scores.json` has everything."""


def mean_entries(groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The mean of every score over pairs, as `scores.json` lists it.

    `pairs` counts those that have the score, `frames` sums theirs; `interval_95` is Student's interval of the mean,
    None under two pairs. Pairs count alike, however long they are (one-shot-methods.md §6.1: frames, then videos).

    Args:
        groups: The score entries of every pair.
    """
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for group in groups:
        for score in group:
            found.setdefault((score["name"], score["region"], score["backend"]), []).append(score)
    return [_mean(scores) for scores in found.values()]


def _mean(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = scores[0]
    known = [score for score in scores if score["value"] is not None]
    values = np.array([score["value"] for score in known], float)
    entry = {
        "name": first["name"],
        "value": float(values.mean()) if len(values) else None,
        "higher_is_better": first["higher_is_better"],
        "frames": sum(score["frames"] for score in known),
        "region": first["region"],
        "backend": first["backend"],
        "pairs": len(known),
        "interval_95": None,
    }
    if len(values) > 1:
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        entry["interval_95"] = [entry["value"] - half, entry["value"] + half]
    if not len(values):
        entry["why"] = first.get("why", "nothing to measure")
    return entry


def summary_table(title: str, results: Mapping[str, Mapping[str, Any]], total: Mapping[str, Any]) -> Table:
    """Mean rows of truth, video and baselines, then every pair; columns that nobody has are left out."""
    means = [
        _entry("mean of the truth", total["ground_truth"], ranked=False),
        _entry(f"mean of {len(results)} videos", total["scores"]),
        *(_entry(f"mean of {name}", scores) for name, scores in total["baselines"].items()),
    ]
    pairs = [_entry(name, result["scores"], ranked=False) for name, result in results.items()]
    columns = [c for c in COLUMNS if any((s := e.score(c)) is not None and s.value is not None for e in means)]
    return table(title, columns, [*means, *pairs])


def write_summary(
    folder: Path,
    title: str,
    results: Mapping[str, Mapping[str, Any]],
    total: Mapping[str, Any],
    notes: Sequence[str],
) -> None:
    """Write table.md, .tex, .html and .json, and report.html, which leads to the report of every pair.

    Args:
        notes: What a reader must know: pairs that are missing or failed.
    """
    summary = summary_table(title, results, total)
    write_table(summary, folder)
    links = "".join(
        f'<li><a href="{escape(quote(name))}/report.html">{escape(name)}</a> '
        f"{result['frames']} frames{''.join(f' · {escape(w)}' for w in result['warnings'])}</li>"
        for name, result in results.items()
    )
    everything = "".join(_line(score) for score in total["scores"])
    head = "<thead><tr><th></th><th>mean</th><th>95 % interval</th><th>pairs</th></tr></thead>"
    write_page(
        folder / "report.html",
        title=title,
        facts={"pairs": str(len(results)), "frames": f"{total['frames']}, {total['frames'] / FPS:.0f} s"},
        words=[("bad", note) for note in notes],
        sections=[
            Section(
                "The table", "Means over pairs with their 95 % interval.", f'<div class="scroll">{html(summary)}</div>'
            ),
            Section("Every pair", "Each has its own report.", f"<ul>{links}</ul>"),
            Section("Every score", "Means over the videos.", f"<table>{head}<tbody>{everything}</tbody></table>"),
        ],
        footer="The same table as Markdown, LaTeX and JSON: table.md, table.tex, table.json. All numbers: scores.json.",
    )


def _line(score: Mapping[str, Any]) -> str:
    name = f"{escape(title_of(score['name']))}<small>{escape(score['name'])}, {escape(score['region'])}</small>"
    value = "–" if score["value"] is None else f"{score['value']:.3f}"
    return f"<tr><td>{name}</td><td>{value}</td><td>{_interval(score)}</td><td>{score['pairs']}</td></tr>"


def _interval(score: Mapping[str, Any]) -> str:
    return "" if score["interval_95"] is None else "{:.3f} to {:.3f}".format(*score["interval_95"])


def _entry(title: str, scores: Sequence[Mapping[str, Any]], ranked: bool = True) -> Entry:
    known = [
        Score(s["name"], s["value"], s["higher_is_better"], s["frames"], s["region"], s["backend"], s.get("why", ""))
        for s in scores
    ]
    halves = {
        (s["name"], s["region"]): (s["interval_95"][1] - s["interval_95"][0]) / 2
        for s in scores
        if s.get("interval_95")
    }
    return Entry(title, known, ranked, halves)
