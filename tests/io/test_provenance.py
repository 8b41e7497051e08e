"""Marks survive the container, and what has none says so."""

from __future__ import annotations

import hashlib
import json

import av
import numpy as np
import pytest

from talkface.errors import UserError
from talkface.io.provenance import mark, read_mark
from talkface.io.video import VideoWriter


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov"])
def test_a_mark_is_found_again(tmp_path, suffix):
    source = tmp_path / "speech.wav"
    source.write_bytes(b"some speech")
    path = tmp_path / f"talk{suffix}"
    with VideoWriter(path, (32, 32), 25.0, metadata=mark("blink_hashgrid", source, run="Änne's run")) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    found = read_mark(path)
    assert found["method"] == "blink_hashgrid"
    assert found["tool"] == "talkface"
    assert found["generated"] == "yes"
    assert found["run"] == "Änne's run"
    assert found["source_sha256"] == hashlib.sha256(b"some speech").hexdigest()
    with av.open(str(path)) as container:  # a person sees it in any player
        assert any("Synthetic media" in value for value in container.metadata.values())


def test_no_mark_is_none(tmp_path, media):
    path = media.make_video(tmp_path / "clip.mp4", media.numbered(3), np.arange(3) / 25)
    assert read_mark(path) is None


@pytest.mark.parametrize("comment", ["talkface-mark:{", "talkface-mark:[1]", "talkface-mark:" + "[" * 5000, "hello"])
def test_a_torn_or_hostile_mark_is_none(tmp_path, comment):
    path = tmp_path / "talk.mp4"
    with VideoWriter(path, (32, 32), 25.0, metadata={"comment": comment}) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert read_mark(path) is None


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / "note.txt").write_text(json.dumps(mark("x")))
    with pytest.raises(UserError, match="not a video"):
        read_mark(tmp_path / "note.txt")
    with pytest.raises(UserError, match="does not exist"):
        read_mark(tmp_path / "none.mp4")
