"""What the steps of dedup decided: the rows that go, with their evidence, and the families of those that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limo.core.records import Dropped
from limo.core.text import shorten
from limo.pool.fingerprints import RANKS, Array
from limo.pool.shards import read_table, write_split
from limo.pool.step_tables import ROW_BITS, StepTables

TEXTS, REWORDINGS, FAMILIES = "texts", "rewordings", "families"
LEADER = ("leader_row", *RANKS)
DESCRIBED = ["id", "source", "answer", "problem"]
ANOTHER_ANSWER = "duplicate with another answer"


def column_of(table: Any, name: str) -> Array:
    """A column of numbers of a step's table."""
    return table.column(name).to_numpy()


def write_dropped(
    store: StepTables,
    step: str,
    task: str,
    table: Any,
    rows: Array,
    twins: Array,
    reasons: list[str],
    similarity: Array,
) -> None:
    """Which rows go, and the evidence."""
    import pyarrow as pa

    dropped, kept = table.select(["row", "rank1", "wrapper"]).take(pa.array(rows)), table.take(pa.array(twins))
    evidence = pa.table({
        "row": dropped.column("row"), "id": dropped.column("rank1"), "wrapper": dropped.column("wrapper"),
        "reason": pa.array(reasons, pa.string()), "twin": kept.column("rank1"),
        "similarity": similarity, "kept_source": kept.column("source"), "kept_answer": kept.column("answer"),
    })  # fmt: skip
    store.write(step, task, evidence.sort_by("row"))  # sorted, so that a shard reads its own rows and few others


def write_distinct(files: StepTables, shards: Sequence[Path], out: Path, task: str) -> None:
    """One shard of the pool without what was dropped, the others with the name of their family."""
    import pyarrow as pa

    shard = shards[int(task)]
    table = read_table(shard)
    cells = table.select(DESCRIBED)
    decisions = shard_decisions(files, int(task), lambda rows: cells.take(pa.array(rows, pa.int64())).to_pylist())
    write_split(out / shard.name, table, *decisions, shard)


def shard_decisions(
    store: StepTables, shard: int, describe: Callable[[list[int]], list[dict[str, str]]]
) -> tuple[dict[int, Dropped], dict[int, tuple[str, str]]]:
    """Of one shard the rows that go, in order, and the families of those that stay, as keys of `meta`, by row.

    `describe` gives the columns `DESCRIBED` of rows.
    """
    columns = ["row", "reason", "twin", "similarity", "kept_source", "kept_answer", "wrapper"]
    names = ("twin", "kept_source", "kept_answer")
    reworded = (table.to_pydict() for table in store.read(REWORDINGS, ["id", *names]))
    # What a copy duplicates may itself reword another: that one is kept.
    kept_of = {row[0]: row[1:] for table in reworded for row in zip(*table.values(), strict=True)}
    tables = [table for step in (TEXTS, REWORDINGS) for table in store.read(step, columns, shard)]
    evidence = sorted((row for table in tables for row in table.to_pylist()), key=lambda row: row["row"])
    rows = [row["row"] - (shard << ROW_BITS) for row in evidence]
    dropped = {}
    for row, problem, found in zip(rows, describe(rows), evidence, strict=True):
        twin, kept_source, kept_answer = kept_of.get(found["twin"], tuple(found[name] for name in names))
        detail = {
            "duplicate_of": f"{twin:016x}",
            "similarity": round(found["similarity"], 3),
            "source": problem["source"],
            "kept_source": kept_source,
            "answer": problem["answer"],
            "kept_answer": kept_answer,
            **({"wrapper": found["wrapper"]} if found["wrapper"] else {}),
            **({"problem": shorten(problem["problem"], 300)} if found["reason"] == ANOTHER_ANSWER else {}),
        }
        dropped[row] = Dropped(problem["id"], "dedup", found["reason"], detail)
    row, leader = best_leaders(store.read(FAMILIES, ["row", *LEADER], shard))
    numbers = zip((row - (shard << ROW_BITS)).tolist(), leader["rank1"].tolist(), strict=True)
    return dropped, {number: ("family", f"{leader_id:016x}") for number, leader_id in numbers}


def best_leaders(tables: Iterable[Any]) -> tuple[Array, dict[str, Array]]:
    """Each row of the tables once, sorted, with the best of its leaders."""
    columns = [[column_of(table, name) for name in ("row", *LEADER)] for table in tables]
    row, leader_row, *ranks = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.lexsort([*reversed(ranks), row])
    first = order[np.r_[True, row[order][1:] != row[order][:-1]][: len(order)]]
    return row[first], dict(zip(LEADER, (column[first] for column in (leader_row, *ranks)), strict=True))
