"""Removes benchmark problems from a pool, each with the evidence: what it matched, how, how much, which words.

Each method of `limo.pool.benchmark_index` has its own decision: `drop`, `report` (the row stays, the evidence goes into
`meta["near_benchmark"]`) or `off`.

About `renumbered`: a copy with other numbers teaches the same solution, so it is dropped by default.  In a pool made
from templates (the pocket world) nearly every problem is a renumbered sibling of a benchmark problem by construction;
there set `renumbered: report`, and the same text and same numbers rules still hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from limo.core.files import output_folder
from limo.core.progress import Progress
from limo.core.records import Dropped, Problem
from limo.core.text import content_hash, shorten
from limo.pool.benchmark_index import SIBLINGS, BenchmarkIndex, DecontaminateSettings, Hit
from limo.pool.canonical.statements import AnyProblem, Stated
from limo.pool.evidence import EVIDENCE, REPORTED, evidence_table, write_evidence
from limo.pool.shards import hash_shards, note_rows, read_table, shards_of, split_problems, write_split
from limo.pool.summary import read_summary
from limo.pool.tasks import ExecutorSettings, run_tasks

CONTAMINATED, SIBLING = "in a benchmark", "sibling of a benchmark problem"
HELD_OUT, HELD_OUT_REASON = "held-out", "held out"
"""The benchmark that `limo init` takes out of the pool's own file, and why its problems are dropped from the pool."""
MAX_HITS = 5  # benchmark problems named in the evidence of one row; `n_hits` counts all that decided


def decontaminate(
    problems: Iterable[Problem],
    benchmarks: Mapping[str, Sequence[Problem]],
    settings: DecontaminateSettings | None = None,
) -> tuple[list[Problem], list[Dropped]]:
    """The problems that no method drops, in order, and the others with their evidence in `detail["hits"]`."""
    pool = list(problems)
    return split_problems(pool, *find_contamination(pool, BenchmarkIndex(benchmarks, settings)))


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
    held_out = content_hash(*(text for name in benchmarks for text in (name, *(p.problem for p in benchmarks[name]))))
    with output_folder(out, {"pool": hash_shards(shards), "benchmarks": held_out, "settings": settings.hash}):
        if finished := read_summary(out):
            return finished[0]
        missing = [str(shard) for shard in shards if not (out / shard.name).exists()]
        if missing:
            run_tasks(partial(_write_clean, BenchmarkIndex(benchmarks, settings), out), missing, executor, progress)
        return note_rows(out, [shard.name for shard in shards])


def _write_clean(index: BenchmarkIndex, out: Path, task: str) -> None:
    """One shard without benchmark problems, and the evidence, which is written first."""
    shard = Path(task)
    table = read_table(shard)
    problems = Stated.of_table(table)
    dropped, reported = find_contamination(problems, index)
    near = [
        Problem(problems[row].id, problems[row].problem, "", source=problems[row].source, meta={name: hits})
        for row, (name, hits) in sorted(reported.items())
    ]
    write_evidence(evidence_table(near, dropped.values()), out / EVIDENCE / shard.name)
    write_split(out / shard.name, table, dropped, reported, shard)


def find_contamination(
    problems: Sequence[AnyProblem], index: BenchmarkIndex
) -> tuple[dict[int, Dropped], dict[int, tuple[str, list[dict[str, object]]]]]:
    """The rows that go, with their evidence, and the evidence of those that are only reported, as keys of `meta`."""
    decision, hits_by_row = index.settings.decision, dict[int, list[Hit]]()
    for row, hit in index.search(problems):
        if decision(hit.method) != "off":
            hits_by_row.setdefault(row, []).append(hit)
    dropped, reported = dict[int, Dropped](), dict[int, tuple[str, list[dict[str, object]]]]()
    for row, hits in hits_by_row.items():
        dropping, problem = [hit for hit in hits if decision(hit.method) == "drop"], problems[row]
        surest = _surest(dropping or hits)
        evidence: list[dict[str, object]] = [
            {**asdict(hit), "problem": shorten(problem.problem, 300), "decision": decision(hit.method)}
            for hit in surest[:MAX_HITS]
        ]
        if dropping:
            detail = {"source": problem.source, "method": surest[0].method, "n_hits": len(surest), "hits": evidence}
            is_held_out = {hit.benchmark for hit in surest} == {HELD_OUT} and surest[0].method == "same text"
            reason = HELD_OUT_REASON if is_held_out else CONTAMINATED
            reason = SIBLING if surest[0].method in SIBLINGS else reason
            dropped[row] = Dropped(problem.id, "decontaminate", reason, detail)
        else:
            reported[row] = (REPORTED, evidence)
    return dropped, reported


def _surest(hits: Iterable[Hit]) -> list[Hit]:
    """One hit a benchmark problem: its first, since `BenchmarkIndex.search` puts the surest method first."""
    first: dict[tuple[str, int], Hit] = {}
    for hit in hits:
        first.setdefault((hit.benchmark, hit.benchmark_row), hit)
    return list(first.values())
