"""What makes people and videos: `demo`, `synthesize`, `preprocess`, `render`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from talkface.shell import Output, options_of, say


def demo(arguments: Sequence[str]) -> Any:
    """`talkface demo`."""

    @dataclasses.dataclass(kw_only=True)
    class Demo(Output):
        """Draw a speaker, learn them, make them say something new, and score the result (about twelve minutes)."""

        out: Path = Path("demo")
        """Folder for talking.mp4, report.html, scores.json and everything in between."""
        seed: int = 0
        """Another seed draws another person (this one's lips and lids a face detector reads best)."""

    options = options_of(Demo, "demo", arguments)
    from talkface.pipeline.demo import demo

    result = demo(options.out, seed=options.seed)
    say(options, f"{result['video']}: the drawn speaker says something new\n{result['report']}: how good it is")
    for name, value in [*result["scores"].items(), *result["driven"].items()]:
        say(options, f"  {name}: {value}")
    return result


def synthesize(arguments: Sequence[str]) -> Any:
    """`talkface synthesize`."""
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


def preprocess(arguments: Sequence[str]) -> Any:
    """`talkface preprocess`."""
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


def render(arguments: Sequence[str]) -> Any:
    """`talkface render`."""
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
