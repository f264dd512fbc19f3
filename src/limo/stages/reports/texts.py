"""The texts of reports of runs, in both languages, and the small parts that all sections are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from limo.core.files import shipped_yaml
from limo.core.language import translated
from limo.core.stats import Interval
from limo.report.content import ChartRow, DataTable, LocalizedText, SeriesRow


def text(key: str, **values: object) -> LocalizedText:
    """The text of `key` in texts.yaml in both languages, with its blanks filled.  Raises KeyError."""
    return LocalizedText.filled(shipped_yaml(__file__, "texts.yaml")[key], **values)


def same(value: object) -> LocalizedText:
    """A name or a number, which is the same in both languages."""
    return LocalizedText(str(value))


def sentence(english: str) -> LocalizedText:
    """A sentence that another stage wrote, in both languages."""
    return LocalizedText(english, translated(english, "zh"))


def stage_name(stage: str) -> LocalizedText:
    """A stage as the terminal, the recipe and the run's files call it, in the reader's language."""
    return LocalizedText(stage, translated(stage, "zh"))


def label(key: str) -> LocalizedText:
    """The text of `key` where there is one, else the key itself: names of stages and traits may be anybody's."""
    if key in shipped_yaml(__file__, "texts.yaml"):
        return text(key)
    english, chinese = key.replace("_", " "), translated(key, "zh")
    return LocalizedText(english, english if chinese == key else chinese)


def make_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> DataTable:
    """A table of keys of texts and of cells as they are shown; a `LocalizedText` in a row stays."""
    cells = [[cell if isinstance(cell, LocalizedText) else same(cell) for cell in row] for row in rows]
    return DataTable(text(caption), [label(head) for head in heads], cells, text(note) if note else LocalizedText(""))


def make_series(name: LocalizedText | str, xs: Sequence[float], ys: Sequence[float], **rest: Any) -> SeriesRow:
    """A series with a name."""
    name = name if isinstance(name, LocalizedText) else same(name)
    return SeriesRow(name.en, name.zh, [float(x) for x in xs], [float(y) for y in ys], **rest)


def interval_series(
    name: LocalizedText | str, xs: Sequence[float], intervals: Sequence[Interval], **rest: Any
) -> SeriesRow:
    """A series of values with their intervals."""
    low, high = [interval.low for interval in intervals], [interval.high for interval in intervals]
    return make_series(name, xs, [interval.value for interval in intervals], low=low, high=high, **rest)


def make_chart(title: str, kind: str, series: list[SeriesRow], x: str, y: str, **rest: Any) -> ChartRow:
    """A chart whose title and axes are keys of texts."""
    return ChartRow(text(title), kind, series, text(x), text(y), **rest)  # type: ignore[arg-type]


def percent(share: float) -> str:
    """A share in percent with one decimal."""
    return f"{100 * share:.1f}"
