"""Module 4: the Dynamic Landmark Transformer, P = DLT(A, V) (paper, Eq. 6).

The paper fixes what goes in and out; the inside is ours: queries are the audio code (its figure: "audio features as
queries") plus the upsampled latent of the VAE, keys and values are the blink embedding V and 68 learned landmark
tokens, and audio reaches the output a second time as a residual term (abstract: "audio features as residual terms").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface.methods.blink_hashgrid.landmark_space import LANDMARKS


class LandmarkTransformer(nn.Module):
    """Eq. 6. Starts at the mean face: everything that leads to the output begins at zero."""

    def __init__(
        self,
        audio_dim: int = 64,
        latent_dim: int = 16,
        blink_dim: int = 32,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.query_of_audio = nn.Linear(audio_dim, width)
        self.query_of_latent = nn.Linear(latent_dim, width)
        self.key_of_blink = nn.Linear(blink_dim, width)
        self.landmark_tokens = nn.Parameter(torch.randn(LANDMARKS, width) * 0.02)
        layer = nn.TransformerDecoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, layers, norm=nn.LayerNorm(width))
        self.head = nn.Linear(width, LANDMARKS * 3)
        self.residual = nn.Linear(audio_dim, LANDMARKS * 3)
        for linear in (self.head, self.residual):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        audio: Float[Tensor, "batch frames audio"],
        latent: Float[Tensor, "batch frames latent"],
        blink: Float[Tensor, "batch frames blink"],
    ) -> Float[Tensor, "batch frames 68 3"]:
        """P-hat, in deviations from the mean face.

        Args:
            audio: A, the smoothed audio code.
            latent: z of the VAE at one value per frame.
            blink: V, the blink embedding; zeros without it (ablation E = 0).
        """
        place = positions(audio.shape[1], self.query_of_audio.out_features).to(audio)
        queries = self.query_of_audio(audio) + self.query_of_latent(latent) + place
        moments = self.key_of_blink(blink) + place
        memory = torch.cat([moments, self.landmark_tokens.expand(len(audio), -1, -1)], dim=1)
        points = self.head(self.decoder(queries, memory)) + self.residual(audio)
        return points.unflatten(-1, (LANDMARKS, 3))


def positions(frames: int, width: int) -> Float[Tensor, "frames width"]:
    """Sinusoidal positions (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(frames)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def position_loss(
    predicted: Float[Tensor, "*batch frames points 3"], true: Float[Tensor, "*batch frames points 3"]
) -> Float[Tensor, ""]:
    """L_p of Eq. 7: the L1 norm of each landmark's error, averaged over landmarks M and frames F (and windows)."""
    return (predicted - true).abs().sum(-1).mean()


def continuity_loss(
    predicted: Float[Tensor, "*batch frames points 3"], true: Float[Tensor, "*batch frames points 3"]
) -> Float[Tensor, ""]:
    """L_cont: squared error of the first differences over time (GeneFace)."""
    return (predicted.diff(dim=-3) - true.diff(dim=-3)).square().mean()


def overlap_add(
    function: Callable[[int, int], Float[Tensor, "frames *value"]], frames: int, window_frames: int
) -> Iterator[Float[Tensor, "part *value"]]:
    """Values of a long sequence from windows that overlap by half, cross-faded, given out as soon as they are final.

    Args:
        function: Start and stop of a window -> its values `[stop - start, ...]`; called in order of time.
        frames: Length of the whole; up to one window it is computed directly.
        window_frames: Length of every window; each one lies inside the sequence.
    """
    length = min(frames, window_frames)
    hop = max(window_frames // 2, 1)
    starts = [*range(0, frames - length, hop), frames - length]
    fade = torch.minimum(torch.arange(length) + 0.5, length - 0.5 - torch.arange(length)).clamp_max(hop) / hop
    total: Tensor | None = None
    weights = torch.zeros(0)
    for number, start in enumerate(starts):
        values = function(start, start + length)
        fade_here = fade.to(values)
        weighted = values * fade_here.view(-1, *[1] * (values.dim() - 1))
        if total is not None:  # what the last window left unfinished
            weighted[: len(total)] += total
            fade_here = fade_here.clone()
            fade_here[: len(total)] += weights
        final = (starts[number + 1] if number + 1 < len(starts) else frames) - start
        done = weighted / fade_here.view(-1, *[1] * (values.dim() - 1))
        yield done[:final]
        total, weights = weighted[final:], fade_here[final:]
