"""Settings of the blink / hash-grid method (BLINK), its presets and the switches of its Table III."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from talkface.config import MethodConfig, Preset
from talkface.errors import UserError
from talkface.methods.blink_hashgrid import field_config, motion_config
from talkface.methods.blink_hashgrid.field_config import FieldConfig
from talkface.methods.blink_hashgrid.motion_config import MotionConfig


@dataclass(kw_only=True)
class BlinkConfig(MethodConfig):
    """BLINK: landmarks and blinks from speech drive a tri-plane hash field of one person."""

    audio: Literal["mel", "mel29", "deepspeech", "wav2vec2", "hubert"] = "mel29"
    """Speech features of the audio network; deepspeech (the paper's), wav2vec2 and hubert need --audio-source."""
    audio_source: Path | None = None
    """File of DeepSpeech features of the training speech, or a folder of wav2vec2 or HuBERT weights."""
    motion: MotionConfig = field(default_factory=MotionConfig)
    field: FieldConfig = field(default_factory=FieldConfig)


def preset(name: str) -> BlinkConfig:
    """The settings of a preset; `full` is the paper's.

    Raises:
        UserError: there is no preset of that name.
    """
    if name not in field_config.PRESETS:
        raise UserError(f"no preset is called {name!r}; there are {', '.join(field_config.PRESETS)}")
    kind = cast(Preset, name)
    return BlinkConfig(preset=kind, motion=motion_config.motion_preset(kind), field=field_config.PRESETS[name])


ROWS: dict[str, tuple[bool, bool, bool]] = {
    "w/o D w/o E": (False, False, False),
    "w/ D w/o E": (True, False, False),
    "w/ D w/ E": (True, True, False),
    "w/ D w/ E w/ Tri-Hash": (True, True, True),
}
"""Table III: Dynamic Landmark Transformer, blink embedding, tri-plane hash."""


def ablation(base: BlinkConfig, row: str, faithful: bool) -> BlinkConfig:
    """One row of Table III.

    Args:
        base: Sizes and budgets of the run.
        row: A name of `ROWS`.
        faithful: The paper's region attention over the learned condition; else ours, condition-linear tables.
    """
    landmarks, blink, triplane = ROWS[row]
    networks = faithful or not landmarks
    return replace(
        base,
        motion=replace(
            base.motion,
            dynamic_landmarks=landmarks,
            blink_embedding=blink,
            lips=base.motion.lips if landmarks else "predictors",
        ),
        field=replace(
            base.field,
            conditioning="attention" if faithful else "planes",
            drive=32 if networks else 0,
            eye=blink,
            triplane=triplane,
        ),
    )


def ernerf(base: BlinkConfig) -> BlinkConfig:
    """The comparison row ER-NeRF of Tables I and II: audio code, region attention, AU45 as the eye channel."""
    bare = ablation(base, "w/o D w/o E", faithful=True)
    return replace(bare, field=replace(bare.field, eye=True, triplane=True))
