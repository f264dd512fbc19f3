r"""What two statements must share to be the same problem: a canonical form, and hashes of its parts.

White space, delimiters, fonts, Unicode forms and LaTeX synonyms are no difference; digits, signs and operators are.
There is no algebra: `x+1` and `1+x` differ.

    canonical(r"Find $\dfrac12 + x$.") == canonical(r"find \(\frac{1}{2}+x\)")       # True
    scanned = scan_statements(["Tom has two apples", "Tom has 2 apples"])
    scanned.keys[0, NUMBERS] == scanned.keys[1, NUMBERS]                            # True
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limo.pool.canonical import kernels, reference, scanner
from limo.pool.canonical.compiled import NUMBA
from limo.pool.canonical.spelling import LOWER_CASE, as_written, normalise_all, respell
from limo.pool.canonical.wrappers import Unwrapped, unwrap

_WHOLE_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}")
_ASIDE = re.compile(r"\\?%|\^(?:\{\\circ\}|\\circ)|^[a-z]=(?=(?:\\frac|\\sqrt|\\pi|[^=A-Za-z])+$)")
# ^ per cent, degrees, and the `x=` of `x=4`; `y=2x` is an equation and stays
_OPTION = re.compile(r"\(?([A-Ja-j])\)?")
_DECIMAL = re.compile(r"[-+]?\d*\.\d+")
_LEADING_ZEROS = re.compile(r"^([-+]?)0+(?=\d)")

Array = Any  # of NumPy
_scan_batch = scanner.scan_batch if NUMBA else reference.scan_batch
_word_runs = kernels.word_runs if NUMBA else reference.word_runs


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned batch of statements.

    `chars` are the code points of all texts, Unicode normalised.  `keys` [n texts, 5] holds each text's hashes (columns
    `buffers.TEXT` ... `buffers.NAMES`).  `tokens` [n, 5] holds those of all texts, one after the other (columns
    `buffers.HASH` ...); those of text i end at `token_ends[i]`.  `canonical` is empty unless it was asked for, `parts`
    are what `unwrap` made of each statement.
    """

    chars: Array
    keys: Array
    tokens: Array
    token_ends: Array
    canonical: Sequence[str] = ()
    parts: Sequence[Unwrapped] = ()

    def tokens_of(self, row: int) -> Array:
        """The tokens of one text."""
        return self.tokens[int(self.token_ends[row - 1]) if row else 0 : int(self.token_ends[row])]

    def text_between(self, start: int, end: int) -> str:
        """The text between two positions of `chars`."""
        return as_written(str(self.chars[start:end].tobytes(), "utf-32-le", "surrogatepass"))


def scan_texts(texts: Sequence[str], keep_canonical: bool = False) -> Scanned:
    """Scan a batch of texts, whole."""
    return _scan(normalise_all(texts), keep_canonical)


def scan_statements(
    texts: Sequence[str],
    keep_canonical: bool = False,
    shared_wrappers: Sequence[frozenset[str]] = (),
    split_options: bool = False,
) -> Scanned:
    """Scan a batch of statements without what stands around them, and with `split_options` without their options.

    `shared_wrappers` are those of each text's source.
    """
    shared = shared_wrappers or [frozenset[str]()] * len(texts)
    parts = [unwrap(text, known, split_options) for text, known in zip(normalise_all(texts), shared, strict=True)]
    return replace(_scan([part.core for part in parts], keep_canonical), parts=parts)


def _scan(normalised: Sequence[str], keep_canonical: bool) -> Scanned:
    chars, ends = code_points(respell(normalised))
    tokens, keys, token_ends, canonical_forms = _scan_batch(chars, ends, keep_canonical)
    return Scanned(chars, keys, tokens, token_ends, canonical_forms)


def canonical(text: str) -> str:
    """The text that equal problems share: no spaces but between digits, sentence marks gone, words in lower case."""
    return scan_statements([text], keep_canonical=True).canonical[0]


def word_runs(texts: Sequence[str], n: int) -> tuple[Array, Array]:
    """The runs of `n` words of each text as 32-bit hashes, and where each text's end; see `kernels.word_runs`."""
    runs: tuple[Array, Array] = _word_runs(*code_points(LOWER_CASE.normalise(texts)), n)
    return runs


def answer_keys(answers: Sequence[str]) -> list[str]:
    r"""What equal answers share: `\dfrac{1}{2}` and `1/2`, `5.0` and `5`, `(A)` and `A`; no mathematics beyond that."""
    texts = [answer.replace("\\boxed", "") for answer in answers]
    return [_answer_key(text) for text in scan_texts(texts, keep_canonical=True).canonical]


def _answer_key(text: str) -> str:
    text = _ASIDE.sub("", _WHOLE_FRACTION.sub(r"\1/\2", text)).strip("{}")
    option = _OPTION.fullmatch(text)
    if option:
        return option[1].upper()
    if _DECIMAL.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return _LEADING_ZEROS.sub(r"\1", text).removeprefix("+")


def code_points(texts: Iterable[str]) -> tuple[Array, Array]:
    """All characters of the texts as uint32, one text after the other, and where each ends."""
    texts = list(texts)
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    chars = np.frombuffer(encoded, np.uint32).copy()  # read-only arrays would have everything compiled twice
    return chars, np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
