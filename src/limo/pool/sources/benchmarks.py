"""Benchmarks: pools that are never trained on, each a data entry in `benchmarks.yaml`.

None is shipped: they are read from a file or folder of yours, or through the hub's client and its cache (which
honours HF_HUB_OFFLINE).  All rows are kept, those without a rule-checkable answer too, since leaving a row out would
change the score.

    problems = load_benchmark("AIME24", "eval/data")        # a file, or a folder laid out as in the official repository
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from limo.core.errors import InputError, MissingFileError, named_once
from limo.core.files import MADE_FROM, PACKED, TABLE_SUFFIXES, resolve_data_path, shipped_yaml
from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.core.rows import SourceRow
from limo.core.text import shorten
from limo.pool.canonical.statements import canonical
from limo.pool.sources.fields import FieldMap, RowProblem, row_to_problem
from limo.pool.sources.guess import find_fields, head_of, how_to_name
from limo.pool.sources.readers import rows, table_of_hub


class Hub(Settings):
    """Where a benchmark stands on the hub."""

    id: str = Field(description="owner/name")
    config: str = Field(default="", description="configuration; empty = the only one")
    split: str = Field(default="test", description="split that holds the problems")
    revision: str = Field(default="", description="commit; empty = the newest")
    n: int = Field(default=0, ge=0, description="rows there, where it differs from the paper's")


class Benchmark(Settings):
    """One entry: where the rows are, how they are read and how the paper decodes them."""

    group: Literal["in-domain", "out-of-domain", "extra"] = Field(description="the paper's grouping")
    n: int = Field(ge=0, description="rows; 0 = any number: a slot for a file of yours")
    n_unique: int = Field(default=0, ge=0, description="distinct statements; 0 = all")
    files: list[str | list[str]] = Field(description="file names without suffix; a list = parts in order")
    hub: Hub | None = Field(default=None, description="data set on the hub")
    home: str = Field(description="where its owner publishes it")
    licence: str = Field(default="none stated", description="of the rows, as their owner states it")
    decoding: Literal["greedy", "sampled"] = Field(description="greedy once, or several samples")
    judge: bool = Field(default=False, description="the paper judges it by a model")
    suspected: str = Field(default="", description="evidence that models were trained on it; empty: none known")
    fields: FieldMap = Field(default=FieldMap(), description="which column holds what; default: found by itself")


class BenchmarkFile(Settings):
    """Where a recipe's benchmark is: its path alone, or with the names of its columns."""

    path: str = Field(default="", description="file, folder or pool; empty = the hub's client, with its cache")
    fields: FieldMap = Field(default=FieldMap(), description="which column holds what; default: found by itself")

    @model_validator(mode="before")
    @classmethod
    def _is_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> Any:
        return self.path if self.fields == FieldMap() else whole(self)


@cache
def benchmarks() -> dict[str, Benchmark]:
    """All entries by name, in the paper's order."""
    entries = shipped_yaml(__file__, "benchmarks.yaml")
    return {name: Benchmark.model_validate(entry) for name, entry in entries.items()}


def known_benchmarks() -> dict[str, Benchmark]:
    """The entries by their name in lower case."""
    return {name.lower(): entry for name, entry in benchmarks().items()}


def benchmark(name: str) -> Benchmark:
    """The entry called `name`, case aside.  Raises InputError naming the nearest."""
    if entry := known_benchmarks().get(name.lower()):
        return entry
    raise InputError("no such benchmark", name, known=benchmarks(), do="name one of them")


def load_benchmark(
    name: str, path: str | Path | None = None, seed: int = 0, fields: FieldMap | None = None
) -> list[Problem]:
    """All rows of a benchmark in order, duplicates included.

    `path` is a file, a pool, or a folder in which the entry's file names are looked for; None asks the hub's client.  A
    name that is no entry is fine with a path of its own: then it names your own benchmark, whose columns are guessed
    where neither their names nor `fields` say what they hold.  `seed` orders the options of GPQA.  Raises InputError
    (unknown name, a row without statement, wrong number of rows) and MissingFileError.
    """
    if (
        path is not None
        and name.lower() not in known_benchmarks()
        and (_is_pool(Path(path)) or not Path(path).is_dir())
    ):
        return _own(name, path, seed, fields)
    entry = benchmark(name)
    found = _local(name, entry, Path(path)) if path is not None else _from_hub(name, entry)
    problems = _problems(name, found, fields or entry.fields, seed)
    allowed = {entry.n} | ({entry.hub.n} - {0} if entry.hub else set())
    if entry.n and len(problems) not in allowed:
        want = " or ".join(f"{n} rows" for n in sorted(allowed))
        do = "give the benchmark's own file, or use another name for a part of it"
        raise InputError(f"{name} has the wrong number of rows", len(problems), want, do)
    return problems


def load_benchmarks(
    names: Iterable[str] = (), path: str | Path | None = None, seed: int = 0
) -> dict[str, list[Problem]]:
    """Several benchmarks by name; no names = all entries but slots."""
    known = [name for name, entry in benchmarks().items() if entry.n]
    return {name: load_benchmark(name, path, seed) for name in (list(names) or known)}


def load_files(files: Mapping[str, BenchmarkFile], data: str = "") -> dict[str, list[Problem]]:
    """The rows of a recipe's benchmarks, whose relative paths start in the folder `data`."""
    return {
        name: load_benchmark(name, resolve_data_path(one.path, data) if one.path else None, fields=_given(one.fields))
        for name, one in files.items()
    }


def _given(fields: FieldMap) -> FieldMap | None:
    return None if fields == FieldMap() else fields


def _own(name: str, path: str | Path, seed: int = 0, fields: FieldMap | None = None) -> list[Problem]:
    """The problems of a file or pool that is no entry's."""
    if not Path(path).is_file() and not _is_pool(Path(path)):
        raise MissingFileError(
            f"the file of {name} is not there", path, "a file of problems, or a pool", "check the path"
        )
    do = how_to_name(path, name) + ", or set `fields` in a recipe"
    return _problems(name, rows(path), find_fields(head_of(rows(path)), str(path), fields, do=do), seed)


def find_benchmarks(names: Sequence[str], path: str) -> tuple[dict[str, list[Problem]], list[str]]:
    """The benchmarks to compare with, each a name or `NAME=FILE` (a file of yours), and those that are not there.

    Where none is named, of a folder those that it holds.
    """
    if path and not names and Path(path).is_dir():
        return load_present(path)
    if path and not names and Path(path).is_file():
        do = f"give it a name: --benchmark NAME={path}"
        raise InputError("one file, and no name of the benchmark in it", path, "a folder of benchmarks", do)
    own = named_once((name for name in names if "=" in name), "a benchmark")
    others = [name for name in names if "=" not in name]
    if not (path and Path(path).is_file()):
        for name in others:
            benchmark(name)  # raises for an unknown one, before anything is fetched
    problems = {name: _own(name, file) for name, file in own.items()}
    return problems | (load_benchmarks(others, path or None) if others or not own else {}), []


def load_present(folder: str | Path, seed: int = 0) -> tuple[dict[str, list[Problem]], list[str]]:
    """The benchmarks that a folder holds, slots too, and the names of those that it does not hold.

    Raises MissingFileError where it holds none, and InputError where a file is not what it should be.
    """
    found: dict[str, list[Problem]] = {}
    missing = []
    for name, entry in benchmarks().items():
        try:
            found[name] = load_benchmark(name, folder, seed)
        except MissingFileError:
            missing += [name] if entry.n else []
    if not found:
        allowed, do = "files as `limo benchmarks show` names them", "name another folder, or none for the hub's cache"
        raise MissingFileError("no benchmark is in the folder", folder, allowed, do)
    return found, missing


def duplicates(problems: Sequence[Problem]) -> list[Dropped]:
    """The rows that repeat an earlier row's canonical text; nothing is dropped, the score counts every row."""
    first: dict[str, int] = {}
    found = []
    for row, problem in enumerate(problems):
        earlier = first.setdefault(canonical(problem.problem), row)
        if earlier != row:
            same = problem.answer == problems[earlier].answer
            detail: dict[str, object] = {"row": row, "first_row": earlier, "same_answer": same}
            found.append(Dropped(problem.id, "benchmark", "repeats an earlier row", detail))
    return found


def benchmark_notes(name: str, problems: Sequence[Problem]) -> list[str]:
    """What a reader of a score on these rows should know: repeated rows, suspected contamination."""
    notes: list[str] = []
    first: dict[str, Problem] = {}
    repeated = [problem for problem in problems if first.setdefault(problem.id, problem) is not problem]
    if repeated:
        n_differ = sum(problem.answer != first[problem.id].answer for problem in repeated)
        other_key = f", {n_differ:,} with another key, of which the first counts" if n_differ else ""
        rows = f"{len(problems):,} rows are {len(first):,} problems"
        notes.append(f"{name}: {rows}; {len(repeated):,} repeat an earlier row{other_key}; each problem is scored once")
    entry = known_benchmarks().get(name.lower())
    return notes + ([f"{name}: suspected of contamination: {entry.suspected}"] if entry and entry.suspected else [])


def _local(name: str, entry: Benchmark, path: Path) -> Iterator[SourceRow]:
    if path.is_file() or _is_pool(path):
        yield from rows(path)
        return
    if not path.is_dir():
        raise MissingFileError(f"the file of {name} is not there", path, "a file or a folder", "check the path")
    for stems in entry.files:
        parts = [_part(path, stem) for stem in ([stems] if isinstance(stems, str) else stems)]
        if all(parts):
            for part in parts:
                yield from rows(str(part))
            return
    wanted = ", ".join(" + ".join(stems) if isinstance(stems, list) else stems for stems in entry.files)
    raise MissingFileError(f"{name} is not in the folder", path, f"{wanted} (.jsonl, .parquet, ...)", entry.home)


def _is_pool(path: Path) -> bool:
    """Whether a folder is one that a command of the pool wrote."""
    return (path / MADE_FROM).is_file()


def _part(folder: Path, stem: str) -> Path | None:
    names = [folder / f"{stem}{suffix}{packed}" for suffix in TABLE_SUFFIXES for packed in ("", *PACKED)]
    return next((path for path in names if path.is_file()), None)


def _from_hub(name: str, entry: Benchmark) -> Iterator[SourceRow]:
    if entry.hub is None:
        do = f"take it from {entry.home} and give its path"
        raise MissingFileError(f"{name} is not published on the hub", name, "a local file", do)
    hub = entry.hub
    return table_of_hub(hub.id, hub.config, hub.split, hub.revision, name)


def _problems(name: str, found: Iterable[SourceRow], fields: FieldMap, seed: int) -> list[Problem]:
    problems: list[Problem] = []
    for row in found:
        read = row_to_problem(row.value, name, fields, seed) if not row.error else RowProblem(None, row.error)
        if read.problem is None:
            where = f"line {row.line} of {row.file}: {read.reason}"
            raise InputError(f"a row of {name} cannot be read", shorten(where), "a statement in each row", "mend it")
        problem = read.problem
        meta = {**problem.meta, "row": len(problems)} | ({"unchecked": read.reason} if read.reason else {})
        problems.append(replace(problem, source=name, meta=meta))
    if not problems:
        raise InputError(f"{name} has no rows", name, "at least one problem", "check the file")
    return problems
