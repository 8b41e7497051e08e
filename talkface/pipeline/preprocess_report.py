"""`report.html` of a processed folder: one file, no scripts, that says what the clip is good for and shows why."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from talkface.geometry import angles_from_rotation
from talkface.io.store import PER_FRAME, PersonWriter, frame_name
from talkface.io.whole import write_whole
from talkface.metrics.charts import Line, line_chart
from talkface.pipeline.fitness import overall, verdicts
from talkface.pipeline.recordings import Recordings
from talkface.types import Track

_WIDTH_PX = 360
_WORST_SHOWN = 40
_LABEL_COLOURS = np.array([(0, 0, 0), (66, 133, 244), (52, 168, 83), (251, 140, 0)])
_CURVES = ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68))
_CLOSED = {36, 42, 48, 60}


def write_report(writer: PersonWriter, recordings: Recordings, track: Track, facts: dict[str, Any]) -> None:
    """Write `report.html` into the folder; frames, mattes and labels must be there.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    judged = verdicts(facts)
    level, sentence = overall(judged)
    height, width = track.camera.size_px
    about = {
        "frames": f"{len(track)} at {track.fps:g} a second, {facts['seconds']:.1f} s",
        "picture": f"{width} x {height} px",
        "source": f"{facts['source_fps']:g} fps{', variable' if facts['variable_rate'] else ''}",
        "clips": str(len(recordings.clips)),
        "face model": facts["face_model"],
        "focal length": f"{facts['focal_px']:.0f} px (weakly seen; no calibration)",
    }
    page = Template(Path(__file__).with_name("preprocess_report.html").read_text(encoding="utf-8")).substitute(
        title=escape(recordings.source),
        facts="".join(f"<li>{escape(k)} <b>{escape(v)}</b></li>" for k, v in about.items()),
        level=level,
        sentence=escape(sentence),
        verdicts="".join(
            f'<tr class="{v.level}"><td>{escape(v.what)}</td><td>{escape(v.value)}</td><td class="level">{v.level}</td>'
            f"<td>{escape(v.says)} <small>Wanted: {escape(v.needs)}.</small></td></tr>"
            for v in judged
        ),
        stills=_stills(writer, track),
        masks=_masks(writer, track, facts),
        charts=_charts(track),
        bad=_bad_frames(track),
    )
    write_whole(writer.root / "report.html", lambda file: file.write(page.encode()))


def _charts(track: Track) -> str:
    angles = np.degrees(angles_from_rotation(track.pose.rotation))
    angles[~track.valid] = np.nan
    closure = np.where(track.valid[:, None], track.closure, np.nan)
    pairs = ((61, 67), (62, 66), (63, 65))
    opening = np.mean([np.linalg.norm(track.landmarks[:, a] - track.landmarks[:, b], axis=-1) for a, b in pairs], 0)
    bad = [(run[0], run[-1] + 1) for run in _runs(~track.valid)]
    return "".join(
        [
            line_chart(
                "Head pose", "degrees; positive yaw to the viewer's right, positive pitch up",
                [Line("yaw", "ours", angles[:, 0]), Line("pitch", "audio", angles[:, 1]),
                 Line("roll", "pca", angles[:, 2])], track.fps, bad,
            ),
            line_chart(
                "Eyes", "closure, 0 open to 1 shut",
                [Line("subject's right", "ours", closure[:, 0]), Line("subject's left", "audio", closure[:, 1])],
                track.fps, bad,
            ),
            line_chart(
                "Mouth", "opening between the inner lips, cm",
                [Line("opening", "ours", np.where(track.valid, opening, np.nan))], track.fps, bad,
            ),
        ]
    )  # fmt: skip


def _stills(writer: PersonWriter, track: Track) -> str:
    """Moments that show the range of the clip, with the 68 landmarks drawn."""
    good = np.flatnonzero(track.valid)
    yaw, pitch, _ = np.degrees(angles_from_rotation(track.pose.rotation[good])).T
    opening = np.linalg.norm(track.landmarks[good, 62] - track.landmarks[good, 66], axis=-1)
    chosen = {
        "mouth widest": int(opening.argmax()),
        "mouth shut": int(opening.argmin()),
        "eyes shut": int(np.nan_to_num(track.closure[good].mean(1)).argmax()),
        "furthest to the viewer's left": int(yaw.argmin()),
        "furthest to the viewer's right": int(yaw.argmax()),
        "chin highest": int(pitch.argmax()),
        "chin lowest": int(pitch.argmin()),
        "loosest fit": int(np.nan_to_num(track.residual[good]).argmax()),
    }
    return "".join(
        _figure(
            _with_landmarks(writer.frame(int(good[k])), track.landmarks_px[good[k]]),
            f"{what} <small>{good[k] / track.fps:.2f} s</small>",
        )
        for what, k in chosen.items()
    )


def _masks(writer: PersonWriter, track: Track, facts: dict[str, Any]) -> str:
    good = np.flatnonzero(track.valid)
    index = int(good[len(good) // 2])
    frame, matte, labels, torso = (_read(writer, what, index) for what in PER_FRAME)
    tinted = np.where(labels[..., None] > 0, 0.55 * frame + 0.45 * _LABEL_COLOURS[labels], 0.35 * frame)
    checks = 205 + 30 * ((np.indices(matte.shape) // 12).sum(0) % 2)[..., None]
    opacity = torso[..., 3:] / 255
    background = _png(writer.root / "background.png")
    invented = _png(writer.root / "background_invented.png") > 127
    stripes = (np.indices(invented.shape).sum(0) // 6) % 3 == 0
    background = np.where((invented & stripes)[..., None], (220, 60, 60), background)
    return "".join(
        [
            _figure(tinted, "head blue, neck green, torso orange"),
            _figure(np.repeat(matte[..., None], 3, 2), "matte"),
            _figure(torso[..., :3] * opacity + checks * (1 - opacity), "torso, continued under the head"),
            _figure(background, f"background; striped: never seen ({100 * facts['background_invented']:.0f} %)"),
        ]
    )


def _bad_frames(track: Track) -> str:
    runs = [(run[0], run[-1], reason) for run, reason in _reasons(track)]
    if not runs:
        return "<p>None: every frame can be used.</p>"
    rows = "".join(
        f"<tr><td>{first / track.fps:.2f} to {(last + 1) / track.fps:.2f} s</td><td>{first}"
        f"{'' if last == first else f' to {last}'}</td><td>{last - first + 1}</td><td>{escape(reason)}</td></tr>"
        for first, last, reason in sorted(runs, key=lambda run: run[0] - run[1])[:_WORST_SHOWN]
    )
    more = f"<p class='quiet'>And {len(runs) - _WORST_SHOWN} shorter gaps.</p>" if len(runs) > _WORST_SHOWN else ""
    return f"<table><thead><tr><th>time</th><th>frames</th><th>count</th><th>why</th></tr></thead>{rows}</table>{more}"


def _reasons(track: Track) -> list[tuple[list[int], str]]:
    grouped = groupby(range(len(track)), key=lambda index: track.reason[index])
    return [(list(run), reason) for reason, run in grouped if reason]


def _runs(flags: np.ndarray) -> list[list[int]]:
    return [list(run) for flag, run in groupby(range(len(flags)), key=lambda index: bool(flags[index])) if flag]


def _with_landmarks(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face cut out with some room, and the landmarks' curves over it."""
    from PIL import Image, ImageDraw

    (left, top), (right, bottom) = points.min(0), points.max(0)
    half = 0.75 * max(right - left, bottom - top)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2 - 0.15 * half
    box = (round(middle_x - half), round(middle_y - half), round(middle_x + half), round(middle_y + half))
    scale = 2 * _WIDTH_PX / (box[2] - box[0])
    picture = Image.fromarray(frame).crop(box).resize((2 * _WIDTH_PX, 2 * _WIDTH_PX), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    drawn = (points - box[:2]) * scale
    for start, stop in _CURVES:
        curve = [tuple(point) for point in drawn[start:stop]]
        draw.line([*curve, curve[0]] if start in _CLOSED else curve, fill=(255, 214, 10), width=3, joint="curve")
    for x, y in drawn:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(255, 255, 255), outline=(20, 20, 20))
    return np.asarray(picture)


def _figure(picture: np.ndarray, caption: str) -> str:
    from PIL import Image

    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    image.thumbnail((_WIDTH_PX, _WIDTH_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}"><figcaption>{caption}</figcaption></figure>'


def _read(writer: PersonWriter, what: str, index: int) -> np.ndarray:
    return _png(writer.root / what / frame_name(index))


def _png(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.array(picture)


__all__: Sequence[str] = ["write_report"]
