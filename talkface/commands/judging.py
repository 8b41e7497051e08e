"""What scores: `evaluate`, `benchmark`, `mos`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from talkface.errors import UserError
from talkface.shell import Output, options_of, say


def evaluate(arguments: Sequence[str]) -> Any:
    """`talkface evaluate`."""
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Evaluate(Output):
        """Score a run on its held-out frames, or any video against the true one.

        Either RUN: with the true landmarks, and driven by speech alone. Or --truth and --video: two videos, or two
        folders of videos with the same names.
        """

        run: tyro.conf.Positional[Path | None] = None
        """The run folder."""
        out: Path
        """Folder for scores.json, report.html and comparison.mp4."""
        data: Path | None = None
        """RUN: the processed folder, if it moved since training."""
        speech: Path | None = None
        """RUN: also render 30 s of this (somebody else's) speech with commanded blinks, and score what was asked."""
        max_frames: int | None = None
        """Score only the first so many (test) frames."""
        truth: Path | None = None
        """The true video, or a folder of them."""
        video: Path | None = None
        """The video to score, or a folder of them."""
        size: str = "truth"
        """Videos: the size that is scored: truth, video or HEIGHTxWIDTH."""
        offset: str = "0"
        """Videos: by how many frames the video is late, or auto: where the pictures agree best within 15 frames."""
        crop: Literal["none", "face"] = "none"
        """Videos: face scores the square around the true face at 256 px, as one-shot papers do."""
        networks: bool = True
        """Videos: also judge by the networks that are here; they take longer than the rest."""

    options = options_of(Evaluate, "evaluate", arguments)
    if (options.truth is None) != (options.video is None):
        raise UserError("--truth and --video belong together; give both, or a run folder")
    if (options.run is None) == (options.truth is None):
        raise UserError("give either a run folder, or --truth and --video; see `talkface evaluate --help`")
    _refuse_others(options, Evaluate, _OF_VIDEOS if options.truth is None else ("data", "speech"))
    if options.truth is not None:
        return _evaluate_videos(options)
    from talkface.pipeline.evaluate import evaluate

    scores = evaluate(options.run, options.out, data=options.data, max_frames=options.max_frames)
    if options.speech is not None:
        from talkface.pipeline.driven import driven

        scores["driven"] = driven(options.run, options.speech, options.out)
        say(options, "driven: " + ", ".join(f"{name} {value}" for name, value in scores["driven"].items()))
    say(options, f"{options.out / 'report.html'} tells it all")
    return scores


_OF_VIDEOS = ("size", "offset", "crop", "networks")


def _evaluate_videos(options: Any) -> Any:
    from talkface.pipeline.evaluate_folders import evaluate_folders
    from talkface.pipeline.evaluate_pair import PairOptions, evaluate_pair

    chosen = PairOptions(options.size, options.offset, options.crop, options.max_frames, options.networks)
    folders = options.truth.is_dir() and options.video.is_dir()
    scores = (evaluate_folders if folders else evaluate_pair)(options.truth, options.video, options.out, chosen)
    for warning in scores.get("warnings", []):
        say(options, f"note: {warning}")
    for name, why in scores.get("failed", {}).items():
        say(options, f"{name} could not be scored: {why}")
    for side, names in scores.get("unmatched", {}).items():
        if names:
            say(options, f"without a partner in --{side}: {', '.join(names)}")
    say(options, f"{options.out / 'report.html'} tells it all")
    return scores


def _refuse_others(options: Any, kind: Any, names: Sequence[str]) -> None:
    """Options of the other form of `evaluate` are refused by name."""
    defaults = {f.name: f.default for f in dataclasses.fields(kind)}
    for name in names:
        if getattr(options, name) != defaults[name]:
            form = "--truth and --video" if name in _OF_VIDEOS else "a run folder"
            raise UserError(f"--{name} goes with {form}")


def benchmark(arguments: Sequence[str]) -> Any:
    """`talkface benchmark`."""
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Benchmark(Output):
        """Regenerate one table of docs/results.md. Resumable row by row."""

        name: tyro.conf.Positional[Literal["tracking", "face", "lips", "pose", "novel_view", "blink_hashgrid", "clips"]]
        """tracking, face, lips, pose: those rooms; novel_view: a drawn speaker from viewpoints never filmed;
        blink_hashgrid: Table III's ablations; clips: every clip, scored."""
        out: Path
        """Folder for the table and its runs."""
        data: Path | None = None
        """What to measure on: the folder of clips, for ablations a processed folder, for novel_view a demo's folder."""
        steps: int | None = None
        """Coarse training steps of every row; by default those of preset small."""

    options = options_of(Benchmark, "benchmark", arguments)
    from talkface.pipeline.benchmark import benchmark

    return benchmark(options.name, options.out, data=options.data, steps=options.steps)


def mos(arguments: Sequence[str]) -> Any:
    """`talkface mos`."""
    parts = {"make": _mos_make, "collect": _mos_collect}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: talkface mos make SYSTEM_FOLDER... [--truth FOLDER] --out STUDY\n"
            "       talkface mos collect STUDY RATINGS... --out DIR\n\n"
            "A listening test as an offline page, and the table of what listeners say.\n"
            "`talkface mos make --help` and `talkface mos collect --help` tell all."
        )
        return None
    if arguments[0] not in parts:
        raise UserError(f"`talkface mos` can make or collect, not {arguments[0]!r}")
    return parts[arguments[0]](arguments[1:])


def _mos_make(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Make(Output):
        """Put videos of several systems under random names beside a page that listeners open in a browser."""

        systems: tyro.conf.Positional[tuple[Path, ...]]
        """One folder of videos (.mp4, .webm) for each system, with the same file names in all."""
        out: Path
        """The study: sheet/ is for listeners, key.json stays with you."""
        truth: Path | None = None
        """The folder of the true videos."""
        seed: int = 0
        """Of the random names and of every listener's order."""
        title: str = "Listening test"
        """Heading of the page."""

    options = options_of(Make, "mos make", arguments)
    from talkface.pipeline.mos import make

    result = make(options.systems, options.out, truth=options.truth, seed=options.seed, title=options.title)
    say(options, f"{result['sheet']}: {result['videos']} videos; give listeners its folder, keep {result['key']}")
    return result


def _mos_collect(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Collect(Output):
        """Add up what listeners saved: means with 95 % intervals, in Markdown, LaTeX, HTML and JSON."""

        study: tyro.conf.Positional[Path]
        """The folder of `talkface mos make`."""
        ratings: tyro.conf.Positional[tuple[Path, ...]]
        """The files that the page saved, or folders of them."""
        out: Path
        """Folder for the table."""
        headphones_only: bool = False
        """Leave out listeners who did not pass the headphone check."""

    options = options_of(Collect, "mos collect", arguments)
    from talkface.pipeline.mos import collect

    result = collect(options.study, options.ratings, options.out, headphones_only=options.headphones_only)
    say(options, (options.out / "mos.md").read_text())
    return result
