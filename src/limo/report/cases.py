"""Drawing of case studies: rollouts on one problem side by side, with hostile text made harmless and visible.

Nothing in a model's text is markup.  Characters that would not show or would change their neighbours (NUL,
bidirectional overrides, zero-width spaces, lone surrogates, piles of accents) become code points, formulas are typeset,
and a long text is folded.  The steps of a completion are numbered; those that check or turn back are marked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from limo.core.records import Outcome
from limo.report.content import CaseRollout, Report, StepKind
from limo.report.formulas import FORMULA, typeset, typeset_match
from limo.report.words import code_point, is_hidden, one_line, verdict_reason

FOLD_CHARACTERS = 700  # shown of a completion before it is opened (our choice: about a screen)
FOLD_LINES = 14
MAX_CHARACTERS = 40_000  # of one completion on the page; phones cannot open a page of megabytes
MAX_OF_PAGE = 700_000  # of all completions on the page, which then stays under 5 MB
LEAST_CHARACTERS = 400  # of a completion, however many there are
WIDE_FORMULA = 40  # characters of a formula that may be wider than a phone, and can then be scrolled
SUMMARY = 90  # characters of a problem in the grid
MIN_GRID = 4  # cases from which on there is a grid
MAX_MARKS = 200  # hidden characters of one text that are spelled out; the rest are counted
_MAX_COMBINING = 4  # combining marks in a row that a script may need; more climb over the lines above
_SUSPECT = re.compile(r"[^\x20-\x7e\n\t\u4e00-\u9fff]")
_SIGNS: dict[Outcome, str] = {"correct": "✓", "wrong": "✗", "no_answer": "∅", "truncated": "…", "undecided": "?"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a completion: a step with its number, one that checks or turns back, or (`number` 0) what is no step."""

    text: Markup
    kind: StepKind
    number: int = 0


@dataclass(frozen=True, slots=True)
class FoldedText:
    """`head` is shown, `rest` and `tail` (`n_rest` characters) are folded, `n_left_out` between them are not there."""

    head: list[Piece]
    rest: list[Piece]
    tail: list[Piece]
    n_rest: int
    n_left_out: int


@dataclass(frozen=True, slots=True)
class RenderedRollout:
    """A rollout for the page."""

    arm: str
    label: tuple[str, str]
    outcome: Outcome
    sign: str
    extracted: Markup
    reason: tuple[str, str]
    n_tokens: int
    text: FoldedText


@dataclass(frozen=True, slots=True)
class GridCell:
    """An arm on a problem: how many of its rollouts are right, and the outcome and sign of the first."""

    arm: str
    n_correct: int
    n: int
    outcome: Outcome
    sign: str


@dataclass(frozen=True, slots=True)
class RenderedCase:
    """A case for the page; `cells` has one for each arm of the grid, None where the arm has no rollout.

    `is_study`: shown whole, before the grid.
    """

    number: int
    is_study: bool
    problem: FoldedText
    answer: Markup
    benchmark: tuple[str, str]
    level: str
    remark: tuple[str, str]
    rollouts: list[RenderedRollout]
    cells: list[GridCell | None]
    summary: Markup


def grid_arms(report: Report) -> list[str]:
    """The arms that have rollouts in cases, in the report's order."""
    used = {rollout.arm for case in report.cases for rollout in case.rollouts}
    named = [arm.name for arm in report.arms if arm.name in used]
    return named + sorted(used - set(named))


def render_cases(report: Report) -> list[RenderedCase]:
    """Every case of the report: first those with a remark, then the others, in their order."""
    labels = {benchmark.name: both(benchmark.label.en, benchmark.label.text("zh")) for benchmark in report.benchmarks}
    n_rollouts = sum(len(case.rollouts) for case in report.cases)
    limit = max(LEAST_CHARACTERS, min(MAX_CHARACTERS, MAX_OF_PAGE // max(1, n_rollouts)))
    marked = re.compile(_marked_pattern(report.check_words), re.IGNORECASE | re.DOTALL)
    plain, arms, rendered = re.compile(_marked_pattern([]), re.DOTALL), grid_arms(report), []
    for number, case in enumerate(sorted(report.cases, key=lambda case: not case.remark_en), 1):
        rollouts = [_render_rollout(report, rollout, limit, marked, plain) for rollout in case.rollouts]
        benchmark = labels.get(case.benchmark, both(case.benchmark, case.benchmark))
        remark = both(case.remark.en, case.remark.text("zh"))
        problem = fold(case.problem, min(limit, 4000), plain)
        cells = [_cell(arm, [r for r in case.rollouts if r.arm == arm]) for arm in arms]
        names = (problem, _answer(case.answer), benchmark, one_line(case.level), remark)
        is_study = bool(case.remark_en) or len(report.cases) < MIN_GRID
        rendered.append(RenderedCase(number, is_study, *names, rollouts, cells, _summary(case.problem)))
    return rendered


def _answer(text: str) -> Markup:
    return ("\\" in text and typeset(text)) or escape_text(one_line(text))


def _summary(text: str) -> Markup:
    """The first words of a problem on one line, no formula cut."""
    line = " ".join(text[:1000].split())
    most = SUMMARY if len(line) > SUMMARY else len(line)
    cut = next((m.start() for m in FORMULA.finditer(line) if m.start() < most < m.end()), most)
    pieces, start = [], 0
    for match in FORMULA.finditer(line, 0, cut):
        mathml = typeset(match[match.lastgroup or 0])
        pieces += [escape_text(line[start : match.start()]), mathml or escape_text(match.group())]
        start = match.end()
    return Markup("").join([*pieces, escape_text(line[start:cut]), Markup("…" if cut < len(line) else "")])


def both(en: str, zh: str) -> tuple[str, str]:
    """A label in both languages, on one line."""
    return one_line(en), one_line(zh)


def _cell(arm: str, rollouts: list[CaseRollout]) -> GridCell | None:
    if not rollouts:
        return None
    n_correct, first = sum(rollout.outcome == "correct" for rollout in rollouts), rollouts[0].outcome
    return GridCell(arm, n_correct, len(rollouts), first, _SIGNS[first])


def _render_rollout(
    report: Report, rollout: CaseRollout, limit: int, marked: re.Pattern[str], plain: re.Pattern[str]
) -> RenderedRollout:
    label, reason = report.arm(rollout.arm).label, verdict_reason(rollout.reason)
    return RenderedRollout(
        arm=rollout.arm,
        label=both(label.en, label.text("zh")),
        outcome=rollout.outcome,
        sign=_SIGNS[rollout.outcome],
        extracted=_answer(rollout.extracted),
        reason=both(reason.en, reason.text("zh")),
        n_tokens=rollout.n_tokens,
        text=fold(rollout.completion, limit, plain if rollout.steps else marked, rollout.steps),
    )


def fold(text: str, limit: int, marked: re.Pattern[str], steps: Sequence[tuple[int, StepKind]] = ()) -> FoldedText:
    """The text folded after about a screen, of at most `limit` characters: three quarters from its begin, the end."""
    n_left_out = max(0, len(text) - limit)
    begin, end = (limit * 3 // 4, len(text) - limit // 4) if n_left_out else (len(text), len(text))
    folded_at = _at_a_step(fold_position(text[:begin]), begin, steps)
    spans = [(0, folded_at), (folded_at, begin), (end, len(text))]
    head, rest, tail = (_pieces(text, start, stop, steps, marked) for start, stop in spans)
    return FoldedText(head, rest, tail, begin - folded_at + len(text) - end, n_left_out)


def _at_a_step(position: int, most: int, steps: Sequence[tuple[int, StepKind]]) -> int:
    """The next end of a step where one is near, so that no step is cut by the fold."""
    following = next((end for end, _ in steps if end >= position), position)
    return min(following, most) if following - position < FOLD_CHARACTERS else position


def fold_position(text: str) -> int:
    """Where to fold: after a line near FOLD_CHARACTERS characters or FOLD_LINES lines; a short text's length."""
    lines = text.split("\n", FOLD_LINES)
    n_in_lines = len(text) - len(lines[FOLD_LINES]) if len(lines) > FOLD_LINES else len(text)
    position = min(n_in_lines, FOLD_CHARACTERS)
    if len(text) - position < FOLD_CHARACTERS // 4 and text.count("\n", position) <= 4:
        return len(text)  # opening a fold to see a few short lines is more work than reading them
    return text.rfind("\n", position // 2, position) + 1 or position


def _pieces(
    text: str, start: int, stop: int, steps: Sequence[tuple[int, StepKind]], marked: re.Pattern[str]
) -> list[Piece]:
    """The part of the text from `start` to `stop`, by steps; what follows the last step is one piece."""
    pieces: list[Piece] = []
    begin = number = 0
    for end, kind in [*steps, (len(text), "")]:
        number += bool(kind)
        part = text[max(begin, start) : min(end, stop)]
        if begin < stop and (part.strip() if steps else part):
            pieces.append(Piece(_mark_up(part.rstrip() if kind else part, marked), kind, number if kind else 0))
        begin = end
    return pieces


def escape_text(text: str) -> Markup:
    """The text escaped, with everything that would not show as code points, bounded in number."""
    return Markup("").join(_escape_pieces(text))


def _escape_pieces(text: str) -> Iterator[Markup]:
    start = n_marks = n_more = 0
    position = -1
    for match in _SUSPECT.finditer(text):
        if match.start() < position:  # in a run that is marked already
            continue
        position, character = match.start(), match.group()
        if not is_hidden(character) and not _climbs(text, position):
            continue
        yield escape(text[start:position])
        start = position + 1
        while start < len(text) and text[start] == character:
            start += 1
        n, position, n_marks = start - position, start, n_marks + 1
        if n_marks > MAX_MARKS:
            n_more += n
            continue
        name, times = unicodedata.name(character, "control or unassigned"), f"×{n:,}" if n > 1 else ""
        mark = Markup('<span class="ghost" title="{}">{}</span>')
        yield mark.format(name, f"{code_point(character)}{times}")
    yield escape(text[start:])
    if n_more:
        yield Markup('<span class="ghost">⟨+{}⟩</span>').format(f"{n_more:,}")


def _climbs(text: str, position: int) -> bool:
    """Whether a combining mark follows so many others that it would stand on the lines above."""
    before = text[max(0, position - _MAX_COMBINING) : position + 1]
    return len(before) > _MAX_COMBINING and all(map(unicodedata.combining, before))


def _marked_pattern(check_words: list[str]) -> str:
    """A formula, a boxed answer (one level of inner braces), or any checking word; Latin words only whole."""
    longest_first = sorted({word for word in check_words if word.strip()}, key=lambda word: (-len(word), word))
    checks = "|".join(rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word) for word in longest_first)
    boxed = r"|(?P<boxed>\\boxed\{(?P<inner>(?:[^{}\n]|\{[^{}\n]*\})*)\})"
    return FORMULA.pattern + boxed + (f"|(?P<check>{checks})" if checks else "")


def _mark_up(text: str, marked: re.Pattern[str]) -> Markup:
    pieces, start = [], 0
    for match in marked.finditer(text):
        pieces += [escape_text(text[start : match.start()]), _element(match)]
        start = match.end()
    return Markup("").join([*pieces, escape_text(text[start:])])


def _element(match: re.Match[str]) -> Markup:
    source, groups = escape_text(match.group()), match.groupdict()
    if groups.get("boxed"):
        return Markup("<mark>{}</mark>").format(_answer(groups["inner"]) if "\\" in groups["inner"] else source)
    if match.lastgroup == "check":
        return Markup("<u>{}</u>").format(source)
    mathml = typeset_match(match)
    if mathml and len(match.group()) > WIDE_FORMULA:
        mathml = Markup('<span class="wide" tabindex="0">{}</span>').format(mathml)
    return Markup("<mark>{}</mark>" if "\\boxed" in match.group() else "{}").format(mathml or source)
