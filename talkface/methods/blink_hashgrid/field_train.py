"""How the field learns a person: the coarse stage on rays of the head, the fine stage on mouth patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from talkface.data.person import PersonData, RayBatch
from talkface.engine.trainer import Stage
from talkface.fields.radiance import Condition, Frozen, fast_kind
from talkface.fields.rays import Rays, camera_rays
from talkface.fields.render import Rendered, render_rays
from talkface.losses import Perceptual, binary_entropy, perceptual_loss
from talkface.methods.blink_hashgrid.field import HeadField
from talkface.methods.blink_hashgrid.opening import OpeningMeter
from talkface.ops.composite import accumulate, weights

Drive = Callable[[int, torch.Generator | None], Tensor]
"""Frame number and, while training, the source of noise -> the driving vector of that frame."""
EMPTY_WEIGHT = 0.03
"""A cell whose samples never gave more than this share of a ray's colour is empty or hidden."""
HELD_OUT_SHARE = 0.04
"""The end of the training part that is only watched."""


class FieldTraining:
    """The state and the steps of both stages.

    Args:
        head: a fresh or resumed field.
        folder: the processed folder.
        drive: makes the driving vector; None: the components of the tracked landmarks.
        device: where to train.
    """

    def __init__(
        self,
        head: HeadField,
        folder: Any,
        drive: Drive | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.head, self.folder, self.config = head, folder, head.config
        self.device = device or torch.device("cpu")
        self.kind = fast_kind(self.device)
        self._given_drive = drive
        indices = np.asarray(folder.train_indices)
        held = max(2, round(len(indices) * HELD_OUT_SHARE))
        self.training, self.held_out = indices[:-held], indices[-held:]
        track = folder.track
        self.landmarks = torch.from_numpy(track.landmarks).float()
        self.closure = torch.from_numpy(np.nan_to_num(track.closure).mean(1, keepdims=True)).float()
        self._size = self.config.first_size_px or self.config.size_px
        self.data = PersonData(folder, self._size, self.training)
        self.meter = OpeningMeter(self.data, folder)
        self._perceptual: Perceptual | None = None

    # -- stages --------------------------------------------------------------------------------------------------------

    def coarse_stage(self) -> Stage:
        """Rays over the whole head (paper: "coarse")."""
        return self._stage("coarse", self.config.steps, self.coarse_step, self.config.final_rate)

    def fine_stage(self) -> Stage:
        """Mouth patches with the perceptual term, in turn with coarse steps (paper: "fine")."""
        return self._stage("fine", self.config.fine_steps, self.fine_step, 0.5, self.config.final_rate)

    def settle(self) -> None:
        """Give the field this person's box, shell and components; before the first step of a fresh field."""
        shell = self.data.shell(self.config.occupancy_cells)
        origins = self.data.poses[self.training][:, :3, 3]
        closure = self.closure[self.training, 0].numpy()
        self.head.settle(self.data.box, shell, self.folder.track.landmarks[self.training], closure, origins)
        self.head.to(self.device)

    def _stage(self, name: str, steps: int, step: Callable, final: float, rate: float = 1.0) -> Stage:
        return Stage(
            name=name,
            steps=steps,
            parameters=self.head.parameter_groups(),
            step=step,
            learning_rate=lambda progress: rate * final**progress,
            validate=self.validate,
            validate_every=max(500, steps // 8),
            watch={
                "mouth_opening_r": (0.5, "the mouth does not follow the landmarks"),
                "eye_closure_r": (0.3, "the eyes do not blink"),
            },
            preview=self.preview,
        )

    # -- steps ---------------------------------------------------------------------------------------------------------

    def coarse_step(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """One frame, many rays: mean squared colour error over the plate, and what keeps the opacity honest."""
        config = self.config
        self._use_size(step)
        self._prune(step)
        warming = step < config.warmup_steps
        frame = self._any_frame(generator)
        batch = self.data.draw(frame, config.rays // 3 if warming else config.rays, generator)
        most = 5 * config.samples if warming else config.samples
        frozen, rays, seen = self._render(frame, batch, generator, most)
        losses = self._colour_losses(batch, seen, generator, warming)
        if config.conditioning == "attention" and config.attention_weight:
            term = self._attention_term(frame, batch, rays, frozen)
            losses["loss"] = losses["loss"] + config.attention_weight * step / max(config.steps, 1) * term
        return losses

    def fine_step(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Every other step a patch of the mouth with the perceptual term; the others are coarse."""
        if step % 2:
            return self.coarse_step(self.config.steps + step, generator)
        self._use_size(self.config.steps)
        frame = self._any_frame(generator)
        side = min(self.config.patch_px, *self.data.window_px)
        batch = self.data.patch(frame, side, generator)
        _, _, seen = self._render(frame, batch, generator, self.config.samples)
        losses = self._colour_losses(batch, seen, generator, warming=False)
        picture = seen.colour + (1 - seen.opacity) * batch.plate.to(self.device)
        if self._perceptual is None:
            self._perceptual = perceptual_loss(self.device)
        shape = (1, 3, side, side)
        term = self._perceptual(picture.reshape(shape), batch.colour.to(self.device).reshape(shape))
        losses["loss"] = losses["loss"] + self.config.perceptual * self._perceptual.scale * term
        losses[self._perceptual.name] = term.detach()
        return losses

    def _render(
        self, frame: int, batch: RayBatch, generator: torch.Generator, most: int
    ) -> tuple[Frozen, Rays, Rendered]:
        frozen = self.head.radiance.freeze(self.condition(frame, generator))
        rays = self._rays(frame, batch.pixels)
        offset = torch.rand(len(batch.pixels), generator=generator).to(self.device)
        seen = render_rays(
            self.head.radiance,
            self.head.occupancy,
            rays,
            frozen,
            self.config.step_fraction,
            most,
            offset,
            self.kind,
            True,
        )
        return frozen, rays, seen

    def _colour_losses(
        self, batch: RayBatch, seen: Rendered, generator: torch.Generator, warming: bool
    ) -> dict[str, Tensor]:
        """Squared colour error over the plate of `_exchanged`, and what keeps the opacity honest."""
        batch = RayBatch(*(part.to(self.device) for part in batch))
        plate, target = self._exchanged(batch, generator, warming)
        error = (seen.colour + (1 - seen.opacity) * plate - target).square().mean()
        shape = (seen.opacity - batch.head).square().mean()
        entropy = binary_entropy(seen.opacity).mean()
        total = error + self.config.opacity_weight * shape + self.config.entropy_weight * entropy
        return {"loss": total, "colour": error.detach(), "opacity": shape.detach()}

    def _exchanged(self, batch: RayBatch, generator: torch.Generator, warming: bool) -> tuple[Tensor, Tensor]:
        """Plate and target: half of the time the plate has a random colour, so that the head must be opaque.

        By "rays" also beside the head and along its edge against the background, where the matte says how much of the
        target goes with the plate; not along the jaw, where the neck's own colour is behind at any background, and not
        while warming up, when nothing is opaque yet and random colours only add noise.
        """
        if self.config.exchange == "core":
            draw = torch.rand(4, generator=generator).to(self.device)
            return torch.where((batch.head > 0.99) & (draw[3] < 0.5), draw[:3, None], batch.plate), batch.colour
        if warming:
            return batch.plate, batch.colour
        draw = torch.rand(4, len(batch.head), generator=generator).to(self.device)
        chosen = ((batch.head > 0.99) | (batch.person < 0.995)) & (draw[3] < 0.5)
        plate = torch.where(chosen, draw[:3], batch.plate)
        return plate, batch.colour + (1 - batch.head) * (plate - batch.plate)

    def _attention_term(self, frame: int, batch: RayBatch, rays: Rays, frozen: Frozen) -> Tensor:
        """Rendered attention where the face is not, and where mouth and eyes would share a place (ER-NeRF)."""
        face = self.data.landmarks_px[frame]
        low, high = (torch.from_numpy(edge).float() for edge in (face.min(0), face.max(0)))
        outside = ((batch.pixels < low) | (batch.pixels > high)).any(1).nonzero()[:256, 0].to(self.device)
        some = Rays(rays.origin, rays.direction[:, outside])
        samples = self.head.occupancy.samples(some, self.config.step_fraction, self.config.samples)
        both = self.head.radiance.attention_norm(samples.points)
        with torch.no_grad():
            density = self.head.radiance.density(samples.points, frozen, self.kind)
            weight = weights(density * self.config.step_fraction, samples.ray)
        return accumulate(weight, both, samples.ray, len(outside)).sum() / max(len(outside), 1)

    def _prune(self, step: int) -> None:
        config = self.config
        if step >= config.warmup_steps and (step - config.warmup_steps) % config.occupancy_every == 0:
            self.head.occupancy.prune(EMPTY_WEIGHT)

    # -- what a frame is -----------------------------------------------------------------------------------------------

    def condition(self, frame: int, generator: torch.Generator | None = None) -> Condition:
        """The condition of a frame, noisy and with its own appearance code while training."""
        drive = self.drive(frame, generator)
        return self.head.condition(drive, self.closure[frame], frame if generator is not None else None)

    def drive(self, frame: int, generator: torch.Generator | None) -> Tensor:
        """The driving vector of a frame, noisy where there is a generator."""
        if self._given_drive is not None:
            return self._given_drive(frame, generator)
        drive = self.head.components(self.landmarks[frame].to(self.device), self.closure[frame].to(self.device))
        if generator is not None:
            drive = drive + self.config.noise * torch.randn(drive.shape, generator=generator).to(self.device)
        return drive

    def _rays(self, frame: int, pixels: Tensor) -> Rays:
        pose = torch.from_numpy(self.data.poses[frame]).to(self.device)
        return camera_rays(pixels.to(self.device), self.data.camera, pose, self.head.box)

    def _any_frame(self, generator: torch.Generator) -> int:
        return int(self.training[int(torch.randint(len(self.training), (1,), generator=generator))])

    def _use_size(self, step: int) -> None:
        """Pass to the full picture size when its time has come."""
        config = self.config
        first = config.first_size_px and step < config.first_share * config.steps
        size = config.first_size_px if first else config.size_px
        if size != self._size:
            self._size = size
            self.data = PersonData(self.folder, size, self.training, self.data.square, self.data.box)
            self.meter = OpeningMeter(self.data, self.folder)

    # -- watching ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out frames under their true landmarks: PSNR of head and mouth, and whether mouth and eyes move."""
        heads, mouths = [], []
        for frame in self.held_out[:: max(1, len(self.held_out) // 6)]:
            picture, truth, mask = self.compare(int(frame))
            error = (picture - truth) ** 2
            left, top, right, bottom = self.data.mouth_box(int(frame))
            heads.append(float(error[mask].mean()))
            mouths.append(float(error[top:bottom, left:right].mean()))
        scores = {"head_psnr": -10 * np.log10(np.mean(heads)), "mouth_psnr": -10 * np.log10(np.mean(mouths))}
        frames = [int(f) for f in self.held_out[:: max(1, len(self.held_out) // 40)]]
        return {**scores, **self.meter.follow(frames, self._look)}

    def _look(self, frame: int, pixels: Tensor) -> Tensor:
        """Colours [3, n] of image points of a frame under its own condition."""
        seen = self.head.shade(self._rays(frame, pixels), self.condition(frame))
        return seen.colour.cpu()

    @torch.no_grad()
    def compare(self, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rendered head over the true plate, the true picture (both [n, n, 3] in [0, 1]), and the head's mask."""
        view = self.head.render(self.condition(frame), self.data.camera, self.data.poses[frame])
        picture = self.data.picture(frame)
        plate = picture.plate.astype(np.float32) / 255
        rendered = view.colour + (1 - view.opacity[..., None]) * plate
        return rendered.clip(0, 1), picture.colour.astype(np.float32) / 255, picture.head > 127

    def preview(self) -> np.ndarray:
        """True (above) and rendered held-out frames side by side."""
        columns = []
        for frame in self.held_out[:: max(1, len(self.held_out) // 4)][:4]:
            rendered, truth, _ = self.compare(int(frame))
            columns.append(np.concatenate([truth, rendered]))
        return (np.concatenate(columns, 1) * 255 + 0.5).astype(np.uint8)


def parameters_of(modules: list[nn.Module], rate: float) -> list[dict[str, Any]]:
    """Parameter groups of networks that make the drive, to be trained with the field."""
    return [{"params": list(m.parameters()), "lr": rate, "betas": (0.9, 0.99), "eps": 1e-15} for m in modules]
