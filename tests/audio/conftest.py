"""Drawn talkers for the tests of this room."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("drawn_talker", Path(__file__).with_name("drawn.py"))
assert _spec is not None and _spec.loader is not None
_drawn = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_drawn)


@pytest.fixture(scope="session")
def talking():
    """`talking(seconds, seed, late_frames)`: speech, landmarks, true opening."""
    return _drawn.talking
