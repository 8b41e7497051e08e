"""Sizes of the shared audio networks, and that the time filter is a mean over the right frames."""

from __future__ import annotations

import itertools

import torch

from talkface.audio.encoders import AudioAttNet, AudioNet


def weights(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_audio_net_has_the_published_layers() -> None:
    convolutions = 29 * 32 * 3 + 32 + 32 * 32 * 3 + 32 + 32 * 64 * 3 + 64 + 64 * 64 * 3 + 64
    assert weights(AudioNet()) == convolutions + 2 * (64 * 64 + 64)
    assert weights(AudioNet(code=32)) == convolutions + 64 * 64 + 64 + 64 * 32 + 32
    assert AudioNet(code=32)(torch.zeros(5, 16, 29)).shape == (5, 32)


def test_time_filter_has_the_published_layers() -> None:
    widths = [64, 16, 8, 4, 2, 1]
    expected = sum(a * b * 3 + b for a, b in itertools.pairwise(widths)) + 72
    assert weights(AudioAttNet()) == expected


def test_time_filter_is_a_weighted_mean_of_its_neighbours() -> None:
    torch.manual_seed(0)
    net = AudioAttNet(code=8)
    codes = torch.randn(1, 8, 1).expand(1, 8, 8).contiguous()
    out = net(codes)
    assert (out.min() >= codes.min()) and (out.max() <= codes.max())
    torch.testing.assert_close(net(torch.ones(1, 8, 8)), torch.ones(1, 8))


def test_smoothing_a_clip_sees_four_before_and_three_after() -> None:
    torch.manual_seed(0)
    net = AudioAttNet(code=8)
    codes = torch.randn(40, 8, requires_grad=True)
    net.smooth(codes)[20].sum().backward()
    touched = codes.grad.abs().sum(1).nonzero()[:, 0].tolist()
    assert touched == list(range(16, 24))
