r"""What two statements must share to be the same problem: a normal form that respects mathematics.

White space, delimiters, fonts and synonyms of LaTeX are no difference; digits, signs and operators are.  A batch of
texts is scanned once (`limo.pool.canonical.scan`), and from the scan come the things that duplicates and contamination are
judged by: the canonical text, the numbers in order, the operators, the names, and word n-grams with numbers masked.

    canonical(r"Find $\dfrac12 + x$.") == canonical(r"find \(\frac{1}{2}+x\)")       # True
    found = read(["Tom has two apples", "Tom has 2 apples"])
    found.keys[0, NUMBERS] == found.keys[1, NUMBERS]                                # True

What it does not do: algebra.  `x+1` and `1+x` are different texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from limo.core.text import normalise_statement
from limo.pool.canonical import sink
from limo.pool.canonical.folding import Folding
from limo.pool.canonical.scan import scan

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_SUBSCRIPTS = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SYMBOLS = {
    "−": "-", "‐": "-", "‑": "-", "–": "-", "—": " ", "×": r"\times ", "÷": r"\div ", "·": r"\cdot ", "⋅": r"\cdot ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ",
    "∠": r"\angle ", "△": r"\triangle ", "∈": r"\in ", "°": r"^{\circ}", "∥": r"\parallel ", "⊥": r"\perp ",
    "。": ".", "、": ",", "“": '"', "”": '"', "‘": "'", "’": "'", "\u2044": "/",
}  # fmt: skip
_SYMBOL = re.compile("[" + "".join(_SYMBOLS) + "]")

_FONTS = "text textbf textit textrm mathrm mathbf mathit mbox hbox emph operatorname"
_DROPPED = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle limits quad qquad rm bf"
)
_SYNONYMS = {
    "dfrac": r"\frac", "tfrac": r"\frac", "leq": r"\le", "leqslant": r"\le", "geq": r"\ge", "geqslant": r"\ge",
    "neq": r"\ne", "lbrace": r"\{", "rbrace": r"\}", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lt": "<",
    "gt": ">", "to": r"\rightarrow", "degree": r"\circ", "ldots": r"\dots", "cdots": r"\dots", "dotsc": r"\dots",
    "dotsb": r"\dots",
}  # fmt: skip
_ACCENTS = "overline bar hat vec tilde"
_ALONE = "circ degree prime infty pi alpha beta gamma theta perp top ast star prime"  # commands without arguments
_OPERATORS = "times div le ge ne cdot pm mp"
_HEADINGS = "problem question example exercise"
_POINTS = "point points mark marks"
_WORDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
          "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]  # fmt: skip
_TENS = ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"]
NUMBER_WORDS = {word: str(n) for n, word in enumerate(_WORDS, start=2)} | {
    word: str(10 * n) for n, word in enumerate(_TENS, start=3)
}  # `one` is a pronoun too, and no number
_OPENERS = (
    "a after all also an and any are as assume assuming at before both but by calculate can compute consider define "
    "denote describe determine did do does during each either enter evaluate every expand express factor finally find "
    "first five following for from give given he hence her here his how however i if in initially is it its let many "
    "my next no note now of on one out over please prove round she show simplify since sketch so solve some suppose "
    "that the their then there therefore these they this those through to today together under use using was we were "
    "what when where which while who whose why with write you your"
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_WHOLE_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}")
_ASIDE = re.compile(r"\\?%|\^(?:\{\\circ\}|\\circ)|^[a-z]=(?=(?:\\frac|\\sqrt|\\pi|[^=A-Za-z])+$)")
# ^ per cent, degrees, and the `x=` of `x=4`; `y=2x` is an equation and stays
_OPTION = re.compile(r"\(?([A-Ja-j])\)?")
_DECIMAL = re.compile(r"[-+]?\d*\.\d+")
_LEADING_ZEROS = re.compile(r"^([-+]?)0+(?=\d)")

Array = Any  # of NumPy


@dataclass(frozen=True, slots=True)
class Read:
    """A batch of texts as the scanner sees them.

    `chars` are the code points of all texts, folded.  `keys` [n texts, 6] holds each text's hashes (columns `sink.TEXT`
    ... `sink.NAMES`).  `tokens` [n, 5] holds those of all texts, one after the other (columns `sink.HASH` ...); those
    of text i end at `token_ends[i]`.
    """

    chars: Array
    keys: Array
    tokens: Array
    token_ends: Array
    canonical: tuple[str, ...] = ()

    def of(self, row: int) -> Array:
        """The tokens of one text."""
        return self.tokens[int(self.token_ends[row - 1]) if row else 0 : int(self.token_ends[row])]

    def spelled(self, row: int) -> list[str]:
        """The tokens of one text as it writes them, in lower case."""
        return [self.written(*ends).lower() for ends in self.of(row)[:, sink.START : sink.END + 1].tolist()]

    def written(self, start: int, end: int) -> str:
        """What stands between two places of the folded texts."""
        return str(self.chars[start:end].tobytes(), "utf-32-le", "surrogatepass")


def read(texts: Sequence[str], keep: bool = False) -> Read:
    """Scan a batch of texts; `keep` spells their canonical forms out."""
    chars, ends = _folding().batch(texts)
    longest = chars.size if keep else int(np.diff(ends, prepend=0).max(initial=0))
    # Nothing grows more than `1/2`, whose three characters become twelve, and it has no more tokens than characters.
    work = np.zeros(sink.OUT + 4 * longest + 16, np.int64)
    tokens = np.empty((chars.size + 8, sink.N_COLUMNS), np.uint64)
    keys, ended = np.empty((len(texts), sink.N_KEYS), np.uint64), np.empty((len(texts), 2), np.int64)
    scan(chars, ends, _lexicon(), work, tokens, keys, ended, keep)
    n = int(work[sink.N_TOKENS])
    return Read(chars, keys, tokens[:n], ended[:, 0], _spelled(work, ended[:, 1]) if keep else ())


@lru_cache(maxsize=1)
def _folding() -> Folding:
    raised, lowered = ({chr(one): chr(other) for one, other in each.items()} for each in (_RAISED, _LOWERED))
    return Folding(plain, raised, lowered)


def plain(text: str) -> str:
    """Unicode folded to what the scanner reads: raised and lowered digits, symbols as LaTeX, full width as plain."""
    text = _SUPERSCRIPTS.sub(lambda match: "^{" + match[0].translate(_RAISED) + "}", text)
    text = _SUBSCRIPTS.sub(lambda match: "_{" + match[0].translate(_LOWERED) + "}", text)
    return _symbols(normalise_statement(_symbols(text)))


def _symbols(text: str) -> str:
    """Symbols as LaTeX has them; a substitution is several times faster than a translation where few occur."""
    return _SYMBOL.sub(lambda match: _SYMBOLS[match[0]], text)


def canonical(text: str) -> str:
    """The text that equal problems share: no spaces but between digits, sentence marks gone, words in lower case."""
    return canonicals([text])[0]


def canonicals(texts: Sequence[str]) -> tuple[str, ...]:
    """The canonical form of each text."""
    return read(texts, keep=True).canonical


def plain_words(text: str) -> list[str]:
    """Lower-case words between white space, Han characters one by one: what kindred projects' n-gram rules count."""
    return _HAN.sub(r" \g<0> ", normalise_statement(text).lower()).split()


def plain_answer(answer: str) -> str:
    r"""An answer as a key: `\dfrac{1}{2}` and `1/2` meet, `5.0` and `5`, `(A)` and `A`; no mathematics beyond that."""
    return plain_answers([answer])[0]


def plain_answers(answers: Sequence[str]) -> list[str]:
    """The key of each answer."""
    return [_answer(text) for text in canonicals([answer.replace("\\boxed", "") for answer in answers])]


def _answer(text: str) -> str:
    text = _ASIDE.sub("", _WHOLE_FRACTION.sub(r"\1/\2", text)).strip("{}")
    option = _OPTION.fullmatch(text)
    if option:
        return option[1].upper()
    if _DECIMAL.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return _LEADING_ZEROS.sub(r"\1", text).removeprefix("+")


def _spelled(work: Array, ends: Array) -> tuple[str, ...]:
    stops = ends.tolist()
    whole = work[: stops[-1] if stops else 0].astype(np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
    return tuple(whole[start:end] for start, end in zip([sink.OUT, *stops[:-1]], stops, strict=False))


@lru_cache(maxsize=1)
def _lexicon() -> Array:
    """The word lists as the scanner wants them: a table by hash, and what a word is as flags."""
    commands = [
        (_FONTS, sink.IS_FONT), (_DROPPED, sink.IS_DROPPED), (_ACCENTS, sink.IS_ACCENT), (_ALONE, sink.IS_ALONE),
        (" ".join(_SYNONYMS), sink.IS_SYNONYM), (_OPERATORS, sink.IS_OPERATOR), ("frac", sink.IS_FRACTION),
        ("sqrt", sink.IS_ROOT),
    ]  # fmt: skip
    words = [
        (" ".join(NUMBER_WORDS), sink.IS_NUMBER), (_OPENERS, sink.IS_OPENER), (_HEADINGS, sink.IS_HEADING),
        (_POINTS, sink.IS_POINTS),
    ]  # fmt: skip
    rows: dict[int, list[int]] = {}
    for kind, lists in ((sink.COMMAND, commands), (sink.WORD, words)):
        for text, flag in lists:
            for word in text.split():
                row = rows.setdefault(_hash(word, kind), [0, 0] + [0] * sink.N_SPELLED)
                row[0] |= flag
                if flag == sink.IS_NUMBER:
                    row[1] = _hash(NUMBER_WORDS[word], sink.NUMBER)
                if flag == sink.IS_SYNONYM:
                    row[2 : 2 + len(_SYNONYMS[word])] = map(ord, _SYNONYMS[word])
    table = np.zeros((4 + sink.N_SPELLED, sink.N_SLOTS + len(rows)), np.uint64)
    table[sink.L_VALUE, 0], table[sink.L_SPELLED, 0] = _hash("frac", sink.COMMAND), _hash("dots", sink.COMMAND)
    for hashed, row in rows.items():
        slot = 1 + hashed % sink.N_SLOTS
        while table[sink.L_HASH, slot]:
            slot += 1
        table[:, slot] = [hashed, *row, 0]
    return table


def _hash(word: str, kind: int) -> int:
    chars = np.frombuffer(word.encode("utf-32-le"), dtype=np.uint32)
    return int(sink.hash_of(chars, 0, len(word), kind, False))
