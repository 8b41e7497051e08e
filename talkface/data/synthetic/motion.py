"""How a speaker moves: head sway and nods that go with the voice, saccades, blinks, raised brows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from talkface.types import SPEECH_HZ, Speech


def loudness(speech: Speech, times_s: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Smoothed loudness of the voice at the given times, about 0 to 1."""
    power = gaussian_filter1d(speech.waveform.astype(float) ** 2, 0.05 * SPEECH_HZ, truncate=3)
    level = np.sqrt(np.interp(times_s, np.arange(len(power)) / SPEECH_HZ, power))
    return (level / max(np.percentile(level, 95), 1e-4)).clip(0, 1.2)


def wander(frames: int, fps: float, seconds: float, generator: np.random.Generator) -> Float[np.ndarray, " frames"]:
    """Smooth noise of unit deviation that forgets itself after about `seconds`."""
    sigma = seconds * fps / 2
    margin = int(4 * sigma) + 1
    noise = gaussian_filter1d(generator.standard_normal(frames + 2 * margin), sigma)[margin : margin + frames]
    return noise * np.sqrt(2 * np.sqrt(np.pi) * sigma)


def head_motion(
    loud: Float[np.ndarray, " frames"], fps: float, amount: float, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "frames 3"]]:
    """Yaw, pitch, roll (radians) and offset (cm) of the head; `amount` 1 is a lively speaker, 0 a still one."""
    frames = len(loud)
    beat = gaussian_filter1d(loud, 0.10 * fps) - gaussian_filter1d(loud, 0.8 * fps)
    active = 0.45 + 0.55 * gaussian_filter1d(loud, 0.6 * fps)
    degrees = np.stack(
        [
            3.6 * wander(frames, fps, 1.6, generator) + 1.2 * active * wander(frames, fps, 0.45, generator),
            1.8 * wander(frames, fps, 1.8, generator) + 0.9 * active * wander(frames, fps, 0.4, generator) - 4.0 * beat,
            1.5 * wander(frames, fps, 1.7, generator) + 0.6 * active * wander(frames, fps, 0.5, generator),
        ],
        -1,
    )
    offset = np.stack([s * wander(frames, fps, 2.5, generator) for s in (0.45, 0.22, 0.55)], -1)
    habit = generator.normal((0.0, -6.5, 0.0), (2.5, 1.5, 1.0))
    angles = np.radians(amount * degrees + habit)
    return angles, amount * offset


def blinks(frames: int, fps: float, per_minute: float, generator: np.random.Generator) -> Float[np.ndarray, "frames 2"]:
    """Closure of the right and left eye: shut in 80 ms, held 40 ms, opened in 160 ms, at irregular intervals."""
    closure = np.zeros((frames, 2))
    if per_minute <= 0:
        return closure
    times = np.arange(frames) / fps
    at = generator.uniform(0.4, 60 / per_minute)
    while at < times[-1] if frames else False:
        depth, stretch = generator.uniform(0.92, 1.0), generator.uniform(0.85, 1.25)
        for eye in range(2):
            phase = (times - at - generator.normal(0, 0.004)) / stretch
            falling, rising = ((phase + 0.10) / 0.08).clip(0, 1), ((0.18 - phase) / 0.16).clip(0, 1)
            shape = np.minimum(falling, rising)
            closure[:, eye] = np.maximum(closure[:, eye], depth * shape * shape * (3 - 2 * shape))
        at += 0.35 + generator.lognormal(np.log(max(60 / per_minute - 0.35, 0.2)) - 0.18, 0.6)
    return closure


def gaze(
    angles: Float[np.ndarray, "frames 3"], fps: float, generator: np.random.Generator
) -> Float[np.ndarray, "frames 2"]:
    """Yaw and pitch of the eyes relative to the head, radians: they hold the camera while the head moves, and jump."""
    frames = len(angles)
    goal = np.zeros((frames, 2))
    frame = 0
    while frame < frames:
        hold = max(2, int(fps * generator.gamma(2.0, 0.55)))
        away = generator.random() < 0.25
        goal[frame : frame + hold] = np.radians(generator.normal(0, (6.0, 3.0) if away else (1.2, 0.8)))
        frame += hold
    settled = gaussian_filter1d(goal, 0.018 * fps, axis=0)
    return (settled - (0.75, 0.35) * angles[:, :2] - (0, np.radians(4.0))).clip(-0.42, 0.42)


def brow_beats(
    loud: Float[np.ndarray, " frames"], fps: float, generator: np.random.Generator
) -> Float[np.ndarray, " frames"]:
    """Raising of the brows, 0 to about 0.6: some of the voice's beats, and a slow drift."""
    beat = (gaussian_filter1d(loud, 0.12 * fps) - gaussian_filter1d(loud, 1.0 * fps)).clip(0)
    chosen = (wander(len(loud), fps, 1.5, generator) > 0.3).astype(float)
    return gaussian_filter1d(2.2 * beat * chosen, 0.06 * fps) + 0.06 * wander(len(loud), fps, 3.0, generator).clip(0)
