"""Foreign weights: what is whole and fits is read to the last bit; everything else is one sentence and runs nothing."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from talkface.errors import UserError
from talkface.nets.foreign import load_exactly, read_checkpoint


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def assert_equal(found: dict, wanted: dict) -> None:
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "nested"])
@pytest.mark.parametrize("parallel", [False, True], ids=["single", "module."])
@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "zip"])
def test_every_published_form_reads_the_same(tmp_path: Path, wrap: bool, parallel: bool, modern: bool) -> None:
    weights = network().state_dict()
    stored = OrderedDict(("module." * parallel + name, tensor) for name, tensor in weights.items())
    whole = {"state_dict": stored, "optimizer": {"step": 3}, "global_epoch": 9} if wrap else stored
    torch.save(whole, tmp_path / "net.pth", _use_new_zipfile_serialization=modern)
    assert_equal(read_checkpoint(tmp_path / "net.pth"), weights)


def test_safetensors_are_known_by_content(tmp_path: Path) -> None:
    weights = network().state_dict()
    save_file(weights, tmp_path / "net.bin")
    assert_equal(read_checkpoint(tmp_path / "net.bin"), weights)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "zip"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, modern: bool) -> None:
    torch.save({"a": Hostile(tmp_path / "ran")}, tmp_path / "net.pth", _use_new_zipfile_serialization=modern)
    with pytest.raises(UserError, match="could run a program"):
        read_checkpoint(tmp_path / "net.pth")
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(UserError):
        read_checkpoint(tmp_path / "bare.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("form", ["legacy", "zip", "safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, part: float, form: str) -> None:
    path = tmp_path / "net.pth"
    if form == "safetensors":
        save_file(network().state_dict(), path)
    else:
        torch.save(network().state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(UserError, match=r"net\.pth") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>Quota exceeded", "web page"),
        (b"\n  <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer"),
        (b"", "net.pth"),
        (b"\x00" * 4000, "net.pth"),
        (b"PK\x03\x04broken", "cut short"),
        (pickle.dumps([1, 2, 3]), "net.pth"),
    ],
)
def test_what_is_no_checkpoint_is_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read_checkpoint(tmp_path / "net.pth")
    assert "\n" not in str(caught.value)


def test_absent_large_empty_and_scripted_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_checkpoint(tmp_path / "absent.pth")
    torch.save(network().state_dict(), tmp_path / "net.pth")
    with pytest.raises(UserError, match="more than any network"):
        read_checkpoint(tmp_path / "net.pth", limit_bytes=100)
    for nothing in ({}, {"epoch": 3}, [torch.zeros(2)], {3: torch.zeros(2)}):
        torch.save(nothing, tmp_path / "nothing.pth")
        with pytest.raises(UserError, match="no named tensors"):
            read_checkpoint(tmp_path / "nothing.pth")
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "program.pt"))
    with pytest.raises(UserError, match="TorchScript"):
        read_checkpoint(tmp_path / "program.pt")


def test_weights_fit_exactly_or_not_at_all(tmp_path: Path) -> None:
    path, weights, target = tmp_path / "net.pth", network(1).state_dict(), network(2)
    load_exactly(target, {**weights, "classifier.0.weight": torch.zeros(3)}, path, unused=("classifier.",))
    assert_equal(target.state_dict(), weights)

    old = {name: tensor for name, tensor in weights.items() if "num_batches" not in name}
    load_exactly(target, old, path)

    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    wrong = {**weights, "extra": torch.zeros(1), "0.bias": torch.zeros(5)}
    del wrong["2.weight"]
    with pytest.raises(
        UserError, match=r"does not hold Net: 2.weight missing; extra unexpected; 0.bias \(5,\) instead of \(4,\)"
    ):
        load_exactly(target, wrong, path, "Net")
    with pytest.raises(UserError, match=r"0.weight, 0.bias, 1.weight and 5 more missing"):
        load_exactly(target, {"other": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="not finite"):
        load_exactly(target, {**weights, "0.bias": torch.full((4,), float("nan"))}, path)
    assert_equal(target.state_dict(), before)
