"""Decorators that compile a function to machine code with Numba, once per machine.

Without Numba (extra `pool`) the decorated functions raise its ImportError when they are called, so that settings and
recipes can be read all the same.

Numba invalidates its cache when the file of a function changes, but not when a function that it calls in another file
does.  So the cache folder is named by a hash of all sources that may be compiled: those of this folder, and of the
function's own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

try:
    from numba import config, njit

    _MISSING = ""
except ImportError as error:  # also raised by a Numba that was built for another NumPy
    _MISSING = str(error)


def compiled(function: Callable[..., Any]) -> Any:
    """`function` as machine code that makes no array and releases the interpreter's lock.

    Numba would otherwise count the references to each array at each call, by atomic instructions: 40% of a scan.
    """
    return _compile(function, counts_references=False)


def allocating(function: Callable[..., Any]) -> Any:
    """The same for a function that makes arrays; for the outermost, which are called once a batch."""
    return _compile(function, counts_references=True)


def _compile(function: Callable[..., Any], counts_references: bool) -> Any:
    if _MISSING:
        return _missing
    options = {"nogil": True, "error_model": "numpy", "_nrt": counts_references}
    previous, config.CACHE_DIR = config.CACHE_DIR, config.CACHE_DIR or str(cache_folder(function.__code__.co_filename))
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: compiled anew by each process
        return njit(**options)(function)
    finally:
        config.CACHE_DIR = previous


def _missing(*_: Any) -> Any:
    raise ImportError(_MISSING, name="numba")


@lru_cache
def cache_folder(source: str) -> Path:
    """Where the machine code of a source file is kept."""
    folders = {Path(__file__).parent, Path(source).parent}
    sources = b"".join(path.read_bytes() for folder in sorted(folders) for path in sorted(folder.glob("*.py")))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "limo" / f"compiled-{hashlib.blake2b(sources, digest_size=8).hexdigest()}"
