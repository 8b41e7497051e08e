"""Blink tracks to command the eyes with: the person's own habit, sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from talkface.face.eyes import blink_events
from talkface.types import FPS

LONGEST_FRAMES = 20
"""Longer closures (0.8 s) are looks down or sleep, not blinks."""
REACH_FRAMES = 6
"""Frames of a profile on either side of its deepest one."""
PUBLISHED_GAP_FRAMES = (10, 70)
PUBLISHED_SHAPE = (0.5, 0.9, 1.0, 0.9, 0.5)
"""SadTalker's random blinks, for people whose clip shows fewer than three."""
LEAST_GAP_FRAMES = 5


@dataclass(frozen=True)
class BlinkHabit:
    """How often and how somebody blinks."""

    rate_hz: float
    shape: tuple[float, ...]
    """Mean closure over the frames of a blink, odd length, deepest in the middle."""
    spread: float
    """Standard deviation of the logarithm of the gaps between blinks."""
    blinks: int
    """Blinks it was learned from; 0 means the published habit."""


PUBLISHED_HABIT = BlinkHabit(FPS / np.mean(PUBLISHED_GAP_FRAMES).item(), PUBLISHED_SHAPE, 0.5, 0)


def learn_habit(closure: Float[np.ndarray, " frames"], valid: Bool[np.ndarray, " frames"]) -> BlinkHabit:
    """Rate, gaps and mean profile of a person's blinks; the published habit where there are fewer than three.

    Args:
        closure: Mean of both eyes, 0 open to 1 shut; frames not `valid` count neither as time nor as blinks.
    """
    seen = valid & np.isfinite(closure)
    track = np.where(seen, np.nan_to_num(closure), 0.0)
    events = [(a, b) for a, b in blink_events(track, FPS) if b - a <= LONGEST_FRAMES]
    profiles, peaks = [], []
    for start, stop in events:
        peak = start + int(np.argmax(track[start:stop]))
        around = slice(peak - REACH_FRAMES, peak + REACH_FRAMES + 1)
        if around.start >= 0 and around.stop <= len(track) and seen[around].all():
            profiles.append(track[around])
            peaks.append(peak)
    if len(profiles) < 3:
        return PUBLISHED_HABIT
    gaps = np.diff(peaks)
    spread = float(np.clip(np.log(np.maximum(gaps, 1)).std(), 0.2, 1.2))
    shape = np.mean(profiles, axis=0)
    shape = np.where(shape < 0.1, 0.0, shape) / shape.max() * np.max(profiles, axis=1).mean()
    return BlinkHabit(
        len(events) / (seen.sum() / FPS), tuple(float(c) for c in np.clip(shape, 0, 1)), spread, len(events)
    )


def natural_blinks(
    frames: int, rate_hz: float, shape: tuple[float, ...], generator: np.random.Generator, spread: float = 0.5
) -> Float[np.ndarray, " frames"]:
    """A random closure track with log-normal gaps between blinks.

    Args:
        rate_hz: Mean blinks per second.
        shape: Closure over the frames of one blink, odd length.
        spread: Standard deviation of the logarithm of the gaps.
    """
    closure = np.zeros(frames)
    mean_gap = FPS / rate_hz
    reach = len(shape) // 2
    place = mean_gap * generator.random()  # the clip begins somewhere between two blinks
    while round(place) < frames + reach:
        middle = round(place)
        first, last = max(0, middle - reach), min(frames, middle + reach + 1)
        if first < last:
            window = slice(first - middle + reach, last - middle + reach)
            closure[first:last] = np.maximum(closure[first:last], shape[window])
        gap = mean_gap * np.exp(spread * generator.standard_normal() - spread**2 / 2)
        place += max(gap, LEAST_GAP_FRAMES)
    return closure
