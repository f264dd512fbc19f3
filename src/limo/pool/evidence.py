"""The contamination report: every hit with both texts, as a table, as Parquet and as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from limo.core.files import atomic
from limo.core.records import Dropped, Problem
from limo.core.text import shorten
from limo.pool.benchmark_index import METHODS

_TEXTS = (
    "source", "problem_id", "problem", "benchmark", "benchmark_id", "benchmark_problem", "method", "words", "decision",
)  # fmt: skip
EVIDENCE = "evidence"  # the folder of the evidence in a pool of shards
REPORTED = "near_benchmark"  # the key of the evidence in the meta of a problem that stays
_RANK = {str(method): number for number, method in enumerate(METHODS)}
_MAX_SHOWN = 20  # hits that are spelled out; the table holds all


def evidence_table(kept: Iterable[Problem], dropped: Iterable[Dropped]) -> list[dict[str, object]]:
    """One row a hit, of dropped and of reported problems, as plain values."""
    table: list[dict[str, object]] = []
    for row in dropped:
        table += _rows(row.detail.get("hits"), row.detail.get("source"))
    for problem in kept:
        table += _rows(problem.meta.get(REPORTED), problem.source)
    return table


def describe_reported(table: Iterable[Mapping[str, object]]) -> str:
    """How many problems stay in the pool though they are like a benchmark problem, each once, by its surest method.

    '' where none does.
    """
    reported = surest([row for row in table if row["decision"] == "report"])
    if not reported:
        return ""
    method_of: dict[object, str] = {}
    for row in reported:
        method_of.setdefault(row["problem_id"], str(row["method"]))
    methods = ", ".join(f"{method} {n:,}" for method, n in Counter(method_of.values()).most_common())
    n = len(method_of)
    return f"like a benchmark problem, and kept by the recipe (decontaminate: report): {n:,} problems ({methods})"


def totals(table: Iterable[Mapping[str, object]]) -> list[dict[str, Any]]:
    """Distinct pool rows by benchmark, source, method and decision, largest first."""
    groups: dict[tuple[str, str, str, str], set[object]] = {}
    for row in table:
        key = (str(row["benchmark"]), str(row["source"]), str(row["method"]), str(row["decision"]))
        groups.setdefault(key, set()).add(row["problem_id"])
    ranked = sorted(groups.items(), key=lambda item: (item[0][0], _RANK.get(item[0][2], 9), -len(item[1]), item[0][1]))
    names = ("benchmark", "source", "method", "decision")
    return [{**dict(zip(names, key, strict=True)), "n_problems": len(ids)} for key, ids in ranked]


def write_evidence(table: Sequence[Mapping[str, object]], path: str | Path) -> None:
    """The table as Parquet, whole or not at all, with its columns even where it has no row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*((name, pa.string()) for name in _TEXTS), ("benchmark_row", pa.int64()), ("score", pa.float64())]
    with atomic(path) as temporary:
        rows = [{name: row.get(name) for name, _ in names} for row in table]
        pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(names)), temporary.absolute(), compression="zstd")


def read_evidence(pool: str | Path) -> list[dict[str, Any]]:
    """The table of a decontaminated pool of shards."""
    import pyarrow.parquet as pq

    files = sorted((Path(pool) / EVIDENCE).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file.absolute()).to_pylist()]


def surest(table: Sequence[Mapping[str, Any]], most: int | None = None) -> list[Mapping[str, Any]]:
    """At most so many rows (all by default), by method and score."""
    return sorted(table, key=lambda row: (_RANK.get(str(row["method"]), 9), -float(str(row["score"]))))[:most]


def render(table: Sequence[Mapping[str, Any]], most: int = _MAX_SHOWN) -> str:
    """The surest hits spelled out, each with both texts and the words that they share."""
    lines = [line for row in surest(table, most) for line in _spelled(row)]
    left = len(table) - most
    return "\n".join(lines + ([f"and {left:,} more"] if left > 0 else []))


def _spelled(row: Mapping[str, object]) -> list[str]:
    where = f"{row['benchmark']} row {row['benchmark_row']}"
    head = f"{row['decision']}: {row['method']} {row['score']} with {where} ({row['source'] or 'no source'})"
    texts = [("pool", row.get("problem")), ("benchmark", row.get("benchmark_problem")), ("shared", row.get("words"))]
    return [head, *(f"  {name:10}{shorten(str(text or ''), 160)}" for name, text in texts)]


def _rows(hits: object, source: object) -> list[dict[str, object]]:
    return [{"source": str(source or ""), **hit} for hit in hits] if isinstance(hits, list) else []
