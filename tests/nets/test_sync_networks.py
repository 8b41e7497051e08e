"""SyncNet v2 and Wav2Lip's expert against the original modules (golden/sync.npz, made by golden/make_sync.py).

The original modules are those of joonson/syncnet_python (commit 6efbb1c) and Rudrabha/Wav2Lip (commit 5c90fa9), in
evaluation mode on the CPU in single precision.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from talkface.errors import UserError
from talkface.nets.lip_expert import LipExpert
from talkface.nets.syncnet import SyncNet

GOLDEN = Path(__file__).parent / "golden"


def beside(name: str) -> ModuleType:
    """A module of the folder of golden outputs, which imports nothing of ours."""
    spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published_weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return beside("filler").fill_by_name(net.state_dict())


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "sync.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    return beside("sync_inputs").inputs()


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory: pytest.TempPathFactory) -> SyncNet:
    path = tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model"
    weights = published_weights(SyncNet())
    # The public file is older than PyTorch's counters of batches.
    old = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, path, _use_new_zipfile_serialization=False)
    return SyncNet.load(path)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> LipExpert:
    path = tmp_path_factory.mktemp("expert") / "lipsync_expert.pth"
    weights = {f"module.{name}": tensor for name, tensor in published_weights(LipExpert()).items()}
    torch.save({"state_dict": weights, "optimizer": None, "global_step": 1, "global_epoch": 1}, path)
    return LipExpert.load(path)


@pytest.mark.parametrize(("kind", "keys"), [(SyncNet, "syncnet_layout"), (LipExpert, "expert_layout")])
def test_layout_is_the_published_one(golden: dict[str, np.ndarray], kind: type[nn.Module], keys: str) -> None:
    layout = [f"{name} {list(tensor.shape)}" for name, tensor in kind().state_dict().items()]
    assert sorted(layout) == sorted(golden[keys].tolist())


def test_outputs_differ_by_much_more_than_the_tolerance(golden: dict[str, np.ndarray]) -> None:
    for name in ("syncnet_lips", "syncnet_sound", "expert_lips", "expert_sound"):
        assert golden[name].std(0).mean() > 200 * 1e-5


def test_syncnet_is_the_original(golden: dict[str, np.ndarray], inputs: dict, syncnet: SyncNet) -> None:
    seen = syncnet.see(inputs["pictures"][..., ::-1])  # crops are RGB, the network is given BGR
    windows = np.stack([inputs["cepstra"][4 * frame : 4 * frame + 20] for frame in range(3)])
    np.testing.assert_allclose(seen, golden["syncnet_lips"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(syncnet.hear(windows), golden["syncnet_sound"], rtol=0, atol=1e-5)


def test_expert_is_the_original(golden: dict[str, np.ndarray], inputs: dict, expert: LipExpert) -> None:
    seen = expert.see(inputs["faces"][:, 48:, :, ::-1])
    np.testing.assert_allclose(seen, golden["expert_lips"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(expert.hear(inputs["mel"]), golden["expert_sound"], rtol=0, atol=1e-5)


def test_the_expert_agrees_between_0_and_1(inputs: dict, expert: LipExpert) -> None:
    seen, heard = expert.see(inputs["faces"][:, 48:]), expert.hear(inputs["mel"])
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    assert seen.min() >= 0 and 0 <= (seen * heard).sum(1).min() <= (seen * heard).sum(1).max() <= 1


def test_the_wrong_network_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "lipsync_expert.pth"
    torch.save(SyncNet().state_dict(), path)
    with pytest.raises(UserError, match=r"does not hold Wav2Lip's expert: face_encoder.0"):
        LipExpert.load(path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(UserError, match="download it again"):
        SyncNet.load(path)
