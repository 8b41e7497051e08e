"""The surface of the built-in head: a skull of flattened rings with features modelled on it as heights over (x, y).

All numbers are our own modelling, from common proportions of adult faces (head frame, cm; eyes at y 3.4, chin at -7.6).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

EYE_CENTRE = np.array([3.15, 3.45, 8.15])
"""Of the subject's left eye; the right one mirrors it."""
EYE_RADIUS = 1.3
EYE_LINE, MOUTH_LINE = 3.4, -3.4
"""Rows along which lids and lips part."""
EYE_CORNERS = (1.78, 4.5)
"""|x| of the inner and outer corner."""
MOUTH_HALF = 2.5

_Y = np.array([-21, -14, -11, -9.6, -8.6, -7.7, -6.6, -5.2, -3.4, -1.5, 0, 1.5, 3.5, 5.2, 7, 9, 11, 12.6, 13.7, 14.3])
_WIDTH = [5.2, 5.2, 5.2, 5.1, 4.95, 5.1, 5.6, 6.2, 6.75, 7.15, 7.3, 7.4, 7.5, 7.55, 7.5, 7.1, 5.9, 4.3, 2.5, 0.02]
_FRONT = [
    4.2,
    4.4,
    5.0,
    6.6,
    8.8,
    10.0,
    10.3,
    10.15,
    10.3,
    10.25,
    10.2,
    10.15,
    10.2,
    10.7,
    10.6,
    9.8,
    7.7,
    5.2,
    2.6,
    0.1,
]
_BACK = [
    -6.2,
    -5.7,
    -5.6,
    -5.7,
    -5.9,
    -6.1,
    -6.5,
    -7.0,
    -7.6,
    -8.2,
    -8.6,
    -8.9,
    -9.2,
    -9.3,
    -9.1,
    -8.3,
    -6.7,
    -4.9,
    -2.6,
    -0.1,
]
_POINTED = [1, 1, 1, 1.05, 1.2, 1.3, 1.2, 1.05, 0.9, 0.85, 0.82, 0.8, 0.8, 0.82, 0.85, 0.95, 1, 1, 1, 1]
_NOSE_Y = np.array([-3.0, -2.2, -1.6, -1.2, -0.9, -0.45, 0.1, 0.6, 1.5, 2.5, 3.5, 4.3, 5.4])
_NOSE = [0.15, 0.25, 0.4, 0.75, 1.5, 2.35, 2.75, 2.6, 1.9, 1.2, 0.65, 0.4, 0.0]
_NOSE_WIDTH = [0.9, 0.9, 0.8, 0.75, 0.85, 1.0, 1.0, 0.95, 0.85, 0.8, 0.75, 0.85, 1.2]


def ring(y: Float[np.ndarray, "..."]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Half width, front and back depth, and pointedness of the skull's section at a height."""
    inside = y.clip(_Y[0], _Y[-1])
    width, front, back, pointed = (PchipInterpolator(_Y, v)(inside) for v in (_WIDTH, _FRONT, _BACK, _POINTED))
    return width, front, back, pointed


def skull(angle: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]) -> tuple[np.ndarray, np.ndarray]:
    """x and z of the bare skull at an angle from the front and a height."""
    width, front, back, pointed = ring(y)
    cosine = np.cos(angle)
    x = width * np.sin(angle)
    middle = 0.12 * front
    z = np.where(cosine > 0, middle + (front - middle) * np.abs(cosine) ** pointed, middle + (middle - back) * cosine)
    return x, z


def lips(x: Float[np.ndarray, "..."]) -> tuple[np.ndarray, np.ndarray]:
    """Height of the upper and of the lower border of the red of the lips, relative to the line between them."""
    along = (1 - (x / (MOUTH_HALF + 0.05)) ** 2).clip(0)
    bow = 1 - 0.16 * np.exp(-((x / 0.35) ** 2))
    return 0.92 * along**0.8 * bow, -1.02 * along**0.65


def lid_lines(x: Float[np.ndarray, "..."]) -> tuple[np.ndarray, np.ndarray]:
    """Height of the upper and of the lower lid's edge, relative to the line between the corners."""
    inner, outer = EYE_CORNERS
    along = ((np.abs(x) - inner) / (outer - inner)).clip(0, 1)
    arch = np.sin(np.pi * along**0.9) ** 0.75
    return 0.60 * arch, -0.40 * np.sin(np.pi * along**1.1) ** 0.8


def bump(
    x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."], centre: tuple[float, float], size: tuple[float, float]
) -> Float[np.ndarray, "..."]:
    """A smooth hill of height 1 at (|x|, y); symmetric."""
    return np.exp(-(((np.abs(x) - centre[0]) / size[0]) ** 2) - ((y - centre[1]) / size[1]) ** 2)


def relief(x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Height of the face's features over the skull; (x, y) on the face at rest."""
    nose = PchipInterpolator(_NOSE_Y, _NOSE, extrapolate=False)(y)
    nose_width = np.interp(y, _NOSE_Y, _NOSE_WIDTH)
    height = np.nan_to_num(nose) * np.exp(-(np.abs(x / nose_width) ** 2.2))
    height += 0.95 * bump(x, y, (1.12, -0.45), (0.48, 0.62))  # wings of the nose
    height -= 0.55 * bump(x, y, (0.55, -1.0), (0.28, 0.22))  # nostrils
    height += 0.38 * bump(x, y, (2.8, 5.7), (2.6, 0.9))  # brow ridge
    height -= 0.55 * bump(x, y, (1.75, 3.8), (0.8, 1.0))  # inner corner of the socket
    height -= 0.50 * bump(x, y, (4.6, 3.4), (1.3, 1.6))  # outer socket
    height += 0.45 * bump(x, y, (4.5, 0.8), (1.9, 1.5))  # cheek bone
    height -= 0.28 * bump(x, y, (4.6, -3.2), (1.3, 1.8))  # hollow of the cheek
    height -= 0.30 * bump(x, y, (6.4, 6.0), (1.2, 2.2))  # temple
    height += 0.42 * bump(x, y, (0.0, -3.3), (2.9, 1.9))  # muzzle
    height -= 0.10 * bump(x, y, (0.0, -1.9), (0.3, 0.7))  # philtrum
    height -= 0.38 * bump(x, y, (0.0, -5.15), (1.9, 0.5))  # groove above the chin
    height += 0.45 * bump(x, y, (0.0, -6.7), (1.5, 1.0))  # chin
    height -= 0.14 * bump(x, y, (2.35, -2.1), (0.35, 1.3))  # fold from nose to mouth
    return height


def lip_relief(x: Float[np.ndarray, "..."], up: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Height of the lips; `up` is the height above the line between them."""
    upper, lower = lips(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(up >= 0, up / upper.clip(0.05), up / lower.clip(None, -0.05))
    inside = share.clip(0, 1.6)
    roll = np.where(share <= 1.6, np.sin(np.pi * (0.30 + 0.60 * inside).clip(0, 1)) ** 0.8, 0)
    taper = (1 - (x / MOUTH_HALF) ** 2).clip(0) ** 0.5
    fullness = np.where(up >= 0, 0.22, 0.32)
    seam = 0.07 * np.exp(-((up / 0.12) ** 2)) * taper
    corner = 0.25 * np.exp(-(((np.abs(x) - MOUTH_HALF) / 0.35) ** 2) - (up / 0.4) ** 2)
    return fullness * roll * taper - seam - corner


def lid_depth(x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]) -> tuple[np.ndarray, np.ndarray]:
    """z of the lids where they lie over the eyeball, and how far (0 to 1) they do."""
    across, up = np.abs(x) - EYE_CENTRE[0], y - EYE_CENTRE[1]
    radius = EYE_RADIUS + 0.14
    over = np.sqrt((radius**2 - (0.9 * across) ** 2 - up**2).clip(0.35))
    away = np.hypot(across / 1.62, up / 1.12)
    weight = ((1.25 - away) / 0.5).clip(0, 1)
    weight = weight * weight * (3 - 2 * weight)
    crease = 0.10 * np.exp(-(((up - 0.95) / 0.12) ** 2)) * (np.abs(across) < 1.6)
    return EYE_CENTRE[2] + over - crease, weight
