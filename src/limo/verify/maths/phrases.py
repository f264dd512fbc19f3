"""Answers that mix words and formulas: the same words in the same places, and the same mathematics between them.

    same_phrase("40 份礼物, 8 个苹果", "40份礼物，8个苹果", Comparer)      # True
    same_phrase("odd $n > 3$", "odd $n > 5$", Comparer)                # False
    same_phrase("the ball is faster", "the cube is slower", Comparer)  # None: other words, for a judge

Math-Verify does not judge such answers: it reads one formula out of them and drops the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from limo.verify.maths.compare import Comparer
from limo.verify.maths.interpretations import interpret
from limo.verify.maths.normalise import WORD_CLOSE, WORD_OPEN, clean, compact
from limo.verify.maths.tables import languages

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
