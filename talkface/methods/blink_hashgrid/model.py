"""BLINK, top to bottom: speech and blinks -> landmarks (Eq. 6) -> condition -> radiance field (Eq. 5) -> the person."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from talkface.audio.features import log_mel, normalisation_of
from talkface.audio.lips import LipPredictor
from talkface.audio.providers import speech_windows
from talkface.config import from_json
from talkface.data.person import Square
from talkface.data.source import SourceClip
from talkface.engine.run import Run
from talkface.errors import UserError
from talkface.geometry import head_from_camera
from talkface.io.store import PersonFolder
from talkface.methods.blink_hashgrid.config import BlinkConfig
from talkface.methods.blink_hashgrid.field import HeadField, View
from talkface.methods.blink_hashgrid.landmark_hash import AudioCondition, LandmarkCondition
from talkface.methods.blink_hashgrid.landmark_transformer import overlap_add
from talkface.methods.blink_hashgrid.lip_mix import mixed_lips
from talkface.methods.blink_hashgrid.motion import AFTER, BEFORE, MotionModel
from talkface.types import FPS, SOURCE_CAMERA, SPEECH_HZ, Conditions, Drive, Frame, Pose, Speech

SPEECH_WINDOW_FRAMES = 1500
"""Speech is understood in windows of a minute, half overlapping and cross-faded, so that any length fits in memory."""
_SAMPLES_PER_FRAME = round(SPEECH_HZ / FPS)


class Blink(nn.Module):
    """One person. Parameters and buffers are the weights; `lips` and `source` are further files of the run."""

    square_numbers: Tensor
    lips: LipPredictor
    source: SourceClip

    def __init__(self, config: BlinkConfig, bands: int, frames: int) -> None:
        """
        Args:
            bands: Numbers per row of the speech features.
            frames: Frames of the training clip (each has an appearance code).
        """
        super().__init__()
        self.config = config
        self.motion = MotionModel(config.motion, bands)
        self.field = HeadField(config.field, frames)
        self.condition = _condition(config, bands)
        self.register_buffer("square_numbers", torch.zeros(3, dtype=torch.int64))

    @classmethod
    def of(cls, config: BlinkConfig, folder: PersonFolder) -> Blink:
        """A fresh model for the person of a processed folder."""
        torch.manual_seed(config.seed)
        some = speech_windows(config.audio, folder.speech, 1, config.audio_source)
        return cls(config, some.shape[2], folder.manifest.frames)

    @classmethod
    def load(cls, run: Run) -> Blink:
        """The trained model of a run, ready to render, on the CPU.

        Raises:
            UserError: the weights do not fit these settings or this version of talkface.
        """
        config = from_json(BlinkConfig, run.config["config"], str(run.root / "config.json"))
        weights = run.weights()
        try:
            bands, frames = weights["motion.net.convolutions.0.weight"].shape[1], len(weights["field.codes"])
            model = cls(config, bands, frames)
            model.load_state_dict(weights)
        except (KeyError, RuntimeError) as error:
            raise UserError(f"the weights in {run.root} do not fit this version of talkface; train again") from error
        model.lips = LipPredictor.load(run.root / "lips.safetensors")
        model.source = SourceClip.load(run.root)
        return model.eval()

    @property
    def square(self) -> Square:
        """The square of the source frames that the field sees."""
        left, top, side = self.square_numbers.tolist()
        return Square(left, top, side)

    # -- speech to drives ----------------------------------------------------------------------------------------------

    def drives(self, speech: Iterable[Float[np.ndarray, " samples"]], conditions: Conditions) -> Iterator[Drive]:
        """What speech asks of every frame; memory holds one window of it at a time."""
        sound = _Sliding(speech)
        closure = conditions.closure

        def understand(start: int, stop: int) -> Tensor:
            heard = Speech(sound(start * _SAMPLES_PER_FRAME, stop * _SAMPLES_PER_FRAME))
            return torch.from_numpy(self.understand(heard, closure[start:stop]))

        for part in overlap_add(understand, len(conditions), SPEECH_WINDOW_FRAMES):
            for row in part.numpy():
                yield Drive(row[:204].reshape(68, 3), row[204:])

    @torch.inference_mode()
    def understand(self, speech: Speech, closure: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames values"]:
        """Landmarks (204 numbers a frame) and audio code of a stretch of speech, `len(closure)` frames."""
        frames = len(closure)
        windows = speech_windows(self.config.audio, speech, frames, self.config.audio_source)
        mel = log_mel(speech)
        landmarks = mixed_lips(
            self.motion.predict(windows, closure), normalisation_of(mel).apply(mel), self.lips, self.config.motion
        )
        codes = self.codes(windows).numpy(force=True)
        return np.concatenate([landmarks.reshape(frames, -1), codes], 1).astype(np.float32)

    def codes(self, windows: Float[np.ndarray, "frames 16 bands"]) -> Float[Tensor, "frames code"]:
        """The audio code that the condition wants beside landmarks: A, ER-NeRF's code, or nothing."""
        device = self.motion.space.mean.device
        if self.condition is None:
            return torch.zeros(len(windows), 0)
        padded = np.pad(windows, ((BEFORE, AFTER), (0, 0), (0, 0)))
        inside = torch.ones(1, len(padded), dtype=torch.bool, device=device)
        inside[:, :BEFORE] = inside[:, len(padded) - AFTER :] = False
        heard = torch.from_numpy(padded).to(device)
        if isinstance(self.condition, LandmarkCondition):
            return self.motion.smoothed(self.motion.codes(heard[None], inside))[0]
        context = heard.unfold(0, BEFORE + 1 + AFTER, 1).permute(0, 3, 1, 2)
        return torch.cat([self.condition(part) for part in context.split(256)])

    # -- drives to frames ----------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def frames(self, drives: Iterable[Drive], conditions: Conditions) -> Iterator[Frame]:
        """The person: the head from the field, in front of neck and torso bent to its pose."""
        for index, around in enumerate(_neighbours(drives)):
            pose = conditions.pose[index : index + 1]
            world_from_camera = conditions.world_from_camera[index]
            head = self.head(around, float(conditions.closure[index]), pose, world_from_camera)
            source_frame = int(conditions.source_frame[index])
            yield self.with_torso(head.colour, head.opacity, pose, world_from_camera, source_frame)

    def with_torso(
        self,
        colour: Float[np.ndarray, "size size 3"],
        opacity: Float[np.ndarray, "size size"],
        pose: Pose,
        world_from_camera: Float[np.ndarray, "4 4"],
        source_frame: int,
    ) -> Frame:
        """A rendered head in front of neck and torso bent to its pose, at the size of the source frames.

        Args:
            colour: Premultiplied, as in `View`, in the field's square.
            pose: Head pose of one frame.
            source_frame: The training frame whose torso it is.
        """
        seen = SOURCE_CAMERA @ np.linalg.inv(world_from_camera)
        torso = self.source.torso.picture(
            seen[:3, :3] @ pose.rotation[0], seen[:3, :3] @ pose.translation[0] + seen[:3, 3], source_frame
        )
        return _over(*self.enlarged(colour, opacity), torso)

    @torch.inference_mode()
    def head(
        self,
        around: list[Drive],
        closure: float,
        pose: Pose,
        world_from_camera: Float[np.ndarray, "4 4"],
    ) -> View:
        """The head alone in the field's square, at the size it was trained at.

        Args:
            around: Drives of frames t - 2 to t + 2 (the landmark code is smoothed over them).
            pose: Head pose of one frame.
        """
        square, size = self.square, self.config.field.size_px
        whole = self.source.camera.cropped(square.left, square.top, (square.side, square.side)).resized((size, size))
        camera = replace(whole, world_from_camera=world_from_camera)
        condition = self.field.condition(self.drive(around), torch.tensor([closure], dtype=torch.float32))
        return self.field.render(condition, camera, head_from_camera(pose, 0, camera))

    def drive(self, around: list[Drive]) -> Float[Tensor, " drive"]:
        """The field's driving vector of the frame in the middle of five."""
        middle, device = around[2], self.field.device
        if isinstance(self.condition, AudioCondition):
            return torch.from_numpy(middle.code).to(device)
        points = torch.from_numpy(np.stack([one.landmarks for one in around])).float().to(device)
        if self.condition is None:
            lids = None if middle.closure is None else torch.tensor([middle.closure], device=device)
            return self.field.components(points[2], lids)
        code = torch.from_numpy(middle.code).to(device)
        return self.condition(self.motion.space, self.motion.space.normalise(points)[None], code[None])[0]

    def enlarged(
        self, colour: Float[np.ndarray, "size size 3"], opacity: Float[np.ndarray, "size size"]
    ) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
        """The square's colour (premultiplied) and opacity at its place in the whole source frame."""
        square = self.square
        small = torch.from_numpy(np.dstack([colour, opacity])).permute(2, 0, 1)[None].float()
        large = interpolate(small, (square.side, square.side), mode="bicubic", align_corners=False, antialias=True)
        placed = np.zeros((*self.source.camera.size_px, 4), np.float32)
        placed[square.top : square.top + square.side, square.left : square.left + square.side] = (
            large[0].clamp(0, 1).permute(1, 2, 0).numpy()
        )
        return placed[..., :3], placed[..., 3]


def _condition(config: BlinkConfig, bands: int) -> LandmarkCondition | AudioCondition | None:
    """What makes the driving vector: landmark hash and audio (paper), audio alone (D = 0), or components (ours)."""
    if not config.field.drive:
        return None
    if config.motion.dynamic_landmarks:
        return LandmarkCondition(config.motion.landmark_encoding)
    return AudioCondition(bands)


class _Sliding:
    """Samples of a stream between two ever growing positions; what lies past its end is silence."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = iter(blocks)
        self._held = np.zeros(0, np.float32)
        self._first = 0

    def __call__(self, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        self._held, self._first = self._held[start - self._first :], start
        while len(self._held) < stop - start:
            block = next(self._blocks, None)
            if block is None:
                return np.pad(self._held, (0, stop - start - len(self._held)))
            self._held = np.concatenate([self._held, block.astype(np.float32)])
        return self._held[: stop - start]


def _neighbours(drives: Iterable[Drive]) -> Iterator[list[Drive]]:
    """Five drives around every frame, the ends repeated."""
    held: deque[Drive] = deque(maxlen=5)
    for drive in drives:
        held.extend([drive] * (1 if held else 3))
        if len(held) == 5:
            yield list(held)
    for _ in range(min(2, len(held))):
        held.append(held[-1])
        if len(held) == 5:
            yield list(held)


def _over(
    colour: Float[np.ndarray, "height width 3"],
    opacity: Float[np.ndarray, "height width"],
    torso: Float[np.ndarray, "height width 4"],
) -> Frame:
    """The head (premultiplied) over the torso (straight)."""
    behind = ((1 - opacity) * torso[..., 3])[..., None]
    person = opacity[..., None] + behind
    mixed = (colour + behind * torso[..., :3]) / np.maximum(person, 1e-4)
    return Frame(mixed.clip(0, 1).astype(np.float32), person[..., 0].astype(np.float32))
