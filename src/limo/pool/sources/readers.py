"""Raw rows of every container that a pool may come in.

JSON Lines are split on "\\n" only: `str.splitlines` also breaks on U+2028, which occurs inside real problems.  A row
that cannot be read comes out with its line number and the error, so that the counts of a pool add up.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.files import TABLE_SUFFIXES as SUFFIXES
from limo.core.text import shorten

_PACKED = (".gz", ".zst")
GENERATED = "reasoning-gym:"
_ALLOWED = "Parquet, JSONL, JSON, CSV or TSV (.gz or .zst too), a folder of them, a dataset saved to disk"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One raw row: its file's name, its line (or row number, from 1), its value, or why it has none."""

    file: str
    line: int
    value: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def rows(source: str | Path) -> Iterator[SourceRow]:
    """All rows of a file, a folder of files (sorted by path), a dataset saved to disk or on the hub, or made anew.

    What is made anew is named `reasoning-gym:TASK?size=500&seed=0`, with any setting of the task (see `generators`).

    Raises MissingFileError, InputError (nothing readable there, or empty) and StorageError (damaged file).
    """
    path = Path(source)
    if str(source).startswith(GENERATED):
        from limo.pool.sources.generators import generated

        yield from _numbered(generated(str(source).removeprefix(GENERATED)), str(source).partition("?")[0])
    elif path.is_dir():
        yield from _folder(path)
    elif path.is_file():
        yield from _file(path, path.name)
    elif _is_hub_id(str(source)):
        yield from table_of_hub(str(source))
    else:
        raise MissingFileError("there is no such pool", source, _ALLOWED, "check the path")


@lru_cache(maxsize=256)
def stem(name: str) -> str:
    """The name of a pool file without its suffixes: `pools/a.b.jsonl.gz` -> `a.b`."""
    base = Path(name).name
    for suffix in (*_PACKED, *SUFFIXES):
        base = base.removesuffix(suffix)
    return base


def _kind(path: Path) -> str:
    """The suffix that says how to read `path`, or ""."""
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def _folder(path: Path) -> Iterator[SourceRow]:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        import datasets

        yield from _splits(datasets.load_from_disk(os.fspath(path)), path.name)
        return
    inside = sorted(p for p in path.rglob("*") if p.is_file() and _kind(p) and not p.name.startswith("."))
    if not inside:
        raise InputError("the folder holds no pool file", path, _ALLOWED, "name another folder")
    for file in inside:
        yield from _file(file, str(file.relative_to(path)))


def _file(path: Path, name: str) -> Iterator[SourceRow]:
    readers = {".parquet": _parquet, ".json": _json, ".csv": _csv, ".tsv": _csv}
    kind = _kind(path)
    if not kind:
        raise InputError("the kind of file is not known", path, _ALLOWED, "rename it by its kind")
    if path.stat().st_size == 0:
        raise InputError("the file is empty", path, "at least one row", "check how it was written")
    try:
        yield from readers.get(kind, _lines)(path, name)
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, StorageError | MissingFileError):
            raise
        raise StorageError("the file cannot be read to its end", path, "an intact file", shorten(str(error))) from None


def _open(path: Path) -> BinaryIO:
    name = path.name.lower()
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    if name.endswith(".zst"):
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.OSFile(os.fspath(path)), "zstd")))
    return path.open("rb")


def _lines(path: Path, name: str) -> Iterator[SourceRow]:
    with _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield _parsed(name, number, line)


def _parsed(name: str, number: int, line: bytes) -> SourceRow:
    try:
        return _row(name, number, json.loads(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        return SourceRow(name, number, error=f"not UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return SourceRow(name, number, error=f"not JSON: {shorten(str(error), 120)}")


def _row(name: str, number: int, value: object) -> SourceRow:
    if isinstance(value, dict):
        return SourceRow(name, number, value)
    return SourceRow(name, number, error=f"a {type(value).__name__} where a JSON object belongs")


def _json(path: Path, name: str) -> Iterator[SourceRow]:
    """A list of objects, an object holding one such list, one object (as in MATH), or JSON Lines misnamed."""
    with _open(path) as stream:
        raw = stream.read()
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        yield from _lines(path, name)
        return
    if isinstance(value, dict):
        tables = [v for v in value.values() if isinstance(v, list) and v and all(isinstance(r, dict) for r in v)]
        value = tables[0] if len(tables) == 1 and len(value) <= 3 else [value]
    if not isinstance(value, list):
        value = [value]
    for number, item in enumerate(value, start=1):
        yield _row(name, number, item)


def _csv(path: Path, name: str) -> Iterator[SourceRow]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    delimiter = "\t" if _kind(path) == ".tsv" else ","
    with _open(path) as stream:
        # Undecodable bytes become lone surrogates, which `fields` then refuses row by row.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.DictReader(text, delimiter=delimiter, strict=True)
        while True:
            try:
                value = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield SourceRow(name, reader.line_num, error=f"not CSV: {error}")
                continue
            if None in value or None in value.values():
                yield SourceRow(name, reader.line_num, error="the number of cells differs from the header's")
            else:
                yield SourceRow(name, reader.line_num, dict(value))


def _parquet(path: Path, name: str) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        batches = pq.ParquetFile(path).iter_batches(batch_size=1024)
        yield from _numbered((value for batch in batches for value in batch.to_pylist()), name)
    except pa.ArrowInvalid as error:
        raise StorageError("the file is not whole Parquet", path, "an intact file", shorten(str(error))) from None


def _is_hub_id(source: str) -> bool:
    parts = source.split("/")
    return len(parts) == 2 and all(parts) and not source.startswith((".", "~")) and not _kind(Path(source))


def table_of_hub(hub_id: str, config: str = "", split: str = "", revision: str = "") -> Iterator[SourceRow]:
    """The rows of a data set on the hub, or from its cache where the hub is out of reach.

    Raises MissingFileError, with the client's reason, where neither has it.
    """
    import datasets

    try:
        loaded = datasets.load_dataset(hub_id, config or None, split=split or None, revision=revision or None)
    except (OSError, ValueError, RuntimeError) as error:  # offline, gated, absent, several configurations
        why = shorten(f"{type(error).__name__}: {error}", 160)
        raise MissingFileError("no such path, and the hub did not give it", hub_id, _ALLOWED, why) from None
    yield from _splits(loaded, hub_id)


def _splits(loaded: Any, name: str) -> Iterator[SourceRow]:
    tables = loaded.items() if isinstance(loaded, dict) else [("", loaded)]
    for split, table in tables:
        yield from _numbered(table, f"{name}:{split}" if split else name)


def _numbered(values: Iterable[dict[str, Any]], name: str) -> Iterator[SourceRow]:
    return (SourceRow(name, number, value) for number, value in enumerate(values, start=1))
