"""Case studies: attempts on one problem side by side, with hostile text made harmless and visible.

A model's text is shown letter for letter: nothing in it is markup, characters that would not show or would turn
their neighbours around (NUL, bidirectional overrides, zero-width spaces, lone surrogates, piles of accents) are
spelled out as code points, and a long text is folded, not cut.  Only what the report itself adds is markup: the
final answer is marked, and the checking words that the grade counted are underlined.

    shown = cases(report, "en")[0]
    shown.attempts[0].head        # Markup, safe to put into a page

What it does not do: choose cases, or judge them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from limo.core.records import Outcome
from limo.report.content import Attempt, Case, Language, Report
from limo.report.words import hidden, plain, spelled

FOLD = 700  # characters of a completion that stand open; the rest folds (our choice: about a screen beside another)
FOLD_LINES = 14
HOLD = 40_000  # characters of one completion on the page; a page of megabytes opens on no phone
_PILE = 4  # combining marks in a row that some script may need; more climb over the lines above
_SIGNS: dict[Outcome, str] = {"correct": "✓", "wrong": "✗", "no_answer": "∅", "truncated": "…", "undecided": "?"}


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """An attempt ready for the page: `head` stands open, `rest` folds, `n_left_out` characters are not on the page."""

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
class ShownCase:
    """A case ready for the page."""

    problem: Markup
    answer: Markup
    benchmark: str
    level: str
    remark: str
    attempts: list[ShownAttempt]


def cases(report: Report, language: Language) -> list[ShownCase]:
    """Every case of the report, in its order."""
    return [_case(report, case, language) for case in report.cases]


def _case(report: Report, case: Case, language: Language) -> ShownCase:
    benchmark = next((b.label.text(language) for b in report.benchmarks if b.name == case.benchmark), case.benchmark)
    attempts = [_attempt(report, attempt, language) for attempt in case.attempts]
    return ShownCase(
        visible(case.problem),
        visible(case.answer),
        plain(benchmark),
        plain(case.level),
        case.remark.text(language),
        attempts,
    )


def _attempt(report: Report, attempt: Attempt, language: Language) -> ShownAttempt:
    text = attempt.completion.replace("\r\n", "\n")
    n_left_out = max(0, len(text) - HOLD)
    middle, tail = (text[: HOLD * 3 // 4], text[-HOLD // 4 :]) if n_left_out else (text, "")
    cut = fold_at(middle)
    dress = re.compile(_pattern(report.check_words), re.IGNORECASE)
    return ShownAttempt(
        attempt.arm,
        plain(report.arm(attempt.arm).label.text(language)),
        attempt.outcome,
        _SIGNS[attempt.outcome],
        visible(attempt.extracted),
        plain(attempt.reason),
        attempt.n_tokens,
        _dressed(middle[:cut], dress),
        _dressed(middle[cut:], dress),
        len(middle) - cut + len(tail),
        _dressed(tail, dress),
        n_left_out,
    )


def fold_at(text: str) -> int:
    """Where a text folds: after a line near `FOLD` characters or `FOLD_LINES` lines; its length if it is short."""
    lines = text.split("\n", FOLD_LINES)
    place = min(len(text) - len(lines[FOLD_LINES]) if len(lines) > FOLD_LINES else len(text), FOLD)
    if len(text) - place < FOLD // 4 and text.count("\n", place) <= 4:
        return len(text)  # a fold that hides a few short lines costs more than it saves
    return text.rfind("\n", place // 2, place) + 1 or place


def visible(text: str) -> Markup:
    """The text escaped, with everything that would not show spelled out."""
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterator[Markup]:
    start, pile = 0, 0
    for place, character in enumerate(text):
        pile = pile + 1 if unicodedata.combining(character) else 0
        if hidden(character) or pile > _PILE:
            yield escape(text[start:place])
            name = unicodedata.name(character, "control or unassigned")
            yield Markup('<span class="ghost" title="{}">{}</span>').format(name, spelled(character))
            start = place + 1
    yield escape(text[start:])


def _pattern(check_words: list[str]) -> str:
    """Boxed answers (one level of inner braces) or any checking word; Latin words only whole."""
    ordered = sorted({word for word in check_words if word.strip()}, key=lambda word: (-len(word), word))
    found = [rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word) for word in ordered]
    return r"(?P<boxed>\\boxed\{(?:[^{}\n]|\{[^{}\n]*\})*\})" + (f"|(?P<check>{'|'.join(found)})" if found else "")


def _dressed(text: str, dress: re.Pattern[str]) -> Markup:
    parts, start = [], 0
    for match in dress.finditer(text):
        tag = "mark" if match.lastgroup == "boxed" else "u"
        parts += [visible(text[start : match.start()]), Markup(f"<{tag}>{{}}</{tag}>").format(visible(match.group()))]
        start = match.end()
    return Markup("").join([*parts, visible(text[start:])])
