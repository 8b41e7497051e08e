"""What the two sync networks are given, on either side of the comparison."""

from __future__ import annotations

import numpy as np


def inputs() -> dict[str, np.ndarray]:
    """Pictures BGR, cepstra, faces BGR and mel; dark pictures and quiet cepstra, so that outputs are of the order 1."""
    draw = np.random.default_rng(3)
    pictures = draw.integers(0, 12, (7, 224, 224, 3)).astype(np.uint8)
    pictures[2:] = (0.5 * pictures[2:] + 0.5 * pictures[:-2]).astype(np.uint8)
    cepstra = draw.normal(0, 2, (44, 13))
    faces = draw.integers(0, 256, (7, 96, 96, 3)).astype(np.uint8)
    return {"pictures": pictures, "cepstra": cepstra, "faces": faces, "mel": draw.uniform(-4, 4, (3, 16, 80))}
