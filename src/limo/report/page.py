"""The report as one self-contained HTML page: both languages, both themes, a phone and paper, no network.

Charts are drawn for each language and for two widths; the style sheet shows the one that fits.  A content security
policy forbids everything but the page's own style and script (named by its hash), so a model's text could not run
even if it got through the escaping.
"""

from __future__ import annotations

import base64
import hashlib
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
from limo.report.content import LANGUAGES, Language, Report
from limo.report.store import check

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

    how: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, **how)
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
        "points": words.points,
        "one_line": words.one_line,
        "drop_reason": words.drop_reason,
        "chapters": chapters,
        "order": [*measured, *cases, *paper, "appendix"],
        "missing": _missing(report),
        "tiles": [(arm, row) for arm in report.headline_arms() if (row := report.average(arm.name, "all"))][:4],
        "cases": render_cases(report, language),
        "budgets": words.budget_claims(report),
    }


def _chapters(report: Report, language: Language) -> dict[str, dict[str, Any]]:
    """Charts (each at its widths, widest first) and tables of every chapter with something to show, in order."""
    radar: list[tuple[scores.Chart, int]] = [(scores.draw_radar, 520)] if scores.has_radar(report) else []
    charts: dict[str, list[tuple[scores.Chart, int]]] = {
        "headline": [(scores.draw_averages, _WIDE)],
        "benchmarks": [*radar, (scores.draw_scores, _WIDE)],
        "comparisons": [(scores.draw_comparisons, _WIDE)],
        "levels": [(scores.draw_levels, 560)],
        "funnel": [(draw_funnel, _WIDE)],
        "paper": [(scores.draw_paper, _WIDE)],
    }
    shown = {name: make_table for name, (part, make_table) in tables.CHAPTERS.items() if getattr(report, part)}
    shown |= {"paper": tables.paper_table} if report.paper and report.averages else {}
    return {
        name: {
            # the text inside a chart was escaped when it was drawn
            "figures": [
                [Markup(draw(report, language, w).svg()) for w in (wide, _PHONE)] for draw, wide in charts.get(name, [])
            ],
            "table": make_table(report, language),
        }
        for name, make_table in shown.items()
    }


def _missing(report: Report) -> list[str]:
    """Word keys for what this report of a run does not hold; one of contamination alone lacks nothing."""
    if report.overlaps and not (report.arms or report.funnel):
        return []
    parts = ("averages", "scores", "radar", "comparisons", "levels", "arms", "funnel", "cases")
    has_radar = scores.has_radar(report) or not report.scores
    return [f"missing_{part}" for part in parts if not (has_radar if part == "radar" else getattr(report, part))]
