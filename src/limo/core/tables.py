"""Rows in Parquet: what Parquet cannot hold as it is stands there as JSON, marked, and is read back as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.core.records import Row
from limo.core.text import parse_json

NO_TEXT = "not UTF-8"
_JSON = {b"limo": b"json"}  # of a field whose values are JSON


def write_table(rows: Sequence[Row], path: Path, notes: Mapping[str, str] | None = None, exact: bool = False) -> None:
    """Write rows; a key that a row lacks is null.

    `exact`: lists and objects are JSON too, so that every value comes back with its own type and keys; else they are
    lists and structs, which other programs read.  Raises InputError for a column whose name is no text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, fields = [], []
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        column = _column(values, exact)
        as_json = column is None
        arrays.append(pa.array([json.dumps(value, default=str) for value in values]) if as_json else column)
        try:
            fields.append(pa.field(name, arrays[-1].type, metadata=_JSON if as_json else None))
        except UnicodeEncodeError:
            what, do = "the name of a column holds broken characters", "rename it"
            raise InputError(what, ascii(name), "whole Unicode", do) from None
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=dict(notes or {}))), path.absolute())


def read_table(path: Path) -> list[Row]:
    """The rows that `write_table` wrote."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path.absolute()) as file:  # a third of the time of `pq.read_table`, which looks for a dataset
        return decode_columns(file.read())


def decode_columns(table: Any) -> list[Row]:
    """The rows of an Arrow table or batch; a date or duration that Python cannot hold is text, bytes are text too, and
    a text or bytes that are not UTF-8 are an object, which nothing takes for a text.

    Raises InputError where two columns have one name.
    """
    columns = []
    for entry, column in zip(table.schema, table.columns, strict=True):
        values = [text_of_bytes(value) for value in _values(column)] if holds_bytes(column.type) else _values(column)
        as_json = (entry.metadata or {}).get(b"limo") == b"json"
        columns.append([parse_json(value) for value in values] if as_json else values)
    names = table.schema.names
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError("two columns have the same name", twice[0], "each once", "rename one")
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def holds_bytes(kind: Any) -> bool:
    """Whether a type of Arrow or of `datasets` is of bytes, or of lists or structs of them."""
    return "binary" in str(kind)


def text_of_bytes(value: Any) -> Any:
    """A value with its bytes as text, or as an object where they are not UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {NO_TEXT: value.decode(errors="surrogateescape")}
    if isinstance(value, dict):
        return {key: text_of_bytes(item) for key, item in value.items()}
    return [text_of_bytes(item) for item in value] if isinstance(value, list) else value


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    try:
        values = column.to_pylist()
        if pa.types.is_map(column.type):  # lists of pairs, unless a key stands twice
            return [dict(v) if v is not None and len(dict(v)) == len(v) else v for v in values]
        return values
    except (ValueError, OverflowError, UnicodeDecodeError):
        values = []
    for cell in column:
        try:
            values.append(cell.as_py())
        except (ValueError, OverflowError, UnicodeDecodeError):
            try:
                is_text = pa.types.is_string(cell.type) or pa.types.is_large_string(cell.type)
                values.append(
                    text_of_bytes(cell.as_buffer().to_pybytes()) if is_text else cell.cast(pa.string()).as_py()
                )
            except (pa.ArrowException, ValueError):  # inside a list or struct
                values.append(f"a value that cannot be read ({cell.type})")
    return values


def _column(values: list[Any], exact: bool) -> Any:
    """An Arrow column of these values; None where they must be JSON: mixed types, lone surrogates, no members."""
    import pyarrow as pa

    kinds = {type(value) for value in values} - {type(None)}
    if exact and (len(kinds) != 1 or not kinds <= {str, int, float, bool}):
        return None
    try:
        column = pa.array(values)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return None
    return None if _has_empty_struct(column.type) else column


def _has_empty_struct(kind: Any) -> bool:
    """Whether a type holds a struct without members, which Parquet cannot store."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_has_empty_struct(inner.type) for inner in kind)
    return pa.types.is_list(kind) and _has_empty_struct(kind.value_type)
