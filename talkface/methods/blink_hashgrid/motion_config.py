"""Settings of BLINK's motion half: audio and blinks to landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from talkface.config import Preset


@dataclass(kw_only=True)
class MotionConfig:
    """Audio to landmarks: the Dynamic Landmark Transformer and what feeds it."""

    dynamic_landmarks: bool = True
    """The paper's D (Table III): landmarks drive the field. Off: the audio code drives it."""
    blink_embedding: bool = True
    """The paper's E (Table III): the eye movement generator. Off: V is zero and the eyes follow the audio alone."""
    landmark_encoding: Literal["hash", "mlp"] = "hash"
    """How landmarks reach the field: hash grid (the paper's title) or the plain network of GeneFace."""
    prior: Literal["normal", "flow"] = "normal"
    """Prior of the audio autoencoder (ours; GeneFace uses a flow)."""
    action_units: Literal["blink", "upper_face"] = "blink"
    """AU45 alone, or AU 1, 2, 4, 5, 6, 7 (from the fitted expressions of the ICT model) and 45."""
    lips: Literal["dlt", "predictors", "average"] = "average"
    """Whose mouth is used: the transformer's, the lip predictors', or their mean (ours)."""
    dlt_weight: float = 0.2
    """Share of the transformer in `average` (ours; alone it is behind the predictors, together they tie or gain)."""
    match_variance: bool = True
    """Bring the predicted mouth to the person's own amplitude (ours; regression towards the mean mumbles)."""
    width: int = 128
    """Transformer width (our choice; the paper gives none)."""
    layers: int = 4
    """Decoder layers (our choice)."""
    heads: int = 4
    """Attention heads (our choice)."""
    dropout: float = 0.1
    """Dropout in the transformer."""
    audio_noise: float = 0.2
    """Deviation of the noise added to the normalised audio features in training (ours)."""
    inference_window_frames: int = 200
    """Window at inference, half overlapping (our choice)."""
    steps: int = 40_000
    """Training steps (our choice, after GeneFace)."""
    batch: int = 8
    """Windows per step."""
    window_frames: int = 100
    """Frames per training window."""
    lr: float = 5e-4
    """AdamW learning rate (GeneFace)."""
    lr_end: float = 0.1
    """Factor on the rate at the end of its exponential decay (our choice)."""
    landmark_noise: float = 0.05
    """Deviation of the noise added to normalised landmarks while the field is trained: hash codes jump (ours)."""

    @property
    def units(self) -> int:
        """Action units per frame."""
        return 1 if self.action_units == "blink" else 7


def motion_preset(preset: Preset) -> MotionConfig:
    """Settings by size: `full` is the paper's, `small` is a minute or two on a processor, `test` is seconds."""
    if preset == "test":
        return MotionConfig(
            width=32, layers=1, heads=2, steps=20, batch=2, window_frames=24, inference_window_frames=48
        )
    if preset == "small":
        return MotionConfig(width=64, layers=2, batch=4, steps=400, lr=2e-3)
    if preset == "medium":
        return MotionConfig(width=64, layers=2, batch=4, steps=800, lr=2e-3)  # 4000 wide steps were an hour on a core
    return MotionConfig()
