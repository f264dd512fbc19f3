"""Any mix of sources becomes one pool; every row is either in it or in `dropped` with its file, line and reason.

`stream` yields rows one by one with bounded memory; `ingest` collects them.  `why_not(problem)` says why an answer
cannot be checked; it is the verifier's (`limo.verify.verifier`).
"""

from __future__ import annotations

import gzip
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, field_validator

from limo.core.errors import InputError
from limo.core.files import atomic
from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.core.rows import SourceRow, json_line
from limo.core.text import shorten
from limo.pool.sources.fields import FieldMap, RowProblem, row_to_problem
from limo.pool.sources.guess import find_fields, head_of, how_to_name
from limo.pool.sources.options import FROM_ONE
from limo.pool.sources.readers import rows, stem

LOG = logging.getLogger(__name__)
NOT_DRAWN = "not drawn"  # beyond `IngestSettings.limit`
COLUMNS = ("id", "problem", "answer", "options", "solution", "source", "topic", "language", "meta")


class Source(Settings):
    """One place problems come from."""

    path: str = Field(min_length=1, description="file, folder, dataset saved to disk, or hub id")
    name: str = Field(default="", description="name of the source; default: the row's own, else the file's")
    fields: FieldMap = Field(default=FieldMap(), description="which column holds what; default: found by itself")


class IngestSettings(Settings):
    """What goes into the pool."""

    sources: list[Source] = Field(default_factory=list, description="paths, or mappings with path, name, fields")
    keep_unverifiable: bool = Field(default=False, description="keep problems whose answer no rule can check")
    limit: int | None = Field(default=None, ge=1, description="at most so many problems, drawn by their ids")

    @field_validator("sources", mode="before")
    @classmethod
    def _paths_are_sources(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"path": item} if isinstance(item, str) else item for item in value]


class Ingested(NamedTuple):
    """The pool, and what did not get into it: `len(problems) + len(dropped)` is the number of rows read."""

    problems: list[Problem]
    dropped: list[Dropped]


def ingest(
    sources: Iterable[str | Path | Source],
    why_not: Callable[[Problem], str] | None = None,
    settings: IngestSettings | None = None,
) -> Ingested:
    """Read all `sources` in order.  `why_not(problem)` gives "" or the reason why its answer cannot be checked.

    With a `limit` the problems of the last ids are drawn: ids are hashes, so this is a sample, the same at each start;
    `limo init` holds those of the first ids out.
    """
    items = list(stream(sources, why_not, settings))
    ids = sorted({item.id for item in items if isinstance(item, Problem)})
    drawn = set(ids[-settings.limit :] if settings and settings.limit else ids)
    return Ingested(
        [item for item in items if isinstance(item, Problem) and item.id in drawn],
        [
            item if isinstance(item, Dropped) else Dropped(item.id, "ingest", NOT_DRAWN)
            for item in items
            if isinstance(item, Dropped) or item.id not in drawn
        ],
    )


def stream(
    sources: Iterable[str | Path | Source],
    why_not: Callable[[Problem], str] | None = None,
    settings: IngestSettings | None = None,
    skip: int = 0,
) -> Iterator[Problem | Dropped]:
    """One item a row, in order, holding one row at a time; the first `skip` rows are read, but not looked at.

    Raises InputError where no row of a source gives a problem: then its columns were not understood.  A file of a
    folder of which all rows are dropped is named in a warning: its columns may be others.
    """
    keep = settings is not None and settings.keep_unverifiable
    check = None if keep else why_not
    for given in sources:
        source = with_fields(given if isinstance(given, Source) else Source(path=os.fspath(given)))
        n_rows = n_blank = n_from_one = 0
        last: dict[str, Any] = {}
        damaged = ""
        n_by_file: dict[str, Counter[str]] = {}  # of each file, why its rows were dropped; '' for those that were not
        columns_of: dict[str, str] = {}
        for row in rows(source.path):
            if skip > 0:
                skip, n_rows = skip - 1, n_rows + 1
                continue
            item = _item(row, source, check)
            n_rows += 1
            if isinstance(item, Dropped) and item.reason in ("no problem text", "malformed row"):
                n_blank += 1
            n_from_one += isinstance(item, Dropped) and item.reason == FROM_ONE
            n_by_file.setdefault(row.file, Counter())[item.reason if isinstance(item, Dropped) else ""] += 1
            columns_of.setdefault(row.file, ", ".join(map(str, row.value)))
            last, damaged = row.value or last, damaged or row.error
            yield item
        for file, reasons in n_by_file.items() if len(n_by_file) > 1 else ():
            if not reasons[""]:
                why, shown = reasons.most_common(1)[0][0], shorten(columns_of[file], 200)
                LOG.warning(f"{file}: all its {reasons.total():,} rows are dropped: {why}; its columns: {shown}")
        _check_understood(source, n_rows, n_blank, n_from_one, last, damaged)


def with_fields(source: Source) -> Source:
    """The source with the columns that had to be guessed.  Raises InputError where a guess is not sure (`guess`)."""
    fields = find_fields(head_of(rows(source.path)), source.path, source.fields)
    return source if fields == source.fields else source.model_copy(update={"fields": fields})


def read_pool(path: str | Path, require_answer: bool = True) -> list[Problem]:
    """The problems of one file or folder, in canonical or common shape, in order.

    Strict, since a pool in use may lose nothing silently.  Raises InputError where a row is malformed, has no
    statement, or (`require_answer`) no answer; `ingest` sets such rows aside instead.
    """
    problems, dropped = read_statements(path, require_answer)
    if dropped or not problems:
        what = f"{len(dropped)} rows of the pool cannot be used" if dropped else "the pool has no rows"
        shown = "; ".join("line {line} of {file}: {error}".format(**row.detail) for row in dropped[:3])
        do = f"ingest sets them aside ({shown or 'nothing in it'})"
        raise InputError(what, path, "a statement and an answer in each row", do)
    return problems


def read_statements(path: str | Path, require_answer: bool = False) -> tuple[list[Problem], list[Dropped]]:
    """Every statement of a file or folder, and the rows without one (or an answer): for looking, not for use."""
    problems, dropped = list[Problem](), list[Dropped]()
    fields = find_fields(head_of(rows(path)), str(path), do=how_to_name(path, stem(str(path))))
    for row in rows(path):
        read = row_to_problem(row.value, stem(row.file), fields) if not row.error else RowProblem(None, row.error)
        problem = read.problem
        if problem is None or read.reason == "broken characters" or (require_answer and not problem.answer):
            detail: dict[str, object] = {"file": row.file, "line": row.line, "error": read.reason}
            dropped.append(Dropped("", "ingest", "no statement", detail))
        else:
            problems.append(problem)
    if not problems and not require_answer:
        do = "name its columns as one of: problem, question, prompt, messages"
        raise InputError("no row of the file gives a problem", path, "a column with the statement", do)
    return problems, dropped


def write_pool(problems: Iterable[Problem], path: str | Path) -> int:
    """Write `.parquet`, `.jsonl` or `.jsonl.gz` in canonical columns, whole or not at all; the number of rows."""
    path, problems = Path(path), list(problems)
    name = path.name.lower()
    if not name.endswith((".parquet", ".jsonl", ".jsonl.gz")):
        raise InputError("a pool cannot be written so", path, ".parquet, .jsonl or .jsonl.gz", "give it such a name")
    try:
        with atomic(path) as aside:
            if name.endswith(".parquet"):
                import pyarrow.parquet as pq

                pq.write_table(table_of(problems), aside.absolute(), compression="zstd")
            else:
                _write_lines(problems, aside, name.endswith(".gz"))
    except UnicodeEncodeError as error:
        raise InputError("a problem holds broken characters", ascii(error.object), "whole Unicode", "drop it") from None
    return len(problems)


def _item(row: SourceRow, source: Source, why_not: Callable[[Problem], str] | None) -> Problem | Dropped:
    where: dict[str, object] = {"source": source.path, "file": row.file, "line": row.line}
    if row.error:
        return Dropped("", "ingest", "malformed row", {**where, "error": row.error})
    read = row_to_problem(row.value, source.name or stem(row.file), source.fields)
    problem = read.problem
    if problem is None:
        return Dropped("", "ingest", read.reason, {**where, "columns": sorted(map(str, row.value))})
    if source.name:
        problem = replace(problem, source=source.name)
    if read.reason:
        return Dropped(problem.id, "ingest", read.reason, {**where, "answer": shorten(problem.answer)})
    why = why_not(problem) if why_not else ""
    if why:
        detail = {**where, "answer": shorten(problem.answer), "why": why}
        return Dropped(problem.id, "ingest", "answer cannot be checked", detail)
    return problem


def _check_understood(
    source: Source, n_rows: int, n_blank: int, n_from_one: int, last: dict[str, Any], damaged: str
) -> None:
    """Raise InputError where no row was understood; `last`: what can be read of it, `damaged`: why the first cannot."""
    if n_rows == 0:
        raise InputError("the source has no rows", source.path, "at least one row", "check how it was written")
    if n_from_one:
        what = f"{n_from_one} keys are one past the last option, so that keys may count from 1"
        do = "set `fields.answer_is` of this source: index1, or index0 to drop these rows"
        raise InputError(what, source.path, "numbers from 0, letters, or texts", do)
    if n_rows == n_blank and damaged and not last:
        what, allowed = "no row of the source can be read", "JSON objects, one a line"
        raise InputError(what, f"{source.path}: {damaged}", allowed, "mend the file, or name it by its kind")
    if n_rows == n_blank:
        columns = ", ".join(sorted(map(str, last))) or "none"
        do = "name them, as `--field problem=COLUMN --field answer=COLUMN` (`fields` in a recipe)"
        do += f"; its columns: {shorten(columns, 200)}"
        raise InputError("no row of the source gives a problem", source.path, "a column with the statement", do)


def table_of(problems: Sequence[Problem]) -> Any:
    """Problems as an Arrow table of the canonical columns: text, and `options` as list<string> or null."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: [getattr(problem, name) for problem in problems] for name in COLUMNS[:-1]}
    columns["meta"] = [encode_meta(problem.meta) for problem in problems]
    kinds = {"options": pa.list_(pa.string())}
    return pa.table(columns, schema=pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS]))


encode_meta = json.JSONEncoder(ensure_ascii=True, sort_keys=True).encode
"""`meta` as text; one encoder for all, since making one a row costs as much as its work."""


def _write_lines(problems: Iterable[Problem], path: Path, packed: bool) -> None:
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) if packed else raw as stream:
        for problem in problems:
            stream.write(json_line({name: getattr(problem, name) for name in COLUMNS}))
