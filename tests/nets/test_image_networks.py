"""LPIPS and InceptionV3 against the original packages run with the same seeded weights (tests/nets/golden)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from talkface.errors import UserError
from talkface.losses import Perceptual
from talkface.nets.inception import Inception
from talkface.nets.lpips import BACKBONES, Lpips

GOLDEN = Path(__file__).parent / "golden"


def _filler():
    spec = importlib.util.spec_from_file_location("filler", GOLDEN / "filler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fill_by_name, pictures = (getattr(_filler(), name) for name in ("fill_by_name", "pictures"))


def seeded_lpips(backbone: str, folder: Path) -> Lpips:
    """LPIPS read from files in the published layout: a whole classifier with its head, and the linear layers."""
    layout = Lpips(backbone)
    classifier = fill_by_name(layout.classifier.state_dict())
    torch.save({**classifier, "classifier.6.weight": torch.zeros(10, 4)}, folder / "classifier.pth")
    torch.save(fill_by_name(layout.linear.state_dict()), folder / "layers.pth")
    return Lpips.load(backbone, folder / "classifier.pth", folder / "layers.pth")


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Inception:
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    weights = fill_by_name(Inception().state_dict())
    torch.save({**weights, "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
    return Inception.load(path)


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_lpips_is_the_original(backbone: str, tmp_path: Path) -> None:
    net = seeded_lpips(backbone, tmp_path)
    with np.load(GOLDEN / "lpips.npz") as golden:
        for name, size in {"even": (2, 96, 128), "odd": (1, 75, 67)}.items():
            found = net(pictures(1, *size), pictures(2, *size))
            np.testing.assert_allclose(found, golden[f"{backbone}_{name}"], atol=1e-6, rtol=1e-4)
        taps = net.features(pictures(1, 1, 75, 67))
        assert len(taps) == len(net.backbone.channels)
        for number, tap in enumerate(taps):
            some = tap.reshape(-1)[:: max(1, tap.numel() // 200)]
            np.testing.assert_allclose(some, golden[f"{backbone}_tap{number}"], atol=1e-5)


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_lpips_says_what_it_cannot_judge(backbone: str) -> None:
    net = Lpips(backbone)
    least = net.backbone.least_px
    assert net(torch.rand(1, 3, least, least), torch.rand(1, 3, least, least)).shape == (1,)
    with pytest.raises(ValueError, match="at least"):
        net(torch.rand(1, 3, least - 1, 99), torch.rand(1, 3, least - 1, 99))
    with pytest.raises(RuntimeError):
        net.classifier.features(torch.rand(1, 3, least - 1, least - 1))


def test_lpips_is_zero_for_equal_pictures_and_has_a_gradient_there(tmp_path: Path) -> None:
    net, one = seeded_lpips("alex", tmp_path), pictures(1, 1, 64, 64)
    assert float(net(one, one)) == 0
    black = torch.zeros(1, 3, 64, 64, requires_grad=True)
    net.classifier.features[0].bias.data.fill_(-9)  # every activation off: the length of the features is 0
    net(black, one * 0).sum().backward()
    assert torch.isfinite(black.grad).all()
    assert Perceptual(net).scale == 1.0 and Perceptual(net).name == "lpips"


@pytest.mark.parametrize("size", [(2, 64, 96), (1, 401, 320)], ids=["small", "large"])
def test_inception_is_the_original(inception: Inception, size: tuple[int, int, int], request) -> None:
    name = request.node.callspec.id
    last, early = inception(pictures(3, *size))
    with np.load(GOLDEN / "inception.npz") as golden:
        np.testing.assert_allclose(last, golden[f"{name}_2048"], atol=1e-5)
        np.testing.assert_allclose(early, golden[f"{name}_192"], atol=1e-5)


@pytest.mark.parametrize("peculiarity", ["maximum pool", "padding"])
def test_the_golden_outputs_see_the_peculiarities(
    inception: Inception, peculiarity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if peculiarity == "maximum pool":
        monkeypatch.setattr(inception.Mixed_7c, "by_maximum", False)
    else:
        monkeypatch.setattr(
            "talkface.nets.inception._average", lambda x: nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=True)
        )
    with np.load(GOLDEN / "inception.npz") as golden:
        assert np.abs(inception(pictures(3, 2, 64, 96))[0].numpy() - golden["small_2048"]).max() > 1e-3


def test_a_wrong_network_is_one_sentence(tmp_path: Path) -> None:
    torch.save(fill_by_name(Lpips("vgg").classifier.state_dict()), tmp_path / "vgg.pth")
    torch.save(fill_by_name(Lpips("alex").linear.state_dict()), tmp_path / "alex.pth")
    with pytest.raises(
        UserError, match=r"vgg\.pth does not hold torchvision's alexnet: .*features\.3\.weight, .* missing"
    ):
        Lpips.load("alex", tmp_path / "vgg.pth", tmp_path / "alex.pth")
    with pytest.raises(UserError, match=r"alex\.pth does not hold InceptionV3 as FID uses it"):
        Inception.load(tmp_path / "alex.pth")
