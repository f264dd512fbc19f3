"""The tables of words and symbols that the rules read: the YAML files beside this one, each loaded once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one written in C is ten times faster


@cache
def table(name: str) -> dict[str, Any]:
    """The entries of one file, by name."""
    entries: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), Loader=LOADER)
    return entries


def languages() -> list[dict[str, Any]]:
    """The tables of all languages."""
    return [table(f"languages/{path.stem}") for path in sorted((FOLDER / "languages").glob("*.yaml"))]
