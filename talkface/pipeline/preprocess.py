"""A video to a processed folder: frames, sound, face, masks, background, torso, sync, report, manifest.

Every step's result is complete or absent, and a step is not done twice for the same input: a run killed at any moment
goes on where it was. Frames pass through one at a time, so memory does not grow with the video.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from talkface.errors import UserError
from talkface.io.manifest import Manifest, Ranges, split_frames
from talkface.io.store import MANIFEST, PersonFolder, PersonWriter
from talkface.io.video import read_frames
from talkface.pipeline.fitness import clip_facts
from talkface.pipeline.foreign import import_adnerf, is_adnerf
from talkface.pipeline.preprocess_report import write_report
from talkface.pipeline.recordings import MAX_SIDE_PX, Recordings, find_recordings, joined_speech, read_sound
from talkface.pipeline.steps import Steps
from talkface.progress import Progress
from talkface.types import FPS, Speech, Track

LEAST_VALID_FRAMES = 50
LEAST_VALID_SHARE = 0.25
"""Below either there is nothing to learn from: under 2 s of face, or a clip that is mostly about something else."""
_SAMPLE_FRAMES, _COLOUR_FRAMES = 60, 20
_WORKERS = min(4, os.cpu_count() or 1)
_NATURAL_LAG_FRAMES = 0.5
"""Speech in step reads lag 0 or +1: a late sound is moved until it reads between the two."""


def preprocess(video: Path, out: Path, *, fix_sync: bool = False, focal_px: float | None = None) -> PersonFolder:
    """Make the processed folder of one person (docs/data-format.md), or go on making it.

    Args:
        video: A video, a folder of clips of one person, or a folder made by the tools of AD-NeRF, RAD-NeRF or ER-NeRF.
        out: The folder to make. Calling again with the same video continues, or opens what is finished.
        fix_sync: Move the sound by the measured offset between speech and lips, where the measurement is sure.
        focal_px: Focal length of the video in pixels of its own size, where it is known.

    Raises:
        UserError: the video cannot be used, or the folder cannot be written. Frames finished before a full disk are
            kept; what an unusable video left behind is removed.
    """
    video, out = Path(video), Path(out)
    if is_adnerf(video):
        return import_adnerf(video, out)
    if focal_px is not None and not focal_px > 0:
        raise UserError(f"--focal-px is {focal_px:g}; give a positive number of pixels")
    recordings = find_recordings(video)
    steps = Steps(out, recordings.source, recordings.fingerprint())
    asked = {"focal_px": focal_px, "fix_sync": fix_sync}
    if steps.result("all", asked) is not None and (out / MANIFEST).is_file():
        return PersonFolder(out)
    speeches = read_sound(recordings)
    steps.save()
    try:
        (out / MANIFEST).unlink(missing_ok=True)
        writer = PersonWriter(out)
        track, seen = _look(recordings, writer, steps, focal_px)
        ranges = [(start, stop) for start, stop in seen["clips"]]
        _refuse_unusable(track, recordings.source)
        facts = _masks(writer, track, steps, focal_px)
        speech, sync = _sound(speeches, ranges, track, fix_sync)
        writer.put_speech(speech)
        _write_au(out / "au.csv", track)
        facts |= {"sync": sync, **clip_facts(writer, track, recordings.clips)}
        write_report(writer, recordings, track, facts)
        shots = tuple((start, stop) for start, stop in seen["shots"])
        split = split_frames(len(track), tuple(ranges))
        folder = writer.finish(_manifest(recordings, track, shots, split, facts))
        steps.finish("all", asked)
        return folder
    except UserError as error:
        if steps.fresh and not isinstance(error.__cause__, OSError):
            steps.forget_all()
        raise


def _look(
    recordings: Recordings, writer: PersonWriter, steps: Steps, focal_px: float | None
) -> tuple[Track, dict[str, Any]]:
    """Decode once: every frame is written and looked at; then the face is fitted."""
    from talkface.face.look import find_cuts, look
    from talkface.face.track import fit_track
    from talkface.io.tracks import read_track

    seen = steps.result("look", focal_px)
    if seen is not None:
        return read_track(writer.root / "track.npz", seen["clips"][-1][1]), seen
    ranges: list[tuple[int, int]] = []
    expected = sum(max(1, round(clip.duration_s * FPS)) for clip in recordings.clips)
    scale = min(1.0, MAX_SIDE_PX / max(recordings.clips[0].size_px))

    def frames(queue: _Queue, progress: Progress) -> Iterator[np.ndarray]:
        index = 0
        for clip in recordings.clips:
            start = index
            for image in read_frames(clip.path, FPS, max_side_px=MAX_SIDE_PX):
                if not writer.has("frames", index):
                    queue.put(writer.put_frame, index, image)
                yield image
                progress.advance()
                index += 1
            ranges.append((start, index))

    with _Queue() as queue, Progress("frames and face", expected) as progress:
        sightings = look(frames(queue, progress))
    with Progress("fitting the face"):
        clips = [*ranges]
        track = fit_track(sightings, FPS, focal_px=None if focal_px is None else focal_px * scale, clips=clips)
    cuts = set(np.flatnonzero(find_cuts(sightings.change, FPS)).tolist()) | {start for start, _ in ranges}
    borders = [*sorted(cuts | {0}), len(track)]
    shots = [(a, b) for a, b in pairwise(borders) if b > a]
    writer.put_track(track)
    seen = steps.finish("look", focal_px, clips=ranges, shots=shots)
    return read_track(writer.root / "track.npz", len(track)), seen  # rounded as a run that goes on will find it


def _refuse_unusable(track: Track, source: str) -> None:
    valid, total = int(track.valid.sum()), len(track)
    if valid >= LEAST_VALID_FRAMES and valid >= LEAST_VALID_SHARE * total:
        return
    reasons = [reason for reason in track.reason if reason]
    worst = max(set(reasons), key=reasons.count) if reasons else "too short"
    do = {
        "no face": "film the face from the front and in full view",
        "two faces": "cut or crop the video so that only one person is in it",
        "blurred": "use more light or a steadier camera",
    }.get(worst, "use a steadier and longer recording")
    raise UserError(
        f"{source} shows one usable face in {valid} of {total} frames ({100 * valid / total:.0f} %; most others: "
        f"{worst}); at least {LEAST_VALID_FRAMES} frames and {100 * LEAST_VALID_SHARE:.0f} % are needed: {do}"
    )


def _masks(writer: PersonWriter, track: Track, steps: Steps, focal_px: float | None) -> dict[str, Any]:
    """Background from a sample of frames, then matte, labels and torso of each; frames finished before are kept."""
    from talkface.face.matte import Matter
    from talkface.face.plate import BackgroundPlate
    from talkface.face.regions import ClipRegions
    from talkface.face.torso_plate import torso_plate

    done = steps.result("masks", focal_px)
    if done is not None:
        return done
    if steps.result("masking", focal_px) is None:  # begun with another focal length: do all again
        for path in (writer.root / "torso").glob("*.png"):
            path.unlink()
        steps.finish("masking", focal_px)
    matter, plate = Matter(), BackgroundPlate()
    usable = np.flatnonzero(track.valid)
    spread = usable[np.linspace(0, len(usable) - 1, min(_SAMPLE_FRAMES, len(usable))).round().astype(int)]
    colours = set(spread[np.linspace(0, len(spread) - 1, min(_COLOUR_FRAMES, len(spread))).round().astype(int)])
    sample = []
    for index in spread:
        image = writer.frame(int(index))
        matte = matter(image)
        plate.add(image, matte)
        if index in colours:
            sample.append((int(index), image, matte))
    background, invented = plate.finish()
    writer.put_background(background, invented)
    regions = ClipRegions(track, sample)
    own = local()

    def one(index: int) -> None:
        if not hasattr(own, "matter"):
            own.matter = Matter()
        image = writer.frame(index)
        matte = own.matter(image)
        labels = regions.labels(index, image, matte)
        writer.put_matte(index, np.round(matte * 255).astype(np.uint8))
        writer.put_labels(index, labels)
        writer.put_torso(
            index, torso_plate(image, matte, labels, background)
        )  # last: it tells that all three are there

    with _Queue() as queue, Progress("masks", len(track)) as progress:
        for index in range(len(track)):
            if not writer.has("torso", index):
                queue.put(one, index)
            progress.advance()
    return steps.finish(
        "masks", focal_px, background_invented=float(invented.mean()), long_hair=bool(regions.long_hair)
    )


def _sound(
    speeches: list[Speech], ranges: list[tuple[int, int]], track: Track, fix_sync: bool
) -> tuple[Speech, dict[str, Any]]:
    """The sound on the frames' clock, and how well it agrees with the lips."""
    from talkface.audio.sync import measure

    speech = joined_speech(speeches, ranges)
    try:
        found = measure(speech, track.landmarks, track.valid)
    except UserError as error:
        return speech, {"r": None, "lag_frames": None, "moved_s": 0.0, "sure": False, "why": str(error)}
    facts: dict[str, Any] = {
        "r": round(found.r, 3), "lag_frames": found.lag_frames, "moved_s": 0.0, "sure": found.sure,
        "seconds": round(found.seconds, 1),
    }  # fmt: skip
    if fix_sync and found.sure and not found.in_step:
        moved_s = (found.lag_frames - _NATURAL_LAG_FRAMES) / FPS
        speech = joined_speech(speeches, ranges, moved_s)
        again = measure(speech, track.landmarks, track.valid)
        facts |= {"moved_s": round(moved_s, 3), "r": round(again.r, 3), "lag_frames": again.lag_frames,
                  "lag_before_frames": found.lag_frames}  # fmt: skip
    return speech, facts


def _write_au(path: Path, track: Track) -> None:
    from talkface.face.eyes import write_openface

    write_openface(path, np.where(track.valid, track.closure.mean(1), np.nan), track.fps)


def _manifest(
    recordings: Recordings, track: Track, shots: Ranges, split: dict[str, Ranges], facts: dict[str, Any]
) -> Manifest:
    return Manifest(
        fps=FPS,
        size_px=track.camera.size_px,
        frames=len(track),
        clips=shots,
        split=split,
        providers={
            "talkface": _version("talkface"),
            "landmarks": f"mediapipe {_version('mediapipe')}",
            "matte": f"mediapipe {_version('mediapipe')}",
            "face model": track.face_model,
        },
        source=recordings.source,
        facts=facts,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


class _Queue:
    """Work for a few threads (the picture libraries let go of the interpreter); a bounded number of jobs waits."""

    def __enter__(self) -> _Queue:
        self._pool = ThreadPoolExecutor(_WORKERS)
        self._waiting: deque[Future[Any]] = deque()
        return self

    def put(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Start a job; raises what an earlier one raised."""
        while len(self._waiting) >= 2 * _WORKERS:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(work, *arguments))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


__all__ = ["preprocess"]
