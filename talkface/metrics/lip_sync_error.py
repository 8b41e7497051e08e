"""Lip sync in the eyes of networks: LSE-C, LSE-D and offset of SyncNet v2, Wav2Lip's expert, and a network of our own.

The protocol is SyncNet's (SyncNetInstance.py of joonson/syncnet_python; one-shot-methods.md §6.4), track by track: the
picture windows v and the sound windows a that begin at the same frame, T = min(frames, samples // 640) - 5 of them;
D(s) = mean over t of |v_t - a_(t+s)| for s from -15 to 15, with zeros for sound outside the track. LSE-D = min D,
LSE-C = median D - min D, offset = -(the s of the minimum), so that a positive offset means that the sound is early.
Numbers of several tracks are averaged. Beside what `face_tracks` says, frames go straight to the network here, while
the published scripts store them as JPEG and XVID first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from talkface import assets
from talkface.errors import UserError
from talkface.io.sound import is_silent
from talkface.metrics.face_tracks import FaceTracks
from talkface.metrics.sync_judges import EXPERT, PROXY, SYNCNET, Judge, Manner, Net
from talkface.types import Score, Speech

_REGION = "mouth"


class SyncErrors:
    """Gathers one video frame by frame, 25 fps; `scores` judges it against its sound.

    Networks that the user has brought are loaded with the first frame; what one cannot say is None with the reason.
    Memory does not grow with the video. `proxy` names the file of a network that `talkface train syncnet` made; by
    default it is the user's own (asset `mouth_sync`), else the one of the package.
    """

    def __init__(self, proxy: Path | None = None) -> None:
        self._proxy = proxy
        self._faces = FaceTracks()
        self._judges: list[Judge] = []
        self._absent: list[tuple[Manner, str]] = []
        self._frames = 0

    def add(self, picture: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "478 3"] | None) -> None:
        """The next frame, RGB, and its mesh points in px (None or NaN without a face)."""
        if self._frames == 0:
            self._load()
        self._frames += 1
        if self._judges:
            self._show(self._faces.add(picture, points))

    def scores(self, speech: Speech) -> list[Score]:
        """The scores of the video seen so far; sample 0 of the speech is at its first frame. Ends the last track."""
        if self._frames == 0:
            self._load()
        self._show(self._faces.finish())
        silent = is_silent(speech)
        found = []
        for judge in self._judges:
            if silent:
                found += self._nothing(judge.manner, "the sound is silent")
                continue
            try:
                numbers, windows = judge.numbers(speech)
            except UserError as error:
                found += self._nothing(judge.manner, str(error))
                continue
            found += [
                Score(name, numbers[name], higher, windows, _REGION, judge.manner.backend)
                for name, higher in judge.manner.names
            ]
        return found + [score for manner, why in self._absent for score in self._nothing(manner, why)]

    def _load(self) -> None:
        for manner in (SYNCNET, EXPERT, PROXY):
            try:
                self._judges.append(Judge(manner, self._net(manner)))
            except UserError as error:
                self._absent.append((manner, str(error)))

    def _net(self, manner: Manner) -> Net:
        from talkface.nets.lip_expert import LipExpert
        from talkface.nets.mouth_sync import MouthSync, shipped
        from talkface.nets.syncnet import SyncNet

        if manner is SYNCNET:
            return SyncNet.load(assets.require("syncnet"))
        if manner is EXPERT:
            return LipExpert.load(assets.require("lip_expert"))
        return MouthSync.load(self._proxy or assets.find("mouth_sync") or shipped())

    def _show(self, sightings: list) -> None:
        for sighting in sightings:
            for judge in self._judges:
                judge.look(sighting)

    def _nothing(self, manner: Manner, why: str) -> list[Score]:
        return [Score(name, None, higher, 0, _REGION, manner.backend, why) for name, higher in manner.names]
