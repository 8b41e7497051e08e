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


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    absent = [r for r in skipped if "ABSENT" in str(r.longrepr)]
    if absent:
        terminalreporter.write_line(f"{len(absent)} tests did not run because data or a machine was absent")
