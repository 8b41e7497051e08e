"""Eyeballs: a ball of rings about the line of sight, with pupil, iris, limbus and a shaded, veined white."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from talkface.geometry import rotation_from_angles

_SEGMENTS = 32
_RINGS_MM = np.array([0.0, 1.9, 2.2, 3.2, 4.4, 5.3, 5.7, 6.2, 7.2, 9.0, 11.0, 13.0])
"""Distance of the rings from the line of sight on a ball of 14.8 mm radius; the iris ends at 5.9 mm."""


@dataclass(frozen=True, eq=False)
class Eyeballs:
    """Both eyes of a head: the subject's right, then left."""

    centre: Float[np.ndarray, "2 3"]
    """Head frame, cm."""
    radius: float
    template: Float[np.ndarray, "vertices 3"]
    """One ball of unit radius that looks along +z."""
    triangles: Int[np.ndarray, "triangles 3"]
    """Of both balls."""
    colour: Float[np.ndarray, "both 3"]
    """Linear albedo per vertex of both balls."""

    def vertices(self, gaze: Float[np.ndarray, "2"]) -> Float[np.ndarray, "both 3"]:
        """Both balls looking along yaw, pitch relative to the head, radians."""
        turned = self.radius * self.template @ rotation_from_angles(gaze[0], gaze[1], 0.0).T
        return (turned[None] + self.centre[:, None]).reshape(-1, 3).astype(np.float32)


def eyeballs(
    centre: Float[np.ndarray, "2 3"], radius: float, iris: Float[np.ndarray, "3"], generator: np.random.Generator
) -> Eyeballs:
    """Eyeballs with an iris of the given linear colour."""
    sine = _RINGS_MM / 14.8
    angle = np.concatenate([np.arcsin(sine), np.radians([72.0, 90.0, 105.0])])
    around = np.arange(_SEGMENTS) / _SEGMENTS * 2 * np.pi
    ring, turn = np.meshgrid(angle, around, indexing="ij")
    template = np.stack([np.sin(ring) * np.cos(turn), np.sin(ring) * np.sin(turn), np.cos(ring)], -1)

    streak = 1 + 0.28 * generator.standard_normal(_SEGMENTS)
    white = np.array([0.66, 0.62, 0.58])
    colour = np.zeros((len(angle), _SEGMENTS, 3))
    colour[:2] = 0.004
    for index, gain in zip(range(2, 6), (0.75, 1.25, 1.0, 0.6), strict=True):
        colour[index] = iris * gain * streak[:, None].clip(0.4, 1.7)
    colour[6] = iris * 0.22
    colour[7] = 0.6 * white
    pink = np.linspace(0, 1, len(angle) - 8)[:, None, None]
    colour[8:] = white * (1 - pink * np.array([0.15, 0.45, 0.45]))

    first, second = np.arange(len(angle) - 1), np.arange(_SEGMENTS)
    a = (first[:, None] * _SEGMENTS + second).ravel()
    b = (first[:, None] * _SEGMENTS + (second + 1) % _SEGMENTS).ravel()
    one = np.concatenate([np.stack([a, a + _SEGMENTS, b], -1), np.stack([b, a + _SEGMENTS, b + _SEGMENTS], -1)])
    count = len(angle) * _SEGMENTS
    return Eyeballs(
        centre=np.asarray(centre, np.float32),
        radius=float(radius),
        template=template.reshape(-1, 3).astype(np.float32),
        triangles=np.concatenate([one, one + count]).astype(np.int64),
        colour=np.tile(colour.reshape(-1, 3), (2, 1)).astype(np.float32),
    )
