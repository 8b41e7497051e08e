"""The command line: which commands there are, and what becomes of an error.

The commands are in `talkface.commands`, the work is in `talkface.pipeline`.

Exit codes: 0 done, 2 the user's input or environment is at fault (one sentence on stderr), 130 interrupted (state
kept), 1 a defect of ours. With `--json` one JSON object goes to stdout and nothing else.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from talkface.commands import judging, learning, making, telling
from talkface.errors import UserError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("[--out DIR]", "draw a speaker, learn them, make them say something new, score it"),
    "doctor": ("", "what this machine has and lacks, and the command that mends it"),
    "methods": ("", "the methods, what each learns and which controls it takes"),
    "synthesize": ("OUT", "a drawn speaker with exact ground truth: clip.mp4 and truth.npz"),
    "preprocess": ("VIDEO OUT", "a video, or a folder of clips, to a processed folder with a report"),
    "train": ("METHOD DATA --out RUN", "learn a person (or the networks `lips` and `syncnet`) from processed data"),
    "render": ("RUN AUDIO --out VIDEO", "speech to video, with pose, blink, view and background under control"),
    "evaluate": ("RUN | --truth A --video B", "score a run on held-out frames, or any video or folder of videos"),
    "benchmark": ("NAME --out DIR", "regenerate a table: tracking, face, lips, pose, views, or a method's rows"),
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


_RUN: dict[str, Callable[[Sequence[str]], Any]] = {
    "demo": making.demo,
    "doctor": telling.doctor,
    "methods": telling.methods,
    "synthesize": making.synthesize,
    "preprocess": making.preprocess,
    "train": learning.train,
    "render": making.render,
    "evaluate": judging.evaluate,
    "benchmark": judging.benchmark,
    "mos": judging.mos,
    "verify": telling.verify,
    "assets": telling.assets,
}
if __name__ == "__main__":
    entry()
