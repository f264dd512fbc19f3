"""Charts of a section's own numbers: lines over a linear or logarithmic axis, and bars by category."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from limo.report.charts.drawing import (
    COLORS,
    MARKERS,
    NARROW,
    Drawing,
    add_legend,
    add_line,
    add_panel,
    add_text,
    legend_height,
    new_figure,
    placeholder,
)
from limo.report.content import ChartRow, Language, SeriesRow
from limo.report.words import one_line, short_count, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("limo", "bulk", "base", "green", "purple", "gold", "teal", "brick")
_MOST_MARKERS = 40  # points of a line that still have one each
_LONG_LABEL = 7  # characters of a category; longer ones stand beside horizontal bars
_MOST_TICKS = 9  # values of a logarithmic axis that are all written
_HEIGHT, _LEFT = 230, 50


def draw_chart(chart: ChartRow, key: str, language: Language, width: float) -> Drawing:
    """The chart at a width in CSS pixels; `key` names the drawing."""
    own = [row.color if row.color in COLORS else "" for row in chart.series]
    free = cycle([name for name in _COLORS if name not in own] or _COLORS)
    colors = [name or next(free) for name in own]
    labels = [one_line(label.text(language), 40) for label in chart.categories]
    is_long = len(labels) > 12 or any(len(label) > _LONG_LABEL for label in labels)
    alt = f"{chart.title.text(language)}. {word('alt_after', language)}"
    if chart.kind == "bars" and is_long and len(labels) <= 40:
        return Drawing(_beside(chart, labels, colors, language, width), key, alt)
    names = _names(chart, labels, language)
    above = legend_height(names, width - _LEFT)
    figure = new_figure(width, _HEIGHT + 106 + above)
    axes = add_panel(figure, _LEFT, 54 + above, width - _LEFT - 22, _HEIGHT)
    _set_scales(axes, chart, len(labels), language)
    for number, (row, color) in enumerate(zip(chart.series, colors, strict=True)):
        if chart.kind == "lines":
            _add_series(axes, row, color)
        else:
            _add_columns(axes, row, color, number, _n_abreast(chart), chart.percent)
    step = max(1, round(len(labels) * 46 / (width - _LEFT)))
    for position, label in list(enumerate(labels))[::step]:
        add_text(axes, position, 0, label, "ink", 12, ha="center", dy=-14, xycoords=("data", "axes fraction"))
    if names:
        add_legend(axes, names, colors, _HEIGHT + 40, width - _LEFT)
    return Drawing(figure, key, alt)


def _names(chart: ChartRow, labels: list[str], language: Language) -> list[str]:
    """The names of a legend: of several series, unless each is the name of its own category."""
    names = [one_line(row.label.text(language), 28) for row in chart.series]
    return names if len(names) > 1 and not set(names) <= set(labels) else []


def _n_abreast(chart: ChartRow) -> int:
    """How many bars stand side by side: 1 where no category has bars of two series."""
    xs = [x for row in chart.series for x in row.x]
    return len(chart.series) if len(set(xs)) < len(xs) else 1


def _ends(chart: ChartRow) -> tuple[float, float]:
    """The ends of the value axis: 0 to 1 for shares, else from 0 (or the lowest value) to a little over the highest."""
    values = [value for row in chart.series for column in (row.y, row.low, row.high) for value in column]
    if chart.percent and all(0 <= value <= 1 for value in values):
        return 0.0, 1.0
    low, high = min([0.0, *values]), max([0.0, *values])
    return low, (high + 0.06 * (high - low)) if high > low else low + 1.0


def _number(value: float, percent: bool) -> str:
    """A number of an axis; those at bars have as many digits each."""
    if percent:
        return f"{value * 100:.1f}".removesuffix(".0")
    return short_count(value) if abs(value) >= 1000 else f"{value:.3g}"


def _bar_number(value: float, percent: bool) -> str:
    return f"{value * 100:.1f}" if percent else _number(value, percent)


def _set_scales(axes: Axes, chart: ChartRow, n_categories: int, language: Language) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator

    low, high = _ends(chart)
    axes.set_ylim(low, high)
    xs = [x for row in chart.series for x in row.x] or [0.0]
    left, right = (-0.5, n_categories - 0.5) if n_categories else (min(xs), max(xs))
    if chart.log_x and left > 0:
        axes.set_xscale("log")
    axes.set_xlim(left, right if right > left else left + 1)
    axes.set_axis_off()  # a change of scale turns it on
    at = {"xycoords": ("axes fraction", "data")}
    for tick in MaxNLocator(5).tick_values(low, high):
        if low <= tick <= high:
            axes.axhline(tick, color=placeholder("line"), linewidth=1, zorder=0)
            add_text(axes, 0, tick, _number(tick, chart.percent), "muted", 11, ha="right", dx=-8, **at)
    fraction = {"xycoords": "axes fraction"}
    unit = " (%)" if chart.percent else ""
    add_text(axes, 0, 1, chart.y_label.text(language) + unit, "muted", 11.5, dx=-_LEFT, dy=20, **fraction)
    add_text(axes, 0.5, 0, chart.x_label.text(language), "muted", 11.5, ha="center", dy=-34, **fraction)
    subs = (1.0,) if right > 100 * left else (1.0, 2.0, 5.0)
    is_whole = right - left >= 4 or all(float(x).is_integer() for one in chart.series for x in one.x)
    is_log = chart.log_x and left > 0
    locator = LogLocator(subs=subs, numticks=8) if is_log else MaxNLocator(6, integer=is_whole)
    own = sorted(set(xs)) if is_log and is_whole and len(set(xs)) <= _MOST_TICKS else locator.tick_values(left, right)
    for tick in () if n_categories else own:
        if left <= tick <= right:
            below = ("data", "axes fraction")
            add_text(axes, tick, 0, _number(tick, False), "muted", 11, ha="center", dy=-14, xycoords=below)


def _add_series(axes: Axes, row: SeriesRow, color: str) -> None:
    if row.low:
        axes.fill_between(row.x, row.low, row.high, color=placeholder(color), alpha=0.15, linewidth=0, zorder=2)
    shape = MARKERS.get(color, "o") if len(row.x) <= _MOST_MARKERS else ""
    add_line(axes, row.x, row.y, color, 2, zorder=3, marker=shape, markersize=5)


def _add_columns(axes: Axes, row: SeriesRow, color: str, number: int, n: int, percent: bool) -> None:
    each = 0.78 / n
    shift = (number - (n - 1) / 2) * each if n > 1 else 0.0
    xs = [x + shift for x in row.x]
    axes.bar(xs, row.y, width=each * 0.92, color=placeholder(color), zorder=2)
    for x, low, high in zip(xs, row.low, row.high, strict=bool(row.low)):
        add_line(axes, [x, x], [low, high], "ink", 1.3, zorder=3)
    tops = row.high or row.y
    for x, top, value in zip(xs, tops, row.y, strict=True) if n * len(xs) <= 40 else ():
        if not value:
            continue
        add_text(axes, x, max(top, 0), _bar_number(value, percent), "ink", 11, ha="center", dy=9, zorder=4)


def _beside(chart: ChartRow, labels: list[str], colors: list[str], language: Language, width: float) -> Figure:
    """Horizontal bars with the categories' names beside or, on a phone, above them."""
    narrow, n = width < NARROW, _n_abreast(chart)
    left, row_height = (6, 28 + 17 * n) if narrow else (200, 10 + 20 * n)
    names = _names(chart, labels, language)
    top = 54 + legend_height(names, width - left) if names else 6
    figure = new_figure(width, len(labels) * row_height + top + 22)
    axes = add_panel(figure, left, top, width - left - 60, len(labels) * row_height)
    low, high = _ends(chart)
    axes.set_xlim(low, high)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    add_line(axes, [0, 0], [-0.5, len(labels) - 0.5], "rule", 1, zorder=1)
    edge = {"xycoords": ("axes fraction", "data")}
    for position, label in enumerate(labels):
        at, dx = (position - 0.5, 4) if narrow else (position, -left)
        add_text(axes, 0, at, label, "ink", 12.5, dx=dx, dy=-10 if narrow else 0, **edge)
    each, center = (17 / row_height, (19 + 8.5 * n) / row_height - 0.5) if narrow else (0.8 / n, 0.0)
    for number, (row, color) in enumerate(zip(chart.series, colors, strict=True)):
        shift = center + ((number - (n - 1) / 2) * each if n > 1 else 0.0)
        ys = [x + shift for x in row.x]
        axes.barh(ys, row.y, height=each * 0.85, color=placeholder(color), zorder=2)
        for index, (y, value) in enumerate(zip(ys, row.y, strict=True)):
            end = row.high[index] if row.high else value
            if row.low:
                add_line(axes, [row.low[index], end], [y, y], "ink", 1.2, zorder=3)
            add_text(axes, max(end, 0), y, _bar_number(value, chart.percent), "ink", 12, dx=6, zorder=4)
    unit = " (%)" if chart.percent else ""
    below = {"xycoords": "axes fraction", "dx": -left}
    add_text(axes, 0, 0, chart.y_label.text(language) + unit, "muted", 11.5, dy=-14, **below)
    add_legend(axes, names, colors[: len(names)], len(labels) * row_height + 40, width - left)
    return figure
