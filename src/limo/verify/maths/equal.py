"""Are two answers the same?  Rules from the cheapest to the costliest, each decision naming the one that made it.

    equal("1/2", "0.5")                  # Comparison(True, "rational", ...)
    equal("\\int_0^1 x dx", "1/2").same   # None: for Math-Verify, which the caller runs in a process of its own

Of the interpretations of either text (`interpretations`), one pair that is the same is enough.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from limo.verify.maths.arithmetic import Undecidable, check_time, limited_time
from limo.verify.maths.compare import Comparer
from limo.verify.maths.interpretations import Interpretations, interpret
from limo.verify.maths.nodes import Listing, Node, Quantity
from limo.verify.maths.normalise import MAX_ANSWER, WORD_CLOSE, WORD_OPEN, clean, compact
from limo.verify.maths.notations import differ_in_case, same_formula_of_elements, same_proposition
from limo.verify.maths.options import option_letters, option_text
from limo.verify.maths.scalars import Rules
from limo.verify.maths.tables import languages
from limo.verify.maths.times import read_range, same_time

_QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_QUOTED_LIST = re.compile(rf"\[\s*{_QUOTED}(?:\s*,\s*{_QUOTED})*\s*\]")  # as pools of JSON store several answers
_VALUE_TWICE = re.compile(r"(.*\S)\s+\((.+)\)")
_SPACING = re.compile(r"[\s$\\{}~,]|left|right|displaystyle")
_ASKS = "(?:find|valueof|whatis|compute|calculate|determine|evaluate|求|则)(?:the)?(?:value|valueof|sum|product|of)*"
_BETWEEN_NAMES = re.compile(r"\s*(?:[,;、，]|\band\b|&|和|与|及)+\s*")
_NAME = re.compile(r"[^\W\d_][^\W\d_.'-]+(?:\s[^\W\d_]+){0,3}")
DEFAULT_RULES = Rules()
PROSE = 2  # from so many words on an answer may be said in other words
WORDS = "words"  # the tier of answers whose words no rule compares, and Math-Verify neither
NO_MATHS = "words instead of mathematics"  # the reason where the answer is mathematics and the completion none
_YES_OR_NO = re.compile(
    r"\W*(?:\\text\s*\{)?\s*(yes|no|true|false|是|否|正确|错误)(?:[\s}]*\Z|\s*[,.;:，。；：—])", re.I
)
_OPPOSITES = {"yes": "no", "true": "false", "是": "否", "正确": "错误"}
_OPPOSITES |= {other: word for word, other in _OPPOSITES.items()}
_BEFORE_WORD = (
    r"(?:\A|[,.;:!?，。；：！？—()]|\b(?:actually|maybe|perhaps|rather|or|and|but|then)\b|其实)"
    r"[\s}]*(?:\\text\s*\{\s*)?"
)
_TAKES_BACK = re.compile(
    r"\b(?:wait|actually|scratch that|on second thoughts?|not really|not quite|just kidding|take (?:that|it) back)\b"
    r"|其实|等等|不对",
    re.I,
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
_RESTRICTS = re.compile(r"[<>=≤≥]|\\(?:[lg]eq?|neq?)(?![A-Za-z])|\b(?:positive|negative|prime)\b")
_SPLITS, _OF_ALL = re.compile(r"\b(?:odd|even|otherwise)\b"), re.compile(r"\b(?:all|any|every|each)\b|\\forall")
_COUNTS_OR_CONSTANTS = frozenset("klmncCK")  # `n >= 1` and `c > 0` only say what these letters stand for
_OF_VECTORS = ("\\nabla", "\\curl", "\\divergence", "\\cross")
_JOINS = frozenset(word for language in languages() for word in language["joins"])


class Comparison(NamedTuple):
    """Equal, different or unknown (None); the rule that decided; why, in one phrase."""

    same: bool | None
    tier: str
    reason: str
    unread: bool = False  # the completion's side was no mathematics that could be read


_OF_TEXTS = ((same_time, "dates and times"), (same_formula_of_elements, "formula"), (same_proposition, "truth table"))


def equal(gold: str, pred: str, rules: Rules = DEFAULT_RULES, time_s: float = 2.0) -> Comparison:
    """Compare an answer with what was extracted from a completion; undecided past `time_s` of processor time."""
    gold, pred = key_of(gold.strip()), pred.strip()
    if gold == pred:
        return Comparison(True, "exact", "same string")
    if _INTEGER.match(gold) and _INTEGER.match(pred):
        return Comparison(int(gold) == int(pred), "rational", "integers")
    if max(len(gold), len(pred)) > MAX_ANSWER:
        return Comparison(None if len(gold) > MAX_ANSWER else False, "normalised", "too long for an answer")
    if gold.isupper() and differ_in_case(gold, pred, rules.statement):
        return Comparison(None, "guard", "a chemical formula or a word")
    if compact(gold) == compact(pred) and compact(gold):
        return Comparison(True, "normalised", "same after cleaning")
    if (word := _YES_OR_NO.match(gold)) and (other := _YES_OR_NO.match(pred)):
        return _same_first_word(word[1], other[1], pred[other.end(1) :])
    for rule, reason in _OF_TEXTS:
        if (same := rule(gold, pred, rules.statement)) is not None:
            return Comparison(same, "normalised", reason)
    try:
        with limited_time(time_s):
            return _by_structure(gold, pred, rules)
    except Undecidable as error:
        return Comparison(None, "guard", str(error))


def _same_first_word(gold: str, pred: str, rest: str) -> Comparison:
    """Yes or no, true or false; unless the rest of the completion says the opposite too, or takes it back."""
    opposite = _OPPOSITES[pred.lower()]
    both = re.search(rf"{_BEFORE_WORD}{opposite}(?=[\s}}]*(?:\Z|[,.;:!?，。；：！？—)]))", rest, re.I)
    if taken_back := _TAKES_BACK.search(rest):
        return Comparison(None, WORDS, f"{taken_back[0]!r} behind its first word")
    if both:
        return Comparison(False, "normalised", f"{pred} and {opposite}")
    return Comparison(compact(gold) == compact(pred), "normalised", "first word")


def _by_structure(gold: str, pred: str, rules: Rules) -> Comparison:
    if letters := option_letters(gold):
        return _same_option(gold, letters, pred)
    ranges = read_range(gold), read_range(pred)
    if ranges[0] and ranges[1]:
        same = all(_same_formula(a, b, rules) for a, b in zip(ranges[0], ranges[1], strict=True))
        return Comparison(same, "structural", "the ends of a range")
    pred = asked_value(pred, rules.statement) or pred
    comparison = _interpret_and_compare(gold, pred, rules)
    if any(ranges) and comparison.same:
        return Comparison(None, "guard", "a range against a value")
    twice = _VALUE_TWICE.fullmatch(clean(pred)) if pred.rstrip("$ .").endswith(")") else None
    if comparison.same is False and twice and all(_same_formula(gold, part, rules) for part in twice.groups()):
        return Comparison(True, comparison.tier, "its value in two ways")
    return comparison


def key_of(text: str) -> str:
    """An answer that is stored as a list of strings (`["3", "5"]`), as the list it is."""
    if len(text) > MAX_ANSWER or not _QUOTED_LIST.fullmatch(text):
        return text
    return ", ".join(item[1:-1].replace("\\\\", "\\") for item in re.findall(_QUOTED, text))


def asked_value(text: str, statement: str) -> str:
    """The value in `m+n = 5` where the problem asks for m+n; "" where it does not."""
    left, sign, right = text.partition("=")
    if not sign or not statement:
        return ""
    asked, name = (_SPACING.sub("", part) for part in (statement, left))
    return right if re.search(rf"(?:{_ASKS}){re.escape(name)}(?![\w^_+*/=-])", asked, re.I) else ""


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


def _interpret_and_compare(gold: str, pred: str, rules: Rules = DEFAULT_RULES) -> Comparison:
    golds, preds = interpret(gold, from_pool=True), interpret(pred)
    unsure, reason, undecidable = False, "", ""
    for gold_tree in golds.trees:
        for pred_tree in preds.trees:
            comparer = Comparer(rules)
            same, explanation = comparer.same(gold_tree, pred_tree), comparer.explanation
            doubts = golds.is_doubtful and gold_tree is not golds.trees[0]
            if same and (doubts or (preds.is_doubtful and pred_tree is not preds.trees[0])):
                return Comparison(None, "guard", "a list or one number")
            if same and _other_conditions(golds, preds, gold_tree):
                return Comparison(None, "guard", "other conditions")
            if same:
                return Comparison(True, explanation.tier, explanation.reason)
            unsure = unsure or same is None
            undecidable = undecidable or (explanation.reason if explanation.is_final else "")
            reason = reason or explanation.reason
    if undecidable and unsure:
        return Comparison(None, "guard", undecidable)
    if golds.trees and preds.trees and not unsure:
        lists = any(isinstance(side.trees[0], Listing) for side in (golds, preds))
        return Comparison(False, "structural" if lists else "rational", reason, unread=bool(golds.qualifier))
    return _decide_unread(golds, preds, reason, rules)


def _other_conditions(golds: Interpretations, preds: Interpretations, gold: Node) -> bool:
    """Whether both name other conditions, or the completion restricts a letter of a key that has none."""
    if golds.qualifier and preds.qualifier:
        return compact(golds.qualifier) != compact(preds.qualifier)
    letters = gold.symbols.intersection(re.findall(r"[A-Za-z]+", preds.qualifier))
    if golds.qualifier or not letters or _OF_ALL.search(preds.qualifier):
        return False
    restricts = _RESTRICTS.search(preds.qualifier) and letters - _COUNTS_OR_CONSTANTS
    return bool(restricts or _SPLITS.search(preds.qualifier))


def _decide_unread(golds: Interpretations, preds: Interpretations, reason: str, rules: Rules) -> Comparison:
    """A side is no mathematics that is read here: words differ, anything else is for Math-Verify."""
    if (sets := [name_list(side.text) for side in (golds, preds)]) and all(sets):
        return Comparison(sets[0] == sets[1], "structural", "names")
    unread_texts = [side.text for side in (golds, preds) if not side.trees]
    unread = not preds.trees
    if n_words(golds.text) or n_words(preds.text):
        same = same_phrase(golds.text, preds.text, rules)
        if same is not None:
            return Comparison(same, "structural", "words and formulas", unread)
        quantity = any(isinstance(tree, Quantity) for tree in golds.trees)
        prose = n_words(golds.text) >= PROSE and n_words(preds.text) and not quantity
        if golds.trees and not prose:
            return Comparison(False, "normalised", NO_MATHS, unread)
        sentences = is_sentence(golds.text) and is_sentence(preds.text)
        if unread_texts and (sentences or (_MATHS.search(golds.text) and n_words(preds.text))):
            return Comparison(None, WORDS, "other words: for a judge", unread)
    if unread_texts and not all(_MATHS.search(side.text) for side in (golds, preds)):
        return Comparison(False, "normalised", "different words", unread)
    if unread_texts and not any("\\" in text for text in unread_texts):
        return Comparison(False if golds.trees else None, "structural", "not readable as mathematics", unread)
    if any(sign in side.text for side in (golds, preds) for sign in _OF_VECTORS):
        return Comparison(None, "guard", "products of vectors, which Math-Verify does not tell apart", unread)
    return Comparison(None, "", reason or golds.failure or preds.failure, unread)


def name_list(text: str) -> frozenset[str]:
    """The names in `Alice and Bob`, "" where the text is anything else."""
    names = _BETWEEN_NAMES.split(text.replace(WORD_OPEN, " ").replace(WORD_CLOSE, " "))
    compacted = [compact(name) for name in names]
    is_list = len(names) > 1 and all(_NAME.fullmatch(name.strip()) for name in names)
    return frozenset(compacted) if is_list and len(set(compacted)) == len(names) else frozenset()


def n_words(text: str) -> int:
    """How many words a cleaned text holds that are no units, functions or names of Greek letters."""
    words = (m.group().strip(WORD_OPEN + WORD_CLOSE + " ") for m in _WORDS.finditer(_ENVIRONMENT.sub(" ", text)))
    return sum(len(word.split()) for word in words if word not in _JOINS and not _NAMES.match(word))


def is_sentence(text: str) -> bool:
    """Whether a cleaned text is so long that other words may mean the same."""
    return n_words(text) >= SENTENCE or sum(map(len, _CHINESE.findall(text))) >= 2 * SENTENCE


def same_phrase(gold: str, pred: str, rules: Rules) -> bool | None:
    """Compare two texts with words in them; None where the words differ."""
    first, second = (_parts(_ARTICLE.sub("", clean(text))) for text in (gold, pred))
    if [compact(w) for w in first[0]] != [compact(w) for w in second[0]] or not first[0]:
        return None
    return all(_same_formula(a, b, rules) for a, b in zip(first[1], second[1], strict=True))


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The words, and what stands before, between and after them."""
    words, formulas, end = [], [], 0
    for match in _WORDS.finditer(text):
        words.append(match.group().strip(WORD_OPEN + WORD_CLOSE + " "))
        formulas.append(text[end : match.start()].strip(_EDGES))
        end = match.end()
    return words, [*formulas, text[end:].strip(_EDGES)]


def _same_formula(gold: str, pred: str, rules: Rules) -> bool:
    check_time()
    if compact(gold) == compact(pred):
        return True
    return any(Comparer(rules).same(a, b) for a in interpret(gold).trees for b in interpret(pred).trees)
