"""The lip-sync expert of Wav2Lip (Prajwal et al. 2020): is this the mouth that says this sound?

The layout is that of the public weight file `lipsync_expert.pth` (Rudrabha/Wav2Lip), key by key. The last layers end in
a ReLU, so that no embedding has a negative value and the cosine of two lies in [0, 1].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from talkface.nets.foreign import load_exactly, read_checkpoint

FRAMES = 5
"""Pictures that are seen at once."""
OUTPUTS = 512

_Shape = tuple[int, int, int | tuple[int, int], int | tuple[int, int], int]
_FACE: tuple[tuple[_Shape, int], ...] = (
    ((15, 32, 7, 1, 3), 0),
    ((32, 64, 5, (1, 2), 1), 2),
    ((64, 128, 3, 2, 1), 3),
    ((128, 256, 3, 2, 1), 2),
    ((256, 512, 3, 2, 1), 2),
    ((512, 512, 3, 2, 1), 0),
    ((512, 512, 3, 1, 0), 0),
    ((512, 512, 1, 1, 0), 0),
)
_SOUND: tuple[tuple[_Shape, int], ...] = (
    ((1, 32, 3, 1, 1), 2),
    ((32, 64, 3, (3, 1), 1), 2),
    ((64, 128, 3, 3, 1), 2),
    ((128, 256, 3, (3, 2), 1), 2),
    ((256, 512, 3, 1, 0), 0),
    ((512, 512, 1, 1, 0), 0),
)
"""Convolutions (inputs, outputs, kernel, stride, padding), and how many residual ones of kernel 3 follow each."""


class LipExpert(nn.Module):
    """Both streams; embeddings are of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder, self.audio_encoder = _stream(_FACE), _stream(_SOUND)

    @classmethod
    def load(cls, path: Path) -> LipExpert:
        """Read `lipsync_expert.pth`.

        Raises:
            UserError: it is not that file.
        """
        net = cls()
        load_exactly(net, read_checkpoint(path), path, "Wav2Lip's expert")
        return net.eval()

    def lips(self, windows: Float[Tensor, "windows 15 48 96"]) -> Float[Tensor, "windows 512"]:
        """Embeddings of five lower half faces laid upon each other, oldest first; BGR in [0, 1]."""
        return nn.functional.normalize(self.face_encoder(windows).flatten(1))

    def sound(self, mels: Float[Tensor, "windows 1 80 16"]) -> Float[Tensor, "windows 512"]:
        """Embeddings of windows of Wav2Lip's mel, band by time."""
        return nn.functional.normalize(self.audio_encoder(mels).flatten(1))

    @torch.inference_mode()
    def see(self, crops: UInt8[np.ndarray, "frames 48 96 3"]) -> Float[np.ndarray, "windows 512"]:
        """Embeddings of consecutive RGB crops, four fewer than crops."""
        pictures = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1])).permute(0, 3, 1, 2).float() / 255
        windows = torch.cat([pictures[first : len(pictures) - FRAMES + 1 + first] for first in range(FRAMES)], 1)
        return self.lips(windows).numpy()

    @torch.inference_mode()
    def hear(self, windows: Float[np.ndarray, "windows 16 80"]) -> Float[np.ndarray, "windows 512"]:
        """Embeddings of windows of mel, time by band."""
        return self.sound(torch.from_numpy(windows.astype(np.float32)).transpose(1, 2)[:, None]).numpy()


class _Convolution(nn.Module):
    """Convolution, batch norm, the input where it is residual, ReLU."""

    def __init__(self, shape: _Shape, residual: bool = False) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(*shape), nn.BatchNorm2d(shape[1]))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_block(x)
        return (out + x if self.residual else out).relu()


def _stream(stages: tuple[tuple[_Shape, int], ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for shape, residuals in stages:
        layers += [_Convolution(shape)]
        layers += [_Convolution((shape[1], shape[1], 3, 1, 1), residual=True) for _ in range(residuals)]
    return nn.Sequential(*layers)
