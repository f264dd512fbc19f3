"""What dedup needs of a problem, and no more: a print of a few hundred bytes instead of the text.

Equal texts have equal `text`, possible rewordings equal `group`, siblings share a band; `rank` says which of several
copies is the better one.  A pool of any size is then a matter of sorting numbers.

    taken = prints(Columns.of(problems), 3, [])
    taken.text[0].tolist() == taken.text[1].tolist()        # the same problem, whatever its typography

What it does not do: decide; `dedup` has the rules.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limo.core.errors import InputError
from limo.core.records import Problem
from limo.core.text import content_hash
from limo.pool import likeness
from limo.pool.canonical import sink
from limo.pool.canonical.normal import plain_answers, read

Array = Any  # of NumPy
BATCH = 512  # problems that are read together: few enough for what is read to stay in the processor's cache
_MIX, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_LETTER = re.compile(r"\s*(?:\\(?:text|textbf|mathrm)\s*\{)?\s*\(?([A-J])\)?\s*\}?\s*")
_LONGEST = (1 << 40) - 1
_ID = re.compile("[0-9a-f]{16}")
_KEYS: dict[str, int] = {}  # of answers seen lately: a pool's answers are mostly small numbers, again and again
_MOST_KEYS = 200_000


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a batch of problems."""

    ids: Sequence[str]
    problems: Sequence[str]
    answers: Sequence[str]
    solution_lengths: Sequence[int]
    sources: Sequence[str]

    @classmethod
    def of(cls, pool: Sequence[Problem]) -> Columns:
        """The columns of problems in memory."""
        lengths = [len(one.solution) for one in pool]
        return cls(
            [one.id for one in pool], [one.problem for one in pool], [one.answer for one in pool], lengths,
            [one.source for one in pool],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prints:
    """The prints of n problems.

    `rank` [n, 3] sorts the better copy first; `text` [n, 2] hashes the canonical text; `group` [n] hashes numbers,
    operators and names; `grams` and `gram_ends` are the n-grams; `bands` [n, 16] and `sketches` [n, 80] (one byte a
    minimum) are for siblings.  Answers are not here: they are read only of problems that share `text` or `group`.
    """

    rank: Array
    text: Array
    group: Array
    grams: Array
    gram_ends: Array
    bands: Array
    sketches: Array

    @classmethod
    def joined(cls, parts: Sequence[Prints]) -> Prints:
        """The prints of several batches as one."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__}
        before = np.cumsum([0] + [len(part.grams) for part in parts[:-1]])
        ends = [part.gram_ends + start for part, start in zip(parts, before, strict=True)]
        return cls(**{**columns, "gram_ends": np.concatenate(ends)})

    def order(self) -> Array:
        """The places of all problems, the best first."""
        return np.lexsort((self.rank[:, 2], self.rank[:, 1], self.rank[:, 0]))


def prints(columns: Columns, n: int, prefer: Sequence[str]) -> Prints:
    """The prints of a batch, with n-grams of `n` words; copies of `prefer`red sources rank first, best source first."""
    found = read(columns.problems)
    group = found.keys[:, sink.NUMBERS]
    for column in (found.keys[:, sink.OPERATORS], found.keys[:, sink.NAMES]):
        group = mixed(group, column)
    grams, ends = likeness.grams(found.tokens, found.token_ends, n, True)
    least = likeness.minima(grams, ends, likeness.permutations(likeness.N_MINIMA))
    text = _texts(columns.problems, found.keys[:, sink.TEXT : sink.TEXT_2 + 1])
    bands = likeness.band_keys(least, likeness.N_BANDS, likeness.N_ROWS)
    empty = np.diff(ends, prepend=0) == 0
    bands[empty] = text[empty, :1]  # no words: alike to nothing but itself
    return Prints(_ranks(columns, prefer), text, group, grams, ends, bands, (least & 255).astype(np.uint8))


def mixed(hashed: Array, more: Array) -> Array:
    """One more column into a column of hashes."""
    both = (hashed ^ more) * _MIX
    return both ^ (both >> _HALF)


def _texts(problems: Sequence[str], keys: Array) -> Array:
    """The keys of the canonical texts; a text without letters or digits has an empty one, and its own stands for it."""
    text = np.ascontiguousarray(keys)
    for row in np.flatnonzero(text[:, 0] == sink.SEED).tolist():
        text[row] = int(content_hash(problems[row]), 16), 0
    return text


def _ranks(columns: Columns, prefer: Sequence[str]) -> Array:
    """The preferred source, then one with an answer, then the longest solution, then the smaller id, source, text."""
    liked = {source: place for place, source in enumerate(prefer)}
    last = len(prefer)
    source = np.array([liked.get(one, last) for one in columns.sources] if prefer else last, np.uint64)
    unanswered = np.array([not one for one in columns.answers], np.uint64)
    rank = np.empty((len(columns.ids), 3), np.uint64)
    rank[:, 0] = source << np.uint64(48) | unanswered << np.uint64(41)
    rank[:, 0] |= np.uint64(_LONGEST) - np.minimum(np.array(columns.solution_lengths, np.uint64), np.uint64(_LONGEST))
    rank[:, 1] = _numbers(columns.ids)
    by_source = {one: zlib.crc32(one.encode("utf-8", "surrogatepass")) << 32 for one in set(columns.sources)}
    rank[:, 2] = [
        by_source[source] | zlib.crc32(text.encode("utf-8", "surrogatepass"))
        for source, text in zip(columns.sources, columns.problems, strict=True)
    ]
    return rank


def _numbers(ids: Sequence[str]) -> Array:
    """The numbers that ids of 16 hex digits stand for.  Raises InputError for another id."""
    try:
        found = np.frombuffer(bytes.fromhex("".join(ids)), ">u8")
    except ValueError:
        found = np.empty(0, ">u8")
    if len(found) != len(ids) or any(len(one) != 16 for one in ids):
        odd = next((one for one in ids if not _ID.fullmatch(one)), "")
        raise InputError("an id is none of ours", odd, "16 hex digits", "make the pool with `limo pool ingest`")
    return found


def meant(answers: Sequence[str], options: Sequence[Sequence[str] | None]) -> list[str]:
    """The answers; an option's letter becomes the option's text where that is known, since copies shuffle options."""
    return [_option(answer, texts) if texts else answer for answer, texts in zip(answers, options, strict=True)]


def answer_keys(answers: Sequence[str]) -> Array:
    """The hash of each answer's key, 0 for none."""
    if len(_KEYS) > _MOST_KEYS:
        forget_answers()
    new = [answer for answer in dict.fromkeys(answers) if answer not in _KEYS]
    found = {
        answer: int(content_hash(key or answer), 16) if answer else 0
        for answer, key in zip(new, plain_answers(new), strict=True)
    }
    _KEYS.update(found)
    return np.array([found[one] if one in found else _KEYS[one] for one in answers], dtype=np.uint64)


def forget_answers() -> None:
    """Forget the keys of answers seen before: for measurements, since they are remembered from call to call."""
    _KEYS.clear()


def telling(answers: Sequence[str]) -> Array:
    """Which answers are evidence of sameness: none is not, nor the bare letter of an option that nobody spells out."""
    return np.array([bool(one) and not _LETTER.fullmatch(one) for one in answers], bool)


def _option(answer: str, options: Sequence[str]) -> str:
    """The text of the option that a letter names."""
    number = ord(answer) - ord("A") if len(answer) == 1 else -1
    return options[number] if 0 <= number < len(options) else answer
