"""Case studies: rollouts on one problem side by side, with hostile text made harmless and visible.

A model's text is shown letter for letter: nothing in it is markup, characters that would not show or would change
their neighbours (NUL, bidirectional overrides, zero-width spaces, lone surrogates, piles of accents) become code
points, and a long text is folded.  Markup is added only for the final answer and the checking words of the report.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from limo.core.records import Outcome
from limo.report.content import CaseRollout, Language, Report
from limo.report.words import code_point, is_hidden, one_line

FOLD_CHARACTERS = 700  # shown of a completion before it is opened (our choice: about a screen)
FOLD_LINES = 14
MAX_CHARACTERS = 40_000  # of one completion on the page; phones cannot open a page of megabytes
_MAX_COMBINING = 4  # combining marks in a row that a script may need; more climb over the lines above
_SIGNS: dict[Outcome, str] = {"correct": "✓", "wrong": "✗", "no_answer": "∅", "truncated": "…", "undecided": "?"}


@dataclass(frozen=True, slots=True)
class RenderedRollout:
    """A rollout for the page: `head` is shown, `rest` and `tail` are folded, `n_left_out` characters are not on it."""

    arm: str
    label: str
    outcome: Outcome
    sign: str
    extracted: Markup
    reason: str
    n_tokens: int
    head: Markup
    rest: Markup
    n_rest: int
    tail: Markup
    n_left_out: int


@dataclass(frozen=True, slots=True)
class RenderedCase:
    """A case for the page."""

    problem: Markup
    answer: Markup
    benchmark: str
    level: str
    remark: str
    rollouts: list[RenderedRollout]


def render_cases(report: Report, language: Language) -> list[RenderedCase]:
    """Every case of the report, in its order."""
    labels, cases = {benchmark.name: benchmark.label.text(language) for benchmark in report.benchmarks}, []
    for case in report.cases:
        names = (one_line(labels.get(case.benchmark, case.benchmark)), one_line(case.level), case.remark.text(language))
        rollouts = [_render_rollout(report, rollout, language) for rollout in case.rollouts]
        cases.append(RenderedCase(escape_text(case.problem), escape_text(case.answer), *names, rollouts))
    return cases


def _render_rollout(report: Report, rollout: CaseRollout, language: Language) -> RenderedRollout:
    text = rollout.completion.replace("\r\n", "\n")
    n_left_out = max(0, len(text) - MAX_CHARACTERS)
    begin, tail = (text[: MAX_CHARACTERS * 3 // 4], text[-MAX_CHARACTERS // 4 :]) if n_left_out else (text, "")
    fold = fold_position(begin)
    marked = re.compile(_marked_pattern(report.check_words), re.IGNORECASE)
    return RenderedRollout(
        arm=rollout.arm,
        label=one_line(report.arm(rollout.arm).label.text(language)),
        outcome=rollout.outcome,
        sign=_SIGNS[rollout.outcome],
        extracted=escape_text(rollout.extracted),
        reason=one_line(rollout.reason),
        n_tokens=rollout.n_tokens,
        head=_mark_up(begin[:fold], marked),
        rest=_mark_up(begin[fold:], marked),
        n_rest=len(begin) - fold + len(tail),
        tail=_mark_up(tail, marked),
        n_left_out=n_left_out,
    )


def fold_position(text: str) -> int:
    """Where to fold: after a line near FOLD_CHARACTERS characters or FOLD_LINES lines; a short text's length."""
    lines = text.split("\n", FOLD_LINES)
    n_in_lines = len(text) - len(lines[FOLD_LINES]) if len(lines) > FOLD_LINES else len(text)
    position = min(n_in_lines, FOLD_CHARACTERS)
    if len(text) - position < FOLD_CHARACTERS // 4 and text.count("\n", position) <= 4:
        return len(text)  # opening a fold to see a few short lines is more work than reading them
    return text.rfind("\n", position // 2, position) + 1 or position


def escape_text(text: str) -> Markup:
    """The text escaped, with everything that would not show as code points."""
    return Markup("").join(_escape_pieces(text))


def _escape_pieces(text: str) -> Iterator[Markup]:
    start = n_combining = 0
    for position, character in enumerate(text):
        n_combining = n_combining + 1 if unicodedata.combining(character) else 0
        if is_hidden(character) or n_combining > _MAX_COMBINING:
            yield escape(text[start:position])
            name = unicodedata.name(character, "control or unassigned")
            yield Markup('<span class="ghost" title="{}">{}</span>').format(name, code_point(character))
            start = position + 1
    yield escape(text[start:])


def _marked_pattern(check_words: list[str]) -> str:
    """Boxed answers (one level of inner braces) or any checking word; Latin words only whole."""
    longest_first = sorted({word for word in check_words if word.strip()}, key=lambda word: (-len(word), word))
    checks = "|".join(rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word) for word in longest_first)
    return r"(?P<boxed>\\boxed\{(?:[^{}\n]|\{[^{}\n]*\})*\})" + (f"|(?P<check>{checks})" if checks else "")


def _mark_up(text: str, marked: re.Pattern[str]) -> Markup:
    pieces, start = [], 0
    for match in marked.finditer(text):
        tag = "mark" if match.lastgroup == "boxed" else "u"
        element = Markup(f"<{tag}>{{}}</{tag}>").format(escape_text(match.group()))
        pieces += [escape_text(text[start : match.start()]), element]
        start = match.end()
    return Markup("").join([*pieces, escape_text(text[start:])])
