"""The funnel of curation: what came in, what was kept and what was dropped at each stage, with the reasons.

All stages share one scale, which is stated; it is logarithmic where counts span more than a factor of thirty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from limo.report.charts.drawing import (
    NARROW,
    Drawing,
    add_line,
    add_panel,
    add_text,
    alt_text,
    new_figure,
    placeholder,
)
from limo.report.content import Language, Report, StageRow
from limo.report.words import count, drop_reason, one_line, short_count, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT = 208  # pixels for the stages' names on a wide chart
_LINEAR_SPAN = 30.0  # beyond this factor the last stages of a linear funnel are slivers (our choice)


def draw_funnel(report: Report, language: Language, width: float) -> Drawing:
    """Stages downwards: the solid bar is what was kept, the pale one what came in, the reasons below."""
    stages, narrow = report.funnel, width < NARROW
    counts = [n for stage in stages for n in (stage.n_in, stage.n_kept)]
    most, least = max([1, *counts]), min([n for n in counts if n] or [1])
    start = 10 ** math.floor(math.log10(least)) if most / least > _LINEAR_SPAN else 0  # 0: a linear scale
    row_height = 78 if narrow else 66
    left, right = (0, 104) if narrow else (_LEFT, 118)
    figure = new_figure(width, len(stages) * row_height + 40)
    axes = add_panel(figure, left, 0, width - left - right, len(stages) * row_height)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(stages) - 0.5, -0.5)

    def position(n: float) -> float:
        return max(0.0, math.log(max(n, start) / start) / math.log(most / start)) if start else n / most

    powers = range(round(math.log10(start)) if start else 0, math.ceil(math.log10(most)) + 1)
    ticks = [10.0**k for k in powers if 10.0**k <= most] if start else [0, most / 2, most]
    for tick in ticks:
        add_line(axes, [position(tick)] * 2, [-0.5, len(stages) - 0.5], "line", zorder=0)
        add_text(axes, position(tick), len(stages) - 0.5, short_count(tick), "muted", 11, ha="center", dy=-11)
    title = word("log_axis" if start else "count_axis", language)
    add_text(axes, 0.5, len(stages) - 0.5, title, "muted", 11.5, ha="center", dy=-28)
    for row, stage in enumerate(stages):
        _add_stage(axes, row, stage, position, language, narrow)
    return Drawing(figure, f"funnel-{language}-{width:.0f}", alt_text("funnel", language))


def _add_stage(
    axes: Axes, row: int, stage: StageRow, position: Callable[[float], float], language: Language, narrow: bool
) -> None:
    y, end = row + (0.05 if narrow else -0.12), position(stage.n_in)
    axes.barh([y], [end], height=0.36, color=placeholder("line"), zorder=1)
    axes.barh([y], [position(stage.n_kept)], height=0.36, color=placeholder("limo"), zorder=2)
    add_text(axes, end, y, count(stage.n_kept), "ink", 14, dx=9, dy=7, weight="bold", zorder=3)
    of_all = word("of_n", language, n=count(stage.n_in), unit=word(f"unit_{stage.unit}", language))
    add_text(axes, end, y, of_all, "muted", 11, dx=9, dy=-8, zorder=3)
    label = stage.label.text(language)
    if narrow:
        add_text(axes, 0, row - 0.28, one_line(label, 44), "ink", 12.5, weight="bold")
    else:
        add_text(axes, 0, y, one_line(label, 30), "ink", 13, dx=-_LEFT, weight="bold")
    reasons = one_line(_reasons(stage, language), 54 if narrow else 84)
    color = "brick" if stage.n_unexplained else "muted"
    add_text(axes, 0, row + (0.37 if narrow else 0.26), reasons, color, 11.5, zorder=3)


def _reasons(stage: StageRow, language: Language) -> str:
    """The drops of a stage in one line, largest first: "−16,553 already solved · −12 malformed row"."""
    parts = [f"−{count(n)} {drop_reason(reason).text(language)}" for reason, n in stage.drops() if n]
    if stage.n_unexplained:
        parts.insert(0, f"{count(stage.n_unexplained)} {word('unexplained', language)}")
    return " · ".join(parts)
