"""Curves that have nothing to show still draw."""

from __future__ import annotations

import re

import numpy as np
import pytest

from talkface.metrics.charts import Line, curve_chart, line_chart


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, np.nan), np.array([1.0]), np.array([0.0, np.nan, 2.0])])
def test_any_curve_draws(values: np.ndarray) -> None:
    drawn = line_chart("Lids", "0 to 1", [Line("commanded", "truth", values)], fps=25.0)
    assert drawn.startswith("<figure") and "nan" not in drawn.lower().replace("nanosecond", "")


def test_curves_lie_where_their_points_are() -> None:
    drawn = curve_chart(
        "PSNR", "dB", [Line("ours", "ours", np.array([20.0, 30.0, 20.0]))], np.array([-30.0, 0, 30]), "°"
    )
    middle, right = re.findall(r"L([\d.]+) ([\d.]+)", drawn)
    left = re.findall(r"M([\d.]+) ([\d.]+)", drawn)[0]
    assert (float(left[0]) + float(right[0])) / 2 == pytest.approx(float(middle[0]), abs=0.1)
    assert left[1] == right[1] > middle[1], "more is higher up"
    assert re.findall(r">(-?\d+°)<", drawn) == ["-30°", "0°", "30°"]
