"""The drawn person, shared by the score tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def drawn() -> ModuleType:
    """The module that draws a person and detects her."""
    spec = importlib.util.spec_from_file_location("drawn_person", Path(__file__).with_name("drawn.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def person(drawn: ModuleType):
    """220 frames of the drawn person, the last twenty for testing."""
    return drawn.DrawnPerson()
