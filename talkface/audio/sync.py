"""Are speech and lips in step? Cross-validated regression from the spectrum to the mouth, at every lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from talkface.audio.features import log_mel, normalisation_of, per_frame, windows
from talkface.audio.mouth import eye_distance, opening, width
from talkface.audio.ridge import cross_predictions
from talkface.errors import UserError
from talkface.types import FPS, Speech

REACH_FRAMES = 15
"""Lags that are tried, to either side."""
LEAST_S = 4.0
SURE_R = 0.45
"""From this correlation on, with at least 8 s of speech, the lag can be trusted (measured; docs of the data)."""
IN_STEP_FRAMES = (-1, 2)
"""Lips lead the sound: clips known to be in step read 0 to +2, mostly +1."""
_TYPICAL_FRAMES = 1
_BANDS = 20
_CONTEXT = 2


@dataclass(frozen=True)
class SyncResult:
    """How well, and where, speech and lips agree."""

    r: float
    """Correlation between the true and the predicted opening at the best lag."""
    lag_frames: int
    """Best lag in 25 fps frames; positive: the sound is late. Natural speech reads 0 to +2."""
    curve: Float[np.ndarray, " lags"]
    """Mean correlation of opening, its change and the width at lags -15 ... +15."""
    seconds: float
    """Speech that was judged."""

    @property
    def sure(self) -> bool:
        """Whether the lag may be acted upon."""
        return self.r >= SURE_R and self.seconds >= 8.0

    @property
    def in_step(self) -> bool:
        """Whether the lag is one that natural speech shows."""
        return IN_STEP_FRAMES[0] <= self.lag_frames <= IN_STEP_FRAMES[1]

    @property
    def correction_frames(self) -> int:
        """By how many frames the sound must come earlier; 0 where it is in step or the lag cannot be trusted."""
        return 0 if self.in_step or not self.sure else self.lag_frames - _TYPICAL_FRAMES


def measure(
    speech: Speech,
    landmarks: Float[np.ndarray, "frames 68 dims"],
    valid: Bool[np.ndarray, " frames"],
) -> SyncResult:
    """Judge one clip; frame i of the landmarks (pose-free, any unit) is at i / 25 s of the speech.

    A ridge regression from five frames of log-mel (20 bands) to opening, its change and the width is cross-validated
    over contiguous fifths for every lag at once: the spectrum stays, the mouth is shifted. The change is what makes the
    peak sharp: without it, artificial shifts were found up to 3 frames wrong, with it none by more than 1.

    Raises:
        UserError: fewer than 4 s of valid frames.
    """
    good = valid & np.isfinite(landmarks).all((1, 2))
    if good.sum() < LEAST_S * FPS:
        raise UserError(
            f"{good.sum() / FPS:.1f} s of valid face are too little to judge lip sync; bring at least {LEAST_S:.0f} s"
        )
    frames = len(good)
    open_ = opening(landmarks)
    mouth = np.stack([open_, np.gradient(open_), width(landmarks)], 1) / eye_distance(landmarks[good])
    good &= np.isfinite(mouth).all(1)
    lags = np.arange(-REACH_FRAMES, REACH_FRAMES + 1)
    # The mouth that belongs to the sound at frame s when the sound is late by `lag` is that of frame s - lag.
    source = np.arange(frames)[:, None] - lags
    inside = (source >= 0) & (source < frames)
    source = np.clip(source, 0, frames - 1)
    usable = (inside & good[source]).all(1)
    if usable.sum() < 2.5 * FPS:
        raise UserError("the valid frames are too scattered to judge lip sync; use a clip with longer unbroken speech")
    x = _features(speech, frames)[usable]
    y = mouth[source[usable]].astype(np.float32).reshape(usable.sum(), -1)
    correlations = _correlations(cross_predictions(x, y), y).reshape(-1, len(lags), 3)
    curves = correlations.mean(2)
    strength, best = np.unravel_index(curves.argmax(), curves.shape)
    return SyncResult(
        float(correlations[strength, best, 0]), int(lags[best]), curves[strength], float(usable.sum() / FPS)
    )


def _features(speech: Speech, frames: int) -> np.ndarray:
    mel = per_frame(log_mel(speech), frames)
    few = mel.reshape(frames, _BANDS, -1).mean(2)
    return windows(normalisation_of(few).apply(few), frames, 2 * _CONTEXT + 1, rate_hz=FPS).reshape(frames, -1)


def _correlations(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pearson r of every strength and output."""
    a, b = predicted - predicted.mean(1, keepdims=True), truth - truth.mean(0)
    return (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(0) + 1e-12)
