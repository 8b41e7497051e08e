"""BLINK: audio-driven talking face with blink embedding and hash-grid landmark encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkface.methods.base import Method
from talkface.methods.blink_hashgrid.config import BlinkConfig, preset

if TYPE_CHECKING:
    from talkface.config import MethodConfig
    from talkface.engine.run import Run
    from talkface.engine.trainer import Stage
    from talkface.io.store import PersonFolder


def _build(config: MethodConfig, folder: PersonFolder) -> Any:
    from talkface.methods.blink_hashgrid.model import Blink  # loaded when used: help and listing never wait for torch

    assert isinstance(config, BlinkConfig)
    return Blink.of(config, folder)


def _stages(model: Any, folder: PersonFolder, run: Run) -> list[Stage]:
    from talkface.methods.blink_hashgrid.train import stages

    return stages(model, folder, run)


def _finish(model: Any, folder: PersonFolder, run: Run) -> None:
    from talkface.methods.blink_hashgrid.train import finish

    finish(model, folder, run)


def _load(run: Run) -> Any:
    from talkface.methods.blink_hashgrid.model import Blink

    return Blink.load(run)


METHOD = Method(
    name="blink_hashgrid",
    summary="Landmarks and blinks from speech drive a tri-plane hash radiance field of one person.",
    paper="Audio-Driven Talking Face Generation with Blink Embedding and Hash Grid Landmarks Encoding",
    learns="person",
    controls=frozenset({"pose", "blink", "view"}),
    config=BlinkConfig,
    preset=preset,
    build=_build,
    stages=_stages,
    finish=_finish,
    load=_load,
)
