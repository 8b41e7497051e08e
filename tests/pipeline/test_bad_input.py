"""Mistakes of users of train, render and evaluate: one sentence, exit code 2, and what was there stays."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from talkface.cli import main
from talkface.io.sound import write_wav
from talkface.pipeline.synthesize import speech_sample
from talkface.types import Speech

pytestmark = pytest.mark.xdist_group("runs")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that must refuse."""
    code = main(arguments)
    heard = capsys.readouterr()
    assert code == 2, heard.err
    lines = [line for line in heard.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in heard.err
    assert heard.out == ""
    return lines[0]


@pytest.fixture
def run(runs: dict[str, Path]) -> str:
    return str(runs["blink_hashgrid"])


def test_render_refuses_what_is_no_speech(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "old.mp4"
    out.write_bytes(b"precious")
    silent, empty, text = tmp_path / "silent.wav", tmp_path / "empty.wav", tmp_path / "notes.wav"
    write_wav(silent, Speech(np.zeros(16_000, np.float32)))
    write_wav(empty, Speech(np.zeros(0, np.float32)))
    text.write_text("these are notes")
    for audio, expected in (
        (silent, "silent"),
        (empty, "no sound"),
        (text, "notes.wav"),
        (tmp_path / "absent.wav", "does not exist"),
        (tmp_path, str(tmp_path)),
    ):
        assert expected in refused(["render", run, str(audio), "--out", str(out)], capsys)
    assert out.read_bytes() == b"precious"
    assert {path.name for path in tmp_path.iterdir()} == {"old.mp4", "silent.wav", "empty.wav", "notes.wav"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--out", "x.txt"], ".mp4"),
        (["--out", "nowhere/x.mp4"], "does not exist"),
        (["--out", "x.mp4", "--background", "transparent"], "transparency"),
        (["--out", "x.mp4", "--background", "no_such.png"], "no file and no colour"),
        (["--out", "x.mp4", "--pose", "1,2"], "2 numbers"),
        (["--out", "x.mp4", "--pose", "200,0,0"], "between -90 and 90"),
        (["--out", "x.mp4", "--blink", "2"], "between 0"),
        (["--out", "x.mp4", "--blink", "audio"], "cpeb"),
        (["--out", "x.mp4", "--view", "sideways"], "--view sideways"),
        (["--out", "x.mp4", "--timeline", "absent.json"], "absent.json"),
        (["--out", "x.mp4", "--expression", "smile=1"], "no --expression"),
        (["--out", "x.mp4", "--device", "tpu"], "auto, cpu or cuda"),
    ],
)
def test_render_refuses_options(
    run: str, options: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert expected in refused(["render", run, str(speech_sample()), *options], capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_render_into_a_read_only_folder(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in refused(
        ["render", run, str(speech_sample()), "--out", str(tmp_path / "x.mp4")], capsys
    )


def test_a_leading_dash_is_a_name(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(Path("-a b.wav"), Speech(np.sin(np.arange(8_000) / 9).astype(np.float32)))
    assert main(["render", "--out", "x.mp4", "--quiet", "--", run, "-a b.wav"]) == 0
    assert Path("x.mp4").is_file()


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"version": 999}', '{"version": 1, "frames": -1}', "[" * 50_000, '{"frames": 1e99}'],
)
def test_train_refuses_broken_data(manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "manifest.json").write_text(manifest)
    refused(["train", "blink_hashgrid", str(data), "--out", str(tmp_path / "run")], capsys)
    assert not (tmp_path / "run").exists()


def test_train_does_not_overwrite(run: str, tmp_path: Path, person, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    said = refused(["train", "blink_hashgrid", str(person.root), "--out", str(mine)], capsys)
    assert "exists already" in said and (mine / "thesis.txt").read_text() == "years of work"


def test_evaluate_names_data_that_moved(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["evaluate", run, "--out", str(tmp_path / "s"), "--data", str(tmp_path / "gone")], capsys)
    assert "gone does not exist" in said and not (tmp_path / "s").exists()


def test_a_hostile_config_executes_nothing(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = tmp_path / "run"
    hostile.mkdir()
    for config in (
        {"version": 1, "method": "../../etc", "config": {}},
        {"version": 1, "method": "blink_hashgrid", "config": {"field": {"steps": "__import__('os')"}}},
        {"version": 1, "method": "blink_hashgrid", "config": {"surprise": 1}},
    ):
        (hostile / "config.json").write_text(json.dumps(config))
        refused(["render", str(hostile), str(speech_sample()), "--out", str(tmp_path / "x.mp4")], capsys)
        assert not (tmp_path / "x.mp4").exists()


def test_weights_of_another_version_are_named(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "run"
    shutil.copytree(run, old)
    path = old / "weights" / "model.safetensors"
    weights = load_file(path)
    del weights["field.components.by_lids"]
    save_file(weights, path)
    said = refused(["render", str(old), str(speech_sample()), "--out", str(tmp_path / "x.mp4")], capsys)
    assert "do not fit this version" in said and not (tmp_path / "x.mp4").exists()
