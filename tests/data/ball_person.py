"""A ball with a mouth and two eyes, drawn in closed form: a person whose every pixel and number is known."""

from __future__ import annotations

import numpy as np

from talkface.geometry import head_from_camera, project, rotation_from_angles, to_world
from talkface.types import Camera, Pose, Track

RADIUS_CM = 9.0
MOUTH_Y, EYE_Y, EYE_X = -4.0, 2.0, 3.2


def on_ball(x, y):
    return np.stack([x, y, np.sqrt(np.maximum(RADIUS_CM**2 - np.square(x) - np.square(y), 0))], -1)


def landmarks(opening: float) -> np.ndarray:
    points = np.zeros((68, 2))
    angle = np.linspace(-np.pi, 0, 17)
    points[:17] = np.stack([8.2 * np.cos(angle), 8.2 * np.sin(angle)], 1)
    points[17:27] = np.stack([np.linspace(-5, 5, 10), np.full(10, 4.0)], 1)
    points[27:36] = np.stack([np.linspace(-0.6, 0.6, 9), np.linspace(2, -1.5, 9)], 1)
    for start, side in ((36, -1), (42, 1)):
        turn = np.linspace(np.pi, -np.pi, 7)[:6]
        points[start : start + 6] = np.stack([side * EYE_X + 1.2 * np.cos(turn), EYE_Y + 0.6 * np.sin(turn)], 1)
    outer = np.linspace(np.pi, -np.pi, 13)[:12]
    points[48:60] = np.stack([2.6 * np.cos(outer), MOUTH_Y + (0.7 + opening / 2) * np.sin(outer)], 1)
    inner = np.linspace(np.pi, -np.pi, 9)[:8]
    points[60:68] = np.stack([2.0 * np.cos(inner), MOUTH_Y + opening / 2 * np.sin(inner)], 1)
    return on_ball(points[:, 0], points[:, 1])


def skin(points: np.ndarray, opening: float, closure: float) -> np.ndarray:
    """Colour of head-frame points on the ball."""
    x, y, z = points.T
    colour = np.stack([0.7 + 0.15 * np.sin(0.5 * x), 0.5 + 0.1 * np.cos(0.6 * y), 0.4 + 0.02 * z], 1)
    mouth = (x / 2.2) ** 2 + ((y - MOUTH_Y) / max(opening / 2, 1e-3)) ** 2 < 1
    colour[mouth & (z > 0)] = (0.15, 0.05, 0.05)
    for side in (-1, 1):
        eye = ((x - side * EYE_X) / 1.2) ** 2 + ((y - EYE_Y) / 0.7) ** 2 < 1
        colour[eye & (z > 0)] = (1 - closure) * np.array([0.95, 0.95, 0.98]) + closure * colour[eye & (z > 0)]
    return colour


class BallPerson:
    """Looks like a processed folder."""

    def __init__(self, frames: int = 66, size: tuple[int, int] = (72, 72), seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        time = np.arange(frames)
        angles = 0.15 * np.stack([np.sin(time / 7), np.sin(time / 5 + 1), np.sin(time / 9)])
        shift = np.array([0.0, 0.0, -70.0]) + 1.0 * np.stack([np.sin(time / 6), np.cos(time / 8), 0 * time], 1)
        pose = Pose(rotation_from_angles(*angles), shift)
        self.opening = 0.2 + 1.6 * rng.random(frames)
        lids = (rng.random(frames) < 0.25).astype(float)
        height, width = size
        camera = Camera(1.9 * min(size), (width / 2, height / 2), size)
        points = np.stack([landmarks(one) for one in self.opening])
        pixels = project(to_world(points, pose), camera)
        self.track = Track(
            25.0, camera, pose, np.zeros((frames, 478, 3)), pixels, points, np.stack([lids, lids], 1),
            np.zeros((frames, 2)), np.zeros(1), np.zeros((frames, 1)), ("none",), "average", np.zeros(frames),
            np.ones(frames, bool), ("",) * frames,
        )  # fmt: skip
        cut = frames * 10 // 11
        self.train_indices, self.test_indices = np.arange(cut), np.arange(cut, frames)
        ramp = np.linspace(0.1, 0.4, width)[None, :, None] * np.ones((height, 1, 3)) * [0.5, 1, 2]
        self.background = (ramp * 255).astype(np.uint8)
        self._drawn = [self._draw(index) for index in range(frames)]

    def _draw(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Colour and coverage with 3 x 3 samples per pixel."""
        camera, (height, width) = self.track.camera, self.track.camera.size_px
        view = head_from_camera(self.track.pose, index, camera)
        offsets = (np.arange(3) + 0.5) / 3
        ys, xs = np.arange(height)[:, None] + offsets, np.arange(width)[:, None] + offsets
        y, x = np.meshgrid(ys.ravel(), xs.ravel(), indexing="ij")
        local = np.stack([x - camera.center_px[0], y - camera.center_px[1], np.full_like(x, camera.focal_px)], -1)
        rays = local @ view[:3, :3].T
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        origin = view[:3, 3]
        half = rays @ origin
        under = half**2 - (origin @ origin - RADIUS_CM**2)
        hit = under > 0
        points = origin + rays * (-half - np.sqrt(np.maximum(under, 0)))[..., None]
        colour = np.zeros((*x.shape, 3))
        colour[hit] = skin(points[hit], self.opening[index], self.track.closure[index, 0])
        behind = np.repeat(np.repeat(self.background / 255, 3, 0), 3, 1)
        mixed = np.where(hit[..., None], colour, behind)
        pool = lambda v: v.reshape(height, 3, width, 3, -1).mean((1, 3))  # noqa: E731
        return (pool(mixed) * 255 + 0.5).astype(np.uint8), (pool(hit)[..., 0] * 255 + 0.5).astype(np.uint8)

    def frame(self, index: int) -> np.ndarray:
        return self._drawn[index][0]

    def matte(self, index: int) -> np.ndarray:
        return self._drawn[index][1]

    def labels(self, index: int) -> np.ndarray:
        return (self._drawn[index][1] > 0).astype(np.uint8)

    def torso(self, index: int) -> np.ndarray:
        return np.zeros((*self.track.camera.size_px, 4), np.uint8)
