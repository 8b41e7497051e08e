"""The methods: one name per line. A package outside the house registers through the entry points `talkface.methods`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from talkface.errors import UserError
from talkface.methods.base import Method

NAMES = ("blink_hashgrid",)


def names() -> list[str]:
    """Every registered method."""
    return [*NAMES, *sorted(point.name for point in entry_points(group="talkface.methods"))]


def get(name: str) -> Method:
    """A method by name.

    Raises:
        UserError: there is none of that name.
    """
    if name in NAMES:
        return import_module(f"talkface.methods.{name}").METHOD
    for point in entry_points(group="talkface.methods"):
        if point.name == name:
            return point.load()
    raise UserError(f"no method is called {name!r}; there are {', '.join(names())}")


def all_methods() -> list[Method]:
    """Every registered method, in order."""
    return [get(name) for name in names()]
