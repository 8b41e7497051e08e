"""What stands behind the person: `--background` as one picture per frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from talkface.errors import UserError

FORMS = "original, transparent, a colour (#rrggbb or a name), an image, or a video"
_VIDEOS = {".mp4", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".m4v"}


def backgrounds(
    text: str, original: UInt8[np.ndarray, "height width 3"]
) -> Iterator[Float[np.ndarray, "height width 3"]] | None:
    """One picture per frame, without end, in [0, 1] and of the size of `original`; None for `transparent`.

    Images and videos are scaled to cover the frame and cut at the edges; a video is repeated from its start.

    Raises:
        UserError: `text` is none of the forms.
    """
    size_px = original.shape[:2]
    if text == "transparent":
        return None
    if text == "original":
        return repeat(original.astype(np.float32) / 255)
    path = Path(text)
    if path.suffix.lower() in _VIDEOS and path.exists():
        return _video(path, size_px)
    if path.exists():
        from talkface.io.image import read_image

        return repeat(_cover(read_image(path), size_px))
    return repeat(np.broadcast_to(_colour(text), (*size_px, 3)).astype(np.float32))


def composite(
    colour: Float[np.ndarray, "height width 3"],
    opacity: Float[np.ndarray, "height width"],
    behind: Float[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The person over what is behind, rounded to bytes."""
    mixed = behind + opacity[..., None] * (colour - behind)
    return (np.clip(mixed, 0, 1) * 255 + 0.5).astype(np.uint8)


def with_alpha(
    colour: Float[np.ndarray, "height width 3"], opacity: Float[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 4"]:
    """The person alone, straight alpha."""
    return (np.clip(np.dstack([colour, opacity]), 0, 1) * 255 + 0.5).astype(np.uint8)


def _colour(text: str) -> np.ndarray:
    from PIL import ImageColor

    try:
        return np.array(ImageColor.getrgb(text)[:3]) / 255
    except ValueError as error:
        raise UserError(f"--background {text} is no file and no colour; it may be {FORMS}") from error


def _cover(picture: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    from PIL import Image, ImageOps

    height, width = size_px
    fitted = ImageOps.fit(Image.fromarray(picture[..., :3]), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.float32) / 255


def _video(path: Path, size_px: tuple[int, int]) -> Iterator[np.ndarray]:
    from talkface.io.video import read_frames

    while True:
        for frame in read_frames(path):
            yield _cover(frame, size_px)
