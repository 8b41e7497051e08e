"""What tells about methods, this machine, its optional files, and a video: `methods`, `doctor`, `assets`, `verify`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talkface.shell import Output, options_of, say


def methods(arguments: Sequence[str]) -> Any:
    """`talkface methods`."""
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


def doctor(arguments: Sequence[str]) -> Any:
    """`talkface doctor`."""

    @dataclasses.dataclass(kw_only=True)
    class Doctor(Output):
        """What this machine has and lacks, feature by feature, with the command that mends it."""

    options = options_of(Doctor, "doctor", arguments)
    from talkface.pipeline.doctor import doctor

    return doctor(show=not options.json)


def assets(arguments: Sequence[str]) -> Any:
    """`talkface assets`."""
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


def verify(arguments: Sequence[str]) -> Any:
    """`talkface verify`."""
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
