"""The recipes of `limo rollouts`, `verify`, `grade`, `train` and `evaluate`: which model, which rows, which settings.

    recipe = load(EvaluateRecipe, "evaluate", ["model.path=runs/train-v2/model"])

What it does not do: define a setting of a stage; those stand beside the stage's code.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.recipe import EXECUTION_ONLY, Settings
from limo.curate.grade import GradeSettings
from limo.models.settings import ModelSettings
from limo.pool.ingest import IngestSettings
from limo.rollouts.budget import Budget
from limo.rollouts.judging import AnswerJudgeSettings, ChainJudgeSettings
from limo.rollouts.runner import RolloutSettings
from limo.rollouts.stopping import Band
from limo.stages.evaluate import Decoding
from limo.train.methods.sft import SftSettings


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
    budget: Budget = Field(
        default_factory=Budget,
        description="the most that rollouts may cost; reached: exit 3",
        json_schema_extra=EXECUTION_ONLY,
    )
    decoding: Decoding | None = Field(None, description="how every benchmark is answered; default: as in the paper")
    system: str = Field(prompts.SYSTEM, description="system text of every question")


class Question(RolloutSettings):
    """An asking, and perhaps what it is to decide."""

    low: int | None = Field(None, ge=0, description="fewest correct rollouts of a band; without one all are asked")
    high: int | None = Field(None, ge=0, description="most correct rollouts of a band")

    @property
    def band(self) -> Band | None:
        """The band over the rollouts of all its models, if there is one."""
        return None if self.low is None or self.high is None else Band(self.low, self.high, self.n_in_all)

    @model_validator(mode="after")
    def _fits(self) -> Question:
        if (self.low is None) != (self.high is None):
            raise ValueError("a band has two ends; give `low` and `high`, or neither")
        if self.low is not None and self.high is not None and not self.low <= self.high <= self.n_in_all:
            raise ValueError(f"{self.low}..{self.high} of {self.n_in_all} rollouts is an empty band")
        return self


class RolloutsRecipe(Settings):
    """Models asked about a pool, and nothing else done."""

    data: str = Field("", description="folder where the relative paths of sources and recordings start")
    pool: IngestSettings = Field(description="where problems come from")
    ask: list[Question] = Field(min_length=1, description="who is asked, one after another")
    budget: Budget = Field(
        default_factory=Budget,
        description="the most that rollouts may cost; reached: exit 3",
        json_schema_extra=EXECUTION_ONLY,
    )

    @property
    def models(self) -> list[ModelSettings]:
        """Every model that is asked."""
        return [model for one in self.ask for model in one.models]


class GradeRecipe(GradeSettings):
    """How chains of a file are graded, and by whom, where a model judges."""

    data: str = Field("", description="folder where the relative paths of models and recordings start")
    judge: ChainJudgeSettings | None = Field(None, description="scorer judge: who is asked for marks")
    budget: Budget = Field(
        default_factory=Budget,
        description="the most that judgements may cost; reached: exit 3",
        json_schema_extra=EXECUTION_ONLY,
    )


class VerifyRecipe(Settings):
    """Who says whether answers are the known ones, where the rules cannot or beside them."""

    data: str = Field("", description="folder where the relative paths of models and recordings start")
    judge: AnswerJudgeSettings = Field(description="who is asked")
    rows: Literal["undecided", "all"] = Field(
        "undecided", description="undecided: what the rules left open; all: every row, to see how far the two agree"
    )
    budget: Budget = Field(
        default_factory=Budget,
        description="the most that judgements may cost; reached: exit 3",
        json_schema_extra=EXECUTION_ONLY,
    )
