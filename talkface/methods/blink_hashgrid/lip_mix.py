"""Whose mouth is shown: the transformer's, the lip predictors', or their mean, at the person's own amplitude."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from talkface.audio.lips import LipPredictor
from talkface.audio.mouth import MOVING
from talkface.methods.blink_hashgrid.motion_config import MotionConfig


def mixed_lips(
    landmarks: Float[np.ndarray, "frames 68 3"],
    mel: Float[np.ndarray, "rows bands"],
    predictor: LipPredictor,
    config: MotionConfig,
) -> Float[np.ndarray, "frames 68 3"]:
    """The transformer's landmarks with mouth and chin as `config.lips` says; eyes, brows and the rest stay its own.

    The mean is taken of standardised mouth values before variance is matched, as the lip predictors themselves are
    averaged (design page lip-sync): averaging gives correlation and takes amplitude, matching returns it.

    Args:
        landmarks: Of `MotionModel.landmarks`, cm.
        mel: Log-mel of the same speech, normalised as the predictor wants it.
        predictor: The person's lip predictor; for `lips="dlt"` it only lends the person's mouth statistics.
    """
    share = {"dlt": 1.0, "predictors": 0.0, "average": config.dlt_weight}[config.lips]
    targets, space = predictor.targets, predictor.space
    values = np.zeros((len(landmarks), len(targets.mean)), np.float32)
    if share > 0:
        values += share * targets.standard(space.encode(landmarks.astype(np.float32)))
    if share < 1:
        values += (1 - share) * predictor.standard_values(mel, len(landmarks))
    if config.match_variance and len(values):
        values = predictor.matched(values)
    mixed = landmarks.copy()
    moving = list(MOVING)
    mixed[:, moving] = space.decode(targets.plain(values))[:, moving]
    return mixed
