"""A person's own amplitude and closed lips, given back to a prediction that has regressed towards the mean.

A net that minimises its error mumbles: its mouth moves less than the true one and hardly ever shuts. The mend is the
design page lip-sync's variance matching, and then ours: where the prediction lies lowest, the opening is lowered until
the lips are shut as often as the person's own. It leaves the correlation as it is and makes bilabials visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from talkface.types import FPS

MATCH_FROM_S = 5.0
"""Shorter speech takes what was found on held-out training speech instead of its own statistics."""
CLOSED_BELOW = 0.15
"""Lips are shut under this part of the person's opening range, 2nd to 95th percentile (design page lip-sync)."""
FADE_SHARE = 0.25
"""Frames above the shut ones over which the lowering fades out (ours; 0.15 to 0.6 made no difference)."""
LARGEST_SHIFT = 1.0
"""The opening is lowered by no more than this many deviations (ours; 0 to 0.7 were seen)."""


@dataclass(frozen=True)
class Matching:
    """What is done to mouth values with mean 0 and deviation 1 over training; the first of them is the opening."""

    gain: Float[np.ndarray, " values"]
    """Deviation of the truth over that of the prediction, on training frames that were held out."""
    closing: Float[np.ndarray, "4"]
    """Share of training frames with shut lips (0: leave the opening alone), opening under which lips are shut, range of
    openings above it over which lowering fades out, and how far to lower, as found on those frames."""

    @classmethod
    def of(
        cls,
        predicted: Float[np.ndarray, "frames values"],
        truth: Float[np.ndarray, "frames values"],
    ) -> Matching:
        """From the training frames, each predicted without having been seen."""
        gain = np.clip(truth.std(0) / np.maximum(predicted.std(0), 1e-6), 1.0, 2.0).astype(np.float32)
        opening = truth[:, 0]
        lowest, highest = np.percentile(opening, [2, 95])
        level = lowest + CLOSED_BELOW * (highest - lowest)
        share = float((opening < level).mean())
        reach = max(float(np.quantile(opening, min(share + FADE_SHARE, 1.0))) - level, 1e-3)
        matched = predicted[:, 0].mean() + (predicted[:, 0] - predicted[:, 0].mean()) * gain[0]
        shift = _shift(matched, share, level)
        return cls(gain, np.array([share, level, reach, shift], np.float32))

    def __call__(
        self,
        values: Float[np.ndarray, "frames values"],
        low: Float[np.ndarray, " values"],
        high: Float[np.ndarray, " values"],
    ) -> Float[np.ndarray, "frames values"]:
        """`values` with the person's deviation about their own mean and the person's share of shut lips.

        Nothing leaves [low, high]. Order in time of the openings is kept: the map of each clip is monotone.
        """
        long = len(values) >= MATCH_FROM_S * FPS
        gain = self.gain
        if long:
            # Near silence would be blown up into speech, so the clip's own gain stays near that of the training folds.
            gain = np.clip(1 / np.maximum(values.std(0), 1e-6), 0.5 * gain, 2 * gain)
        mean = values.mean(0)
        matched = np.clip(mean + (values - mean) * gain, low, high)
        share, level, reach, shift = (float(number) for number in self.closing)
        if share > 0:
            shift = _shift(matched[:, 0], share, level) if long else shift
            fade = np.clip((level + shift + reach - matched[:, 0]) / reach, 0, 1)
            matched[:, 0] = np.maximum(matched[:, 0] - shift * fade, low[0])
        return matched.astype(np.float32)


def _shift(opening: np.ndarray, share: float, level: float) -> float:
    """How far the lowest `share` of openings must come down to lie under `level`."""
    return float(np.clip(np.quantile(opening, share) - level, 0, LARGEST_SHIFT))
