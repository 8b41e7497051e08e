"""Still pictures of every kind that users have."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from talkface.errors import UserError
from talkface.io.video import read_image, write_image

RED_BLUE = np.concatenate(
    [np.full((20, 15, 3), (250, 0, 0), np.uint8), np.full((20, 15, 3), (0, 0, 250), np.uint8)], axis=1
)


@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3), (21, 31, 4)])
def test_png_round_trips_exactly(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    write_image(tmp_path / "-a ü.png", image)
    with Image.open(tmp_path / "-a ü.png") as picture:
        assert np.array_equal(np.asarray(picture), image)
    if len(shape) == 3 and shape[2] == 3:
        assert np.array_equal(read_image(tmp_path / "-a ü.png"), image)
    if shape[-1] == 4:
        assert np.array_equal(
            read_image(tmp_path / "-a ü.png", alpha=True)[image[..., 3] > 0], image[image[..., 3] > 0]
        )


def test_transparent_parts_lie_over_white(tmp_path):
    image = np.zeros((2, 3, 4), np.uint8)
    image[0] = (10, 20, 30, 255)
    image[1] = (0, 0, 0, 128)
    write_image(tmp_path / "a.png", image)
    read = read_image(tmp_path / "a.png")
    assert (read[0] == (10, 20, 30)).all()
    assert np.abs(read[1].astype(int) - 127).max() <= 1


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA"])
def test_other_kinds_become_rgb(tmp_path, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    Image.fromarray(RED_BLUE).convert(mode).save(tmp_path / f"a.{suffix}")
    read = read_image(tmp_path / f"a.{suffix}")
    assert read.shape == (20, 30, 3)
    want = np.asarray(Image.fromarray(RED_BLUE).convert(mode).convert("RGB"))
    assert np.abs(read.astype(int) - want).max() <= 1


def test_16_bit_grey_keeps_its_tones(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png")[0, :, 1], np.arange(256))


@pytest.mark.parametrize(("orientation", "quarters"), [(6, -1), (3, 2), (8, 1)])
def test_the_camera_rotation_is_applied(tmp_path, orientation, quarters):
    """EXIF: 6 means turn clockwise by 90 degrees to show."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RED_BLUE).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    read = read_image(tmp_path / "a.jpg")
    want = np.rot90(RED_BLUE, quarters)
    assert read.shape == want.shape
    assert np.abs(read.astype(int) - want).mean() < 5


@pytest.mark.parametrize("side", [9_000, 30_000])
def test_a_bomb_is_refused(tmp_path, side):
    """A header that promises far more than the file holds."""
    write_image(tmp_path / "bomb.png", RED_BLUE)
    content = bytearray((tmp_path / "bomb.png").read_bytes())
    content[16:24] = struct.pack(">2I", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(UserError, match="up to 8192 px a side"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"x" * 50, b"words"])
def test_what_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match="not a picture"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match="does not exist"):
        read_image(tmp_path / "b.png")


def test_a_read_only_folder_is_named(read_only_folder):
    with pytest.raises(UserError, match="cannot be written: permission denied"):
        write_image(read_only_folder / "a.png", RED_BLUE)


def test_a_full_disk_keeps_the_old_picture(tmp_path):
    write_image(tmp_path / "a.png", RED_BLUE)
    program = (
        "import resource, sys, numpy as np\nfrom pathlib import Path\nfrom talkface.io.video import write_image\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "write_image(Path(sys.argv[1]), np.random.default_rng(0).integers(0, 255, (99, 99, 3), dtype=np.uint8))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.png")], capture_output=True, text=True)
    assert "UserError" in done.stderr
    assert "file too large" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert np.array_equal(read_image(tmp_path / "a.png"), RED_BLUE)
