"""Our scores beside the paper's: averages in two panels, and the figures of its first page from the shipped data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from limo.report.charts.drawing import (
    NARROW,
    Drawing,
    add_panel,
    add_text,
    alt_text,
    arm_colors,
    new_figure,
    placeholder,
)
from limo.report.charts.scores import add_bar, set_scale
from limo.report.content import (
    ArmRow,
    AverageRow,
    BenchmarkGroup,
    BenchmarkRow,
    ChartRow,
    Language,
    LocalizedText,
    Report,
    ScoreRow,
    SeriesRow,
)
from limo.report.words import localized, points, read_data, word

Bar = tuple[str, str, float, tuple[float, float] | None]  # label, palette name, value, interval


def draw_paper(report: Report, language: Language, width: float) -> Drawing:
    """Our averages in one panel, the published ones in another, on one scale; theirs hatched, without intervals."""
    ours, theirs = _our_bars(report, language), _published_bars(language)
    panels = ((word("ours", language), "ink", ours), (word("theirs", language), "muted", theirs))
    narrow = width < NARROW
    n = max(len(ours), len(theirs))
    height, half = n * 52, (width if narrow else (width - 40) / 2)
    figure = new_figure(width, (height + 56) * (2 if narrow else 1))
    for index, (title, color, bars) in enumerate(panels):
        left, top = (0.0, index * (height + 56)) if narrow else (index * (half + 40), 0)
        axes = add_panel(figure, left, top + 30, half - 34, height)
        set_scale(axes, n)
        add_text(axes, 0, 1, title, color, 13, xycoords="axes fraction", dy=16, weight="bold")
        for row, (label, bar_color, value, ends) in enumerate(bars):
            add_text(axes, 0, row - 0.26, label, "ink", 12)
            if ends:
                add_bar(axes, row + 0.14, value, bar_color, ends, 0.4)
                continue
            outline: dict[str, Any] = {"facecolor": "none", "edgecolor": placeholder(bar_color), "linewidth": 1.2}
            axes.barh([row + 0.14], [value], height=0.4, hatch="////", zorder=2, **outline)
            add_text(axes, value, row + 0.14, points(value), "muted", 14, dx=7, weight="bold")
    return Drawing(figure, f"paper-{language}-{width:.0f}", alt_text("paper", language))


def _our_bars(report: Report, language: Language) -> list[Bar]:
    colors = arm_colors(report)
    rows = ((arm, report.average(arm.name, "all")) for arm in report.headline_arms())
    return [(arm.label.text(language), colors[arm.name], row.value, (row.low, row.high)) for arm, row in rows if row]


def _published_bars(language: Language) -> list[Bar]:
    published = read_data("paper.yaml")
    means = dict(zip((arm["name"] for arm in published["arms"]), published["average"], strict=True))
    drawn = [arm for arm in published["arms"] if arm["name"] in published["drawn"]]
    return [(arm[language], arm["color"], means[arm["name"]] / 100, None) for arm in drawn]


def published_report() -> Report:
    """The paper's scores of the arms that its own radar shows, without intervals, which it does not give."""
    published = read_data("paper.yaml")
    names = [arm["name"] for arm in published["arms"]]
    arms = [ArmRow(a["name"], a["en"], a["zh"], color=a["color"]) for a in published["arms"] if a.get("radar")]
    scores = [
        ScoreRow(arm.name, row["name"], *[row["values"][names.index(arm.name)] / 100] * 3)
        for arm in arms
        for row in published["benchmarks"]
    ]
    benchmarks = [BenchmarkRow(row["name"], row["name"], group=row["group"]) for row in published["benchmarks"]]
    return Report(LocalizedText(published["source"]["en"]), arms=arms, benchmarks=benchmarks, scores=scores)


def published_bars() -> ChartRow:
    """The paper's first figure, left: AIME24 after training on few chains and on many."""
    content = published_report()
    rows = [(arm, content.score(arm.name, "AIME24")) for arm in content.arms]
    return _bars(LocalizedText("AIME24"), [(arm, row) for arm, row in rows if row])


def in_domain_bars(report: Report) -> ChartRow:
    """Our headline arms on the benchmarks whose kind of problems was trained on, or on all where there are none."""
    group: BenchmarkGroup = "in-domain" if any(row.group == "in-domain" for row in report.averages) else "all"
    colors = arm_colors(report)
    arms = [replace(arm, color=colors[arm.name]) for arm in report.headline_arms()]
    rows = [(arm, report.average(arm.name, group)) for arm in arms]
    return _bars(localized(group), [(arm, row) for arm, row in rows if row])


def _bars(title: LocalizedText, rows: Sequence[tuple[ArmRow, ScoreRow | AverageRow]]) -> ChartRow:
    """One bar an arm in its colour."""
    has_intervals = any(row.low < row.high for _, row in rows)
    series = [
        SeriesRow(
            arm.label_en,
            arm.label_zh,
            [float(number)],
            [row.value],
            [row.low] if has_intervals else [],
            [row.high] if has_intervals else [],
            arm.color,
        )
        for number, (arm, row) in enumerate(rows)
    ]
    return ChartRow(
        title, "bars", series, localized("arm"), localized("score"), [a.label for a, _ in rows], False, True
    )
