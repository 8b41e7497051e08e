"""The shell's side of a command: options every command has, tyro's help, and its complaints as one sentence."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Any

from talkface.errors import UserError


@dataclasses.dataclass(kw_only=True)
class Output:
    """Options that every command has."""

    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print one JSON object on stdout and nothing else there."""


def say(options: Output, text: str) -> None:
    """A closing line for people."""
    if not options.json and not options.quiet:
        print(text)


def options_of(kind: Any, name: str, arguments: Sequence[str]) -> Any:
    """Options of one command: tyro's help, but its complaints as one sentence.

    Args:
        kind: The command's dataclass, an `Output`.
        name: The command, as it is typed.

    Raises:
        UserError: something is missing, unknown or of the wrong kind.
    """
    import tyro

    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            options = tyro.cli(kind, args=list(arguments), prog=f"talkface {name}")
    except SystemExit as stop:
        if stop.code:
            raise UserError(_one_sentence(heard.getvalue(), name)) from None
        raise
    if options.quiet or options.json:
        from talkface.progress import set_quiet

        set_quiet(True)
    return options


def _one_sentence(box: str, name: str) -> str:
    """The text of a complaint without its heading (the first line) and its frame or, where there is none, its rule."""
    lines = [line.strip(" │") for line in box.splitlines() if line.strip()][1:]
    text = " ".join(line for line in lines if line.strip("╰─╯-"))
    text = re.sub(r"For full helptext.*|Argument helptext:|\(required\)|\(default: [^)]*\)", "", text)
    text = re.sub(r"\s+", " ", text).strip().rstrip(".").removeprefix("Error ")
    return f"{text[:1].lower()}{text[1:]}; see `talkface {name} --help`"
