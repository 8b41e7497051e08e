"""Curves that have nothing to show still draw."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.metrics.charts import Line, line_chart


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, np.nan), np.array([1.0]), np.array([0.0, np.nan, 2.0])])
def test_any_curve_draws(values: np.ndarray) -> None:
    drawn = line_chart("Lids", "0 to 1", [Line("commanded", "truth", values)], fps=25.0)
    assert drawn.startswith("<figure") and "nan" not in drawn.lower().replace("nanosecond", "")
