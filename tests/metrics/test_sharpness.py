"""CPBD against the public package and scikit-image's Canny; sharpness against closed forms and blur."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.feature import canny

from talkface.errors import UserError
from talkface.metrics.sharpness import Cpbd, SharpnessRatio, Slopes, cpbd, edge_widths, grey_levels, sharpness


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "golden" / "cpbd.npz") as file:
        return dict(file)


@pytest.mark.parametrize("number", range(5))
def test_cpbd_is_that_of_the_package(golden, number: int) -> None:
    value = float(golden[f"cpbd{number}"])
    assert cpbd(golden[f"picture{number}"]) == pytest.approx(value, abs=1e-9)


def test_slopes_are_those_of_canny(golden) -> None:
    grey = golden["picture3"]
    thin = Slopes(grey).largest()
    labels, count = ndimage.label(thin >= 0.1, np.ones((3, 3)))
    joined = np.zeros(count + 1, bool)
    joined[labels[thin >= 0.2]] = True
    np.testing.assert_array_equal(joined[labels], canny(grey.astype(float)))
    some = Slopes(grey).largest(every=4)
    np.testing.assert_array_equal(some[1:-1:4], thin[1:-1:4])


def test_an_edge_is_as_wide_as_it_is() -> None:
    """Grey rises from column 60 to 68 and falls from 99 to 101, steepest in the middle; rows are equal."""
    line = np.full(128, 20)
    line[60:69] = (20, 22, 30, 60, 120, 180, 210, 218, 220)
    line[68:100] = 220
    line[100:] = (170, *[120] * 27)
    rows, columns, widths = edge_widths(np.tile(line.astype(np.uint8), (64, 1)))
    assert sorted(set(zip(columns.tolist(), widths.tolist(), strict=True))) == [(64, 8), (100, 2)]
    assert sorted(set(rows.tolist())) == list(range(1, 63)), "the outermost rows are left out"


def test_blur_lowers_cpbd_step_by_step(golden) -> None:
    picture = golden["picture0"].astype(float)
    values = [
        cpbd(np.rint(ndimage.gaussian_filter(picture, sigma)).astype(np.uint8)) for sigma in (0, 0.4, 0.6, 0.8, 1, 3)
    ]
    assert values == sorted(values, reverse=True) and values[0] > 0.8 and values[-1] == 0


def test_what_cannot_be_judged() -> None:
    assert np.isnan(cpbd(np.zeros((63, 200), np.uint8)))
    assert cpbd(np.full((64, 64), 7, np.uint8)) == 0, "the package says so of a picture without edges"


def test_grey_is_that_of_image_readers() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(picture).convert("L"))
    np.testing.assert_array_equal(grey_levels(picture.astype(np.float32) / 255), wanted)


def test_cpbd_of_a_region_is_that_of_its_box(golden) -> None:
    picture = np.repeat(golden["picture1"][..., None] / np.float32(255), 3, axis=2)
    mask = np.zeros(picture.shape[:2], bool)
    mask[10, 20] = mask[100, 150] = True
    score = Cpbd()
    score.add(picture, mask)
    score.add(picture, np.zeros_like(mask))
    score.add(picture)
    assert score.values[0] == cpbd(np.ascontiguousarray(golden["picture1"][10:101, 20:151]))
    assert score.frames == 2 and score.values[2] == cpbd(golden["picture1"])
    with pytest.raises(UserError, match="frame 3 holds values that are no numbers"):
        score.add(np.full((64, 64, 3), np.nan))


def test_detail_is_the_spread_of_the_laplacian() -> None:
    checks = np.indices((20, 20)).sum(0)[..., None].repeat(3, 2) % 2 * 0.5
    mask = np.zeros((20, 20), bool)
    mask[2:18, 2:18] = True
    assert sharpness(checks, mask) == pytest.approx(2.0), "four neighbours, each 0.5 away: +2 and -2"
    ratio = SharpnessRatio()
    ratio.add(checks / 4, checks, mask)
    ratio.add(checks, checks, ~mask & mask)
    assert ratio.mean == pytest.approx(0.25) and ratio.frames == 1


@pytest.mark.slow
def test_cpbd_takes_40_ms_at_512_px() -> None:
    from skimage.data import camera

    picture, spent = camera(), []
    for _ in range(10):
        started = time.process_time()
        cpbd(picture)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.04
