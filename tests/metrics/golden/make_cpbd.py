"""Run the public package `cpbd` on small drawn pictures and keep pictures and values (see README.md).

python make_cpbd.py FOLDER_OF_cpbd-1.0.7
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import scipy.ndimage
from PIL import Image, ImageDraw

# The package is from 2018: names that its imports miss in current libraries. It needs neither value to compute.
scipy.ndimage.imread = None
edges = ModuleType("skimage.filters.edges")
edges.HSOBEL_WEIGHTS = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 4
sys.modules["skimage.filters.edges"] = edges
sys.path.insert(0, sys.argv[1])
import cpbd  # noqa: E402


def drawn(seed: int, size: tuple[int, int]) -> np.ndarray:
    random = np.random.RandomState(seed)
    picture = Image.new("L", size[::-1], 90)
    pen = ImageDraw.Draw(picture)
    for _ in range(25):
        x, y = random.rand(2) * size[::-1]
        wide, high = 5 + 40 * random.rand(2)
        pen.ellipse((x - wide, y - high, x + wide, y + high), fill=int(random.randint(255)))
    return np.asarray(picture, float)


if __name__ == "__main__":
    kept = {}
    for number, (size, blur, noise) in enumerate(
        (((128, 192), 0.45, 0), ((150, 200), 0.8, 4), ((150, 200), 0.7, 0), ((130, 140), 1.2, 12), ((64, 64), 5, 0))
    ):
        picture = scipy.ndimage.gaussian_filter(drawn(number, size), blur)
        picture += noise * np.random.RandomState(number).standard_normal(size)
        kept[f"picture{number}"] = np.rint(picture.clip(0, 255)).astype(np.uint8)
        kept[f"cpbd{number}"] = np.float64(cpbd.compute(kept[f"picture{number}"]))
    np.savez_compressed(Path(__file__).with_name("cpbd.npz"), **kept)
    print({name: value for name, value in kept.items() if name.startswith("cpbd")})
