"""The funnel of curation: what came in, what was kept and what was dropped at each stage, with the reasons.

All stages share one scale, which is stated; it is logarithmic where counts span more than a factor of thirty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
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
    text_width,
)
from limo.report.content import Language, Report, StageRow
from limo.report.words import count, drop_reason, one_line, short_count, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT = 208  # pixels for the stages' names on a wide chart
_BAR, _LINE = 25, 16  # pixels: the height of a bar, and of a line of reasons
_LINEAR_SPAN = 30.0  # beyond this factor the last stages of a linear funnel are slivers (our choice)


def draw_funnel(report: Report, language: Language, width: float) -> Drawing:
    """Stages downwards: the solid bar is what was kept, the pale one what came in, all reasons below."""
    stages, narrow = report.funnel, width < NARROW
    counts = [n for stage in stages for n in (stage.n_in, stage.n_kept)]
    most, least = max([1, *counts]), min([n for n in counts if n] or [1])
    start = 10 ** math.floor(math.log10(least)) if most / least > _LINEAR_SPAN else 0  # 0: a linear scale
    left, right = (0, 104) if narrow else (_LEFT, 118)
    reasons = [_reasons(stage, language, width - left) for stage in stages]
    tops = [0, *accumulate((68 if narrow else 52) + _LINE * max(1, len(lines)) for lines in reasons)]
    figure = new_figure(width, tops[-1] + 40)
    axes = add_panel(figure, left, 0, width - left - right, tops[-1])
    axes.set_xlim(0, 1)
    axes.set_ylim(tops[-1], 0)  # pixels

    def position(n: float) -> float:
        return max(0.0, math.log(max(n, start) / start) / math.log(most / start)) if start else n / most

    powers = range(round(math.log10(start)) if start else 0, math.ceil(math.log10(most)) + 1)
    ticks = [10.0**k for k in powers if 10.0**k <= most] if start else [0, most / 2, most]
    for tick in ticks:
        add_line(axes, [position(tick)] * 2, [0, tops[-1]], "line", zorder=0)
        add_text(axes, position(tick), tops[-1], short_count(tick), "muted", 11, ha="center", dy=-11)
    title = word("log_axis" if start else "count_axis", language)
    add_text(axes, 0.5, tops[-1], title, "muted", 11.5, ha="center", dy=-28)
    for stage, lines, top in zip(stages, reasons, tops[:-1], strict=True):
        _add_stage(axes, top + (42 if narrow else 24), stage, position, language, narrow)
        for number, line in enumerate(lines):
            color = "brick" if stage.n_unexplained else "muted"
            add_text(axes, 0, top + (66 if narrow else 48) + _LINE * number, line, color, 11.5, zorder=3)
    return Drawing(figure, f"funnel-{language}-{width:.0f}", alt_text("funnel", language))


def _add_stage(
    axes: Axes, y: float, stage: StageRow, position: Callable[[float], float], language: Language, narrow: bool
) -> None:
    """The bars of a stage around `y`, its counts and its name."""
    end = position(stage.n_in)
    axes.barh([y], [end], height=_BAR, color=placeholder("line"), zorder=1)
    axes.barh([y], [position(stage.n_kept)], height=_BAR, color=placeholder("limo"), zorder=2)
    add_text(axes, end, y, count(stage.n_kept), "ink", 14, dx=9, dy=7, weight="bold", zorder=3)
    of_all = word("of_n", language, n=count(stage.n_in), unit=word(f"unit_{stage.unit}", language))
    add_text(axes, end, y, of_all, "muted", 11, dx=9, dy=-8, zorder=3)
    label = stage.label.text(language)
    if narrow:
        add_text(axes, 0, y - 25, one_line(label, 44), "ink", 12.5, weight="bold")
    else:
        add_text(axes, 0, y, one_line(label, 30), "ink", 13, dx=-_LEFT, weight="bold")


def _reasons(stage: StageRow, language: Language, width: float) -> list[str]:
    """The drops of a stage, largest first, in lines of that many pixels: "−16,553 already solved · −12 malformed"."""
    parts = [f"−{count(n)} {drop_reason(reason).text(language)}" for reason, n in stage.drops() if n]
    if stage.n_unexplained:
        parts.insert(0, f"{count(stage.n_unexplained)} {word('unexplained', language)}")
    lines: list[str] = []
    for part in (one_line(part, int(width / 6.4)) for part in parts):
        joined = f"{lines[-1]} · {part}" if lines else part
        lines[-1:] = [joined] if text_width(joined) <= width else [*lines[-1:], part]
    return lines
