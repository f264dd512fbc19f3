"""How an arm is trained: the recipe's settings with its budget and its changes, and what a measurement keeps of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.experiments.arms import Training
from limo.stages.train import Method
from limo.train.data import encode, read_rows
from limo.train.model import load_tokenizer
from limo.train.result import TrainResult


def method_of(recipe: Any, training: Training, seed: int, n_updates: Callable[[str], int]) -> Method:
    """The settings of a training: its section of the recipe, its budget in `n_updates`, what it changes."""
    section: Method | None = getattr(recipe, training.method, None)
    if section is None:
        do = f"add `{training.method}` to the recipe"
        raise InputError("the recipe has no settings for a method", training.method, "a section", do)
    factor = {"half": 0.5, "same": 1.0, "double": 2.0}[training.rate]
    changes: dict[str, Any] = {"seed": seed, "learning_rate": factor * section.learning_rate}
    if training.method != "grpo":
        changes["max_steps"] = n_updates(training.budget)
    changes |= training.changes
    if training.n_points:
        every = max(1, math.ceil(changes.get("max_steps", section.max_steps) / training.n_points))
        changes |= {"keep_checkpoints": True, "save_strategy": "steps", "save_steps": every}
    return type(section).model_validate(section.model_dump() | changes)


def n_updates(sft: Any, limo: Path, dataset: Path, student: str, budget: str) -> int:
    """Updates of a training on `dataset` whose updates, epochs or tokens are those of LIMO's own; -1: by epochs.

    `sft`: the recipe's section; `limo`: LIMO's own training set; `student`: whose tokens are counted.
    """
    if budget == "epochs" and sft.max_steps <= 0:
        return -1
    limo_rows = read_rows(limo)
    whole = math.ceil(len(limo_rows) * sft.num_train_epochs / sft.examples_per_update)
    whole = sft.max_steps if sft.max_steps > 0 else whole
    if budget == "updates":
        return whole
    rows = read_rows(dataset)
    if budget == "epochs":
        return max(1, math.ceil(whole * len(rows) / len(limo_rows)))
    tokenizer = load_tokenizer(student)
    lengths = [encode(part, tokenizer, sft.max_length, "drop").n_tokens / len(part) for part in (limo_rows, rows)]
    return max(1, round(whole * lengths[0] / lengths[1]))


def training_cost(trained: TrainResult) -> dict[str, Any]:
    """What a measurement keeps of a training."""
    names = ("n_examples", "n_updates", "seconds", "flops")
    return {name: getattr(trained, name) for name in names} | {"n_train_tokens": trained.n_tokens_seen}
