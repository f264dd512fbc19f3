"""The tables of words and symbols that the rules read: the YAML files beside this one, each loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limo.core.files import shipped_yaml


def table(name: str) -> dict[str, Any]:
    """The entries of one file, by name."""
    return dict(shipped_yaml(__file__, f"{name}.yaml"))


def languages() -> list[dict[str, Any]]:
    """The tables of all languages."""
    names = sorted(path.stem for path in (Path(__file__).parent / "languages").glob("*.yaml"))
    return [table(f"languages/{name}") for name in names]
