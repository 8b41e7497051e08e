"""What networks say of a pair: LPIPS and FID, lip sync errors, and whose face it is; those that are here, of both
videos beside the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from talkface.metrics.identity import absent_identity, embedder, identity_scores
from talkface.metrics.lip_sync_error import SyncErrors
from talkface.metrics.pair import View
from talkface.metrics.perceptual import PerceptualScores
from talkface.types import Score, Speech

IDENTITY_EVERY = 5
"""Faces are recognised on every fifth frame: who somebody is does not change from frame to frame."""


class PairNetworks:
    """Call `add` for every frame, then read the scores of "truth" and "video".

    Raises:
        UserError: a network's file is there and is not what its name says.
    """

    def __init__(self) -> None:
        rows = ("truth", "video")
        self._pictures = {row: PerceptualScores("face") for row in rows}
        self._sync = {row: SyncErrors() for row in rows}
        self._embedder = embedder()
        self._faces: dict[str, list[np.ndarray]] = {row: [] for row in rows}
        self._frames = 0

    def add(self, views: Mapping[str, View], pictures: Mapping[str, UInt8[np.ndarray, "height width 3"]]) -> None:
        """Judge the next frame of both."""
        truth = views["truth"]
        box = truth.mouth_box if truth.masks["mouth"].any() else None
        for row, view in views.items():
            self._pictures[row].add(view.picture, truth.picture, truth.masks["face"], box)
            self._sync[row].add(pictures[row], view.points)
            if self._embedder is not None and self._frames % IDENTITY_EVERY == 0:
                self._faces[row].append(self._embedder(pictures[row], view.points))
        self._frames += 1

    def scores(self, row: str) -> list[Score]:
        """Of its pictures and its face."""
        found = self._pictures[row].scores()
        if self._embedder is None or not self._faces[row]:
            return [*found, *absent_identity()]
        faces, true = np.array(self._faces[row]), np.array(self._faces["truth"])
        return [*found, *identity_scores(faces, true, self._embedder)]

    def sync(self, row: str, speech: Speech) -> list[Score]:
        """Of its lips and its sound; read once."""
        return self._sync[row].scores(speech)
