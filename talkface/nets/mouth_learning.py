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
    mel_bands: int = 3
    """Most bands by which a voice is moved up or down."""
    mel_tilt: float = 0.3
    """Deviation of a slope from the lowest to the highest band."""
    picture_noise: float = 0.02
    picture_gamma: float = 0.2
    """Deviation of the logarithm of the exponent that bends brightness."""
    picture_scale: float = 0.07
    """Deviation of the logarithm of the magnification."""
    picture_roll: float = 0.07
    """Deviation of the roll, radians."""
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
    """Stretches of pictures in [0, 1] and of mel; each looks and sounds like somebody slightly different."""
    pictures = np.zeros((learning.batch, learning.frames, CROP_PX, CROP_PX), np.float32)
    mel = np.zeros((learning.batch, learning.frames * ROWS_PER_FRAME, BANDS), np.float32)
    slope = np.linspace(-1, 1, BANDS)
    for row, index in enumerate(draw.choice(len(talks), learning.batch, p=share)):
        talk = talks[index]
        first = int(draw.integers(len(talk) - learning.frames + 1))
        stop = first + learning.frames
        part = talk.crops[first:stop].astype(np.float32) / 255
        pictures[row] = part ** np.exp(draw.normal(0, learning.picture_gamma))
        shift = int(draw.integers(-learning.mel_bands, learning.mel_bands + 1))
        bands = np.clip(np.arange(BANDS) + shift, 0, BANDS - 1)
        voice = talk.mel[first * ROWS_PER_FRAME : stop * ROWS_PER_FRAME, bands]
        mel[row] = voice + draw.normal(0, learning.mel_tilt) * slope
    return _moved(torch.from_numpy(pictures), learning, draw), torch.from_numpy(mel)


def _moved(
    pictures: Float[Tensor, "batch frames 32 32"], learning: Learning, draw: np.random.Generator
) -> Float[Tensor, "batch frames 28 28"]:
    """The middle of every stretch, by one draw each mirrored, turned, magnified and shifted by up to two pixels."""
    batch = len(pictures)
    roll = draw.normal(0, learning.picture_roll, batch)
    scale = SEEN_PX / CROP_PX * np.exp(draw.normal(0, learning.picture_scale, batch))
    mirror = draw.choice([-1.0, 1.0], batch)
    shift = draw.uniform(-1, 1, (2, batch)) * (CROP_PX - SEEN_PX) / CROP_PX
    rows = [[mirror * scale * np.cos(roll), -scale * np.sin(roll), shift[0]]]
    rows += [[mirror * scale * np.sin(roll), scale * np.cos(roll), shift[1]]]
    affine = torch.from_numpy(np.array(rows, np.float32)).permute(2, 0, 1)
    grid = nn.functional.affine_grid(affine, [batch, 1, SEEN_PX, SEEN_PX], align_corners=False)
    return nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
