"""Functions compiled to machine code once and kept, for the loops that touch every character.

Numba keeps what it compiled beside a file and forgets it when that file changes, but not when a function it calls in
another file does.  So the store's name is a hash of all compiled sources of the function's folder: any change
compiles anew.

    @compiled
    def total(values): ...

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
    """`function` as machine code without Python objects; it frees the other threads while it runs."""
    folder = Path(function.__code__.co_filename).parent
    before, config.CACHE_DIR = config.CACHE_DIR, config.CACHE_DIR or str(_store(folder))
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written: compiled anew by each process
        return njit(nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before


@lru_cache
def _store(folder: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    digest = hashlib.blake2b(b"".join(one for one in sources if b"@compiled" in one), digest_size=8).hexdigest()
    return cache / "limo" / f"compiled-{digest}"
