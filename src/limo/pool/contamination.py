"""Benchmarks as an index: everything a pool row shares with a benchmark problem, each finding with its evidence.

Five methods, from the surest to the weakest:

- `same text`: equal canonical text;
- `contained`: one canonical text stands inside the other (a problem embedded in a longer one, or a part of one);
- `same numbers`: the same numbers in order, and enough of the benchmark problem's n-grams (its coverage);
- `renumbered`: other numbers, high coverage, and long enough for that to mean something;
- `n-gram`: any shared run of n words (the rule of the paper and its kin; numbers count).

Coverage is the share of the benchmark problem's word n-grams, numbers masked, that occur in the row; n-grams that
many benchmark problems share ("where m and n are relatively prime positive integers") are boilerplate and ignored.

    index = Index({"MATH500": benchmark_problems})
    for hit in index.hits(problem): print(hit.method, hit.benchmark_id, hit.score, hit.words)

What it does not do: decide (see `decontaminate`), or see paraphrases and translations, which share few words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from limo.pool.bands import hashed
from limo.pool.normal import canonical, digits, masked, ngrams, numbers, plain_words, tokens
from limo.records import Problem
from limo.text import content_hash, shorten

Method = Literal["same text", "contained", "same numbers", "renumbered", "n-gram"]
METHODS: tuple[Method, ...] = ("same text", "contained", "same numbers", "renumbered", "n-gram")
MIN_GRAMS = 3  # a problem with fewer n-grams than this is judged by its whole text only


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of the methods; `DecontaminateSettings` explains them."""

    n: int = 5
    same_numbers: float = 0.6
    renumbered: float = 0.8
    min_tokens: int = 20
    ngram: int = 13


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


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement in the forms that the methods compare."""

    text: str
    words: list[str]
    numbers: tuple[str, ...]
    digits: tuple[str, ...]
    grams: frozenset[int]

    @classmethod
    def of(cls, problem: Problem, n: int) -> _Text:
        words = tokens(problem.problem)
        grams = hashed(ngrams(masked(words), n)) if len(words) >= n else frozenset()
        return cls(canonical(problem.problem), words, numbers(words), digits(problem.problem), grams)


@dataclass(frozen=True, slots=True)
class _Item:
    """A benchmark problem in the index; `grams` without boilerplate."""

    benchmark: str
    row: int
    problem: Problem
    text: _Text
    grams: frozenset[int]


@dataclass(slots=True)
class Index:
    """All benchmark problems, findable by text, by n-gram and by run of words."""

    benchmarks: Mapping[str, Sequence[Problem]]
    thresholds: Thresholds = field(default_factory=Thresholds)
    _items: list[_Item] = field(default_factory=list, init=False)
    _by_text: dict[str, list[int]] = field(default_factory=dict, init=False)
    _by_gram: dict[int, list[int]] = field(default_factory=dict, init=False)
    _by_run: dict[int, list[int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        named = [(name, row, p) for name, problems in self.benchmarks.items() for row, p in enumerate(problems)]
        texts = [_Text.of(problem, self.thresholds.n) for _, _, problem in named]
        boilerplate = _boilerplate(texts)
        for place, ((name, row, problem), text) in enumerate(zip(named, texts, strict=True)):
            telling = text.grams - boilerplate
            grams = telling if len(telling) >= MIN_GRAMS else text.grams
            self._items.append(_Item(name, row, problem, text, grams))
            self._by_text.setdefault(content_hash(text.text), []).append(place)
            for gram in grams:
                self._by_gram.setdefault(gram, []).append(place)
            for run in _runs(plain_words(problem.problem), self.thresholds.ngram):
                self._by_run.setdefault(run, []).append(place)

    def hits(self, problem: Problem) -> list[Hit]:
        """Everything found about `problem`, one hit for each benchmark problem and method that holds, surest first.

        A surer method does not hide a weaker one, because the weaker may be the one that is to be obeyed.
        """
        text = _Text.of(problem, self.thresholds.n)
        found: list[tuple[int, Method, float]] = []
        if text.text:
            found += [(place, "same text", 1.0) for place in self._by_text.get(content_hash(text.text), ())]
        shared = Counter(place for gram in text.grams for place in self._by_gram.get(gram, ()))
        for place, n_shared in shared.items():
            if n_shared >= 2:
                found += [(place, *judged) for judged in self._judge(text, self._items[place], n_shared)]
        found += [(place, "n-gram", score) for place, score in self._shared_runs(problem).items()]
        hits = [self._hit(problem, text, *one) for one in found]
        return sorted(hits, key=lambda hit: (METHODS.index(hit.method), -hit.score, hit.benchmark, hit.benchmark_row))

    def _judge(self, text: _Text, item: _Item, n_shared: int) -> list[tuple[Method, float]]:
        """Which of the three middle methods hold between a row and one benchmark problem."""
        limits = self.thresholds
        coverage = round(n_shared / len(item.grams), 3)
        holds: list[tuple[Method, float]] = []
        shorter, longer = sorted((text, item.text), key=lambda one: len(one.text))
        if len(shorter.words) >= limits.min_tokens and shorter.text in longer.text:
            holds.append(("contained", round(len(shorter.text) / len(longer.text), 3)))
        if len(item.grams) < MIN_GRAMS:
            return holds
        # Rewordings write `four` where the original has none, or 4; either way of counting may say "the same".
        same = _same_numbers(item.text.numbers, text.numbers) or _same_numbers(item.text.digits, text.digits)
        if same and coverage >= limits.same_numbers:
            holds.append(("same numbers", coverage))
        if not same and coverage >= limits.renumbered and len(item.text.words) >= limits.min_tokens:
            holds.append(("renumbered", coverage))
        return holds

    def _shared_runs(self, problem: Problem) -> dict[int, float]:
        """Benchmark problems with a common run of `ngram` words, and the share of the row's runs that is common."""
        runs = _runs(plain_words(problem.problem), self.thresholds.ngram)
        counts = Counter(place for run in runs for place in self._by_run.get(run, ()))
        return {place: round(count / len(runs), 3) for place, count in counts.items()}

    def _hit(self, problem: Problem, text: _Text, place: int, method: Method, score: float) -> Hit:
        item = self._items[place]
        words = _longest_run(item.text.words, text, self.thresholds.n)
        return Hit(problem.id, item.benchmark, item.problem.id, item.row, method, score, shorten(words, 300))


def _boilerplate(texts: Sequence[_Text]) -> frozenset[int]:
    """N-grams of many benchmark problems.  Equal sets count once: one template's many problems are no boilerplate."""
    distinct = {text.grams for text in texts}
    limit = max(5, len(distinct) // 200)  # own choice: 0.5% of the problems; a lower limit loses short items
    counts = Counter(gram for grams in distinct for gram in grams)
    return frozenset(gram for gram, count in counts.items() if count > limit)


def _runs(words: Sequence[str], n: int) -> frozenset[int]:
    return hashed(ngrams(words, n)) if 0 < n <= len(words) else frozenset()


def _same_numbers(item: tuple[str, ...], row: tuple[str, ...]) -> bool:
    """Equal, or (two numbers at least) a run of the row's: a problem embedded in a longer text keeps its numbers."""
    if item == row:
        return True
    if len(item) < 2 or len(item) > len(row):
        return False
    return any(row[start : start + len(item)] == item for start in range(len(row) - len(item) + 1))


def _longest_run(item_words: list[str], text: _Text, n: int) -> str:
    """The longest stretch of the benchmark problem whose n-grams all occur in the row."""
    if len(item_words) < n:
        return " ".join(item_words)
    best = (0, 0)
    start = 0
    for place, gram in enumerate(ngrams(masked(item_words), n)):
        if not hashed([gram]) <= text.grams:
            start = place + 1
        elif place + n - start > best[1] - best[0]:
            best = (start, place + n)
    return " ".join(item_words[best[0] : best[1]])
