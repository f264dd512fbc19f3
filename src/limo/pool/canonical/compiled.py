"""Decorators that compile a function to machine code with Numba, once per machine.

Without Numba the decorators return the function as it is, `NUMBA` is False, and the callers use
`limo.pool.canonical.reference` instead.

Numba invalidates its cache when the file of a function changes, but not when a function that it calls in another file
does.  So the cache folder is named by a hash of all sources that may be compiled: those of this folder, and of the
function's own.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

try:
    from numba import config, njit

    NUMBA = True
    _WHY_NOT = ""
except ImportError as error:  # also raised by a Numba that was built for another NumPy
    NUMBA = False
    _WHY_NOT = str(error)


@lru_cache
def warn_without_numba() -> None:
    """Say, once, that pools are read slowly; nothing where Numba is there."""
    if not NUMBA:
        why = "Numba cannot be imported (%s): pools are read by plain Python, slowly; pip install 'limo[pool]'"
        logging.getLogger("limo").warning(why, _WHY_NOT)


def compiled(function: Callable[..., Any]) -> Any:
    """`function` as machine code that makes no array and releases the interpreter's lock.

    Numba would otherwise count the references to each array at each call, by atomic instructions: 40% of a scan.
    """
    return _compile(function, counts_references=False)


def allocating(function: Callable[..., Any]) -> Any:
    """The same for a function that makes arrays; for the outermost, which are called once a batch."""
    return _compile(function, counts_references=True)


def _compile(function: Callable[..., Any], counts_references: bool) -> Any:
    if not NUMBA:
        return function
    options = {"nogil": True, "error_model": "numpy", "_nrt": counts_references}
    previous, config.CACHE_DIR = config.CACHE_DIR, config.CACHE_DIR or str(cache_folder(function.__code__.co_filename))
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: compiled anew by each process
        return njit(**options)(function)
    finally:
        config.CACHE_DIR = previous


@lru_cache
def cache_folder(source: str) -> Path:
    """Where the machine code of a source file is kept."""
    folders = {Path(__file__).parent, Path(source).parent}
    sources = b"".join(path.read_bytes() for folder in sorted(folders) for path in sorted(folder.glob("*.py")))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "limo" / f"compiled-{hashlib.blake2b(sources, digest_size=8).hexdigest()}"
