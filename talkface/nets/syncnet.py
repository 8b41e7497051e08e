"""SyncNet v2 (Chung and Zisserman 2016): five pictures of a mouth and 200 ms of cepstra, each to 1024 numbers.

The layout is that of the public weight file `syncnet_v2.model` (joonson/syncnet_python), key by key.
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
ROWS = 20
"""Cepstra that are heard at once, 100 per second."""
OUTPUTS = 1024


class SyncNet(nn.Module):
    """Both streams. The picture stream slides over time by itself: n + 4 pictures give n embeddings."""

    def __init__(self) -> None:
        super().__init__()
        # Pools of one pixel keep the numbering of the published file.
        self.netcnnaud = nn.Sequential(
            *_stage(nn.Conv2d(1, 64, 3, padding=1), nn.MaxPool2d(1)),
            *_stage(nn.Conv2d(64, 192, 3, padding=1), nn.MaxPool2d(3, (1, 2))),
            *_stage(nn.Conv2d(192, 384, 3, padding=1)),
            *_stage(nn.Conv2d(384, 256, 3, padding=1)),
            *_stage(nn.Conv2d(256, 256, 3, padding=1), nn.MaxPool2d(3, 2)),
            *_stage(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netcnnlip = nn.Sequential(
            *_stage(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2))),
            *_stage(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))),
            *_stage(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_stage(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_stage(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2))),
            *_stage(nn.Conv3d(256, 512, (1, 6, 6))),
        )
        self.netfcaud, self.netfclip = _head(), _head()

    @classmethod
    def load(cls, path: Path) -> SyncNet:
        """Read `syncnet_v2.model`.

        Raises:
            UserError: it is not that file.
        """
        net = cls()
        load_exactly(net, read_checkpoint(path), path, "SyncNet v2")
        return net.eval()

    def lips(self, pictures: Float[Tensor, "frames 3 224 224"]) -> Float[Tensor, "windows 1024"]:
        """Embeddings of every five consecutive pictures; BGR, 0 to 255."""
        seen = self.netcnnlip(pictures.transpose(0, 1)[None])
        return self.netfclip(seen[0, :, :, 0, 0].T)

    def sound(self, cepstra: Float[Tensor, "windows 13 20"]) -> Float[Tensor, "windows 1024"]:
        """Embeddings of windows of cepstra, coefficient by time."""
        return self.netfcaud(self.netcnnaud(cepstra[:, None]).flatten(1))

    @torch.inference_mode()
    def see(self, crops: UInt8[np.ndarray, "frames 224 224 3"]) -> Float[np.ndarray, "windows 1024"]:
        """Embeddings of consecutive RGB crops, four fewer than crops."""
        pictures = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1])).permute(0, 3, 1, 2).float()
        return self.lips(pictures).numpy()

    @torch.inference_mode()
    def hear(self, windows: Float[np.ndarray, "windows 20 13"]) -> Float[np.ndarray, "windows 1024"]:
        """Embeddings of windows of cepstra, time by coefficient."""
        return self.sound(torch.from_numpy(windows.astype(np.float32)).transpose(1, 2)).numpy()


def _stage(convolution: nn.Conv2d | nn.Conv3d, *pool: nn.Module) -> list[nn.Module]:
    norm = nn.BatchNorm3d if isinstance(convolution, nn.Conv3d) else nn.BatchNorm2d
    return [convolution, norm(convolution.out_channels), nn.ReLU(inplace=True), *pool]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, OUTPUTS))
