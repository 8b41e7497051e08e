"""How the built-in head moves and varies: expression shapes under ARKit's names, and identity modes.

Every shape is a displacement field over the place of a vertex on the shut face, with its side of the parting of lips or
lids; amplitudes are our modelling, in cm at weight 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from talkface.data.synthetic.builtin_shape import EYE_CORNERS, EYE_LINE, MOUTH_HALF, MOUTH_LINE, bump, lid_lines, lips
from talkface.geometry import rotation_from_vector

_HINGE = np.array([0.0, 1.5, 1.5])
_JAW_RAD = 0.45
"""Of the jaw at weight 1 (our modelling): 3.4 cm between the lips in height, 4.5 cm in space, a mouth opened wide.

The ICT model's opens 3.0 and 3.4 cm; a face detector reads the built-in lips better when they part further."""
_LOWER, _UPPER, _JAW, _FIXED = range(4)


def _smooth(t: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    t = t.clip(0, 1)
    return t * t * (3 - 2 * t)


def _vector(
    x: np.ndarray | float | int, y: np.ndarray | float | int, z: np.ndarray | float | int
) -> Float[np.ndarray, "n 3"]:
    return np.stack(np.broadcast_arrays(x, y, z), -1)


def expressions(
    points: Float[np.ndarray, "n 3"], places: Float[np.ndarray, "n 2"], sides: Int[np.ndarray, " n"]
) -> tuple[tuple[str, ...], Float[np.ndarray, "expression n 3"]]:
    """Names and displacement fields of every expression."""
    shapes = _jaw_shapes(points, places, sides) | _lip_shapes(places, sides) | _eye_shapes(points, places, sides)
    shapes |= _face_shapes(places)
    moving = (sides != _FIXED)[:, None]
    teeth = (sides == _JAW)[:, None]
    fields = []
    for name, field in shapes.items():
        keeps = moving & (~teeth if not name.startswith("jaw") else True)
        fields.append(np.where(keeps, field, 0.0))
    return tuple(shapes), np.stack(fields)


def _jaw_share(points: np.ndarray, places: np.ndarray, sides: np.ndarray) -> Float[np.ndarray, " n"]:
    """How far each vertex goes with the jaw."""
    x, up = np.abs(places[:, 0]), places[:, 1] - MOUTH_LINE
    corner = (x / MOUTH_HALF).clip(0, 1) ** 3
    near = np.exp(-((up / 1.7) ** 2))
    upper_lip = (sides == _UPPER) & (np.abs(up) < 1e-6)
    below = (up < 0) | ((np.abs(up) < 1e-6) & ~upper_lip)
    share = np.where(below, 1 - 0.5 * corner * near, 0.5 * corner * near)
    share = share * _smooth((points[:, 2] - 0.5) / 4.5) * _smooth((places[:, 1] + 13.5) / 4.5)
    share = np.where(x > 19, 0, share)
    return np.where(sides == _JAW, 1.0, share)


def _jaw_shapes(points: np.ndarray, places: np.ndarray, sides: np.ndarray) -> dict[str, np.ndarray]:
    share = _jaw_share(points, places, sides)[:, None]
    turn = (rotation_from_vector(np.array([_JAW_RAD, 0, 0])) - np.eye(3)).T
    lowered = (points - _HINGE) @ turn * share
    x, up = places[:, 0], places[:, 1] - MOUTH_LINE
    lip = np.exp(-((up / 1.1) ** 2)) * _smooth((MOUTH_HALF + 1.2 - np.abs(x)) / 1.6)
    upper = (sides == _UPPER) & (up > -1e-6)
    corner = (np.abs(x) / MOUTH_HALF).clip(0, 1) ** 3
    # mouthClose brings the lips together again wherever jawOpen has parted them, the lower one further.
    middle = points[np.argmin(np.hypot(x, up) + 9.0 * (sides != _UPPER))]
    _, down, back = ((middle - _HINGE) @ turn)[:, None] * (1 - corner) * lip
    close = _vector(0, np.where(upper, 0.35 * down, -0.65 * down), np.where(upper, 0.35 * back, -0.65 * back))
    return {
        "jawOpen": lowered,
        "jawForward": share * np.array([0, 0, 0.8]),
        "jawLeft": share * np.array([0.9, 0, 0]),
        "jawRight": share * np.array([-0.9, 0, 0]),
        "mouthClose": close,
    }


def _lip_shapes(places: np.ndarray, sides: np.ndarray) -> dict[str, np.ndarray]:
    x, up = places[:, 0], places[:, 1] - MOUTH_LINE
    around = np.exp(-((x / 2.9) ** 4) - (up / 1.7) ** 2)
    upper = (sides == _UPPER) & (up > -1e-6)
    middle = (1 - (x / (MOUTH_HALF + 0.3)) ** 2).clip(0)
    narrow = np.exp(-(((np.abs(x) - 1.2) / 2.2) ** 2) - (up / 1.9) ** 2) * (x / 2.2).clip(-1, 1)
    upper_border, lower_border = lips(x)
    red = np.where(upper, up <= upper_border + 0.25, up >= lower_border - 0.25).astype(float)
    edge = 1 - np.exp(-((up / 0.35) ** 2))  # 0 where the lips meet: pressed and rolled lips do not pass each other
    parted = np.where(upper, 1.0, -1.0) * np.exp(-((up / 1.2) ** 2)) * middle
    shapes = {
        "mouthFunnel": _vector(-0.75 * narrow, 0.42 * parted, 0.75 * around),
        "mouthPucker": _vector(-1.15 * narrow, 0.12 * parted * np.abs(up), 0.85 * around),
        "mouthLeft": _vector(0.9 * around, 0, 0),
        "mouthRight": _vector(-0.9 * around, 0, 0),
        "mouthRollLower": _vector(0, 0.32 * ~upper * around * middle, -0.25 * ~upper * red * middle),
        "mouthRollUpper": _vector(0, -0.22 * upper * edge * around * middle, -0.5 * upper * red * middle),
        "mouthShrugLower": _vector(
            0,
            0.4 * bump(x, places[:, 1], (0.0, -5.6), (2.2, 1.8)),
            0.25 * bump(x, places[:, 1], (0.0, -4.4), (1.8, 0.9)),
        ),
        "mouthShrugUpper": _vector(0, 0.25 * upper * around, 0.2 * upper * around),
    }
    for name, side in (("L", 1.0), ("R", -1.0)):
        half = _smooth((side * x + 0.9) / 1.8)
        corner = np.exp(-(((side * x - MOUTH_HALF) / 1.5) ** 2) - (up / 1.5) ** 2)
        cheek = np.exp(-(((side * x - 4.2) / 1.7) ** 2) - ((up - 3.4) / 1.8) ** 2)
        inner = half * middle
        shapes |= {
            f"mouthSmile_{name}": _vector(
                side * 0.75 * corner, 0.75 * corner + 0.35 * cheek, -0.35 * corner + 0.3 * cheek
            ),
            f"mouthFrown_{name}": _vector(side * 0.1 * corner, -0.7 * corner, 0),
            f"mouthStretch_{name}": _vector(side * 0.9 * corner, -0.25 * corner, -0.3 * corner),
            f"mouthDimple_{name}": _vector(side * 0.35 * corner, 0.1 * corner, -0.4 * corner),
            f"mouthPress_{name}": _vector(0, np.where(upper, -0.08, 0.08) * edge * around * half, -0.12 * red * inner),
            f"mouthLowerDown_{name}": _vector(
                0, -0.75 * ~upper * np.exp(-((up / 1.5) ** 2)) * inner, 0.1 * ~upper * around * half
            ),
            f"mouthUpperUp_{name}": _vector(
                0, 0.65 * upper * np.exp(-((up / 1.6) ** 2)) * inner, 0.1 * upper * around * half
            ),
        }
    return shapes


def _eye_shapes(points: np.ndarray, places: np.ndarray, sides: np.ndarray) -> dict[str, np.ndarray]:
    x, up = places[:, 0], places[:, 1] - EYE_LINE
    inner, outer = EYE_CORNERS
    within = (np.abs(x) > inner) & (np.abs(x) < outer) & (np.abs(up) < 1.6) & (points[:, 2] > 5)
    upper_line, lower_line = lid_lines(x)
    gap = (upper_line - lower_line) * within
    upper = (sides == _UPPER) & (up > -1e-6)
    above, below = (1 - (up / 1.5).clip(0, 1)) ** 2, (1 - (-up / 1.3).clip(0, 1)) ** 2
    lid = np.where(upper, above, 0.0)
    low = np.where(~upper, below, 0.0)
    shapes: dict[str, np.ndarray] = {}
    for name, side in (("L", 1.0), ("R", -1.0)):
        eye = side * x > 0
        shapes |= {
            f"eyeBlink_{name}": _vector(0, eye * gap * (-0.86 * lid + 0.16 * low), 0.04 * eye * within * lid),
            f"eyeWide_{name}": _vector(0, eye * gap * (0.32 * lid - 0.1 * low), 0),
            f"eyeSquint_{name}": _vector(0, eye * gap * (-0.12 * lid + 0.34 * low), 0.05 * eye * low * within),
            f"eyeLookDown_{name}": _vector(0, eye * gap * (-0.42 * lid - 0.06 * low), 0),
            f"eyeLookUp_{name}": _vector(0, eye * gap * (0.22 * lid + 0.06 * low), 0),
        }
    return shapes


def _face_shapes(places: np.ndarray) -> dict[str, np.ndarray]:
    x, y = places[:, 0], places[:, 1]
    shapes: dict[str, np.ndarray] = {}
    for name, side in (("L", 1.0), ("R", -1.0)):
        half = _smooth((side * x + 0.5) / 1.0)

        def hill(cx: float, cy: float, w: float, h: float, half: np.ndarray = half) -> np.ndarray:
            return half * bump(x, y, (cx, cy), (w, h))

        brow_in, brow_out, brow = hill(1.3, 5.9, 1.6, 1.6), hill(4.6, 6.2, 1.8, 1.6), hill(2.8, 5.8, 2.9, 1.3)
        cheek, puff = hill(3.9, 1.1, 1.9, 1.4), hill(4.3, -3.2, 2.0, 2.2)
        wing = hill(1.25, -0.4, 0.9, 1.1)
        shapes |= {
            f"browInnerUp_{name}": _vector(0, 0.85 * brow_in, 0.1 * brow_in),
            f"browOuterUp_{name}": _vector(0, 0.8 * brow_out, 0.05 * brow_out),
            f"browDown_{name}": _vector(-side * 0.3 * brow_in, -0.6 * brow, 0.15 * brow_in),
            f"cheekSquint_{name}": _vector(0, 0.5 * cheek, 0.3 * cheek),
            f"cheekPuff_{name}": _vector(side * 0.7 * puff, 0, 0.8 * puff),
            f"noseSneer_{name}": _vector(side * 0.1 * wing, 0.45 * wing + 0.2 * hill(1.6, -2.2, 1.1, 0.9), 0.1 * wing),
        }
    return shapes


def identities(points: Float[np.ndarray, "n 3"], places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "modes n 3"]:
    """Unit-variance modes: sizes and proportions of skull, jaw, nose, lips, brows and eyes."""
    x, y, z = points.T
    px, py = places.T
    lower = _smooth((-1.0 - y) / 6) * _smooth((y + 16) / 5)
    front = _smooth((z - 2) / 5)
    nose = front * np.exp(-((x / 1.5) ** 2) - ((y - 0.8) / 2.2) ** 2)
    tip = front * np.exp(-((x / 1.2) ** 2) - ((y - 0.0) / 1.0) ** 2)
    mouth = front * np.exp(-((x / 2.8) ** 4) - ((y - MOUTH_LINE) / 1.5) ** 4)
    chin = front * np.exp(-((x / 2.6) ** 2) - ((y + 6.9) / 1.6) ** 2)
    forehead = _smooth((y - 5) / 4)
    eyes = front * np.exp(-(((np.abs(px) - 3.1) / 2.2) ** 4) - ((py - 3.4) / 1.7) ** 4)
    neck = _smooth((-7.5 - y) / 3)
    zero = 0 * x
    modes = [
        _vector(0.045 * x * (1 - neck), zero, zero),
        _vector(zero, 0.035 * (y - 3.4) * (1 - neck) * lower * 2.2, zero),
        _vector(0.05 * x * lower * (1 - neck), zero, zero),
        _vector(zero, zero, 0.28 * chin) + _vector(zero, -0.20 * chin, zero),
        _vector(0.14 * x * nose, zero, zero),
        _vector(zero, -0.28 * tip, 0.08 * tip),
        _vector(zero, zero, 0.28 * nose),
        _vector(zero, zero, 0.3 * bump(px, py, (4.5, 0.8), (1.9, 1.5)) * front),
        _vector(zero, zero, 0.2 * bump(px, py, (2.6, 5.7), (3.0, 1.0)) * front),
        _vector(0.11 * np.sign(x) * eyes, zero, zero),
        _vector(zero, 0.12 * (y - MOUTH_LINE) * mouth, 0.06 * mouth),
        _vector(0.07 * x * mouth, zero, zero),
        _vector(zero, 0.22 * forehead, -0.15 * forehead * front),
        _vector(zero, zero, 0.03 * z * (1 - neck) * (z < 2)),
        _vector(zero, 0.16 * mouth, zero),
        _vector(zero, 0.14 * bump(px, py, (3.2, 5.9), (2.6, 1.2)) * front, zero),
    ]
    return np.stack(modes)
