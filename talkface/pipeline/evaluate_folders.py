"""Two folders of videos, matched by name and scored pair by pair; what is done is kept when the command is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from talkface.errors import UserError
from talkface.io.provenance import file_sha256
from talkface.io.whole import write_whole
from talkface.metrics.pair_report import BASELINES
from talkface.metrics.pair_summary import mean_entries, write_summary
from talkface.metrics.video import Detect
from talkface.pipeline.evaluate_pair import PairOptions, evaluate_pair, make_folder
from talkface.pipeline.recordings import SUFFIXES
from talkface.progress import track_progress


def evaluate_folders(
    truth: Path,
    video: Path,
    out: Path,
    options: PairOptions | None = None,
    *,
    new_detector: Callable[[], Detect] | None = None,
) -> dict[str, Any]:
    """Score every video of a folder against the one of the same name (without its suffix) in another.

    Each pair leaves its report in a folder of its own under `out`; a pair whose report is there, made from the same
    files with the same options, is not scored again. A pair that cannot be scored is named and passed over.

    Returns:
        The content of scores.json: means over pairs as `metrics.pair_summary` defines them, the pairs, and what failed.

    Raises:
        UserError: no pair is found, two files of a folder have the same name, none can be scored, or `out` cannot be
            written.
    """
    options = options or PairOptions()
    truth, video = Path(truth), Path(video)
    truths, videos = _by_stem(truth), _by_stem(video)
    stems = sorted(truths.keys() & videos.keys())
    unmatched = {
        "truth": [truths[stem].name for stem in sorted(truths.keys() - videos.keys())],
        "video": [videos[stem].name for stem in sorted(videos.keys() - truths.keys())],
    }
    if not stems:
        raise UserError(
            f"{truth} ({len(truths)} videos) and {video} ({len(videos)} videos) have no file name in common; "
            "a pair has the same name in both folders"
        )
    make_folder(out)
    results: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    for stem in track_progress(stems, "pairs"):
        try:
            results[stem] = _kept(out / stem, truths[stem], videos[stem], options) or evaluate_pair(
                truths[stem], videos[stem], out / stem, options, new_detector=new_detector
            )
        except UserError as error:
            failed[stem] = str(error)
    if not results:
        raise UserError(f"none of {len(stems)} pairs could be scored; the first: {next(iter(failed.values()))}")
    total = _total(truth, video, options, results, unmatched, failed)
    notes = [
        *(f"{stem} could not be scored: {why}" for stem, why in failed.items()),
        *(f"{side}/{name} has no partner" for side, names in unmatched.items() for name in names),
    ]
    write_summary(out, f"{video.name} against {truth.name}", results, total, notes)
    text = json.dumps(total, indent=1, allow_nan=False)
    write_whole(out / "scores.json", lambda file: file.write(text.encode()))
    return total


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give two videos or two folders of videos")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise UserError(f"{folder} holds {found[path.stem].name} and {path.name}; one name must be one video")
            found[path.stem] = path
    return found


def _kept(folder: Path, truth: Path, video: Path, options: PairOptions) -> dict[str, Any] | None:
    """What an earlier run found for the same files and options; None where there is nothing of that kind."""
    try:
        content = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        same = content["options"] == asdict(options)
        digests = content["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not same or digests != {"truth": file_sha256(truth), "video": file_sha256(video)}:
        return None
    return content  # type: ignore[no-any-return]


def _total(
    truth: Path,
    video: Path,
    options: PairOptions,
    results: dict[str, dict[str, Any]],
    unmatched: dict[str, list[str]],
    failed: dict[str, str],
) -> dict[str, Any]:
    sizes = [result["size"] for result in results.values()]
    return {
        "method": video.name,
        "run": str(video),
        "data": str(truth),
        "split": "pairs",
        "size": sizes[0] if all(size == sizes[0] for size in sizes) else None,
        "frames": sum(result["frames"] for result in results.values()),
        "device": "cpu",
        "scores": mean_entries([result["scores"] for result in results.values()]),
        "ground_truth": mean_entries([result["ground_truth"] for result in results.values()]),
        "baselines": {
            name: mean_entries([result["baselines"][name] for result in results.values()]) for name in BASELINES
        },
        "pairs": [
            {"name": stem, "folder": stem, "frames": result["frames"], "warnings": result["warnings"]}
            for stem, result in results.items()
        ],
        "unmatched": unmatched,
        "failed": failed,
        "options": asdict(options),
    }
