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
from limo.core.errors import InputError, LimoError, MissingFileError, StorageError
from limo.core.files import hash_path, locked
from limo.core.records import Row
from limo.core.text import parse_json, shorten

INPUTS = "inputs.json"
"""Hashes of what the run was made of: its input files and models, by what they are."""
OUTPUTS = "outputs.json"
"""Hashes of the files that each step wrote, by step and file."""


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


def read_outputs(folder: Path) -> dict[str, dict[str, str]]:
    """The noted hashes of a run's files.  Raises StorageError where the note is damaged."""
    return read_json(folder / OUTPUTS, dict[str, dict[str, str]]) if (folder / OUTPUTS).is_file() else {}


def check_unchanged(folder: str | Path) -> None:
    """Raise StorageError where a file of a run is not as its step wrote it; not while a process works on the run."""
    folder = Path(folder)
    if (folder / INPUTS).is_file():
        read_json(folder / INPUTS, dict[str, str])
    outputs = read_outputs(folder)
    for number, (step, files) in enumerate(outputs.items(), 1):
        table = f"stages/{step}.kept.parquet"
        if number == len(outputs) and table in files and not (folder / table).exists():
            continue  # killed between this note and the table's own name
        for file, content in files.items():
            if hash_path(folder / file) != content and not is_locked(folder):
                do = "start its command again, which makes the file anew"
                raise StorageError("a file of this run is not as it was written", folder / file, "", do)


def is_locked(folder: Path) -> bool:
    """Whether a process works in the run now."""
    if not (folder / ".lock").is_file():
        return False
    try:
        with locked(folder):
            return False
    except InputError:
        return True
    except StorageError:  # of somebody else's run
        return False


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
