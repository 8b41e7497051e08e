"""Conditional radiance fields on grid features: where, from where and under what condition -> density, colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from talkface.fields.encodings import ConditionedGrid, spherical_harmonics

BUCKET = 1024
FADE = 0.12
"""Share of the moving window's width over which it fades out."""
HIGHEST_LOGIT = 15.0
"""Density logits are cut here, so that exp stays finite."""


class Condition(NamedTuple):
    """What one frame shows; the parts that a field does not have are ignored."""

    drive: Float[Tensor, " drive"]
    """Mouth shape: components of the landmarks, a landmark code or an audio code."""
    eye: Float[Tensor, " eye"]
    """Lid closure, 0 open to 1 shut; empty for a field without an eye channel."""
    code: Float[Tensor, " code"]
    """Appearance of the frame (ER-NeRF's per-frame code)."""


@dataclass(frozen=True)
class Frozen:
    """A field under one condition: everything that is the same for all samples of a frame, computed once."""

    motion: Float[Tensor, "moving movable"] | None
    """Table of the motion grid under this condition ("planes")."""
    attention: Float[Tensor, "hidden drive"] | None
    """First-layer weights of the region attention, times the drive ("attention")."""
    eye: Float[Tensor, "hidden 1"] | None
    colour_bias: Float[Tensor, "hidden 1"]


class RadianceField(nn.Module):
    """Density and colour of a head, ER-NeRF's network (nerf-methods.md section 0.6), bias-free MLPs with ReLU.

    Two ways for the condition to come in:
        "planes" (ours): a second grid over the moving part of the face, its tables linear in ``[drive, eye]``; it fades
            out at the edge of its window, so that hair, ears and outline cannot follow the mouth by accident
        "attention" (the paper's): ``A(x) * drive`` and ``sigmoid(B(x)) * eye`` as further inputs of the first layer

    Exact rearrangements for speed: what is the same for a whole frame is computed once per frame, and the linear map
    from the trunk to the colour network's first layer is one matrix.

    Args:
        grid: features of the head at rest.
        motion: the second grid ("planes"), else None: "attention".
        limited: viewing directions are cut to `directions`, x and y of the lowest and highest that training had, so
            that colour does not run away in views it never saw (ours).
    """

    window: Tensor
    directions: Tensor

    def __init__(
        self,
        grid: ConditionedGrid,
        motion: ConditionedGrid | None,
        drive: int,
        eye: int = 1,
        code: int = 4,
        hidden: int = 64,
        view: bool = True,
        limited: bool = False,
    ) -> None:
        super().__init__()
        self.grid, self.motion, self.view, self.limited = grid, motion, view, limited
        self.first = nn.Linear(grid.channels + (motion.channels if motion else 0), hidden, bias=False)
        self.second = nn.Linear(hidden, hidden, bias=False)
        self.density_head = nn.Linear(hidden, 1, bias=False)
        self.geometry_head = nn.Linear(hidden, hidden, bias=False)
        self.colour_geometry = nn.Linear(hidden, hidden, bias=False)
        self.colour_view = nn.Linear(16, hidden, bias=False)
        self.colour_code = nn.Linear(code, hidden, bias=False)
        self.colour_head = nn.Linear(hidden, 3, bias=False)
        self.register_buffer("window", torch.tensor([[0.0] * 3, [1.0] * 3]))
        if limited:
            self.register_buffer("directions", torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
        if motion is None:
            self.first_drive = nn.Linear(drive, hidden, bias=False)
            self.region = _attention(grid.channels, hidden, drive)
            self.eye_region = _attention(grid.channels, 16, 1) if eye else None
            self.first_eye = nn.Linear(eye, hidden, bias=False) if eye else None

    def freeze(self, condition: Condition) -> Frozen:
        """Everything that depends on the condition alone (still differentiable)."""
        code = (self.colour_code.weight @ condition.code)[:, None]
        if self.motion is not None:
            return Frozen(self.motion.table(torch.cat([condition.drive, condition.eye])), None, None, code)
        attention = self.first_drive.weight * condition.drive
        eye = (self.first_eye.weight @ condition.eye)[:, None] if self.first_eye is not None else None
        return Frozen(None, attention, eye, code)

    def trunk(
        self, points: Float[Tensor, "3 samples"], frozen: Frozen, kind: torch.dtype = torch.float32
    ) -> Float[Tensor, "hidden padded"]:
        """Last hidden layer at box points (in bfloat16 with a few more columns, see `_padded`)."""
        features = self.grid(points, self.grid.base)
        if self.motion is not None and frozen.motion is not None:
            inside, share = self._in_window(points)
            features = torch.cat([features, self.motion(inside, frozen.motion) * share])
        inputs = _padded(features, kind)
        hidden = self.first.weight.to(kind) @ inputs
        if frozen.attention is not None:
            hidden = hidden + frozen.attention.to(kind) @ _perceptron(self.region, inputs)
        if frozen.eye is not None and self.eye_region is not None:
            hidden = hidden + frozen.eye.to(kind) * torch.sigmoid(_perceptron(self.eye_region, inputs))
        return (self.second.weight.to(kind) @ hidden.relu()).relu()

    def _in_window(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates in the moving window, and how much it counts: 1 inside, falling to 0 at its sides (x and y)."""
        low, high = self.window[0][:, None], self.window[1][:, None]
        place = (points - low) / (high - low)
        depth = torch.minimum(place, 1 - place)[:2].amin(0)
        share = (depth / FADE).clamp(0, 1)
        return place, share * share * (3 - 2 * share)

    def density(
        self, points: Float[Tensor, "3 samples"], frozen: Frozen, kind: torch.dtype = torch.float32
    ) -> Float[Tensor, " samples"]:
        """Density per box unit."""
        return self._density(self.trunk(points, frozen, kind))[: points.shape[1]]

    def forward(
        self,
        points: Float[Tensor, "3 samples"],
        ray: Int64[Tensor, " samples"],
        direction: Float[Tensor, "3 rays"],
        frozen: Frozen,
        kind: torch.dtype = torch.float32,
    ) -> tuple[Float[Tensor, " samples"], Float[Tensor, "3 samples"]]:
        """Density per box unit and colour of samples.

        Args:
            points: box coordinates.
            ray: which of the directions each sample lies on.
            direction: unit directions of the rays, in the head frame.
            frozen: the condition, from `freeze`.
            kind: arithmetic of the matrix products; bfloat16 where the machine has it.
        """
        hidden = self.trunk(points, frozen, kind)
        count = points.shape[1]
        joined = (self.colour_geometry.weight @ self.geometry_head.weight).to(kind)
        shaded = joined @ hidden + frozen.colour_bias.to(kind)
        if self.view:
            seen = (self.colour_view.weight @ spherical_harmonics(self._known(direction))).to(kind)
            shaded = shaded + _padded(torch.index_select(seen, 1, ray), kind)
        logits = (self.colour_head.weight.to(kind) @ shaded.relu())[:, :count]
        return self._density(hidden)[:count], torch.sigmoid(logits.float()) * 1.002 - 0.001

    def _known(self, direction: Float[Tensor, "3 rays"]) -> Float[Tensor, "3 rays"]:
        """The nearest direction that training had; all look at the face from the front, towards negative z."""
        if not self.limited:
            return direction
        low, high = self.directions[:, :, None]
        across = torch.minimum(torch.maximum(direction[:2], low), high)
        return torch.cat([across, -(1 - across.square().sum(0, keepdim=True)).clamp(min=1e-4).sqrt()])

    def attention_norm(self, points: Float[Tensor, "3 samples"]) -> Float[Tensor, "2 samples"]:
        """Strength of region attention, and of it times eye attention, at points ("attention")."""
        inputs = self.grid(points, self.grid.base)
        region = _perceptron(self.region, inputs).norm(dim=0)
        if self.eye_region is None:
            return torch.stack([region, torch.zeros_like(region)])
        return torch.stack([region, region * torch.sigmoid(_perceptron(self.eye_region, inputs))[0]])

    def _density(self, hidden: Tensor) -> Tensor:
        logit = (self.density_head.weight.to(hidden.dtype) @ hidden)[0].float()
        return torch.exp(logit.clamp(max=HIGHEST_LOGIT))


def _padded(inputs: Tensor, kind: torch.dtype) -> Tensor:
    """Columns filled up to a multiple of 1024 in bfloat16, where a matrix product prepares a kernel per new shape."""
    missing = -inputs.shape[1] % BUCKET if kind == torch.bfloat16 else 0
    return nn.functional.pad(inputs.to(kind), (0, missing))


def _attention(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, outputs, bias=False))


def _perceptron(layers: nn.Sequential, inputs: Tensor) -> Tensor:
    first, last = layers[0], layers[2]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    return last.weight.to(inputs.dtype) @ (first.weight.to(inputs.dtype) @ inputs).relu()


def fast_kind(device: torch.device) -> torch.dtype:
    """bfloat16 where matrix products run in it natively, else float32 (performance.md section 1: never float16)."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if native() else torch.float32
