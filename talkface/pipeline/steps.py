"""Which steps of a long job are done, and from what: so that a job killed at any moment goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from talkface.errors import UserError
from talkface.io.whole import write_whole

_FORMAT = "talkface steps 1"


class Steps:
    """A step counts as done only when it was finished from the same inputs; its small results are kept with it.

    Args:
        root: The folder that is being made. It may be absent, empty, or begun by an earlier call for the same source.
        source: Name of what it is made from, for people.
        inputs: Fingerprint of what it is made from.

    Raises:
        UserError: the folder holds something else, or the result of another source.
    """

    def __init__(self, root: Path, source: str, inputs: str) -> None:
        self.root, self._path = root, root / "steps.json"
        self._inputs = hashlib.sha256(inputs.encode()).hexdigest()
        self._done: dict[str, dict[str, Any]] = {}
        self.fresh = True
        """Whether nothing had been begun before this call."""
        if root.exists() and not root.is_dir():
            raise UserError(f"{root} is a file; give the name of a new folder")
        if root.is_dir() and any(root.iterdir()):
            begun = self._read()
            if begun is None:
                raise UserError(f"{root} holds other files; give the name of a new folder")
            if begun["inputs"] != self._inputs:
                raise UserError(
                    f"{root} was made from another video ({str(begun.get('source'))[:80]}); "
                    "give the name of a new folder, or delete this one"
                )
            self._done, self.fresh = begun["done"], False
        self._source = source

    def result(self, step: str, *options: Any) -> dict[str, Any] | None:
        """What the step left behind, or None where it is still to be done (or was done with other options)."""
        entry = self._done.get(step)
        if entry is None or entry.get("options") != json.loads(json.dumps(options)):
            return None
        return entry["result"]

    def finish(self, step: str, *options: Any, **result: Any) -> dict[str, Any]:
        """Remember that a step was done with these options, and what small results it gave."""
        self._done[step] = {"options": json.loads(json.dumps(options)), "result": result}
        self.save()
        return result

    def save(self) -> None:
        """Write the state, whole; makes the folder where it is absent.

        Raises:
            UserError: the folder cannot be made or written, or the disk is full.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.root} cannot be made: {(error.strerror or '').lower()}") from error
        content = {"format": _FORMAT, "source": self._source, "inputs": self._inputs, "done": self._done}
        write_whole(self._path, lambda file: file.write(json.dumps(content, indent=1).encode()))

    def forget_all(self) -> None:
        """Delete the folder: nothing in it can be of use."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        ours = isinstance(content, dict) and content.get("format") == _FORMAT and isinstance(content.get("done"), dict)
        return content if ours and isinstance(content.get("inputs"), str) else None
