"""What lip predictors learn from: stretches of speech with the face's landmarks, brought to one person's own scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from talkface.audio.features import ROWS_PER_FRAME, Normalisation, Statistics, fit_rows
from talkface.audio.mouth import MouthSpace, Talk


@dataclass(frozen=True)
class Part:
    """One unbroken stretch of a recording, as it came."""

    mel: Float[np.ndarray, "rows bands"]
    """`log_mel`, four rows per frame."""
    landmarks: Float[np.ndarray, "frames 68 3"]
    """Pose-free, head frame, cm."""
    valid: Bool[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.valid)


def cut(
    mel: Float[np.ndarray, "rows bands"],
    landmarks: Float[np.ndarray, "frames 68 3"],
    valid: Bool[np.ndarray, " frames"],
    stretches: Sequence[tuple[int, int]] | None = None,
) -> list[Part]:
    """The named stretches (start, stop frames) of a recording that have a valid frame; default the whole recording."""
    finite = valid & np.isfinite(landmarks).all((1, 2))
    fitted = fit_rows(mel, len(valid))
    return [
        Part(fitted[start * ROWS_PER_FRAME : stop * ROWS_PER_FRAME], landmarks[start:stop], finite[start:stop])
        for start, stop in stretches or [(0, len(valid))]
        if finite[start:stop].any()
    ]


@dataclass(frozen=True)
class Targets:
    """How one person's mouth values are standardised; percentiles bound what is predicted."""

    mean: Float[np.ndarray, " values"]
    std: Float[np.ndarray, " values"]
    low: Float[np.ndarray, " values"]
    """0.5th percentile of the training frames."""
    high: Float[np.ndarray, " values"]
    """99.5th percentile."""

    @classmethod
    def of(cls, values: Float[np.ndarray, "frames values"]) -> Targets:
        """Of the valid training frames."""
        low, high = np.percentile(values, [0.5, 99.5], axis=0).astype(np.float32)
        return cls(values.mean(0), np.maximum(values.std(0), 1e-5), low, high)

    def standard(self, values: Float[np.ndarray, "frames values"]) -> Float[np.ndarray, "frames values"]:
        """Mean 0, deviation 1 over the training frames."""
        return ((values - self.mean) / self.std).astype(np.float32)

    def plain(self, values: Float[np.ndarray, "frames values"]) -> Float[np.ndarray, "frames values"]:
        """The inverse of `standard`."""
        return (values * self.std + self.mean).astype(np.float32)


@dataclass(frozen=True)
class Scale:
    """One person's own scale of voice and mouth, from training frames only."""

    space: MouthSpace
    normalisation: Normalisation
    targets: Targets

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Scale:
        """Over all parts of one person; there must be valid frames."""
        statistics = Statistics()
        for part in parts:
            statistics.add(part.mel)
        landmarks = np.concatenate([part.landmarks[part.valid] for part in parts])
        space = MouthSpace.of(landmarks)
        return cls(space, statistics.normalisation(), Targets.of(space.encode(landmarks)))

    def talk(self, part: Part) -> Talk:
        """A part in normalised mel and standardised mouth values."""
        known = np.where(part.valid[:, None, None], part.landmarks, self.space.mean)
        values = self.targets.standard(self.space.encode(known))
        return Talk(self.normalisation.apply(part.mel), values, part.valid)
