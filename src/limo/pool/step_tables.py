"""The tables that the steps of dedup hand to each other, in memory or in files, one a task.

A table has a column `row`: the number of a shard in the high 32 bits, the position in that shard in the low.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limo.core.files import atomic

ROW_BITS = 32


@dataclass(frozen=True, slots=True)
class StepTables:
    """In memory, of a pool of one shard."""

    by_step: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, step: str, task: str, table: Any) -> None:
        """Keep the table of a task, sorted by row where it has a row for some problems only."""
        self.by_step.setdefault(step, {})[task] = table

    def tables(self, step: str, columns: Sequence[str], shard: int | None = None) -> Iterator[Any]:
        """The tables of a step, one a task; only the rows of one shard if it is given."""
        return (table.select(columns) for table in self.by_step[step].values())


@dataclass(frozen=True, slots=True)
class StepFiles:
    """In a folder that all workers see."""

    folder: Path

    def path(self, step: str, task: str) -> Path:
        """The file of a task."""
        return self.folder / step / f"{task}.parquet"

    def paths(self, step: str) -> list[Path]:
        """The files of a step in order of their names."""
        return sorted((self.folder / step).glob("*.parquet"))

    def write(self, step: str, task: str, table: Any) -> None:
        """As StepTables.write.  Hashes do not compress, and hardly one comes twice."""
        import pyarrow.parquet as pq

        with atomic(self.path(step, task)) as temporary:
            pq.write_table(table, temporary, compression="none", use_dictionary=False, row_group_size=65_536)

    def tables(self, step: str, columns: Sequence[str], shard: int | None = None) -> Iterator[Any]:
        """As StepTables.tables."""
        import pyarrow.parquet as pq

        rows = None if shard is None else [("row", ">=", shard << ROW_BITS), ("row", "<", (shard + 1) << ROW_BITS)]
        return (pq.read_table(file, columns=list(columns), filters=rows) for file in self.paths(step))


StepStore = StepTables | StepFiles
