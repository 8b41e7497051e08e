"""How our sync network learns: which moment of a clip's sound belongs to these lips, among all moments of two seconds.

Contrastive, with the other moments of the same clip as the only negatives (InfoNCE): the voice, the room and the person
are the same in all of them, so that nothing but timing can tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from talkface.nets.mouth_sync import BANDS, CROP_PX, FRAMES, ROWS_PER_FRAME, SEEN_PX, MouthSync


@dataclass(frozen=True)
class Talk:
    """One unbroken stretch of one person talking."""

    person: str
    crops: UInt8[np.ndarray, "frames 32 32"]
    mel: Float[np.ndarray, "rows 80"]
    """Normalised log-mel, four rows per frame."""

    def __len__(self) -> int:
        return len(self.crops)


@dataclass(frozen=True)
class Learning:
    """How the network learns."""

    steps: int = 800
    rate: float = 2e-3
    batch: int = 8
    windows: int = 42
    """Moments that are told apart in each stretch."""
    mel_noise: float = 0.2
    picture_noise: float = 0.02
    gamma: float = 0.2
    """Deviation of the logarithm of the exponent that bends brightness."""
    evenness: float = 0.7
    """A person counts as the number of their frames to this power, so that the longest does not rule."""

    @property
    def frames(self) -> int:
        """Frames of a stretch."""
        return self.windows + FRAMES - 1


def learn(
    talks: Sequence[Talk], learning: Learning, seed: int, on_step: Callable[[int, float], None] = lambda *_: None
) -> MouthSync:
    """A network trained on these stretches; those shorter than `learning.frames` are left out.

    AdamW, cosine to 0, cross-entropy both ways with a learnt temperature. The same seed gives the same network; the
    caller's random state is left alone. `on_step` is told each step and its loss (chance: the logarithm of `windows`).

    Raises:
        ValueError: no stretch is long enough.
    """
    talks = [talk for talk in talks if len(talk) >= learning.frames]
    if not talks:
        raise ValueError(f"no stretch has {learning.frames} frames")
    draw, share = np.random.default_rng(seed), _shares(talks, learning.evenness)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net, sharpness = MouthSync().train(), nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32))
        optimiser = torch.optim.AdamW([*net.parameters(), sharpness], lr=learning.rate, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, learning.rate, learning.steps, pct_start=min(0.03, 20 / learning.steps)
        )
        for step in range(learning.steps):
            pictures, mel = _batch(talks, share, learning, draw)
            pictures = pictures + learning.picture_noise * torch.randn_like(pictures)
            heard = net.sound(mel + learning.mel_noise * torch.randn_like(mel))
            middle = heard[:, FRAMES // 2 :][:, : learning.windows]
            loss = _loss(net.lips(pictures), middle, sharpness.exp().clamp(max=50.0))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            on_step(step, float(loss.detach()))
    return net.eval()


def _loss(
    seen: Float[Tensor, "batch windows outputs"], heard: Float[Tensor, "batch windows outputs"], sharpness: Tensor
) -> Tensor:
    likeness = torch.einsum("bio,bjo->bij", seen, heard) * sharpness
    own = torch.arange(seen.shape[1]).expand(len(seen), -1)
    by_lips = nn.functional.cross_entropy(likeness.transpose(1, 2), own)
    return (by_lips + nn.functional.cross_entropy(likeness, own)) / 2


def _shares(talks: Sequence[Talk], evenness: float) -> np.ndarray:
    frames: dict[str, int] = {}
    for talk in talks:
        frames[talk.person] = frames.get(talk.person, 0) + len(talk)
    share = np.array([len(talk) * frames[talk.person] ** (evenness - 1) for talk in talks])
    return share / share.sum()


def _batch(
    talks: Sequence[Talk], share: np.ndarray, learning: Learning, draw: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1], each stretch moved, mirrored and bent in brightness by one draw; and mel."""
    pictures = np.zeros((learning.batch, learning.frames, SEEN_PX, SEEN_PX), np.float32)
    mel = np.zeros((learning.batch, learning.frames * ROWS_PER_FRAME, BANDS), np.float32)
    for row, index in enumerate(draw.choice(len(talks), learning.batch, p=share)):
        talk = talks[index]
        first = int(draw.integers(len(talk) - learning.frames + 1))
        stop = first + learning.frames
        top, left = draw.integers(0, CROP_PX - SEEN_PX + 1, 2)
        part = talk.crops[first:stop, top : top + SEEN_PX, left : left + SEEN_PX].astype(np.float32) / 255
        part = part[:, :, ::-1] if draw.random() < 0.5 else part
        pictures[row] = part ** np.exp(draw.normal(0, learning.gamma))
        mel[row] = talk.mel[first * ROWS_PER_FRAME : stop * ROWS_PER_FRAME]
    return torch.from_numpy(pictures), torch.from_numpy(mel)
