"""The report as one self-contained HTML page: both languages, both themes, a phone and paper, no network.

Charts are drawn for each language and for two widths; the style sheet shows the one that fits.  Texts of models and of
pools stand on the page once, under labels in both languages.  A content security policy forbids everything but the
page's own style and script (named by its hash), so a model's text could not run even if it got through the escaping.
Without the script the page is whole, in the language it opens in; the script sorts tables and filters the grid.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from limo.core.errors import InputError
from limo.core.files import storage_errors, write_text
from limo.report import tables, words
from limo.report.cases import MIN_GRID, FoldedText, both, escape_text, fold, grid_arms, render_cases
from limo.report.charts import paper, scores
from limo.report.charts.drawing import COLORS, Drawing, arm_colors, chinese_fonts, style_sheet
from limo.report.charts.funnel import draw_funnel
from limo.report.charts.series import draw_chart
from limo.report.content import LANGUAGES, ChartRow, HitRow, Language, Report
from limo.report.store import check
from limo.report.tables import Table

_TEMPLATES = Path(__file__).parent / "templates"
_WIDE, _PHONE = 760, 344  # CSS pixels: the column of the page, and what a 390 pixel phone leaves
MAX_OF_HITS = 600_000  # characters of all contamination pairs on the page
TILES_ABREAST = (5, 3)  # headline cards in a row, on a wide page and on a phone
HITS_SHOWN = 6  # pairs that stand open; the others are folded (our choice)
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter in one language: charts (a caption, and each of its widths, widest first) and tables of numbers.

    `nav`: its entry in the table of contents, the words that its title begins with.
    """

    name: str
    title: str
    nav: str
    lead: str
    charts: list[tuple[str, list[Drawing]]]
    tables: list[Table]
    is_open: bool = False
    claims: list[str] = field(default_factory=list)
    predictions: list[tuple[str, str]] = field(default_factory=list)


def write(report: Report, path: str | Path, language: Language = "en") -> None:
    """Write the page to `path`, atomically.  Raises InputError (content) or StorageError (disk)."""
    write_text(path, render(report, language))


def write_charts(report: Report, folder: str | Path, language: Language = "en") -> list[Path]:
    """Write every chart as SVG and PNG and every table as CSV into `folder`; the files.

    Raises InputError for charts in Chinese where no font draws it, StorageError.
    """
    check(report)
    if language == "zh" and not chinese_fonts():
        do = "install one, for example: apt-get install fonts-noto-cjk"
        raise InputError("no installed font draws Chinese", "language zh", "a CJK font, or language en", do)
    folder, files = Path(folder), []
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for chapter in _chapters(report, language):
        for _, drawings in chapter.charts:
            files += drawings[0].write(folder)
        for number, table in enumerate(chapter.tables, 1):
            files.append(folder / f"{chapter.name}-{number}-{language}.csv")
            write_text(files[-1], tables.to_csv(table), errors="replace")
    return files


def render(report: Report, language: Language = "en") -> str:
    """The whole page; `language` is the one it opens in.  The same report gives the same bytes."""
    if language not in LANGUAGES:
        raise InputError("the page has no such language", language, known=LANGUAGES, do="name one of them")
    check(report)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    how: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, finalize=words.shown, **how)
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    colors, cases = arm_colors(report), render_cases(report)
    text = templates.get_template("page.html.j2").render(
        opens_in=language,
        report=report,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(style_sheet(_TEMPLATES / "page.css")),
        bodies=[_body(report, each) for each in LANGUAGES],
        both=_in_both,
        escape=escape_text,
        count=words.count,
        color=lambda arm: f"var(--{colors.get(arm, arm if arm in COLORS else 'muted')})",
        cases=cases,
        studies=[case for case in cases if case.is_study],
        has_grid=len(cases) >= MIN_GRID,
        arms=[report.arm(name) for name in grid_arms(report)],
        hits=list(_fold_hits(report.hits)),
        hits_shown=HITS_SHOWN,
        has_steps=any(rollout.steps for case in report.cases for rollout in case.rollouts),
        first_rollout=lambda case, arm: 1 + next(k for k, row in enumerate(case.rollouts) if row.arm == arm),
        word=words.word,
        one_line=words.one_line,
        points=words.points,
        drop_reason=lambda reason: both(words.drop_reason(reason).en, words.drop_reason(reason).text("zh")),
    )
    # A label may hold a lone surrogate, which UTF-8 cannot (completions are escaped); it becomes a question mark.
    return text.encode("utf-8", "replace").decode("utf-8")


def _in_both(key: str, **values: object) -> Markup:
    """A word in both languages, of which the style sheet shows one."""
    en, zh = (escape(words.word(key, language, **values)) for language in LANGUAGES)
    return Markup(f'<span class="t" lang="en">{en}</span><span class="t" lang="zh-CN">{zh}</span>')


def _body(report: Report, language: Language) -> dict[str, Any]:
    """Everything that the template shows in one language."""
    colors, chapters = arm_colors(report), _chapters(report, language)
    tiles = [(arm, row) for arm in report.headline_arms() if (row := report.average(arm.name, "all"))]
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
        "chapters": [chapter for chapter in chapters if chapter.name != "paper"],
        "paper": next((chapter for chapter in chapters if chapter.name == "paper"), None),
        "first_predicted": next((chapter.name for chapter in chapters if chapter.predictions), ""),
        "missing": _missing(report),
        "tiles": tiles,
        "tiles_of": scores.group_name(report, "all", language),
        "tile_columns": [_columns(len(tiles), most) for most in TILES_ABREAST],
        "budgets": words.budget_claims(report),
    }


def _columns(n: int, most: int) -> int:
    """How many of `n` cards stand abreast, at most `most`, so that the rows are as even as can be."""
    n_rows = -(-n // most)
    return -(-n // n_rows) if n else 1


def _chapters(report: Report, language: Language) -> list[Chapter]:
    """Every chapter with something to show, in order: results, questions, budgets and funnel, details, the paper."""
    radar: list[tuple[scores.Chart, int]] = [(scores.draw_radar, 520)] if scores.has_radar(report) else []
    charts: dict[str, list[tuple[scores.Chart, int]]] = {
        "headline": [(scores.draw_averages, _WIDE)],
        "benchmarks": [*radar, (scores.draw_scores, _WIDE)],
        "comparisons": [(scores.draw_comparisons, _WIDE)],
        "levels": [(scores.draw_levels, 560)],
        "funnel": [(draw_funnel, _WIDE)],
    }
    measured = [
        Chapter(
            name,
            *_titles(name, language, report),
            [("", [draw(report, language, w) for w in (wide, _PHONE)]) for draw, wide in charts.get(name, [])],
            [make_table(report, language)],
            is_open=name in ("benchmarks", "budget", "contamination"),
        )
        for name, (part, make_table) in tables.CHAPTERS.items()
        if getattr(report, part) and (part != "arms" or report.is_trained)
    ]
    own = {kind: list(_sections(report, kind, language)) for kind in ("question", "detail")}
    before = [chapter for chapter in measured if chapter.name not in tables.AFTER_QUESTIONS]
    after = [chapter for chapter in measured if chapter.name in tables.AFTER_QUESTIONS]
    published = [_paper_chapter(report, language)] if report.paper and report.averages else []
    return [*before, *own["question"], *after, *own["detail"], *published]


def _titles(name: str, language: Language, report: Report) -> tuple[str, str, str]:
    title, lead = (words.word(f"{part}_{name}", language) for part in ("chapter", "lead"))
    if name == "benchmarks" and any(row.group == "out-of-domain" for row in report.benchmarks):
        lead += words.word("lead_out-of-domain", language)
    return title, _nav(title), lead


def _nav(title: str) -> str:
    """What a title begins with, up to its colon."""
    return words.one_line(re.split(": |：", title)[0], 32)


def _sections(report: Report, kind: str, language: Language) -> Iterator[Chapter]:
    for section in report.sections:
        if section.kind != kind:
            continue
        charts = [
            (words.one_line(chart.title.text(language)), _drawings(chart, f"{section.name}-{number}", language))
            for number, chart in enumerate(section.charts, 1)
        ]
        title = words.one_line(section.title.text(language))
        yield Chapter(
            section.name,
            title,
            _nav(title),
            words.one_line(section.lead.text(language), 1000),
            charts,
            [
                *(tables.data_table(table, language) for table in section.tables),
                *(tables.chart_table(chart, language) for chart in section.charts),
            ],
            is_open=not charts,
            claims=[words.one_line(claim.text(language), 1000) for claim in section.claims],
            predictions=[(p.outcome, words.one_line(p.text.text(language), 1000)) for p in section.predictions],
        )


def _drawings(chart: ChartRow, name: str, language: Language, widths: Sequence[int] = (_WIDE, _PHONE)) -> list[Drawing]:
    return [draw_chart(chart, f"{name}-{language}-{width}", language, width) for width in widths]


def _paper_chapter(report: Report, language: Language) -> Chapter:
    """Our averages beside the paper's, then the two figures of its first page redrawn from the shipped data."""
    charts = [("", [paper.draw_paper(report, language, width) for width in (_WIDE, _PHONE)])]
    ours = ("ours", report, paper.in_domain_bars(report))
    sides = (ours, ("theirs", paper.published_report(), paper.published_bars()))
    for who, _, bars in sides:
        title = words.word("part_of", language, whole=words.word(who, language), part=bars.title.text(language))
        charts.append((title, _drawings(bars, f"paper-{who}", language, (_PHONE,))))
    for who, content, _ in sides if scores.has_radar(report) else sides[1:]:
        title = words.word("part_of", language, whole=words.word(who, language), part=words.word("radar", language))
        charts.append((title, [scores.draw_radar(content, language, _PHONE, f"paper-{who}-radar")]))
    return Chapter("paper", *_titles("paper", language, report), charts, [tables.paper_table(report, language)])


def _fold_hits(hits: list[HitRow]) -> Iterator[tuple[HitRow, list[tuple[str, FoldedText]]]]:
    """Contamination pairs with their texts folded, each of them bounded so that all together are."""
    limit = max(200, min(4000, MAX_OF_HITS // max(1, 2 * len(hits))))
    for hit in hits[: MAX_OF_HITS // 400]:
        marked = re.compile(f"(?P<check>{re.escape(hit.words)})") if 0 < len(hit.words) <= 400 else _NOTHING
        texts = (("pool_text", hit.problem), ("benchmark_text", hit.benchmark_problem), ("shared_words", hit.words))
        yield hit, [(key, fold(text, limit, marked if key != "shared_words" else _NOTHING)) for key, text in texts]


def _missing(report: Report) -> list[str]:
    """Word keys for what this report of a lab does not hold; a report of another run lacks nothing."""
    if not report.is_trained and (report.overlaps or report.funnel or report.sections):
        return []
    parts = ("averages", "scores", "radar", "comparisons", "levels", "arms", "funnel", "cases")
    has_radar = scores.has_radar(report) or not report.scores
    return [f"missing_{part}" for part in parts if not (has_radar if part == "radar" else getattr(report, part))]
