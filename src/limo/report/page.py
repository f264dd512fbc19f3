"""The report as one self-contained HTML page: both languages, both themes, a phone and paper, no network.

Charts are drawn for each language and for two widths and the style sheet shows the one that fits, so nothing is
fetched and nothing is measured in the browser.  A content security policy inside the page forbids everything but
its own style and its own few lines of script (named by their hash): should a model's text ever get through the
escaping, it still could not run or call anywhere.

    write(report, "runs/lab/report.html", language="zh")

What it does not do: compute a number, or read anything but the report.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from limo.core.errors import InputError
from limo.core.files import atomic
from limo.report import cases, charts, sentences, shapes, tables, words
from limo.report.content import LANGUAGES, Language, Report, check
from limo.report.look import COLOURS, arm_colours
from limo.report.words import points

_TEMPLATES = Path(__file__).parent / "templates"
_WIDE, _PHONE = 760, 344  # CSS pixels: the column of the page, and what a 390 pixel phone leaves


def write(report: Report, path: str | Path, language: Language = "en") -> None:
    """Put the page at `path`, atomically.  Raises InputError (content) or StorageError (disk)."""
    text = render(report, language)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def render(report: Report, language: Language = "en") -> str:
    """The whole page; `language` is the one it opens in.  The same report gives the same bytes."""
    if language not in LANGUAGES:
        raise InputError("the page has no such language", language, " or ".join(LANGUAGES), "name one of them")
    check(report)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    room = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = room.get_template("page.html.j2").render(
        opens_in=language,
        script=Markup(script),
        script_hash=digest,
        style=Markup(_style()),
        bodies=[_body(report, each) for each in LANGUAGES],
    )
    # A label may hold a lone surrogate (cases spell theirs out); a page is UTF-8, so it becomes a question mark.
    return text.encode("utf-8", "replace").decode("utf-8")


def _style() -> str:
    """The style sheet with the palette written in for both themes."""
    sheet = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
    for index, theme in enumerate(("light", "dark")):
        variables = " ".join(f"--{name}: {pair[index]};" for name, pair in COLOURS.items())
        sheet = sheet.replace(f"/* {theme} palette */", variables)
    return sheet


def _body(report: Report, language: Language) -> dict[str, Any]:
    """Everything that the template shows in one language."""
    inks, chapters = arm_colours(report), _chapters(report, language)
    return {
        "language": language,
        "report": report,
        "t": partial(words.say, language=language),
        "visible": cases.visible,
        "text": lambda said: words.plain(said.text(language), 2000),
        "claims": sentences.headline(report),
        "ink": lambda arm: f"var(--{inks.get(arm, 'muted')})",
        "count": words.count,
        "chapters": chapters,
        "order": _order(report, chapters),
        "missing": _missing(report),
        "tiles": _tiles(report, language),
        "cases": cases.cases(report, language),
        "budgets": sentences.budgets(report),
        "hits": _hits(report, language),
    }


def _order(report: Report, chapters: dict[str, dict[str, Any]]) -> list[str]:
    """The chapters as they stand on the page: what was measured, cases, the paper, the appendix."""
    ours = [name for name in chapters if name != "paper"]
    return [*ours, *(["cases"] if report.cases else []), *(["paper"] if "paper" in chapters else []), "appendix"]


def _tiles(report: Report, language: Language) -> list[dict[str, Any]]:
    """The largest figures: each headline arm's average over everything."""
    found = ((arm, report.average(arm.name, "all")) for arm in report.headline_arms())
    return [
        {
            "arm": arm,
            "label": words.plain(arm.label.text(language)),
            "value": words.points(row.value),
            "interval": f"{words.points(row.low)}–{words.points(row.high)}",
        }
        for arm, row in found
        if row
    ][:4]


def _chapters(report: Report, language: Language) -> dict[str, dict[str, Any]]:
    """Charts and tables of every chapter that has something to show, by name and in order."""
    chapters: dict[str, dict[str, Any]] = {}

    def add(name: str, shown: bool, table: Callable[[], tables.Table], *drawn: tuple[charts.Chart, int, int]) -> None:
        if shown:
            figures = [_figure(report, language, chart, widths) for chart, *widths in drawn]
            chapters[name] = {"figures": figures, "table": table()}

    wide, phone = _WIDE, _PHONE
    add("headline", bool(report.averages), lambda: tables.averages(report, language), (charts.averages, wide, phone))
    radar = [(shapes.radar, 520, phone)] if has_radar(report) else []
    add("benchmarks", bool(report.scores), lambda: tables.scores(report, language), *radar, (charts.dots, wide, phone))
    add(
        "comparisons",
        bool(report.comparisons),
        lambda: tables.comparisons(report, language),
        (charts.forest, wide, phone),
    )
    add("levels", bool(report.levels), lambda: tables.levels(report, language), (charts.levels, 560, phone))
    add("budget", bool(report.arms), lambda: tables.budget(report, language))
    add("funnel", bool(report.funnel), lambda: tables.funnel(report, language), (shapes.funnel, wide, phone))
    add("contamination", bool(report.overlaps), lambda: tables.contamination(report, language))
    add("paper", report.paper and bool(report.averages), lambda: tables.paper(language), (charts.paper, wide, phone))
    return chapters


def has_radar(report: Report) -> bool:
    """Whether a radar says anything: three directions or more, and an arm that was scored on all of them."""
    axis = shapes.spokes(report)
    whole = [arm for arm in report.headline_arms() if all(report.score(arm.name, b.name) for b in axis)]
    return len(axis) >= shapes.MIN_SPOKES and bool(whole)


def _hits(report: Report, language: Language) -> list[dict[str, Any]]:
    """The hits that are spelled out, their texts made harmless."""
    return [
        {
            "where": words.plain(f"{hit.benchmark} · {hit.source}" if hit.source else hit.benchmark),
            "how": f"{words.reason(hit.method).text(language)}, {points(hit.score)}%",
            "decision": hit.decision,
            "problem": cases.visible(hit.problem),
            "words": cases.visible(hit.words),
            "benchmark_problem": cases.visible(hit.benchmark_problem),
        }
        for hit in report.hits
    ]


def _figure(report: Report, language: Language, chart: charts.Chart, widths: list[int]) -> list[Markup]:
    """One chart at its widths, widest first.  The text inside was escaped when it was drawn."""
    return [Markup(chart(report, language, width)) for width in widths]


def _missing(report: Report) -> list[str]:
    """Word keys for what this report of a run does not hold; one of contamination alone lacks nothing."""
    if report.overlaps and not (report.arms or report.funnel):
        return []
    held = {
        "averages": report.averages,
        "scores": report.scores,
        "radar": has_radar(report) or not report.scores,
        "comparisons": report.comparisons,
        "levels": report.levels,
        "budget": report.arms,
        "funnel": report.funnel,
        "cases": report.cases,
    }
    return [f"missing_{name}" for name, there in held.items() if not there]
