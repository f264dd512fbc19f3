"""Functions compiled to machine code once and kept, for the loops that touch every character.

Numba keeps what it compiled beside a file and forgets it when that file changes, but not when a function it calls in
another file does.  So the store's name is a hash of all compiled sources of the function's folder: any change
compiles anew.

    @compiled
    def total(values): ...          # fills or reads arrays that it is given
    @allocating
    def doubled(values): ...        # makes new ones

What it does not do: compile at import; a function is compiled on its first call, some seconds once a machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba import config, njit


def compiled(function: Callable[..., Any]) -> Any:
    """`function` as machine code without Python objects; it frees the other threads while it runs.

    It may make no array.  Numba would otherwise count the references to each array at each call, by atomic
    instructions, which took 40% of a scan.
    """
    return _compiled(function, counts_references=False)


def allocating(function: Callable[..., Any]) -> Any:
    """The same for a function that makes arrays; for the outermost, which are called once a batch."""
    return _compiled(function, counts_references=True)


def _compiled(function: Callable[..., Any], counts_references: bool) -> Any:
    options = {"nogil": True, "error_model": "numpy", "_nrt": counts_references}
    folder = Path(function.__code__.co_filename).parent
    before, config.CACHE_DIR = config.CACHE_DIR, config.CACHE_DIR or str(_store(folder))
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: compiled anew by each process
        return njit(**options)(function)
    finally:
        config.CACHE_DIR = before


@lru_cache
def _store(folder: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    compiled_ones = b"".join(source for source in sources if b"from limo.pool.canonical.compiled import" in source)
    return cache / "limo" / f"compiled-{hashlib.blake2b(compiled_ones, digest_size=8).hexdigest()}"
