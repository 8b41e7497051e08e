"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from talkface.errors import UserError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its name and rename it, so that a reader finds the old one, the new one or none.

    Raises:
        UserError: the folder cannot be written, or the disk is full; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        raise UserError(cannot_write(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def cannot_write(path: Path, error: OSError) -> str:
    """The sentence for a file that could not be written."""
    return f"{path} cannot be written: {(error.strerror or str(error)).lower()}; free space or choose another folder"
