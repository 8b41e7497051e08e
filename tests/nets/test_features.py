"""Perceptual terms: zero for equal pictures, larger for blur than for a small shift of brightness, steered by files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from talkface.errors import UserError
from talkface.losses import LPIPS_OF_NOISE, Perceptual, binary_entropy
from talkface.nets.features import ALEX, LpipsAlex, RandomFeatures, perceptual_features


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


def alex_file(path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for number, (i, o, k, _, _) in zip((0, 3, 6, 8, 10), ALEX, strict=True):
        tensors[f"features.{number}.weight"] = torch.randn(o, i, k, k, generator=generator) * 0.05
        tensors[f"features.{number}.bias"] = torch.zeros(o)
    for number, (_, o, *_) in enumerate(ALEX):
        tensors[f"lin{number}.weight"] = torch.rand(1, o, 1, 1, generator=generator)
    save_file(tensors, path)
    return path


def test_lpips_is_used_when_the_user_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alex_file(tmp_path / "lpips_alex.safetensors")
    monkeypatch.setenv("TALKFACE_ASSETS", str(tmp_path))
    features = perceptual_features()
    assert isinstance(features, LpipsAlex)
    one, other = picture(), picture(1)
    big = [torch.nn.functional.interpolate(p, size=64, mode="bilinear") for p in (one, other)]
    assert float(features(big[0], big[0])) == 0
    assert float(features(big[0], big[1])) > 0
    assert Perceptual(features).scale == 1.0


def test_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match="does not hold LPIPS"):
        LpipsAlex.load(tmp_path / "bad.safetensors")


def test_entropy() -> None:
    values = binary_entropy(torch.tensor([0.0, 0.5, 1.0, 0.25]))
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, 0.0, 0.8112781]), atol=2e-4, rtol=0)
