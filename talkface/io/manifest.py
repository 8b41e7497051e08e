"""The manifest of a processed folder: what it says, and that a stranger's manifest is not believed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from talkface.errors import UserError
from talkface.io.whole import write_whole

FORMAT = "talkface person"
VERSION = 1
MAX_FRAMES = 400_000
"""Four hours at 25 fps (our choice)."""
MAX_SIDE_PX = 8192
_MAX_BYTES = 16 << 20

Ranges = tuple[tuple[int, int], ...]
"""Half-open frame ranges (start, stop), in order, not touching each other's frames."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a processed folder holds. Written last: a folder without it is not finished."""

    fps: float
    size_px: tuple[int, int]
    """(height, width)."""
    frames: int
    clips: Ranges
    """Frames that follow each other in one recording; a folder of clips has several."""
    split: dict[str, Ranges]
    """"train" and "test"."""
    providers: dict[str, str]
    """What was computed by what: {"landmarks": "mediapipe 0.10.14", ...}."""
    source: str
    """Name of the video, for people to read; never opened."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Numbers of the report."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"track.npz": {"bytes", "sha256"}, "frames": {"bytes", "sha256", "count"}, ...}; hashes of folders are over
    their files' bytes in order of name."""
    version: int = VERSION


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest as JSON, whole.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, lambda file: file.write(text.encode() + b"\n"))


def read_manifest(path: Path, names: frozenset[str]) -> Manifest:
    """Read a manifest and check all that it says about itself.

    Args:
        names: File and folder names that a manifest may list; anything else (another folder's file) is refused.

    Raises:
        UserError: absent, not a manifest, of another version, or not believable.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} is not a finished processed folder; run `talkface preprocess VIDEO` on it")
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} is larger than a manifest can be; preprocess the video again")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is broken (not JSON); preprocess the video again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not the manifest of a processed folder; preprocess the video again")
    if content.get("version") != VERSION:
        raise UserError(
            f"{path} has version {str(content.get('version'))[:20]}, this talkface reads version {VERSION}; "
            "preprocess the video again"
        )
    try:
        return _checked(content, names)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is broken ({_brief(error)}); preprocess the video again") from error


def split_frames(frames: int, recordings: Ranges) -> dict[str, Ranges]:
    """The first 10/11 of the frames train, the last 1/11 test (as AD-NeRF does).

    The border moves to the nearest one between recordings where that leaves 5 to 20 % for the test, so that no
    recording is in both. Cuts within a recording do not move it.
    """
    cut = math.ceil(frames * 10 / 11)
    borders = [start for start, _ in recordings if 0.8 * frames <= start <= 0.95 * frames]
    if borders:
        cut = min(borders, key=lambda border: abs(border - frames * 10 / 11))
    train = tuple((a, min(b, cut)) for a, b in recordings if a < cut)
    test = tuple((max(a, cut), b) for a, b in recordings if b > cut)
    return {"train": train, "test": test}


def _checked(content: dict[str, Any], names: frozenset[str]) -> Manifest:
    frames = _whole(content["frames"], "frames", 1, MAX_FRAMES)
    height, width = content["size_px"]
    size_px = (_whole(height, "height", 1, MAX_SIDE_PX), _whole(width, "width", 1, MAX_SIDE_PX))
    fps = float(content["fps"])
    if not 1 <= fps <= 240:
        raise ValueError(f"fps is {fps:g}, expected 1 to 240")
    split = content["split"]
    if set(split) != {"train", "test"}:
        raise ValueError('split must have "train" and "test"')
    files = content["files"]
    for name, entry in files.items():
        if name not in names:
            raise ValueError(f"it lists the foreign file {name[:60]!r}")
        _whole(entry["bytes"], "bytes", 0, 1 << 50)
        if not isinstance(entry["sha256"], str):
            raise TypeError("sha256 is not text")
    if missing := names - set(files):
        raise ValueError(f"it does not list {sorted(missing)[0]}")
    return Manifest(
        fps=fps,
        size_px=size_px,
        frames=frames,
        clips=_ranges(content["clips"], frames),
        split={part: _ranges(split[part], frames) for part in ("train", "test")},
        providers={str(key): str(value) for key, value in content["providers"].items()},
        source=str(content["source"]),
        facts=dict(content["facts"]),
        files=files,
    )


def _ranges(value: Any, frames: int) -> Ranges:
    ranges = tuple((_whole(a, "start", 0, frames), _whole(b, "stop", 0, frames)) for a, b in value)
    stops = [0]
    for start, stop in ranges:
        if start < stops[-1] or stop <= start:
            raise ValueError(f"frame range {start}-{stop} is out of order")
        stops.append(stop)
    return ranges


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{what} is {str(value)[:20]}, expected {low} to {high}")
    return value


def _brief(error: Exception) -> str:
    text = str(error).strip("'")
    return f"{text[:120]} is missing" if isinstance(error, KeyError) else text[:120]
