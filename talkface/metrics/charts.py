"""Line charts as inline SVG: no script, no fonts, no files; colours come from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

_WIDTH, _HEIGHT = 960, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 30


@dataclass(frozen=True)
class Line:
    """One curve: what it is called, which colour class of the page it wears, its values (NaN = gap)."""

    label: str
    colour: str
    values: Float[np.ndarray, " frames"]


def line_chart(title: str, unit: str, lines: Sequence[Line], fps: float, bands: Sequence[tuple[int, int]] = ()) -> str:
    """A chart over time in seconds, with its legend, as a `<figure>`.

    Args:
        title: What is shown, one short sentence.
        unit: Of the values; empty for ratios.
        bands: Frame ranges (start, stop) shaded behind the curves, such as commanded blinks.
    """
    frames = max((len(line.values) for line in lines), default=1)
    seconds = (frames - 1) / fps
    facts = f' data-seconds="{seconds:.3f}" data-left="{_LEFT / _WIDTH:.4f}" data-right="{_RIGHT / _WIDTH:.4f}"'
    ticks = [(second * fps, f"{second:g} s") for second in _ticks(0.0, seconds)]
    shaded = [(float(start), float(stop)) for start, stop in bands]
    return _chart(title, unit, lines, np.arange(float(frames)), ticks, shaded, facts)


def curve_chart(title: str, unit: str, lines: Sequence[Line], at: Float[np.ndarray, " points"], at_unit: str) -> str:
    """A chart over any ascending quantity, one value of every line at each of its points."""
    ticks = [(float(value), f"{value:g}{at_unit}") for value in at]
    return _chart(title, unit, lines, at, ticks)


def _chart(
    title: str,
    unit: str,
    lines: Sequence[Line],
    at: Float[np.ndarray, " points"],
    labels: Sequence[tuple[float, str]],
    bands: Sequence[tuple[float, float]] = (),
    facts: str = "",
) -> str:
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines] or [np.zeros(0)])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if high - low < 1e-9:  # a flat line lies in the middle
        low, high = low - 0.5, high + 0.5
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def x(place: float | int) -> float:
        return float(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (place - at[0]) / max(at[-1] - at[0], 1e-9))

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    parts = [
        f'<rect class="band" x="{x(a):.1f}" y="{_TOP}" width="{max(x(b) - x(a), 2):.1f}" '
        f'height="{_HEIGHT - _TOP - _BOTTOM}"/>'
        for a, b in bands
    ]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for place, label in labels:
        parts.append(f'<text x="{x(place):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>')
    for line in lines:
        parts.append(f'<path class="curve {line.colour}" d="{_path(line.values, at, x, y)}"/>')
    legend = "".join(f'<li><i class="{line.colour}"></i>{escape(line.label)}</li>' for line in lines)
    unit = f" <small>{escape(unit)}</small>" if unit else ""
    return (
        f'<figure class="chart"><figcaption>{escape(title)}{unit}<ul>{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"{facts}>'
        f"{''.join(parts)}</svg></figure>"
    )


def _path(values: Float[np.ndarray, " frames"], at: np.ndarray, x, y) -> str:  # type: ignore[no-untyped-def]
    """Straight pieces between neighbouring known values; a lone value becomes a dot."""
    pieces, pen_down = [], False
    for place, value in zip(at.tolist(), values, strict=False):
        if np.isfinite(value):
            pieces.append(f"{'L' if pen_down else 'M'}{x(place):.1f} {y(value):.1f}{'' if pen_down else 'h.1'}")
        pen_down = bool(np.isfinite(value))
    return "".join(pieces)


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover the range in steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-6)
    power = 10.0 ** np.floor(np.log10(span / about))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= about)
    first, last = np.floor(low / step + 1e-9), np.floor(high / step + 1e-9)
    return [float(np.round(k * step, 10)) for k in np.arange(first, last + 1)]
