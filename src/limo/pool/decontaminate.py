"""Benchmark problems out of the pool, each with the evidence: what it matched, how, how much, which words.

Each method of `limo.pool.contamination` has its own decision: `drop`, `report` (the row stays, the evidence goes into
`meta["near_benchmark"]`) or `off`.

    kept, dropped = decontaminate(problems, {"MATH500": load_benchmark("MATH500", "math500.jsonl")})
    dropped[0].detail["hits"][0]["words"]

About `renumbered`: a copy with other numbers teaches the same solution, so it is dropped by default.  In a pool made
from templates (the pocket world) nearly every problem is a renumbered sibling of a benchmark problem by construction;
there set `renumbered: report`, and the same text and same numbers rules still hold.

What it does not do: find paraphrases or translations by itself; `meaning_model` names candidates, a judge decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Literal

from pydantic import Field, field_validator

from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.core.text import shorten
from limo.pool.contamination import Hit, Index, Method, Thresholds
from limo.pool.meaning import encoder

Decision = Literal["drop", "report", "off"]
PRESETS = {"s1": 13, "open-r1": 8, "light-r1": 32}  # the n of kindred projects' any-shared-n-gram rules
CONTAMINATED = "in a benchmark"
REPORTED = "near_benchmark"  # in the meta of a problem that stays
BATCH = 512  # problems that are searched together: what is read of them stays in the processor's cache
MAX_HITS = 5  # benchmark problems named in the evidence of one row; `n_hits` counts all that decided


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
    ngrams: Decision = Field(
        default="report",
        description="any shared run of `ngram` words; the paper's rule, its n unpublished; own choice: report only, "
        "since it flags phrases that problems share honestly",
    )
    ngram: int = Field(default=13, ge=3, le=100, description="words in a run, or s1 (13), open-r1 (8), light-r1 (32)")
    meaning: Decision = Field(default="report", description="near by an embedding model, if `meaning_model` names one")
    meaning_model: str = Field(
        default="", description="sentence-transformers model, folder or hub id (extra `meaning`); empty = none"
    )
    meaning_least: float = Field(default=0.9, ge=0, le=1, description="least cosine of `meaning`; own choice")
    n: int = Field(default=5, ge=2, le=13, description="words in the n-grams of coverage; own choice, measured")
    same_numbers_coverage: float = Field(default=0.6, ge=0, le=1, description="own choice, measured")
    renumbered_coverage: float = Field(default=0.8, ge=0, le=1, description="own choice, measured")
    min_tokens: int = Field(default=20, ge=1, description="least words for `contained` and `renumbered`")

    @field_validator("same_text", "contained", "same_numbers", "renumbered", "ngrams", "meaning", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        return "off" if value is False else value  # YAML 1.1 reads a bare `off` as false

    @field_validator("ngram", mode="before")
    @classmethod
    def _preset(cls, value: object) -> object:
        return PRESETS.get(value, value) if isinstance(value, str) else value

    def decision(self, method: Method) -> Decision:
        """What follows from a hit by `method`."""
        names: dict[Method, Decision] = {
            "same text": self.same_text,
            "contained": self.contained,
            "same numbers": self.same_numbers,
            "renumbered": self.renumbered,
            "meaning": self.meaning,
            "n-gram": self.ngrams,
        }
        return names[method]

    def thresholds(self) -> Thresholds:
        """The numbers of the methods."""
        ngram = 0 if self.ngrams == "off" else self.ngram
        return Thresholds(
            self.n, self.same_numbers_coverage, self.renumbered_coverage, self.min_tokens, ngram, self.meaning_least
        )

    def index(self, benchmarks: Mapping[str, Sequence[Problem]]) -> Index:
        """The benchmarks, findable by every method that is on.  Raises InputError where the model cannot be loaded."""
        encode = encoder(self.meaning_model) if self.meaning_model and self.meaning != "off" else None
        return Index(benchmarks, self.thresholds(), encode)


def decontaminate(
    problems: Iterable[Problem],
    benchmarks: Mapping[str, Sequence[Problem]],
    settings: DecontaminateSettings | None = None,
) -> tuple[list[Problem], list[Dropped]]:
    """The problems that no method drops, in order, and the others with their evidence in `detail["hits"]`."""
    settings = settings or DecontaminateSettings()
    index = settings.index(benchmarks)
    kept: list[Problem] = []
    dropped: list[Dropped] = []
    left = iter(problems)
    while batch := list(islice(left, BATCH)):
        found = findings([one.id for one in batch], [one.problem for one in batch], index, settings)
        for row, problem in enumerate(batch):
            if row not in found:
                kept.append(problem)
            elif found[row].dropped:
                dropped.append(found[row].as_dropped(problem.source))
            else:
                kept.append(replace(problem, meta={**problem.meta, REPORTED: found[row].hits}))
    return kept, dropped


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one problem: whether it goes, by its surest method, and the evidence."""

    problem_id: str
    dropped: bool
    method: Method
    n_hits: int
    hits: list[dict[str, object]]

    def as_dropped(self, source: str) -> Dropped:
        """The record of a problem that goes."""
        detail = {"source": source, "method": self.method, "n_hits": self.n_hits, "hits": self.hits}
        return Dropped(self.problem_id, "decontaminate", CONTAMINATED, detail)


def findings(
    ids: Sequence[str], texts: Sequence[str], index: Index, settings: DecontaminateSettings
) -> dict[int, Finding]:
    """Of a batch of problems those with hits, by their row."""
    by_row: dict[int, list[Hit]] = {}
    for row, hit in index.search(ids, texts):
        if settings.decision(hit.method) != "off":
            by_row.setdefault(row, []).append(hit)
    return {row: _finding(ids[row], texts[row], hits, settings) for row, hits in by_row.items()}


def _finding(problem_id: str, text: str, hits: list[Hit], settings: DecontaminateSettings) -> Finding:
    guilty = [hit for hit in hits if settings.decision(hit.method) == "drop"]
    surest = _surest(guilty or hits)
    evidence = [
        {**asdict(hit), "problem": shorten(text, 300), "decision": settings.decision(hit.method)}
        for hit in surest[:MAX_HITS]
    ]
    return Finding(problem_id, bool(guilty), surest[0].method, len(surest), evidence)


def _surest(hits: Iterable[Hit]) -> list[Hit]:
    """One hit a benchmark problem: its first, since `Index.hits` puts the surest method first."""
    first: dict[tuple[str, int], Hit] = {}
    for hit in hits:
        first.setdefault((hit.benchmark, hit.benchmark_row), hit)
    return list(first.values())
