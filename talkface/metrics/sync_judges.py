"""How each sync network is shown a face and played its sound, and what its embeddings amount to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8

from talkface.audio.features import log_mel, normalisation_of
from talkface.audio.mel_sets import WAV2LIP_ROWS, wav2lip_mel, wav2lip_starts
from talkface.audio.mfcc import mfcc13
from talkface.errors import UserError
from talkface.metrics.face_crops import expert_crop, mouth_crop, syncnet_crop
from talkface.metrics.face_tracks import Place, Sighting
from talkface.types import FPS, SPEECH_HZ, Speech

REACH_FRAMES = 15
"""Offsets that are tried, to either side."""
_SAMPLES_PER_FRAME = round(SPEECH_HZ / FPS)
_EPSILON = 1e-6
"""Added to every difference by the distance function of the published script."""
_BLOCK_FRAMES = 16
_BLOCK_WINDOWS = 256
_IN_MEMORY_BYTES = 16 << 20


@runtime_checkable
class Net(Protocol):
    """An eye and an ear whose embeddings lie near each other when they belong together."""

    def see(self, crops: UInt8[np.ndarray, "frames *shape"]) -> Float[np.ndarray, "windows outputs"]:
        """Embeddings of consecutive crops: a window for every so many frames."""
        ...

    def hear(self, windows: Float[np.ndarray, "windows rows bands"]) -> Float[np.ndarray, "windows outputs"]:
        """Embeddings of windows of sound."""
        ...


@dataclass(frozen=True)
class Manner:
    """What a network is given, and which numbers its verdict has."""

    backend: str
    names: tuple[tuple[str, bool], ...]
    """Scores, and whether higher is better."""
    numbers: Callable[[np.ndarray], tuple[float, ...]]
    """Their values, from the mean distance at each offset."""
    apart: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Distance of each pair of embeddings."""
    crop: Callable[[np.ndarray, Place], np.ndarray]
    features: Callable[[Speech], np.ndarray]
    starts: Callable[[int], Int[np.ndarray, " windows"]]
    """First row of the sound of every picture window."""
    rows: int
    """Rows in a sound window."""
    frames: int
    """Pictures in a window; as many windows fewer than frames are judged."""
    more_frames_than: int
    more_px_than: float
    """What a track needs to be judged: detections, and mean size of the face."""


@dataclass
class _Track:
    first: int
    number: int
    row: int
    """Where its embeddings begin."""
    frames: int = 0
    windows: int = 0
    detected: int = 0
    size_px: float = 0.0

    @property
    def mean_px(self) -> float:
        return self.size_px / max(self.frames, 1)


class Judge:
    """One network watching one video. Embeddings wait in a temporary file for the sound, so memory stays constant."""

    def __init__(self, manner: Manner, net: Net) -> None:
        self.manner, self._net = manner, net
        self._tracks: list[_Track] = []
        self._crops: list[np.ndarray] = []
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
        self._outputs = self._rows = 0

    def look(self, sighting: Sighting) -> None:
        """The next frame of a track."""
        if not self._tracks or self._tracks[-1].number != sighting.track:
            self._see()
            self._crops = []
            self._tracks.append(_Track(sighting.frame, sighting.track, self._rows))
        track = self._tracks[-1]
        track.frames += 1
        track.detected += sighting.detected
        track.size_px += sighting.size_px
        self._crops.append(self.manner.crop(sighting.picture, sighting.place))
        if len(self._crops) == _BLOCK_FRAMES + self.manner.frames - 1:
            self._see()

    def numbers(self, speech: Speech) -> tuple[dict[str, float], int]:
        """The scores by name, and the number of windows that were judged; sample 0 is at the video's first frame.

        Raises:
            UserError: no track is long and large enough, or there is no sound beside it.
        """
        self._see()
        manner = self.manner
        fit = [t for t in self._tracks if t.detected > manner.more_frames_than and t.mean_px > manner.more_px_than]
        if not fit:
            best = max(self._tracks, key=lambda track: track.detected, default=None)
            here = "no face was seen" if best is None else f"the longest has {best.detected} of {best.mean_px:.0f} px"
            raise UserError(
                f"it needs a face in more than {manner.more_frames_than} frames on end and larger than "
                f"{manner.more_px_than:.0f} px; {here}"
            )
        judged = [(self._curve(track, speech), track) for track in fit]
        curves = [(curve, windows) for (curve, windows), _ in judged if windows]
        if not curves:
            raise UserError("the sound ends before the face has been seen long enough")
        values = np.mean([manner.numbers(curve) for curve, _ in curves], axis=0)
        names = [name for name, _ in manner.names]
        return dict(zip(names, values.tolist(), strict=True)), sum(windows for _, windows in curves)

    def _see(self) -> None:
        """Embed the crops that wait; keep those that later windows need."""
        overlap = self.manner.frames - 1
        if len(self._crops) <= overlap:
            return
        seen = self._net.see(np.stack(self._crops)).astype(np.float32)
        self._crops = self._crops[-overlap:]
        self._outputs = seen.shape[1]
        self._file.seek(0, 2)
        self._file.write(seen.tobytes())
        self._rows += len(seen)
        self._tracks[-1].windows += len(seen)

    def _curve(self, track: _Track, speech: Speech) -> tuple[Float[np.ndarray, " offsets"], int]:
        first = track.first * _SAMPLES_PER_FRAME
        sound = speech.waveform[first : first + track.frames * _SAMPLES_PER_FRAME]
        windows = max(0, min(track.frames, len(sound) // _SAMPLES_PER_FRAME) - self.manner.frames)
        if not windows:
            return np.zeros(2 * REACH_FRAMES + 1), 0
        features = self.manner.features(Speech(sound))
        starts = self.manner.starts(windows)
        total = np.zeros(2 * REACH_FRAMES + 1)
        for start in range(0, windows, _BLOCK_WINDOWS):
            stop = min(start + _BLOCK_WINDOWS, windows)
            low, high = max(0, start - REACH_FRAMES), min(windows, stop + REACH_FRAMES)
            heard = self._net.hear(sound_windows(features, starts[low:high], self.manner.rows))
            heard = np.pad(heard, ((REACH_FRAMES - (start - low), REACH_FRAMES - (high - stop)), (0, 0)))
            seen = self._read(track.row + start, stop - start)
            total += offset_distances(seen, heard, self.manner.apart) * (stop - start)
        return total / windows, windows

    def _read(self, row: int, count: int) -> np.ndarray:
        self._file.seek(row * self._outputs * 4)
        return np.frombuffer(self._file.read(count * self._outputs * 4), np.float32).reshape(count, self._outputs)


def offset_distances(
    seen: Float[np.ndarray, "windows outputs"],
    heard: Float[np.ndarray, "more outputs"],
    apart: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Float[np.ndarray, " offsets"]:
    """Mean distance at every offset; window t of the sound is row t + 15 of `heard`."""
    offsets = range(2 * REACH_FRAMES + 1)
    return np.array([apart(seen, heard[offset : offset + len(seen)]).mean() for offset in offsets], np.float64)


def sound_windows(
    features: Float[np.ndarray, "rows bands"], starts: Int[np.ndarray, " windows"], rows: int
) -> Float[np.ndarray, "windows {rows} bands"]:
    """The rows from each start on; 0 outside the sound."""
    index = starts[:, None] + np.arange(rows)
    inside = (index >= 0) & (index < len(features))
    return np.where(inside[..., None], features[np.clip(index, 0, len(features) - 1)], 0)


def euclidean(
    one: Float[np.ndarray, "windows outputs"], other: Float[np.ndarray, "windows outputs"]
) -> Float[np.ndarray, " windows"]:
    """Length of the difference, as `torch.nn.functional.pairwise_distance` computes it."""
    return np.sqrt(np.square(one - other + np.float32(_EPSILON)).sum(1))


def one_minus_cosine(
    one: Float[np.ndarray, "windows outputs"], other: Float[np.ndarray, "windows outputs"]
) -> Float[np.ndarray, " windows"]:
    """For embeddings of unit length; silence beyond the ends (0) is at 1."""
    return 1 - (one * other).sum(1)


def sync_error(curve: Float[np.ndarray, " offsets"]) -> tuple[float, float, float]:
    """LSE-C, LSE-D and offset (positive: the sound is early) of the mean distance at offsets -15 to 15."""
    return float(np.median(curve) - curve.min()), float(curve.min()), float(REACH_FRAMES - curve.argmin())


def agreement(curve: Float[np.ndarray, " offsets"]) -> tuple[float, float]:
    """Mean cosine as the video is, and the offset at which it is highest (positive: the sound is early)."""
    return float(1 - curve[REACH_FRAMES]), float(REACH_FRAMES - curve.argmin())


def own_features(speech: Speech) -> Float[np.ndarray, "rows 80"]:
    """Log-mel with the mean and deviation of this very sound taken out."""
    mel = log_mel(speech)
    return normalisation_of(mel).apply(mel)


SYNCNET = Manner(
    "syncnet v2",
    (("lse_c", True), ("lse_d", False), ("av_offset_frames", False)),
    sync_error,
    euclidean,
    syncnet_crop,
    mfcc13,
    lambda windows: np.arange(windows) * 4,
    rows=20,
    frames=5,
    more_frames_than=100,
    more_px_than=100.0,
)
EXPERT = Manner(
    "wav2lip expert",
    (("expert_cosine", True), ("expert_offset_frames", False)),
    agreement,
    one_minus_cosine,
    expert_crop,
    wav2lip_mel,
    wav2lip_starts,
    rows=WAV2LIP_ROWS,
    frames=5,
    more_frames_than=100,
    more_px_than=100.0,
)
PROXY_FRAMES, PROXY_ROWS = 9, 72
"""Pictures and rows of mel (100 per second) in a window of our own network; both have the same middle."""
PROXY = Manner(
    "talkface syncnet",
    (("lse_c@proxy", True), ("lse_d@proxy", False), ("av_offset_frames@proxy", False)),
    sync_error,
    euclidean,
    mouth_crop,
    own_features,
    lambda windows: (np.arange(windows) + PROXY_FRAMES // 2) * 4 - PROXY_ROWS // 2,
    rows=PROXY_ROWS,
    frames=PROXY_FRAMES,
    more_frames_than=50,
    more_px_than=60.0,
)
