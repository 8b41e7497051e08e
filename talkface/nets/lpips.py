"""LPIPS v0.1 (Zhang et al. 2018): a distance of pictures in the features of an image classifier.

Three backbones in plain PyTorch, with the names of the published files: torchvision's classifiers, of which only
`features.*` is read, and the linear layers `lin{n}.model.1.weight` of richzhang/PerceptualSimilarity. Agreement with
that package is tested with seeded weights (tests/nets/golden).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkface import assets
from talkface.nets.foreign import load_exactly, read_checkpoint

_MEAN, _SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_TINY = 1e-10


class Fire(nn.Module):
    """SqueezeNet's block: a 1x1 convolution to few channels, then 1x1 and 3x3 side by side."""

    def __init__(self, channels: int, few: int, many: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, few, 1)
        self.expand1x1 = nn.Conv2d(few, many, 1)
        self.expand3x3 = nn.Conv2d(few, many, 3, padding=1)

    def forward(self, features: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n out height width"]:
        """Twice `many` channels of the same size."""
        few = self.squeeze(features).relu()
        return torch.cat([self.expand1x1(few).relu(), self.expand3x3(few).relu()], 1)


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for number, (channels, times) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if number:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(times):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
    return nn.Sequential(*layers)


def _squeezenet() -> nn.Sequential:
    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2),
        nn.ReLU(),
        pool(),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        pool(),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        pool(),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    )


@dataclass(frozen=True)
class Backbone:
    """Where LPIPS looks into a classifier."""

    name: str
    """What the distance is called."""
    classifier: str
    """Asset of torchvision's weights."""
    layers: str
    """Asset of the linear layers."""
    taps: tuple[int, ...]
    """Numbers of the layers whose outputs are compared."""
    channels: tuple[int, ...]
    least_px: int
    """The shortest side that leaves something to compare at the last tap."""


BACKBONES = {
    "alex": Backbone("lpips", "alexnet", "lpips_alex", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31),
    "vgg": Backbone("lpips_vgg", "vgg16", "lpips_vgg", (3, 8, 15, 22, 29), (64, 128, 256, 512, 512), 16),
    "squeeze": Backbone(
        "lpips_squeeze",
        "squeezenet1_1",
        "lpips_squeeze",
        (1, 4, 7, 9, 10, 11, 12),
        (64, 128, 256, 384, 384, 512, 512),
        17,
    ),
}
_FEATURES = {"alex": _alexnet, "vgg": _vgg16, "squeeze": _squeezenet}


class Classifier(nn.Module):
    """The part of a classifier that LPIPS looks into, under torchvision's names."""

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features


class Linear(nn.Module):
    """Weights of the channels of one tap, `model.1.weight`; a dropout stood before it in training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, difference: Float[Tensor, "n channels rows columns"]) -> Float[Tensor, "n 1 rows columns"]:
        """The weighted sum over channels."""
        return self.model(difference)


class Lpips(nn.Module):
    """The distance with one backbone: "alex", "vgg" or "squeeze". Its weights are fixed."""

    mean: Tensor
    spread: Tensor

    def __init__(self, backbone: str = "alex") -> None:
        super().__init__()
        self.backbone = BACKBONES[backbone]
        self.name = self.backbone.name
        self.classifier = Classifier(_FEATURES[backbone]())
        self.linear = nn.ModuleDict({f"lin{n}": Linear(width) for n, width in enumerate(self.backbone.channels)})
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(_SPREAD)[:, None, None], persistent=False)
        self.requires_grad_(False)

    @classmethod
    def load(cls, backbone: str, classifier: Path, layers: Path) -> Lpips:
        """Read torchvision's classifier and the linear layers of LPIPS.

        Raises:
            UserError: a file is absent, damaged or not this network.
        """
        net = cls(backbone)
        net.read_classifier(classifier)
        net.read_layers(layers)
        return net

    def read_classifier(self, path: Path) -> None:
        """Take torchvision's file; its last layers, which name the thing in a picture, are left out."""
        what = f"torchvision's {self.backbone.classifier}"
        load_exactly(self.classifier, read_checkpoint(path), path, what, unused=("classifier.",))

    def read_layers(self, path: Path) -> None:
        """Take the linear layers of LPIPS."""
        load_exactly(
            self.linear, read_checkpoint(path), path, f"the layers of LPIPS 0.1 for {self.backbone.classifier}"
        )

    def forward(
        self, picture: Float[Tensor, "n 3 height width"], truth: Float[Tensor, "n 3 height width"]
    ) -> Float[Tensor, " n"]:
        """Distance of pictures in [0, 1] (scaled to [-1, 1] here); 0 for equal ones.

        Raises:
            ValueError: a side is shorter than `backbone.least_px`.
        """
        return self.compare(self.features(picture), self.features(truth))

    def compare(self, here: list[Tensor], there: list[Tensor]) -> Float[Tensor, " n"]:
        """Distance of pictures whose `features` are known."""
        total = torch.zeros(len(here[0]), device=here[0].device)
        for one, other, layer in zip(here, there, self.linear.values(), strict=True):
            total = total + layer((_unit(one) - _unit(other)).square()).mean((1, 2, 3))
        return total

    def features(self, picture: Float[Tensor, "n 3 height width"]) -> list[Tensor]:
        """The classifier's activations at every tap, [n, channels, rows, columns] each.

        Raises:
            ValueError: a side is shorter than `backbone.least_px`.
        """
        if min(picture.shape[-2:]) < self.backbone.least_px:
            raise ValueError(f"{self.name} needs pictures of at least {self.backbone.least_px} px a side")
        found, now = [], (picture * 2 - 1 - self.mean) / self.spread
        for number, layer in enumerate(self.classifier.features):
            now = layer(now)
            if number in self.backbone.taps:
                found.append(now)
        return found


def find_lpips(backbone: str) -> Lpips | None:
    """LPIPS with this backbone where the user has brought both of its files, else None.

    Raises:
        UserError: a file is there and is not what its name says.
    """
    files = BACKBONES[backbone]
    classifier, layers = assets.find(files.classifier), assets.find(files.layers)
    return Lpips.load(backbone, classifier, layers) if classifier and layers else None


def _unit(features: Tensor) -> Tensor:
    length = features.square().sum(1, keepdim=True).clamp_min(_TINY**2).sqrt()  # the slope of a root at 0 is infinite
    return features / (length + _TINY)
