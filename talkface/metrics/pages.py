"""What the report shows besides numbers: curves, stills, worst frames, and the film of all side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from talkface.face.eyes import blink_events
from talkface.io.writer import VideoWriter
from talkface.metrics.charts import Line, line_chart
from talkface.metrics.report import Still
from talkface.metrics.rows import Source
from talkface.metrics.video import Reference, VideoScores
from talkface.types import Speech

_STILLS, _WORST = 4, 3
_APART_FRAMES = 8
"""The worst frames shown lie at least this far apart, or they would all be one moment."""
_FILM_LEAST_PX = 256
_TITLE_PX = 24


def charts(reference: Reference, sources: Sequence[Source], videos: Sequence[VideoScores]) -> list[str]:
    """Mouth opening, lid closure and per-frame PSNR over time.

    The first source is the truth, the second the method given the true landmarks.
    """
    pairs = list(zip(sources, videos, strict=True))
    method = sources[1].name
    own = [(s, v) for s, v in pairs if s.name == method]
    others = [(s, v) for s, v in pairs[1:] if s.drive == "landmarks"]
    mouth = [Line("true", "truth", reference.opening), *(Line(s.title, s.colour, v.opening) for s, v in own)]
    lids = [Line("commanded", "truth", reference.closure), *(Line(s.title, s.colour, v.closure) for s, v in own)]
    noise = [Line(s.title, s.colour, v.psnr) for s, v in others]
    blinks = blink_events(reference.closure, reference.fps)
    return [
        line_chart("Mouth opening", "inner lips, in eye spans", mouth, reference.fps),
        line_chart("Lid closure", "0 open, 1 shut; commanded blinks shaded", lids, reference.fps, blinks),
        line_chart("PSNR of the head, frame by frame", "dB, higher is better", noise, reference.fps),
    ]


def stills(
    reference: Reference, sources: Sequence[Source], videos: Sequence[VideoScores]
) -> tuple[list[Still], list[Still]]:
    """Evenly spaced moments, and the worst ones of the method given the true landmarks (the second source)."""
    count = len(reference.indices)
    psnr = [video.psnr[reference.positions] for video in videos]
    even = np.unique(np.linspace(0, count - 1, _STILLS + 2).round().astype(int)[1:-1])
    worst: list[int] = []
    for place in np.argsort(psnr[1]):
        if len(worst) < _WORST and all(abs(place - other) >= _APART_FRAMES for other in worst):
            worst.append(int(place))

    def still(place: int) -> Still:
        index = int(reference.indices[place])
        captions = {
            source.title: f"{values[place]:.1f} dB"
            for source, values in zip(sources, psnr, strict=True)
            if np.isfinite(values[place])
        }
        pictures = {source.title: source.picture(index) for source in sources}
        seconds = reference.positions[place] / reference.fps
        return Still(f"{seconds:.2f} s, frame {index}", pictures, captions, _mouth_box(reference, index))

    return [still(int(place)) for place in even], [still(place) for place in worst]


def _mouth_box(reference: Reference, index: int) -> tuple[int, int, int, int]:
    lips = reference.pictures.landmarks_px(index)[48:]
    if not np.isfinite(lips).all():
        return 0, 0, 0, 0
    height, width = reference.pictures.size_px
    half_x = 0.8 * np.ptp(lips[:, 0])
    half_y = 0.7 * half_x
    x, y = (lips.min(0) + lips.max(0)) / 2
    left, right = np.clip([np.floor(x - half_x), np.ceil(x + half_x)], 0, width).astype(int)
    top, bottom = np.clip([np.floor(y - half_y), np.ceil(y + half_y)], 0, height).astype(int)
    return int(left), int(top), int(right), int(bottom)


class Film:
    """The videos side by side with their names above, and the true sound; a context manager.

    Args:
        size_px: (height, width) of one video; small ones are enlarged.
        titles: Of the videos, left to right.
        speech: The sound of the judged frames; None for a silent film.
        metadata: The origin mark.
    """

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        fps: float,
        titles: Sequence[str],
        speech: Speech | None,
        metadata: Mapping[str, str],
    ) -> None:
        height, width = size_px
        self._factor = max(1, -(-_FILM_LEAST_PX // min(height, width)))
        self._size_px = (height * self._factor, width * self._factor)
        self._header = _titles(titles, self._size_px[1])
        whole_px = (self._size_px[0] + _TITLE_PX, self._header.shape[1])
        self._writer = VideoWriter(path, whole_px, fps, speech=speech, metadata=metadata)

    def write(
        self, pictures: Sequence[Float[np.ndarray, "height width 3"] | UInt8[np.ndarray, "height width 3"]]
    ) -> None:
        """Append one frame of every video."""
        row = []
        for picture in pictures:
            if picture.dtype != np.uint8:
                picture = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
            image = Image.fromarray(picture)
            if self._factor > 1:
                image = image.resize(self._size_px[::-1], Image.Resampling.BICUBIC)
            row.append(np.asarray(image))
        self._writer.write(np.concatenate([self._header, np.concatenate(row, axis=1)]))

    def __enter__(self) -> Film:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


def _titles(titles: Sequence[str], width: int) -> np.ndarray:
    """A strip of names, uint8 [_TITLE_PX, width x titles, 3]."""
    strip = Image.new("RGB", (width * len(titles), _TITLE_PX), (24, 26, 30))
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(13)
    for place, title in enumerate(titles):
        draw.text((place * width + 8, _TITLE_PX / 2), title, fill=(236, 234, 228), font=font, anchor="lm")
    return np.asarray(strip)
