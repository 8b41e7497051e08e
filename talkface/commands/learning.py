"""What teaches: `train` with a method, the lip predictor or the sync network."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from talkface.errors import UserError
from talkface.shell import Output, options_of, say


def train(arguments: Sequence[str]) -> Any:
    """`talkface train`."""
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


def _preset(arguments: Sequence[str]) -> str:
    """The preset named among the options, so that its values become the defaults that `--help` shows."""
    for here, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if here == "--preset":
            return following
        if here.startswith("--preset="):
            return here.removeprefix("--preset=")
    return "small"
