from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from talkface.methods.blink_hashgrid.audio_vae import AudioVAE, Flow, audio_loss, upsample


@pytest.mark.parametrize(("frames", "slots"), [(100, 25), (200, 50), (101, 26), (17, 5)])
def test_one_latent_of_16_per_four_frames(frames: int, slots: int) -> None:
    audio = torch.randn(2, frames, 64)
    mean, encoded = AudioVAE()(audio, torch.Generator().manual_seed(0))
    assert mean.shape == encoded.latent.shape == (2, slots, 16)
    assert encoded.reconstruction.shape == audio.shape
    assert upsample(mean, frames).shape == (2, frames, 16)


def test_kl_is_that_of_the_distributions() -> None:
    torch.manual_seed(0)
    vae = AudioVAE().eval()
    audio = torch.randn(3, 40, 64)
    mean, log_deviation = vae.parameters_of_z(vae.encoder(audio.transpose(1, 2))).chunk(2, dim=1)
    expected = kl_divergence(Normal(mean, log_deviation.exp()), Normal(0.0, 1.0)).mean()
    assert torch.allclose(vae(audio)[1].kl, expected, atol=1e-5)


def test_without_a_generator_the_mean_is_the_latent() -> None:
    vae, audio = AudioVAE(), torch.randn(1, 32, 64)
    mean, encoded = vae(audio)
    assert torch.equal(mean, encoded.latent)
    drawn = vae(audio, torch.Generator().manual_seed(1))[1].latent
    again = vae(audio, torch.Generator().manual_seed(1))[1].latent
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, mean)


def test_flow_is_undone_by_its_inverse_and_keeps_volume() -> None:
    torch.manual_seed(0)
    flow = Flow(4).double()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    z = torch.randn(2, 4, 3, dtype=torch.float64)
    assert torch.allclose(flow.inverse(flow(z)), z, atol=1e-10)
    jacobian = torch.autograd.functional.jacobian(lambda x: flow(x.view(1, 4, 3)).flatten(), z[0].flatten())
    assert math.isclose(abs(torch.linalg.det(jacobian).item()), 1.0, rel_tol=1e-9)


def test_flow_prior_starts_as_the_normal_one() -> None:
    torch.manual_seed(0)
    vae = AudioVAE(prior="flow")
    audio = torch.randn(64, 100, 64)
    estimate = vae(audio, torch.Generator().manual_seed(0))[1].kl
    flow, vae.flow = vae.flow, None
    closed = vae(audio)[1].kl
    assert flow is not None
    assert math.isclose(estimate.item(), closed.item(), abs_tol=0.02)


def test_reconstructs_what_it_was_trained_on_and_leaves_the_target_alone() -> None:
    torch.manual_seed(0)
    times = torch.arange(64) / 25
    rates = torch.linspace(0.3, 2, 64)
    audio = torch.sin(2 * math.pi * times[None, :, None] * rates + torch.arange(4)[:, None, None])
    vae, generator = AudioVAE(width=32), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(vae.parameters(), 3e-3)
    first = last = 0.0
    for step in range(120):
        encoded = vae(audio, generator)[1]
        loss = audio_loss(audio, encoded)
        optimiser.zero_grad()
        (loss + 1e-3 * encoded.kl).backward()
        optimiser.step()
        first, last = (loss.item() if step == 0 else first), loss.item()
    assert last < 0.25 * first
    assert last < 0.5 * audio.var().item()

    code = audio.clone().requires_grad_()
    fixed = vae(audio)[1]
    audio_loss(code, fixed).backward()
    assert code.grad is None
