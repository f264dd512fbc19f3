r"""What two statements must share to be the same problem: a canonical form, and hashes of its parts.

White space, delimiters, fonts, Unicode forms and LaTeX synonyms are no difference; digits, signs and operators are.
There is no algebra: `x+1` and `1+x` differ.

    canonical(r"Find $\dfrac12 + x$.") == canonical(r"find \(\frac{1}{2}+x\)")       # True
    scanned = scan_statements(["Tom has two apples", "Tom has 2 apples"])
    scanned.keys[0, NUMBERS] == scanned.keys[1, NUMBERS]                            # True
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from limo.core.text import normalise_statement
from limo.pool.canonical import kernels, reference, scanner
from limo.pool.canonical.compiled import NUMBA

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
_WHOLE_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}")
_ASIDE = re.compile(r"\\?%|\^(?:\{\\circ\}|\\circ)|^[a-z]=(?=(?:\\frac|\\sqrt|\\pi|[^=A-Za-z])+$)")
# ^ per cent, degrees, and the `x=` of `x=4`; `y=2x` is an equation and stays
_OPTION = re.compile(r"\(?([A-Ja-j])\)?")
_DECIMAL = re.compile(r"[-+]?\d*\.\d+")
_LEADING_ZEROS = re.compile(r"^([-+]?)0+(?=\d)")
_N_CODES = 0x110000
_UNKNOWN, _REPLACED, _JOINING = range(3)

Array = Any  # of NumPy
_scan_batch = scanner.scan_batch if NUMBA else reference.scan_batch
_word_runs = kernels.word_runs if NUMBA else reference.word_runs


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned batch of statements.

    `chars` are the code points of all texts, Unicode normalised.  `keys` [n texts, 6] holds each text's hashes (columns
    `buffers.TEXT` ... `buffers.NAMES`).  `tokens` [n, 5] holds those of all texts, one after the other (columns
    `buffers.HASH` ...); those of text i end at `token_ends[i]`.  `canonical` is empty unless it was asked for.
    """

    chars: Array
    keys: Array
    tokens: Array
    token_ends: Array
    canonical: Sequence[str] = ()

    def tokens_of(self, row: int) -> Array:
        """The tokens of one text."""
        return self.tokens[int(self.token_ends[row - 1]) if row else 0 : int(self.token_ends[row])]

    def text_between(self, start: int, end: int) -> str:
        """The text between two positions of `chars`."""
        return str(self.chars[start:end].tobytes(), "utf-32-le", "surrogatepass")


def scan_statements(texts: Sequence[str], keep_canonical: bool = False) -> Scanned:
    """Scan a batch of texts."""
    chars, ends = code_points(_normaliser().normalise(texts))
    tokens, keys, token_ends, canonical_forms = _scan_batch(chars, ends, keep_canonical)
    return Scanned(chars, keys, tokens, token_ends, canonical_forms)


def canonical(text: str) -> str:
    """The text that equal problems share: no spaces but between digits, sentence marks gone, words in lower case."""
    return scan_statements([text], keep_canonical=True).canonical[0]


def word_runs(texts: Sequence[str], n: int) -> tuple[Array, Array]:
    """The runs of `n` words of each text as 32-bit hashes, and where each text's end; see `kernels.word_runs`."""
    runs: tuple[Array, Array] = _word_runs(*code_points(_lower_case_normaliser().normalise(texts)), n)
    return runs


def answer_keys(answers: Sequence[str]) -> list[str]:
    r"""What equal answers share: `\dfrac{1}{2}` and `1/2`, `5.0` and `5`, `(A)` and `A`; no mathematics beyond that."""
    texts = [answer.replace("\\boxed", "") for answer in answers]
    return [_answer_key(text) for text in scan_statements(texts, keep_canonical=True).canonical]


def _answer_key(text: str) -> str:
    text = _ASIDE.sub("", _WHOLE_FRACTION.sub(r"\1/\2", text)).strip("{}")
    option = _OPTION.fullmatch(text)
    if option:
        return option[1].upper()
    if _DECIMAL.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return _LEADING_ZEROS.sub(r"\1", text).removeprefix("+")


def normalise_unicode(text: str) -> str:
    """Raised and lowered digits, mathematical symbols and full width as the scanner reads them: LaTeX and ASCII."""
    text = _SUPERSCRIPTS.sub(lambda run: "^{" + run[0].translate(_RAISED) + "}", text)
    text = _SUBSCRIPTS.sub(lambda run: "_{" + run[0].translate(_LOWERED) + "}", text)
    return _replace_symbols(normalise_statement(_replace_symbols(text)))


def _replace_symbols(text: str) -> str:
    """Symbols as LaTeX; a substitution is several times faster than a translation where few occur."""
    return _SYMBOL.sub(lambda symbol: _SYMBOLS[symbol[0]], text)


def code_points(texts: Iterable[str]) -> tuple[Array, Array]:
    """All characters of the texts as uint32, one text after the other, and where each ends."""
    texts = list(texts)
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    chars = np.frombuffer(encoded, np.uint32).copy()  # read-only arrays would have everything compiled twice
    return chars, np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))


class UnicodeNormaliser:
    """Applies a rule for whole texts character by character, up to white space; safe to use from several threads.

    Python's own normalisation costs as much as the rest of a scan.  Nearly every character is replaced alike wherever
    it stands, so the rule is applied once to each character, when it is first seen.  Texts with characters that join
    their neighbours (accents written apart, Hangul letters), and with those of `joining`, take the rule itself.
    """

    def __init__(self, rule: Callable[[str], str], joining: Iterable[str] = ()) -> None:
        self._rule, self._joining = rule, frozenset(joining)
        self._kinds = np.zeros(_N_CODES, np.uint8)
        self._starts, self._lengths = np.zeros(_N_CODES, np.int32), np.zeros(_N_CODES, np.int32)
        self._replacements = np.empty(0, np.uint32)
        self._lock = threading.Lock()

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """The texts; ASCII ones as they are."""
        normalised = list(texts)
        rows = [row for row, text in enumerate(texts) if not text.isascii()]
        if not rows:
            return normalised
        chars, ends = code_points(texts[row] for row in rows)
        kinds = self._kinds[chars]
        if not kinds.all():
            self._learn(np.unique(chars[kinds == _UNKNOWN]).tolist())
            kinds = self._kinds[chars]
        joined = set(np.searchsorted(ends, np.flatnonzero(kinds == _JOINING), side="right").tolist())
        lengths = self._lengths[chars]
        stops = np.cumsum(lengths)
        sources = np.repeat(self._starts[chars] - stops + lengths, lengths) + np.arange(lengths.sum())
        text = self._replacements[sources].tobytes().decode("utf-32-le", "surrogatepass")
        start = 0
        for number, (row, stop) in enumerate(zip(rows, stops[ends - 1].tolist(), strict=True)):
            normalised[row] = self._rule(texts[row]) if number in joined else text[start:stop]
            start = stop
        return normalised

    def _learn(self, codes: Sequence[int]) -> None:
        with self._lock:
            for code in codes:
                if self._kinds[code] != _UNKNOWN:  # another thread was first
                    continue
                char = chr(code)
                joins = char in self._joining or _joins(char)
                written = code_points([char if joins else self._rule(f"x{char}x")[1:-1]])[0]  # the ends are stripped
                self._starts[code], self._lengths[code] = len(self._replacements), len(written)
                self._replacements = np.concatenate([self._replacements, written])
                self._kinds[code] = _JOINING if joins else _REPLACED  # last: from now on other threads read the rest


def _joins(char: str) -> bool:
    """Whether normal form KC, or lower case, may depend on what stands beside the character."""
    first = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.category(first)[0] == "M" or 0x1100 <= ord(first) <= 0x11FF or char == "Σ"


@lru_cache(maxsize=1)
def _normaliser() -> UnicodeNormaliser:
    return UnicodeNormaliser(normalise_unicode, map(chr, (*_RAISED, *_LOWERED)))


@lru_cache(maxsize=1)
def _lower_case_normaliser() -> UnicodeNormaliser:
    return UnicodeNormaliser(lambda text: normalise_statement(text).lower())
