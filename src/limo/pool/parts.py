"""A pool larger than the memory: a folder of Parquet parts, each written whole, in the order of its rows.

    ingest_parts(["math.jsonl", "more/"], "pool/", why_not)      # pool/part-00000.parquet, pool/dropped/...
    for part in parts_of("pool/"): problems = read_part(part)

A part holds what came of 50,000 rows read; `dropped/` beside it says what did not get in and why.  The same call again
goes on after the last whole part.

What it does not do: look for duplicates or benchmark problems (`big`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.files import atomic
from limo.core.progress import NoProgress, Progress
from limo.core.records import Dropped, Problem
from limo.core.text import shorten
from limo.pool.ingest import COLUMNS, IngestSettings, Source, encode_meta, stream, table_of

PART_ROWS = 50_000
DROPPED = "dropped"
_SUMMARY = "counts.json"


def ingest_parts(
    sources: Iterable[str | Path | Source],
    folder: str | Path,
    why_not: Callable[[Problem], str] | None = None,
    settings: IngestSettings | None = None,
    progress: Progress | None = None,
) -> Counter[str]:
    """Read all sources into a folder of parts; how many rows were kept (`kept`) and dropped, by reason.

    A folder made from other sources is refused, and one that is whole is left as it is.
    """
    folder, sources = Path(folder), list(sources)
    listed = [str(getattr(one, "path", one)) for one in sources]
    counts, n_done = _begun(folder, listed)
    left = stream(sources, why_not, settings, skip=n_done * PART_ROWS)
    while batch := list(islice(left, PART_ROWS)):
        kept = [one for one in batch if isinstance(one, Problem)]
        gone = [one for one in batch if isinstance(one, Dropped)]
        write_part(folder / name_of(n_done), kept, gone)
        counts.update({"kept": len(kept), **Counter(one.reason for one in gone)})
        n_done += 1
        _note(folder, listed, counts, n_done)
        (progress or NoProgress()).log(f"{n_done * PART_ROWS:,} rows read, {counts['kept']:,} kept")
    return counts


def name_of(number: int) -> str:
    """The file name of a part."""
    return f"part-{number:05d}.parquet"


def parts_of(pool: str | Path) -> list[Path]:
    """The parts of a pool in order: the Parquet files of a folder, or the one file given.

    Raises MissingFileError, and InputError where there is none or a column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    pool = Path(pool)
    found = [pool] if pool.is_file() else sorted(pool.glob("*.parquet"))
    if not pool.exists():
        raise MissingFileError("there is no such pool", pool, "a folder of Parquet parts", "check the path")
    if not found:
        raise InputError("the folder holds no part of a pool", pool, "*.parquet", "make it with `limo pool ingest`")
    for part in found:
        try:
            missing = [name for name in COLUMNS if name not in pq.read_schema(part).names]
        except (pa.ArrowInvalid, OSError) as error:
            raise StorageError("this part cannot be read", part, "whole Parquet", shorten(str(error))) from None
        if missing:
            what, do = f"columns are missing: {', '.join(missing)}", "make it with `limo pool ingest`"
            raise InputError(what, part, ", ".join(COLUMNS), do)
    return found


def read_table(part: Path, columns: Sequence[str] = COLUMNS) -> Any:
    """The columns of a part as an Arrow table: text without nulls, and `options`.  Raises StorageError if damaged."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(part, columns=list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError("this part cannot be read", part, "whole Parquet", shorten(str(error))) from None
    cells = {name: table.column(name) for name in columns}
    texts = {name: pc.fill_null(cell.cast(pa.string()), "") for name, cell in cells.items() if name != "options"}
    return pa.table(cells | texts)


def read_part(part: Path, columns: Sequence[str] = COLUMNS) -> dict[str, list[Any]]:
    """The columns of a part as lists."""
    found: dict[str, list[Any]] = read_table(part, columns).to_pydict()
    return found


def decode_meta(text: str, where: object) -> dict[str, Any]:
    """The object that a cell of `meta` holds; {} for an empty one."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError("the meta of a problem is no JSON object", shorten(text), "{...}", f"mend it in {where}")
    return value


def problems_of(part: Path) -> list[Problem]:
    """The problems of a part, in order."""
    columns = read_part(part)
    metas = [decode_meta(meta, part) for meta in columns.pop("meta")]
    names = [name for name in COLUMNS if name != "meta"]
    rows = zip(*(columns[name] for name in names), metas, strict=True)
    return [Problem(**dict(zip(names, row, strict=False)), meta=row[-1]) for row in rows]


def write_part(path: Path, kept: Sequence[Problem], gone: Sequence[Dropped]) -> None:
    """A part and, before it, what was dropped of it: a part that is there has its reasons there too."""
    try:
        table = table_of(kept)
    except UnicodeEncodeError as error:
        raise InputError("a problem holds broken characters", ascii(error.object), "whole Unicode", "drop it") from None
    write_table(path, table, gone)


def write_table(path: Path, table: Any, gone: Sequence[Dropped]) -> None:
    """The same for problems that are a table already."""
    import pyarrow.parquet as pq

    for target, content in ((path.parent / DROPPED / path.name, _reasons(gone)), (path, table)):
        with atomic(target) as aside:
            pq.write_table(content, aside, compression="zstd")


def with_meta(table: Any, keys: Mapping[int, tuple[str, Any]], where: object) -> Any:
    """The table with one more key in the `meta` of some rows."""
    import pyarrow as pa

    metas = table.column("meta").to_pylist()
    for row, (name, value) in keys.items():
        metas[row] = encode_meta({**decode_meta(metas[row], where), name: value})
    return table.set_column(table.column_names.index("meta"), "meta", pa.array(metas, pa.string()))


def dropped_of(pool: str | Path) -> list[Dropped]:
    """Everything that was dropped of a pool of parts, in order."""
    import pyarrow.parquet as pq

    rows = [row for part in sorted((Path(pool) / DROPPED).glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    return [Dropped(row["problem_id"], row["stage"], row["reason"], json.loads(row["detail"])) for row in rows]


def _reasons(gone: Sequence[Dropped]) -> Any:
    import pyarrow as pa

    columns = {
        "problem_id": [one.problem_id for one in gone],
        "stage": [one.stage for one in gone],
        "reason": [one.reason for one in gone],
        "detail": [json.dumps(one.detail, default=str) for one in gone],
    }
    return pa.table(columns, schema=pa.schema([(name, pa.string()) for name in columns]))


def _begun(folder: Path, sources: list[str]) -> tuple[Counter[str], int]:
    """The counts and the number of whole parts that an earlier call left."""
    file = folder / _SUMMARY
    if not file.is_file():
        if folder.is_dir() and any(folder.glob("part-*.parquet")):
            what, do = "the folder holds parts of unknown origin", "name an empty folder"
            raise InputError(what, folder, "an empty folder, or one begun by this command", do)
        return Counter(), 0
    noted = json.loads(file.read_text(encoding="utf-8"))
    if noted["sources"] != sources:
        do = "give the same sources, or another folder"
        raise InputError("the folder was begun from other sources", folder, ", ".join(noted["sources"]), do)
    return Counter(noted["counts"]), int(noted["n_parts"])


def _note(folder: Path, sources: list[str], counts: Counter[str], n_parts: int) -> None:
    with atomic(folder / _SUMMARY) as aside:
        noted = {"sources": sources, "n_parts": n_parts, "counts": dict(counts)}
        aside.write_text(json.dumps(noted, ensure_ascii=True, indent=1) + "\n", encoding="ascii")
