"""Placeholder replaced below."""

from pathlib import Path
from talkface.io.store import PersonFolder


def is_adnerf(folder: Path) -> bool:
    return False


def import_adnerf(folder: Path, out: Path) -> PersonFolder:
    raise NotImplementedError
