"""From phonemes to mouth shapes: targets per sound, blended by dominance (co-articulation), plus emotions.

Every sound pulls each channel of the mouth towards its target with a strength that falls off in time, and the mouth is
the strength-weighted mean (Cohen and Massaro's dominance model): rounding spreads to neighbours, a /p/ shuts the lips
whatever stands beside it, /t/ and /k/ leave the lips to the vowels around them. The targets are our choice, in
ARKit-named weights, tuned by eye on the ICT model.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from talkface.data.synthetic.voice import Phoneme
from talkface.errors import UserError

CHANNELS = ("jaw", "seal", "funnel", "pucker", "stretch", "smile", "lower", "upper", "tuck")
"""Jaw opening, lips shut, rounding (open, tight), width (stretched, smiling), lower lip down, upper lip up, lower lip
under the teeth."""

# jaw seal funnel pucker stretch smile lower upper tuck | strength of jaw, lips
_SHAPES: dict[str, tuple[tuple[float, ...], float, float]] = {
    "rest": ((0.0, 0.65, 0, 0, 0, 0, 0, 0, 0), 0.5, 0.45),
    "lips": ((0.05, 1.0, 0, 0.05, 0, 0, 0, 0, 0), 1.6, 5.0),
    "teeth": ((0.08, 0.0, 0, 0, 0.1, 0, 0, 0.3, 0.8), 1.4, 3.0),
    "tongue": ((0.14, 0.0, 0, 0, 0.1, 0, 0.25, 0.1, 0), 1.0, 0.7),
    "ridge": ((0.12, 0.0, 0, 0, 0.1, 0, 0.15, 0.05, 0), 1.0, 0.35),
    "hiss": ((0.05, 0.0, 0.05, 0, 0.3, 0.1, 0.3, 0.15, 0), 1.5, 1.0),
    "hush": ((0.09, 0.0, 0.6, 0.2, 0, 0, 0.2, 0.15, 0), 1.5, 2.0),
    "back": ((0.18, 0.0, 0, 0, 0.05, 0, 0.05, 0, 0), 0.7, 0.3),
    "breath": ((0.20, 0.0, 0, 0, 0, 0, 0, 0, 0), 0.3, 0.2),
    "r": ((0.13, 0.0, 0.35, 0.25, 0, 0, 0, 0, 0), 0.9, 1.2),
    "w": ((0.07, 0.1, 0.15, 0.9, 0, 0, 0, 0, 0), 1.2, 2.5),
    "ee": ((0.14, 0.0, 0, 0, 0.35, 0.4, 0.15, 0.1, 0), 1.0, 1.2),
    "ih": ((0.20, 0.0, 0, 0, 0.25, 0.15, 0.1, 0.05, 0), 1.0, 0.9),
    "eh": ((0.32, 0.0, 0, 0, 0.25, 0.15, 0.2, 0.1, 0), 1.0, 1.0),
    "ae": ((0.46, 0.0, 0, 0, 0.3, 0.15, 0.25, 0.15, 0), 1.1, 1.0),
    "ah": ((0.55, 0.0, 0, 0, 0.05, 0, 0.15, 0.05, 0), 1.1, 1.0),
    "uh": ((0.36, 0.0, 0.05, 0, 0.05, 0, 0.1, 0, 0), 1.0, 0.8),
    "aw": ((0.42, 0.0, 0.45, 0.1, 0, 0, 0, 0, 0), 1.1, 1.4),
    "oh": ((0.30, 0.0, 0.5, 0.3, 0, 0, 0, 0, 0), 1.0, 1.6),
    "oo": ((0.13, 0.0, 0.3, 0.8, 0, 0, 0, 0, 0), 1.0, 1.8),
    "schwa": ((0.20, 0.0, 0.05, 0, 0.05, 0, 0.05, 0, 0), 0.6, 0.5),
    "er": ((0.22, 0.0, 0.4, 0.1, 0, 0, 0.1, 0, 0), 0.9, 1.1),
}
VISEMES = tuple(_SHAPES)

_SOUNDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("_", ("rest",)),
    ("tS", ("hush",)), ("dZ", ("hush",)), ("S", ("hush",)), ("Z", ("hush",)),
    ("aI", ("ah", "ih")), ("aU", ("ah", "oo")), ("OI", ("aw", "ih")), ("eI", ("eh", "ee")), ("oU", ("oh", "oo")),
    ("i@", ("ee", "schwa")), ("e@", ("eh", "schwa")), ("U@", ("oo", "schwa")), ("O@", ("aw", "er")),
    ("o@", ("aw", "er")),
    ("A@", ("ah", "er")), ("A:", ("ah",)), ("O:", ("aw",)), ("3:", ("er",)), ("i:", ("ee",)), ("u:", ("oo",)),
    ("a#", ("uh",)), ("aa", ("ae",)), ("I2", ("ih",)), ("I#", ("ih",)), ("@L", ("schwa", "ridge")),
    ("p", ("lips",)), ("b", ("lips",)), ("m", ("lips",)), ("f", ("teeth",)), ("v", ("teeth",)),
    ("T", ("tongue",)), ("D", ("tongue",)), ("t", ("ridge",)), ("d", ("ridge",)), ("n", ("ridge",)), ("l", ("ridge",)),
    ("s", ("hiss",)), ("z", ("hiss",)), ("k", ("back",)), ("g", ("back",)), ("N", ("back",)), ("x", ("back",)),
    ("h", ("breath",)), ("?", ("breath",)), ("r", ("r",)), ("R", ("r",)), ("w", ("w",)), ("j", ("ee",)),
    ("a", ("ae",)), ("A", ("ah",)), ("0", ("aw",)), ("V", ("uh",)), ("@", ("schwa",)), ("3", ("er",)), ("E", ("eh",)),
    ("e", ("eh",)), ("i", ("ee",)), ("I", ("ih",)), ("O", ("aw",)), ("o", ("oh",)), ("u", ("oo",)), ("U", ("oo",)),
)  # fmt: skip
_FALL_OFF_S = np.array([0.075] + [0.085] * (len(CHANNELS) - 1))
_REACH_S = 0.4
_SPOKEN_JAW = 0.85
"""Share of a viseme's jaw that is spoken (our choice: clear speech; 0.7 mumbles, which a detector reads less well)."""

EMOTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.6, "cheekSquint": 0.45, "eyeSquint": 0.25, "mouthDimple": 0.2, "browOuterUp": 0.15},
    "sad": {"browInnerUp": 0.85, "mouthFrown": 0.55, "browDown": 0.15, "eyeSquint": 0.15, "mouthShrugLower": 0.25},
    "angry": {"browDown": 0.9, "noseSneer": 0.4, "eyeSquint": 0.35, "mouthPress": 0.25, "mouthFrown": 0.25},
    "surprised": {"browInnerUp": 0.8, "browOuterUp": 0.85, "eyeWide": 0.7, "jawOpen": 0.06},
    "fearful": {"browInnerUp": 0.9, "eyeWide": 0.55, "mouthStretch": 0.4, "browDown": 0.15},
    "disgusted": {"noseSneer": 0.85, "mouthUpperUp": 0.35, "browDown": 0.45, "eyeSquint": 0.4, "mouthFrown": 0.3},
    "contempt": {"mouthSmile_L": 0.5, "mouthDimple_L": 0.6, "eyeSquint": 0.2, "browOuterUp_R": 0.3},
}
"""Weights added to the face by each emotion at full strength; a name without a side means both."""


def visemes(symbol: str) -> tuple[str, ...]:
    """Mouth shapes of one of espeak's phonemes; a diphthong has two."""
    bare = symbol.lstrip("',%=").rstrip(";~^")
    while bare:
        for sound, shapes in _SOUNDS:
            if bare == sound:
                return shapes
        bare = bare[:-1]
    return ("rest",) if symbol.startswith("_") else ("schwa",)


def mouth_track(
    phonemes: tuple[Phoneme, ...], times_s: Float[np.ndarray, " frames"], generator: np.random.Generator
) -> Float[np.ndarray, "frames channels"]:
    """The mouth's channels at the given times.

    Stress opens the jaw more; how far also wanders a little from sound to sound, as people do, so that the sound tells
    most but not all of the mouth.
    """
    total = np.zeros((len(times_s), len(CHANNELS)))
    weight = np.full((len(times_s), len(CHANNELS)), 1e-6)
    for phoneme in phonemes:
        shapes = visemes(phoneme.symbol)
        stressed = 1.15 if phoneme.symbol.startswith("'") else 1.0 if phoneme.symbol.startswith(",") else 0.92
        effort = stressed * generator.lognormal(0, 0.06)
        part = (phoneme.end_s - phoneme.start_s) / len(shapes)
        for index, shape in enumerate(shapes):
            target, jaw, lips = _SHAPES[shape]
            begin = phoneme.start_s + index * part
            span = slice(*np.searchsorted(times_s, [begin - _REACH_S, begin + part + _REACH_S]))
            middle, half = begin + part / 2, part / 2
            outside = (np.abs(times_s[span] - middle) - 0.45 * half).clip(0)
            pull = np.exp(-((outside[:, None] / _FALL_OFF_S) ** 1.5))
            pull = pull * np.array([jaw] + [lips] * (len(CHANNELS) - 1)) * min(1.0, part / 0.06) ** 0.5
            aim = np.array(target)
            aim[0] *= _SPOKEN_JAW * effort
            total[span] += pull * aim
            weight[span] += pull
    return total / weight


def mouth_weights(track: Float[np.ndarray, "frames channels"]) -> dict[str, Float[np.ndarray, " frames"]]:
    """ARKit-named weights of mouth channels. Sealed lips cancel whatever would part them."""
    jaw, seal, funnel, pucker, stretch, smile, lower, upper, tuck = track.T
    shut = ((seal - 0.45) / 0.4).clip(0, 1)
    shut = shut * shut * (3 - 2 * shut)
    parted = 1 - shut
    both = {
        "mouthStretch": 0.9 * stretch,
        "mouthSmile": 0.8 * smile,
        "mouthLowerDown": 0.6 * lower * parted,
        "mouthUpperUp": 0.5 * upper * parted,
        "mouthPress": 0.25 * shut,
    }
    weights = {f"{name}_{side}": value for name, value in both.items() for side in "LR"}
    return weights | {
        "jawOpen": jaw,
        "mouthClose": jaw * shut,
        "mouthFunnel": 0.75 * funnel * (1 - 0.7 * shut),
        "mouthPucker": pucker,
        "mouthRollLower": 0.55 * tuck + 0.15 * shut,
        "mouthRollUpper": 0.1 * shut,
    }


def emotion_weights(emotion: str) -> dict[str, float]:
    """Weights of an emotion at full strength, with sides.

    Raises:
        UserError: there is no such emotion.
    """
    if emotion not in EMOTIONS:
        raise UserError(f"no emotion is called {emotion!r}; there are {', '.join(EMOTIONS)}")
    whole = ("mouthShrugLower", "jawOpen")
    return {
        full: value
        for name, value in EMOTIONS[emotion].items()
        for full in ((name,) if name in whole or name[-2:] in ("_L", "_R") else (f"{name}_L", f"{name}_R"))
    }
