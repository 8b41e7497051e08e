"""Chatter of native code is dropped, and stderr comes back, whatever threads do."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from talkface.face.hush import hushed


def test_stderr_is_silent_inside_and_back_outside(capfd: pytest.CaptureFixture[str]) -> None:
    def work(index: int) -> None:
        with hushed():
            os.write(2, b"chatter")
            time.sleep(0.002 * (index % 3))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(24)))
    os.write(2, b"spoken")
    assert capfd.readouterr().err == "spoken"
