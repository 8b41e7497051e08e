"""Loading mediapipe without its chatter: its native code writes start-up notes straight to the process's stderr."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType

from talkface.errors import UserError

_ONE_AT_A_TIME = RLock()


def load_mediapipe() -> ModuleType:
    """mediapipe, imported quietly.

    Raises:
        UserError: it is not installed.
    """
    try:
        with hushed():
            import mediapipe
    except ImportError as error:
        raise UserError("face tracking and person mattes need mediapipe: pip install 'talkface[track]'") from error
    warnings.filterwarnings("ignore", message=r"SymbolDatabase\.GetPrototype", category=UserWarning)
    return mediapipe


@contextmanager
def hushed() -> Iterator[None]:
    """Nothing that native code or a dependency's deprecations say reaches stderr meanwhile; errors still raise."""
    with _ONE_AT_A_TIME:  # else a second thread would keep the first one's nowhere as the real stderr
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
