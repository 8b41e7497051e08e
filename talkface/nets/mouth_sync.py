"""A sync network of our own, small enough to be trained on a CPU: nine grey mouths and 720 ms of log-mel.

It stands in for SyncNet where that is absent; its numbers are its own and compare only with themselves.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from talkface.errors import UserError
from talkface.nets.foreign import load_exactly, read_checkpoint

FORMAT = "talkface-mouth-sync-1"
FRAMES, ROWS = 9, 72
"""Pictures and rows of log-mel (100 per second) of one window; both have the same middle, and the ear hears no more."""
BANDS = 80
OUTPUTS = 64
CROP_PX, SEEN_PX = 32, 28
"""Side of a crop, and of its middle that is looked at; training moves it about. Twice as fine is 3 times as slow."""
ROWS_PER_FRAME = 4
_SHIPPED = Path(__file__).with_name("mouth_sync.safetensors")
"""Trained on GRID (Cooke et al. 2006, CC BY 4.0) and public-domain addresses only; its header names them. On 12 other
people 94 % of stretches of two seconds are timed within a frame of their whole clip."""


class MouthSync(nn.Module):
    """Two streams to embeddings of unit length; both slide over time.

    Lips: three convolutions of stride 2 for each picture, then one over nine pictures. Sound: two convolutions of
    stride 2 from 100 to 25 Hz and three residual ones of growing reach, as the lip predictor has them.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.eye = nn.Sequential(
            *_stage(1, 24, 5),
            *_stage(24, 48, 3),
            *_stage(48, 96, 3),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(96 * 4 * 4, channels),
        )
        self.gaze = nn.Sequential(
            nn.Conv1d(channels, 2 * channels, FRAMES), nn.GELU(), nn.Conv1d(2 * channels, OUTPUTS, 1)
        )
        self.down = nn.Sequential(
            nn.Conv1d(BANDS, channels, 5, 2, 2), nn.GELU(), nn.Conv1d(channels, channels, 5, 2, 2), nn.GELU()
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, channels, 3, padding=reach, dilation=reach),
                nn.GELU(),
                nn.Dropout(0.1),
                nn.Conv1d(channels, channels, 1),
            )
            for reach in (1, 2, 4)
        )
        self.ear = nn.Conv1d(channels, OUTPUTS, 1)

    @classmethod
    def load(cls, path: Path) -> MouthSync:
        """Read a network that `save` wrote.

        Raises:
            UserError: it is absent or is not one.
        """
        facts_of(path)
        net = cls()
        load_exactly(net, read_checkpoint(path), path, "a sync network of `talkface train syncnet`")
        return net.eval()

    def lips(self, pictures: Float[Tensor, "stretches frames 28 28"]) -> Float[Tensor, "stretches windows 64"]:
        """Embeddings of every nine consecutive pictures, any brightness and contrast."""
        stretches, frames = pictures.shape[:2]
        flat = pictures.reshape(stretches * frames, 1, SEEN_PX, SEEN_PX)
        mean, spread = flat.mean((2, 3), keepdim=True), flat.std((2, 3), keepdim=True)
        seen = self.eye((flat - mean) / (spread + 1e-3)).reshape(stretches, frames, -1)
        return nn.functional.normalize(self.gaze(seen.transpose(1, 2)).transpose(1, 2), dim=-1)

    def sound(self, mel: Float[Tensor, "stretches rows 80"]) -> Float[Tensor, "stretches frames 64"]:
        """Embeddings about every fourth row, from the first on."""
        hidden = self.down(mel.transpose(1, 2))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return nn.functional.normalize(self.ear(hidden).transpose(1, 2), dim=-1)

    @torch.inference_mode()
    def see(self, crops: UInt8[np.ndarray, "frames 32 32"]) -> Float[np.ndarray, "windows 64"]:
        """Embeddings of consecutive grey crops, eight fewer than crops."""
        edge = (CROP_PX - SEEN_PX) // 2
        middle = torch.from_numpy(crops[:, edge : edge + SEEN_PX, edge : edge + SEEN_PX].astype(np.float32) / 255)
        return self.lips(middle[None])[0].numpy()

    @torch.inference_mode()
    def hear(self, windows: Float[np.ndarray, "windows 72 80"]) -> Float[np.ndarray, "windows 64"]:
        """Embeddings of windows of normalised log-mel."""
        middle = ROWS // 2 // ROWS_PER_FRAME
        return self.sound(torch.from_numpy(windows.astype(np.float32)))[:, middle].numpy()

    @torch.inference_mode()
    def listen(self, mel: Float[np.ndarray, "rows 80"]) -> Float[np.ndarray, "frames 64"]:
        """Embeddings about every frame of a whole normalised log-mel."""
        return self.sound(torch.from_numpy(mel.astype(np.float32))[None])[0].numpy()


def _stage(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def save(net: MouthSync, path: Path, facts: dict[str, str]) -> None:
    """Write a network with what it was trained on, in half precision, whole or not at all."""
    weights = {name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(weights, beside, metadata={**facts, "format": FORMAT})
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def facts_of(path: Path) -> dict[str, str]:
    """What a network was trained on.

    Raises:
        UserError: as `MouthSync.load`.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} is not a sync network of `talkface train syncnet`: {error}") from error
    if facts.get("format") != FORMAT:
        raise UserError(f"{path} is of format {facts.get('format')!r}, expected {FORMAT!r}")
    return facts


def shipped() -> Path:
    """The network of the package.

    Raises:
        UserError: there is none.
    """
    if not _SHIPPED.is_file():
        raise UserError(
            "no sync network of ours is here; train one with `talkface train syncnet` and bring it with "
            "`talkface assets import mouth_sync FILE`"
        )
    return _SHIPPED
