"""Mesh points of a head whose pose, shape and lids are known, seen with the detector's own kind of noise.

What the tracker's figures and tests are held against. Noise as measured on real frames (tracking.md §4): about 20
modes over the whole face hold 92 % of it, and it keeps 0.7 of itself from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from talkface.face.basis import EYES, LIPS, FaceBasis
from talkface.face.detect import FACE_OVAL
from talkface.face.fit import FLAT, Motion, Person, linearise
from talkface.face.flow import FLOW_POINTS
from talkface.face.look import Sightings
from talkface.geometry import rotation_from_angles

NOISE_MODES, NOISE_IN_MODES, NOISE_KEPT = 20, 0.92, 0.7
_MISMATCH_CM = 0.06
_IRIS_DISTANCE_CM = 6.3


@dataclass(frozen=True, eq=False)
class Truth:
    """A known head and what a detector would say of it."""

    person: Person
    motion: Motion
    """Camera from head."""
    mean_shape: Float[np.ndarray, "468 3"]
    """Mean over the clip, head frame, cm."""
    sightings: Sightings
    closure: Float[np.ndarray, "frames 2"]
    clean_px: Float[np.ndarray, "frames 468 2"]
    """Points without noise."""


def draw_motion(basis: FaceBasis, generator: np.random.Generator, frames: int, focal_px: float, width: int) -> Motion:
    """Somebody talking to a camera: sway and judder of the head, syllables, brows, and blinks of five frames."""
    spread = np.deg2rad([7.0, 4.0, 3.0])
    angles = spread * _wander(generator, frames, 3, 45.0) + 0.04 * spread * _wander(generator, frames, 3, 5.0)
    rotation = FLAT @ rotation_from_angles(*angles.T)
    depth = focal_px * 5.3 * _IRIS_DISTANCE_CM / width  # irises 97 px apart in 512, as in a close-up
    place = _wander(generator, frames, 3, 60.0) * (1.2, 0.7, 1.0) + _wander(generator, frames, 3, 6.0) * 0.1
    translation = place + np.array([0.0, 0.0, depth])
    expression = np.clip(0.12 * _wander(generator, frames, len(basis.names), 8.0) - 0.05, 0, 1)
    for index, name in enumerate(basis.names):
        if name == "jawOpen":
            expression[:, index] = np.clip(0.12 + 0.13 * _wander(generator, frames, 1, 3.0)[:, 0], 0, 0.6)
    if basis.blink is not None:
        lids = _blinks(generator, frames)
        expression[:, list(basis.blink)] = lids[:, None]
    return Motion(rotation, translation, expression)


def observe(
    basis: FaceBasis,
    generator: np.random.Generator,
    motion: Motion,
    focal_px: float,
    size_px: tuple[int, int],
    *,
    noise: float = 1.0,
    flow_noise: float | None = 0.002,
) -> Truth:
    """Project a random person moving like `motion`, and add the detector's noise.

    Args:
        noise: Times the measured noise (eyes 0.41, lips 0.44, oval 0.88, rest 0.64 % of the iris distance).
        flow_noise: Noise of the flow, fraction of the iris distance; None: no flow was seen.
    """
    frames = len(motion)
    identity = generator.standard_normal(len(basis.identity))
    offset = _MISMATCH_CM / np.sqrt(3) * generator.standard_normal((468, 3))
    person = Person(focal_px, identity, offset)
    shapes = basis.shapes(identity, offset, motion.expression)
    clean = linearise(shapes, motion, focal_px).points
    unit = focal_px / motion.translation[:, 2] * _IRIS_DISTANCE_CM
    placed = shapes @ np.swapaxes(motion.rotation, 1, 2)
    depth = placed[..., 2] * (unit / _IRIS_DISTANCE_CM)[:, None]
    error = detector_noise(basis, generator, frames) * unit[:, None, None] * noise
    centre = np.array([size_px[1] / 2, size_px[0] / 2])
    points = np.empty((frames, 478, 3))
    points[:, :468, :2] = clean + error[..., :2] + centre
    points[:, :468, 2] = depth + 2 * error[..., 2]
    for row, corners in ((range(468, 473), (33, 133)), (range(473, 478), (362, 263))):
        points[:, list(row)] = points[:, list(corners)].mean(1, keepdims=True)
    flow = np.zeros((frames, len(FLOW_POINTS), 2))
    trusted = np.zeros(flow.shape[:2], bool)
    if flow_noise is not None:
        flow[1:] = np.diff(clean[:, list(FLOW_POINTS)], axis=0)
        flow[1:] += flow_noise * unit[1:, None, None] * generator.standard_normal(flow[1:].shape)
        trusted[1:] = True
    lids = motion.expression[:, list(basis.blink)] if basis.blink else np.zeros((frames, 2))
    calm = np.ones(frames)
    sightings = Sightings(points, flow, trusted, size_px, np.zeros(frames, bool), calm, calm)
    return Truth(person, motion, shapes.mean(0), sightings, lids, clean)


def detector_noise(basis: FaceBasis, generator: np.random.Generator, frames: int) -> Float[np.ndarray, "frames 468 3"]:
    """Noise in units of the iris distance: smooth fields over the face, correlated in time, and a little per point."""
    sigma = np.full(468, 0.0064)
    sigma[list(FACE_OVAL)] = 0.0088
    sigma[list(LIPS)] = 0.0044
    sigma[list(EYES)] = 0.0041
    # Random plane waves some 8 cm long: smooth over a cheek, different from brow to chin.
    count = NOISE_MODES
    wave = generator.standard_normal((count, 3)) * (2 * np.pi / 8.0)
    phase = generator.uniform(0, 2 * np.pi, (count, 1))
    direction = generator.standard_normal((count, 1, 3))
    modes = np.cos(wave @ basis.neutral.T + phase)[..., None] * direction
    modes /= np.sqrt((modes**2).sum(0).mean(0))
    amplitude = _ar1(generator, frames, count)
    own = _ar1(generator, frames, 468 * 3).reshape(frames, 468, 3)
    mixed = np.sqrt(NOISE_IN_MODES) * np.tensordot(amplitude, modes, 1) + np.sqrt(1 - NOISE_IN_MODES) * own
    return mixed * sigma[:, None]


def _ar1(generator: np.random.Generator, frames: int, count: int) -> np.ndarray:
    values = generator.standard_normal((frames, count))
    for index in range(1, frames):
        values[index] = NOISE_KEPT * values[index - 1] + np.sqrt(1 - NOISE_KEPT**2) * values[index]
    return values


def _wander(generator: np.random.Generator, frames: int, count: int, period_frames: float) -> np.ndarray:
    """Smooth unit-variance paths whose fastest part takes about `period_frames`."""
    from scipy.ndimage import gaussian_filter1d

    width = period_frames / 4
    raw = generator.standard_normal((frames + int(8 * width), count))
    smooth = gaussian_filter1d(raw, width, axis=0)[int(4 * width) : int(4 * width) + frames]
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * width)


def _blinks(generator: np.random.Generator, frames: int) -> np.ndarray:
    lids = np.zeros(frames)
    shape = np.array([0.35, 0.85, 1.0, 0.8, 0.45, 0.15])
    at = int(generator.integers(15, 40))
    while at + len(shape) < frames:
        lids[at : at + len(shape)] = shape
        at += int(generator.integers(40, 90))
    return lids
