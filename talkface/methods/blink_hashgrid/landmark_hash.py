"""Module 5: from landmarks to the condition f of the radiance field, f = f_lm + W_a A.

The paper: "leveraging the hash grid from Instant-NGP, we perform positional encoding to input the extracted features
of the corresponding 3D landmarks into the neural radiance field". How is ours: every landmark looks up one shared 3-D
hash grid, a learned index says which landmark it is, and attention pools mouth, eyes with brows, and the rest.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface.audio.encoders import AudioAttNet, AudioNet
from talkface.methods.blink_hashgrid.landmark_space import LANDMARKS, LandmarkSpace
from talkface.ops.hashgrid import GridShape, encode

GRID = GridShape(dimensions=3, levels=8, coarsest=4, finest=64, log2_rows=12)
"""21 232 rows of two features."""
GRID_FEATURES = 2
GROUPS = (
    tuple(range(48, 68)),
    (*range(17, 27), *range(36, 48)),
    (*range(17), *range(27, 36)),
)
"""Mouth; eyes and brows; contour and nose."""
NEIGHBOURS = 5
"""Frames that the smoother sees, two on either side (GeneFace)."""
CONDITION = 32


class HashEncoding(nn.Module):
    """One frame's landmarks to 32 numbers through a hash grid."""

    def __init__(self, index_dim: int = 8, width: int = 32, out: int = CONDITION) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(GRID_FEATURES, GRID.total_rows).uniform_(-1e-4, 1e-4))
        self.index = nn.Parameter(torch.randn(LANDMARKS, index_dim) * 0.1)
        self.point = nn.Sequential(nn.Linear(GRID.levels * GRID_FEATURES + index_dim, width), nn.ReLU())
        self.attention = nn.Linear(width, len(GROUPS))
        self.out = nn.Linear(len(GROUPS) * width, out)

    def forward(self, boxed: Float[Tensor, "batch 68 3"]) -> Float[Tensor, "batch 32"]:
        """Codes of landmarks that `LandmarkSpace.box` brought into the unit cube."""
        points = boxed.reshape(-1, 3).T[None].contiguous()
        codes = encode(points, self.table, GRID).T.reshape(len(boxed), LANDMARKS, -1)
        features = self.point(torch.cat([codes, self.index.expand(len(boxed), -1, -1)], dim=-1))
        attention = self.attention(features)
        pooled = [
            (attention[:, group, number : number + 1].softmax(1) * features[:, group]).sum(1)
            for number, group in enumerate(map(list, GROUPS))
        ]
        return self.out(torch.cat(pooled, dim=-1))


class PlainEncoding(nn.Module):
    """The other reading of the paper: landmarks through an AudioNet-like network (GeneFace), 204 to 64 to 32."""

    def __init__(self, out: int = CONDITION) -> None:
        super().__init__()
        widths = (LANDMARKS * 3, 32, 32, 64, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv1d(before, after, 3, padding=1), nn.LeakyReLU(0.02)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.02), nn.Linear(64, out))

    def forward(self, scored: Float[Tensor, "batch neighbours 68 3"]) -> Float[Tensor, "batch neighbours 32"]:
        return self.head(self.convolutions(scored.flatten(2).transpose(1, 2)).transpose(1, 2))


class LandmarkCondition(nn.Module):
    """f of one frame from the landmarks of five frames and the audio code: f = f_lm + W_a A."""

    def __init__(self, encoding: Literal["hash", "mlp"] = "hash", audio_dim: int = 64) -> None:
        super().__init__()
        self.encoding = HashEncoding() if encoding == "hash" else PlainEncoding()
        self.smoother = AudioAttNet(CONDITION, NEIGHBOURS)
        self.residual = nn.Linear(audio_dim, CONDITION, bias=False)

    def forward(
        self,
        space: LandmarkSpace,
        scored: Float[Tensor, "batch 5 68 3"],
        audio: Float[Tensor, "batch audio"],
        noise: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch 32"]:
        """The field's condition.

        Args:
            space: Whose landmarks these are; its box is the hash grid's cube.
            scored: P of frames t - 2 to t + 2, true while the field is trained, predicted at inference.
            audio: A of frame t, the smoothed audio code.
            noise: Deviation of the noise added to P, from `generator`; it makes predicted landmarks usable, because a
                hash grid's codes jump (ours; 0.05 in training, 0 at inference).
        """
        if noise and generator is not None:
            scored = scored + noise * torch.randn(scored.shape, generator=generator).to(scored)
        if isinstance(self.encoding, HashEncoding):
            codes = self.encoding(space.box(scored).flatten(0, 1)).view(*scored.shape[:2], CONDITION)
        else:
            codes = self.encoding(scored)
        return self.smoother(codes) + self.residual(audio)


class AudioCondition(nn.Module):
    """f without landmarks (ablation D = 0): the audio code alone, as in ER-NeRF, learned with the field."""

    def __init__(self, bands: int, neighbours: int = 8) -> None:
        super().__init__()
        self.net = AudioNet(bands, CONDITION)
        self.filter = AudioAttNet(CONDITION, neighbours)

    def forward(self, windows: Float[Tensor, "batch 8 16 bands"]) -> Float[Tensor, "batch 32"]:
        """The field's condition from the speech windows of frames t - 4 to t + 3."""
        return self.filter(self.net(windows.flatten(0, 1)).view(*windows.shape[:2], CONDITION))


def neighbourhood(sequence: Float[Tensor, "frames *value"], index: int) -> Float[Tensor, "5 *value"]:
    """Frames t - 2 to t + 2, the ends repeated."""
    reach = NEIGHBOURS // 2
    frames = torch.arange(index - reach, index + reach + 1).clamp(0, len(sequence) - 1)
    return sequence[frames]
