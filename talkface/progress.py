"""Progress with time left: a bar on a terminal, a plain line every few seconds elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")
_LINE_EVERY_S = 10.0
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Switch every progress display of this process off or on (`--quiet`, `--json`)."""
    global _quiet
    _quiet = quiet


class Progress:
    """One task of `total` units (None when unknown), shown on stderr after its first two seconds.

    Example:
        with Progress("tracking", total=250) as progress:
            for frame in frames:
                progress.advance()
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self.what, self.total, self.done = what, total, 0
        self.note = ""
        self._start = time.monotonic()
        self._shown = self._start
        self._bar = None
        if not _quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(what, total=total, note="")
            self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        """Count `steps` more units as done; `note` is shown behind the bar."""
        self.done += steps
        if note is not None:
            self.note = note
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=self.note)
        elif not _quiet and time.monotonic() - self._shown > _LINE_EVERY_S:
            self._shown = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the display away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self) -> str:
        elapsed = time.monotonic() - self._start
        if not self.total:
            return f"{self.what}: {self.done} done, {elapsed:.0f} s {self.note}".rstrip()
        left = elapsed / max(self.done, 1) * (self.total - self.done)
        return f"{self.what}: {self.done}/{self.total}, {left:.0f} s left {self.note}".rstrip()


def track_progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` through while showing progress; the total is taken from `len` where there is one."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with Progress(what, total) as progress:
        for item in items:
            yield item
            progress.advance()
