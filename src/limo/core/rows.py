"""Rows of loose files: one reader of every container that people have, and one writer.

    for row in read_file("pool.jsonl.gz"):
        row.value if not row.error else f"line {row.line}: {row.error}"
    write_rows(rows, "graded.parquet")

JSON Lines are split on "\\n" only: `str.splitlines` also breaks on U+2028, which occurs inside real problems.  A row
that cannot be read comes out with its line number and the error, so that counts add up.  What one row may hold is
bounded, whatever its file unpacks to.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.files import PACKED, atomic, kind_of
from limo.core.records import Row
from limo.core.tables import decode_columns, holds_bytes, text_of_bytes, write_table
from limo.core.text import MAX_DEPTH, parse_json, shorten

MAX_ROW_BYTES = 1 << 24  # 16 MB: no chain of thought comes near
MAX_JSON_BYTES = 1 << 30  # of a .json, which is read whole
ALLOWED = "Parquet, JSONL, JSON, CSV or TSV (.gz or .zst too), a folder of them, a dataset saved to disk"
STATEMENTS = ("problem", "question", "prompt", "instruction", "query", "statement", "problem_text", "input",
              "question_stem")  # fmt: skip
"""Columns that hold a problem's statement, in the order in which they are tried."""
ANSWERS = ("final_answer", "expected_answer", "answer", "answer_value", "gold", "gold_answer", "ground_truth",
           "correct_answer", "correct answer", "target", "reward_model.ground_truth")  # fmt: skip
REPLIES = ("output", "response", "completion", "generation")
CHINESE = {
    "problem": ("题目", "题干", "问题", "试题"),
    "answer": ("标准答案", "参考答案", "正确答案", "答案", "结果"),
    "completion": ("模型回答", "模型输出", "回答", "回复", "解答", "输出"),
}
"""What such columns are called in Chinese."""
_LINE_END = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
_BINARY = {  # how files begin that are no text in UTF-8
    b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"PAR1": ".parquet", b"PK\x03\x04": "zip",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip
_BROKEN = re.compile("[\udc80-\udcff]")  # a byte that is no UTF-8
_MARKS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_TO_TEXT = {"zip": "unpack it", "UTF-16": "convert it to UTF-8"}  # what else helps than another name
WRITTEN = (".jsonl", ".jsonl.gz", ".parquet")
"""Endings of the files of rows that are written."""
TOO_LONG = f"longer than {MAX_ROW_BYTES >> 20} MB, the most that a row may hold"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One raw row: its file's name, its line (or row number, from 1), its value, or why it has none."""

    file: str
    line: int
    value: Row = field(default_factory=dict)
    error: str = ""


def read_file(path: str | Path) -> Iterator[SourceRow]:
    """All rows of a file, of a folder of files (sorted by path), or of a dataset saved to disk.

    Raises MissingFileError, InputError (nothing readable there, or empty) and StorageError (damaged file).
    """
    if str(path) == "":
        raise MissingFileError("the path is empty", path, ALLOWED, "name a file or folder; `.` is this one")
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if path.exists() and not path.is_file():
        do = "write it to a file, whose ending says its kind"
        raise InputError("a pipe or device can be read only once, and rows are read twice", path, ALLOWED, do)
    if not path.is_file():
        raise MissingFileError("there is no such file", path, ALLOWED, "check the path")
    return _file(path, path.name)


def read_rows(path: str | Path) -> list[Row]:
    """Every row of a file, folder or saved dataset.  Raises InputError for a malformed row, or when there is none."""
    return values_of(read_file(path), path)


def unreadable(row: SourceRow) -> InputError:
    """The error for a row without a value."""
    what = f"line {row.line} of {row.file} is not a row ({row.error})"
    return InputError(what, None, "a JSON object", "correct or remove the line")


def values_of(rows: Iterable[SourceRow], path: str | Path) -> list[Row]:
    """The values of the rows of `path`.  Raises InputError for a malformed row, or when there is none."""
    values = []
    for row in rows:
        if row.error:
            raise unreadable(row)
        values.append(row.value)
    if not values:
        raise no_rows(path)
    return values


def no_rows(path: str | Path) -> InputError:
    """The error for a file without a row."""
    return InputError("the file has no rows", path, "one or more", "check the path")


def text_of(row: Mapping[str, Any], columns: Sequence[str] = STATEMENTS) -> str | None:
    """The text in the first of the columns that holds one."""
    return next((row[name] for name in columns if isinstance(row.get(name), str)), None)


def check_text(row: Mapping[str, Any], number: int, columns: Iterable[str]) -> None:
    """Raise InputError where one of the columns is there, and what it holds is no text."""
    for name in columns:
        if name in row and not isinstance(row[name], str):
            shown = shorten(f"{name}: {json.dumps(row[name], default=str, ensure_ascii=False)}", 60)
            raise InputError(f"row {number} has no text under {name}", shown, "a text", "mend or drop the row")


def is_packed(path: str | Path) -> bool:
    """Whether a file's name says that it is compressed."""
    return str(path).lower().endswith(PACKED)


def numbered(values: Iterable[Row], name: str) -> Iterator[SourceRow]:
    """Rows of a source that has no lines."""
    return (SourceRow(name, number, value) for number, value in enumerate(values, start=1))


def splits(loaded: Any, name: str) -> Iterator[SourceRow]:
    """The rows of a loaded dataset, of all its splits."""
    for split, table in loaded.items() if isinstance(loaded, dict) else [("", loaded)]:
        has_bytes = holds_bytes(getattr(table, "features", ""))
        yield from numbered(map(text_of_bytes, table) if has_bytes else table, f"{name}:{split}" if split else name)


def write_rows(rows: Sequence[Row], path: str) -> None:
    """Write `.jsonl`, `.jsonl.gz` or `.parquet`, whole or not at all.

    In Parquet a column of mixed types, or of texts that are no Unicode, becomes JSON, which `read_file` turns back.
    Raises InputError for another ending, StorageError.
    """
    check_name(path)
    with atomic(path) as temporary:
        if path.endswith(".parquet"):
            write_table(rows, temporary)
            return
        packed = gzip.GzipFile(temporary, "wb", mtime=0) if path.endswith(".gz") else open(temporary, "wb")  # noqa: SIM115
        with packed as sink:
            sink.writelines(map(json_line, rows))


def check_name(path: str) -> None:
    """Raise InputError where `write_rows` writes no file of such a name."""
    if not path.endswith(WRITTEN):
        allowed = f"a name in {', '.join(WRITTEN)}"
        raise InputError("rows are written as JSON lines or Parquet", path, allowed, "rename it")


def json_line(row: Mapping[str, Any]) -> bytes:
    """One line of JSON in UTF-8; escaped are lone surrogates, which models do write, and what ends lines elsewhere."""
    text = json.dumps(row, default=str, ensure_ascii=False)
    if not text.isascii():
        text = _LINE_END.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.encode() + b"\n"


def _folder(path: Path) -> Iterator[SourceRow]:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        import datasets

        try:
            loaded = datasets.load_from_disk(os.fspath(path))
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # of whatever kind the library's readers raise, RecursionError among them
            raise StorageError("the dataset is damaged", path, "a saved dataset", shorten(str(error))) from None
        yield from splits(loaded, path.name)
        return
    if any(path.glob("*.arrow")):
        do = "restore it, or save the dataset again (save_to_disk)"
        raise StorageError("a saved dataset lacks its state.json", path, "a saved dataset, whole", do)
    inside = sorted(p for p in path.rglob("*") if kind_of(p) and not p.name.startswith("."))
    if dangling := [p for p in inside if p.is_symlink() and not p.exists()]:
        raise MissingFileError("a link in the folder leads nowhere", dangling[0], "existing files", "remove or mend it")
    files = [p for p in inside if p.is_file()]
    if not files:
        raise InputError("the folder holds no file of rows", path, ALLOWED, "name another folder")
    for file in files:
        yield from _file(file, str(file.relative_to(path)))


def _file(path: Path, name: str) -> Iterator[SourceRow]:
    readers = {".parquet": _parquet, ".json": _json, ".csv": _csv, ".tsv": _csv}
    kind = kind_of(path)
    if not kind:
        raise InputError("the kind of file is not known", path, ALLOWED, "rename it by its kind")
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


def bounded_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a stream, without a byte order mark; None for one that is longer than a row may be.

    Raises InputError where the stream begins as no text in UTF-8 does.
    """
    line = stream.readline(MAX_ROW_BYTES + 1).removeprefix(b"\xef\xbb\xbf")
    _check_text(line, getattr(stream, "name", "the input"))
    while line:
        is_long = len(line) > MAX_ROW_BYTES
        while is_long and line and not line.endswith(b"\n"):
            line = stream.readline(MAX_ROW_BYTES + 1)
        yield None if is_long else line
        line = stream.readline(MAX_ROW_BYTES + 1)


def _check_text(start: bytes, name: object) -> None:
    """Raise InputError where a file of rows begins as packed files, Parquet or UTF-16 do."""
    found = (kind for magic, kind in _BINARY.items() if start.startswith(magic))
    if kind := next(found, "UTF-16" if b"\0" in start[:4] else ""):
        allowed = "text in UTF-8, or a name that ends in its kind (.gz, .zst, .parquet)"
        value = f"{shorten(str(name), 200)}: {kind}"
        raise InputError("the file is no text", value, allowed, _TO_TEXT.get(kind, "rename it"))


def _lines(path: Path, name: str) -> Iterator[SourceRow]:
    with _open(path) as stream:
        for number, line in enumerate(bounded_lines(stream), start=1):
            if line is None:
                yield SourceRow(name, number, error=TOO_LONG)
            elif line.strip():
                yield parse_line(name, number, line)


def parse_line(name: str, number: int, line: bytes) -> SourceRow:
    """The row on a line of JSON, or why there is none."""
    try:
        return _row(name, number, parse_json(line.rstrip().decode("utf-8"), _object))
    except UnicodeDecodeError as error:
        return SourceRow(name, number, error=f"not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:  # its own line is the first of one row, not the file's
        if b"}\r" in line.rstrip():
            return SourceRow(name, number, error="lines that end in a carriage return alone; end them in a newline")
        return SourceRow(name, number, error=f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}")
    except ValueError as error:
        return SourceRow(name, number, error=f"not JSON: {shorten(str(error), 120)}")


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """An object of a row.  Raises ValueError where a key stands twice: which of its values is meant cannot be told."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _row(name: str, number: int, value: object) -> SourceRow:
    if isinstance(value, dict):
        return SourceRow(name, number, value)
    kind = "null" if value is None else _JSON_KINDS.get(type(value), "a number")
    return SourceRow(name, number, error=f"{kind} where a JSON object belongs")


_JSON_KINDS = {list: "a list", str: "a text", bool: "true or false"}


def _is_of_columns(value: Row) -> bool:
    """Whether an object holds a table by its columns: several lists of one length, or objects with the same numbers."""
    columns = list(value.values())
    if len(columns) < 2 or not all(columns):
        return False
    if all(isinstance(column, list) and not isinstance(column[0], dict) for column in columns):
        return len(set(map(len, columns))) == 1
    keys = [list(column) for column in columns if isinstance(column, dict)]
    return len(keys) == len(columns) and all(of == keys[0] for of in keys) and all(map(str.isdecimal, keys[0]))


def _json(path: Path, name: str) -> Iterator[SourceRow]:
    """A list of objects, an object holding one such list, one object (as in MATH), or JSON Lines misnamed."""
    with _open(path) as stream:
        raw = stream.read(MAX_JSON_BYTES + 1)
    _check_text(raw[:8], name)
    if len(raw) > MAX_JSON_BYTES:
        do = "write its rows as JSON lines"
        raise InputError("a .json is read whole, and this one is too large", path, f"{MAX_JSON_BYTES >> 30} GB", do)
    try:
        value = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        yield from _lines(path, name)
        return
    except ValueError as error:  # of `_object`
        raise InputError("a key of an object in the file", f"{name}: {error}", "each once", "remove one") from None
    if isinstance(value, dict):
        if _is_of_columns(value):
            shown = f"{name}: {shorten(', '.join(value), 80)}"
            allowed, do = "a list of objects, one a row", "write its rows as JSON lines"
            raise InputError("the file holds columns and not rows", shown, allowed, do)
        tables = [v for v in value.values() if isinstance(v, list) and v and all(isinstance(r, dict) for r in v)]
        value = tables[0] if len(tables) == 1 and len(value) <= 3 else [value]
    if not isinstance(value, list):
        value = [value]
    for number, item in enumerate(value, start=1):
        yield _bounded(_row(name, number, item))


def _bounded(row: SourceRow) -> SourceRow:
    """The row, or its error where it is nested too deeply; for rows that have no line of their own."""
    try:
        parse_json(json.dumps(row.value, default=str))
    except (ValueError, RecursionError):
        return SourceRow(row.file, row.line, error=f"not JSON: nested deeper than {MAX_DEPTH}")
    return row


def _csv(path: Path, name: str) -> Iterator[SourceRow]:
    csv.field_size_limit(MAX_ROW_BYTES)
    delimiter = "\t" if kind_of(path) == ".tsv" else ","
    with _open(path) as stream:
        # Undecodable bytes become lone surrogates, which are refused row by row where text must be whole.
        lines = ((line or b"").decode("utf-8", "surrogateescape") for line in bounded_lines(stream))
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
        names = _header(reader, name, delimiter)
        if twice := [column for column in names if names.count(column) > 1]:
            raise InputError("two columns have the same name", f"{name}: {twice[0]}", "each once", "rename one")
        while True:
            try:
                value = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                why = str(error).replace("unexpected end of data", "a quotation mark opens a cell that never ends")
                yield SourceRow(name, reader.line_num, error=f"not CSV: {why}")
                continue
            if _BROKEN.search("".join(map(str, value.values()))):
                yield SourceRow(name, reader.line_num, error="not UTF-8")
            elif None in value or None in value.values():
                yield SourceRow(name, reader.line_num, error="the number of cells differs from the header's")
            else:
                yield SourceRow(name, reader.line_num, dict(value))


def _header(reader: csv.DictReader[str], name: str, delimiter: str) -> list[str]:
    """The names of the columns.  Raises InputError where the first line is no CSV, no UTF-8, or parted otherwise."""
    try:
        names = list(reader.fieldnames or ())
    except csv.Error as error:
        raise InputError(
            "the first line of the file is no CSV", f"{name}: {error}", "names of columns", "mend it"
        ) from None
    if names and names[0].lstrip().startswith("{"):
        what, do = "the file holds JSON lines, not columns", "rename it to .jsonl"
        raise InputError(what, f"{name}: {shorten(names[0], 80)}", "names of columns", do)
    if _BROKEN.search("".join(names)):
        do = "convert it: `iconv -f GBK -t UTF-8 FILE` (for GBK)"
        raise InputError("the file is not UTF-8", name, "text in UTF-8", do)
    other = next((mark for mark in ",;\t|" if len(names) == 1 and mark in names[0]), "")
    if other:
        what = f"the columns of the file are parted by {_MARKS[other]}"
        do = f"save it with {_MARKS[delimiter]}, or as JSON lines" if other != "\t" else "rename it to .tsv"
        do = "rename it to .csv" if other == "," else do
        raise InputError(what, f"{name}: {shorten(names[0], 80)}", f"columns parted by {_MARKS[delimiter]}", do)
    return names


def _parquet(path: Path, name: str) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path.absolute())
        yield from numbered((row for batch in file.iter_batches(1024) for row in decode_columns(batch)), name)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise StorageError("the file is not whole Parquet", path, "an intact file", shorten(str(error))) from None
