"""InceptionV3 as the Frechet inception distance uses it: the weights of 2015-12-05 and their peculiarities.

Names are those of the published file `pt_inception-2015-12-05-6726825d.pth` (mseitzer/pytorch-fid). Unlike in
torchvision's network, average pools do not count padding and the last block pools by maximum; every published FID has
these habits in it. Agreement with pytorch-fid is tested with seeded weights (tests/nets/golden).
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface import assets
from talkface.nets.foreign import load_exactly, read_checkpoint

SIDE_PX = 299
"""Every picture is resized to this square, bilinearly without antialiasing, as pytorch-fid does."""
_Size = int | tuple[int, int]


class Convolution(nn.Module):
    """Convolution without bias, batch norm with epsilon 0.001, ReLU."""

    def __init__(self, channels: int, out: int, kernel: _Size, stride: int = 1, padding: _Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, features: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n out rows columns"]:
        """Activations."""
        return self.bn(self.conv(features)).relu()


class BlockA(nn.Module):
    """35x35: 1x1, 5x5, double 3x3, average pool."""

    def __init__(self, channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(channels, 64, 1)
        self.branch5x5_1 = Convolution(channels, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(channels, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(channels, pooled, 1)

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n out height width"]:
        """224 channels and the pooled ones."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_average(x))], 1)


class BlockB(nn.Module):
    """35x35 to 17x17."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = Convolution(288, 384, 3, 2)
        self.branch3x3dbl_1 = Convolution(288, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, 2)

    def forward(self, x: Float[Tensor, "n 288 height width"]) -> Float[Tensor, "n 768 rows columns"]:
        """Half the size."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, nn.functional.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    """17x17: 7x7 in rows and columns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        row, column = ((1, 7), (0, 3)), ((7, 1), (3, 0))
        self.branch1x1 = Convolution(768, 192, 1)
        self.branch7x7_1 = Convolution(768, width, 1)
        self.branch7x7_2 = Convolution(width, width, row[0], padding=row[1])
        self.branch7x7_3 = Convolution(width, 192, column[0], padding=column[1])
        self.branch7x7dbl_1 = Convolution(768, width, 1)
        self.branch7x7dbl_2 = Convolution(width, width, column[0], padding=column[1])
        self.branch7x7dbl_3 = Convolution(width, width, row[0], padding=row[1])
        self.branch7x7dbl_4 = Convolution(width, width, column[0], padding=column[1])
        self.branch7x7dbl_5 = Convolution(width, 192, row[0], padding=row[1])
        self.branch_pool = Convolution(768, 192, 1)

    def forward(self, x: Float[Tensor, "n 768 height width"]) -> Float[Tensor, "n 768 height width"]:
        """The same size."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], 1)


class BlockD(nn.Module):
    """17x17 to 8x8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, 2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, 3, 2)

    def forward(self, x: Float[Tensor, "n 768 height width"]) -> Float[Tensor, "n 1280 rows columns"]:
        """Half the size."""
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, nn.functional.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    """8x8: 3x3 split in rows and columns. The last one of the network pools by maximum."""

    def __init__(self, channels: int, by_maximum: bool) -> None:
        super().__init__()
        self.by_maximum = by_maximum
        self.branch1x1 = Convolution(channels, 320, 1)
        self.branch3x3_1 = Convolution(channels, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(channels, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Convolution(channels, 192, 1)

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n 2048 height width"]:
        """The same size."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = nn.functional.max_pool2d(x, 3, 1, 1) if self.by_maximum else _average(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(parts, 1)


class Inception(nn.Module):
    """The network up to its last average pool. Its weights are fixed and it stays in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB()
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, by_maximum=False)
        self.Mixed_7c = BlockE(2048, by_maximum=True)
        self.requires_grad_(False).eval()

    @classmethod
    def load(cls, path: Path) -> Inception:
        """Read the published file.

        Raises:
            UserError: it is absent, damaged or not this network.
        """
        net = cls()
        load_exactly(net, read_checkpoint(path), path, "InceptionV3 as FID uses it", unused=("fc.",))
        return net

    def forward(
        self, pictures: Float[Tensor, "n 3 height width"]
    ) -> tuple[Float[Tensor, "n 2048"], Float[Tensor, "n 192"]]:
        """Features of pictures in [0, 1]: the last average pool, and the 192 channels of the second maximum pool.

        The 192 channels are averaged over the picture, as pytorch-fid does with features that are maps.
        """
        side = (SIDE_PX, SIDE_PX)
        x = nn.functional.interpolate(pictures, size=side, mode="bilinear", align_corners=False) * 2 - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(nn.functional.max_pool2d(x, 3, 2)))
        early = x = nn.functional.max_pool2d(x, 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3)), early.mean((2, 3))


def find_inception() -> Inception | None:
    """The network where the user has brought its file, else None.

    Raises:
        UserError: the file is there and is not what its name says.
    """
    path = assets.find("inception_fid")
    return Inception.load(path) if path else None


def _average(features: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(features, 3, 1, 1, count_include_pad=False)
