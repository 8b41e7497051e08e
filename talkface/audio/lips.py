"""One person's lips from speech: ridge, a net from scratch and a fine-tuned pre-trained net, averaged.

The recipe, its figures and its limits are the design page lip-sync: averaging gives the correlation, matching
afterwards (`audio.matching`) gives amplitude and closed lips.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from talkface.audio.corpus import Part, Scale, Targets, cut
from talkface.audio.features import ROWS_PER_FRAME, Normalisation, fit_rows, normalisation_of, per_frame, windows
from talkface.audio.lipnet import Learning, LipNet, predict_values, train_lipnet
from talkface.audio.matching import Matching
from talkface.audio.mouth import MouthSpace, Talk
from talkface.audio.ridge import Ridge, fit_ridge
from talkface.audio.weights import net_of, read_tensors, tensors_of, write_tensors
from talkface.errors import UserError
from talkface.types import FPS

CONTEXT = 5
"""Frames before and after that the ridge sees."""
SHARES = (0.4, 0.4, 0.2)
"""Of net from scratch, fine-tuned net and ridge."""
PRETRAINING = Learning(steps=700)
FINE_TUNING = Learning(steps=100, rate=1e-3)
LEAST_S = 8.0
"""Training speech that a person must have."""
_FORMAT = "talkface-lips-1"


@dataclass(frozen=True)
class LipPredictor:
    """Speech to one person's pose-free landmarks."""

    scale: Scale
    ridge: Ridge
    scratch: tuple[LipNet, ...]
    tuned: tuple[LipNet, ...]
    """Empty when there was no pre-trained net; the net from scratch then has its share."""
    matching: Matching
    """Gives the average its amplitude and its closed lips."""

    @property
    def space(self) -> MouthSpace:
        """The person's mouths as numbers."""
        return self.scale.space

    @property
    def targets(self) -> Targets:
        """How those numbers are standardised."""
        return self.scale.targets

    @classmethod
    def fit(
        cls,
        mel: Float[np.ndarray, "rows bands"],
        landmarks: Float[np.ndarray, "frames 68 3"],
        valid: Bool[np.ndarray, " frames"],
        stretches: Sequence[tuple[int, int]] | None = None,
        pretrained: LipNet | None = None,
        seed: int = 0,
        learning: Learning | None = None,
        fine_tuning: Learning = FINE_TUNING,
        seeds: int = 1,
    ) -> LipPredictor:
        """Learn one person: about 10 s of CPU on one thread, whatever the length.

        Args:
            mel: `log_mel` of the whole recording (not normalised); row 4 i is the moment of frame i.
            landmarks: pose-free 68 landmarks, head frame, cm (`Track.landmarks`).
            valid: frames to learn from.
            stretches: (start, stop) frames to learn from, each unbroken in time; default the whole recording.
            pretrained: the net of other people that is fine-tuned (`weights.shipped()`).
            seed: the same seed and data give the same predictor.
            seeds: how many nets of each kind are trained and averaged.

        Raises:
            UserError: fewer than 8 s of valid frames.
        """
        learning = learning or Learning()
        parts = cut(mel, landmarks, valid, stretches)
        frames = sum(int(part.valid.sum()) for part in parts)
        if frames < LEAST_S * FPS:
            raise UserError(
                f"{frames / FPS:.1f} s of speech with a valid face is too little to learn lips from; "
                f"bring at least {LEAST_S:.0f} s"
            )
        scale = Scale.of(parts)
        talks = [scale.talk(part) for part in parts]
        ridge, matching = _ridge(talks)
        scratch = tuple(train_lipnet(talks, learning, seed + index) for index in range(seeds))
        tuned: tuple[LipNet, ...] = ()
        if pretrained is not None:
            tuned = tuple(train_lipnet(talks, fine_tuning, seed + index, pretrained) for index in range(seeds))
        return cls(scale, ridge, scratch, tuned, matching)

    def predict(
        self,
        mel: Float[np.ndarray, "rows bands"],
        frames: int | None = None,
        foreign: bool = False,
        match_variance: bool = True,
    ) -> Float[np.ndarray, "frames 68 3"]:
        """Pose-free landmarks in cm at 25 fps for speech of any length; what speech does not move stays at its mean.

        `mel` is `log_mel` of the driving speech. Say `foreign` when it is another voice or recording: it is then
        normalised by its own statistics. `frames` defaults to the length of the speech.
        """
        count = len(mel) // ROWS_PER_FRAME if frames is None else frames
        own = normalisation_of(mel) if foreign and len(mel) else self.scale.normalisation
        values = self.standard_values(fit_rows(own.apply(mel), count), count)
        if match_variance and count:
            values = self.matched(values)
        return self.space.decode(self.targets.plain(values))

    def standard_values(self, mel: Float[np.ndarray, "rows bands"], frames: int) -> Float[np.ndarray, "frames values"]:
        """The averaged prediction in standardised mouth values, variance not matched; `mel` is normalised."""
        return sum(
            (share * values for share, values in zip(self._shares(), self.members(mel, frames).values(), strict=True)),
            np.zeros((frames, len(self.targets.mean)), np.float32),
        ).astype(np.float32)

    def members(
        self, mel: Float[np.ndarray, "rows bands"], frames: int
    ) -> dict[str, Float[np.ndarray, "frames values"]]:
        """What each predictor says, by name: `ridge`, `scratch`, and `tuned` where there is a fine-tuned net."""
        said = {"ridge": self.ridge(_context(mel, frames)), "scratch": predict_values(self.scratch, mel, frames)}
        return said | ({"tuned": predict_values(self.tuned, mel, frames)} if self.tuned else {})

    def _shares(self) -> tuple[float, ...]:
        scratch, tuned, ridge = SHARES
        return (ridge, scratch, tuned) if self.tuned else (ridge, scratch + tuned)

    def matched(self, values: Float[np.ndarray, "frames values"]) -> Float[np.ndarray, "frames values"]:
        """Standardised values with the person's own variance and closed lips, within the training percentiles."""
        low, high = self.targets.standard(np.stack([self.targets.low, self.targets.high]))
        return self.matching(values, low, high)

    def save(self, path: Path) -> None:
        """Write everything as one safetensors file, whole or not at all."""
        space = self.space
        arrays = {
            "space.mean": space.mean,
            "space.iod_cm": np.array([space.iod_cm]),
            "space.shape": space.shape,
            "space.slope": space.slope,
            "normalisation.mean": self.scale.normalisation.mean,
            "normalisation.std": self.scale.normalisation.std,
            "ridge.weight": self.ridge.weight,
            "ridge.bias": self.ridge.bias,
            "gain": self.matching.gain,
            "closing": self.matching.closing,
            **{f"targets.{name}": getattr(self.targets, name) for name in ("mean", "std", "low", "high")},
        }
        for kind, nets in (("scratch", self.scratch), ("tuned", self.tuned)):
            for index, net in enumerate(nets):
                arrays |= tensors_of(net, f"{kind}.{index}.")
        counts = {"scratch": len(self.scratch), "tuned": len(self.tuned)}
        write_tensors(path, arrays, {"format": _FORMAT, "nets": json.dumps(counts)})

    @classmethod
    def load(cls, path: Path) -> LipPredictor:
        """What `save` wrote.

        Raises:
            UserError: the file is absent, broken, or of another format.
        """
        arrays, facts = read_tensors(path, _FORMAT)
        try:
            counts = json.loads(facts["nets"])
            kinds = {
                kind: tuple(net_of(arrays, f"{kind}.{index}.") for index in range(int(counts[kind])))
                for kind in ("scratch", "tuned")
            }
            space = MouthSpace(
                arrays["space.mean"],
                float(arrays["space.iod_cm"][0]),
                arrays["space.shape"],
                arrays["space.slope"],
            )
            normalisation = Normalisation(arrays["normalisation.mean"], arrays["normalisation.std"])
            targets = Targets(*(arrays[f"targets.{name}"] for name in ("mean", "std", "low", "high")))
            return cls(
                Scale(space, normalisation, targets),
                Ridge(arrays["ridge.weight"], arrays["ridge.bias"]),
                kinds["scratch"],
                kinds["tuned"],
                # Files of talkface 0.1 before lips were closed have no such array: they are matched in variance alone.
                Matching(arrays["gain"], arrays.get("closing", np.zeros(4, np.float32))),
            )
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
            raise UserError(f"{path} is not a complete lip predictor ({error}); train it again") from None


def pretrain(people: Sequence[Sequence[Part]], seed: int = 0, learning: Learning = PRETRAINING) -> LipNet:
    """A net of many people, each on their own scale of voice and mouth (about 20 s of CPU).

    It is made to be fine-tuned: on a new person it needs at least that person's mean and deviation.
    """
    talks = []
    for parts in people:
        scale = Scale.of(parts)
        talks += [scale.talk(part) for part in parts]
    return train_lipnet(talks, learning, seed)


def _context(mel: np.ndarray, frames: int) -> np.ndarray:
    return windows(per_frame(mel, frames), frames, 2 * CONTEXT + 1, rate_hz=FPS).reshape(
        frames, (2 * CONTEXT + 1) * mel.shape[1]
    )


def _ridge(talks: Sequence[Talk]) -> tuple[Ridge, Matching]:
    """The ridge, and what its predictions of frames it had not seen lack: they mumble about as much as the average."""
    x = np.concatenate([_context(talk.mel, len(talk))[talk.valid] for talk in talks])
    truth = np.concatenate([talk.values[talk.valid] for talk in talks])
    ridge, held_out = fit_ridge(x, truth)
    return ridge, Matching.of(held_out, truth)
