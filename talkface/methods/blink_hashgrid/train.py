"""BLINK's training: motion from speech (stage 0), the coarse field, the fine mouth; then what rendering needs."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from talkface.audio.features import log_mel
from talkface.audio.lips import LipPredictor
from talkface.audio.providers import speech_windows
from talkface.audio.weights import shipped
from talkface.data.source import SourceClip
from talkface.engine.run import Run
from talkface.engine.trainer import Stage
from talkface.io.store import PersonFolder
from talkface.methods.blink_hashgrid import motion_train
from talkface.methods.blink_hashgrid.field_train import FieldTraining, parameters_of
from talkface.methods.blink_hashgrid.landmark_hash import AudioCondition, LandmarkCondition, neighbourhood
from talkface.methods.blink_hashgrid.model import Blink
from talkface.methods.blink_hashgrid.motion import UPPER_FACE_UNITS
from talkface.methods.blink_hashgrid.motion_config import MotionConfig
from talkface.methods.blink_hashgrid.motion_train import MotionClip
from talkface.metrics.action_units import intensities
from talkface.types import Track

HELD_OUT_SHARE = 0.08
"""End of the training part that stage 0 only watches."""
CONDITION_RATE = 5e-3
"""Learning rate of the condition's networks: ER-NeRF trains what smooths the condition five times faster."""


def stages(model: Blink, folder: PersonFolder, run: Run) -> list[Stage]:
    """The paper's stages for one person; nothing of the test split is touched."""
    device = model.field.device
    config = model.config
    windows = speech_windows(config.audio, folder.speech, folder.manifest.frames, config.audio_source)
    found: list[Stage] = []
    if config.motion.dynamic_landmarks:
        training, held_out = _motion_clips(folder, windows, config.motion)
        motion_train.fit_person(model.motion, training)
        found.append(motion_train.stage(model.motion, training, held_out, str(device)))
    driver = _Driver(model, folder, windows)
    field = FieldTraining(model.field, folder, driver if config.field.drive else None, device)
    field.settle()
    square = field.data.square
    model.square_numbers.copy_(torch.tensor([square.left, square.top, square.side]))
    for stage in (field.coarse_stage(), field.fine_stage()):
        if stage.steps:
            stage.parameters += parameters_of([model.condition] if model.condition is not None else [], CONDITION_RATE)
            stage.prepare = driver.prepare
            found.append(stage)
    return found


def finish(model: Blink, folder: PersonFolder, run: Run) -> None:
    """Learn the lip predictors (about 20 s) and write them and the source clip into the run."""
    track = folder.track
    LipPredictor.fit(
        log_mel(folder.speech),
        track.landmarks,
        training_mask(folder),
        _stretches(folder),
        pretrained=shipped(),
        seed=model.config.seed,
    ).save(run.root / "lips.safetensors")
    SourceClip.of(folder).save(run.root)


def training_mask(folder: PersonFolder) -> Bool[np.ndarray, " frames"]:
    """Valid frames of the training split."""
    mask = np.zeros(folder.manifest.frames, bool)
    mask[folder.train_indices] = True
    return mask


class _Driver:
    """The field's driving vector of training frames, where a network makes it."""

    def __init__(self, model: Blink, folder: PersonFolder, windows: np.ndarray) -> None:
        self._model, self._windows = model, windows
        self._landmarks = np.nan_to_num(folder.track.landmarks)
        self._usual = np.nanmean(folder.track.landmarks[folder.train_indices], 0)
        self._missing = ~np.isfinite(folder.track.landmarks).all((1, 2))

    def prepare(self) -> None:
        """Once stage 0 is done: landmarks in its space, and its audio codes, which the field does not train."""
        model = self._model
        device = model.field.device
        if isinstance(model.condition, LandmarkCondition):
            points = np.where(self._missing[:, None, None], self._usual, self._landmarks)
            self._scored = model.motion.space.normalise(torch.from_numpy(points).float().to(device))
            model.motion.eval()
            with torch.no_grad():
                self._audio = model.codes(self._windows)
        elif isinstance(model.condition, AudioCondition):
            self._context = torch.from_numpy(np.pad(self._windows, ((4, 3), (0, 0), (0, 0)))).to(device)

    def __call__(self, frame: int, generator: torch.Generator | None) -> Tensor:
        model = self._model
        if isinstance(model.condition, AudioCondition):
            return model.condition(self._context[None, frame : frame + 8])[0]
        assert isinstance(model.condition, LandmarkCondition)
        noise = model.config.motion.landmark_noise if generator is not None else 0.0
        around = neighbourhood(self._scored, frame)[None]
        return model.condition(model.motion.space, around, self._audio[frame][None], noise, generator)[0]


def _stretches(folder: PersonFolder) -> list[tuple[int, int]]:
    """Training ranges, none of which runs over the border of two clips."""
    return [
        (max(a, start), min(b, stop))
        for a, b in folder.manifest.split["train"]
        for start, stop in folder.manifest.clips
        if min(b, stop) - max(a, start) >= motion_train.SHORTEST_CLIP_FRAMES
    ]


def _other_units(track: Track) -> Float[np.ndarray, "frames 6"]:
    """AU 1, 2, 4, 5, 6 and 7 divided by 5, read off the fitted expressions; 0 in gaps.

    Raises:
        UserError: the face model of the tracking has no named expressions.
    """
    found = intensities(track.expression, track.expression_names)
    return np.nan_to_num(np.stack([found[unit] for unit in UPPER_FACE_UNITS[:-1]], 1) / 5).astype(np.float32)


def _motion_clips(
    folder: PersonFolder, windows: np.ndarray, config: MotionConfig
) -> tuple[list[MotionClip], list[MotionClip]]:
    """Training stretches, and the end of them (or the last of them) that is held out to be watched."""
    track = folder.track
    closure = track.closure.mean(1)
    valid = track.valid & np.isfinite(closure) & np.isfinite(track.landmarks).all((1, 2))
    units = _other_units(track) if config.action_units == "upper_face" else None

    def clip(start: int, stop: int) -> MotionClip:
        here = slice(start, stop)
        others = None if units is None else units[here]
        return MotionClip(windows[here], track.landmarks[here], closure[here], valid[here], others)

    stretches = _stretches(folder)
    if len(stretches) > 4:
        held = max(1, round(len(stretches) * HELD_OUT_SHARE))
        return [clip(*s) for s in stretches[:-held]], [clip(*s) for s in stretches[-held:]]
    start, stop = stretches[-1]
    cut = stop - max(motion_train.SHORTEST_CLIP_FRAMES, round(sum(b - a for a, b in stretches) * HELD_OUT_SHARE))
    if cut - start < motion_train.SHORTEST_CLIP_FRAMES:
        return [clip(*s) for s in stretches], []
    return [*(clip(*s) for s in stretches[:-1]), clip(start, cut)], [clip(cut, stop)]
