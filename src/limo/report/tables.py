"""Tables of a report: each is made once, in one language, as plain cells, for the page and for a terminal.

Scores carry their 95% interval in the same cell.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import floor, log10
from typing import TYPE_CHECKING

from limo.core.language import translated
from limo.core.progress import duration
from limo.core.records import Provenance
from limo.report.charts.drawing import arm_colors
from limo.report.content import (
    BENCHMARK_GROUPS,
    ArmRow,
    AverageRow,
    ChartRow,
    DataTable,
    Language,
    LevelRow,
    Report,
    ScoreRow,
)
from limo.report.view.query import HOST, PORT, query_of
from limo.report.words import (
    benchmark_group,
    count,
    drop_reason,
    headline_claims,
    marked,
    one_line,
    points,
    read_data,
    word,
)

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_FIGURE = re.compile(r"[+-]?[0-9][0-9,.]*(?:e[+-]?[0-9]+)?%?|[+-]")
_BEGIN_OF_FIGURE = re.compile(r"[+−-]?[\d.]|[\[–—?<]")  # begins a figure, an interval, or a missing one
_WITH_INTERVAL = re.compile(r"([+−-]?[\d.,]+) (\[[^\[\]]+\])")
_SMALL, _LARGE = 1e-3, 1e9  # largest of a column of numbers that is written without an exponent
MAX_LINES = 40  # of a report in a terminal, its title and the address of its page among them
MAX_CLAIMS = 8  # of them sentences
_SIZES = ("n_problems", "n_rollouts", "n_seeds")
_BUDGET = ("n_examples", "n_tokens", "n_updates")


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure or word; `interval` in brackets; `shown_range` is (low, value, high) to draw in `color`, in 0..1.

    `rollouts`: the address in `limo view` of those behind it, and the command that opens their ledgers.
    """

    text: str
    interval: str = ""
    bold: bool = False
    shown_range: tuple[float, float, float] | None = None
    color: str = ""
    rollouts: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, column heads and rows; the first column is words.  `note` goes below."""

    caption: str
    heads: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""

    def add(self, *cells: Cell | str) -> None:
        """Add a row."""
        self.rows.append([cell if isinstance(cell, Cell) else Cell(cell) for cell in cells])

    def is_words(self, column: int) -> bool:
        """Whether a column is to be read from its left: the first, and those with a cell that begins as no figure."""
        texts = (row[column].text for row in self.rows if len(row) > column)
        return column == 0 or any(text and not _BEGIN_OF_FIGURE.match(text) for text in texts)


def _words(keys: Sequence[str], language: Language) -> list[str]:
    return [word(key, language) for key in keys]


def _share_cell(row: ScoreRow | AverageRow | LevelRow | None, bold: bool = False, color: str = "") -> Cell:
    if row is None:
        return Cell("—")
    interval = f"[{points(row.low)}, {points(row.high)}]"
    return Cell(points(row.value), interval, bold, (row.low, row.value, row.high), color, _rollouts(row.provenance))


def _rollouts(sources: Sequence[Provenance]) -> tuple[str, str] | None:
    if not sources:
        return None
    ledgers = dict.fromkeys(source.ledger for source in sources)
    return f"http://{HOST}:{PORT}/?{query_of(*sources)}", f"limo view {shlex.join(ledgers)}"


def _arm_cells(report: Report, rows: Sequence[ScoreRow | AverageRow | None], arms: list[ArmRow]) -> list[Cell]:
    """A cell an arm; bold where its interval lies wholly above every other's."""
    measured = [row for row in rows if row is not None]
    best = next((a for a in measured if all(a.low > b.high for b in measured if b is not a)), None)
    colors, is_alone = arm_colors(report), len(measured) < 2
    pairs = zip(rows, arms, strict=True)
    return [_share_cell(row, row is not None and row is best and not is_alone, colors[arm.name]) for row, arm in pairs]


def averages_table(report: Report, language: Language) -> Table:
    """Groups downwards, arms across."""
    arms = [arm for arm in report.arms if any(row.arm == arm.name for row in report.averages)]
    heads = [word("group", language), *(arm.label.text(language) for arm in arms)]
    table = Table(word("average", language), heads)
    for group in BENCHMARK_GROUPS:
        averages = [report.average(arm.name, group) for arm in arms]
        if any(averages):
            table.add(word(group, language), *_arm_cells(report, averages, arms))
    return replace(table, note=_best_note(table, language))


def _best_note(table: Table, language: Language) -> str:
    """What bold means, where a score is."""
    is_any = any(cell.bold and cell.interval for row in table.rows for cell in row)
    return word("best_note", language) if is_any else ""


def scores_table(report: Report, language: Language) -> Table:
    """Benchmarks downwards in their groups, arms across; sizes in columns, or in the note where all are alike."""
    arms = [arm for arm in report.arms if any(row.arm == arm.name for row in report.scores)]
    alike = len({tuple(getattr(row, name) for name in _SIZES) for row in report.scores}) == 1
    sizes = () if alike else _SIZES
    labels = [arm.label.text(language) for arm in arms]
    heads = [word("benchmark", language), *labels, *_words(sizes, language)]
    table = Table(word("chapter_benchmarks", language), heads)
    for group in BENCHMARK_GROUPS:
        members = [b for b in report.benchmarks if b.group == group]
        if members and len(members) < len(report.benchmarks):
            table.add(Cell(benchmark_group(group, language), bold=True))
        for benchmark in members:
            scores = [report.score(arm.name, benchmark.name) for arm in arms]
            ranges = [_range_cell([getattr(row, name) for row in scores if row is not None]) for name in sizes]
            table.add(benchmark.label.text(language), *_arm_cells(report, scores, arms), *ranges)
    each = {name: count(getattr(report.scores[0], name)) for name in _SIZES}
    notes = [word("each_size", language, **each) if alike else "", _best_note(table, language)]
    return replace(table, note=("" if language == "zh" else " ").join(filter(None, notes)))


def _range_cell(numbers: list[int]) -> Cell:
    """One count where all arms agree, else the least and the most."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return Cell(count(low) if low == high else f"{count(low)}–{count(high)}")


def comparisons_table(report: Report, language: Language) -> Table:
    """One pair a row, with the verdict in words."""
    heads = _words(("comparison", "group", "difference", "interval", "verdict"), language)
    table = Table(word("chapter_comparisons", language), heads)
    for row in report.comparisons:
        name = f"{report.arm(row.a).label.text(language)} − {report.arm(row.b).label.text(language)}"
        interval = f"[{points(row.low, True)}, {points(row.high, True)}]"
        verdict = word("separable" if row.separable else "not_separable", language)
        table.add(
            name,
            word(row.group, language),
            Cell(points(row.difference, True), bold=row.separable, rollouts=_rollouts(row.provenance)),
            interval,
            verdict,
        )
    return table


def levels_table(report: Report, language: Language) -> Table:
    """L1..L5 downwards."""
    table = Table(word("chapter_levels", language), _words(("level", "score", "tokens_mean", "n_examples"), language))
    for row in report.levels:
        n_examples = count(row.n_examples) if row.n_examples else "—"
        table.add(Cell(row.level, color=row.level), _share_cell(row), f"{row.n_tokens_mean:,.0f}", n_examples)
    return table


def budget_table(report: Report, language: Language) -> Table:
    """What each arm was trained on and for how long."""
    heads = _words(("arm", "model", *_BUDGET, "seconds"), language)
    table, colors = Table(word("chapter_budget", language), heads), arm_colors(report)
    most = {name: max((getattr(arm, name) for arm in report.arms), default=0) for name in _BUDGET}
    for arm in report.arms:
        color = colors[arm.name]
        amounts = [_amount_cell(getattr(arm, name), most[name], color) for name in _BUDGET]
        seconds = duration(arm.seconds) if arm.seconds else "—"
        table.add(Cell(arm.label.text(language), color=color), arm.model or "—", *amounts, seconds)
    return table


def _amount_cell(n: int, most: int, color: str) -> Cell:
    return Cell(count(n), shown_range=(0.0, n / most, n / most), color=color) if n else Cell("—")


def funnel_table(report: Report, language: Language) -> Table:
    """Stages downwards, every drop with its reason."""
    heads = _words(("stage", "unit", "n_in", "n_kept", "n_dropped", "reasons"), language)
    table = Table(word("chapter_funnel", language), heads)
    for stage in report.funnel:
        reasons = [f"{drop_reason(reason).text(language)} {count(n)}" for reason, n in stage.drops()]
        if stage.n_unexplained:
            reasons.append(f"{word('unexplained', language)} {count(stage.n_unexplained)}")
        counts = (count(stage.n_in), count(stage.n_kept), count(sum(stage.dropped.values())))
        unit, why = word(f"unit_{stage.unit}", language), translated("; ", language).join(reasons)
        table.add(stage.label.text(language), unit, *counts, why)
    return table


def contamination_table(report: Report, language: Language) -> Table:
    """Benchmarks and sources downwards, with the method and what was done."""
    heads = _words(("benchmark", "source", "method", "decision", "unit_problems"), language)
    table = Table(word("chapter_contamination", language), heads)
    for row in report.overlaps:
        method, decision = drop_reason(row.method).text(language), word(f"decision_{row.decision}", language)
        table.add(row.benchmark, row.source or "—", method, decision, count(row.n_problems))
    return table


def data_table(table: DataTable, language: Language) -> Table:
    """A section's own table."""
    heads = [head.text(language) for head in table.heads]
    rows = [[_data_cell(cell.text(language)) for cell in row] for row in table.rows]
    return Table(table.caption.text(language), heads, rows, table.note.text(language))


def _data_cell(text: str) -> Cell:
    """A cell of a section's own table; the interval of a figure stands apart from it, so that figures align."""
    parts = _WITH_INTERVAL.fullmatch(text)
    return Cell(parts[1], parts[2]) if parts else Cell(text)


def _number_format(values: Sequence[float]) -> str:
    """One format for a column of numbers: whole ones as they are, others with as many decimals as show four digits."""
    largest = max(map(abs, values), default=0.0)
    if all(float(value).is_integer() for value in values) and largest < _LARGE:
        return ",.0f"
    return f",.{max(0, 3 - floor(log10(largest)))}f" if _SMALL <= largest < _LARGE else ".3e"


def chart_table(chart: ChartRow, language: Language) -> Table:
    """The numbers of a chart, one row a point; shares times 100."""
    unit = " (%)" if chart.percent else ""
    has_intervals, has_names = any(row.low for row in chart.series), len(chart.series) > 1
    heads = [word("series", language)] if has_names else []
    heads += [chart.x_label.text(language), chart.y_label.text(language) + unit]
    heads += [word("interval", language)] if has_intervals else []
    table = Table(chart.title.text(language), heads)

    of_y = ".1f" if chart.percent else _number_format([value for row in chart.series for value in row.y])
    of_x = _number_format([value for row in chart.series for value in row.x])

    def shown(value: float) -> str:
        return f"{value * (100 if chart.percent else 1):{of_y}}"

    for row in chart.series:
        for index, (x, y) in enumerate(zip(row.x, row.y, strict=True)):
            at = chart.categories[int(x)].text(language) if chart.categories else f"{x:{of_x}}"
            cells = [row.label.text(language)] if has_names else []
            ends = f"[{shown(row.low[index])}, {shown(row.high[index])}]" if row.low else ""
            table.add(*cells, at, shown(y), *([ends] if has_intervals else []))
    return table


CHAPTERS: dict[str, tuple[str, Callable[[Report, Language], Table]]] = {
    "headline": ("averages", averages_table),
    "benchmarks": ("scores", scores_table),
    "comparisons": ("comparisons", comparisons_table),
    "levels": ("levels", levels_table),
    "budget": ("arms", budget_table),
    "funnel": ("funnel", funnel_table),
    "contamination": ("overlaps", contamination_table),
}
"""By chapter, in order: the part of a report that it shows, and its table."""
AFTER_QUESTIONS = ("budget", "funnel", "contamination")
"""Chapters that stand after the sections of questions."""


def paper_table(_: Report, language: Language) -> Table:
    """The published results, in percent, as the paper gives them; whatever the report."""
    published = read_data("paper.yaml")
    heads = [word("benchmark", language), *(arm[language] for arm in published["arms"])]
    table = Table(word("paper_flag", language), heads, note=published["source"][language])
    for row in published["benchmarks"]:
        table.add(row["name"], *(f"{value:.1f}" for value in row["values"]))
    averages = [word("paper_average", language), *(f"{value:.1f}" for value in published["average"])]
    table.add(*(Cell(text, bold=True) for text in averages))
    return table


def to_csv(table: Table) -> str:
    """The table as CSV; intervals in columns of their own, and no text that a spreadsheet takes for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    has_interval = [any(len(row) > k and row[k].interval for row in table.rows) for k in range(len(table.heads))]
    heads = zip(table.heads, has_interval, strict=True)
    writer.writerow([_plain(text) for head, wide in heads for text in ([head, f"{head} 95%"] if wide else [head])])
    for row in table.rows:
        cells = zip(row, has_interval, strict=False)
        writer.writerow(
            [_plain(text) for cell, wide in cells for text in ([cell.text, cell.interval] if wide else [cell.text])]
        )
    return out.getvalue()


def _plain(text: str) -> str:
    """A cell's text with marks for hidden characters; after a quote where it would be taken for a formula."""
    shown = marked(text)
    is_formula = shown.strip()[:1] in ("=", "+", "-", "@") and not _FIGURE.fullmatch(shown)
    return f"'{shown}" if is_formula else shown


def to_text(report: Report, language: Language = "en", width: int = 120) -> str:
    """Title, claims and those tables that fit into MAX_LINES lines, as text; the others are named.  No claim twice."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    claims = dict.fromkeys([*headline_claims(report), *(claim for part in report.sections for claim in part.claims)])
    listed_claims = [one_line(claim.text(language)) for claim in claims]
    n_more = len(listed_claims) - MAX_CLAIMS
    listed_claims[MAX_CLAIMS:] = [word("more_claims", language, n=n_more)] if n_more > 0 else []
    shown = [
        make_table(report, language)
        for part, make_table in CHAPTERS.values()
        if getattr(report, part) and (part != "arms" or report.is_trained)
    ]
    shown += [data_table(table, language) for section in report.sections for table in section.tables]
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True, highlight=False)
    console.print(Text(one_line(report.title.text(language))))
    listed = RichTable.grid(padding=(0, 1))  # the bullet in a column: a line of Chinese would begin anew at its space
    listed.add_column()
    listed.add_column(overflow="fold")  # Chinese has no spaces to break a line at
    for claim in listed_claims:
        listed.add_row("•", Text(claim))
    console.print(listed)
    lines, left_out = out.getvalue().splitlines(), []
    for table in shown:
        with console.capture() as captured:
            console.print("", _rich_table(table), sep="\n")
        drawn = captured.get().rstrip().splitlines()
        if len(lines) + len(drawn) <= MAX_LINES - 4:  # the names of the others, and the address of the page
            lines += ["", *drawn[1:]]
        else:
            left_out.append(one_line(table.caption))
    if left_out:
        with console.capture() as captured:
            names = translated("; ", language).join(dict.fromkeys(left_out))
            console.print("", Text(word("left_out_tables", language, names=names)), sep="\n")
        lines += captured.get().splitlines()
    return "\n".join(text.rstrip() for text in lines) + "\n"


def _rich_table(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    title, note = {"title": table.caption, "title_justify": "left"}, {"caption": table.note, "caption_justify": "left"}
    rich_table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, **title, **note)  # type: ignore[arg-type]
    for index, head in enumerate(table.heads):
        justify = "left" if table.is_words(index) else "right"
        rich_table.add_column(Text(one_line(head)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in table.rows:
        cells = (f"{one_line(cell.text)} {cell.interval}" if cell.interval else one_line(cell.text) for cell in row)
        rich_table.add_row(*map(Text, cells))
    return rich_table
