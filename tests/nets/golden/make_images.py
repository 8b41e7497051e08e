"""Run the original LPIPS and pytorch-fid with seeded weights and keep their outputs (see README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pytorch_fid.inception as fid
import torch
import torchvision.models as classifiers
from filler import fill_by_name, pictures

HERE = Path(__file__).parent
PAIRS = {"even": (2, 96, 128), "odd": (1, 75, 67)}


def distances() -> dict[str, np.ndarray]:
    found = {}
    makers = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
    for backbone, maker in makers.items():
        original = getattr(classifiers, maker)

        def filled(pretrained: bool = True, make: Any = original) -> Any:
            net = make(weights=None)
            net.features.load_state_dict(fill_by_name(net.features.state_dict(), "features."))
            return net

        setattr(lpips.pretrained_networks.tv, maker, filled)
        net = lpips.LPIPS(net=backbone, pretrained=False, verbose=False)
        layers = {name: old for name, old in net.state_dict().items() if name.startswith("lin") and "lins" not in name}
        net.load_state_dict(fill_by_name(layers), strict=False)
        for name, (count, height, width) in PAIRS.items():
            one, other = pictures(1, count, height, width), pictures(2, count, height, width)
            found[f"{backbone}_{name}"] = net(one, other, normalize=True).reshape(-1).numpy()
        taps = net.net(net.scaling_layer(2 * pictures(1, *PAIRS["odd"]) - 1))
        for number, tap in enumerate(taps):
            found[f"{backbone}_tap{number}"] = tap.reshape(-1)[:: max(1, tap.numel() // 200)].numpy()
    return found


def features() -> dict[str, np.ndarray]:
    def weights(*_: object, **__: object) -> dict[str, torch.Tensor]:
        shapes = fid._inception_v3(num_classes=1008, aux_logits=False, weights=None)
        return fill_by_name(shapes.state_dict())

    fid.load_state_dict_from_url = weights
    net = fid.InceptionV3(output_blocks=(1, 3)).eval()
    found = {}
    for name, (count, height, width) in {"small": (2, 64, 96), "large": (1, 401, 320)}.items():
        early, last = net(pictures(3, count, height, width))
        found[f"{name}_2048"] = last[..., 0, 0].numpy()
        found[f"{name}_192"] = early.mean((2, 3)).numpy()
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        for name, outputs in (("lpips", distances()), ("inception", features())):
            np.savez_compressed(HERE / f"{name}.npz", **outputs)
            print(name, {k: (v.shape, float(np.abs(v).max())) for k, v in outputs.items()})
