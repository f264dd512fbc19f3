r"""What two statements must share to be the same problem: a canonical form, and hashes of its parts.

White space, delimiters, fonts, Unicode forms and LaTeX synonyms are no difference; digits, signs and operators are.
There is no algebra: `x+1` and `1+x` differ.

    canonical(r"Find $\dfrac12 + x$.") == canonical(r"find \(\frac{1}{2}+x\)")       # True
    scanned = scan_statements(["Tom has two apples", "Tom has 2 apples"])
    scanned.keys[0, NUMBERS] == scanned.keys[1, NUMBERS]                            # True
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from limo.core.records import Problem
from limo.pool.canonical import kernels, scanner
from limo.pool.canonical.characters import code_points
from limo.pool.canonical.spelling import as_written, respell
from limo.pool.canonical.unicode_forms import LOWER_CASE, normalise_all
from limo.pool.canonical.wrappers import Unwrapped, unwrap_all

_WHOLE_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}")
_ASIDE = re.compile(r"\\?%|\^(?:\{\\circ\}|\\circ)|^[a-z]=(?=(?:\\frac|\\sqrt|\\pi|[^=A-Za-z])+$)")
# ^ per cent, degrees, and the `x=` of `x=4`; `y=2x` is an equation and stays
_OPTION = re.compile(r"\(?([A-Ja-j])\)?")
_SUM = re.compile(r".[-+]|\\pm")
_RATIONAL = re.compile(r"[-+]?(?:\d{0,15}\.)?\d{1,15}|[-+]?\d{1,15}/0*[1-9]\d{0,14}", re.ASCII)
_LEADING_ZEROS = re.compile(r"^([-+]?)0+(?=\d)")

Array = Any  # of NumPy
BATCH = 512  # texts that are scanned together: few enough for their arrays to stay in the processor's cache
_UNWRAPPED_TOGETHER = 8 * BATCH  # a search of a batch has a cost of its own


class Stated(NamedTuple):
    """What the steps over shards read of a problem: a million `Problem`s take seconds to make."""

    id: str
    problem: str
    answer: str
    options: list[str] | None
    source: str

    @classmethod
    def of_table(cls, table: Any) -> list[Stated]:
        """The rows of a shard's table, in order."""
        columns = (table.column(name).to_pylist() for name in cls._fields)
        return list(map(cls._make, zip(*columns, strict=True)))


AnyProblem = Problem | Stated


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned batch of statements.

    `chars` are the code points of all texts, Unicode normalised.  `keys` [n texts, 5] holds each text's hashes (columns
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
        return as_written(str(self.chars[start:end].tobytes(), "utf-32-le", "surrogatepass"))


def scan_texts(texts: Sequence[str], keep_canonical: bool = False) -> Scanned:
    """Scan a batch of normalised texts, whole."""
    chars, ends = code_points(respell(texts))
    tokens, keys, token_ends, canonical_forms = scanner.scan_batch(chars, ends, keep_canonical)
    return Scanned(chars, keys, tokens, token_ends, canonical_forms)


def scan_statements(texts: Sequence[str], keep_canonical: bool = False) -> Scanned:
    """Scan a batch of statements without what stands around them."""
    return scan_texts([part.whole for part in unwrap_all(normalise_all(texts))], keep_canonical)


def scan_problems(
    problems: Sequence[AnyProblem], shared_wrappers: Sequence[frozenset[str]] = (), with_options: bool = False
) -> Iterator[tuple[slice, list[Unwrapped], Scanned]]:
    """The same in batches: which rows, their parts, and the scan; one empty batch where there is no problem.

    `shared_wrappers` are those of each problem's source.  Without `with_options` the options are left out too.
    """
    for first in range(0, max(len(problems), 1), _UNWRAPPED_TOGETHER):
        block = problems[first : first + _UNWRAPPED_TOGETHER]
        parts = unwrap_all(
            normalise_all(problem.problem for problem in block), shared_wrappers[first : first + len(block)]
        )
        for row, (problem, part) in enumerate(zip(block, parts, strict=True)):
            if problem.options and not part.options:
                parts[row] = part._replace(options=tuple(normalise_all(filter(None, problem.options))))
        for start in range(0, max(len(parts), 1), BATCH):
            batch = parts[start : start + BATCH]
            scanned = scan_texts([part.whole if with_options else part.core for part in batch])
            yield slice(first + start, first + start + len(batch)), batch, scanned


def canonical(text: str) -> str:
    """The text that equal problems share: no spaces but between digits, sentence marks gone, words in lower case."""
    return scan_statements([text], keep_canonical=True).canonical[0]


def word_runs(texts: Sequence[str], n: int) -> tuple[Array, Array]:
    """The runs of `n` words of each text as 32-bit hashes, and where each text's end; see `kernels.word_runs`."""
    runs: tuple[Array, Array] = kernels.word_runs(*code_points(LOWER_CASE.normalise(texts)), n)
    return runs


def answer_keys(answers: Sequence[str]) -> list[str]:
    r"""What equal answers share: `\dfrac{1}{2}`, `2/4` and `0.5`, `5.0` and `5`, `(A)` and `A`; nothing beyond that."""
    texts = [answer.replace("\\boxed", "") for answer in answers]
    return [_answer_key(text) for text in scan_texts(normalise_all(texts), keep_canonical=True).canonical]


def _answer_key(text: str) -> str:
    text = _ASIDE.sub("", _WHOLE_FRACTION.sub(_quotient, text)).strip("{}")
    option = _OPTION.fullmatch(text)
    if option:
        return option[1].upper()
    if _RATIONAL.fullmatch(text):
        return str(Fraction(text))  # 1.5 and 3/2 are one number
    return _LEADING_ZEROS.sub(r"\1", text).removeprefix("+")


def _quotient(fraction: re.Match[str]) -> str:
    return "/".join(f"({part})" if _SUM.search(part) else part for part in fraction.groups())
