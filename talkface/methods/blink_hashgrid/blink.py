"""Module 3: the blink embedding E (paper, section III.C and Fig. 2).

Facial action units go in; a mapping network reads the size of the eyes from six points around each; a control module
predicts how those twelve points move to the next frame; the three together are V, the embedding that Eq. 6 takes.
The paper fixes these parts and their order; sizes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

EYE_VALUES = 24
"""x and y of twelve points."""
NEAR_ONE = 20.0
"""Lids lie about a twentieth of the outer eye distance from the eye's middle; networks like numbers near one."""
NUDGE = 0.02
"""Deviation of the noise on teacher-forced eye points: it teaches the way back before the eyes run free (ours)."""
SIZE_WEIGHT = 0.5
"""Weight of the eye size beside the movement in L_eye (our choice)."""


class ActionUnitFeature(nn.Module):
    """Each frame's units combined with the temporal features of the entire segment (paper, Fig. 2).

    Local part: MLP to 16. Segment part: bidirectional GRU (8 each way), averaged over the segment, 16. Both to 32.
    """

    def __init__(self, units: int, local: int = 16, segment: int = 16, out: int = 32) -> None:
        super().__init__()
        self.local = nn.Sequential(nn.Linear(units, local), nn.ReLU(), nn.Linear(local, local))
        self.segment = nn.GRU(units, segment // 2, batch_first=True, bidirectional=True)
        self.join = nn.Sequential(nn.Linear(local + segment, out), nn.ReLU(), nn.Linear(out, out))

    def forward(self, units: Float[Tensor, "batch frames units"]) -> Float[Tensor, "batch frames 32"]:
        whole = self.segment(units)[0].mean(1, keepdim=True).expand(-1, units.shape[1], -1)
        return self.join(torch.cat([self.local(units), whole], dim=-1))


class RingConvolution(nn.Linear):
    """Convolution of width 3 around a closed ring of points, as one matrix product (a tenth of conv1d's time here)."""

    around: Tensor

    def __init__(self, channels: int, out: int, points: int = 6) -> None:
        super().__init__(3 * channels, out)
        self.register_buffer("around", (torch.arange(points)[:, None] + torch.arange(-1, 2)) % points, persistent=False)

    def forward(self, ring: Float[Tensor, "batch points channels"]) -> Float[Tensor, "batch points out"]:
        return super().forward(ring[:, self.around].flatten(2))


class EyeMapping(nn.Module):
    """The mapping network: six points of each eye to the current eye size, 1 open to 0 shut.

    Convolutions run around the closed ring of points, shared by both eyes; their mean goes through two full layers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ring = nn.Sequential(RingConvolution(2, 16), nn.ReLU(), RingConvolution(16, 32), nn.ReLU())
        self.size = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, eyes: Float[Tensor, "*batch 2 6 2"]) -> Float[Tensor, "*batch"]:
        features = self.ring(NEAR_ONE * eyes.reshape(-1, 6, 2))
        return self.size(features.view(-1, 12, 32).mean(1)).sigmoid().view(eyes.shape[:-3])


class EyeControl(nn.Module):
    """The eyes' movement prediction: state of this frame and the units wanted next -> movement to the next frame.

    It is given the units of the frame that it predicts, because the commanded blink is known ahead; with this frame's
    units every blink would come 40 ms late (our choice). The movement is read from the GRU's state and its input: the
    way back from where the eyes are to where the units want them is then a linear one, and nothing drifts.
    """

    def __init__(self, feature: int = 32, width: int = 64) -> None:
        super().__init__()
        self.cell = nn.GRUCell(feature + 1 + EYE_VALUES, width)
        self.movement = nn.Linear(width + self.cell.input_size, EYE_VALUES)
        self.size = nn.Linear(width, 1)
        nn.init.zeros_(self.movement.weight)
        nn.init.zeros_(self.movement.bias)

    def forward(
        self,
        feature: Float[Tensor, "batch feature"],
        size: Float[Tensor, " batch"],
        eyes: Float[Tensor, "batch 2 6 2"],
        hidden: Float[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch 2 6 2"], Float[Tensor, " batch"], Float[Tensor, "batch width"]]:
        """Movement of the points in outer eye distances, next eye size, next hidden state."""
        seen = torch.cat([feature, size[:, None], NEAR_ONE * eyes.flatten(1)], dim=-1)
        hidden = self.cell(seen, hidden)
        movement = self.movement(torch.cat([hidden, seen], dim=-1)) / NEAR_ONE
        return movement.view_as(eyes), self.size(hidden).squeeze(-1).sigmoid(), hidden


@dataclass(frozen=True)
class Blinked:
    """What the blink embedding says of a stretch of frames."""

    embedding: Float[Tensor, "batch frames 32"]
    """V."""
    eyes: Float[Tensor, "batch frames 2 6 2"]
    """Predicted eye points."""
    size: Float[Tensor, "batch frames"]
    """Eye size that the mapping network reads from the points V was made of."""
    predicted_size: Float[Tensor, "batch frames"]
    """Eye size that the control module announced."""


class BlinkEmbedding(nn.Module):
    """Units and eye points to V, by teacher forcing where true points are given and free-running elsewhere."""

    def __init__(self, units: int = 1, out: int = 32) -> None:
        super().__init__()
        self.feature = ActionUnitFeature(units)
        self.mapping = EyeMapping()
        self.control = EyeControl()
        self.out = nn.Linear(32 + 1 + EYE_VALUES, out)

    def forward(
        self,
        feature: Float[Tensor, "batch frames 32"],
        rest: Float[Tensor, "*batch 2 6 2"],
        true_eyes: Float[Tensor, "batch frames 2 6 2"] | None = None,
        forced: Bool[Tensor, "batch frames"] | None = None,
    ) -> Blinked:
        """Roll the control module over the frames, starting from the eyes `rest`.

        Args:
            feature: Action-unit features of the frames (`self.feature`).
            rest: Eye points before the first frame (of the mean face, or of each stretch's own past).
            true_eyes: The video's eye points; where `forced` they replace the prediction as the next step's input.
        """
        batch, frames = feature.shape[:2]
        hidden = feature.new_zeros(batch, self.control.cell.hidden_size)
        previous = rest.expand(batch, -1, -1, -1)
        predicted, used, sizes = [], [], []
        for t in range(frames):
            movement, size, hidden = self.control(feature[:, t], self.mapping(previous), previous, hidden)
            predicted.append(previous + movement)
            previous = predicted[-1]
            if true_eyes is not None and forced is not None:
                previous = torch.where(forced[:, t, None, None, None], true_eyes[:, t], previous)
            used.append(previous)
            sizes.append(size)
        eyes = torch.stack(used, 1)
        size = self.mapping(eyes)
        embedding = self.out(torch.cat([feature, size[..., None], NEAR_ONE * eyes.flatten(2)], dim=-1))
        return Blinked(embedding, torch.stack(predicted, 1), size, torch.stack(sizes, 1))


def eye_loss(
    blinked: Blinked,
    mapped_size: Float[Tensor, "batch frames"],
    true_eyes: Float[Tensor, "batch frames 2 6 2"],
    closure: Float[Tensor, "batch frames"],
    valid: Bool[Tensor, "batch frames"],
) -> Float[Tensor, ""]:
    """L_eye: L1 norm of the movement's error plus half the error of the eye sizes, against 1 - closure.

    The movement wanted is the one that leads to the true points of the next frame, so the first term is the distance
    between predicted and true points: under teacher forcing that is the error of the movement itself, and when running
    free it also asks for the way back. Both sizes count: the mapping network's (of the true points), by cross-entropy
    because eyes are open nearly always and an L1 norm would settle for that, and the control's.
    """
    open_size = 1 - closure
    movement = (blinked.eyes - true_eyes).abs().flatten(2).sum(-1)
    mapped = functional.binary_cross_entropy(mapped_size, open_size, reduction="none")
    sizes = mapped + (blinked.predicted_size - open_size).abs()
    return (movement + SIZE_WEIGHT * sizes)[valid].mean()


def teacher_share(progress: float) -> float:
    """Share of frames that are teacher-forced: all for half of the training, then fewer, none in the last quarter."""
    return min(1.0, max(0.0, 4 * (0.75 - progress)))
