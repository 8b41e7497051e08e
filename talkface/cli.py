"""Every command, its options and its help; nothing else. The work is in `talkface.pipeline`.

Exit codes: 0 done, 2 the user's input or environment is at fault (one sentence on stderr), 130 interrupted (state
kept), 1 a defect of ours. With `--json` one JSON object goes to stdout and nothing else.
"""

import dataclasses
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from talkface.errors import UserError
from talkface.shell import Output, options_of, say

if TYPE_CHECKING:
    pass

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("[--out DIR]", "draw a speaker, learn them, make them say something new, score it"),
    "doctor": ("", "what this machine has and lacks, and the command that mends it"),
    "methods": ("", "the methods, what each learns and which controls it takes"),
    "synthesize": ("OUT", "a drawn speaker with exact ground truth: clip.mp4 and truth.npz"),
    "preprocess": ("VIDEO OUT", "a video, or a folder of clips, to a processed folder with a report"),
    "train": ("METHOD DATA --out RUN", "learn a person (or the networks `lips` and `syncnet`) from processed data"),
    "render": ("RUN AUDIO --out VIDEO", "speech to video, with pose, blink, view and background under control"),
    "evaluate": ("RUN | --truth A --video B", "score a run on held-out frames, or any video or folder of videos"),
    "benchmark": ("NAME --out DIR", "regenerate a table: tracking, lips, or a method's ablations"),
    "mos": ("make|collect ...", "a listening test as an offline page, and the table of what listeners say"),
    "verify": ("VIDEO", "read the mark of origin in a video"),
    "assets": ("[import NAME FILE]", "optional files a user may bring: where to get them, their licence, import"),
}
"""Name -> what follows it, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"talkface {version('talkface')}")
        return 0
    name, rest = arguments[0], arguments[1:]
    try:
        if name not in COMMANDS:
            raise UserError(f"there is no command {name!r}; there are {', '.join(COMMANDS)}")
        result = _RUN[name](rest)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {os.strerror(error.errno).lower()}{where}; what was finished is kept", file=sys.stderr)
        return 2
    if "--json" in rest and result is not None:
        print(json.dumps(result))
    return 0


def entry() -> None:
    """The console script."""
    sys.exit(main())


def _help() -> str:
    width = max(len(f"{name} {what}") for name, (what, _) in COMMANDS.items())
    lines = [f"  {f'{name} {what}':<{width}}  {does}" for name, (what, does) in COMMANDS.items()]
    return "\n".join(
        [
            "talkface: make a person's picture talk.",
            "",
            "usage: talkface COMMAND ...     (talkface COMMAND --help tells all about one)",
            "",
            *lines,
            "",
            "A first hour:  talkface demo        then  talkface preprocess me.mp4 me/",
            "                                          talkface train blink_hashgrid me/ --out runs/me",
            "                                          talkface render runs/me speech.wav --out talking.mp4",
        ]
    )


def _demo(arguments: Sequence[str]) -> Any:
    @dataclasses.dataclass(kw_only=True)
    class Demo(Output):
        """Draw a speaker, learn them, make them say something new, and score the result (about ten minutes)."""

        out: Path = Path("demo")
        """Folder for talking.mp4, report.html, scores.json and everything in between."""
        seed: int = 4
        """Another seed draws another person (this one's lips and lids a face detector reads best)."""

    options = options_of(Demo, "demo", arguments)
    from talkface.pipeline.demo import demo

    result = demo(options.out, seed=options.seed)
    say(options, f"{result['video']}: the drawn speaker says something new\n{result['report']}: how good it is")
    for name, value in [*result["scores"].items(), *result["driven"].items()]:
        say(options, f"  {name}: {value}")
    return result


def _doctor(arguments: Sequence[str]) -> Any:
    @dataclasses.dataclass(kw_only=True)
    class Doctor(Output):
        """What this machine has and lacks, feature by feature, with the command that mends it."""

    options = options_of(Doctor, "doctor", arguments)
    from talkface.pipeline.doctor import doctor

    return doctor(show=not options.json)


def _methods(arguments: Sequence[str]) -> Any:
    from talkface.methods import all_methods

    if "-h" in arguments or "--help" in arguments:
        print("usage: talkface methods [--json]\n\nThe methods, what each learns and which controls it takes.")
        return None
    known = [
        {"name": m.name, "summary": m.summary, "learns": m.learns, "controls": sorted(m.controls), "paper": m.paper}
        for m in all_methods()
    ]
    if "--json" not in arguments:
        for method in known:
            controls = ", ".join(method["controls"])
            print(f"{method['name']}: {method['summary']}\n    learns {method['learns']}; controls: {controls}")
            print(f"    {method['paper']}")
    return known


def _synthesize(arguments: Sequence[str]) -> Any:
    import tyro

    from talkface.pipeline.synthesize import Synthesize, synthesize

    @dataclasses.dataclass(kw_only=True)
    class Options(Output):
        """A drawn speaker (or many) with exact ground truth."""

        out: tyro.conf.Positional[Path]
        """Folder for clip.mp4 and truth.npz."""
        speaker: tyro.conf.OmitArgPrefixes[Synthesize] = dataclasses.field(default_factory=Synthesize)

    options = options_of(Options, "synthesize", arguments)
    result = synthesize(options.out, options.speaker)
    say(options, "\n".join(f"{clip['clip']}: {clip['frames']} frames" for clip in result["clips"]))
    return result


def _preprocess(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Preprocess(Output):
        """A video, a folder of clips, or a folder processed by AD-NeRF's tools, to a processed folder. Resumable."""

        video: tyro.conf.Positional[Path]
        """The video, or a folder."""
        out: tyro.conf.Positional[Path]
        """The processed folder; run the same command again to go on after a stop."""
        fix_sync: bool = False
        """Move the sound by the measured offset between speech and lips."""
        focal_px: float | None = None
        """Focal length in pixels of the source, if known."""

    options = options_of(Preprocess, "preprocess", arguments)
    from talkface.pipeline.preprocess import preprocess

    folder = preprocess(options.video, options.out, fix_sync=options.fix_sync, focal_px=options.focal_px)
    say(
        options,
        f"{folder.manifest.frames} frames in {folder.root}; {folder.root / 'report.html'} says how fit they are",
    )
    return {"folder": str(folder.root), "frames": folder.manifest.frames, "facts": folder.manifest.facts}


def _train(arguments: Sequence[str]) -> Any:
    import tyro

    from talkface import methods

    if arguments and arguments[0] == "lips":
        return _train_lips(arguments[1:])
    if arguments and arguments[0] == "syncnet":
        return _train_syncnet(arguments[1:])
    if not arguments or arguments[0].startswith("-"):
        known = ", ".join([*methods.names(), "lips", "syncnet"])
        if arguments and arguments[0] in ("-h", "--help"):
            print(f"usage: talkface train METHOD DATA --out RUN [options]\n\nMETHOD is one of {known};\n"
                  f"`talkface train METHOD --help` prints its options.")  # fmt: skip
            return None
        raise UserError(f"name what to train first: {known}")
    method = methods.get(arguments[0])
    config = method.preset(_preset(arguments))
    fields: list[Any] = [
        ("data", Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help="A processed folder.")]),
        ("out", Annotated[Path, tyro.conf.arg(help="The run folder.")]),
        ("resume", Annotated[bool, tyro.conf.arg(help="Go on with an existing run, exactly.")], False),
        ("device", Annotated[str, tyro.conf.arg(help="auto, cpu or cuda.")], "auto"),
        ("config", Annotated[method.config, tyro.conf.arg(name="")], dataclasses.field(default_factory=lambda: config)),
    ]
    kind = dataclasses.make_dataclass("Train", fields, bases=(Output,), kw_only=True)
    kind.__doc__ = f"Learn one person with {method.name}. {method.summary}"
    options = options_of(kind, f"train {method.name}", arguments[1:])
    from talkface.pipeline.train import train

    result = train(
        method.name, options.data, options.out, config=options.config, resume=options.resume, device=options.device
    )
    say(
        options,
        f"{options.out} learned in {result['taken_s'] / 60:.1f} min; try `talkface render {options.out} AUDIO ...`",
    )
    for warning in result["warnings"]:
        say(options, f"warning: {warning}")
    return result


def _train_lips(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Lips(Output):
        """Pre-train the lip predictor on processed folders of several people."""

        data: tyro.conf.Positional[tuple[Path, ...]]
        """Processed folders."""
        out: Path
        """The predictor's file (.safetensors)."""

    options = options_of(Lips, "train lips", arguments)
    from talkface.pipeline.train_lips import train_lips

    return train_lips(options.data, options.out)


def _train_syncnet(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class SyncNet(Output):
        """Train the sync network behind `lse_c@proxy` and `lse_d@proxy` on talking clips of several people."""

        data: tyro.conf.Positional[tuple[Path, ...]]
        """Processed folders, videos or folders of videos, each of one person."""
        out: Path
        """The network's file (.safetensors); `talkface assets import mouth_sync FILE` makes evaluations use it."""
        held_out: tuple[Path, ...] = ()
        """People who are not learnt from but timed, as `data`."""
        steps: int = 800
        """Training steps."""
        seed: int = 0
        """Another seed gives another network."""

    options = options_of(SyncNet, "train syncnet", arguments)
    from talkface.pipeline.train_syncnet import train_syncnet

    result = train_syncnet(options.data, options.out, options.held_out, options.steps, options.seed)
    for clip in result["left_out"]:
        say(options, f"left out: {clip}")
    timed = f"; strangers within a frame: {result['within_one']:.0%}" if "within_one" in result else ""
    say(options, f"{options.out} learned from {result['minutes']} min of {result['people']}{timed}")
    return result


def _render(arguments: Sequence[str]) -> Any:
    import tyro

    from talkface.pipeline.controls import BLINK_FORMS, POSE_FORMS, VIEW_FORMS

    @dataclasses.dataclass(kw_only=True)
    class Render(Output):
        """Speech to video: the person of RUN says AUDIO."""

        run: tyro.conf.Positional[Path]
        """The run folder of `talkface train`."""
        audio: tyro.conf.Positional[Path]
        """Speech: any sound file, or a video's sound."""
        out: Path
        """The video (.mp4; .webm or .mov keep transparency)."""
        pose: Annotated[str, tyro.conf.arg(help=f"Head pose: {POSE_FORMS}.")] = "source"
        blink: Annotated[str, tyro.conf.arg(help=f"Blinks: {BLINK_FORMS}.")] = "auto"
        expression: str | None = None
        """Not a control of every method; refused by name where it is not."""
        view: Annotated[str | None, tyro.conf.arg(help=f"Viewpoint: {VIEW_FORMS}.")] = None
        background: str = "original"
        """original, a colour (#rrggbb or a name), an image, a video, or transparent."""
        timeline: Path | None = None
        """A JSON file that keyframes pose, blink and view over time."""
        seed: int = 0
        """Seed of the natural blinks."""
        device: str = "auto"
        """auto, cpu or cuda."""

    options = options_of(Render, "render", arguments)
    from talkface.pipeline.render import render

    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(options) if f.name not in ("quiet", "json")}
    result = render(given.pop("run"), given.pop("audio"), given.pop("out"), **given)
    say(options, f"{result['video']}: {result['seconds']:.1f} s, {result['frames_per_second']} frames per second")
    return result


def _evaluate(arguments: Sequence[str]) -> Any:
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


def _benchmark(arguments: Sequence[str]) -> Any:
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


def _mos(arguments: Sequence[str]) -> Any:
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


def _verify(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Verify(Output):
        """Read the mark that talkface leaves in every video it makes."""

        video: tyro.conf.Positional[Path]
        """Any video."""

    options = options_of(Verify, "verify", arguments)
    from talkface.io.provenance import read_mark

    mark = read_mark(options.video)
    if not options.json:
        facts = "\n".join(f"  {name}: {value}" for name, value in (mark or {}).items())
        print(f"{options.video} was made by talkface\n{facts}" if mark else f"{options.video} carries no talkface mark")
    return {"video": str(options.video), "mark": mark}


def _assets(arguments: Sequence[str]) -> Any:
    if arguments and arguments[0] == "import":
        return _assets_import(arguments[1:])

    @dataclasses.dataclass(kw_only=True)
    class Assets(Output):
        """Optional files: what each gives, whether it is here, its licence and how to get it.

        `talkface assets import NAME FILE` puts a file that you got where talkface looks for it.
        """

    options = options_of(Assets, "assets", arguments)
    from talkface import assets

    known = []
    for one in assets.ASSETS:
        path = assets.find(one.name)
        published = one.publishes(path) if path else None
        known.append({**dataclasses.asdict(one), "path": str(path or ""), "published": published})
    if not options.json:
        for asset in known:
            remark = {True: " (the published file)", False: " (NOT the published file: its hash differs)"}
            print(f"{asset['name']}: {asset['path'] or 'not here'}{remark.get(asset['published'], '')}")
            print(f"    gives {asset['gives']}\n    licence {asset['licence']}")
            if not asset["path"]:
                print(f"    get it from {asset['get']}\n    then: talkface assets import {asset['name']} FILE")
    return known


def _assets_import(arguments: Sequence[str]) -> Any:
    import tyro

    @dataclasses.dataclass(kw_only=True)
    class Import(Output):
        """Put a file that you got where talkface looks for it."""

        name: tyro.conf.Positional[str]
        """Which asset; `talkface assets` lists them."""
        file: tyro.conf.Positional[Path]
        """The file, or for the ICT model its folder FaceXModel."""

    options = options_of(Import, "assets import", arguments)
    from talkface import assets
    from talkface.pipeline.bring import bring

    path = bring(options.name, options.file)
    published = assets.named(options.name).publishes(path)
    say(options, f"{options.name} is now {path}")
    if published is False:
        say(options, "it fits, but its hash is not that of the published file; scores computed with it say so")
    return {"name": options.name, "path": str(path), "published": published}


def _preset(arguments: Sequence[str]) -> str:
    """The preset named among the options, so that its values become the defaults that `--help` shows."""
    for here, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if here == "--preset":
            return following
        if here.startswith("--preset="):
            return here.removeprefix("--preset=")
    return "small"


_RUN: dict[str, Callable[[Sequence[str]], Any]] = {
    "demo": _demo,
    "doctor": _doctor,
    "methods": _methods,
    "synthesize": _synthesize,
    "preprocess": _preprocess,
    "train": _train,
    "render": _render,
    "evaluate": _evaluate,
    "benchmark": _benchmark,
    "mos": _mos,
    "verify": _verify,
    "assets": _assets,
}

if __name__ == "__main__":
    entry()
