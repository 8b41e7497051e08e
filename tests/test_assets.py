"""Files that users bring: found where they put them, refused when they are not what their name says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from talkface import assets
from talkface.cli import main
from talkface.errors import UserError
from talkface.nets.lpips import Lpips
from talkface.pipeline.bring import bring


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
@pytest.mark.parametrize("name", [asset.name for asset in assets.ASSETS])
def test_what_is_something_else_is_refused_and_not_kept(
    name: str, content: bytes, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = home / "wrong.bin"
    wrong.write_bytes(content)
    assert main(["assets", "import", name, str(wrong)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert assets.find(name) is None and list(assets.user_folder().iterdir()) == []


def test_a_network_is_imported_when_it_fits_and_says_whether_it_is_the_published_one(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = home / "mine.pth"
    torch.save(Lpips("squeeze").linear.state_dict(), mine)
    assert main(["assets", "import", "lpips_squeeze", str(mine)]) == 0
    assert "not that of the published file" in capsys.readouterr().out
    assert main(["assets"]) == 0
    assert "lpips_squeeze.pth (NOT the published file: its hash differs)" in capsys.readouterr().out

    assert main(["assets", "import", "lpips_vgg", str(mine)]) == 2
    assert "does not hold the layers of LPIPS 0.1 for vgg16: " in capsys.readouterr().err
    assert assets.find("lpips_vgg") is None

    true_hash = dataclasses.replace(assets.named("lpips_squeeze"), sha256=(assets.sha256(mine)[:8],))
    assert true_hash.publishes(mine) is True
    assert dataclasses.replace(true_hash, sha256=()).publishes(mine) is None


def test_published_names_carry_the_published_hashes() -> None:
    """Torchvision and pytorch-fid put the first eight digits of the hash into the file's name."""
    for name in ("alexnet", "vgg16", "squeezenet1_1", "inception_fid"):
        asset = assets.named(name)
        assert Path(asset.file).stem.endswith(asset.sha256[0]) and asset.get.endswith(asset.file)


def test_what_is_too_large_is_not_copied(home: Path) -> None:
    with (home / "large.pth").open("wb") as file:
        file.truncate((4 << 30) + 1)
    with pytest.raises(UserError, match="larger than anything"):
        bring("vgg16", home / "large.pth")
