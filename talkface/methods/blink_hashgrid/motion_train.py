"""Stage 0 of BLINK: DLT, audio VAE and blink embedding learn together from one person's tracked speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from talkface.audio.mouth import opening
from talkface.engine.trainer import Stage
from talkface.errors import UserError
from talkface.methods.blink_hashgrid.audio_vae import audio_loss, upsample
from talkface.methods.blink_hashgrid.blink import NUDGE, Blinked, eye_loss, teacher_share
from talkface.methods.blink_hashgrid.landmark_transformer import continuity_loss, position_loss
from talkface.methods.blink_hashgrid.motion import AFTER, BEFORE, MotionModel

CONTINUITY_WEIGHT, KL_WEIGHT, AUDIO_WEIGHT, EYE_WEIGHT = 3.0, 0.4, 0.1, 1.0
"""Beside L_p: 3 L_cont + 0.4 KL + 0.1 L_aud + L_eye (the first two after GeneFace; the paper gives none)."""
EYE_RATE = 4.0
"""Factor on the learning rate of the eye networks: they are small and see few blinks (ours)."""
SHORTEST_CLIP_FRAMES = 16
STRETCH_FRAMES = 25
"""The eye control is rolled out over stretches of a second, many at once: a blink is shorter, and steps are slow."""


@dataclass(frozen=True)
class MotionClip:
    """One unbroken stretch of a person's speech: what stage 0 learns from."""

    windows: Float[np.ndarray, "frames 16 bands"]
    """Normalised speech features around every frame."""
    landmarks: Float[np.ndarray, "frames 68 3"]
    """Pose-free, cm; anything where not valid."""
    closure: Float[np.ndarray, " frames"]
    """Mean of both eyes, 0 open to 1 shut."""
    valid: Bool[np.ndarray, " frames"]
    other_units: Float[np.ndarray, "frames 6"] | None = None
    """AU 1, 2, 4, 5, 6, 7 divided by 5, for the option `upper_face`."""

    def __len__(self) -> int:
        return len(self.valid)


@dataclass(frozen=True)
class MotionBatch:
    """Windows cut from clips."""

    windows: Float[Tensor, "batch context 16 bands"]
    """With 4 frames before and 3 after."""
    inside: Bool[Tensor, "batch context"]
    landmarks: Float[Tensor, "batch frames 68 3"]
    closure: Float[Tensor, "batch frames"]
    units: Float[Tensor, "batch frames units"]
    valid: Bool[Tensor, "batch frames"]


def fit_person(model: MotionModel, clips: Sequence[MotionClip]) -> None:
    """Set what the model must know of the person before it learns: landmark statistics and usual action units.

    Raises:
        UserError: too few usable frames, or the option `upper_face` without action units.
    """
    valid = np.concatenate([clip.valid for clip in clips])
    model.space.fit(np.concatenate([clip.landmarks for clip in clips]), valid)
    if model.config.action_units == "upper_face":
        units = np.concatenate([_units(clip, model.config.units) for clip in clips])[valid]
        model.usual_units.copy_(torch.as_tensor(np.nanmean(units, axis=0)))


def draw_batch(
    clips: Sequence[MotionClip], batch: int, frames: int, units: int, generator: torch.Generator
) -> MotionBatch:
    """Windows of equal length at random places: no longer than the shortest clip, and a whole number of seconds.

    Raises:
        UserError: a clip is too short to learn from.
    """
    frames = min(frames, min(len(clip) for clip in clips))
    if frames < SHORTEST_CLIP_FRAMES:
        raise UserError(f"the shortest clip has {frames} frames; each needs at least {SHORTEST_CLIP_FRAMES}")
    frames -= frames % STRETCH_FRAMES if frames > STRETCH_FRAMES else 0
    places = torch.tensor([len(clip) - frames + 1 for clip in clips], dtype=torch.float64)
    chosen = torch.multinomial(places, batch, replacement=True, generator=generator)
    cut = []
    for clip in (clips[i] for i in chosen.tolist()):
        start = int(torch.randint(len(clip) - frames + 1, (), generator=generator))
        around = np.arange(start - BEFORE, start + frames + AFTER)
        inside = (around >= 0) & (around < len(clip))
        here = slice(start, start + frames)
        valid = clip.valid[here]
        cut.append(
            (
                clip.windows[np.clip(around, 0, len(clip) - 1)],
                inside,
                np.where(valid[:, None, None], clip.landmarks[here], 0.0),
                np.where(valid, clip.closure[here], 0.0),
                np.where(valid[:, None], _units(clip, units)[here], 0.0),
                valid,
            )
        )
    stacked = [torch.as_tensor(np.stack(column)) for column in zip(*cut, strict=True)]
    return MotionBatch(*(part if part.dtype == torch.bool else part.float() for part in stacked))


def losses(
    model: MotionModel, batch: MotionBatch, progress: float, generator: torch.Generator
) -> dict[str, Float[Tensor, ""]]:
    """L_p (Eq. 7) + 3 L_cont + 0.4 KL + 0.1 L_aud + L_eye, and each of them.

    Args:
        progress: Share of the training done; teacher forcing of the eyes fades over its second half.
        generator: All randomness but dropout's.
    """
    windows = batch.windows + model.config.audio_noise * torch.randn(batch.windows.shape, generator=generator).to(
        batch.windows
    )
    audio = model.smoothed(model.codes(windows, batch.inside))
    encoded = model.vae(audio, generator)[1]
    latent = upsample(encoded.latent, audio.shape[1])
    true = torch.where(batch.valid[..., None, None], model.space.normalise(batch.landmarks), 0.0)
    embedding, eye = _blink(model, batch, true, progress, generator)
    predicted = model.dlt(audio, latent, embedding)
    pairs = batch.valid[:, 1:] & batch.valid[:, :-1]
    named = {
        "position": position_loss(predicted[batch.valid], true[batch.valid]),
        "continuity": _pairs_loss(predicted, true, pairs),
        "kl": encoded.kl,
        "audio": audio_loss(audio, encoded),
        "eye": eye,
    }
    total = (
        named["position"]
        + CONTINUITY_WEIGHT * named["continuity"]
        + KL_WEIGHT * named["kl"]
        + AUDIO_WEIGHT * named["audio"]
        + EYE_WEIGHT * named["eye"]
    )
    return {"loss": total, **named}


def stage(
    model: MotionModel, train: Sequence[MotionClip], held_out: Sequence[MotionClip] = (), device: str = "cpu"
) -> Stage:
    """Stage 0 for the shared trainer: AdamW, rate decaying exponentially, gradient norm at most 1 (GeneFace)."""
    config = model.config

    def step(index: int, generator: torch.Generator) -> dict[str, Tensor]:
        model.train()
        batch = draw_batch(train, config.batch, config.window_frames, config.units, generator)
        moved = MotionBatch(*(getattr(batch, name).to(device) for name in MotionBatch.__dataclass_fields__))
        return losses(model, moved, index / config.steps, generator)

    return Stage(
        name="motion",
        steps=config.steps,
        parameters=_groups(model),
        step=step,
        learning_rate=lambda progress: config.lr_end**progress,
        optimiser="adamw",
        clip=1.0,
        validate=(lambda: validate(model, held_out)) if held_out else None,
        watch={"mouth_r": (0.4, "the mouth does not follow the speech; more or cleaner speech is needed")},
    )


def validate(model: MotionModel, clips: Sequence[MotionClip]) -> dict[str, float]:
    """Correlation of predicted with true inner-lip opening, and of eye size with the commanded closure."""
    mouths, eyes = [], []
    for clip in clips:
        predicted = model.predict(clip.windows, np.where(clip.valid, clip.closure, 0.0))
        mouths.append(np.stack([opening(predicted), opening(clip.landmarks)])[:, clip.valid])
        eyes.append(np.stack([eye_opening(predicted), eye_opening(clip.landmarks)])[:, clip.valid])
    return {"mouth_r": _correlation(mouths), "eye_r": _correlation(eyes)}


def eye_opening(landmarks: Float[np.ndarray, "frames 68 3"]) -> Float[np.ndarray, " frames"]:
    """Mean distance of upper and lower lid (37-41, 38-40, 43-47, 44-46) in the landmarks' unit."""
    return np.linalg.norm(landmarks[:, [37, 38, 43, 44]] - landmarks[:, [41, 40, 47, 46]], axis=-1).mean(-1)


def _groups(model: MotionModel) -> list[dict[str, Any]]:
    eyes = list(model.blink.parameters()) if model.blink is not None else []
    own = {id(parameter) for parameter in eyes}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in own]
    rates = ((rest, model.config.lr), (eyes, EYE_RATE * model.config.lr))
    return [{"params": parameters, "lr": rate} for parameters, rate in rates if parameters]


def _blink(
    model: MotionModel, batch: MotionBatch, true: Tensor, progress: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """V and L_eye; without the blink embedding (E = 0) both are zero."""
    if model.blink is None:
        return true.new_zeros(*true.shape[:2], model.dlt.key_of_blink.in_features), true.new_zeros(())
    eyes = model.space.eye_points(true)
    drawn = torch.rand(batch.valid.shape, generator=generator).to(true)
    forced = (drawn < teacher_share(progress)) & batch.valid
    nudged = eyes + NUDGE * torch.randn(eyes.shape, generator=generator).to(eyes)
    before = torch.cat([model.rest().expand(len(eyes), 1, -1, -1, -1), nudged[:, :-1]], dim=1)
    length = min(STRETCH_FRAMES, eyes.shape[1])
    feature, nudged, forced = (
        x.reshape(-1, length, *x.shape[2:]) for x in (model.blink.feature(batch.units), nudged, forced)
    )
    blinked = model.blink(feature, before[:, ::length].flatten(0, 1), nudged, forced)
    rolled = (blinked.embedding, blinked.eyes, blinked.size, blinked.predicted_size)
    blinked = Blinked(*(x.reshape(*batch.valid.shape, *x.shape[2:]) for x in rolled))
    return blinked.embedding, eye_loss(blinked, model.blink.mapping(eyes), eyes, batch.closure, batch.valid)


def _pairs_loss(predicted: Tensor, true: Tensor, pairs: Tensor) -> Tensor:
    """L_cont over neighbouring valid frames."""
    both = [torch.stack([x[:, :-1][pairs], x[:, 1:][pairs]], dim=1) for x in (predicted, true)]
    return continuity_loss(*both)


def _units(clip: MotionClip, units: int) -> Float[np.ndarray, "frames units"]:
    if units == 1:
        return clip.closure[:, None]
    if clip.other_units is None:
        raise UserError("action_units=upper_face needs the action units 1 to 7 of every clip")
    return np.concatenate([clip.other_units, clip.closure[:, None]], axis=1)


def _correlation(pairs: Sequence[Float[np.ndarray, "2 frames"]]) -> float:
    joined = np.concatenate(pairs, axis=1)
    return float(np.corrcoef(joined)[0, 1]) if joined.std(1).min() > 0 else 0.0
