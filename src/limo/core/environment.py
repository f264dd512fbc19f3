"""What a machine and its packages are, as far as results may depend on it."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from limo.core import VERSION

_PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "math-verify", "numpy", "pyarrow")


def environment() -> dict[str, object]:
    """What this machine and its packages are, as far as results may depend on it.  Imports nothing heavy."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "n_cores": n_cores(),
        "versions": dict(_versions()),
    }


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@functools.cache
def _versions() -> dict[str, str]:
    """Read once a process: 20 ms, and a lab opens hundreds of runs."""
    versions = {"limo": VERSION}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def environment_rows(values: Mapping[str, Any]) -> dict[str, str]:
    """An environment as texts to show, each package a row of its own."""
    rows = {key: value for key, value in values.items() if key not in ("later", "versions")}
    return {key: str(value) for key, value in (rows | values.get("versions", {})).items()}
