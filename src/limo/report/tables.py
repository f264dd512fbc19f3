"""Tables of a report: one definition each, shown on the terminal, as Markdown for a README, and beside each chart.

A table is made once from the report, in one language, as plain cells; three small writers show it.  Numbers carry
their 95% interval in the same cell, so that none is ever quoted without it.

    print(plain(report))                       # a terminal, or a log
    print(markdown(scores(report, "en")))      # a README

What it does not do: compute a number, or choose what to compare.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limo.report import words
from limo.report.content import GROUPS, Arm, ArmScore, Average, Language, LevelScore, Report
from limo.report.look import arm_colours
from limo.report.sentences import headline
from limo.report.words import count, points, say, seconds

if TYPE_CHECKING:
    from rich.console import Group as Renderable
    from rich.table import Table as RichTable
    from rich.text import Text


_SIZES = ("n_problems", "n_rollouts", "n_seeds")


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure or word; `aside` is its interval, `strong` marks it, `spot` is (low, value, high) to draw in `ink`."""

    text: str
    aside: str = ""
    strong: bool = False
    spot: tuple[float, float, float] | None = None
    ink: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, column heads and rows; the first column is words, the rest are figures.  `note` goes below."""

    caption: str
    heads: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""


def _share(row: ArmScore | Average | LevelScore | None, strong: bool = False, ink: str = "") -> Cell:
    if row is None:
        return Cell("—")
    return Cell(
        points(row.value), f"[{points(row.low)}, {points(row.high)}]", strong, (row.low, row.value, row.high), ink
    )


def _best(rows: list[ArmScore | None] | list[Average | None]) -> str:
    """The arm whose interval lies wholly above every other's, or nothing."""
    known = [row for row in rows if row is not None]
    for row in known:
        if len(known) > 1 and all(row.low > other.high for other in known if other is not row):
            return row.arm
    return ""


def averages(report: Report, language: Language) -> Table:
    """Groups downwards, arms across."""
    arms = [arm for arm in report.arms if any(row.arm == arm.name for row in report.averages)]
    table = Table(
        say("average", language),
        [say("group", language), *(a.label.text(language) for a in arms)],
        note=say("best_note", language),
    )
    for group in GROUPS:
        found = [report.average(arm.name, group) for arm in arms]
        if any(found):
            best = _best(found)
            table.rows.append([Cell(say(group, language)), *_row(report, found, arms, best)])
    return table


def _row(report: Report, found: list[ArmScore | None] | list[Average | None], arms: list[Arm], best: str) -> list[Cell]:
    inks = arm_colours(report)
    return [_share(row, arm.name == best, inks[arm.name]) for row, arm in zip(found, arms, strict=True)]


def scores(report: Report, language: Language) -> Table:
    """Benchmarks downwards in their groups, arms across; sizes in columns, or in the note where all are alike."""
    arms = [arm for arm in report.arms if any(row.arm == arm.name for row in report.scores)]
    alike = len({tuple(getattr(row, name) for name in _SIZES) for row in report.scores}) == 1
    heads = [
        say("benchmark", language),
        *(arm.label.text(language) for arm in arms),
        *(say(name, language) for name in _SIZES if not alike),
    ]
    table = Table(say("chapter_benchmarks", language), heads, note=_score_note(report, language, alike))
    for group in GROUPS[:2]:
        members = [b for b in report.benchmarks if b.group == group]
        if members:
            table.rows.append([Cell(say(group, language), strong=True)])
        for benchmark in members:
            found = [report.score(arm.name, benchmark.name) for arm in arms]
            known = [row for row in found if row is not None]
            sizes = [_range([getattr(row, name) for row in known]) for name in _SIZES if not alike]
            table.rows.append([Cell(benchmark.label.text(language)), *_row(report, found, arms, _best(found)), *sizes])
    return table


def _score_note(report: Report, language: Language, alike: bool) -> str:
    note = say("best_note", language)
    if not alike:
        return note
    sizes = {name: count(getattr(report.scores[0], name)) for name in _SIZES}
    return say("each_size", language, **sizes) + ("" if language == "zh" else " ") + note


def _range(numbers: list[int]) -> Cell:
    """One count where all arms agree, else the least and the most."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return Cell(count(low) if low == high else f"{count(low)}–{count(high)}")


def comparisons(report: Report, language: Language) -> Table:
    """One pair a row, with the verdict in words."""
    heads = [say(key, language) for key in ("comparison", "group", "difference", "interval", "verdict")]
    table = Table(say("chapter_comparisons", language), heads)
    for pair in report.comparisons:
        name = f"{report.arm(pair.a).label.text(language)} − {report.arm(pair.b).label.text(language)}"
        verdict = say("separable" if pair.separable else "not_separable", language)
        table.rows.append(
            [
                Cell(name),
                Cell(say(pair.group, language)),
                Cell(points(pair.difference, True), strong=pair.separable),
                Cell(f"[{points(pair.low, True)}, {points(pair.high, True)}]"),
                Cell(verdict),
            ]
        )
    return table


def levels(report: Report, language: Language) -> Table:
    """L1..L5 downwards."""
    heads = [say(key, language) for key in ("level", "score", "tokens_mean", "n_examples")]
    rows = [
        [
            Cell(row.level, ink=row.level),
            _share(row),
            Cell(f"{row.n_tokens_mean:,.0f}"),
            Cell(count(row.n_examples) if row.n_examples else "—"),
        ]
        for row in report.levels
    ]
    return Table(say("chapter_levels", language), heads, rows)


def budget(report: Report, language: Language) -> Table:
    """What each arm was trained on and for how long."""
    heads = [say(key, language) for key in ("arm", "model", "n_examples", "n_tokens", "n_updates", "seconds")]
    table, inks = Table(say("chapter_budget", language), heads), arm_colours(report)
    most = {
        name: max((getattr(arm, name) for arm in report.arms), default=0)
        for name in ("n_examples", "n_tokens", "n_updates")
    }
    for arm in report.arms:
        cells = [_amount(getattr(arm, name), most[name], inks[arm.name]) for name in most]
        took = Cell(seconds(arm.seconds) if arm.seconds else "—")
        table.rows.append([Cell(arm.label.text(language), ink=inks[arm.name]), Cell(arm.model or "—"), *cells, took])
    return table


def _amount(n: int, most: int, ink: str) -> Cell:
    return Cell(count(n), spot=(0.0, n / most, n / most), ink=ink) if n else Cell("—")


def funnel(report: Report, language: Language) -> Table:
    """Stages downwards, every drop with its reason."""
    heads = [say(key, language) for key in ("stage", "unit", "n_in", "n_kept", "n_dropped", "reasons")]
    table = Table(say("chapter_funnel", language), heads)
    for stage in report.funnel:
        drops = sorted(stage.dropped.items(), key=lambda item: (-item[1], item[0]))
        why = [f"{words.reason(text).text(language)} {count(n)}" for text, n in drops]
        if stage.n_unexplained:
            why.append(f"{say('unexplained', language)} {count(stage.n_unexplained)}")
        table.rows.append(
            [
                Cell(stage.label.text(language)),
                Cell(say(f"unit_{stage.unit}", language)),
                Cell(count(stage.n_in)),
                Cell(count(stage.n_kept)),
                Cell(count(sum(stage.dropped.values()))),
                Cell("; ".join(why)),
            ]
        )
    return table


def contamination(report: Report, language: Language) -> Table:
    """Benchmarks and sources downwards, with the method and what followed."""
    heads = [say(key, language) for key in ("benchmark", "source", "method", "decision", "unit_problems")]
    rows = [
        [
            Cell(row.benchmark),
            Cell(row.source or "—"),
            Cell(words.reason(row.method).text(language)),
            Cell(say(f"decision_{row.decision}", language)),
            Cell(count(row.n_problems)),
        ]
        for row in report.overlaps
    ]
    return Table(say("chapter_contamination", language), heads, rows)


def paper(language: Language) -> Table:
    """The published results, in percent, as the paper gives them."""
    book = words.data("paper.yaml")
    heads = [say("benchmark", language), *(arm[language] for arm in book["arms"])]
    rows = [[Cell(row["name"]), *(Cell(f"{value:.1f}") for value in row["values"])] for row in book["benchmarks"]]
    rows.append(
        [
            Cell(say("paper_average", language), strong=True),
            *(Cell(f"{value:.1f}", strong=True) for value in book["average"]),
        ]
    )
    return Table(say("paper_flag", language), heads, rows, book["source"][language])


def markdown(table: Table) -> str:
    """The table for a README: pipes escaped, figures to the right."""

    def cells(row: list[str]) -> str:
        padded = [*row, *[""] * (len(table.heads) - len(row))]
        return "| " + " | ".join(words.plain(text).replace("|", "\\|") for text in padded) + " |"

    lines = [cells(table.heads), "|" + "|".join(["---", *["---:"] * (len(table.heads) - 1)]) + "|"]
    return "\n".join([*lines, *(cells([_joined(cell, "**") for cell in row]) for row in table.rows)])


def _joined(cell: Cell, mark: str) -> str:
    text = f"{mark}{cell.text}{mark}" if cell.strong and cell.text else cell.text
    return f"{text} {cell.aside}".strip()


def terminal(report: Report, language: Language = "en") -> Renderable:
    """Title, claims and the tables that were measured, for `rich.console.Console.print`."""
    from rich.console import Group as Renderable
    from rich.text import Text

    parts: list[object] = [Text(words.plain(report.title.text(language)), style="bold")]
    parts += [Text("• " + words.plain(said.text(language))) for said in headline(report)]
    shown = (
        (averages, report.averages),
        (scores, report.scores),
        (comparisons, report.comparisons),
        (levels, report.levels),
        (budget, report.arms),
        (funnel, report.funnel),
        (contamination, report.overlaps),
    )
    for make, rows in shown:
        if rows:
            parts += [Text(""), _rich(make(report, language))]
    return Renderable(*parts)  # type: ignore[arg-type]


def _rich(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=table.caption,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=table.note or None,
        caption_justify="left",
        caption_style="dim",
    )
    for index, head in enumerate(table.heads):
        shown.add_column(Text(words.plain(head)), justify="left" if index == 0 else "right")
    for row in table.rows:
        shown.add_row(*(_styled(cell) for cell in row))
    return shown


def _styled(cell: Cell) -> Text:
    from rich.text import Text

    text = Text(words.plain(cell.text), style="bold" if cell.strong else "")
    return text.append(f" {cell.aside}", style="dim") if cell.aside else text


def plain(report: Report, language: Language = "en", width: int = 120) -> str:
    """What `terminal` shows as text without colours."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, no_color=True, highlight=False).print(terminal(report, language))
    return "\n".join(text.rstrip() for text in out.getvalue().splitlines()) + "\n"
