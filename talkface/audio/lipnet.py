"""The small dilated convolution net from log-mel to mouth values, and how it learns (design page lip-sync, recipe)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface.audio.features import MEL, ROWS_PER_FRAME, fit_rows
from talkface.audio.mouth import VALUES, Talk


class LipNet(nn.Module):
    """Log-mel at 100 Hz to standardised mouth values at 25 fps; sees about 340 ms to either side; 0.1 M weights.

    Two stride-2 convolutions (kernel 5), three residual blocks (kernel 3, dilation 1, 2, 4), a linear head.
    Output frame i stands at mel row 4 i.
    """

    def __init__(self, bands: int = MEL.bands, outputs: int = VALUES, channels: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv1d(bands, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, stride=2, padding=2),
            nn.GELU(),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Conv1d(channels, channels, 1),
            )
            for dilation in (1, 2, 4)
        )
        self.head = nn.Conv1d(channels, outputs, 1)

    def forward(self, mel: Float[Tensor, "batch rows bands"]) -> Float[Tensor, "batch frames outputs"]:
        """`frames` is a quarter of `rows`, rounded up."""
        hidden = self.down(mel.transpose(1, 2))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.head(hidden).transpose(1, 2)


@dataclass(frozen=True)
class Learning:
    """How a net learns; the defaults are the measured recipe."""

    steps: int = 250
    rate: float = 2e-3
    batch: int = 8
    frames: int = 100
    noise: float = 0.2
    """Deviation of Gaussian noise on the normalised mel."""
    weights: tuple[float, float, float] = (8.0, 5.0, 1.0)
    """Of opening, width and each coordinate of the points."""


def train_lipnet(talks: Sequence[Talk], learning: Learning, seed: int, start: LipNet | None = None) -> LipNet:
    """A net trained on stretches of speech with standardised targets: from scratch, or from a copy of `start`.

    Loss: absolute error plus absolute error of the frame differences, over valid frames. AdamW, cosine to 0.
    The same seed gives the same weights; the caller's random state is left alone.
    """
    draw = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LipNet(talks[0].mel.shape[1], talks[0].values.shape[1])
        if start is not None:
            net.load_state_dict(start.state_dict())
        net.train()
        optimiser = torch.optim.AdamW(net.parameters(), lr=learning.rate, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, learning.steps)
        weight = torch.full((talks[0].values.shape[1],), learning.weights[2])
        weight[:2] = torch.tensor(learning.weights[:2])
        weight = weight / weight.sum()
        for _ in range(learning.steps):
            mel, values, valid = _batch(talks, learning, draw)
            predicted = net(mel + learning.noise * torch.randn_like(mel))
            loss = _loss(predicted, values, valid, weight)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return net.eval()


def predict_values(
    nets: Sequence[LipNet], mel: Float[np.ndarray, "rows bands"], frames: int
) -> Float[np.ndarray, "frames outputs"]:
    """Mean prediction of `nets` for speech of any length, in blocks that overlap by more than the nets see."""
    block, margin = 4000, 16
    out = []
    with torch.inference_mode():
        for start in range(0, frames, block):
            low, stop = max(0, start - margin), min(frames, start + block)
            high = min(frames, stop + margin)
            part = fit_rows(mel[low * ROWS_PER_FRAME : high * ROWS_PER_FRAME], high - low)
            tensor = torch.from_numpy(part)[None]
            values = torch.stack([net(tensor)[0] for net in nets]).mean(0)
            out.append(values[start - low : stop - low].numpy())
    return np.concatenate(out) if out else np.zeros((0, nets[0].head.out_channels), np.float32)


def _batch(talks: Sequence[Talk], learning: Learning, draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    length = learning.frames
    mel = np.zeros((learning.batch, length * ROWS_PER_FRAME, talks[0].mel.shape[1]), np.float32)
    values = np.zeros((learning.batch, length, talks[0].values.shape[1]), np.float32)
    valid = np.zeros((learning.batch, length), bool)
    share = np.array([len(talk) for talk in talks], float)
    for row, index in enumerate(draw.choice(len(talks), learning.batch, p=share / share.sum())):
        talk = talks[index]
        first = int(draw.integers(max(1, len(talk) - length + 1)))
        count = min(length, len(talk))
        mel[row, : count * ROWS_PER_FRAME] = talk.mel[first * ROWS_PER_FRAME : (first + count) * ROWS_PER_FRAME]
        valid[row, :count] = talk.valid[first : first + count]
        values[row, :count] = np.where(valid[row, :count, None], talk.values[first : first + count], 0)
    return torch.from_numpy(mel), torch.from_numpy(values), torch.from_numpy(valid)


def _loss(predicted: Tensor, values: Tensor, valid: Tensor, weight: Tensor) -> Tensor:
    pairs = valid[:, 1:] & valid[:, :-1]
    error = ((predicted - values).abs() * weight).sum(-1)[valid].mean()
    change = ((predicted.diff(dim=1) - values.diff(dim=1)).abs() * weight).sum(-1)[pairs].mean()
    return error + change
