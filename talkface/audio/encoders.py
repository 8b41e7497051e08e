"""Audio networks that the methods share: one code per window of speech features, and the time filter over codes."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AudioNet(nn.Module):
    """One window of speech features to one code.

    Four convolutions (kernel 3, stride 2) with 32, 32, 64 and 64 channels take the 16 rows to one; two layers follow.
    Source: AD-NeRF's audio network (design page nerf-methods, section 0.4); `code` is 64 there, 32 in ER-NeRF.
    """

    def __init__(self, bands: int = 29, code: int = 64) -> None:
        super().__init__()
        widths = (bands, 32, 32, 64, 64)
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Conv1d(narrow, wide, 3, stride=2, padding=1), nn.LeakyReLU(0.02)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.02), nn.Linear(64, code))

    def forward(self, window: Float[Tensor, "batch 16 bands"]) -> Float[Tensor, "batch code"]:
        """Codes of windows as `speech_windows` gives them."""
        return self.head(self.convolutions(window.transpose(1, 2))[..., 0])


class AudioAttNet(nn.Module):
    """The time filter: a weighted mean of neighbouring codes, the weights read from the codes themselves.

    Convolutions (kernel 3) narrow the codes to 16, 8, 4, 2 and 1 channels, a layer over the neighbours and a softmax
    give the weights. With 8 neighbours they are frames t - 4 ... t + 3; frames outside the clip count as zero codes.
    Source: AD-NeRF (design page nerf-methods, section 0.4).
    """

    def __init__(self, code: int = 64, neighbours: int = 8) -> None:
        super().__init__()
        self.neighbours = neighbours
        widths = (code, 16, 8, 4, 2, 1)
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            layers += [nn.Conv1d(wide, narrow, 3, padding=1), nn.LeakyReLU(0.02)]
        self.convolutions = nn.Sequential(*layers)
        self.attention = nn.Linear(neighbours, neighbours)

    def forward(self, codes: Float[Tensor, "batch neighbours code"]) -> Float[Tensor, "batch code"]:
        """One filtered code per row of neighbouring codes."""
        weights = self.attention(self.convolutions(codes.transpose(1, 2))[:, 0]).softmax(-1)
        return (weights[..., None] * codes).sum(1)

    def smooth(self, codes: Float[Tensor, "frames code"]) -> Float[Tensor, "frames code"]:
        """Every frame of a clip, filtered."""
        before = self.neighbours // 2
        padded = torch.nn.functional.pad(codes, (0, 0, before, self.neighbours - 1 - before))
        return self(padded.unfold(0, self.neighbours, 1).transpose(1, 2))
