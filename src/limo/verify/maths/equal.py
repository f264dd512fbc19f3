"""Are two answers the same?  Tiers from the cheapest certainty to the dearest, each naming itself.

    equal("1/2", "0.5")                  # Decision(True, "rational", ...)
    equal("(0,1)", "(0,1]").same         # False
    equal("\\\\int_0^1 x dx", "1/2").same   # None: for Math-Verify

`same` is None where this module cannot tell; the caller then asks Math-Verify in a child (`check.Checker`).  Every
text may have several interpretations (see `interpretations`): the answers are the same when one pair of them is.

What it does not do: start a process, or accept "about the same": a tolerance is relative, off by default, and never
applied to an exact answer; a rounded decimal meets an exact answer from `digits` significant digits on (15: a double).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from limo.verify.maths.compare import Comparer
from limo.verify.maths.interpretations import Interpretations, interpret
from limo.verify.maths.normalise import MAX_ANSWER, compact
from limo.verify.maths.options import option_letters, option_text
from limo.verify.maths.phrases import has_words, is_sentence, n_words, same_phrase
from limo.verify.maths.units import clock_times
from limo.verify.process.limits import DOUBLE_DIGITS

PROSE = 2  # from so many words on an answer may be said in other words
WORDS = "words"  # the tier of answers whose words no rule compares, and Math-Verify neither
_YES_OR_NO = re.compile(
    r"\W*(?:\\text\s*\{)?\s*(yes|no|true|false|是|否|正确|错误)(?:[\s}]*\Z|\s*[,.;:，。；：—])", re.I
)
_INTEGER = re.compile(r"[-+]?\d{1,300}\Z")
_MATHS = re.compile(r"[\d\\=<>^_/+]|[A-Za-z]\s*[-(]")


class Decision(NamedTuple):
    """Equal, different or unknown; the rule that decided; one phrase of why."""

    same: bool | None
    tier: str
    reason: str
    unread: bool = False  # the completion's side was no mathematics that could be read


def equal(gold: str, pred: str, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS) -> Decision:
    """Compare an answer with what was extracted from a completion.

    `tolerance` is relative and applies only where the answer is itself a rounded decimal;
    an exact answer is met by a decimal that rounds it rightly to `digits` significant digits or more.
    """
    gold, pred = gold.strip(), pred.strip()
    if gold == pred:
        return Decision(True, "exact", "same string")
    if _INTEGER.match(gold) and _INTEGER.match(pred):
        return Decision(int(gold) == int(pred), "rational", "integers")
    if max(len(gold), len(pred)) > MAX_ANSWER:
        return Decision(None if len(gold) > MAX_ANSWER else False, "normalised", "too long for an answer")
    if compact(gold) == compact(pred) and compact(gold):
        return Decision(True, "normalised", "same after cleaning")
    if compact(gold) in ("yes", "no") and (word := _YES_OR_NO.match(pred)):
        return Decision(compact(word.group(1)) == compact(gold), "normalised", "first word")
    if (times := clock_times(gold, pred)) is not None:
        return Decision(times, "normalised", "times of day")
    letters = option_letters(gold)
    if letters:
        return _choice(gold, letters, pred)
    return _read_and_compare(gold, pred, partial(Comparer, tolerance, digits))


def _choice(gold: str, letters: str, pred: str) -> Decision:
    """A multiple choice: letters against letters; a gold such as "C. 1-i" may also be met by its text."""
    said = option_letters(pred, loose=True)
    if said:
        texts = option_text(gold), option_text(pred)
        if said == letters and len(letters) == 1 and all(texts) and compact(texts[0]) != compact(texts[1]):
            found = _read_and_compare(*texts)
            if found.same is False and found.tier in ("rational", "structural"):
                return found
        return Decision(set(said) == set(letters), "normalised", "letters")
    rest = option_text(gold)
    if len(rest) > 1:
        return _read_and_compare(rest, pred)
    return Decision(False, "normalised", "not a letter")


def _read_and_compare(gold: str, pred: str, compare: Callable[[], Comparer] = Comparer) -> Decision:
    golds, preds = interpret(gold, from_pool=True), interpret(pred)
    unsure, best = False, ""
    for first in golds.trees:
        for second in preds.trees:
            comparer = compare()
            same = comparer.same(first, second)
            if same:
                return Decision(True, comparer.tier, comparer.reason)
            unsure = unsure or same is None
            best = best or comparer.reason
    if golds.trees and preds.trees and not unsure:
        return Decision(False, "structural" if "seq" in (golds.trees[0][0], preds.trees[0][0]) else "rational", best)
    return _unread(golds, preds, best, compare)


def _unread(golds: Interpretations, preds: Interpretations, best: str, compare: Callable[[], Comparer]) -> Decision:
    """One side is no mathematics that we read: words differ, anything else is for Math-Verify."""
    if best.startswith("too large"):
        return Decision(None, "guard", best)
    unread = [side for side in (golds, preds) if not side.trees]
    if has_words(golds.text) or has_words(preds.text):
        same = same_phrase(golds.text, preds.text, compare)
        prose = n_words(golds.text) >= PROSE and has_words(preds.text) and not any(t[0] == "unit" for t in golds.trees)
        if same is None and golds.trees and not prose:
            return Decision(False, "normalised", "words instead of mathematics", unread=not preds.trees)
        if same is not None:
            return Decision(same, "structural", "words and formulas", unread=not preds.trees)
        told = is_sentence(golds.text) and is_sentence(preds.text)
        if unread and (told or (_MATHS.search(golds.text) and has_words(preds.text))):
            return Decision(None, WORDS, "other words: for a judge", unread=not preds.trees)
    for side, other in ((golds, preds), (preds, golds)):
        if not side.trees and (not _MATHS.search(side.text) or not _MATHS.search(other.text)):
            return Decision(False, "normalised", "different words", unread=not preds.trees)
    if unread and not any("\\" in side.text for side in unread):
        return Decision(
            False if golds.trees else None, "structural", "not readable as mathematics", unread=not preds.trees
        )
    return Decision(None, "", best or golds.why or preds.why, unread=not preds.trees)
