"""Base of every configuration: typed dataclasses that document themselves and travel as plain JSON.

The docstring under a field is its help text, its type is its validation, its default is the experiment.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from talkface.errors import UserError

CONFIG_VERSION = 1
Preset = Literal["test", "small", "medium", "full"]
T = TypeVar("T")


@dataclass(kw_only=True)
class MethodConfig:
    """What every method's configuration has."""

    preset: Preset = "small"
    """Size of the experiment; `full` is what the paper says."""
    seed: int = 0
    """Seed of every random choice."""


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass, nested ones included, as plain JSON values."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_json(kind: type[T], values: dict[str, Any], where: str = "config.json") -> T:
    """The dataclass that `to_json` described.

    Raises:
        UserError: `values` has a field that `kind` does not know, or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise UserError(
            f"{where} has unknown fields {', '.join(unknown)}: it was written by another version of talkface"
        )
    return kind(**{name: _typed(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UserError(f"{where} should be an object")
        return from_json(typing.cast(type, hint), value, where)
    if origin is Literal:
        if value not in args:
            raise UserError(f"{where} is {value!r}; it may be {', '.join(map(repr, args))}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        inner = [a for a in args if a is not type(None)]
        return _typed(inner[0], value, where) if len(inner) == 1 else value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{where} should be a list")
        inner = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
        if len(inner) != len(value):
            raise UserError(f"{where} should have {len(inner)} values")
        return tuple(_typed(h, v, where) for h, v in zip(inner, value, strict=True))
    if hint is Path:
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise UserError(f"{where} is {value!r}; expected {hint.__name__}")
    return value


__all__ = ["CONFIG_VERSION", "MethodConfig", "Preset", "field", "from_json", "to_json"]
