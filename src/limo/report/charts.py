"""The charts with an axis: averages by arm, scores by benchmark, paired differences, levels, ours beside the paper's.

Each is one function from a report to one `<svg>`, drawn for a width in CSS pixels: below `NARROW` labels move from
the left of a row to above it, so a phone gets a chart of its own instead of a shrunken one.  Values stand beside
their marks, intervals are drawn everywhere, and no axis is cut: scores always run from 0 to 100.

    svg = averages(report, "zh", 720)

What it does not do: the radar and the funnel (`shapes`), or compute any number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from limo.report.content import GROUPS, Arm, Group, Language, Report
from limo.report.look import arm_colours, canvas, colour, inline, line, marker, panel, whisker, write
from limo.report.words import count, data, points, say, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Chart = Callable[[Report, Language, float], str]
NARROW = 520
_SHOWN: tuple[Group, ...] = ("all", "in-domain", "out-of-domain")  # the claim first, then its two halves
_LEFT = 160  # pixels for names left of a wide chart; they start where the page's text starts


def alt(key: str, language: Language, **values: object) -> str:
    """What a chart shows, for those who do not see it, and where its numbers stand."""
    return say(f"alt_{key}", language, **values) + ("" if language == "zh" else " ") + say("alt_after", language)


def _scale(
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
        line(axes, [tick, tick], [-0.5, n_rows - 0.5], "line", zorder=0)
        if show:
            write(axes, tick, n_rows - 0.5, f"{tick * 100:.0f}", "muted", 11, ha="center", dy=-12)


def _bar(axes: Axes, row: float, value: float, ink: str, ends: tuple[float, float] | None, high: float = 0.46) -> None:
    """One horizontal bar with its interval and its value written beyond the whisker, or inside when it is full."""
    axes.barh([row], [value], height=high, color=colour(ink), zorder=2)
    low, top = ends or (value, value)
    if ends:
        whisker(axes, (low, top), row, "ink", 1.2, cap=0.09, zorder=3)
    if top < 0.86:
        write(axes, top, row, points(value), "ink", 14, dx=7, weight="bold", zorder=4)
    else:
        write(axes, low, row, points(value), "paper", 14, dx=-7, weight="bold", ha="right", zorder=4)


def averages(report: Report, language: Language, width: float) -> str:
    """Arms down the side, one panel for each group: bars with intervals, a reference line at the first arm."""
    arms = [arm for arm in report.headline_arms() if any(row.arm == arm.name for row in report.averages)]
    groups = [g for g in _SHOWN if any(report.average(arm.name, g) for arm in arms)]
    narrow = width < NARROW
    row = 54 if narrow else 50
    left, gap, head = (0, 0, 30) if narrow else (_LEFT, 26, 34)
    high = len(arms) * row
    figure = canvas(width, (high + head + 22) * (len(groups) if narrow else 1) + 8)
    each = width - 34 if narrow else (width - left - gap * (len(groups) - 1) - 8) / len(groups)
    for index, group in enumerate(groups):
        top = head + (index * (high + head + 22) if narrow else 0)
        axes = panel(figure, left if narrow else left + index * (each + gap), top, each, high)
        _scale(axes, len(arms))
        write(
            axes,
            0,
            0,
            _group(report, group, language),
            "ink",
            13,
            xycoords="axes fraction",
            dy=high + 16,
            weight="bold",
        )
        _average_rows(axes, report, arms, group, (language, narrow, index))
    return inline(figure, f"averages-{language}-{width:.0f}", alt("headline", language))


def _group(report: Report, group: Group, language: Language) -> str:
    """The group's name; the group of all says how many benchmarks that is."""
    if group == "all" and report.benchmarks:
        return say("all_benchmarks", language, n=len(report.benchmarks))
    return say(group, language)


def _average_rows(axes: Axes, report: Report, arms: list[Arm], group: Group, how: tuple[Language, bool, int]) -> None:
    language, narrow, index = how
    inks = arm_colours(report)
    reference = report.average(arms[0].name, group)
    if reference:
        line(axes, [reference.value] * 2, [-0.5, len(arms) - 0.5], "rule", 1, linestyle=(0, (2, 3)), zorder=1)
    for row, arm in enumerate(arms):
        at = row + (0.16 if narrow else 0)
        average = report.average(arm.name, group)
        if average:
            _bar(axes, at, average.value, inks[arm.name], (average.low, average.high), 0.4 if narrow else 0.46)
        if narrow:
            write(axes, 0, row - 0.26, arm.label.text(language), "ink", 12)
        elif index == 0:
            write(axes, 0, row - 0.13, arm.label.text(language), "ink", 13.5, dx=-_LEFT, weight="bold")
            write(axes, 0, row + 0.22, _examples(arm, language), "muted", 11.5, dx=-_LEFT)


def _examples(arm: Arm, language: Language) -> str:
    if not arm.n_examples:
        return say("untrained", language)
    return say("examples_n", language, n=count(arm.n_examples))


def dots(report: Report, language: Language, width: float) -> str:
    """Benchmarks down the side in their groups; each headline arm a marker with its interval."""
    arms = [arm for arm in report.headline_arms() if any(row.arm == arm.name for row in report.scores)]
    narrow = width < NARROW
    rows: list[tuple[str, str]] = []
    for group in GROUPS[:2]:
        members = [b for b in report.benchmarks if b.group == group]
        rows += [("", say(group, language)), *((b.name, b.label.text(language)) for b in members)] if members else []
    left, height = (6, 50) if narrow else (_LEFT, 22 + 7 * max(2, len(arms)))
    figure = canvas(width, len(rows) * height + 52)
    axes = panel(figure, left, 30, width - left - 16, len(rows) * height)
    _scale(axes, len(rows), ticks=(0, 0.25, 0.5, 0.75, 1))
    inks = arm_colours(report)
    for row, (name, label) in enumerate(rows):
        _dot_label(axes, row, name, label, narrow)
        if not name:
            continue
        for index, arm in enumerate(arms):
            score = report.score(arm.name, name)
            at = row + (index - (len(arms) - 1) / 2) * (0.17 if narrow else 0.2) + (0.14 if narrow else 0)
            if score:
                whisker(axes, (score.low, score.high), at, inks[arm.name], 2, alpha=0.55)
                _mark(axes, score.value, at, inks[arm.name])
    _legend(axes, arms, inks, language, len(rows) * height)
    return inline(figure, f"dots-{language}-{width:.0f}", alt("dots", language))


def _dot_label(axes: Axes, row: int, name: str, label: str, narrow: bool) -> None:
    """A benchmark's name beside (or above) its row; a group's name as a heading over a rule."""
    if not name:
        write(axes, 0, row + 0.22, label, "muted", 11.5, weight="bold", dx=0 if narrow else -_LEFT)
        return
    if narrow:
        write(axes, 0, row - 0.33, label, "ink", 12)
    else:
        line(axes, [0, 1], [row + 0.5] * 2, "line", 0.7, zorder=0)
        write(axes, 0, row, label, "ink", 13, dx=-_LEFT)


def _mark(axes: Axes, x: float, y: float, ink: str, size: float = 7) -> None:
    axes.plot(
        [x],
        [y],
        marker(ink),
        color=colour(ink),
        markersize=size,
        markeredgecolor=colour("paper"),
        markeredgewidth=1,
        clip_on=False,
        zorder=4,
    )


def _legend(axes: Axes, arms: list[Arm], inks: dict[str, str], language: Language, high: float) -> None:
    """Marker and name of each arm in one line over the panel, spread evenly."""
    for index, arm in enumerate(arms):
        x = index / max(1, len(arms))
        axes.plot(
            [x],
            [1 + 15 / high],
            marker(inks[arm.name]),
            color=colour(inks[arm.name]),
            markersize=7,
            transform=axes.transAxes,
            clip_on=False,
        )
        write(axes, x, 1, arm.label.text(language), "ink", 12, xycoords="axes fraction", dx=9, dy=15)


def forest(report: Report, language: Language, width: float) -> str:
    """Paired differences under their groups, an interval each, around the line of no difference."""
    rows: list[tuple[str, int]] = []
    for group in _SHOWN:
        of_group = [i for i, pair in enumerate(report.comparisons) if pair.group == group]
        rows += [(_group(report, group, language), -1), *(("", i) for i in of_group)] if of_group else []
    narrow = width < NARROW
    left, right, height = (8, 8, 52) if narrow else (_LEFT + 56, 152, 34)
    figure = canvas(width, len(rows) * height + 56)
    axes = panel(figure, left, 6, width - left - right, len(rows) * height)
    low = min(0.0, *(pair.low for pair in report.comparisons))
    high = max(0.0, *(pair.high for pair in report.comparisons))
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if (high - low) / s <= (4 if narrow else 7))
    ticks = [step * n for n in range(int(low / step) - 1, int(high / step) + 2)]
    _scale(axes, len(rows), (ticks[0], ticks[-1]), tuple(ticks), show=False)
    for tick in ticks:
        write(axes, tick, len(rows) - 0.5, points(tick, True).removesuffix(".0"), "muted", 11, ha="center", dy=-12)
    line(axes, [0, 0], [-0.5, len(rows) - 0.5], "ink", 1.2, zorder=1)
    write(axes, 0.5, 0, say("difference_axis", language), "muted", 11.5, xycoords="axes fraction", ha="center", dy=-30)
    for row, (heading, index) in enumerate(rows):
        if index < 0:
            write(
                axes,
                0,
                row + 0.15,
                heading,
                "muted",
                11.5,
                xycoords=("axes fraction", "data"),
                weight="bold",
                dx=0 if narrow else -left,
            )
        else:
            _pair(axes, row, report, index, (language, narrow))
    return inline(figure, f"forest-{language}-{width:.0f}", alt("forest", language))


def _pair(axes: Axes, row: int, report: Report, index: int, how: tuple[Language, bool]) -> None:
    """One comparison: filled and coloured when separable, hollow and grey when not."""
    language, narrow = how
    pair = report.comparisons[index]
    ink = arm_colours(report)[pair.a] if pair.separable else "muted"
    at = row + (0.2 if narrow else 0)
    whisker(axes, (pair.low, pair.high), at, ink, 2, cap=0.1)
    axes.plot(
        [pair.difference],
        [at],
        marker(ink),
        markersize=8,
        zorder=5,
        clip_on=False,
        color=colour(ink),
        markerfacecolor=colour(ink if pair.separable else "paper"),
        markeredgewidth=1.6,
    )
    name = f"{report.arm(pair.a).label.text(language)} − {report.arm(pair.b).label.text(language)}"
    figure = points(pair.difference, True)
    verdict = f"[{points(pair.low, True)}, {points(pair.high, True)}]"
    if not pair.separable:
        verdict = say("not_separable", language)
    edge = ("axes fraction", "data")
    if narrow:
        write(axes, 0, row - 0.18, name, "ink", 12, xycoords=edge)
        write(axes, 1, row - 0.18, f"{figure}  {verdict}", ink, 11.5, xycoords=edge, ha="right")
    else:
        write(axes, 0, row, name, "ink", 13, xycoords=edge, dx=-_LEFT - 56)
        write(axes, 1, row, figure, ink, 13, xycoords=edge, dx=50, ha="right", weight="bold")
        write(axes, 1, row, verdict, "muted", 12, xycoords=edge, dx=58)


def levels(report: Report, language: Language, width: float) -> str:
    """L1..L5: score bars upwards with intervals, below them the tokens written on the same columns."""
    figure = canvas(width, 384)
    top, low = panel(figure, 34, 26, width - 44, 224), panel(figure, 34, 282, width - 44, 66)
    n = len(report.levels)
    for axes, high in ((top, 1.0), (low, max([row.n_tokens_mean for row in report.levels] + [1]))):
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim((0, 1) if axes is top else (high * 1.05, 0))
    for tick in (0, 0.25, 0.5, 0.75, 1):
        line(top, [-0.5, n - 0.5], [tick, tick], "line", zorder=0)
        write(top, -0.5, tick, f"{tick * 100:.0f}", "muted", 11, ha="right", dx=-8)
    write(top, 0, 1, say("score_axis", language), "muted", 11.5, xycoords="axes fraction", dx=-34, dy=16)
    write(low, 0, 0, say("tokens_axis", language), "muted", 11.5, xycoords="axes fraction", dx=-34, dy=-26)
    for column, row in enumerate(report.levels):
        top.bar([column], [row.value], width=0.62, color=colour(row.level), zorder=2)
        line(top, [column, column], [row.low, row.high], "ink", 1.3, zorder=3)
        for end in (row.low, row.high):
            line(top, [column - 0.07, column + 0.07], [end, end], "ink", 1.3, zorder=3)
        write(top, column, row.high, points(row.value), "ink", 14, ha="center", dy=11, weight="bold")
        write(top, column, 0, row.level, "ink", 13, ha="center", dy=-16, weight="bold")
        low.bar([column], [row.n_tokens_mean], width=0.62, color=colour("line"), zorder=2)
        write(low, column, row.n_tokens_mean, short_count(row.n_tokens_mean), "ink", 12, ha="center", dy=-10)
    return inline(figure, f"levels-{language}-{width:.0f}", alt("levels", language))


Row = tuple[str, str, float, tuple[float, float] | None]  # label, palette name, value, interval


def paper(report: Report, language: Language, width: float) -> str:
    """Our averages in one panel, the published ones in another, on one scale; theirs hatched, without intervals."""
    panels = (
        (say("ours", language), "ink", _ours(report, language)),
        (say("theirs", language), "muted", _theirs(language)),
    )
    narrow = width < NARROW
    n = max(len(rows) for _, _, rows in panels)
    high, half = n * 52, (width if narrow else (width - 40) / 2)
    figure = canvas(width, (high + 56) * (2 if narrow else 1))
    for index, (title, ink, rows) in enumerate(panels):
        left, top = (0.0, index * (high + 56)) if narrow else (index * (half + 40), 0)
        axes = panel(figure, left, top + 30, half - 34, high)
        _scale(axes, n)
        write(axes, 0, 1, title, ink, 13, xycoords="axes fraction", dy=16, weight="bold")
        for row, (label, own, value, ends) in enumerate(rows):
            write(axes, 0, row - 0.26, label, "ink", 12)
            _paper_bar(axes, row + 0.14, value, own, ends)
    return inline(figure, f"paper-{language}-{width:.0f}", alt("paper", language))


def _ours(report: Report, language: Language) -> list[Row]:
    inks = arm_colours(report)
    found = ((arm, report.average(arm.name, "all")) for arm in report.headline_arms())
    return [(arm.label.text(language), inks[arm.name], row.value, (row.low, row.high)) for arm, row in found if row]


def _theirs(language: Language) -> list[Row]:
    book = data("paper.yaml")
    means = dict(zip((arm["name"] for arm in book["arms"]), book["average"], strict=True))
    drawn = [arm for arm in book["arms"] if arm["name"] in book["drawn"]]
    return [(arm[language], arm["color"], means[arm["name"]] / 100, None) for arm in drawn]


def _paper_bar(axes: Axes, row: float, value: float, ink: str, ends: tuple[float, float] | None) -> None:
    """A full bar where there is an interval (ours), a hatched outline where there is none (theirs)."""
    if ends:
        _bar(axes, row, value, ink, ends, 0.4)
        return
    axes.barh(
        [row], [value], height=0.4, facecolor="none", edgecolor=colour(ink), hatch="////", linewidth=1.2, zorder=2
    )
    write(axes, value, row, points(value), "muted", 14, dx=7, weight="bold")
