"""Tables that regenerate docs/results.md: tracking, lips, every clip, Table III. Resumable row by row."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from talkface.engine.run import write_json, write_text
from talkface.errors import UserError
from talkface.io.store import MANIFEST
from talkface.methods.blink_hashgrid.config import ROWS, BlinkConfig, ablation, ernerf, preset
from talkface.pipeline.evaluate import evaluate
from talkface.pipeline.preprocess import preprocess
from talkface.pipeline.train import train

PUBLISHED_TABLE_III = {
    "w/o D w/o E": {"psnr": 35.438, "lpips": 0.0347, "lmd": 2.721, "sync": 6.231},
    "w/ D w/o E": {"psnr": 36.194, "lpips": 0.0274, "lmd": 2.731, "sync": 6.685},
    "w/ D w/ E": {"psnr": 35.891, "lpips": 0.0259, "lmd": 2.729, "sync": 6.704},
    "w/ D w/ E w/ Tri-Hash": {"psnr": 35.907, "lpips": 0.0256, "lmd": 2.691, "sync": 6.742},
}
"""Other clips, another size and a far longer training: not comparable, shown for the order of the rows."""
CLIPS = {
    "cnn2": "speakers/cnn2/clip.mp4",
    "obama_address": "speakers/obama_address/clip_450.mp4",
    "edtalk_pose2": "speakers/edtalk_pose2/clip.mp4",
    "person31": "speakers/person31/clip.mp4",
    "grid_s1": "speakers/grid_s1",
}
_COLUMNS = (
    ("psnr", "frame"),
    ("psnr", "head"),
    ("psnr", "mouth"),
    ("ssim", "frame"),
    ("lmd", "mouth"),
    ("opening_r", "mouth"),
    ("au45_r", "eyes"),
    ("blink_f1", "eyes"),
)


def benchmark(name: str, out: Path, *, data: Path | None = None, steps: int | None = None) -> dict[str, Any]:
    """Make one table into `out` as table.json and table.md, and print it.

    Args:
        name: "tracking", "lips", "clips", "pose" or "blink_hashgrid".
        data: The folder of development clips; for "blink_hashgrid" a processed folder, for "pose" a folder of them.
        steps: Coarse steps of every row that trains; default those of preset `small`.
    """
    if name == "tracking":
        from talkface.pipeline.benchmark_tracking import benchmark_tracking

        return benchmark_tracking(out, data)
    if data is None:
        raise UserError(f"benchmark {name} needs --data")
    if name == "lips":
        from talkface.pipeline.benchmark_lips import benchmark_lips

        return benchmark_lips(out, data)
    if name == "pose":
        from talkface.pipeline.benchmark_pose import benchmark_pose

        return benchmark_pose(out, {path.name: path for path in sorted(data.iterdir()) if (path / MANIFEST).is_file()})
    base = preset("small")
    if steps is not None:
        base = replace(base, field=replace(base.field, steps=steps))
    if name == "clips":
        rows = {
            clip: _clip_row(out / clip, data / path, base) for clip, path in CLIPS.items() if (data / path).exists()
        }
        return _table(out, name, rows)
    if name == "blink_hashgrid":
        variants: dict[str, BlinkConfig] = {"ER-NeRF": ernerf(base)}
        for row in ROWS:
            for faithful in (True, False):
                variants[f"{row} ({'paper' if faithful else 'ours'})"] = ablation(base, row, faithful)
        return _table(out, name, {row: _run_row(out / _slug(row), data, config) for row, config in variants.items()})
    raise UserError(f"there is no benchmark {name!r}")


def _clip_row(folder: Path, video: Path, config: BlinkConfig) -> Callable[[], dict[str, Any]]:
    def measure() -> dict[str, Any]:
        preprocess(video, folder / "person")
        return _run_row(folder, folder / "person", config)()

    return measure


def _run_row(folder: Path, data: Path, config: BlinkConfig) -> Callable[[], dict[str, Any]]:
    def measure() -> dict[str, Any]:
        run = folder / "run"
        started = time.monotonic()
        if not (run / "source.npz").is_file():
            train("blink_hashgrid", data, run, config=replace(config), resume=(run / "config.json").is_file())
        seconds = time.monotonic() - started
        return {"train_s": round(seconds), **evaluate(run, folder / "scores", data=data)}

    return measure


def _table(out: Path, name: str, rows: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, Any]:
    """Measure what has no result yet, row by row, and write the table after each."""
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for row, measure in rows.items():
        kept = out / f"{_slug(row)}.json"
        if not kept.is_file():
            write_json(kept, measure())
        results[row] = json.loads(kept.read_text())
        write_text(out / "table.md", _markdown(name, results))
    write_json(out / "table.json", results)
    print((out / "table.md").read_text())
    return results


def _markdown(name: str, results: dict[str, Any]) -> str:
    head = ["row", *(f"{score} {region}" for score, region in _COLUMNS), "mouth_r by audio", "training s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row, result in results.items():
        own = {(s["name"], s["region"]): s["value"] for s in result["scores"]}
        cells = [row, *(_cell(own.get(column)) for column in _COLUMNS)]
        cells += [_cell(own.get(("mouth_r", "mouth"))), str(result.get("train_s", ""))]
        lines.append("| " + " | ".join(cells) + " |")
        for baseline, scores in result.get("baselines", {}).items():
            values = {(s["name"], s["region"]): s["value"] for s in scores}
            cells = [f"  {baseline}", *(_cell(values.get(column)) for column in _COLUMNS), "", ""]
            if name == "clips":
                lines.append("| " + " | ".join(cells) + " |")
    if name == "blink_hashgrid":
        lines += ["", "Published (Macron, 512 px, other training: not comparable):", ""]
        lines += [f"- {row}: {values}" for row, values in PUBLISHED_TABLE_III.items()]
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text).strip("_").lower()
