"""The recipes of `limo train` and `limo evaluate`: which model, which rows, and the settings of the room that works.

    recipe = load(EvaluateRecipe, "recipes/evaluate.yaml", ["model.path=runs/train-v2/model"])

What it does not do: define a setting of a stage; those stand beside the stage's code.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from limo import prompts
from limo.evaluate import Decoding
from limo.recipe import Settings
from limo.rollouts.models import ModelSettings
from limo.train.sft import SftSettings


class TrainRecipe(Settings):
    """A fine-tuning: what is trained on what."""

    model: str = Field(description="folder or hub name of the base model; paper: Qwen/Qwen2.5-32B-Instruct")
    dataset: str = Field(description="folder that `limo curate` made, or a .jsonl or .parquet of `messages`")
    sft: SftSettings = Field(default_factory=SftSettings)


class EvaluateRecipe(Settings):
    """A model on benchmarks."""

    data: str = Field("", description="folder where the relative paths of benchmarks and recordings start")
    model: ModelSettings = Field(description="the model; `name` is what tables call it")
    seed: int = Field(0, description="training seed of the model, so that `limo compare` can average over seeds")
    benchmarks: dict[str, str] = Field(
        min_length=1, description="name: file or folder; empty = the hub's client, with its cache"
    )
    version: Literal["v1", "v2"] = Field("v2", description="the paper's decoding, where `decoding` is not set")
    max_tokens: int = Field(32768, ge=1, description="tokens of a completion, likewise; paper: 32,768")
    decoding: Decoding | None = Field(None, description="how every benchmark is answered; default: as in the paper")
    system: str = Field(prompts.SYSTEM, description="system text of every question")
