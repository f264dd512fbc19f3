"""The report as one self-contained HTML page: both languages, both themes, a phone and paper, no network.

Charts are drawn for each language and for two widths; the style sheet shows the one that fits.  A content security
policy forbids everything but the page's own style and script (named by its hash), so a model's text could not run
even if it got through the escaping.

    write(report, "runs/lab/report.html", language="zh")
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
from limo.report import tables, words
from limo.report.cases import escape_text, render_cases
from limo.report.charts import scores
from limo.report.charts.drawing import COLORS, arm_colors
from limo.report.charts.funnel import draw_funnel
from limo.report.charts.radar import draw_radar, has_radar
from limo.report.content import LANGUAGES, Language, Report, check

TableMaker = Callable[[Report, Language], tables.Table]
_TEMPLATES = Path(__file__).parent / "templates"
_WIDE, _PHONE = 760, 344  # CSS pixels: the column of the page, and what a 390 pixel phone leaves


def write(report: Report, path: str | Path, language: Language = "en") -> None:
    """Write the page to `path`, atomically.  Raises InputError (content) or StorageError (disk)."""
    text = render(report, language)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def render(report: Report, language: Language = "en") -> str:
    """The whole page; `language` is the one it opens in.  The same report gives the same bytes."""
    if language not in LANGUAGES:
        raise InputError("the page has no such language", language, " or ".join(LANGUAGES), "name one of them")
    check(report)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    text = templates.get_template("page.html.j2").render(
        opens_in=language,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(_style_sheet()),
        bodies=[_body(report, each) for each in LANGUAGES],
    )
    # A label may hold a lone surrogate, which UTF-8 cannot (completions are escaped); it becomes a question mark.
    return text.encode("utf-8", "replace").decode("utf-8")


def _style_sheet() -> str:
    """The style sheet with the palette written in for both themes."""
    sheet = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
    for index, theme in enumerate(("light", "dark")):
        variables = " ".join(f"--{name}: {pair[index]};" for name, pair in COLORS.items())
        sheet = sheet.replace(f"/* {theme} palette */", variables)
    return sheet


def _body(report: Report, language: Language) -> dict[str, Any]:
    """Everything that the template shows in one language."""
    colors, chapters = arm_colors(report), _chapters(report, language)
    measured = [name for name in chapters if name != "paper"]
    cases, paper = ["cases"] if report.cases else [], ["paper"] if "paper" in chapters else []
    return {
        "language": language,
        "report": report,
        "word": partial(words.word, language=language),
        "escape": escape_text,
        "text": lambda localized: words.one_line(localized.text(language), 2000),
        "claims": words.headline_claims(report),
        "color": lambda arm: f"var(--{colors.get(arm, 'muted')})",
        "count": words.count,
        "chapters": chapters,
        "order": [*measured, *cases, *paper, "appendix"],
        "missing": _missing(report),
        "tiles": _tiles(report, language),
        "cases": render_cases(report, language),
        "budgets": words.budget_claims(report),
        "hits": _hits(report, language),
    }


def _tiles(report: Report, language: Language) -> list[dict[str, Any]]:
    """The largest figures: each headline arm's average over all benchmarks."""
    averages = ((arm, report.average(arm.name, "all")) for arm in report.headline_arms())
    return [
        {
            "arm": arm,
            "label": words.one_line(arm.label.text(language)),
            "value": words.points(row.value),
            "interval": f"{words.points(row.low)}–{words.points(row.high)}",
        }
        for arm, row in averages
        if row
    ][:4]


def _chapters(report: Report, language: Language) -> dict[str, dict[str, Any]]:
    """Charts and tables of every chapter that has something to show, by name and in order."""
    radar: list[tuple[scores.Chart, int]] = [(draw_radar, 520)] if has_radar(report) else []
    parts: list[tuple[str, Any, TableMaker, list[tuple[scores.Chart, int]]]] = [
        ("headline", report.averages, tables.averages_table, [(scores.draw_averages, _WIDE)]),
        ("benchmarks", report.scores, tables.scores_table, [*radar, (scores.draw_scores, _WIDE)]),
        ("comparisons", report.comparisons, tables.comparisons_table, [(scores.draw_comparisons, _WIDE)]),
        ("levels", report.levels, tables.levels_table, [(scores.draw_levels, 560)]),
        ("budget", report.arms, tables.budget_table, []),
        ("funnel", report.funnel, tables.funnel_table, [(draw_funnel, _WIDE)]),
        ("contamination", report.overlaps, tables.contamination_table, []),
        ("paper", report.paper and report.averages, tables.paper_table, [(scores.draw_paper, _WIDE)]),
    ]
    return {
        name: {
            # a chart at its widths, widest first; the text inside was escaped when it was drawn
            "figures": [[Markup(draw(report, language, width)) for width in (wide, _PHONE)] for draw, wide in charts],
            "table": make_table(report, language),
        }
        for name, rows, make_table, charts in parts
        if rows
    }


def _hits(report: Report, language: Language) -> list[dict[str, Any]]:
    """The contaminated problems that are shown with both texts."""
    return [
        {
            "where": words.one_line(f"{hit.benchmark} · {hit.source}" if hit.source else hit.benchmark),
            "how": f"{words.drop_reason(hit.method).text(language)}, {words.points(hit.score)}%",
            "decision": hit.decision,
            "problem": escape_text(hit.problem),
            "words": escape_text(hit.words),
            "benchmark_problem": escape_text(hit.benchmark_problem),
        }
        for hit in report.hits
    ]


def _missing(report: Report) -> list[str]:
    """Word keys for what this report of a run does not hold; one of contamination alone lacks nothing."""
    if report.overlaps and not (report.arms or report.funnel):
        return []
    parts = {
        "averages": report.averages,
        "scores": report.scores,
        "radar": has_radar(report) or not report.scores,
        "comparisons": report.comparisons,
        "levels": report.levels,
        "budget": report.arms,
        "funnel": report.funnel,
        "cases": report.cases,
    }
    return [f"missing_{name}" for name, is_there in parts.items() if not is_there]
