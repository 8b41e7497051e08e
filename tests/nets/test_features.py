"""Perceptual terms: zero for equal pictures, larger for blur than for a small shift of brightness, steered by files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from talkface import assets
from talkface.errors import UserError
from talkface.losses import LPIPS_OF_NOISE, Perceptual, binary_entropy
from talkface.nets.features import RandomFeatures, perceptual_features
from talkface.nets.lpips import Lpips


def picture(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_random_features_are_the_same_in_every_run() -> None:
    torch.manual_seed(1)
    first = RandomFeatures()(picture(), picture(1))
    torch.manual_seed(2)
    assert float(first) == float(RandomFeatures()(picture(), picture(1)))
    assert float(RandomFeatures()(picture(), picture())) == 0


def test_texture_counts_more_than_brightness() -> None:
    features, one = RandomFeatures(), picture() * 0.8
    brighter = one + 0.1
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(one, (1, 1, 1, 1), mode="reflect"), 3, 1)
    assert features(blurred, one) > 3 * features(brighter, one)


def test_the_stand_in_is_calibrated() -> None:
    """Its scaled distance of the calibration pattern is what it was set to; another patch is of that order."""
    loss = Perceptual(RandomFeatures())
    smooth = torch.nn.functional.interpolate(picture(3)[..., :8, :8], size=(40, 40), mode="bilinear")
    noisy = smooth + 0.05 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(1))
    assert loss.name == "random_features"
    assert 0.6 < float(loss(noisy, smooth)) * loss.scale / LPIPS_OF_NOISE < 1.6


def test_lpips_is_used_when_the_user_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [tmp_path])
    layout = Lpips("alex")
    torch.save(layout.classifier.state_dict(), tmp_path / assets.named("alexnet").file)
    assert isinstance(perceptual_features(), RandomFeatures), "half of its files are no LPIPS"
    torch.save(layout.linear.state_dict(), tmp_path / assets.named("lpips_alex").file)
    features = perceptual_features()
    assert isinstance(features, Lpips)
    assert Perceptual(features).scale == 1.0 and Perceptual(features).name == "lpips"


def test_patches_smaller_than_lpips_can_judge_are_enlarged() -> None:
    torch.manual_seed(0)
    loss = Perceptual(Lpips("alex"))
    for layer in loss.features.linear.values():
        layer.model[1].weight.data.abs_()
    patch, truth = (torch.rand(1, 3, 12, 9).requires_grad_(k == 0) for k in range(2))
    loss(patch, truth).backward()
    assert patch.grad.abs().min() > 0 and torch.isfinite(patch.grad).all()
    large = [torch.rand(1, 3, 40, 50) for _ in range(2)]
    assert float(loss(*large)) == pytest.approx(float(loss.features(*large)))


def test_a_wrong_file_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [tmp_path])
    for name in ("alexnet", "lpips_alex"):
        torch.save({"x": torch.zeros(1)}, tmp_path / assets.named(name).file)
    with pytest.raises(UserError, match="does not hold torchvision's alexnet"):
        perceptual_features()


def test_entropy() -> None:
    values = binary_entropy(torch.tensor([0.0, 0.5, 1.0, 0.25]))
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, 0.0, 0.8112781]), atol=2e-4, rtol=0)
