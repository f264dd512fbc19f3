"""The charts of scores: averages by arm, scores by benchmark, differences, levels, ours beside the paper's, the radar.

Each is drawn for a width in CSS pixels: below `NARROW` labels stand above their rows, so a phone gets a chart of its
own.  Values stand beside their marks, intervals are drawn everywhere, and scores always run from 0 to 100.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from limo.report.charts.drawing import (
    MARKERS,
    NARROW,
    Drawing,
    add_interval,
    add_legend,
    add_line,
    add_marker,
    add_panel,
    add_text,
    alt_text,
    arm_colors,
    legend_height,
    new_figure,
    placeholder,
)
from limo.report.content import BENCHMARK_GROUPS, ArmRow, BenchmarkGroup, BenchmarkRow, ComparisonRow, Language, Report
from limo.report.words import benchmark_group, count, one_line, points, shared_benchmarks, short_count, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Chart = Callable[[Report, Language, float], Drawing]
_GROUP_ORDER: tuple[BenchmarkGroup, ...] = ("all", "in-domain", "out-of-domain")
MIN_BENCHMARKS = 3  # fewer directions enclose nothing
_GROUP_COLORS = {"in-domain": "ink", "out-of-domain": "rule"}
_LONGEST = 34  # characters of an arm's name beside a chart
_PITCH = 10  # pixels from one arm's mark to the next
_LEFT = 160  # pixels for names left of a wide chart; they start where the page's text starts


def _left_of(report: Report, language: Language) -> int:
    """Pixels for the names of arms left of a wide chart."""
    longest = max((len(one_line(arm.label.text(language), _LONGEST)) for arm in report.headline_arms()), default=0)
    return max(_LEFT, round(7.4 * longest))


def set_scale(
    axes: Axes,
    n_rows: float,
    ends: tuple[float, float] = (0, 1),
    ticks: tuple[float, ...] = (0, 0.5, 1),
    show: bool = True,
) -> None:
    """Rows 0, 1, ... downwards; faint vertical lines at the ticks with their percent below."""
    axes.set_xlim(*ends)
    axes.set_ylim(n_rows - 0.5, -0.5)
    for tick in ticks:
        add_line(axes, [tick, tick], [-0.5, n_rows - 0.5], "line", zorder=0)
        if show:
            add_text(axes, tick, n_rows - 0.5, f"{tick * 100:.0f}", "muted", 11, ha="center", dy=-12)


def add_bar(axes: Axes, y: float, value: float, color: str, ends: tuple[float, float], height: float = 0.46) -> None:
    """A horizontal bar with its interval; the value stands beyond the interval, or inside a full bar."""
    low, high = ends
    axes.barh([y], [value], height=height, color=placeholder(color), zorder=2)
    add_interval(axes, ends, y, "ink", 1.2, cap=0.09, zorder=3)
    if high < 0.86:
        add_text(axes, high, y, points(value), "ink", 14, dx=7, weight="bold", zorder=4)
    else:
        add_text(axes, low, y, points(value), "paper", 14, dx=-7, weight="bold", ha="right", zorder=4)


def draw_averages(report: Report, language: Language, width: float) -> Drawing:
    """Arms down the side, one panel for each group: bars with intervals, a reference line at the first arm."""
    arms = [arm for arm in report.headline_arms() if any(row.arm == arm.name for row in report.averages)]
    groups = [group for group in _GROUP_ORDER if any(report.average(arm.name, group) for arm in arms)]
    narrow = width < NARROW
    row_height, left, gap, head = (54, 0, 0, 30) if narrow else (50, _left_of(report, language), 26, 34)
    height = len(arms) * row_height
    figure = new_figure(width, (height + head + 22) * (len(groups) if narrow else 1) + 8)
    each = width - 34 if narrow else (width - left - gap * (len(groups) - 1) - 8) / len(groups)
    for index, group in enumerate(groups):
        top = head + (index * (height + head + 22) if narrow else 0)
        axes = add_panel(figure, left if narrow else left + index * (each + gap), top, each, height)
        set_scale(axes, len(arms))
        title, fraction = group_name(report, group, language), "axes fraction"
        add_text(axes, 0, 0, title, "ink", 13, xycoords=fraction, dy=height + 16, weight="bold")
        _add_average_bars(axes, report, arms, group, narrow)
        if narrow or index == 0:
            _add_arm_labels(axes, arms, language, left, report.is_trained)
    return Drawing(figure, f"averages-{language}-{width:.0f}", alt_text("headline", language))


def group_name(report: Report, group: BenchmarkGroup, language: Language) -> str:
    """The group's name; of all benchmarks the one that there is, or how many they are, or how many the arms share."""
    if group != "all" or not report.benchmarks:
        return word(group, language)
    if len(report.benchmarks) == 1:
        return report.benchmarks[0].label.text(language)
    n, n_shared = len(report.benchmarks), len(shared_benchmarks(report, [row.arm for row in report.averages]))
    return word("shared_benchmarks" if 0 < n_shared < n else "all_benchmarks", language, n=n_shared or n)


def _add_average_bars(axes: Axes, report: Report, arms: list[ArmRow], group: BenchmarkGroup, narrow: bool) -> None:
    colors = arm_colors(report)
    reference = report.average(arms[0].name, group)
    if reference:
        add_line(axes, [reference.value] * 2, [-0.5, len(arms) - 0.5], "rule", 1, linestyle=(0, (2, 3)), zorder=1)
    for row, arm in enumerate(arms):
        average = report.average(arm.name, group)
        if average:
            y, height = (row + 0.16, 0.4) if narrow else (row, 0.46)
            add_bar(axes, y, average.value, colors[arm.name], (average.low, average.high), height)


def _add_arm_labels(axes: Axes, arms: list[ArmRow], language: Language, left: int, is_trained: bool) -> None:
    """The names beside the rows, or above them where there is no room on the left."""
    for row, arm in enumerate(arms):
        label = one_line(arm.label.text(language), _LONGEST)
        if not left:
            add_text(axes, 0, row - 0.26, label, "ink", 12)
            continue
        add_text(axes, 0, row - (0.13 if is_trained else 0), label, "ink", 13.5, dx=-left, weight="bold")
        if is_trained:
            trained = "examples_n" if arm.n_examples else "untrained"
            add_text(axes, 0, row + 0.22, word(trained, language, n=count(arm.n_examples)), "muted", 11.5, dx=-left)


def draw_scores(report: Report, language: Language, width: float) -> Drawing:
    """Benchmarks down the side in their groups; each headline arm a marker with its interval."""
    arms = [arm for arm in report.headline_arms() if any(row.arm == arm.name for row in report.scores)]
    narrow = width < NARROW
    rows: list[tuple[str, str]] = []  # benchmark ("" for the heading of a group) and what to show
    for group in BENCHMARK_GROUPS:
        members = [(b.name, b.label.text(language)) for b in report.benchmarks if b.group == group]
        is_part = 0 < len(members) < len(report.benchmarks)
        rows += [("", benchmark_group(group, language)), *members] if is_part else members
    left, above_marks, row_height = (6, 22, 28 + _PITCH * len(arms)) if narrow else (_LEFT, 8, 16 + _PITCH * len(arms))
    height = len(rows) * row_height
    names, colors = [one_line(arm.label.text(language), 28) for arm in arms], arm_colors(report)
    above = legend_height(names, width - left)
    figure = new_figure(width, height + 52 + above)
    axes = add_panel(figure, left, 30 + above, width - left - 16, height)
    set_scale(axes, len(rows), ticks=(0, 0.25, 0.5, 0.75, 1))
    for row, (benchmark, label) in enumerate(rows):
        _add_benchmark_label(axes, row, benchmark, label, 11 / row_height if narrow else 0)
        for index, arm in enumerate(arms):
            score = report.score(arm.name, benchmark)
            y = row - 0.5 + (above_marks + (index + 0.5) * _PITCH) / row_height
            if score:
                add_interval(axes, (score.low, score.high), y, colors[arm.name], 2, alpha=0.55)
                edge: dict[str, Any] = {"markeredgecolor": placeholder("paper"), "markeredgewidth": 1}
                add_marker(axes, score.value, y, colors[arm.name], 8.5, zorder=4, **edge)
    add_legend(axes, names, [colors[arm.name] for arm in arms], height + 15, width - left)
    return Drawing(figure, f"dots-{language}-{width:.0f}", alt_text("dots", language))


def _add_benchmark_label(axes: Axes, row: int, benchmark: str, label: str, below_top: float) -> None:
    """A benchmark's name beside its row, or that far below its top, over a rule; a group's name as a heading."""
    add_line(axes, [0, 1], [row + 0.5] * 2, "line", 0.7, zorder=0)
    if not benchmark:
        add_text(axes, 0, row + 0.26, label, "muted", 11.5, weight="bold", dx=0 if below_top else -_LEFT)
    elif below_top:
        add_text(axes, 0, row - 0.5 + below_top, label, "ink", 12)
    else:
        add_text(axes, 0, row, label, "ink", 13, dx=-_LEFT)


def draw_comparisons(report: Report, language: Language, width: float) -> Drawing:
    """Paired differences under their groups, an interval each, around the line of no difference."""
    rows: list[tuple[str, int]] = []  # the heading of a group and -1, or "" and the index of a comparison
    for group in _GROUP_ORDER:
        members = [("", index) for index, row in enumerate(report.comparisons) if row.group == group]
        rows += [(group_name(report, group, language), -1), *members] if members else []
    names = [_pair_name(report, row, language) for row in report.comparisons]
    narrow = width < NARROW or max(map(len, names), default=0) > _LONGEST
    left, right, row_height = (8, 8, 52) if narrow else (_LEFT + 56, 152, 34)
    figure = new_figure(width, len(rows) * row_height + 56)
    axes = add_panel(figure, left, 6, width - left - right, len(rows) * row_height)
    low = min(0.0, *(row.low for row in report.comparisons))
    high = max(0.0, *(row.high for row in report.comparisons))
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if (high - low) / s <= (4 if narrow else 7))
    ticks = tuple(step * n for n in range(int(low / step) - 1, int(high / step) + 2))
    set_scale(axes, len(rows), (ticks[0], ticks[-1]), ticks, show=False)
    for tick in ticks:
        text = points(tick, True).removesuffix(".0")
        add_text(axes, tick, len(rows) - 0.5, text, "muted", 11, ha="center", dy=-12)
    add_line(axes, [0, 0], [-0.5, len(rows) - 0.5], "ink", 1.2, zorder=1)
    title, edge = word("difference_axis", language), ("axes fraction", "data")
    add_text(axes, 0.5, 0, title, "muted", 11.5, xycoords="axes fraction", ha="center", dy=-30)
    for y, (heading, index) in enumerate(rows):
        if index < 0:
            dx = 0 if narrow else -left
            add_text(axes, 0, y + 0.15, heading, "muted", 11.5, xycoords=edge, weight="bold", dx=dx)
        else:
            _add_difference(axes, y, report, index, language, narrow)
    return Drawing(figure, f"forest-{language}-{width:.0f}", alt_text("forest", language))


def _pair_name(report: Report, pair: ComparisonRow, language: Language) -> str:
    return f"{report.arm(pair.a).label.text(language)} − {report.arm(pair.b).label.text(language)}"


def _add_difference(axes: Axes, row: int, report: Report, index: int, language: Language, narrow: bool) -> None:
    """One comparison: filled and coloured when separable, hollow and grey when not."""
    pair = report.comparisons[index]
    color = arm_colors(report)[pair.a] if pair.separable else "muted"
    y = row + (0.2 if narrow else 0)
    add_interval(axes, (pair.low, pair.high), y, color, 2, cap=0.1)
    face = placeholder(color if pair.separable else "paper")
    add_marker(axes, pair.difference, y, color, 8, zorder=5, markerfacecolor=face, markeredgewidth=1.6)
    name = _pair_name(report, pair, language)
    value, verdict = points(pair.difference, True), f"[{points(pair.low, True)}, {points(pair.high, True)}]"
    if not pair.separable:
        verdict = word("not_separable", language)
    edge = ("axes fraction", "data")
    if narrow:
        room = round(axes.get_window_extent().width - 140) // 7  # beside the figures on the right
        add_text(axes, 0, row - 0.18, one_line(name, max(16, room)), "ink", 12, xycoords=edge)
        add_text(axes, 1, row - 0.18, f"{value}  {verdict}", color, 11.5, xycoords=edge, ha="right")
    else:
        add_text(axes, 0, row, name, "ink", 13, xycoords=edge, dx=-_LEFT - 56)
        add_text(axes, 1, row, value, color, 13, xycoords=edge, dx=50, ha="right", weight="bold")
        add_text(axes, 1, row, verdict, "muted", 12, xycoords=edge, dx=58)


def draw_levels(report: Report, language: Language, width: float) -> Drawing:
    """L1..L5: score bars upwards with intervals, below them the tokens written on the same columns."""
    figure = new_figure(width, 384)
    top, low = add_panel(figure, 34, 26, width - 44, 224), add_panel(figure, 34, 282, width - 44, 66)
    n, most = len(report.levels), max([row.n_tokens_mean for row in report.levels] + [1])
    for axes, ends in ((top, (0, 1)), (low, (most * 1.05, 0))):
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(*ends)
    for tick in (0, 0.25, 0.5, 0.75, 1):
        add_line(top, [-0.5, n - 0.5], [tick, tick], "line", zorder=0)
        add_text(top, -0.5, tick, f"{tick * 100:.0f}", "muted", 11, ha="right", dx=-8)
    fraction = {"xycoords": "axes fraction", "dx": -34}
    add_text(top, 0, 1, word("score_axis", language), "muted", 11.5, dy=16, **fraction)
    add_text(low, 0, 0, word("tokens_axis", language), "muted", 11.5, dy=-26, **fraction)
    for column, row in enumerate(report.levels):
        top.bar([column], [row.value], width=0.62, color=placeholder(row.level), zorder=2)
        add_line(top, [column, column], [row.low, row.high], "ink", 1.3, zorder=3)
        for end in (row.low, row.high):
            add_line(top, [column - 0.07, column + 0.07], [end, end], "ink", 1.3, zorder=3)
        add_text(top, column, row.high, points(row.value), "ink", 14, ha="center", dy=11, weight="bold")
        add_text(top, column, 0, row.level, "ink", 13, ha="center", dy=-16, weight="bold")
        low.bar([column], [row.n_tokens_mean], width=0.62, color=placeholder("line"), zorder=2)
        add_text(low, column, row.n_tokens_mean, short_count(row.n_tokens_mean), "ink", 12, ha="center", dy=-10)
    return Drawing(figure, f"levels-{language}-{width:.0f}", alt_text("levels", language))


def radar_benchmarks(report: Report) -> list[BenchmarkRow]:
    """The scored benchmarks in the order they stand around the radar, so that each group is one arc of the rim."""
    scored = {row.benchmark for row in report.scores}
    return [b for group in BENCHMARK_GROUPS for b in report.benchmarks if b.group == group and b.name in scored]


def radar_arms(report: Report) -> list[ArmRow]:
    """The headline arms with a score on every benchmark of the radar."""
    benchmarks = radar_benchmarks(report)
    return [arm for arm in report.headline_arms() if all(report.score(arm.name, b.name) for b in benchmarks)]


def has_radar(report: Report) -> bool:
    """Whether a radar can be drawn: enough benchmarks, and an arm that was scored on all of them."""
    return len(radar_benchmarks(report)) >= MIN_BENCHMARKS and bool(radar_arms(report))


def draw_radar(report: Report, language: Language, width: float, key: str = "radar") -> Drawing:
    """One closed outline for each headline arm over the benchmarks, 0 in the middle and 100 at the rim."""
    benchmarks, arms, colors = radar_benchmarks(report), radar_arms(report), arm_colors(report)
    n = len(benchmarks)
    angles = [math.pi / 2 - 2 * math.pi * k / n for k in range(n)]
    names = [one_line(arm.label.text(language), 28) for arm in arms]
    figure = new_figure(width, width * 0.92 + 32 + legend_height(names, width))
    axes = add_panel(figure, 0, 0, width, width * 0.92)
    half = 1.42 if width >= 420 else 1.82  # data units from the middle to the edge of the drawing
    axes.set_xlim(-half, half)
    axes.set_ylim(-half * 0.92, half * 0.92)
    _add_grid(axes, angles)
    _add_benchmark_names(axes, benchmarks, angles, language)
    for arm in arms:
        _add_outline(axes, report, arm, benchmarks, angles, colors[arm.name])
    add_legend(axes, names, [colors[arm.name] for arm in arms], -8 - legend_height(names, width), width - 10)
    for side, corner, inward, group in (("right", 1, -1, "in-domain"), ("left", 0, 1, "out-of-domain")):
        if not any(benchmark.group == group for benchmark in benchmarks):
            continue
        at = {"xycoords": "axes fraction", "ha": side, "dx": 36 * inward}
        add_text(axes, corner, 0.985, word(group, language), "muted", 11.5, **at)
        edge = -inward * half
        add_line(axes, [edge, edge + inward * 0.16 * half / 1.62], [half * 0.885] * 2, _GROUP_COLORS[group], 2.4)
    return Drawing(figure, f"{key}-{language}-{width:.0f}", alt_text("radar", language, n=n))


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
