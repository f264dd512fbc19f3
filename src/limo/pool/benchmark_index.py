"""An index of benchmarks, and what counts as contamination (`DecontaminateSettings`): each hit with its evidence.

The methods, from the surest to the weakest:

- `same text`: equal canonical text;
- `contained`: one canonical text stands inside the other (a problem embedded in a longer one, or a part of one);
- `same numbers`: the same numbers in order, and enough of the benchmark problem's n-grams (its coverage);
- `paraphrase`: near in the space of an embedding model, where one is given, and the same numbers in any order;
- `renumbered`: other numbers, high coverage, and long enough for that to mean something;
- `other question`: as the last or the one before, but words that change a question (area, least, ...) are replaced;
- `embedding`: nearer in the space of the embedding model;
- `n-gram`: any shared run of n words (the rule of the paper and kindred projects; numbers count).

Coverage is the share of the benchmark problem's word n-grams that occur in the row, numbers, names and single letters
masked; those that many benchmark problems share ("where m and n are relatively prime positive integers") are
boilerplate and ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field, field_validator

from limo.core.recipe import Settings
from limo.core.records import Problem
from limo.core.text import shorten
from limo.pool.canonical import buffers
from limo.pool.canonical.statements import AnyProblem, Scanned, answer_keys, scan_problems, scan_texts, word_runs
from limo.pool.canonical.thesaurus import CRITICAL, content_words
from limo.pool.canonical.wrappers import Unwrapped
from limo.pool.embeddings import EmbeddingIndex, load_encoder
from limo.pool.fingerprints import answer_meaning, ngrams
from limo.pool.gram_index import GramIndex

Array = Any  # of NumPy
Method = Literal[
    "same text", "contained", "same numbers", "paraphrase", "renumbered", "other question", "embedding", "n-gram"
]
Decision = Literal["drop", "report", "off"]
PRESETS = {"s1": 13, "open-r1": 8, "light-r1": 32}  # the n of kindred projects' any-shared-n-gram rules
METHODS: tuple[Method, ...] = get_args(Method)
SIBLINGS = ("renumbered", "other question")  # of a benchmark problem, and not that problem itself
_MAY_ASK_ANOTHER = frozenset[Method]({"same text", "contained", "same numbers", "renumbered"})
_MANY, _LESS = 4, 0.1  # so many different numbers in common make up for so much coverage; own choice, measured
MIN_GRAMS = 3  # a problem with fewer n-grams than this is judged by its whole text only
_ROW_SHARE = 0.5  # share of a row's n-grams in a problem from which on the row may be a part of it
_MARKS = re.compile(r"'|\\prime|\\factorial")  # `f'(2)` is not `f(2)`
_COUNTED = ((buffers.NUMBER, buffers.NUMBER_WORD), (buffers.NUMBER,))  # kinds of token that are numbers


@dataclass(frozen=True, slots=True)
class Hit:
    """What a row shares with a benchmark problem; `score` is in 0..1, `words` the longest shared run."""

    problem_id: str
    benchmark: str
    benchmark_id: str
    benchmark_row: int
    method: Method
    score: float
    words: str
    benchmark_problem: str


class DecontaminateSettings(Settings):
    """Against what, by which methods, with which consequence."""

    benchmarks: list[str] = Field(default_factory=list, description="benchmark names; empty = all that are known")
    path: str = Field(default="", description="folder with the benchmarks' files; empty = hub cache")
    same_text: Decision = Field(default="drop", description="equal canonical text")
    contained: Decision = Field(default="drop", description="one text inside the other, 20 words at least")
    same_numbers: Decision = Field(default="drop", description="same numbers and coverage >= same_numbers_coverage")
    renumbered: Decision = Field(
        default="drop", description="other numbers, coverage >= renumbered_coverage; report in a pool of templates"
    )
    other_question: Decision = Field(
        default="report", description="coverage as above, but the words that change a question are others"
    )
    ngram: Decision = Field(
        default="report",
        description="any shared run of `ngram_words`; the paper's rule, its n unpublished; own choice: report only, "
        "since it flags phrases that problems share by chance",
    )
    ngram_words: int = Field(default=13, ge=3, le=100, description="or s1 (13), open-r1 (8), light-r1 (32)")
    embedding: Decision = Field(default="report", description="near by `embedding_model`, if one is named")
    embedding_model: str = Field(
        default="",
        description="use-multilingual, or a sentence-transformers model: folder or hub id (extra `embedding`); "
        "empty = none",
    )
    embedding_cosine: float = Field(default=0.9, ge=0, le=1, description="least cosine of `embedding`; own choice")
    paraphrase: Decision = Field(default="drop", description="cosine >= paraphrase_cosine and the same numbers")
    paraphrase_cosine: float = Field(default=0.7, ge=0, le=1, description="own choice")
    coverage_words: int = Field(default=5, ge=2, le=13, description="in an n-gram of coverage; own choice, measured")
    same_numbers_coverage: float = Field(default=0.6, ge=0, le=1, description="own choice, measured")
    renumbered_coverage: float = Field(default=0.8, ge=0, le=1, description="own choice, measured")
    min_tokens: int = Field(default=20, ge=1, description="least words for `contained` and `renumbered`")

    @field_validator("ngram_words", mode="before")
    @classmethod
    def _preset(cls, value: object) -> object:
        return PRESETS.get(value, value) if isinstance(value, str) else value

    def decision(self, method: Method) -> Decision:
        """What follows from a hit by `method`."""
        field = "ngram" if method == "n-gram" else method.replace(" ", "_")
        decision: Decision = getattr(self, field)
        return decision


class BenchmarkIndex:
    """All benchmark problems, searched by every method that is on.  Safe to use from several threads.

    Raises InputError where the embedding model cannot be loaded.
    """

    def __init__(
        self,
        benchmarks: Mapping[str, Sequence[Problem]],
        settings: DecontaminateSettings | None = None,
    ) -> None:
        self.settings = settings = settings or DecontaminateSettings()
        self._items = [
            (name, row, problem) for name, problems in benchmarks.items() for row, problem in enumerate(problems)
        ]
        rows = [problem for _, _, problem in self._items]
        texts = [problem.problem for problem in rows]
        batches = list(scan_problems(rows))
        self._parts = [part for _, parts, _ in batches for part in parts]
        self._scanned = scan_texts([part.whole for part in self._parts], True)
        self._forms = self._scanned.canonical
        sets = _split(*ngrams(self._scanned.tokens, self._scanned.token_ends, settings.coverage_words, False, True))
        boilerplate = _boilerplate(sets)
        specific = [np.setdiff1d(grams, boilerplate, assume_unique=True) for grams in sets]
        self._by_gram = GramIndex([a if len(a) >= MIN_GRAMS else b for a, b in zip(specific, sets, strict=True)])
        self._run_words = 0 if settings.ngram == "off" else settings.ngram_words
        self._by_run = GramIndex(_split(*_runs(texts, self._run_words)))
        self._by_embedding: EmbeddingIndex | None = None
        if settings.embedding_model and settings.embedding != "off":
            encode = load_encoder(settings.embedding_model)
            self._by_embedding = EmbeddingIndex(encode, texts)
        self._by_text: dict[tuple[int, int], list[int]] = {}
        for item, form in enumerate(self._forms):
            if form:
                self._by_text.setdefault(_text_key(self._scanned, item), []).append(item)
        self._text_keys = np.array(sorted(key for key, _ in self._by_text), np.uint64)
        self._by_core: dict[tuple[int, int], list[int]] = {}
        for batch, parts, cores in batches:
            for row, part in enumerate(parts):
                if any(map(str.isalnum, part.core)):
                    self._by_core.setdefault(_text_key(cores, row), []).append(batch.start + row)
        self._core_keys = np.array(sorted(key for key, _ in self._by_core), np.uint64)

    def search(self, problems: Sequence[AnyProblem]) -> Iterator[tuple[int, Hit]]:
        """Everything found: rows, and a hit for each benchmark problem and method that holds.

        Rows stand in their order, the surest hit of a row first.  A surer method does not hide a weaker one, because
        the weaker may be the one that decides.
        """
        for rows, parts, scanned in scan_problems(problems, with_options=True):
            yield from ((rows.start + row, hit) for row, hit in self._search(problems[rows], parts, scanned))

    def _search(
        self, problems: Sequence[AnyProblem], parts: Sequence[Unwrapped], scanned: Scanned
    ) -> Iterator[tuple[int, Hit]]:
        settings, texts = self.settings, [problem.problem for problem in problems]
        values, ends = ngrams(scanned.tokens, scanned.token_ends, settings.coverage_words, False, True)
        hits: list[tuple[int, int, Method, float]] = []
        for row in _rows_among(scanned.keys[:, buffers.TEXT], self._text_keys):
            hits += [(row, item, "same text", 1.0) for item in self._by_text.get(_text_key(scanned, row), ())]
        hits += self._same_cores(problems, parts, scanned)
        item_share = min(settings.same_numbers_coverage - _LESS, settings.renumbered_coverage)
        similar = self._by_gram.search(values, ends, 2, item_share, _ROW_SHARE)
        suspects = list(dict.fromkeys(row for row, *_ in similar))
        forms = scan_texts([parts[row].whole for row in suspects], keep_canonical=True).canonical
        form_of = dict(zip(suspects, forms, strict=True))
        for row, item, n_shared, _ in similar:
            tokens = scanned.tokens_of(row)
            hits += [(row, item, *found) for found in self._methods_that_hold(form_of[row], tokens, item, n_shared)]
        for row, item, n_shared, n_runs in self._by_run.search(*_runs(texts, self._run_words), 1, 0.0, 0.0):
            hits.append((row, item, "n-gram", round(n_shared / n_runs, 3)))
        if self._by_embedding and texts:
            least = min(settings.embedding_cosine, settings.paraphrase_cosine)
            for row, item, cosine in self._by_embedding.search(texts, least):
                if cosine >= settings.paraphrase_cosine and self._has_numbers_of(item, scanned.tokens_of(row)):
                    hits.append((row, item, "paraphrase", cosine))
                if cosine >= settings.embedding_cosine:
                    hits.append((row, item, "embedding", cosine))
        for place, (row, item, method, score) in enumerate(hits):
            if method in _MAY_ASK_ANOTHER and self._asks_another(problems[row], parts[row], scanned, row, item, method):
                hits[place] = row, item, "other question", score
        hits.sort(key=lambda hit: (hit[0], METHODS.index(hit[2]), -hit[3], hit[1]))
        sets = {row: _row_set(values, ends, row) for row in {row for row, *_ in hits}}
        return ((row, self._hit(problems[row], sets[row], item, method, score)) for row, item, method, score in hits)

    def _same_cores(
        self, problems: Sequence[AnyProblem], parts: Sequence[Unwrapped], scanned: Scanned
    ) -> Iterator[tuple[int, int, Method, float]]:
        """Items whose text without options is a row's, where one of the two has options.

        A text that says too little by itself ("Which of these is true?") counts only where the answers agree: one
        without a number.
        """
        full = [row for row, part in enumerate(parts) if part.options]
        cores = scan_texts([parts[row].core for row in full])
        for rows, scan in ((range(len(parts)), scanned), (full, cores)):
            for place in _rows_among(scan.keys[:, buffers.TEXT], self._core_keys):
                row = rows[place]
                if scan is scanned and parts[row].options:
                    continue
                for item in self._by_core.get(_text_key(scan, place), ()):
                    part, of_item, problem = parts[row], self._parts[item], self._items[item][2]
                    meanings = answer_meaning(problems[row], part.options), answer_meaning(problem, of_item.options)
                    if bool(part.options) != bool(of_item.options) and (
                        _numbers(scan.tokens_of(place), _COUNTED[0])
                        or (all(meanings) and len(set(answer_keys(meanings))) == 1)
                    ):
                        yield row, item, "same text", 1.0

    def _methods_that_hold(self, form: str, row_tokens: Array, item: int, n_shared: int) -> list[tuple[Method, float]]:
        """Which of `contained`, `same numbers` and `renumbered` hold, and their scores."""
        settings, holds = self.settings, list[tuple[Method, float]]()
        item_tokens, n_grams = self._scanned.tokens_of(item), int(self._by_gram.sizes[item])
        coverage = round(n_shared / n_grams, 3)
        n_distinct = n_grams + settings.coverage_words - 1  # words, where no n-gram comes twice
        by_length = sorted(((form, len(row_tokens)), (self._forms[item], len(item_tokens))), key=lambda text: text[1])
        (shorter, n_tokens), (longer, _) = by_length
        if n_tokens >= settings.min_tokens and shorter in longer:
            holds.append(("contained", round(len(shorter) / len(longer), 3)))
        if n_grams < MIN_GRAMS:
            return holds
        # Rewordings write `four` where the original has none, or 4; either way of counting may say "the same".
        pairs = [(_numbers(item_tokens, kinds), _numbers(row_tokens, kinds)) for kinds in _COUNTED]
        same = [of_item for of_item, of_row in pairs if _same_numbers(of_item, of_row)]
        kind: Method = "same numbers" if same else "renumbered"
        least = settings.same_numbers_coverage if same else settings.renumbered_coverage
        if coverage < least - _LESS * any(len(set(numbers)) >= _MANY for numbers in same):
            return holds
        if same or n_distinct >= settings.min_tokens:
            n_marks = {len(_MARKS.findall(text)) for text in (form, self._forms[item])}
            is_other = _is_replaced(item_tokens, row_tokens) or (
                len(n_marks) == 2 and any(of_item == of_row for of_item, of_row in pairs)
            )
            holds.append(("other question" if is_other else kind, coverage))
        return holds

    def _asks_another(
        self, problem: AnyProblem, part: Unwrapped, scanned: Scanned, row: int, item: int, method: Method
    ) -> bool:
        """Whether a row that has a benchmark problem's text still asks something else, since its answer is another.

        So where both have options and these differ, or the same text has another figure, or the row has more numbers,
        both answers being integers.
        """
        of_item, item_tokens, row_tokens = self._parts[item], self._scanned.tokens_of(item), scanned.tokens_of(row)
        is_same_text = _text_key(scanned, row) == _text_key(self._scanned, item)
        extras = [
            [sorted(answer_keys(texts)) for texts in texts_of_both]
            for texts_of_both in ((part.options, of_item.options), ([part.figure], [of_item.figure]))
            if all(map(any, texts_of_both)) and (texts_of_both[0] is part.options or is_same_text)
        ]
        has_other_extra = any(of_row != of_benchmark for of_row, of_benchmark in extras)
        has_more_numbers = method in ("same numbers", "renumbered") and all(
            _is_part(_numbers(item_tokens, kinds), _numbers(row_tokens, kinds)) for kinds in _COUNTED
        )
        keys = answer_keys(
            (answer_meaning(problem, part.options), answer_meaning(self._items[item][2], of_item.options))
        )
        is_another = keys[0] != keys[1] and "" not in keys
        are_integers = all(key.removeprefix("-").isdecimal() for key in keys)
        return is_another and (has_other_extra or (has_more_numbers and are_integers))

    def _has_numbers_of(self, item: int, row_tokens: Array) -> bool:
        """Whether a row has the numbers of a benchmark problem, two different ones at least, in any order."""
        of_item, of_row = (
            [sorted(_numbers(tokens, kinds)) for kinds in _COUNTED]
            for tokens in (self._scanned.tokens_of(item), row_tokens)
        )
        return any(numbers in of_row and len(set(numbers)) > 1 for numbers in of_item)

    def _hit(self, found: AnyProblem, row_set: Array, item: int, method: Method, score: float) -> Hit:
        name, row, problem = self._items[item]
        tokens = self._scanned.tokens_of(item)
        start, end = _longest_run(tokens, self.settings.coverage_words, row_set)
        words = ""
        if end:
            words = self._scanned.text_between(int(tokens[start, buffers.START]), int(tokens[end - 1, buffers.END]))
        words = shorten(words, 300)
        return Hit(found.id, name, problem.id, row, method, score, words, shorten(problem.problem, 300))


def _text_key(scanned: Scanned, row: int) -> tuple[int, int]:
    return int(scanned.keys[row, buffers.TEXT]), int(scanned.keys[row, buffers.TEXT_2])


def _rows_among(keys: Array, known: Array) -> list[int]:
    """The places of the keys that stand in a sorted list."""
    if not len(known):
        return []
    rows: list[int] = np.flatnonzero(known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys).tolist()
    return rows


def _row_set(values: Array, ends: Array, row: int) -> Array:
    """The distinct hashes of a row, sorted."""
    return np.unique(values[ends[row - 1] if row else 0 : ends[row]])


def _split(values: Array, ends: Array) -> list[Array]:
    return [_row_set(values, ends, row) for row in range(len(ends))]


def _boilerplate(sets: Sequence[Array]) -> Array:
    """N-grams of many benchmark problems.  Equal sets count once: one template's many problems are no boilerplate."""
    distinct = {grams.tobytes(): grams for grams in sets}.values()
    limit = max(5, len(distinct) // 200)  # own choice: 0.5% of the problems; a lower limit loses short items
    counts = Counter(gram for grams in distinct for gram in grams.tolist())
    return np.array([gram for gram, count in counts.items() if count > limit], dtype=np.uint32)


def _runs(texts: Sequence[str], n: int) -> tuple[Array, Array]:
    """The runs of `n` words of each text; none where `n` is 0."""
    return word_runs(texts, n) if n else (np.empty(0, np.uint32), np.zeros(len(texts), np.int64))


def _longest_run(tokens: Array, n: int, row_set: Array) -> tuple[int, int]:
    """The longest stretch of tokens whose n-grams are all in the row: start and end; else the first n tokens."""
    in_row = np.isin(ngrams(tokens, np.array([len(tokens)]), n, False, True)[0], row_set)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], in_row, [False]])))
    lengths = edges[1::2] - edges[::2]
    if not len(lengths) or lengths.max() < 2:
        return 0, min(n, len(tokens))
    longest = int(lengths.argmax())
    return int(edges[2 * longest]), int(edges[2 * longest + 1]) + n - 1


def _numbers(tokens: Array, kinds: tuple[int, ...]) -> list[int]:
    """The hashes of the numbers among the tokens, in order."""
    is_number = (tokens[:, buffers.KIND] == kinds[0]) | (tokens[:, buffers.KIND] == kinds[-1])
    numbers: list[int] = tokens[is_number, buffers.HASH].tolist()
    return numbers


def _is_replaced(item_tokens: Array, row_tokens: Array) -> bool:
    """Whether words that change a question stand in the benchmark problem and not in the row, and others in the row."""
    of_item, of_row = (
        Counter(word for word in content_words(tokens, np.array([len(tokens)]))[0].tolist() if word & int(CRITICAL))
        for tokens in (item_tokens, row_tokens)
    )
    return bool(of_item - of_row and of_row - of_item)


def _is_part(item: list[int], row: list[int]) -> bool:
    """Whether the row has the numbers of the item in their order, and others among them."""
    rest = iter(row)
    return len(item) < len(row) and all(number in rest for number in item)


def _same_numbers(item: list[int], row: list[int]) -> bool:
    """Equal, or (two numbers at least) a run of the row's: a problem embedded in a longer text keeps its numbers."""
    if item == row:
        return True
    if len(item) < 2 or len(item) > len(row):
        return False
    return any(row[start : start + len(item)] == item for start in range(len(row) - len(item) + 1))
