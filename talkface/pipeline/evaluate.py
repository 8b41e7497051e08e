"""A run judged on its held-out frames: given the true landmarks (what the renderer can do) and by speech alone (what
the user gets), beside the true video and three baselines.

Pose and blinks are the true frame's own in every row; the head is laid over the true torso and background, as in the
published protocol. The whole picture with the torso that the method makes is judged too, under its own region.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from talkface import methods
from talkface.engine.run import Run
from talkface.errors import UserError
from talkface.face.detect import Detector
from talkface.io.provenance import mark
from talkface.io.store import PersonFolder
from talkface.metrics import pages
from talkface.metrics.baselines import Baseline, Nearest, PictureRegression, Still
from talkface.metrics.folder_pictures import Crop, FolderPictures
from talkface.metrics.image import Psnr, Ssim
from talkface.metrics.pictures import Pictures, composite
from talkface.metrics.report import Report
from talkface.metrics.rows import Row, Source
from talkface.metrics.sync import sync_scores
from talkface.metrics.video import Detect, Reference, VideoScores, measured
from talkface.pipeline.evaluate_pair import make_folder
from talkface.pipeline.render import torch_device
from talkface.progress import Progress
from talkface.types import FPS, SOURCE_CAMERA, SPEECH_HZ, Conditions, Drive, Pose, Score, Speech, Track

GENERATED = "frame, generated torso"
"""Region of the scores whose torso and background are the method's own."""


AddTorso = Callable[[int, np.ndarray, np.ndarray], np.ndarray]
"""Frame number, the head's straight colour and its opacity -> the whole picture, RGB in [0, 1]."""


class HeadRenderer(Protocol):
    """What an evaluation needs of a trained method, beside `methods.base.Renderer`."""

    size_px: tuple[int, int]
    """(height, width) of the pictures it makes here."""
    crop: Crop | None
    """The part of the stored frame they show; None for all of it."""

    def head(
        self, drives: Sequence[Drive], closure: float, pose: Pose
    ) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
        """The head alone: colour in [0, 1], not multiplied by opacity, and opacity.

        `drives` are those of the frames t - 2 to t + 2; `closure` is 0 open to 1 shut; `pose` holds the one frame.
        """
        ...


class OnClip:
    """A trained renderer as a `HeadRenderer`: its head in the square of the source frames that it was trained on."""

    def __init__(self, renderer: Any, drives: Sequence[Drive], pose: Pose) -> None:
        self._renderer = renderer
        square = renderer.square
        self.crop: Crop | None = (square.left, square.top, square.left + square.side, square.top + square.side)
        self.size_px: tuple[int, int] = self.head(_around(drives, 0), 0.0, pose[:1])[1].shape

    def head(
        self, drives: Sequence[Drive], closure: float, pose: Pose
    ) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
        """See `HeadRenderer.head`; the renderer's own colour is premultiplied."""
        view = self._renderer.head(list(drives), closure, pose, SOURCE_CAMERA)
        return view.colour / np.maximum(view.opacity, 1e-4)[..., None], view.opacity


@dataclass(frozen=True)
class Subject:
    """Who is judged: names for the report, sound, and what was predicted from it."""

    method: str
    run: str
    data: str
    device: str
    speech: Speech
    drives: Sequence[Drive]
    """What speech alone asks of every frame of the clip."""


def evaluate(
    run: Path,
    out: Path,
    *,
    data: Path | None = None,
    max_frames: int | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Judge `run` on the test split of its person; leaves scores.json, report.html and comparison.mp4 in `out`.

    Args:
        data: The processed folder, if it moved since training.
        max_frames: Judge only the first so many test frames (a stretch, since lips and blinks need neighbours).

    Returns:
        The content of scores.json.

    Raises:
        UserError: no such run or data, an empty test split, `out` cannot be written.
    """
    opened = Run(run)
    method = methods.get(opened.config["method"])
    folder = PersonFolder(data if data is not None else Path(opened.config["data"]["folder"]))
    chosen = torch_device(device)
    renderer = method.load(opened).to(chosen)
    whole_clip = _conditions(folder, np.arange(len(folder.track)))
    drives = list(renderer.drives(iter([folder.speech.waveform]), whole_clip))
    heads = OnClip(renderer, drives, folder.track.pose)
    pictures = FolderPictures(folder, heads.size_px, heads.crop)
    subject = Subject(method.name, str(run), str(folder.root), chosen, folder.speech, drives)
    with ExitStack() as open_detectors:
        return judge(
            pictures,
            heads,
            subject,
            out,
            new_detector=lambda: open_detectors.enter_context(Detector()).detect,
            max_frames=max_frames,
            add_torso=_torso_adder(renderer, folder, pictures),
        )


def judge(
    pictures: Pictures,
    renderer: HeadRenderer,
    subject: Subject,
    out: Path,
    *,
    new_detector: Callable[[], Detect],
    max_frames: int | None = None,
    add_torso: AddTorso | None = None,
) -> dict[str, Any]:
    """Judge a renderer on a person's test frames and write the report.

    Args:
        new_detector: Makes a face detector; every video gets its own, because detectors follow a face.
        add_torso: Puts the method's own torso and background behind a head; None where it makes none.
    """
    indices = pictures.test_indices[:max_frames]
    if not len(indices):
        raise UserError(f"{subject.data} has no usable test frames; preprocess a longer clip")
    make_folder(out)
    reference = Reference(pictures, indices, new_detector())
    baselines: dict[str, Baseline] = {
        "pca": PictureRegression(pictures),
        "nearest": Nearest(pictures),
        "still": Still(pictures),
    }
    generated = None if add_torso is None else _Generated(pictures, add_torso)
    sources = _sources(pictures, renderer, subject, baselines, generated)
    sound = sound_of(subject.speech, indices)
    videos = _watch(reference, sources, subject, out / "comparison.mp4", new_detector)
    own = next(s for s in sources if (s.name, s.drive) == (subject.method, "landmarks"))
    if generated is not None:
        own.extra += generated.scores()
    rows = [_row(source, video, sound) for source, video in zip(sources, videos, strict=True)]
    report = Report(
        subject.method,
        subject.run,
        subject.data,
        "test",
        pictures.size_px,
        len(indices),
        pictures.track.fps,
        subject.device,
        rows,
        {name: baseline.what for name, baseline in baselines.items()},
    )
    stills, worst = pages.stills(reference, sources, videos)
    curves = pages.charts(reference, sources, videos)
    report.write_html(out / "report.html", curves, stills, worst, "comparison.mp4", _filmed(sources))
    report.write_json(out / "scores.json")
    return report.as_json()


def sound_of(speech: Speech, indices: Int[np.ndarray, " frames"]) -> Speech:
    """The sound of these frames, one after the other (gaps are left out of both picture and sound)."""
    step = round(SPEECH_HZ / FPS)
    parts = [speech.waveform[i * step : (i + 1) * step] for i in indices]
    return Speech(np.concatenate([np.pad(part, (0, step - len(part))) for part in parts]))


def _sources(
    pictures: Pictures,
    renderer: HeadRenderer,
    subject: Subject,
    baselines: dict[str, Baseline],
    generated: _Generated | None,
) -> list[Source]:
    """The truth, the method's rows, the baselines' rows."""
    track = pictures.track
    closure = np.nan_to_num(track.closure.mean(1))
    spoken, told = subject.drives, with_landmarks(subject.drives, track)

    def rendered(index: int, drives: Sequence[Drive]) -> np.ndarray:
        started = time.perf_counter()
        colour, opacity = renderer.head(_around(drives, index), float(closure[index]), track.pose[index : index + 1])
        method.seconds += time.perf_counter() - started
        if generated is not None and drives is told:
            generated.add(index, colour, opacity)
        return composite(colour, opacity, pictures.plate(index))

    method = Source(subject.method, "landmarks", "ours", lambda i: rendered(i, told), filmed=True)
    by_audio = Source(subject.method, "audio", "audio", lambda i: rendered(i, spoken), filmed=True)
    sources = [Source("truth", "landmarks", "truth", pictures.truth, filmed=True), method, by_audio]
    for name, baseline in baselines.items():
        sources.append(Source(name, "landmarks", name, baseline.frame, filmed=name == "pca"))
    regression = baselines["pca"]
    by_audio_too = Source("pca", "audio", "pca", lambda i: regression.frame(i, spoken[i].landmarks.astype(np.float64)))
    return [*sources, by_audio_too]


def with_landmarks(drives: Sequence[Drive], track: Track) -> list[Drive]:
    """The same with the tracked landmarks; a frame without a face takes those of the nearest frame that has one."""
    known = np.flatnonzero(np.isfinite(track.landmarks).all((1, 2)))
    frames = np.arange(len(track))
    after = known[np.searchsorted(known, frames).clip(0, len(known) - 1)]
    before = known[(np.searchsorted(known, frames, "right") - 1).clip(0)]
    nearest = np.where(np.abs(after - frames) < np.abs(frames - before), after, before)
    closure = np.nan_to_num(track.closure.mean(1))
    return [Drive(track.landmarks[i], drive.code, float(closure[i])) for i, drive in zip(nearest, drives, strict=True)]


def _around(drives: Sequence[Drive], index: int) -> list[Drive]:
    return [drives[min(max(index + k, 0), len(drives) - 1)] for k in range(-2, 3)]


def _watch(
    reference: Reference,
    sources: Sequence[Source],
    subject: Subject,
    video: Path,
    new_detector: Callable[[], Detect],
) -> list[VideoScores]:
    """Make every video side by side, frame by frame, judge it and film the comparison."""
    videos = [VideoScores(reference) for _ in sources]
    detectors = [new_detector() for _ in sources]
    own = next(source for source in sources if source.name == subject.method)
    sound = sound_of(subject.speech, reference.indices)
    facts = mark(subject.method, run=Path(subject.run).name)
    with (
        pages.Film(video, reference.pictures.size_px, reference.fps, _filmed(sources), sound, facts) as film,
        Progress("evaluating", len(reference.indices)) as progress,
    ):
        for index in reference.indices.tolist():
            made = [source.picture(index) for source in sources]
            for scores, picture, detect in zip(videos, made, detectors, strict=True):
                scores.add(picture, detect)
            film.write([picture for source, picture in zip(sources, made, strict=True) if source.filmed])
            progress.advance()
    made_by_it = len(reference.indices) * sum(source.name == subject.method for source in sources)
    speed = made_by_it / own.seconds if own.seconds > 0 else float("nan")
    for source in sources:
        if source.name == subject.method:
            source.extra.append(measured("fps", speed, True, made_by_it, "head", f"{subject.method} on this machine"))
    return videos


def _filmed(sources: Sequence[Source]) -> list[str]:
    return [source.title for source in sources if source.filmed]


def _row(source: Source, video: VideoScores, sound: Speech) -> Row:
    scores = [*video.scores(by_audio=source.drive == "audio"), *sync_scores(sound, video.points), *source.extra]
    return Row(source.name, source.drive, scores, source.colour)


class _Generated:
    """PSNR and SSIM of the whole picture with the method's own torso and background."""

    def __init__(self, pictures: Pictures, add_torso: AddTorso) -> None:
        self._pictures, self._add_torso = pictures, add_torso
        self._psnr, self._ssim = Psnr(), Ssim()
        self._seen: set[int] = set()

    def add(self, index: int, colour: np.ndarray, opacity: np.ndarray) -> None:
        """A frame's head, straight colour [height, width, 3] and opacity; once, as the report looks at some again."""
        if index in self._seen:
            return
        self._seen.add(index)
        picture, truth = self._add_torso(index, colour, opacity), self._pictures.truth(index)
        self._psnr.add(picture, truth)
        self._ssim.add(picture, truth)

    def scores(self) -> list[Score]:
        values = {"psnr": self._psnr.mean, "psnr_pooled": self._psnr.pooled, "ssim": self._ssim.mean}
        return [measured(name, value, True, len(self._seen), GENERATED) for name, value in values.items()]


def _conditions(folder: PersonFolder, indices: np.ndarray) -> Conditions:
    track = folder.track
    closure = np.nan_to_num(track.closure[indices].mean(1))
    cameras = np.repeat(SOURCE_CAMERA[None], len(indices), 0)
    return Conditions(track.pose[indices], closure, cameras, np.asarray(indices))


def _torso_adder(renderer: Any, folder: PersonFolder, pictures: FolderPictures) -> AddTorso:
    """The person with the method's own torso over the clean background, at the evaluation size."""
    background = folder.background.astype(np.float32) / 255

    def add_torso(index: int, colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
        pose = folder.track.pose[index : index + 1]
        frame = renderer.with_torso(colour * opacity[..., None], opacity, pose, SOURCE_CAMERA, index)
        picture = composite(frame.colour, frame.opacity, background)
        return pictures.cut(np.rint(picture * 255).astype(np.uint8)).astype(np.float32) / 255

    return add_torso
