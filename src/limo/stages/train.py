"""The train stage: a base model fine-tuned on a dataset of chains.

    run(load(Recipe, "train-v2", ["dataset=runs/limo-v2/selected"]), "runs/train-v2")

The run folder gets `model/`, which appears whole; under `accelerate launch` every process calls `run` with the same
arguments and the first one keeps the run folder.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from pydantic import Field

from limo.core.progress import Progress
from limo.core.recipe import Settings
from limo.core.run_folder import RunFolder
from limo.train.methods.sft import SftSettings, TrainResult, train


class Recipe(Settings):
    """What is trained on what."""

    model: str = Field(description="folder or hub name of the base model; paper: Qwen/Qwen2.5-32B-Instruct")
    dataset: str = Field(description="folder that `limo curate` made, or a .jsonl or .parquet of `messages`")
    sft: SftSettings = Field(default_factory=SftSettings)


def is_main_process() -> bool:
    """Whether this process is the first (or only) one of a distributed launch."""
    return os.environ.get("RANK", "0") == "0"


def run(recipe: Recipe, folder: str | Path, progress: Progress | None = None) -> TrainResult:
    """Train the model of the run in `folder`, or continue from its last checkpoint; a finished one is left as it is.

    Raises ModelError, InputError (rows that cannot be trained on, a folder of another recipe), StorageError.
    """
    with RunFolder(folder, recipe) if is_main_process() else nullcontext():
        return train(recipe.model, recipe.dataset, Path(folder) / "model", recipe.sft, progress)
