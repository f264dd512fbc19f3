"""Benchmarks as an index: everything a pool row shares with a benchmark problem, each finding with its evidence.

Six methods, from the surest to the weakest:

- `same text`: equal canonical text;
- `contained`: one canonical text stands inside the other (a problem embedded in a longer one, or a part of one);
- `same numbers`: the same numbers in order, and enough of the benchmark problem's n-grams (its coverage);
- `renumbered`: other numbers, high coverage, and long enough for that to mean something;
- `meaning`: near in the space of an embedding model, where one is given (see `meaning`);
- `n-gram`: any shared run of n words (the rule of the paper and its kin; numbers count).

Coverage is the share of the benchmark problem's word n-grams, numbers masked, that occur in the row; n-grams that
many benchmark problems share ("where m and n are relatively prime positive integers") are boilerplate and ignored.

    index = Index({"MATH500": benchmark_problems})
    for row, hit in index.search(ids, texts): print(row, hit.method, hit.benchmark_id, hit.score, hit.words)

What it does not do: decide (see `decontaminate`), or see paraphrases and translations, which share few words, without
an embedding model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from limo.core.records import Problem
from limo.core.text import normalise_statement, shorten
from limo.pool.canonical import sink
from limo.pool.canonical.folding import Folding
from limo.pool.canonical.normal import Read, canonicals, read
from limo.pool.likeness import grams
from limo.pool.meaning import Encoder, Meaning
from limo.pool.postings import Postings, longest_run, runs

Array = Any  # of NumPy
Method = Literal["same text", "contained", "same numbers", "renumbered", "meaning", "n-gram"]
METHODS: tuple[Method, ...] = ("same text", "contained", "same numbers", "renumbered", "meaning", "n-gram")
MIN_GRAMS = 3  # a problem with fewer n-grams than this is judged by its whole text only
_OF_ROW = 0.5  # share of a row's n-grams in a problem from which on the row may be a part of it


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of the methods; `DecontaminateSettings` explains them."""

    n: int = 5
    same_numbers: float = 0.6
    renumbered: float = 0.8
    min_tokens: int = 20
    ngram: int = 13
    meaning: float = 0.9


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding: which row shares what with which benchmark problem; `score` is in 0..1, `words` the longest run."""

    problem_id: str
    benchmark: str
    benchmark_id: str
    benchmark_row: int
    method: Method
    score: float
    words: str
    benchmark_problem: str


@dataclass(slots=True)
class Index:
    """All benchmark problems, findable by text, by n-gram and by run of words.  Safe to use from several threads."""

    benchmarks: Mapping[str, Sequence[Problem]]
    thresholds: Thresholds = field(default_factory=Thresholds)
    encode: Encoder | None = None
    _items: list[tuple[str, int, Problem]] = field(init=False)
    _read: Read = field(init=False)
    _forms: tuple[str, ...] = field(init=False)
    _by_text: dict[tuple[int, int], list[int]] = field(default_factory=dict, init=False)
    _text_keys: Array = field(init=False)
    _by_gram: Postings = field(init=False)
    _by_run: Postings = field(init=False)
    _by_meaning: Meaning | None = field(init=False)

    def __post_init__(self) -> None:
        self._items = [(name, row, one) for name, rows in self.benchmarks.items() for row, one in enumerate(rows)]
        texts = [one.problem for _, _, one in self._items]
        self._read = read(texts, keep=True)
        self._forms = self._read.canonical
        sets = _split(*grams(self._read.tokens, self._read.token_ends, self.thresholds.n, False))
        boilerplate = _boilerplate(sets)
        telling = [np.setdiff1d(one, boilerplate, assume_unique=True) for one in sets]
        self._by_gram = Postings.of([a if len(a) >= MIN_GRAMS else b for a, b in zip(telling, sets, strict=True)])
        self._by_meaning = Meaning(self.encode, texts, self.thresholds.meaning) if self.encode else None
        self._by_run = Postings.of(_split(*_runs(texts, self.thresholds.ngram)))
        for place, form in enumerate(self._forms):
            if form:
                self._by_text.setdefault(_text_key(self._read, place), []).append(place)
        self._text_keys = np.array([key for key, _ in self._by_text], np.uint64)

    def search(self, ids: Sequence[str], texts: Sequence[str]) -> list[tuple[int, Hit]]:
        """Everything found about a batch: its row and a hit for each benchmark problem and method that holds.

        Rows stand in their order, the surest hit of a row first.  A surer method does not hide a weaker one, because
        the weaker may be the one that is to be obeyed.
        """
        limits = self.thresholds
        rows = read(texts)
        values, ends = grams(rows.tokens, rows.token_ends, limits.n, False)
        found: list[tuple[int, int, Method, float]] = []
        for row in np.flatnonzero(np.isin(rows.keys[:, sink.TEXT], self._text_keys)).tolist():
            found += [(row, place, "same text", 1.0) for place in self._by_text.get(_text_key(rows, row), ())]
        of_item = min(limits.same_numbers, limits.renumbered)
        *shared, _ = self._by_gram.search(values, ends, 2, of_item, _OF_ROW)
        suspects = np.unique(shared[0]).tolist()
        forms = dict(zip(suspects, canonicals([texts[row] for row in suspects]), strict=True))
        for row, place, n_shared in _triples(shared):
            found += [(row, place, *one) for one in self._judge(forms[row], rows, row, place, n_shared)]
        run_values, run_ends = _runs(texts, limits.ngram)
        *shared, run_last = self._by_run.search(run_values, run_ends, 1, 0.0, 0.0)
        for row, place, n_shared in _triples(shared):
            n_runs = int(run_last[row] - (run_ends[row - 1] if row else 0))
            found.append((row, place, "n-gram", round(n_shared / n_runs, 3)))
        near = self._by_meaning.search(texts) if self._by_meaning and texts else []
        found += [(row, place, "meaning", cosine) for row, place, cosine in near]
        found.sort(key=lambda one: (one[0], METHODS.index(one[2]), -one[3], one[1]))
        sets = {row: np.unique(values[ends[row - 1] if row else 0 : ends[row]]) for row in {one[0] for one in found}}
        return [(row, self._hit(ids[row], sets[row], place, method, score)) for row, place, method, score in found]

    def _judge(self, form: str, rows: Read, row: int, place: int, n_shared: int) -> list[tuple[Method, float]]:
        """Which of the three middle methods hold between a row and one benchmark problem."""
        limits, holds = self.thresholds, list[tuple[Method, float]]()
        of_row, of_item = rows.of(row), self._read.of(place)
        coverage = round(n_shared / int(self._by_gram.sizes[place]), 3)
        shorter, longer = sorted(((form, len(of_row)), (self._forms[place], len(of_item))), key=_length)
        if shorter[1] >= limits.min_tokens and shorter[0] in longer[0]:
            holds.append(("contained", round(len(shorter[0]) / len(longer[0]), 3)))
        if self._by_gram.sizes[place] < MIN_GRAMS:
            return holds
        # Rewordings write `four` where the original has none, or 4; either way of counting may say "the same".
        both, digits = (sink.NUMBER, sink.NUMBER_WORD), (sink.NUMBER,)
        same = any(_same_numbers(_numbers(of_item, kinds), _numbers(of_row, kinds)) for kinds in (both, digits))
        if same and coverage >= limits.same_numbers:
            holds.append(("same numbers", coverage))
        if not same and coverage >= limits.renumbered and len(of_item) >= limits.min_tokens:
            holds.append(("renumbered", coverage))
        return holds

    def _hit(self, problem_id: str, values: Array, place: int, method: Method, score: float) -> Hit:
        name, row, problem = self._items[place]
        tokens = self._read.of(place)
        start, end = longest_run(tokens, self.thresholds.n, values)
        words = self._read.written(int(tokens[start, sink.START]), int(tokens[end - 1, sink.END])) if end else ""
        short = shorten(problem.problem, 300)
        return Hit(problem_id, name, problem.id, row, method, score, shorten(words, 300), short)


def _length(one: tuple[str, int]) -> int:
    return len(one[0])


def _text_key(found: Read, row: int) -> tuple[int, int]:
    return int(found.keys[row, sink.TEXT]), int(found.keys[row, sink.TEXT_2])


def _triples(found: Sequence[Array]) -> list[tuple[int, int, int]]:
    return list(zip(*(column.tolist() for column in found), strict=True))


def _split(values: Array, ends: Array) -> list[Array]:
    return [np.unique(one) for one in np.split(values, ends[:-1])] if len(ends) else []


def _boilerplate(sets: Sequence[Array]) -> Array:
    """N-grams of many benchmark problems.  Equal sets count once: one template's many problems are no boilerplate."""
    distinct = {one.tobytes(): one for one in sets}.values()
    limit = max(5, len(distinct) // 200)  # own choice: 0.5% of the problems; a lower limit loses short items
    counts = Counter(gram for one in distinct for gram in one.tolist())
    return np.array([gram for gram, count in counts.items() if count > limit], dtype=np.uint32)


def _runs(texts: Sequence[str], n: int) -> tuple[Array, Array]:
    """The runs of `n` words of each text; none where `n` is 0."""
    if n == 0:
        return np.empty(0, np.uint32), np.zeros(len(texts), np.int64)
    found: tuple[Array, Array] = runs(*_folding().batch(texts), n)
    return found


@lru_cache(maxsize=1)
def _folding() -> Folding:
    return Folding(lambda text: normalise_statement(text).lower())


def _numbers(tokens: Array, kinds: tuple[int, ...]) -> list[int]:
    """The hashes of the numbers among the tokens, in order."""
    numbers: list[int] = tokens[np.isin(tokens[:, sink.KIND], kinds), sink.HASH].tolist()
    return numbers


def _same_numbers(item: list[int], row: list[int]) -> bool:
    """Equal, or (two numbers at least) a run of the row's: a problem embedded in a longer text keeps its numbers."""
    if item == row:
        return True
    if len(item) < 2 or len(item) > len(row):
        return False
    return any(row[start : start + len(item)] == item for start in range(len(row) - len(item) + 1))
