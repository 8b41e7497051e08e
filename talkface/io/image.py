"""Still pictures: read anything Pillow reads as RGB, write PNG or JPEG whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from talkface.errors import UserError
from talkface.io.whole import write_whole

MAX_IMAGE_SIDE_PX = 8192
"""Longest side of a still that is read (our choice: a 64-megapixel photo passes, a decompression bomb does not)."""


def read_image(path: Path, alpha: bool = False) -> UInt8[np.ndarray, "height width channels"]:
    """A picture as RGB, upright; 3 channels, or 4 with `alpha`.

    Convention:
        - the EXIF rotation of phones and cameras is applied; grey, palette, CMYK and 16-bit pictures become 8-bit RGB
        - without `alpha`, transparent parts lie over white

    Raises:
        UserError: no such file, not a picture, or a side above `MAX_IMAGE_SIDE_PX`.
    """
    from PIL import Image, ImageOps

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the path of a picture")
    try:
        with Image.open(path) as opened:
            if max(opened.size) > MAX_IMAGE_SIDE_PX:
                raise UserError(
                    f"{path} is {opened.width}x{opened.height}; pictures up to {MAX_IMAGE_SIDE_PX} px a side are read"
                )
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith("I"):  # 16-bit grey
                grey = (np.asarray(picture, np.float64) / 257).round().clip(0, 255).astype(np.uint8)
                picture = Image.fromarray(grey)
            rgba = np.array(picture.convert("RGBA"))
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} is too large; pictures up to {MAX_IMAGE_SIDE_PX} px a side are read") from error
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: permission denied") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} is not a picture that can be read; convert it to PNG or JPEG first") from error
    if alpha:
        return rgba
    opacity = rgba[..., 3:].astype(np.uint32)
    return ((rgba[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def write_image(path: Path, image: UInt8[np.ndarray, ...]) -> None:
    """Write a grey [H, W], RGB [H, W, 3] or RGBA [H, W, 4] picture; the suffix chooses PNG (lossless) or JPEG.

    Raises:
        UserError: the folder cannot be written, or the disk is full; no partial file is left.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        write_whole(path, lambda file: Image.fromarray(image).save(file, format="JPEG", quality=95, subsampling=0))
    else:
        # Level 1 is three times as fast as the default for files a tenth larger.
        write_whole(path, lambda file: Image.fromarray(image).save(file, format="PNG", compress_level=1))


__all__ = ["MAX_IMAGE_SIDE_PX", "read_image", "write_image"]
