"""Writing a file whole or not at all, and the hash that names a model folder.

What is written goes to a temporary neighbour that takes the file's name at the end, so a reader never sees half a file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from limo.core.errors import LimoError, StorageError

TABLE_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
"""Endings of the files of rows that are read; each may end in .gz or .zst as well."""


def resolve_data_path(path: str, data: str = "") -> str:
    """Where a path of a recipe lies: under the recipe's folder `data` where it exists there, else as it is.

    A path that exists nowhere is placed under `data` if it ends like a file of rows; else it may name something on
    the hub and stays as it is.
    """
    in_data = Path(data) / path
    return str(in_data) if in_data.exists() or (is_table_path(path) and not Path(path).exists()) else path


def is_table_path(path: str) -> bool:
    """Whether a path ends like a file of rows, compressed or not."""
    return path.lower().removesuffix(".gz").removesuffix(".zst").endswith(TABLE_SUFFIXES)


@contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Turn the disk's complaints about `path` into one StorageError."""
    try:
        yield
    except LimoError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write ({reason})", path, "", "free some space or name another folder") from error


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends, and goes when it fails.

    Missing folders above are made.  Raises StorageError when the disk is full or cannot be written.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            yield temporary
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def model_identity(folder: str | Path) -> str:
    """16 hex digits of a model folder's weights, settings and tokenizer; '' where it has none of them (a hub name)."""
    files = [p for p in sorted(Path(folder).glob("*")) if p.suffix in (".safetensors", ".bin", ".json", ".jinja")]
    digest = blake2b(digest_size=8)
    for file in files:
        if file.name != "card.json":  # describes the model and does not change it
            with open(file, "rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest() if files else ""


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends, and goes when it fails.

    What stood at `path` is replaced as a whole.  Raises StorageError when the disk is full or cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
