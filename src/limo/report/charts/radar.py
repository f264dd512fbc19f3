"""The radar: one outline for each arm over the benchmarks, with a band over the intervals.

In-domain and out-of-domain benchmarks stand together, so each group is one arc of the rim.

    svg = draw_radar(report, "en", 460)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from limo.report.charts.drawing import (
    MARKERS,
    add_legend,
    add_line,
    add_panel,
    add_text,
    alt_text,
    arm_colors,
    new_figure,
    placeholder,
    to_svg,
)
from limo.report.content import BENCHMARK_GROUPS, ArmRow, BenchmarkRow, Language, Report
from limo.report.words import one_line, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIN_BENCHMARKS = 3  # fewer directions enclose nothing
_GROUP_COLORS = {"in-domain": "ink", "out-of-domain": "rule"}


def radar_benchmarks(report: Report) -> list[BenchmarkRow]:
    """The scored benchmarks in the order they stand around the radar: in-domain first."""
    scored = {row.benchmark for row in report.scores}
    return [b for group in BENCHMARK_GROUPS[:2] for b in report.benchmarks if b.group == group and b.name in scored]


def radar_arms(report: Report) -> list[ArmRow]:
    """The headline arms with a score on every benchmark of the radar."""
    benchmarks = radar_benchmarks(report)
    return [arm for arm in report.headline_arms() if all(report.score(arm.name, b.name) for b in benchmarks)]


def has_radar(report: Report) -> bool:
    """Whether a radar can be drawn: enough benchmarks, and an arm that was scored on all of them."""
    return len(radar_benchmarks(report)) >= MIN_BENCHMARKS and bool(radar_arms(report))


def draw_radar(report: Report, language: Language, width: float) -> str:
    """One closed outline for each headline arm over the benchmarks, 0 in the middle and 100 at the rim."""
    benchmarks, arms, colors = radar_benchmarks(report), radar_arms(report), arm_colors(report)
    n = len(benchmarks)
    angles = [math.pi / 2 - 2 * math.pi * k / n for k in range(n)]
    figure = new_figure(width, width * 0.92 + 24)
    axes = add_panel(figure, 0, 0, width, width * 0.92)
    half = 1.42 if width >= 420 else 1.72  # data units from the middle to the edge of the drawing
    axes.set_xlim(-half, half)
    axes.set_ylim(-half * 0.92, half * 0.92)
    _add_grid(axes, angles)
    _add_benchmark_names(axes, benchmarks, angles, language)
    for arm in arms:
        _add_outline(axes, report, arm, benchmarks, angles, colors[arm.name])
    add_legend(axes, arms, colors, language, y=0.005, start=0.5)
    for side, corner, inward, group in (("right", 1, -1, "in-domain"), ("left", 0, 1, "out-of-domain")):
        at = {"xycoords": "axes fraction", "ha": side, "dx": 36 * inward}
        add_text(axes, corner, 0.985, word(group, language), "muted", 11.5, **at)
        edge = -inward * half
        add_line(axes, [edge, edge + inward * 0.16 * half / 1.62], [half * 0.885] * 2, _GROUP_COLORS[group], 2.4)
    return to_svg(figure, f"radar-{language}-{width:.0f}", alt_text("radar", language, n=n))


def _points(radii: list[float], angles: list[float]) -> tuple[list[float], list[float]]:
    """x and y of points in polar coordinates."""
    pairs = list(zip(radii, angles, strict=True))
    return [radius * math.cos(angle) for radius, angle in pairs], [radius * math.sin(angle) for radius, angle in pairs]


def _add_grid(axes: Axes, angles: list[float]) -> None:
    circle = [2 * math.pi * k / 120 for k in range(121)]
    for ring in (0.25, 0.5, 0.75, 1.0):
        add_line(axes, *_points([ring] * len(circle), circle), "line", 1, zorder=0)
    for angle in angles:
        add_line(axes, *_points([0, 1], [angle, angle]), "line", 0.8, zorder=0)
    between = angles[0] + math.pi / len(angles)  # the figures of the rings stand between two spokes, clear of both
    for ring in (0.5, 1.0):
        x, y = ring * math.cos(between), ring * math.sin(between)
        add_text(axes, x, y, f"{ring * 100:.0f}", "muted", 10.5, ha="center")


def _add_benchmark_names(axes: Axes, benchmarks: list[BenchmarkRow], angles: list[float], language: Language) -> None:
    """The benchmarks' names around the rim and a heavier arc for each group."""
    for benchmark, angle in zip(benchmarks, angles, strict=True):
        x, y = math.cos(angle), math.sin(angle)
        side = "center" if abs(x) < 0.25 else "left" if x > 0 else "right"
        add_text(axes, 1.11 * x, 1.11 * y, one_line(benchmark.label.text(language), 16), "ink", 12, ha=side)
    half_step = math.pi / len(angles) * 0.86
    for group, color in _GROUP_COLORS.items():
        of_group = [angle for b, angle in zip(benchmarks, angles, strict=True) if b.group == group]
        if of_group:
            start, end = of_group[0] + half_step, of_group[-1] - half_step
            arc = [start + (end - start) * k / 80 for k in range(81)]
            add_line(axes, *_points([1.05] * len(arc), arc), color, 2.4, zorder=1)


def _add_outline(
    axes: Axes, report: Report, arm: ArmRow, benchmarks: list[BenchmarkRow], angles: list[float], color: str
) -> None:
    """The arm's scores as a closed line with markers, over a band from the low to the high ends of the intervals."""
    scores = [row for b in benchmarks if (row := report.score(arm.name, b.name))]
    scores, angles = [*scores, scores[0]], [*angles, angles[0]]
    high_x, high_y = _points([row.high for row in scores], angles)
    low_x, low_y = _points([row.low for row in scores], angles)
    band = {"color": placeholder(color), "alpha": 0.13, "linewidth": 0, "zorder": 2}
    axes.fill(high_x + low_x[::-1], high_y + low_y[::-1], **band)
    mark: dict[str, Any] = {"marker": MARKERS.get(color, "o"), "markersize": 5.5}
    mark |= {"markeredgecolor": placeholder("paper"), "markeredgewidth": 0.8}
    xs, ys = _points([row.value for row in scores], angles)
    axes.plot(xs, ys, color=placeholder(color), linewidth=2.2, solid_joinstyle="round", zorder=3, **mark)
