"""talkface: make a person's picture talk. The four verbs, callable from Python."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
_VERBS = (
    "synthesize",
    "preprocess",
    "train",
    "render",
    "evaluate",
    "evaluate_pair",
    "evaluate_folders",
    "benchmark",
    "demo",
)


def __getattr__(name: str) -> Any:
    """`talkface.train(...)` and the other verbs, loaded when first used so that importing talkface stays instant."""
    if name in _VERBS:
        from importlib import import_module

        return getattr(import_module(f"talkface.pipeline.{name}"), name)
    raise AttributeError(f"module 'talkface' has no attribute {name!r}")
