"""Are two answers the same?  Rules from the cheapest to the costliest, each decision naming the one that made it.

    equal("1/2", "0.5")                  # Comparison(True, "rational", ...)
    equal("\\int_0^1 x dx", "1/2").same   # None: for Math-Verify, which the caller runs in a process of its own

Of the interpretations of either text (`interpretations`), one pair that is the same is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from limo.verify.maths.compare import Comparer
from limo.verify.maths.interpretations import Interpretations, interpret
from limo.verify.maths.nodes import Listing, Quantity
from limo.verify.maths.normalise import MAX_ANSWER, WORD_CLOSE, WORD_OPEN, clean, compact
from limo.verify.maths.options import option_letters, option_text
from limo.verify.maths.scalars import DOUBLE_DIGITS
from limo.verify.maths.tables import languages
from limo.verify.maths.units import clock_times

PROSE = 2  # from so many words on an answer may be said in other words
WORDS = "words"  # the tier of answers whose words no rule compares, and Math-Verify neither
_YES_OR_NO = re.compile(
    r"\W*(?:\\text\s*\{)?\s*(yes|no|true|false|是|否|正确|错误)(?:[\s}]*\Z|\s*[,.;:，。；：—])", re.I
)
_INTEGER = re.compile(r"[-+]?\d{1,300}\Z")
_MATHS = re.compile(r"[\d\\=<>^_/+]|[A-Za-z]\s*[-(]")
_WORDS = re.compile(
    rf"{WORD_OPEN}[^{WORD_CLOSE}]*{WORD_CLOSE}|[\u3400-\u9fff]+|(?<![A-Za-z\\])(?=[A-Za-z]*[aeiou])[A-Za-z]{{3,}}"
)
_CHINESE = re.compile(r"[\u3400-\u9fff]+")
SENTENCE = 6  # words, or twice as many signs; what is shorter ("a necessary but not sufficient condition") is a name
_NAMES = re.compile(r"sin|cos|tan|cot|sec|csc|arc|log|exp|max|min|gcd|lcm|sqrt|pi|theta|alpha|beta|and|inf", re.I)
_ARTICLE = re.compile(r"(?<![\w\\])(?:an?|the)\s+(?=[A-Za-z]{3})", re.I)
_EDGES = " ,;:.，。；：、!?\"'"
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[a-zA-Z]*\*?\}(?:\{[clr|]*\})?")
_JOINS = frozenset(word for language in languages() for word in language["joins"])


class Comparison(NamedTuple):
    """Equal, different or unknown (None); the rule that decided; why, in one phrase."""

    same: bool | None
    tier: str
    reason: str
    unread: bool = False  # the completion's side was no mathematics that could be read


def equal(gold: str, pred: str, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS) -> Comparison:
    """Compare an answer with what was extracted from a completion.

    `tolerance` is relative and applies only where the answer is itself a rounded decimal;
    an exact answer is met by a decimal that rounds it rightly to `digits` significant digits or more.
    """
    gold, pred = gold.strip(), pred.strip()
    if gold == pred:
        return Comparison(True, "exact", "same string")
    if _INTEGER.match(gold) and _INTEGER.match(pred):
        return Comparison(int(gold) == int(pred), "rational", "integers")
    if max(len(gold), len(pred)) > MAX_ANSWER:
        return Comparison(None if len(gold) > MAX_ANSWER else False, "normalised", "too long for an answer")
    if compact(gold) == compact(pred) and compact(gold):
        return Comparison(True, "normalised", "same after cleaning")
    if compact(gold) in ("yes", "no") and (word := _YES_OR_NO.match(pred)):
        return Comparison(compact(word.group(1)) == compact(gold), "normalised", "first word")
    if (same_time := clock_times(gold, pred)) is not None:
        return Comparison(same_time, "normalised", "times of day")
    letters = option_letters(gold)
    if letters:
        return _same_option(gold, letters, pred)
    return _interpret_and_compare(gold, pred, partial(Comparer, tolerance, digits))


def _same_option(gold: str, letters: str, pred: str) -> Comparison:
    """A multiple choice: letters against letters; a gold such as "C. 1-i" may also be met by its text."""
    pred_letters, text = option_letters(pred, loose=True), option_text(gold)
    if pred_letters:
        pred_text = option_text(pred)
        if pred_letters == letters and len(letters) == 1 and text and pred_text and compact(text) != compact(pred_text):
            decision = _interpret_and_compare(text, pred_text)
            if decision.same is False and decision.tier in ("rational", "structural"):
                return decision
        return Comparison(set(pred_letters) == set(letters), "normalised", "letters")
    if len(text) > 1:
        return _interpret_and_compare(text, pred)
    return Comparison(False, "normalised", "not a letter")


def _interpret_and_compare(gold: str, pred: str, new_comparer: Callable[[], Comparer] = Comparer) -> Comparison:
    golds, preds = interpret(gold, from_pool=True), interpret(pred)
    unsure, reason = False, ""
    for gold_tree in golds.trees:
        for pred_tree in preds.trees:
            comparer = new_comparer()
            same = comparer.same(gold_tree, pred_tree)
            if same:
                return Comparison(True, comparer.explanation.tier, comparer.explanation.reason)
            unsure = unsure or same is None
            reason = reason or comparer.explanation.reason
    if golds.trees and preds.trees and not unsure:
        lists = any(isinstance(side.trees[0], Listing) for side in (golds, preds))
        return Comparison(False, "structural" if lists else "rational", reason)
    return _decide_unread(golds, preds, reason, new_comparer)


def _decide_unread(
    golds: Interpretations, preds: Interpretations, reason: str, new_comparer: Callable[[], Comparer]
) -> Comparison:
    """A side is no mathematics that is read here: words differ, anything else is for Math-Verify."""
    if reason.startswith("too large"):
        return Comparison(None, "guard", reason)
    unread_texts = [side.text for side in (golds, preds) if not side.trees]
    unread = not preds.trees
    if has_words(golds.text) or has_words(preds.text):
        same = same_phrase(golds.text, preds.text, new_comparer)
        if same is not None:
            return Comparison(same, "structural", "words and formulas", unread)
        quantity = any(isinstance(tree, Quantity) for tree in golds.trees)
        prose = n_words(golds.text) >= PROSE and has_words(preds.text) and not quantity
        if golds.trees and not prose:
            return Comparison(False, "normalised", "words instead of mathematics", unread)
        sentences = is_sentence(golds.text) and is_sentence(preds.text)
        if unread_texts and (sentences or (_MATHS.search(golds.text) and has_words(preds.text))):
            return Comparison(None, WORDS, "other words: for a judge", unread)
    if unread_texts and not all(_MATHS.search(side.text) for side in (golds, preds)):
        return Comparison(False, "normalised", "different words", unread)
    if unread_texts and not any("\\" in text for text in unread_texts):
        return Comparison(False if golds.trees else None, "structural", "not readable as mathematics", unread)
    return Comparison(None, "", reason or golds.failure or preds.failure, unread)


def has_words(text: str) -> bool:
    """Whether a cleaned text holds words that are no units, functions or names of Greek letters."""
    return n_words(text) > 0


def n_words(text: str) -> int:
    """How many such words a cleaned text holds."""
    words = (m.group().strip(WORD_OPEN + WORD_CLOSE + " ") for m in _WORDS.finditer(_ENVIRONMENT.sub(" ", text)))
    return sum(len(word.split()) for word in words if word not in _JOINS and not _NAMES.match(word))


def is_sentence(text: str) -> bool:
    """Whether a cleaned text is so long that other words may mean the same."""
    return n_words(text) >= SENTENCE or sum(map(len, _CHINESE.findall(text))) >= 2 * SENTENCE


def same_phrase(gold: str, pred: str, new_comparer: Callable[[], Comparer]) -> bool | None:
    """Compare two texts with words in them; None where the words differ."""
    first, second = (_parts(_ARTICLE.sub("", clean(text))) for text in (gold, pred))
    if [compact(w) for w in first[0]] != [compact(w) for w in second[0]] or not first[0]:
        return None
    return all(_same_formula(a, b, new_comparer) for a, b in zip(first[1], second[1], strict=True))


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The words, and what stands before, between and after them."""
    words, formulas, end = [], [], 0
    for match in _WORDS.finditer(text):
        words.append(match.group().strip(WORD_OPEN + WORD_CLOSE + " "))
        formulas.append(text[end : match.start()].strip(_EDGES))
        end = match.end()
    return words, [*formulas, text[end:].strip(_EDGES)]


def _same_formula(gold: str, pred: str, new_comparer: Callable[[], Comparer]) -> bool:
    if compact(gold) == compact(pred):
        return True
    return any(new_comparer().same(a, b) for a in interpret(gold).trees for b in interpret(pred).trees)
