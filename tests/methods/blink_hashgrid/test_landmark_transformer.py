from __future__ import annotations

import numpy as np
import pytest
import torch

from talkface.methods.blink_hashgrid.landmark_transformer import (
    LandmarkTransformer,
    continuity_loss,
    overlap_add,
    position_loss,
    positions,
)


def inputs(frames: int = 20, batch: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randn(batch, frames, width, generator=generator) for width in (64, 16, 32))


def test_starts_at_the_mean_face() -> None:
    out = LandmarkTransformer()(*inputs())
    assert out.shape == (2, 20, 68, 3)
    assert torch.equal(out, torch.zeros_like(out))


def test_has_the_resolved_sizes() -> None:
    dlt = LandmarkTransformer()
    d, ff = 128, 256
    attention = 4 * d * d + 4 * d
    layer = 2 * attention + (2 * d * ff + ff + d) + 3 * 2 * d
    expected = (
        4 * layer + 2 * d  # decoder and its last normalisation
        + (64 + 1) * d + (16 + 1) * d + (32 + 1) * d  # audio, latent, blink embedding
        + 68 * d  # landmark tokens
        + (d + 1) * 204 + (64 + 1) * 204  # head, audio residual
    )  # fmt: skip
    assert sum(p.numel() for p in dlt.parameters()) == expected
    assert len(dlt.decoder.layers) == 4
    assert dlt.decoder.layers[0].self_attn.num_heads == 4


def test_hears_each_input_once_the_head_is_awake() -> None:
    dlt = LandmarkTransformer().eval()
    torch.nn.init.normal_(dlt.head.weight, std=0.1)
    given = inputs()
    out = dlt(*given)
    for changed in range(3):
        others = list(given)
        others[changed] = others[changed] + 1
        assert not torch.allclose(dlt(*others), out, atol=1e-4)


def test_audio_is_a_residual_term() -> None:
    dlt = LandmarkTransformer().eval()
    torch.nn.init.normal_(dlt.residual.weight)
    audio, latent, blink = inputs()
    assert torch.allclose(dlt(audio, latent, blink).flatten(2), audio @ dlt.residual.weight.T, atol=1e-5)


def test_knows_the_order_of_time() -> None:
    dlt = LandmarkTransformer().eval()
    torch.nn.init.normal_(dlt.head.weight, std=0.1)
    audio, latent, blink = (x[:1, :1].expand(1, 8, -1) for x in inputs())
    out = dlt(audio, latent, blink)
    assert (out[0, 0] - out[0, 4]).abs().max() > 1e-3


def test_position_loss_is_equation_7() -> None:
    # M = 2 landmarks, F = 3 frames, by hand: each |x| + |y| + |z|, summed, over 6.
    true = torch.zeros(3, 2, 3)
    predicted = torch.tensor([[[1.0, -2, 0], [0, 0, 0]], [[0.5, 0, 0.5], [0, 0, 3]], [[0, 0, 0], [-1, -1, -1]]])
    padded = torch.zeros(3, 68, 3)
    padded[:, :2] = predicted
    assert position_loss(predicted, true).item() == pytest.approx((3 + 1 + 3 + 3) / 6)
    assert position_loss(padded, torch.zeros_like(padded)).item() == pytest.approx(10 / (68 * 3))


def test_continuity_loss_sees_change_only() -> None:
    true = torch.randn(2, 5, 68, 3)
    assert continuity_loss(true + 7, true).item() == pytest.approx(0, abs=1e-9)
    step = true.clone()
    step[:, 2:] += 1  # one of four differences is off by one
    assert continuity_loss(step, true).item() == pytest.approx(0.25, rel=1e-5)


def test_positions_against_the_formula() -> None:
    table = positions(7, 6).numpy()
    for t in range(7):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(table[t, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], atol=1e-6)


@pytest.mark.parametrize("frames", [1, 7, 20, 21, 30, 31, 95, 100])
def test_overlap_add_of_a_local_function_is_the_function(frames: int) -> None:
    values = torch.randn(frames, 2, 3, generator=torch.Generator().manual_seed(0))
    asked: list[tuple[int, int]] = []

    def window(start: int, stop: int) -> torch.Tensor:
        asked.append((start, stop))
        return values[start:stop]

    parts = list(overlap_add(window, frames, 20))
    assert torch.allclose(torch.cat(parts), values, atol=1e-6)
    assert asked == sorted(asked)
    assert {b - a for a, b in asked} == {min(frames, 20)}


def test_overlap_add_fades_between_windows() -> None:
    parts = torch.cat(list(overlap_add(lambda a, b: torch.full((b - a, 1), float(a)), 40, 20)))[:, 0]
    assert parts[0] == 0
    assert parts[-1] == 20
    assert (parts.diff() >= -1e-5).all()
    assert parts.diff().max() < 2.5  # a hard joint would jump by ten


def test_overlap_add_gives_out_frames_before_the_end_is_asked_for() -> None:
    asked: list[int] = []

    def window(start: int, stop: int) -> torch.Tensor:
        asked.append(stop)
        return torch.zeros(stop - start, 1)

    stream = overlap_add(window, 1000, 20)
    assert len(next(stream)) == 10
    assert max(asked) == 20
