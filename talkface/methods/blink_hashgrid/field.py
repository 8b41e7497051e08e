"""BLINK's radiance field of one head (paper section III): tri-plane hash, condition, occupancy, rendering."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from talkface.fields.encodings import ConditionedGrid
from talkface.fields.occupancy import Occupancy
from talkface.fields.radiance import Condition, RadianceField, fast_kind
from talkface.fields.rays import HeadBox, Rays, camera_rays, cross_box
from talkface.fields.render import Rendered, render_image
from talkface.methods.blink_hashgrid.field_condition import LandmarkComponents
from talkface.methods.blink_hashgrid.field_config import FieldConfig
from talkface.ops.hashgrid import GridShape
from talkface.types import Camera

MOVING_MARGIN_CM = (np.array([1.5, 4.0, 3.0]), np.array([1.5, 3.0, 3.0]))
"""The moving part of the face reaches so far beyond the mean landmarks: below (a chin drops) and above."""

OUTLINE_STEP = 0.1
"""Neighbouring pixels whose opacity differs by more lie on the outline."""


class View(NamedTuple):
    """A rendered head; colour is premultiplied, so the whole picture is ``colour + (1 - opacity) * plate``."""

    colour: np.ndarray
    """[height, width, 3], float32 in [0, 1]."""
    opacity: np.ndarray
    """[height, width]."""
    depth: np.ndarray
    """[height, width], cm from the camera where the head is, 0 elsewhere."""


class HeadField(nn.Module):
    """A person's head; all that rendering needs is in its parameters and buffers.

    Args:
        config: the field's options.
        frames: training frames that have an appearance code (indexed by frame number of the clip).
    """

    box_numbers: Tensor

    def __init__(self, config: FieldConfig, frames: int) -> None:
        super().__init__()
        self.config = config
        eye = 1 if config.eye else 0
        if config.triplane:
            shape = GridShape(2, config.levels, config.coarsest, config.finest, config.log2_rows, planes=3)
            grid = ConditionedGrid(shape, config.features)
        else:
            levels = max(2, config.levels * 4 // 3)
            shape = GridShape(3, levels, max(4, config.coarsest // 4), config.finest * 4, config.log2_rows + 2)
            grid = ConditionedGrid(shape, 2)
        motion = _motion_grid(config, config.drive_size + eye) if config.conditioning == "planes" else None
        sizes = config.drive_size, eye, config.code, config.hidden
        self.radiance = RadianceField(grid, motion, *sizes, config.view, config.view_limit)
        self.occupancy = Occupancy(config.occupancy_cells)
        self.components = LandmarkComponents(config.mouth_components, config.brow_components, config.clamp)
        self.codes = nn.Parameter(torch.zeros(frames, config.code))
        self.register_buffer("box_numbers", torch.tensor([0.0, 0.0, 0.0, 1.0]))

    @property
    def box(self) -> HeadBox:
        """The cube that holds the head."""
        x, y, z, side = self.box_numbers.tolist()
        return HeadBox((x, y, z), side)

    @property
    def device(self) -> torch.device:
        """Where the field lives."""
        return self.codes.device

    def settle(
        self, box: HeadBox, shell: np.ndarray, landmarks: np.ndarray, closure: np.ndarray, origins: np.ndarray
    ) -> None:
        """Take over a person.

        Args:
            shell: cells that may hold the head, [n, n, n].
            landmarks: of the training frames, pose-free, [frames, 68, 3], cm.
            closure: of their lids, 0 open to 1 shut, [frames].
            origins: where the camera was in the head frame, [frames, 3], cm.
        """
        self.box_numbers.copy_(torch.tensor([*box.center_cm, box.side_cm]))
        self.occupancy.start(torch.from_numpy(shell))
        self.components.fit(landmarks, closure)
        face = np.nanmean(landmarks, axis=0)
        low, high = face.min(0), face.max(0)
        around = np.stack([low - MOVING_MARGIN_CM[0], high + MOVING_MARGIN_CM[1]])
        self.radiance.window.copy_(torch.from_numpy(box.from_head(around)))
        if self.config.view_limit:
            towards = landmarks - origins[:, None]
            across = (towards / np.linalg.norm(towards, axis=-1, keepdims=True))[..., :2].reshape(-1, 2)
            self.radiance.directions.copy_(torch.from_numpy(np.nanpercentile(across, [1, 99], axis=0)))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates, as torch.optim takes them."""
        config = self.config
        grids = [self.radiance.grid.base]
        motion = self.radiance.motion
        if motion is not None:
            grids.append(motion.base)
        network = [p for name, p in self.radiance.named_parameters() if not name.startswith(("grid.", "motion."))]
        groups: list[dict[str, Any]] = [
            {"params": grids, "lr": config.grid_rate},
            {"params": network, "lr": config.network_rate},
            {"params": [self.codes], "lr": config.code_rate},
        ]
        if motion is not None and motion.linear is not None:
            groups.append({"params": [motion.linear], "lr": config.linear_rate})
        return [{**group, "betas": (0.9, 0.99), "eps": 1e-15} for group in groups]

    def condition(self, drive: Tensor, closure: Tensor, frame: int | None = None) -> Condition:
        """One frame's condition.

        Args:
            drive: components of the landmarks (`components`) or a network's code, [drive].
            closure: lid closure, 0 open to 1 shut, [1].
            frame: whose appearance code; None means the mean of the training frames.
        """
        seen = self.codes.detach().abs().sum(1) > 0
        mean = self.codes.detach()[seen].mean(0) if seen.any() else torch.zeros_like(self.codes[0])
        code = mean if frame is None else self.codes[frame]
        eye = closure if self.config.eye else closure[:0]
        return Condition(drive.to(self.device), eye.to(self.device), code)

    @torch.no_grad()
    def shade(self, rays: Rays, condition: Condition) -> Rendered:
        """Render rays under a condition without gradients."""
        config = self.config
        return render_image(
            self.radiance,
            self.occupancy,
            rays,
            self.radiance.freeze(condition),
            config.step_fraction,
            config.samples,
            fast_kind(self.device),
        )

    @torch.no_grad()
    def render(self, condition: Condition, camera: Camera, head_from_camera: np.ndarray) -> View:
        """The head in the picture of `camera`; `head_from_camera` is 4x4, cm (camera: x right, y down, z forward)."""
        height, width = camera.size_px
        rows, columns = torch.meshgrid(
            torch.arange(height, device=self.device), torch.arange(width, device=self.device), indexing="ij"
        )
        pixels = torch.stack([columns.reshape(-1), rows.reshape(-1)], 1) + 0.5
        pose = torch.as_tensor(np.asarray(head_from_camera), dtype=torch.float32, device=self.device)
        picture = self._through(pixels, condition, camera, pose)
        if self.config.outline_rays > 1:
            outline = _outline(picture[3].reshape(height, width)).reshape(-1).nonzero()[:, 0]
            side = self.config.outline_rays
            line = (torch.arange(side, device=self.device) + 0.5) / side - 0.5
            places = pixels[outline] + torch.cartesian_prod(line, line)[:, None]
            picture[:, outline] = (
                self._through(places.reshape(-1, 2), condition, camera, pose).reshape(5, side**2, len(outline)).mean(1)
            )
        image = picture.reshape(5, height, width).cpu().numpy()
        depth = np.where(image[3] > 0.5, image[4] / np.maximum(image[3], 1e-6), 0)
        return View(image[:3].transpose(1, 2, 0).clip(0, 1), image[3].clip(0, 1), depth)

    def _through(self, pixels: Tensor, condition: Condition, camera: Camera, pose: Tensor) -> Tensor:
        """Premultiplied colour, opacity and weighted depth (cm) of image points, [5, n]; zeros beside the head."""
        rays = camera_rays(pixels, camera, pose, self.box)
        near, far = cross_box(rays, *self.occupancy.bounds())
        seen = torch.zeros(5, len(pixels), device=self.device)
        for part in (far > near).nonzero()[:, 0].split(8192):
            some = self.shade(Rays(rays.origin, rays.direction[:, part]), condition)
            seen[:, part] = torch.cat([some.colour, some.opacity[None], some.depth[None] * self.box.side_cm])
        return seen


def _outline(opacity: Tensor) -> Tensor:
    """Pixels whose opacity differs from a neighbour's: [height, width], bool."""
    highest = nn.functional.max_pool2d(opacity[None], 3, 1, 1)[0]
    lowest = -nn.functional.max_pool2d(-opacity[None], 3, 1, 1)[0]
    return highest - lowest > OUTLINE_STEP


def _motion_grid(config: FieldConfig, conditions: int) -> ConditionedGrid:
    levels, rows = config.motion_levels, config.motion_log2_rows
    if config.triplane:
        shape = GridShape(2, levels, config.motion_coarsest, config.motion_finest, rows, planes=3)
    else:
        shape = GridShape(3, levels, max(4, config.motion_coarsest // 2), config.motion_finest // 2, rows + 1)
    return ConditionedGrid(shape, 1, conditions)
