"""A pool of any size on disk: a folder of Parquet shards, each written whole, in the order of its rows.

A shard holds what was kept of 50,000 rows read; `dropped/` beside it holds the reasons of the other rows.  The same
call again continues after the last whole shard.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.files import atomic, hash_path, kind_of, output_folder
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.core.rows import write_rows
from limo.core.text import content_hash, parse_json, shorten
from limo.pool.ingest import COLUMNS, IngestSettings, Source, encode_meta, stream, table_of, write_pool
from limo.pool.summary import read_summary, shards_in, write_summary

SHARD_ROWS = 50_000
DROPPED = "dropped"


def ingest_shards(
    folder: str | Path,
    sources: Iterable[str | Path | Source],
    why_not: Callable[[Problem], str] | None = None,
    settings: IngestSettings | None = None,
    progress: Progress | None = None,
) -> Counter[str]:
    """Read all sources into a folder of shards; the number of rows kept (`kept`) and dropped, by reason.

    Raises InputError for a folder made from other sources; one that is whole is left as it is.
    """
    folder, sources = Path(folder), list(sources)
    paths = [str(getattr(source, "path", source)) for source in sources]
    made_from = {f"source {number}, {path}": hash_path(path) for number, path in enumerate(paths, 1)}
    texts = (value.hash if isinstance(value, Settings) else str(value) for value in (settings, *sources))
    made_from["settings"] = content_hash(*texts)
    with output_folder(folder, made_from):
        return _write_ingested(folder, sources, paths, why_not, settings, progress)


def hash_shards(shards: Iterable[Path]) -> str:
    """Names the content of a pool."""
    return content_hash(*(text for shard in shards for text in (shard.name, hash_path(shard))))


def _write_ingested(
    folder: Path, sources: list[str | Path | Source], paths: list[str], why_not: Callable[[Problem], str] | None,
    settings: IngestSettings | None, progress: Progress | None,
) -> Counter[str]:  # fmt: skip
    counts, parts = read_summary(folder) or (Counter(), [])
    rows = stream(sources, why_not, settings, skip=len(parts) * SHARD_ROWS)
    while batch := list(islice(rows, SHARD_ROWS)):
        kept = [row for row in batch if isinstance(row, Problem)]
        dropped = [row for row in batch if isinstance(row, Dropped)]
        parts.append(f"part-{len(parts):05d}.parquet")
        write_problems(folder / parts[-1], kept, dropped)
        counts.update({"kept": len(kept), **Counter(row.reason for row in dropped)})
        n_read = (len(parts) - 1) * SHARD_ROWS + len(batch)
        write_summary(folder, counts, parts[-1:], paths)
        (progress or NoProgress()).log(f"{n_read:,} rows read, {counts['kept']:,} kept")
    return counts


@dataclass(frozen=True, slots=True)
class Written:
    """A pool that was written: rows kept, rows dropped by reason, and both themselves where they are in memory."""

    n_kept: int
    n_by_reason: Counter[str]
    output: str
    rows: tuple[list[Problem], list[Dropped]] | None = None

    def read_dropped(self, reason: str = "") -> list[Dropped]:
        """What was dropped, or dropped for this reason."""
        if self.rows is None:
            return dropped_of(self.output, reason)
        return [row for row in self.rows[1] if row.reason == (reason or row.reason)]


def write_output(
    output: str, in_memory: Callable[[], tuple[list[Problem], list[Dropped]]], in_shards: Callable[[], Counter[str]],
    dropped_file: str | None = None,
) -> Written:  # fmt: skip
    """A step's result in one file, or in a folder of shards where the name of the output has no file's ending.

    What was dropped, and why, goes into `dropped_file` as rows, whatever is left.

    Raises InputError where nothing is left for the file.
    """
    if not output.lower().endswith((".parquet", ".jsonl", ".jsonl.gz", ".json", ".csv", ".gz")):
        counts = in_shards()
        if dropped_file:
            write_rows([asdict(row) for row in dropped_of(output)], dropped_file)
        return Written(counts.pop("kept", 0), counts, output)
    kept, dropped = in_memory()
    if dropped_file:
        write_rows([asdict(row) for row in dropped], dropped_file)
    by_reason = Counter(row.reason for row in dropped)
    if not kept:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in by_reason.most_common())
        do = "see why with --dropped FILE, or in a folder: -o NAME without an ending"
        raise InputError("no problem is left", reasons or "none came in", "one or more", do)
    return Written(write_pool(kept, output), by_reason, output, (kept, dropped))


def shards_of(pool: str | Path) -> list[Path]:
    """The shards of a pool in order: the Parquet files of a folder, or the one file given.

    Raises MissingFileError, and InputError where there is none, a column is missing, or they are not those that limo
    wrote there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    pool = Path(pool)
    if pool.is_file() and kind_of(pool) != ".parquet":
        do = f"run first: limo pool ingest {pool} -o NAME, and give NAME; or give -o a file's name, as pool.jsonl"
        raise InputError("a step in shards reads a pool, and this is a file of rows", pool, "a folder of shards", do)
    if not pool.exists():
        raise MissingFileError("there is no such pool", pool, "a folder of Parquet shards", "check the path")
    shards = [pool] if pool.is_file() else shards_in(pool)
    if not shards:
        raise InputError("the folder holds no shard of a pool", pool, "*.parquet", "make it with `limo pool ingest`")
    for shard in shards:
        try:
            missing = [name for name in COLUMNS if name not in pq.read_schema(shard.absolute()).names]
        except (pa.ArrowInvalid, OSError) as error:
            raise _damaged(shard, error) from None
        if missing:
            what, do = f"columns are missing: {', '.join(missing)}", "make it with `limo pool ingest`"
            raise InputError(what, shard, ", ".join(COLUMNS), do)
    return shards


def read_table(shard: Path, columns: Sequence[str] = COLUMNS) -> Any:
    """The columns of a shard as an Arrow table: text without nulls, and `options`.  Raises StorageError if damaged."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(shard.absolute(), columns=list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(shard, error) from None
    cells = {name: table.column(name) for name in columns}
    odd = (name for name, cell in cells.items() if name != "options" and (cell.null_count or cell.type != pa.string()))
    texts = {name: pc.fill_null(cells[name].cast(pa.string()), "") for name in odd}
    return pa.table(cells | texts)


def _damaged(shard: Path, error: Exception) -> StorageError:
    return StorageError("this shard cannot be read", shard, "whole Parquet", shorten(str(error)))


def decode_meta(text: str, file: object) -> dict[str, Any]:
    """The object in a cell of `meta`; {} for an empty one.  Raises InputError for another value."""
    if text in ("", "{}"):
        return {}
    try:
        value = parse_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError("the meta of a problem is no JSON object", shorten(text), "{...}", f"correct it in {file}")
    return value


def write_problems(shard: Path, kept: Sequence[Problem], dropped: Sequence[Dropped]) -> None:
    """A shard of problems in memory."""
    try:
        table = table_of(kept)
    except UnicodeEncodeError as error:
        raise InputError("a problem holds broken characters", ascii(error.object), "whole Unicode", "drop it") from None
    _write(shard, table, dropped)


def split_problems(
    problems: Sequence[Problem], dropped: Mapping[int, Dropped], metas: Mapping[int, tuple[str, Any]]
) -> tuple[list[Problem], list[Dropped]]:
    """The problems that are not dropped, with one more key in the `meta` of some of them, and what was dropped."""
    kept = [
        replace(problem, meta={**problem.meta, metas[row][0]: metas[row][1]}) if row in metas else problem
        for row, problem in enumerate(problems)
        if row not in dropped
    ]
    return kept, list(dropped.values())


def write_split(
    shard: Path, table: Any, dropped: Mapping[int, Dropped], metas: Mapping[int, tuple[str, Any]], source: object
) -> None:
    """The same of the rows of a shard's table, as another shard."""
    import pyarrow as pa

    @lru_cache  # many rows have equal cells
    def around(cell: str, name: str) -> tuple[str, str]:
        meta = decode_meta(cell, source)  # keys are written in order
        before = encode_meta({key: value for key, value in meta.items() if key < name})[1:-1]
        after = encode_meta({key: value for key, value in meta.items() if key > name})[1:-1]
        return f"{{{before}{', ' * bool(before)}{encode_meta(name)}: ", f"{', ' * bool(after)}{after}}}"

    cells = table.column("meta").to_pylist()
    for row, (name, value) in metas.items():
        before, after = around(cells[row], name)
        cells[row] = f"{before}{encode_meta(value)}{after}"
    table = table.set_column(table.column_names.index("meta"), "meta", pa.array(cells, pa.string()))
    stays = np.ones(table.num_rows, bool)
    stays[list(dropped)] = False
    _write(shard, table.filter(pa.array(stays)), list(dropped.values()))


def _write(shard: Path, table: Any, dropped: Sequence[Dropped]) -> None:
    """What was dropped, and then the shard: a shard that is there has its reasons there too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    reasons = {
        "problem_id": [row.problem_id for row in dropped],
        "stage": [row.stage for row in dropped],
        "reason": [row.reason for row in dropped],
        "detail": [json.dumps(row.detail, default=str) for row in dropped],
    }
    reason_table = pa.table(reasons, schema=pa.schema([(name, pa.string()) for name in reasons]))
    for file, content in ((shard.parent / DROPPED / shard.name, reason_table), (shard, table)):
        with atomic(file) as temporary:
            pq.write_table(content, temporary.absolute(), compression="zstd")


def dropped_of(pool: str | Path, reason: str = "") -> list[Dropped]:
    """Everything that was dropped of a pool of shards, or dropped for this reason, in order."""
    import pyarrow.parquet as pq

    files = sorted((Path(pool) / DROPPED).glob("*.parquet"))
    wanted = [("reason", "==", reason)] if reason else None
    rows = [row for file in files for row in pq.read_table(file.absolute(), filters=wanted).to_pylist()]
    return [Dropped(row["problem_id"], row["stage"], row["reason"], parse_json(row["detail"])) for row in rows]


def count_table_rows(file: Path) -> int:
    """The number of rows of a Parquet file."""
    import pyarrow.parquet as pq

    n_rows: int = pq.read_metadata(file.absolute()).num_rows
    return n_rows


def note_rows(pool: Path, names: Sequence[str]) -> Counter[str]:
    """Note the shards named in the pool's summary; the number of rows kept (`kept`) and dropped, by reason."""
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    for name in names:
        counts["kept"] += count_table_rows(pool / name)
        counts.update(
            pq.read_table((pool / DROPPED / name).absolute(), columns=["reason"]).column("reason").to_pylist()
        )
    return write_summary(pool, counts, names)
