"""Synthetic speech whose mouth is known: bursts of filtered noise, opening and width follow two loudnesses."""

from __future__ import annotations

import numpy as np

from talkface.types import FPS, Speech


def smooth(values: np.ndarray, length: int) -> np.ndarray:
    kernel = np.hanning(length)
    return np.convolve(values, kernel / kernel.sum(), "same")


def face() -> np.ndarray:
    """Neutral 68 landmarks, cm: only what the mouth needs is shaped."""
    points = np.zeros((68, 3))
    points[36], points[45] = (-4.4, 3, -1), (4.4, 3, -1)
    for index in range(4, 13):
        points[index] = (1.2 * (index - 8), -7 + 0.12 * (index - 8) ** 2, -1)
    angle = np.linspace(np.pi, -np.pi, 13)[:-1]
    points[48:60] = np.stack([2.5 * np.cos(angle), -4 + np.sin(angle), 0.5 * np.ones(12)], 1)
    inner = np.linspace(np.pi, -np.pi, 9)[:-1]
    points[60:68] = np.stack([2 * np.cos(inner), -4 + 0.02 * np.sin(inner), 0.5 * np.ones(8)], 1)
    return points


def talking(seconds: float, seed: int = 0, late_frames: int = 0) -> tuple[Speech, np.ndarray, np.ndarray]:
    """Speech, pose-free landmarks [frames, 68, 3] (cm) and the true opening (cm); the sound `late_frames` late."""
    draw = np.random.default_rng(seed)
    frames = int(seconds * FPS)
    fine = frames * 4 + 400
    loudness = [np.maximum(smooth(draw.normal(size=fine), 25) * 3, 0) for _ in range(2)]
    low = smooth(draw.normal(size=(fine + 10) * 160), 60)[: fine * 160]
    high = np.diff(draw.normal(size=fine * 160 + 1))
    envelope = [np.repeat(each, 160) for each in loudness]
    sound = (
        0.3 * envelope[0] * low / low.std() + 0.1 * envelope[1] * high / high.std() + draw.normal(0, 1e-3, fine * 160)
    )
    moment = 200 + 4 * np.arange(frames)
    opening, wide = 1.2 * loudness[0][moment], 0.6 * loudness[1][moment]
    landmarks = np.tile(face(), (frames, 1, 1))
    landmarks[:, [65, 66, 67], 1] -= opening[:, None]
    landmarks[:, 55:60, 1] -= opening[:, None]
    landmarks[:, 4:13, 1] -= 0.8 * opening[:, None]
    landmarks[:, 54, 0] += wide / 2
    landmarks[:, 48, 0] -= wide / 2
    start = (200 - 4 * late_frames) * 160
    waveform = (sound[start : start + frames * 640] / 8).astype(np.float32)
    true = np.linalg.norm(landmarks[:, [61, 62, 63]] - landmarks[:, [67, 66, 65]], axis=-1).mean(-1)
    return Speech(waveform), (landmarks + draw.normal(0, 0.01, landmarks.shape)).astype(np.float32), true
