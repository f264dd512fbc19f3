"""The charts with a shape of their own: the radar over the benchmarks and the funnel of curation.

The radar's outline carries a band from the low to the high end of each interval, so that two outlines that only
seem apart are seen to overlap; benchmarks stand grouped, so in-domain and out-of-domain are two arcs.  The funnel
draws what came in, what stayed and what was dropped on one stated scale, logarithmic where counts span more than
a factor of thirty, with the reasons written beside it.

    svg = radar(report, "en", 460)

What it does not do: the charts with an axis (`charts`), or compute any number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from limo.report.charts import NARROW, alt
from limo.report.content import GROUPS, Arm, Benchmark, Language, Report, Stage
from limo.report.look import arm_colours, canvas, colour, inline, line, marker, panel, write
from limo.report.words import count, plain, reason, say, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIN_SPOKES = 3  # fewer directions than three enclose nothing
_LEFT = 208  # pixels for the stages' names on a wide chart
_SPAN = 30.0  # beyond this factor the last stages of a linear funnel are slivers (our choice)


def spokes(report: Report) -> list[Benchmark]:
    """The scored benchmarks in the order they stand around the radar: in-domain first."""
    scored = {row.benchmark for row in report.scores}
    return [b for group in GROUPS[:2] for b in report.benchmarks if b.group == group and b.name in scored]


def radar(report: Report, language: Language, width: float) -> str:
    """One closed outline for each headline arm over the benchmarks, 0 in the middle and 100 at the rim."""
    axis = spokes(report)
    n = len(axis)
    angles = [math.pi / 2 - 2 * math.pi * k / n for k in range(n)]
    figure = canvas(width, width * 0.92 + 24)
    axes = panel(figure, 0, 0, width, width * 0.92)
    half = 1.42 if width >= 420 else 1.72
    axes.set_xlim(-half, half)
    axes.set_ylim(-half * 0.92, half * 0.92)
    _web(axes, angles)
    _around(axes, axis, angles, language)
    inks = arm_colours(report)
    arms = [arm for arm in report.headline_arms() if all(report.score(arm.name, b.name) for b in axis)]
    for arm in arms:
        _outline(axes, report, arm, axis, angles, inks[arm.name])
    _names(axes, arms, inks, language, half)
    return inline(figure, f"radar-{language}-{width:.0f}", alt("radar", language, n=n))


def _web(axes: Axes, angles: list[float]) -> None:
    circle = [2 * math.pi * k / 120 for k in range(121)]
    for ring in (0.25, 0.5, 0.75, 1.0):
        line(axes, [ring * math.cos(a) for a in circle], [ring * math.sin(a) for a in circle], "line", 1, zorder=0)
    for angle in angles:
        line(axes, [0, math.cos(angle)], [0, math.sin(angle)], "line", 0.8, zorder=0)
    between = angles[0] + math.pi / len(angles)  # the figures of the rings stand between two spokes, clear of both
    for ring in (0.5, 1.0):
        write(axes, ring * math.cos(between), ring * math.sin(between), f"{ring * 100:.0f}", "muted", 10.5, ha="center")


def _around(axes: Axes, axis: list[Benchmark], angles: list[float], language: Language) -> None:
    """The benchmarks' names around the rim and a heavier arc for each group."""
    for benchmark, angle in zip(axis, angles, strict=True):
        x, y = math.cos(angle), math.sin(angle)
        side = "center" if abs(x) < 0.25 else "left" if x > 0 else "right"
        write(axes, 1.11 * x, 1.11 * y, plain(benchmark.label.text(language), 16), "ink", 12, ha=side)
    half = math.pi / len(angles) * 0.86
    for group, ink in (("in-domain", "ink"), ("out-of-domain", "rule")):
        own = [angle for b, angle in zip(axis, angles, strict=True) if b.group == group]
        if own:
            start, end = own[0] + half, own[-1] - half
            arc = [start + (end - start) * k / 80 for k in range(81)]
            line(axes, [1.05 * math.cos(a) for a in arc], [1.05 * math.sin(a) for a in arc], ink, 2.4, zorder=1)


def _outline(axes: Axes, report: Report, arm: Arm, axis: list[Benchmark], angles: list[float], ink: str) -> None:
    rows = [row for b in axis if (row := report.score(arm.name, b.name))]
    ring = [*angles, angles[0]]

    def around(values: list[float]) -> tuple[list[float], list[float]]:
        closed = [*values, values[0]]
        return (
            [v * math.cos(a) for v, a in zip(closed, ring, strict=True)],
            [v * math.sin(a) for v, a in zip(closed, ring, strict=True)],
        )

    (high_x, high_y), (low_x, low_y) = around([row.high for row in rows]), around([row.low for row in rows])
    axes.fill(high_x + low_x[::-1], high_y + low_y[::-1], color=colour(ink), alpha=0.13, linewidth=0, zorder=2)
    xs, ys = around([row.value for row in rows])
    axes.plot(
        xs,
        ys,
        color=colour(ink),
        linewidth=2.2,
        marker=marker(ink),
        markersize=5.5,
        zorder=3,
        markeredgecolor=colour("paper"),
        markeredgewidth=0.8,
        solid_joinstyle="round",
    )


def _names(axes: Axes, arms: list[Arm], inks: dict[str, str], language: Language, half: float) -> None:
    """Arms along the foot with their markers, then what the two arcs mean."""
    for index, arm in enumerate(arms):
        x = (index + 0.5) / len(arms)
        axes.plot(
            [x],
            [0.005],
            marker(inks[arm.name]),
            color=colour(inks[arm.name]),
            markersize=7,
            transform=axes.transAxes,
            clip_on=False,
        )
        write(axes, x, 0.005, arm.label.text(language), "ink", 12, xycoords="axes fraction", dx=9)
    for corner, side, group, ink in ((1, "right", "in-domain", "ink"), (0, "left", "out-of-domain", "rule")):
        inward = -36 if corner else 36
        write(axes, corner, 0.985, say(group, language), "muted", 11.5, xycoords="axes fraction", ha=side, dx=inward)
        edge = half if corner else -half
        short = 0.16 * half / 1.62
        line(axes, [edge, edge - short if corner else edge + short], [half * 0.885] * 2, ink, 2.4)


def funnel(report: Report, language: Language, width: float) -> str:
    """Stages downwards: the solid bar is what was kept, the pale one what came in, the reasons beside it."""
    stages, narrow = report.funnel, width < NARROW
    counts = [n for stage in stages for n in (stage.n_in, stage.n_kept)]
    top, least = max([1, *counts]), max(1, min([n for n in counts if n] or [1]))
    logarithmic = top / least > _SPAN
    height = 78 if narrow else 66
    left = 0 if narrow else _LEFT
    figure = canvas(width, len(stages) * height + 40)
    axes = panel(figure, left, 0, width - left - (104 if narrow else 118), len(stages) * height)
    start = 10 ** math.floor(math.log10(least)) if logarithmic else 0
    axes.set_xlim(0, 1)
    axes.set_ylim(len(stages) - 0.5, -0.5)

    def place(n: float) -> float:
        if not logarithmic:
            return n / top
        return max(0.0, math.log(max(n, start) / start) / math.log(top / start))

    _funnel_axis(axes, len(stages), (start, top, logarithmic), place, language)
    for row, stage in enumerate(stages):
        _stage(axes, row, stage, (place(stage.n_in), place(stage.n_kept)), (language, narrow))
    return inline(figure, f"funnel-{language}-{width:.0f}", alt("funnel", language))


def _funnel_axis(axes: Axes, n_rows: int, ends: tuple[float, float, bool], place: object, language: Language) -> None:
    start, top, logarithmic = ends
    powers = range(round(math.log10(start)) if logarithmic else 0, math.ceil(math.log10(top)) + 1)
    ticks = [10.0**k for k in powers if 10.0**k <= top] if logarithmic else [0, top / 2, top]
    for tick in ticks:
        x = place(tick)  # type: ignore[operator]
        line(axes, [x, x], [-0.5, n_rows - 0.5], "line", zorder=0)
        write(axes, x, n_rows - 0.5, short_count(tick), "muted", 11, ha="center", dy=-11)
    name = say("log_axis" if logarithmic else "count_axis", language)
    write(axes, 0.5, n_rows - 0.5, name, "muted", 11.5, ha="center", dy=-28)


def _stage(axes: Axes, row: int, stage: Stage, ends: tuple[float, float], how: tuple[Language, bool]) -> None:
    language, narrow = how
    came, stayed = ends
    bar = row + (0.05 if narrow else -0.12)
    axes.barh([bar], [came], height=0.36, color=colour("line"), zorder=1)
    axes.barh([bar], [stayed], height=0.36, color=colour("limo"), zorder=2)
    write(axes, came, bar, count(stage.n_kept), "ink", 14, dx=9, dy=7, weight="bold", zorder=3)
    write(
        axes,
        came,
        bar,
        say("of_n", language, n=count(stage.n_in), unit=say(f"unit_{stage.unit}", language)),
        "muted",
        11,
        dx=9,
        dy=-8,
        zorder=3,
    )
    label = stage.label.text(language)
    if narrow:
        write(axes, 0, row - 0.28, plain(label, 44), "ink", 12.5, weight="bold")
    else:
        write(axes, 0, bar, plain(label, 30), "ink", 13, dx=-_LEFT, weight="bold")
    write(
        axes,
        0,
        row + (0.37 if narrow else 0.26),
        plain(why(stage, language), 54 if narrow else 84),
        "brick" if stage.n_unexplained else "muted",
        11.5,
        zorder=3,
    )


def why(stage: Stage, language: Language) -> str:
    """The drops of a stage in one line, largest first: "−16,553 already solved · −12 malformed row"."""
    drops = sorted(stage.dropped.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"−{count(n)} {reason(text).text(language)}" for text, n in drops if n]
    if stage.n_unexplained:
        parts.insert(0, f"{count(stage.n_unexplained)} {say('unexplained', language)}")
    return " · ".join(parts)
