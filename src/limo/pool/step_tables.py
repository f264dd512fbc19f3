"""The tables that the steps of dedup hand to each other, one a task: in memory, or files in a folder that all see.

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
    """Tables by step and task; without a folder they stay in memory, which holds a pool of one shard."""

    folder: Path | None = None
    in_memory: dict[tuple[str, str], Any] = field(default_factory=dict)

    def path(self, step: str, task: str) -> Path:
        """The file of a task."""
        assert self.folder is not None
        return self.folder / step / f"{task}.parquet"

    def paths(self, step: str) -> list[Path]:
        """The files of a step in order of their names."""
        return sorted(self.path(step, "").parent.glob("*.parquet"))

    def write(self, step: str, task: str, table: Any) -> None:
        """Keep the table of a task, sorted by row where it has a row for some problems only."""
        import pyarrow.parquet as pq

        if self.folder is None:
            self.in_memory[step, task] = table
            return
        with atomic(self.path(step, task)) as temporary:  # hashes do not compress, and hardly one comes twice
            pq.write_table(table, temporary.absolute(), compression="none", use_dictionary=False, row_group_size=65_536)

    def read(self, step: str, columns: Sequence[str], shard: int | None = None) -> Iterator[Any]:
        """The tables of a step; of files only the rows of one shard if it is given."""
        import pyarrow.parquet as pq

        if self.folder is None:
            return (table.select(columns) for (name, _), table in self.in_memory.items() if name == step)
        rows = None if shard is None else [("row", ">=", shard << ROW_BITS), ("row", "<", (shard + 1) << ROW_BITS)]
        return (pq.read_table(file.absolute(), columns=list(columns), filters=rows) for file in self.paths(step))
