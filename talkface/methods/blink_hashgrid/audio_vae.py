"""Module 2: the variational autoencoder that regularises the audio code (paper, section III.B).

"These audio features are encoded into distribution parameters in the latent space and then reconstructed to audio
signals through the decoder component." Sizes are ours, after GeneFace's FVAE: one latent of 16 values per four frames.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
"""Frames per latent."""
LARGEST_LOG_DEVIATION = 4.0


class Encoded(NamedTuple):
    """What the autoencoder says of a stretch of audio; `slots` = frames / 4, rounded up."""

    latent: Float[Tensor, "batch slots latent"]
    kl: Float[Tensor, ""]
    """Divergence from the prior, averaged over slots and latent dimensions."""
    reconstruction: Float[Tensor, "batch frames dim"]


class AudioVAE(nn.Module):
    """q(z | A) and p(A | z), with a normal prior or a normalising-flow prior."""

    def __init__(
        self, dim: int = 64, latent: int = 16, width: int = 128, prior: Literal["normal", "flow"] = "normal"
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(dim, width, kernel_size=8, stride=STRIDE, padding=2), *(GatedBlock(width) for _ in range(4))
        )
        self.parameters_of_z = nn.Conv1d(width, 2 * latent, kernel_size=1)
        self.decoder = nn.Sequential(
            nn.ConvTranspose1d(latent, width, kernel_size=STRIDE, stride=STRIDE),
            *(GatedBlock(width) for _ in range(4)),
            nn.Conv1d(width, dim, kernel_size=1),
        )
        self.flow = Flow(latent) if prior == "flow" else None

    def forward(
        self, audio: Float[Tensor, "batch frames dim"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "batch slots latent"], Encoded]:
        """Distribution mean, and a draw from it with what the losses need.

        Args:
            audio: A, the smoothed audio code. Lengths that are no multiple of four are continued by their last frame.
            generator: Source of the draw; None takes the mean itself (inference).
        """
        frames = audio.shape[1]
        padded = functional.pad(audio.transpose(1, 2), (0, -frames % STRIDE), mode="replicate")
        mean, log_deviation = self.parameters_of_z(self.encoder(padded)).chunk(2, dim=1)
        log_deviation = log_deviation.clamp(-LARGEST_LOG_DEVIATION, LARGEST_LOG_DEVIATION)
        noise = torch.zeros_like(mean)
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator).to(mean)
        latent = mean + noise * log_deviation.exp()
        reconstruction = self.decoder(latent)[..., :frames].transpose(1, 2)
        kl = self._kl(mean, log_deviation, latent, noise)
        return mean.transpose(1, 2), Encoded(latent.transpose(1, 2), kl, reconstruction)

    def _kl(self, mean: Tensor, log_deviation: Tensor, latent: Tensor, noise: Tensor) -> Tensor:
        if self.flow is None:  # closed form against N(0, I)
            return (0.5 * (mean**2 + (2 * log_deviation).exp() - 1) - log_deviation).mean()
        base = self.flow(latent)  # volume-preserving, so log p(z) = log N(flow(z); 0, I); one draw estimates the mean
        return (0.5 * (base**2 - noise**2) - log_deviation).mean()


def audio_loss(audio: Float[Tensor, "batch frames dim"], encoded: Encoded) -> Float[Tensor, ""]:
    """L_aud: squared error of the reconstruction. A is detached, or it would shrink to a constant to please this."""
    return functional.mse_loss(encoded.reconstruction, audio.detach())


def upsample(latent: Float[Tensor, "batch slots latent"], frames: int) -> Float[Tensor, "batch frames latent"]:
    """One latent per frame, linear between the slots' middles."""
    full = functional.interpolate(latent.transpose(1, 2), scale_factor=float(STRIDE), mode="linear")
    return full[..., :frames].transpose(1, 2)


class GatedBlock(nn.Module):
    """Residual gated convolution over time: x + W (tanh(a) sigmoid(b))."""

    def __init__(self, width: int, kernel_size: int = 5) -> None:
        super().__init__()
        self.inner = nn.Conv1d(width, 2 * width, kernel_size, padding=kernel_size // 2)
        self.outer = nn.Conv1d(width, width, kernel_size=1)

    def forward(self, x: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        a, b = self.inner(x).chunk(2, dim=1)
        return x + self.outer(a.tanh() * b.sigmoid())


class Flow(nn.Module):
    """The flow prior: four mean-only coupling blocks with the channels reversed between them (GeneFace)."""

    def __init__(self, latent: int, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        half = latent // 2
        self.shifts = nn.ModuleList(
            nn.Sequential(nn.Conv1d(half, width, 3, padding=1), GatedBlock(width), nn.Conv1d(width, latent - half, 1))
            for _ in range(blocks)
        )
        for shift in self.shifts:
            nn.init.zeros_(shift[-1].weight)  # type: ignore[index, union-attr]
            nn.init.zeros_(shift[-1].bias)  # type: ignore[index, union-attr]

    def forward(self, z: Float[Tensor, "batch latent slots"]) -> Float[Tensor, "batch latent slots"]:
        """Latent to the base normal; its Jacobian's determinant is one."""
        half = z.shape[1] // 2
        for shift in self.shifts:
            kept, moved = z[:, :half], z[:, half:]
            z = torch.cat([kept, moved + shift(kept)], dim=1).flip(1)
        return z

    def inverse(self, base: Float[Tensor, "batch latent slots"]) -> Float[Tensor, "batch latent slots"]:
        """Base normal to latent: draws from the prior."""
        half = base.shape[1] // 2
        for shift in reversed(self.shifts):
            base = base.flip(1)
            kept, moved = base[:, :half], base[:, half:]
            base = torch.cat([kept, moved - shift(kept)], dim=1)
        return base
