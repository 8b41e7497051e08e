"""What a method is to the rest of the house: a description, a configuration, a model and its stages of training.

This module and every method's `__init__` and `config` stay light: help and listing never wait for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from talkface.config import MethodConfig
from talkface.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from talkface.data.source import SourceClip
    from talkface.engine.run import Run
    from talkface.engine.trainer import Stage
    from talkface.io.store import PersonFolder
    from talkface.types import Conditions, Drive, Frame

Control = Literal["pose", "blink", "expression", "view"]


class Renderer(Protocol):
    """A trained method: a torch module that turns speech and conditions into frames."""

    source: SourceClip

    def drives(self, speech: Iterable[np.ndarray], conditions: Conditions) -> Iterator[Drive]:
        """Speech in blocks of 16 kHz samples -> what it asks of every frame, in constant memory."""
        ...

    def frames(self, drives: Iterable[Drive], conditions: Conditions) -> Iterator[Frame]:
        """The person, in front of nothing, at the size of the source frames."""
        ...


@dataclass(frozen=True)
class Method:
    """One published method, registered by name in `talkface.methods`."""

    name: str
    summary: str
    paper: str
    learns: Literal["person", "any face"]
    controls: frozenset[Control]
    config: Callable[..., MethodConfig]
    """The configuration's class."""
    preset: Callable[[str], MethodConfig]
    """The configuration of a preset by name."""
    build: Callable[[MethodConfig, PersonFolder], Any]
    """A fresh model for this person."""
    stages: Callable[[Any, PersonFolder, Run], list[Stage]]
    """The paper's stages for that model."""
    finish: Callable[[Any, PersonFolder, Run], None]
    """Write into the run whatever rendering needs besides weights."""
    load: Callable[[Run], Any]
    """The renderer of a run, on the CPU."""

    def refuse(self, control: str, others: Iterable[Method]) -> UserError:
        """The sentence for a control that this method lacks."""
        able = [m.name for m in others if control in m.controls]
        who = f"; {', '.join(able)} can" if able else ""
        return UserError(f"{self.name} has no --{control} control{who}")
