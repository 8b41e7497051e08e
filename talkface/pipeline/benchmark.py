"""Tables that regenerate docs/results.md: tracking, lips, every clip, Table III. Resumable row by row."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from talkface.engine.run import write_json
from talkface.errors import UserError
from talkface.io.store import MANIFEST
from talkface.methods.blink_hashgrid.config import ROWS, BlinkConfig, ablation, ernerf, preset
from talkface.metrics.published import published
from talkface.metrics.table_forms import write_table
from talkface.metrics.tables import Block, Column, Entry, Table, table
from talkface.pipeline.evaluate import evaluate
from talkface.pipeline.preprocess import preprocess
from talkface.pipeline.train import train
from talkface.types import Score

CLIPS = {
    "cnn2": "speakers/cnn2/clip.mp4",
    "obama_address": "speakers/obama_address/clip_450.mp4",
    "edtalk_pose2": "speakers/edtalk_pose2/clip.mp4",
    "person31": "speakers/person31/clip.mp4",
    "grid_s1": "speakers/grid_s1",
}
_COLUMNS = (
    Column("psnr", "frame", "PSNR frame", digits=2),
    Column("psnr", "head", "PSNR head", digits=2),
    Column("psnr", "mouth", "PSNR mouth", digits=2),
    Column("ssim", "frame", "SSIM"),
    Column("lpips", "frame", "LPIPS", higher_is_better=False),
    Column("lmd_256", "mouth", "LMD at 256", higher_is_better=False),
    Column("opening_r", "mouth", "opening r"),
    Column("au45_r", "eyes", "AU45 r"),
    Column("blink_f1", "eyes", "blink F1", digits=2),
    Column("mouth_r", "mouth", "mouth_r by speech"),
    Column("train_s", "run", "training s", higher_is_better=None, digits=0),
)


def benchmark(name: str, out: Path, *, data: Path | None = None, steps: int | None = None) -> dict[str, Any]:
    """Make one table into `out` (JSON, Markdown, LaTeX, HTML), and print it.

    Args:
        name: "tracking", "face", "lips", "clips", "pose", "novel_view" or "blink_hashgrid".
        data: The folder of development clips; for "blink_hashgrid" a processed folder, for "pose" a folder of them,
            for "novel_view" a folder as the demo leaves it, or None to make one.
        steps: Coarse steps of every row that trains; default those of preset `small`.
    """
    if name == "tracking":
        from talkface.pipeline.benchmark_tracking import benchmark_tracking

        return benchmark_tracking(out, data)
    if name == "face":
        from talkface.pipeline.benchmark_face import benchmark_face

        return benchmark_face(out)
    if name == "novel_view":
        from talkface.pipeline.benchmark_novel_view import benchmark_novel_view

        return benchmark_novel_view(out, data)
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
        write_table(_shown(name, results), out)
    print((out / "table.md").read_text())
    return results


def _shown(name: str, results: dict[str, Any]) -> Table:
    """For clips a block each, the run among its baselines; for ablations one block, and what was published."""
    if name == "clips":
        return Table("Clips", _COLUMNS, [Block(clip, _entries("ours", result)) for clip, result in results.items()])
    rows = [_entries(row, result)[0] for row, result in results.items()]
    baselines = _entries("", next(iter(results.values())))[1:]
    return table("Table III on one clip", _COLUMNS, [*rows, *baselines], [published("blink_hashgrid.3").block()])


def _entries(title: str, result: dict[str, Any]) -> list[Entry]:
    """The run and its baselines under the true landmarks; `mouth_r` is by speech alone."""
    taken = Score("train_s", float(result["train_s"]), False, result["frames"], "run")
    baselines = [Entry(baseline, _scores(scores)) for baseline, scores in result["baselines"].items()]
    return [Entry(title, [*_scores(result["scores"]), taken]), *baselines]


def _scores(listed: list[dict[str, Any]]) -> list[Score]:
    shown = [one for one in listed if one["drive"] == "landmarks" or one["name"] == "mouth_r"]
    return [Score(**{key: value for key, value in one.items() if key != "drive"}) for one in shown]


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text).strip("_").lower()
