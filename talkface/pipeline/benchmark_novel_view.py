"""`talkface benchmark novel_view`: a trained drawn speaker from viewpoints never filmed, against the exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from talkface import methods
from talkface.data.synthetic.figure import HEAD
from talkface.data.synthetic.speaker import SyntheticSpeaker
from talkface.engine.run import Run, write_json, write_text
from talkface.face.detect import Detector
from talkface.geometry import orbit
from talkface.io.image import write_image
from talkface.io.store import PersonFolder
from talkface.metrics.folder_pictures import FolderPictures
from talkface.metrics.novel_view import (
    FlatView,
    NearestView,
    TrueView,
    Viewpoint,
    ViewScores,
    sweep,
    view_charts,
    view_json,
    view_table,
)
from talkface.metrics.pictures import composite
from talkface.metrics.table_forms import html, write_table
from talkface.metrics.video import detected
from talkface.pipeline.controls import mean_pose
from talkface.pipeline.demo import SECONDS, SEED, SIZE_PX
from talkface.pipeline.evaluate import with_landmarks
from talkface.pipeline.preprocess import preprocess
from talkface.pipeline.render import torch_device
from talkface.pipeline.synthesize import Synthesize, drawn_again, synthesize
from talkface.pipeline.train import train
from talkface.progress import Progress
from talkface.types import SOURCE_CAMERA, Camera, Conditions, Score

FRAMES = 5
"""Moments of the test split that are seen from every viewpoint."""
_COLOURS = {"nearest": "nearest", "flat": "still"}
_SHEET = tuple(
    Viewpoint(*at)
    for at in ((-30.0, 0.0), (-10.0, 0.0), (0.0, 0.0), (10.0, 0.0), (30.0, 0.0), (0.0, -15.0), (0.0, 15.0))
)
"""Viewpoints shown as pictures."""


def benchmark_novel_view(
    out: Path, data: Path | None = None, *, frames: int = FRAMES, device: str = "auto"
) -> dict[str, Any]:
    """Curves over yaw and pitch into `out`: table (four forms), novel_view.json, report.html and sheet.png.

    Args:
        data: A folder of a drawn speaker as `talkface demo` leaves it (`speaker/truth.npz`, `person/`, `run/`); by
            default one is drawn, preprocessed and trained inside `out` first. What is there already is not repeated.
        frames: How many moments of the test split are judged.

    Raises:
        UserError: `data` is no such folder.
    """
    folder = data if data is not None else out
    out.mkdir(parents=True, exist_ok=True)
    if data is None:
        _make(out)
    speaker = drawn_again(folder / "speaker" / "truth.npz")
    scene = _Scene(speaker, Run(folder / "run"), PersonFolder(folder / "person"), device)
    tested = scene.pictures.test_indices
    moments = tested[np.linspace(0, len(tested) - 1, frames + 2).round().astype(int)[1:-1]].tolist()
    results: dict[str, dict[Viewpoint, list[Score]]] = {scene.method: {}, "nearest": {}, "flat": {}}
    shown: dict[Viewpoint, list[np.ndarray]] = {}
    with Progress("viewpoints", len(sweep()) * len(moments)) as progress:
        for view in sweep():
            judged = {name: ViewScores() for name in results}
            with Detector() as detector:
                for index in moments:
                    true, made = scene.seen(index, view)
                    points = detected(detector.detect, true.picture)
                    for name, picture in made.items():
                        judged[name].add(picture, detected(detector.detect, picture), true, points)
                    if index == moments[len(moments) // 2] and view in _SHEET:
                        shown[view] = [true.picture, *made.values()]
                    progress.advance()
            for name, scores in judged.items():
                results[name][view] = scores.scores()
    _write(out, scene, results, shown, frames)
    return {"report": str(out / "report.html"), "views": view_json(results)}


def _make(out: Path) -> None:
    """Draw, preprocess and train, as the demo does."""
    if not (out / "speaker" / "truth.npz").is_file():
        synthesize(out / "speaker", Synthesize(seconds=SECONDS, size=SIZE_PX, seed=SEED))
    preprocess(out / "speaker" / "clip.mp4", out / "person")
    if not (out / "run" / "source.npz").is_file():
        train("blink_hashgrid", out / "person", out / "run", resume=(out / "run" / "config.json").is_file())


class _Scene:
    """One moment from one viewpoint: as it is, as the method shows it, and as the baselines do.

    Both worlds are moved alike: the camera about the head's mean centre, by the same angles.
    """

    def __init__(self, speaker: SyntheticSpeaker, run: Run, folder: PersonFolder, device: str) -> None:
        method = methods.get(run.config["method"])
        self.method, self._speaker = method.name, speaker
        self._renderer = method.load(run).to(torch_device(device))
        track = folder.track
        closure = np.nan_to_num(track.closure.mean(1))
        indices = np.arange(len(track))
        conditions = Conditions(track.pose, closure, np.repeat(SOURCE_CAMERA[None], len(track), 0), indices)
        spoken = list(self._renderer.drives(iter([folder.speech.waveform]), conditions))
        self._drives, self._closure, self._track = with_landmarks(spoken, track), closure, track
        square = self._renderer.square
        side = self._renderer.config.field.size_px
        box = (square.left, square.top, square.left + square.side, square.top + square.side)
        self.pictures = FolderPictures(folder, (side, side), box)
        cut = speaker.camera.cropped(square.left, square.top, (square.side, square.side))
        self._true_camera = cut.resized((side, side))
        self._nearest = NearestView(self.pictures)
        self._true_centre = mean_pose(speaker.pose).translation[0]
        self._centre = mean_pose(track.pose).translation[0]

    def seen(self, index: int, view: Viewpoint) -> tuple[TrueView, dict[str, Float[np.ndarray, "height width 3"]]]:
        """The truth, and every video's picture of it."""
        true = self._truth(index, view)
        own = self._moved(self._track.camera, self._centre, view).world_from_camera
        around = [self._drives[min(max(index + k, 0), len(self._drives) - 1)] for k in range(-2, 3)]
        pose = self._track.pose[index : index + 1]
        head = self._renderer.head(around, float(self._closure[index]), pose, own)
        straight = head.colour / np.maximum(head.opacity, 1e-4)[..., None]
        turned = SOURCE_CAMERA[:3, :3] @ own[:3, :3].T @ pose.rotation[0]
        landmarks = self._drives[index].landmarks
        return true, {
            self.method: composite(np.clip(straight, 0, 1), head.opacity, true.behind),
            "nearest": self._nearest.frame(turned, landmarks, float(self._closure[index]), true),
            "flat": FlatView.frame(self._truth(index, Viewpoint(0.0, 0.0)), true),
        }

    def _truth(self, index: int, view: Viewpoint) -> TrueView:
        camera = self._moved(self._true_camera, self._true_centre, view)
        drawn = self._speaker.frame(index, camera)
        torso = self._speaker.torso(index, camera)
        behind = composite(torso[..., :3], torso[..., 3], self._speaker.background(camera))
        head = np.where(drawn.labels == HEAD, drawn.head_alpha, 0.0)
        return TrueView(drawn.colour.astype(np.float32), head, behind, drawn.landmarks_px)

    @staticmethod
    def _moved(camera: Camera, centre: np.ndarray, view: Viewpoint) -> Camera:
        return orbit(camera, centre, np.radians(view.yaw_deg), np.radians(view.pitch_deg))


def _write(
    out: Path,
    scene: _Scene,
    results: dict[str, dict[Viewpoint, list[Score]]],
    shown: dict[Viewpoint, list[np.ndarray]],
    frames: int,
) -> None:
    title = f"{scene.method} from viewpoints never filmed, {frames} moments, exact truth"
    made = view_table(results, title)
    write_table(made, out)
    write_json(out / "novel_view.json", {"title": title, "views": view_json(results)})
    names = ["truth", *results]
    write_image(out / "sheet.png", _sheet(names, shown))
    charts = view_charts(results, {scene.method: "ours", **_COLOURS})
    words = f"nearest: {NearestView.what}; flat: {FlatView.what}."
    write_text(out / "report.html", _PAGE.format(title=title, words=words, charts="".join(charts), table=html(made)))


def _sheet(names: list[str], shown: dict[Viewpoint, list[np.ndarray]], cell_px: int = 192) -> np.ndarray:
    """Viewpoints across, videos down."""
    font, margin, strip = ImageFont.load_default(13), 110, 22
    sheet = Image.new("RGB", (margin + cell_px * len(shown), strip + cell_px * len(names)), (24, 26, 30))
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        draw.text((8, strip + cell_px * (row + 0.5)), name, fill=(236, 234, 228), font=font, anchor="lm")
    for column, (view, pictures) in enumerate(shown.items()):
        left = margin + cell_px * column
        draw.text((left + 6, strip / 2), view.title, fill=(236, 234, 228), font=font, anchor="lm")
        for row, picture in enumerate(pictures):
            image = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
            sheet.paste(image.resize((cell_px, cell_px), Image.Resampling.BICUBIC), (left, strip + cell_px * row))
    return np.asarray(sheet)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>{title}</title><style>
:root {{ --ours: #1f6fd1; --nearest: #8b4fc0; --still: #9a948a; --rule: #8885 }}
body {{ margin: 3rem auto; max-width: 68rem; padding: 0 1.25rem; font: 1rem/1.5 ui-sans-serif, system-ui, sans-serif }}
.ours {{ color: var(--ours) }} .nearest {{ color: var(--nearest) }} .still {{ color: var(--still) }}
.curve {{ fill: none; stroke: currentColor; stroke-width: 2 }} .grid {{ stroke: var(--rule) }} text {{ font-size: 11px;
  fill: gray }} figure {{ margin: 1.5rem 0 }} figcaption ul {{ display: inline-flex; gap: 1rem; list-style: none }}
figcaption i {{ display: inline-block; width: 1.3em; height: .25em; margin-right: .4em; background: currentColor }}
img {{ max-width: 100% }} table {{ border-collapse: collapse }} td, th {{ padding: .25rem .6rem; text-align: right }}
th:first-child {{ text-align: left }} caption {{ text-align: left; font-weight: 600 }}
</style></head><body><h1>{title}</h1><p>{words}</p><img src="sheet.png" alt="pictures from some viewpoints">
{charts}{table}</body></html>
"""
