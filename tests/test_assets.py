"""Files that users bring: found where they put them, refused when they are not what their name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkface import assets
from talkface.cli import main
from talkface.errors import UserError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TALKFACE_ASSETS", "")
    monkeypatch.setattr(assets, "folders", lambda: [assets.user_folder()])
    return tmp_path


def test_an_absent_file_is_named_with_how_to_get_it(home: Path) -> None:
    assert assets.find("ict") is None
    with pytest.raises(UserError, match=r"ICT-FaceKit.*assets import ict"):
        assets.require("ict")
    with pytest.raises(UserError, match="no asset is called"):
        assets.find("nothing")


def test_a_file_is_imported_and_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = home / "mine.npz"
    np.savez(mine, vertices=np.zeros((468, 3), np.float32))
    assert main(["assets", "import", "canonical", str(mine)]) == 0
    assert assets.find("canonical") == assets.user_folder() / "mediapipe_canonical_face.npz"


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04broken", b"\x80\x04cos\nsystem\n"])
@pytest.mark.parametrize("name", ["ict", "canonical", "lpips_alex"])
def test_what_is_something_else_is_refused_and_not_kept(
    name: str, content: bytes, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = home / "wrong.bin"
    wrong.write_bytes(content)
    assert main(["assets", "import", name, str(wrong)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert assets.find(name) is None and list(assets.user_folder().iterdir()) == []
