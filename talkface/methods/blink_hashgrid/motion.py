"""Everything from speech and a commanded blink to landmarks: audio front, modules 2 to 4, and inference.

speech windows -> AudioNet, time filter -> A;  A -> VAE -> z;  action units, eye points -> E -> V
P = DLT(A, V)  (Eq. 6);  clamp;  eye points of P <- control module;  back to centimetres
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from talkface.audio.encoders import AudioAttNet, AudioNet
from talkface.errors import UserError
from talkface.methods.blink_hashgrid.audio_vae import AudioVAE, upsample
from talkface.methods.blink_hashgrid.blink import BlinkEmbedding
from talkface.methods.blink_hashgrid.landmark_space import LandmarkSpace
from talkface.methods.blink_hashgrid.landmark_transformer import LandmarkTransformer, overlap_add
from talkface.methods.blink_hashgrid.motion_config import MotionConfig

AUDIO_DIM = 64
LATENT_DIM = 16
BLINK_DIM = 32
BEFORE, AFTER = 4, 3
"""Codes that the time filter sees before and after a frame."""
UPPER_FACE_UNITS = (1, 2, 4, 5, 6, 7, 45)
"""Action units of the option `upper_face`; AU45 is the last."""


class MotionModel(nn.Module):
    """BLINK's stage 0: the networks that speech passes through before there is any picture."""

    def __init__(self, config: MotionConfig, bands: int) -> None:
        super().__init__()
        self.config = config
        self.space = LandmarkSpace()
        self.net = AudioNet(bands, AUDIO_DIM)
        self.filter = AudioAttNet(AUDIO_DIM, BEFORE + 1 + AFTER)
        self.vae = AudioVAE(AUDIO_DIM, LATENT_DIM, prior=config.prior)
        self.blink = BlinkEmbedding(config.units, BLINK_DIM) if config.blink_embedding else None
        self.dlt = LandmarkTransformer(
            AUDIO_DIM, LATENT_DIM, BLINK_DIM, config.width, config.layers, config.heads, config.dropout
        )
        self.register_buffer("usual_units", torch.zeros(config.units))
        """Mean action units of the training frames: what the commanded blink leaves open."""

    usual_units: Tensor

    def codes(
        self, windows: Float[Tensor, "batch frames 16 bands"], inside: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames 64"]:
        """One code per frame; frames outside the clip count as zero codes."""
        codes = self.net(windows.flatten(0, 1)).view(*inside.shape, AUDIO_DIM)
        return codes * inside[..., None]

    def smoothed(self, codes: Float[Tensor, "batch context 64"]) -> Float[Tensor, "batch frames 64"]:
        """A: the time filter over codes that reach 4 frames before the first and 3 past the last frame wanted."""
        neighbours = codes.unfold(1, BEFORE + 1 + AFTER, 1).transpose(2, 3)
        return self.filter(neighbours.flatten(0, 1)).view(*neighbours.shape[:2], AUDIO_DIM)

    def units(self, closure: Float[Tensor, "*batch frames"]) -> Float[Tensor, "*batch frames units"]:
        """The action-unit vector of a commanded closure: AU45 / 5 is the closure, other units are as usual."""
        others = self.usual_units[:-1].expand(*closure.shape, -1)
        return torch.cat([others, closure[..., None]], dim=-1)

    def rest(self) -> Float[Tensor, "2 6 2"]:
        """Eye points of the mean face."""
        return self.space.eye_points(torch.zeros_like(self.space.mean))

    def closure_of(self, landmarks: Float[Tensor, "frames 68 3"]) -> Float[Tensor, " frames"]:
        """Lid closure that the mapping network reads from landmarks (cm): 1 - eye size, the field's eye channel."""
        if self.blink is None:
            raise UserError("this model was trained without its blink embedding, so it cannot read the eyes")
        return 1 - self.blink.mapping(self.space.eye_points(self.space.normalise(landmarks)))

    def eyes(self, closure: Float[Tensor, " frames"]) -> tuple[Tensor, Tensor | None]:
        """V `[frames, 32]` and the control module's eye points `[frames, 2, 6, 2]` of a commanded closure."""
        if self.blink is None:
            return closure.new_zeros(len(closure), BLINK_DIM), None
        net, units = self.blink.feature, self.units(closure)
        window = self.config.inference_window_frames
        parts = overlap_add(lambda a, b: net(units[None, a:b])[0], len(closure), window)
        blinked = self.blink(torch.cat(list(parts))[None], self.rest())
        return blinked.embedding[0], blinked.eyes[0]

    def landmarks(
        self,
        windows: Iterable[Float[np.ndarray, "block 16 bands"]],
        closure: Float[np.ndarray, " frames"],
    ) -> Iterator[Float[np.ndarray, "part 68 3"]]:
        """Pose-free landmarks, cm, in parts as they are ready.

        Memory grows by a few hundred bytes per frame (closure, V and eye points), not with the speech windows.

        Args:
            windows: Speech windows of consecutive frames, in blocks of any length, `frames` in all.
            closure: Commanded lid closure, 0 open to 1 shut.

        Raises:
            UserError: the speech windows end before the closure does.
        """
        self.eval()
        device, frames = self.space.mean.device, len(closure)
        with torch.inference_mode():
            blink, eyes = self.eyes(torch.as_tensor(closure, dtype=torch.float32, device=device))
        codes = _Codes(self, windows, frames)

        def predict(start: int, stop: int) -> Tensor:
            with torch.inference_mode():
                audio = self.smoothed(codes(start, stop)[None])
                latent = upsample(self.vae(audio)[0], stop - start)
                return self.dlt(audio, latent, blink[None, start:stop])[0]

        done = 0
        for part in overlap_add(predict, frames, self.config.inference_window_frames):
            scored = self.space.clamp(part)
            if eyes is not None:
                scored = self.space.with_eye_points(scored, eyes[done : done + len(part)])
            done += len(part)
            yield self.space.restore(scored).cpu().numpy()

    def predict(
        self, windows: Float[np.ndarray, "heard 16 bands"], closure: Float[np.ndarray, " frames"]
    ) -> Float[np.ndarray, "frames 68 3"]:
        """`landmarks` of a clip held in memory."""
        return np.concatenate(list(self.landmarks([windows], closure)))


class _Codes:
    """Audio codes of a moving window, computed block by block and forgotten behind it."""

    def __init__(self, model: MotionModel, windows: Iterable[np.ndarray], frames: int) -> None:
        self.model, self.blocks, self.frames = model, iter(windows), frames
        self.first, self.kept = -BEFORE, model.space.mean.new_zeros(BEFORE, AUDIO_DIM)
        self.read = 0

    def __call__(self, start: int, stop: int) -> Float[Tensor, "context 64"]:
        """Codes of frames `start - 4` to `stop + 2`; zeros outside the clip."""
        self.kept, self.first = self.kept[start - BEFORE - self.first :], start - BEFORE
        while self.read < min(stop + AFTER, self.frames):
            block = next(self.blocks, None)
            if block is None:
                raise UserError(f"speech ends after {self.read} frames, but {self.frames} were asked for")
            block = block[: self.frames - self.read]
            part = [torch.as_tensor(np.ascontiguousarray(block[i : i + 256])) for i in range(0, len(block), 256)]
            codes = [self.model.net(windows.to(self.kept)) for windows in part]
            self.kept, self.read = torch.cat([self.kept, *codes]), self.read + len(block)
        held = self.kept[: stop + AFTER - self.first]
        return functional.pad(held, (0, 0, 0, stop + AFTER - self.first - len(held)))
