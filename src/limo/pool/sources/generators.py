"""Problems made anew by reasoning-gym's tasks, whose answers are right by construction (extra `generators`).

A source names the task and its settings: `chain_sum?size=500&seed=1&max_terms=3`.  The same source gives the same
rows with the same release of reasoning-gym, whose name goes into each row.
Answers are checked by rule as all others, not by a task's own scorer.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

from limo.core.errors import InputError, foreign_data
from limo.core.text import parse_json, shorten

SIZE, SEED = 500, 0  # where the source does not say


def generate_problems(source: str) -> Iterator[dict[str, Any]]:
    """The rows of `TASK?setting=value&...`.  Raises InputError: not installed, no such task, or no such setting."""
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        do = "pip install 'limo[generators]'"
        raise InputError("reasoning-gym is not installed", shorten(str(error)), "the extra `generators`", do) from None
    task, _, query = source.partition("?")
    settings = {"size": SIZE, "seed": SEED, **{name: _value(text) for name, text in parse_qsl(query)}}
    if task not in DATASETS:
        allowed = f"one of its {len(DATASETS)}"
        raise InputError("reasoning-gym has no such task", task, allowed, "see its documentation", DATASETS)
    try:
        made = reasoning_gym.create_dataset(task, **settings)
    except (TypeError, ValueError, AssertionError) as error:
        allowed = "settings that the task has"
        raise InputError("the task cannot be set so", query, allowed, shorten(str(error), 160)) from None
    release = version("reasoning-gym")
    with foreign_data("the task cannot be set so", query, "settings that the task has", "see its documentation"):
        for entry in made:
            yield {"question": entry["question"], "answer": entry["answer"], "generator": f"reasoning-gym {release}",
                   "settings": settings, "metadata": entry.get("metadata", {})}  # fmt: skip


def _value(text: str) -> Any:
    """A number, true or false, a list; everything else is text."""
    try:
        return parse_json(text)
    except ValueError:
        return text
