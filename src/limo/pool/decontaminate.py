"""Removes benchmark problems from a pool, each with the evidence: what it matched, how, how much, which words.

Each method of `limo.pool.benchmark_index` has its own decision: `drop`, `report` (the row stays, the evidence goes into
`meta["near_benchmark"]`) or `off`.

About `renumbered`: a copy with other numbers teaches the same solution, so it is dropped by default.  In a pool made
from templates (the pocket world) nearly every problem is a renumbered sibling of a benchmark problem by construction;
there set `renumbered: report`, and the same text and same numbers rules still hold.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from limo.core.files import atomic
from limo.core.progress import Progress
from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.core.text import shorten
from limo.pool.benchmark_index import BenchmarkIndex, Hit, Method, Thresholds
from limo.pool.embeddings import load_encoder
from limo.pool.evidence import EVIDENCE, REPORTED, evidence_table, write_evidence
from limo.pool.shards import count_rows, read_table, shards_of, write_split
from limo.pool.tasks import ExecutorSettings, run_tasks

Decision = Literal["drop", "report", "off"]
PRESETS = {"s1": 13, "open-r1": 8, "light-r1": 32}  # the n of kindred projects' any-shared-n-gram rules
CONTAMINATED = "in a benchmark"
BATCH = 512  # problems that are searched together: their arrays stay in the processor's cache
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
    ngram: Decision = Field(
        default="report",
        description="any shared run of `ngram_words`; the paper's rule, its n unpublished; own choice: report only, "
        "since it flags phrases that problems share by chance",
    )
    ngram_words: int = Field(default=13, ge=3, le=100, description="or s1 (13), open-r1 (8), light-r1 (32)")
    embedding: Decision = Field(default="report", description="near by `embedding_model`, if one is named")
    embedding_model: str = Field(
        default="", description="sentence-transformers model, folder or hub id (extra `embedding`); empty = none"
    )
    embedding_cosine: float = Field(default=0.9, ge=0, le=1, description="least cosine of `embedding`; own choice")
    coverage_words: int = Field(default=5, ge=2, le=13, description="in an n-gram of coverage; own choice, measured")
    same_numbers_coverage: float = Field(default=0.6, ge=0, le=1, description="own choice, measured")
    renumbered_coverage: float = Field(default=0.8, ge=0, le=1, description="own choice, measured")
    min_tokens: int = Field(default=20, ge=1, description="least words for `contained` and `renumbered`")

    @field_validator("same_text", "contained", "same_numbers", "renumbered", "ngram", "embedding", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        return "off" if value is False else value  # YAML 1.1 reads a bare `off` as false

    @field_validator("ngram_words", mode="before")
    @classmethod
    def _preset(cls, value: object) -> object:
        return PRESETS.get(value, value) if isinstance(value, str) else value

    def decision(self, method: Method) -> Decision:
        """What follows from a hit by `method`."""
        field = "ngram" if method == "n-gram" else method.replace(" ", "_")
        decision: Decision = getattr(self, field)
        return decision

    def index(self, benchmarks: Mapping[str, Sequence[Problem]]) -> BenchmarkIndex:
        """The benchmarks by every method that is on.  Raises InputError where the model cannot be loaded."""
        encode = load_encoder(self.embedding_model) if self.embedding_model and self.embedding != "off" else None
        thresholds = Thresholds(
            self.coverage_words, self.same_numbers_coverage, self.renumbered_coverage, self.min_tokens,
            0 if self.ngram == "off" else self.ngram_words, self.embedding_cosine,
        )  # fmt: skip
        return BenchmarkIndex(benchmarks, thresholds, encode)


def decontaminate(
    problems: Iterable[Problem],
    benchmarks: Mapping[str, Sequence[Problem]],
    settings: DecontaminateSettings | None = None,
) -> tuple[list[Problem], list[Dropped]]:
    """The problems that no method drops, in order, and the others with their evidence in `detail["hits"]`."""
    settings, pool = settings or DecontaminateSettings(), list(problems)
    ids, texts = [problem.id for problem in pool], [problem.problem for problem in pool]
    sources = [problem.source for problem in pool]
    dropped, reported = find_contamination(ids, texts, sources, settings.index(benchmarks), settings)
    kept = [
        replace(problem, meta={**problem.meta, REPORTED: reported[row]}) if row in reported else problem
        for row, problem in enumerate(pool)
        if row not in dropped
    ]
    return kept, list(dropped.values())


def decontaminate_shards(
    pool: str | Path,
    out: str | Path,
    benchmarks: Mapping[str, Sequence[Problem]],
    settings: DecontaminateSettings,
    executor: ExecutorSettings,
    progress: Progress | None = None,
) -> Counter[str]:
    """Write the pool's shards without benchmark problems into `out`, `out/dropped` and `out/evidence` beside them."""
    shards, out = shards_of(pool), Path(out)
    benchmarks_file = out / "work" / "benchmarks.json"
    missing = [str(shard) for shard in shards if not (out / shard.name).exists()]
    if missing:
        with atomic(benchmarks_file) as temporary:  # tasks may run where the benchmarks' files are not
            rows = {name: [asdict(problem) for problem in problems] for name, problems in benchmarks.items()}
            temporary.write_text(json.dumps(rows), encoding="ascii")
        run_tasks(partial(_write_clean, benchmarks_file, out, settings), missing, executor, progress)
    shutil.rmtree(out / "work", ignore_errors=True)
    return count_rows(out, [shard.name for shard in shards])


def _write_clean(benchmarks_file: Path, out: Path, settings: DecontaminateSettings, task: str) -> None:
    """One shard without benchmark problems, and the evidence, which is written first."""
    shard = Path(task)
    index = _index(benchmarks_file.read_text(encoding="ascii"), settings.model_dump_json())
    table = read_table(shard)
    ids, texts, sources = (table.column(name).to_pylist() for name in ("id", "problem", "source"))
    dropped, reported = find_contamination(ids, texts, sources, index, settings)
    near = [
        Problem(ids[row], texts[row], "", source=sources[row], meta={REPORTED: hits}) for row, hits in reported.items()
    ]
    write_evidence(evidence_table(near, dropped.values()), out / EVIDENCE / shard.name)
    write_split(out / shard.name, table, dropped, {row: (REPORTED, hits) for row, hits in reported.items()}, shard)


@lru_cache(maxsize=1)
def _index(benchmarks: str, settings: str) -> BenchmarkIndex:
    """The benchmarks' index, made once a process and not once a shard."""
    by_name = {name: [Problem(**row) for row in rows] for name, rows in json.loads(benchmarks).items()}
    return DecontaminateSettings.model_validate_json(settings).index(by_name)


HitRow = dict[str, object]


def find_contamination(
    ids: Sequence[str],
    texts: Sequence[str],
    sources: Sequence[str],
    index: BenchmarkIndex,
    settings: DecontaminateSettings,
) -> tuple[dict[int, Dropped], dict[int, list[HitRow]]]:
    """Of a shard the rows that go, with their evidence, and the evidence of those that are only reported, by row."""
    dropped, reported = dict[int, Dropped](), dict[int, list[HitRow]]()
    for start in range(0, len(ids), BATCH):
        by_row: dict[int, list[Hit]] = {}
        for row, hit in index.search(ids[start : start + BATCH], texts[start : start + BATCH]):
            if settings.decision(hit.method) != "off":
                by_row.setdefault(start + row, []).append(hit)
        for row, hits in by_row.items():
            dropping = [hit for hit in hits if settings.decision(hit.method) == "drop"]
            surest = _surest(dropping or hits)
            evidence = [
                {**asdict(hit), "problem": shorten(texts[row], 300), "decision": settings.decision(hit.method)}
                for hit in surest[:MAX_HITS]
            ]
            if dropping:
                detail = {"source": sources[row], "method": surest[0].method, "n_hits": len(surest), "hits": evidence}
                dropped[row] = Dropped(ids[row], "decontaminate", CONTAMINATED, detail)
            else:
                reported[row] = evidence
    return dropped, reported


def _surest(hits: Iterable[Hit]) -> list[Hit]:
    """One hit a benchmark problem: its first, since `BenchmarkIndex.search` puts the surest method first."""
    first: dict[tuple[str, int], Hit] = {}
    for hit in hits:
        first.setdefault((hit.benchmark, hit.benchmark_row), hit)
    return list(first.values())
