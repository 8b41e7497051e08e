"""`talkface mos`: a listening test as one offline page, and the table of what listeners sent back.

`make` copies the videos under random names beside a static page; `key.json`, which says what they are, stays with the
experimenter. `collect` reads the files that the page saved. Protocol: KPBE's Table II (one-shot-methods.md §6.6).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from talkface.engine.run import write_json, write_text
from talkface.errors import UserError
from talkface.metrics.mos import (
    FORMAT,
    SCALES,
    TRUTH,
    Listener,
    Stimulus,
    opinion_table,
    opinions,
    read_listener,
    refuse_duplicates,
)
from talkface.metrics.table_forms import write_table

_VIDEOS = (".mp4", ".webm")
_CODE_LETTERS = "bcdfghjkmnpqrstvwxz"


def make(
    systems: Sequence[Path], out: Path, *, truth: Path | None = None, seed: int = 0, title: str = "Listening test"
) -> dict[str, Any]:
    """Make `out`/sheet (give this folder to listeners) and `out`/key.json (keep it).

    Args:
        systems: One folder of videos per system; its name is the system's. All hold videos of the same names.
        truth: The folder of the true videos, with the same names.
        seed: Of the videos' random names and of every listener's order.

    Returns:
        Where the page is, and how many videos it shows.

    Raises:
        UserError: no videos, folders that differ in their videos, two systems of one name, or `out` is taken.
    """
    folders = {**_named(systems), **({TRUTH: truth} if truth is not None else {})}
    if not systems:
        raise UserError("name the folders of videos to compare, one for each system")
    if (out / "key.json").exists():
        raise UserError(f"{out} holds a listening test already; its ratings would lose their key")
    files = {system: _videos(folder) for system, folder in folders.items()}
    first, names = next(iter(files.items()))
    for system, found in files.items():
        if odd := sorted(set(names) ^ set(found)):
            have, lack = (system, first) if odd[0] in found else (first, system)
            raise UserError(f"the video {odd[0]!r} is in {folders[have]} and not in {folders[lack]}")
    generator = np.random.default_rng(seed)
    pairs = [(system, video) for system in files for video in sorted(names)]
    stimuli = [Stimulus(code, *pair) for code, pair in zip(_codes(len(pairs), generator), pairs, strict=True)]
    study = hashlib.sha256(json.dumps([seed, [asdict(s) for s in stimuli]]).encode()).hexdigest()[:12]
    sheet = out / "sheet"
    shown = []
    for stimulus in stimuli:
        source = files[stimulus.system][stimulus.video]
        shown.append({"code": stimulus.code, "file": f"videos/{stimulus.code}{source.suffix.lower()}"})
        target = sheet / shown[-1]["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shown.sort(key=lambda one: one["code"])
    page = {"format": FORMAT, "study": study, "title": title, "seed": seed, "scales": SCALES, "videos": shown}
    template = resources.files("talkface.pipeline").joinpath("mos_sheet.html").read_text(encoding="utf-8")
    inside = json.dumps(page).replace("<", "\\u003c")
    write_text(sheet / "index.html", template.replace("/*STUDY*/null", inside))
    write_json(out / "key.json", {"format": FORMAT, "study": study, "title": title, "seed": seed,
                                  "stimuli": [asdict(s) for s in stimuli]})  # fmt: skip
    return {"sheet": str(sheet / "index.html"), "key": str(out / "key.json"), "videos": len(stimuli)}


def collect(study: Path, ratings: Sequence[Path], out: Path, *, headphones_only: bool = False) -> dict[str, Any]:
    """The table of what listeners sent, into `out` (mos.md, .tex, .html, .json with both intervals).

    Args:
        study: The folder of `make`.
        ratings: The files that the page saved, or folders of them.
        headphones_only: Leave out listeners who did not pass the headphone check.

    Raises:
        UserError: no ratings at all, or a file that is broken, unfinished, of another test, or there twice.
    """
    key, stimuli = _key(study)
    codes = [s.code for s in stimuli]
    files = [file for path in ratings for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    listeners: dict[str, Listener] = {}
    for file in files:
        listeners[str(file)] = read_listener(_json(file), key["study"], codes, str(file))
    refuse_duplicates(listeners)
    kept = [one for one in listeners.values() if one.headphones or not headphones_only]
    if not kept:
        whom = "of listeners who passed the headphone check " if listeners else ""
        raise UserError(f"there are no ratings {whom}to add up; open {study / 'sheet' / 'index.html'} and gather some")
    found = opinions(kept, stimuli, key["seed"])
    out.mkdir(parents=True, exist_ok=True)
    write_table(opinion_table(found, len(kept), len(stimuli)), out, "mos")
    result = {
        "study": key["study"],
        "listeners": len(kept),
        "without_headphones": sum(not one.headphones for one in kept),
        "opinions": [asdict(one) for one in found],
    }
    write_json(out / "mos_intervals.json", result)
    return result


def _named(systems: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in systems:
        name = folder.resolve().name
        if name in found or name == TRUTH:
            raise UserError(f"two systems are called {name!r}; rename one of the folders")
        found[name] = folder
    return found


def _videos(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of videos")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _VIDEOS:
            if path.stem in found:
                raise UserError(f"{folder} holds {path.stem!r} twice; keep one of them")
            found[path.stem] = path
    if not found:
        raise UserError(f"{folder} holds no videos that browsers play ({', '.join(_VIDEOS)})")
    return found


def _codes(count: int, generator: np.random.Generator) -> list[str]:
    """Names that say nothing."""
    codes: dict[str, None] = {}
    while len(codes) < count:
        codes["".join(generator.choice(list(_CODE_LETTERS), 6))] = None
    return list(codes)


def _key(study: Path) -> tuple[dict[str, Any], list[Stimulus]]:
    key = _json(study / "key.json")
    try:
        if key["format"] != FORMAT:
            raise KeyError("format")
        return key, [Stimulus(**one) for one in key["stimuli"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{study / 'key.json'} is not the key of a listening test") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from error
