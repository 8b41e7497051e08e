"""Any video scored against the true one: two files in, `scores.json`, `report.html` and `comparison.mp4` out.

One pass over both, frame by frame, in constant memory. How they are laid over each other is `metrics.align_pair`'s and
is written down in the scores; what was measured is `metrics.pair`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from talkface.errors import UserError
from talkface.face.detect import Detector
from talkface.io.provenance import file_sha256, mark, read_mark
from talkface.io.sound import is_silent, stream_speech
from talkface.io.video import MAX_SIDE_PX, VideoInfo, probe, read_frames
from talkface.metrics import align_pair, pages
from talkface.metrics.align_pair import Box, Fitting
from talkface.metrics.pair import PairScores, View
from talkface.metrics.pair_face import FittedPair
from talkface.metrics.pair_networks import PairNetworks
from talkface.metrics.pair_report import BASELINES, Moment, Moments, PairReport
from talkface.metrics.sync import landmark_sync
from talkface.metrics.video import Detect, detected
from talkface.progress import Progress
from talkface.types import FPS, SPEECH_HZ, Score, Speech

T = TypeVar("T")
LEAST_PX = 32
SOUND_FRAMES = 15_000
"""Lip sync is judged on the first ten minutes, which keeps memory constant."""
_FILM_PX, _LAG_PX = 512, 64
_ASPECT = 0.02
_BASELINE_EVERY = 5
"""Baselines get their SSIM on every fifth frame."""


@dataclass(frozen=True)
class PairOptions:
    """How a pair is laid over each other."""

    size: str = "truth"
    """`truth`, `video` or HEIGHTxWIDTH: the size that is scored."""
    offset: str = "0"
    """By how many frames the video is late, or `auto`: where the pictures agree best within 15 frames."""
    crop: Literal["none", "face"] = "none"
    """`face`: the square around the true face that one-shot papers score, at 256 px unless `size` is HEIGHTxWIDTH."""
    max_frames: int | None = None
    """Score only the first so many frames."""
    networks: bool = True
    """Whether the networks that the user brought judge too (LPIPS, FID, lip sync); they take longer than the rest."""

    def __post_init__(self) -> None:
        if self.size not in ("truth", "video"):
            self.exact_size_px()
        if self.offset != "auto" and not re.fullmatch(r"[+-]?\d{1,6}", self.offset):
            raise UserError(f"--offset {self.offset} is neither auto nor a number of frames")
        if self.max_frames is not None and self.max_frames < 1:
            raise UserError(f"--max-frames {self.max_frames} leaves nothing to score; give at least 1")

    def exact_size_px(self) -> tuple[int, int] | None:
        """(height, width) where the size is given in numbers."""
        if self.size in ("truth", "video"):
            return None
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", self.size)
        size = (int(match[1]), int(match[2])) if match else (0, 0)
        if not LEAST_PX <= min(size) <= max(size) <= MAX_SIDE_PX:
            raise UserError(
                f"--size {self.size} is neither truth, video nor HEIGHTxWIDTH between {LEAST_PX} and {MAX_SIDE_PX} px, "
                "such as 256x256"
            )
        return size


def evaluate_pair(
    truth: Path,
    video: Path,
    out: Path,
    options: PairOptions | None = None,
    *,
    new_detector: Callable[[], Detect] | None = None,
) -> dict[str, Any]:
    """Score `video` against `truth`; leaves scores.json, report.html and comparison.mp4 in `out`.

    Args:
        new_detector: Makes a face detector (a function from an RGB frame to mesh points or None); each video gets its
            own, because detectors follow a face. mediapipe's by default.

    Returns:
        The content of scores.json.

    Raises:
        UserError: one of them is no video, they share no frame, or `out` cannot be written.
    """
    options = options or PairOptions()
    truth, video = Path(truth), Path(video)
    infos = probe(truth), probe(video)
    with ExitStack() as stack:
        make = new_detector or (lambda: stack.enter_context(Detector()).detect)
        pair = _Pair(infos, options, make)
        make_folder(out)
        pair.watch(out / "comparison.mp4", make)
    report = PairReport(
        truth=truth,
        video=video,
        size_px=pair.size_px,
        device="cpu",
        alignment=pair.alignment(),
        options=asdict(options),
        digests={"truth": file_sha256(truth), "video": file_sha256(video)},
        warnings=pair.warnings(),
        gathered=pair.gathered,
        scores=pair.scores(),
        moments=pair.moments,
    )
    return report.write(out, "comparison.mp4")


class _Pair:
    """Two videos, how they are aligned, and what one pass over them gathers."""

    def __init__(
        self, infos: tuple[VideoInfo, VideoInfo], options: PairOptions, new_detector: Callable[[], Detect]
    ) -> None:
        self.infos = infos
        self.box = _face_box(infos[0], new_detector()) if options.crop == "face" else align_pair.WHOLE
        self.size_px = _scored_size(infos, options, self.box)
        self.fittings = tuple(Fitting(info.size_px, self.size_px, self.box) for info in infos)
        self.lag = align_pair.picture_lag(*(read_frames(info.path, max_side_px=_LAG_PX) for info in infos))
        self.offset = self.lag.best_frames if options.offset == "auto" else int(options.offset)
        self._first = max(0, -self.offset), max(0, self.offset)
        self._lengths = tuple(max(1, int(np.ceil(info.duration_s * FPS - 0.05))) for info in infos)
        self._most = options.max_frames
        left = min(length - first for length, first in zip(self._lengths, self._first, strict=True))
        if left <= 0:
            raise UserError(
                f"at an offset of {self.offset:+d} frames {infos[1].path} ({self._lengths[1]} frames) and "
                f"{infos[0].path} ({self._lengths[0]} frames) have no frame in common; give another --offset"
            )
        self._expected = min(left, options.max_frames or left)
        heard = min(self._expected, SOUND_FRAMES)
        self._sounds = tuple(_sound(info, first, heard) for info, first in zip(infos, self._first, strict=True))
        self.gathered = {row: PairScores() for row in ("truth", "video")}
        self.gathered |= {row: PairScores(structure_every=_BASELINE_EVERY) for row in BASELINES}
        self.moments = Moments(self._expected)
        self._fitted = FittedPair(self.size_px)
        self._networks = PairNetworks() if options.networks else None

    def watch(self, film: Path, new_detector: Callable[[], Detect]) -> None:
        """Judge every frame and film the two side by side."""
        film_px = _at_most(self.size_px, _FILM_PX)
        shrink = Fitting(self.size_px, film_px)
        rows, first, before = self.gathered, None, None
        with (
            ThreadPoolExecutor(2, "reading") as pool,
            Progress("evaluating", self._expected) as progress,
            pages.Film(film, film_px, FPS, ["truth", self.infos[1].path.stem], self._heard(), self._mark()) as filmed,
        ):
            truths, videos = (_ahead(pool, self._views(place, new_detector())) for place in (0, 1))
            for index, ((true, shown_true), (made, shown)) in enumerate(zip(truths, videos, strict=False)):
                first = first or true
                rows["truth"].add(true, true)
                rows["video"].add(made, true)
                rows["still"].add(first, true)
                if before is None:
                    rows["previous"].pass_over(true)
                else:
                    rows["previous"].add(before, true)
                before = true
                self.moments.see(Moment(index, rows["video"].latest_db, shown_true, shown, true.mouth_box))
                self._fitted.add(true.points, made.points)
                if self._networks is not None:
                    self._networks.add({"truth": true, "video": made}, {"truth": shown_true, "video": shown})
                filmed.write([shrink(shown_true), shrink(shown)])
                progress.advance()

    def scores(self) -> dict[str, list[Score]]:
        """Every score of every row."""
        truth = self.gathered["truth"]
        found = {row: gathered.scores(truth) for row, gathered in self.gathered.items()}
        fitted = self._fitted.scores()
        for row, sound in zip(("truth", "video"), self._sounds, strict=True):
            found[row] += fitted[row]
            heard = sound if isinstance(sound, Speech) else Speech(np.zeros(0, np.float32))
            frames = len(truth.landmarks[:SOUND_FRAMES]) if heard is sound else 0
            sync = landmark_sync(heard, self.gathered[row].landmarks[:frames])
            if self._networks is not None:
                found[row] += self._networks.scores(row)
                sync += self._networks.sync(row, heard)
            found[row] += sync if heard is sound else [replace(s, value=None, frames=0, why=str(sound)) for s in sync]
        return found

    def alignment(self) -> dict[str, Any]:
        """How the two were laid over each other."""
        frames = len(self.gathered["truth"])
        sides = {}
        for side, info, fitting, length, first in zip(
            ("truth", "video"), self.infos, self.fittings, self._lengths, self._first, strict=True
        ):
            sides[side] = {
                "size": list(info.size_px),
                "fps": round(info.fps, 3),
                "variable_rate": info.variable_rate,
                "rotation_deg": info.rotation_deg,
                "frames_at_25_fps": length,
                "first_frame": first,
                "resampling": fitting.resampling,
                "frames_without_face": frames - int(self.gathered[side].seen.sum()),
            }
        return {
            "fps": FPS,
            "offset_frames": self.offset,
            "picture_lag_frames": self.lag.best_frames,
            "picture_lag_r": _number(self.lag.r),
            "r_at_offset": _number(self.lag.at(self.offset)),
            "crop": None if self.box == align_pair.WHOLE else [round(v, 2) for v in self.box.on(self.infos[0].size_px)],
            **sides,
        }

    def warnings(self) -> list[str]:
        """What a reader of the scores must know, one sentence each."""
        facts = self.alignment()
        frames, found = len(self.gathered["truth"]), []
        if self.lag.better_than(self.offset):
            found.append(
                f"the pictures agree better at an offset of {self.lag.best_frames:+d} frames (r {self.lag.r:.2f}) than "
                f"at the {self.offset:+d} that was scored (r {self.lag.at(self.offset):.2f}); see --offset"
            )
        if any(first + frames < length for first, length in zip(self._first, self._lengths, strict=True)):
            common = "" if self._most else ", the part that both have"
            found.append(
                f"{frames} frames were scored{common}: the truth has {self._lengths[0]}, the video {self._lengths[1]}"
            )
        stretch = self.fittings[1].stretch / self.fittings[0].stretch
        if abs(np.log(stretch)) > _ASPECT:
            sizes = [f"{info.size_px[1]}x{info.size_px[0]}" for info in self.infos]
            found.append(
                f"the video ({sizes[1]}) was stretched to the shape of the truth ({sizes[0]}); crop one of them first"
            )
        for side in ("truth", "video"):
            missing = facts[side]["frames_without_face"]
            if missing:
                found.append(
                    f"no face was found in {missing} of {frames} frames of the {side}; scores of lips, eyes and head "
                    f"count the others"
                )
        return found

    def _views(self, place: int, detect: Detect) -> Iterator[tuple[View, np.ndarray]]:
        first, fit = self._first[place], self.fittings[place]
        stop = None if self._most is None else first + self._most
        for frame in islice(read_frames(self.infos[place].path), first, stop):
            shown = fit(frame)
            yield View(shown, detected(detect, shown)), shown

    def _heard(self) -> Speech | None:
        return next((sound for sound in reversed(self._sounds) if isinstance(sound, Speech)), None)

    def _mark(self) -> dict[str, str]:
        """The film of a generated video is marked as it is."""
        found = read_mark(self.infos[1].path)
        return mark(found.get("method", "unknown"), compares=self.infos[1].path.name) if found else {}


def _ahead(pool: ThreadPoolExecutor, items: Iterator[T]) -> Iterator[T]:
    """The same items, each made while the one before is looked at."""
    coming = pool.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = pool.submit(next, items, None)
        yield item


def _face_box(truth: VideoInfo, detect: Detect) -> Box:
    """From one frame of the truth every second."""
    points = (detected(detect, frame) for frame in read_frames(truth.path, fps=1.0))
    box = align_pair.face_crop(points, truth.size_px)
    if box is None:
        raise UserError(f"no face was found in {truth.path} to crop around; leave out --crop face")
    return box


def _scored_size(infos: tuple[VideoInfo, VideoInfo], options: PairOptions, box: Box) -> tuple[int, int]:
    exact = options.exact_size_px()
    if exact is None and box != align_pair.WHOLE:
        exact = (align_pair.CROP_PX, align_pair.CROP_PX)
    size = exact or infos[options.size == "video"].size_px
    if min(size) < LEAST_PX:
        raise UserError(
            f"frames of {size[1]}x{size[0]} px are too small to score; give --size with {LEAST_PX} px or more"
        )
    return size


def _sound(info: VideoInfo, first_frame: int, frames: int) -> Speech | str:
    """The sound of a stretch of frames, or why there is none."""
    if not info.has_audio:
        return f"{info.path.name} has no sound"
    start, stop = (round(frame * SPEECH_HZ / FPS) for frame in (first_frame, first_frame + frames))
    blocks: list[np.ndarray] = []
    try:
        for block in stream_speech(info.path):
            blocks.append(block)
            if sum(map(len, blocks)) >= stop:
                break
    except UserError as error:
        return str(error)
    speech = Speech(np.concatenate(blocks)[start:stop])
    return f"{info.path.name} is silent" if is_silent(speech) else speech


def _at_most(size_px: tuple[int, int], side_px: int) -> tuple[int, int]:
    shrink = min(1.0, side_px / max(size_px))
    return max(2, round(size_px[0] * shrink)), max(2, round(size_px[1] * shrink))


def _number(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def make_folder(out: Path) -> None:
    """Make a folder for results.

    Raises:
        UserError: it cannot be made, or is a file.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made: {(error.strerror or str(error)).lower()}") from error
