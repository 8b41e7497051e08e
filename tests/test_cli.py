"""The shell's contract: exit codes, one sentence, speed of help, nothing heavy loaded for it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from talkface.cli import COMMANDS, main
from talkface.shell import _one_sentence


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "talkface.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["methods"]])
def test_help_is_instant(arguments: list[str]) -> None:
    """Half a second, counted in CPU time so that a busy machine does not decide."""
    shell(*arguments)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert shell(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 0.5, f"talkface {' '.join(arguments)} took {used:.2f} s"


def test_help_and_listing_load_nothing_heavy() -> None:
    code = (
        "import sys; from talkface.cli import main; main(['--help']); main(['methods'])\n"
        "heavy = {'torch', 'scipy', 'av', 'mediapipe', 'cv2', 'tyro'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main([name, "--help"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nope"], "no command 'nope'"),
        (["train"], "name what to train"),
        (["train", "magic", "a", "--out", "b"], "no method is called 'magic'"),
        (["train", "blink_hashgrid", "absent", "--out", "x", "--preset", "huge"], "huge"),
        (["train", "blink_hashgrid", "absent", "--out", "x"], "absent"),
        (["render", "absent", "a.wav", "--out", "v.mp4"], "absent is not a run folder"),
        (["evaluate", "absent", "--out", "v"], "absent is not a run folder"),
        (["verify", "absent.mp4"], "absent.mp4"),
        (["preprocess", "absent.mp4", "out"], "absent.mp4"),
        (["render", "a"], "missing from"),
        (["benchmark", "speedy", "--out", "x"], "speedy"),
        (["synthesize", "x", "--speaker.nope", "1"], "nope"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    heard = capsys.readouterr()
    assert heard.out == ""
    assert heard.err.startswith("error: ") and heard.err.count("\n") == 1 and expected in heard.err
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    "box",
    [
        "╭─ Required options ───╮\n│ Missing from a:      │\n│     --x INT          │\n│        (required)    │\n"
        "│ ──────────────────── │\n│ For full helptext    │\n╰──────────────────────╯\n",
        " Required options       \n ---------------------- \n  Missing from a:       \n      --x INT           \n"
        "         (required)     \n ---------------------- \n  For full helptext     \n",
    ],
)
def test_a_framed_complaint_loses_its_frame(box: str) -> None:
    assert _one_sentence(box, "a") == "missing from a: --x INT; see `talkface a --help`"


def test_json_is_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["name"] == "blink_hashgrid" and "blink" in listed[0]["controls"]


def test_a_disk_that_fills_up_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from talkface.pipeline import synthesize

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "truth.npz"))

    monkeypatch.setattr(synthesize, "_one", full)
    assert main(["synthesize", str(tmp_path / "out")]) == 2
    heard = capsys.readouterr().err
    assert heard.startswith("error: no space left on device") and heard.count("\n") == 1
