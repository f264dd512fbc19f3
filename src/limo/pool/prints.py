"""What dedup needs of a problem, and no more: a print of a few hundred bytes instead of the text.

Equal texts have equal `text`, possible rewordings equal `group`, siblings share a band; `rank` says which of several
copies is the better one.  A pool of any size is then a matter of sorting numbers.

    taken = prints(Columns.of(problems), 3, [])
    taken.text[0].tolist() == taken.text[1].tolist()        # the same problem, whatever its typography

What it does not do: decide; `dedup` has the rules.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limo.pool import likeness, sink
from limo.pool.normal import plain_answers, read
from limo.records import Problem
from limo.text import content_hash

Array = Any  # of NumPy
BATCH = 512  # problems that are read together: few enough for what is read to stay in the processor's cache
_MIX, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_LETTER = re.compile(r"\s*(?:\\(?:text|textbf|mathrm)\s*\{)?\s*\(?([A-J])\)?\s*\}?\s*")
_LONGEST = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a batch of problems; `meta` as JSON text or as it is."""

    ids: Sequence[str]
    problems: Sequence[str]
    answers: Sequence[str]
    solution_lengths: Sequence[int]
    sources: Sequence[str]
    metas: Sequence[Any]

    @classmethod
    def of(cls, pool: Sequence[Problem]) -> Columns:
        """The columns of problems in memory."""
        lengths = [len(one.solution) for one in pool]
        return cls(
            [one.id for one in pool], [one.problem for one in pool], [one.answer for one in pool], lengths,
            [one.source for one in pool], [one.meta for one in pool],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prints:
    """The prints of n problems.

    `rank` [n, 3] sorts the better copy first; `text` [n, 2] hashes the canonical text; `group` [n] hashes numbers,
    operators, names and answer, 0 without a telling answer; `answer` [n] hashes the answer, 0 without one; `grams` and
    `gram_ends` are the n-gram sets; `bands` [n, 16] and `sketches` [n, 80] (one byte a minimum) are for siblings.
    """

    rank: Array
    text: Array
    group: Array
    answer: Array
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
    meant = _meant(columns)
    answer = _answers(meant)
    group = found.keys[:, sink.NUMBERS]
    for column in (found.keys[:, sink.OPERATORS], found.keys[:, sink.NAMES], answer):
        group = (group ^ column) * _MIX
        group = group ^ (group >> _HALF)
    grams, ends = likeness.grams(found.tokens, found.token_ends, n, True)
    least = likeness.minima(grams, ends, likeness.permutations(likeness.N_MINIMA))
    text = _texts(columns.problems, found.keys[:, sink.TEXT : sink.TEXT_2 + 1])
    bands = likeness.band_keys(least, likeness.N_BANDS, likeness.N_ROWS)
    empty = np.diff(ends, prepend=0) == 0
    bands[empty] = text[empty, :1]  # no words: alike to nothing but itself
    # The bare letter of an option that nobody spells out is no evidence that two answers are the same.
    telling = (answer != 0) & np.array([not _LETTER.fullmatch(text) for text in meant], bool)
    group = np.where(telling, group, np.uint64(0))
    return Prints(_ranks(columns, prefer), text, group, answer, grams, ends, bands, (least & 255).astype(np.uint8))


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
    rank = np.empty((len(columns.ids), 3), np.uint64)
    rank[:, 0] = [
        liked.get(source, last) << 48 | (not answer) << 41 | _LONGEST - min(length, _LONGEST)
        for source, answer, length in zip(columns.sources, columns.answers, columns.solution_lengths, strict=True)
    ]
    rank[:, 1] = [int(one, 16) for one in columns.ids]
    rank[:, 2] = [
        zlib.crc32(source.encode("utf-8", "surrogatepass")) << 32 | zlib.crc32(text.encode("utf-8", "surrogatepass"))
        for source, text in zip(columns.sources, columns.problems, strict=True)
    ]
    return rank


def _meant(columns: Columns) -> list[str]:
    """The answers; an option's letter becomes the option's text where that is known, since copies shuffle options."""
    return [
        _option(answer, meta) if len(answer) == 1 and "options" in meta else answer
        for answer, meta in zip(columns.answers, columns.metas, strict=True)
    ]


def _answers(meant: Sequence[str]) -> Array:
    """The hash of each answer's key, 0 for none."""
    distinct = list(dict.fromkeys(meant))
    keys = {
        answer: int(content_hash(key or answer), 16) if answer else 0
        for answer, key in zip(distinct, plain_answers(distinct), strict=True)
    }
    return np.array([keys[answer] for answer in meant], dtype=np.uint64)


def _option(answer: str, meta: Any) -> str:
    """The text of the option that a letter names."""
    held = json.loads(meta) if isinstance(meta, str) else meta
    options = held.get("options") if isinstance(held, dict) else None
    return str(options[answer]) if isinstance(options, dict) and answer in options else answer
