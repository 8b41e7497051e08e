"""Casting: what a random person looks like."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from talkface.data.synthetic.paint import Look
from talkface.face.model import FaceModel

_SKINS = np.array([
    [0.64, 0.45, 0.36], [0.58, 0.38, 0.28], [0.50, 0.31, 0.21], [0.42, 0.25, 0.165], [0.30, 0.17, 0.105],
    [0.20, 0.11, 0.07], [0.13, 0.068, 0.045],
])  # fmt: skip
"""Linear albedo from light to dark."""
_HAIRS = np.array([
    [0.012, 0.009, 0.007], [0.03, 0.018, 0.011], [0.08, 0.042, 0.022], [0.21, 0.12, 0.055], [0.36, 0.26, 0.13],
    [0.17, 0.055, 0.022], [0.30, 0.30, 0.30],
])  # fmt: skip
_IRISES = np.array(
    [[0.05, 0.026, 0.014], [0.10, 0.055, 0.025], [0.11, 0.12, 0.05], [0.09, 0.19, 0.28], [0.17, 0.22, 0.24]]
)
_STYLES = ("short", "short", "bob", "crop", "cap")


def identity_of(model: FaceModel, generator: np.random.Generator) -> Float[np.ndarray, " modes"]:
    """Random identity weights, somewhat nearer to the mean than the model's own spread, so that nobody is odd."""
    return generator.normal(0, 0.75, len(model.identity)).clip(-1.8, 1.8)


def look_of(generator: np.random.Generator) -> Look:
    """Random colours, hair and beard that go together."""
    place = generator.uniform(0, len(_SKINS) - 1)
    first = int(min(place, len(_SKINS) - 2))
    skin = _SKINS[first] + (place - first) * (_SKINS[first + 1] - _SKINS[first])
    fair = place < 3
    hair = _HAIRS[generator.integers(0, len(_HAIRS) if fair else 2)] * generator.uniform(0.8, 1.25)
    iris = _IRISES[generator.integers(0, len(_IRISES) if fair else 2)]
    style = str(generator.choice(_STYLES))
    made_up = style == "bob" or generator.random() < 0.25
    rosy = generator.uniform(0.8, 1.15)
    lips = skin * np.array([0.98, 0.60, 0.62]) if not made_up else skin * np.array([0.85, 0.48, 0.50]) + (0.03, 0, 0)
    return Look(
        skin=skin,
        hair=hair,
        lips=lips * np.array([1.0, 1 / rosy, 1 / rosy]),
        iris=iris,
        cap=(0.04 + 0.3 * generator.uniform(0, 1, 3)) * generator.uniform(0.3, 1),
        style=style,
        thickness_cm={"short": 1.0, "bob": 0.8, "crop": 0.3, "cap": 0.6}[style] * generator.uniform(0.8, 1.25),
        hairline_cm=generator.uniform(-0.7, 0.7),
        brow_cm=generator.uniform(0.2, 0.34),
        freckles=generator.choice([0.0, 0.0, 0.6, 1.0]) if fair else 0.0,
        beard=0.0 if made_up else generator.choice([0.0, 0.25, 0.55]),
        lash=0.9 if made_up else 0.4,
    )
