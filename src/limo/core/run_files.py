"""Files of a run as they are read: one that is missing or damaged is one clear line, whatever is wrong with it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from pydantic import TypeAdapter

from limo.core.bounded_yaml import load_yaml
from limo.core.errors import LimoError, MissingFileError, StorageError
from limo.core.records import Row
from limo.core.text import parse_json, shorten


def read_recipe(file: Path) -> Row:
    """The values of a run's recipe.  Raises MissingFileError, StorageError where it is damaged."""
    with readable(file):
        values, _ = load_yaml(file.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise StorageError("the run's recipe is damaged", file, "", "name another --run")
    return values


def read_json(file: Path, kind: Any = Any, missing: str = "this file is missing", do: str = "") -> Any:
    """The value of a JSON file of that type.  Raises MissingFileError, StorageError where it is damaged."""
    with readable(file, missing, do):
        return checker(kind).validate_python(parse_json(file.read_bytes()))


@dataclass(frozen=True, slots=True)
class LedgerNote:
    """What a run knows of its ledger: how many rollouts it held, and its name ('' where none was noted)."""

    n_rollouts: int
    name: str


def read_ledger_note(file: Path) -> LedgerNote:
    """The note, which a run may lack and which was the number alone.  Raises StorageError where it is damaged."""
    note = read_json(file, int | LedgerNote) if file.is_file() else 0
    return LedgerNote(note, "") if isinstance(note, int) else note


@functools.cache
def checker(kind: Any) -> TypeAdapter[Any]:
    """What checks values of a type; made once a type, which takes longer than to check a small file."""
    return TypeAdapter(kind)


@contextlib.contextmanager
def readable(file: Path, missing: str = "this file of the run is missing", do: str = "") -> Iterator[None]:
    """Turn the errors of a missing and of a damaged file into MissingFileError and StorageError."""
    if not file.is_file():
        raise MissingFileError(missing, file, "", do)
    try:
        yield
    except (LimoError, MemoryError):
        raise
    except Exception as error:  # whatever types or structure a changed file has
        why = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else str(error)
        do = f"restore or remove it ({shorten(why, 200)})"
        raise StorageError("this file of the run is damaged", file, "", do) from error
