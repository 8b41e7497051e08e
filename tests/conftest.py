"""Shapes are checked while tests run; what needs the development data says so when it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

# Light modules name heavy types only for the type checker, which a runtime checker cannot resolve.
install_import_hook(
    [
        f"talkface.{room}"
        for room in ("types", "geometry", "ops", "io", "audio", "face", "fields", "nets", "data", "metrics", "losses")
    ],
    "beartype.beartype",
)

SHARED = Path(os.environ.get("TALKFACE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development clips beside the checkout; tests that need them skip, counted, where they are absent."""
    folder = SHARED / "data"
    if not (folder / "README.md").is_file():
        pytest.skip(f"SHARED DATA ABSENT: {folder}")
    return folder


@pytest.fixture(scope="session")
def ict_model():
    """The user's ICT face model."""
    from talkface import assets

    if assets.find("ict") is None:
        pytest.skip("FACE MODEL ABSENT: ict_facekit_light.npz")
    from talkface.face.model import ict

    return ict()


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory):
    """A drawn speaker of 12 s, small, with exact truth."""
    from talkface.io.store import PersonFolder
    from talkface.pipeline.synthesize import Synthesize, synthesize

    out = tmp_path_factory.mktemp("speaker")
    synthesize(out, Synthesize(seconds=12.0, size=96, seed=5, head="builtin", recorded=True, processed=True))
    return PersonFolder(out / "processed")


@pytest.fixture(scope="session")
def runs(person, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run of preset `test` per method."""
    import torch

    from talkface import methods
    from talkface.pipeline.train import train

    torch.set_num_threads(1)
    personal = [m.name for m in methods.all_methods() if m.learns == "person"]
    out = tmp_path_factory.mktemp("runs")
    for name in personal:
        train(name, person.root, out / name, config=methods.get(name).preset("test"))
    return {name: out / name for name in personal}


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    absent = [r for r in skipped if "ABSENT" in str(r.longrepr)]
    if absent:
        terminalreporter.write_line(f"{len(absent)} tests did not run because data or a machine was absent")
