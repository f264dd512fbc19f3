r"""What two statements must share to be the same problem: a canonical form, and hashes of its parts.

White space, delimiters, fonts, Unicode forms and LaTeX synonyms are no difference; digits, signs and operators are.
There is no algebra: `x+1` and `1+x` differ.

    canonical(r"Find $\dfrac12 + x$.") == canonical(r"find \(\frac{1}{2}+x\)")       # True
    scanned = scan_statements(["Tom has two apples", "Tom has 2 apples"])
    scanned.keys[0, NUMBERS] == scanned.keys[1, NUMBERS]                            # True
"""

from __future__ import annotations

import re
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
_S = r"[\x00-\x20$&~\x7f]*"  # white space
_POINTS = re.compile(rf"\({_S}[0-9]{{1,3}}{_S}(?:分|(?i:points?|marks?)){_S}\)")
_HEADING = re.compile(  # `Problem 5.`, `例3`, `12.`
    rf"{_S}(?:(?:例|题|(?i:problem|question|example|exercise)){_S}[0-9]{{1,4}}(?![0-9])"
    rf"(?:{_S}[.):]{_S}|[\x00-\x20$&~\x7f]+)"
    rf"|[0-9]{{1,3}}(?![0-9]){_S}[.)][\x00-\x20$&~\x7f]++(?![0-9]))"
)
_THOUSANDS = re.compile(r"(?<=[0-9])(?:,|\{,\})(?=[0-9]{3}(?![0-9]))")
_FRACTION = re.compile(rf"(?<![A-Za-z0-9_^./}}\\])([0-9]+){_S}/{_S}([0-9]+)(?:(?![A-Za-z0-9_./{{])|(?=\.(?![0-9])))")
_SHORT_FRACTION = re.compile(rf"(\\[dt]?frac){_S}([0-9]){_S}([0-9])?")
_ACCENTED = re.compile(
    rf"(\\(?:overline|bar|hat|vec|tilde)){_S}\{{([A-Za-z])\}}{_S}_{_S}(\{{[^{{}}]*\}}|[A-Za-z0-9]|\\[A-Za-z]+)"
)
_WHOLE_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}")
_ASIDE = re.compile(r"\\?%|\^(?:\{\\circ\}|\\circ)|^[a-z]=(?=(?:\\frac|\\sqrt|\\pi|[^=A-Za-z])+$)")
# ^ per cent, degrees, and the `x=` of `x=4`; `y=2x` is an equation and stays
_OPTION = re.compile(r"\(?([A-Ja-j])\)?")
_JOINS = "\ufffe"  # no character: stands for one that joins its neighbours
_DECIMAL = re.compile(r"[-+]?\d*\.\d+")
_LEADING_ZEROS = re.compile(r"^([-+]?)0+(?=\d)")

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
    chars, ends = code_points(map(respell, _normaliser().normalise(texts)))
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


def respell(text: str) -> str:
    r"""Statement marks dropped, and one spelling of numbers and LaTeX: `1/2` and `\frac12` as `\frac{1}{2}`."""
    if heading := _HEADING.match(text):
        text = text[heading.end() :]
    if "(" in text:
        text = _POINTS.sub(" ", text)
    if "," in text:
        text = _THOUSANDS.sub("", text)
    if "/" in text:
        text = _FRACTION.sub(r"\\frac{\1}{\2}", text)
    if "frac" in text:
        text = _SHORT_FRACTION.sub(_braced_digits, text)
    return _ACCENTED.sub(_index_inside, text) if "}" in text and "_" in text else text


def _braced_digits(fraction: re.Match[str]) -> str:
    return fraction[1] + "".join(f"{{{digit}}}" for digit in fraction.groups()[1:] if digit)


def _index_inside(accented: re.Match[str]) -> str:
    return f"{accented[1]}{{{accented[2]}_{accented[3]}}}"


def _replace_symbols(text: str) -> str:
    """Symbols as LaTeX; a substitution is several times faster than a translation where few occur."""
    return _SYMBOL.sub(lambda symbol: _SYMBOLS[symbol[0]], text)


def code_points(texts: Iterable[str]) -> tuple[Array, Array]:
    """All characters of the texts as uint32, one text after the other, and where each ends."""
    texts = list(texts)
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    chars = np.frombuffer(encoded, np.uint32).copy()  # read-only arrays would have everything compiled twice
    return chars, np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))


class UnicodeNormaliser(dict[int, str]):
    """Applies a rule for whole texts character by character, up to white space.

    A character is replaced alike wherever it stands, so the rule is applied once to each, when it is first seen.
    Texts with characters that join their neighbours (accents apart, Hangul letters, those of `joining`) take the rule.
    """

    def __init__(self, rule: Callable[[str], str], joining: Iterable[str] = ()) -> None:
        super().__init__(dict.fromkeys(map(ord, joining), _JOINS))
        self._rule = rule

    def normalise(self, texts: Iterable[str]) -> list[str]:
        """The texts; ASCII ones as they are."""
        return [text if text.isascii() else self._normalised(text) for text in texts]

    def _normalised(self, text: str) -> str:
        replaced = text.translate(self)
        return self._rule(text) if _JOINS in replaced else replaced

    def __missing__(self, code: int) -> str:
        char = chr(code)
        first = unicodedata.normalize("NFKD", char)[0]
        joins = unicodedata.category(first)[0] == "M" or 0x1100 <= ord(first) <= 0x11FF or char == "Σ"
        self[code] = _JOINS if joins else self._rule(f"x{char}x")[1:-1]  # the ends are stripped
        return self[code]


@lru_cache(maxsize=1)
def _normaliser() -> UnicodeNormaliser:
    return UnicodeNormaliser(normalise_unicode, map(chr, (*_RAISED, *_LOWERED)))


@lru_cache(maxsize=1)
def _lower_case_normaliser() -> UnicodeNormaliser:
    return UnicodeNormaliser(lambda text: normalise_statement(text).lower())
