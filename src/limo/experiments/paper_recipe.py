"""The paper's experiments as data, and the recipe of the lab that runs them: students, chains, hardware, servers.

`paper.yaml` holds arms, experiments, published figures and the shapes of the models; a recipe says what they run on.

    recipe = load(PaperRecipe, "paper-7b")
    recipe.experiment("rq5").arms        # names; recipe.arm(name) is the arm
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.recipe import Settings, execution_field
from limo.core.records import Level
from limo.curate.select import Order
from limo.curate.strata import StrataSettings, Stratum
from limo.experiments.launchers import CommandSettings, SlurmSettings, TrainLaunch
from limo.experiments.serving import ServeSettings
from limo.rollouts.judging import AnswerJudgeSettings
from limo.stages.evaluate import Decoding, Protocol
from limo.stages.train import Method
from limo.train.methods.sft import SftSettings


class TrainingSet(Settings):
    """Where an arm's rows come from: a published data set, or a choice among the chains of a run of `limo curate`."""

    rows: str = Field("", description="hub name, file or folder of rows; '' = the recipe's `curation`")
    n: int = Field(0, ge=0, description="rows drawn by hash; of a curation the best so many problems; 0 = all")
    choice: Order = Field("score", description="curation: the order by which `n` are taken, as in `select.by`")
    level: Level | None = Field(None, description="curation: chains of one level, the problems shared where they can")
    stratum: Stratum | None = Field(None, description="curation: problems of one stratum of difficulty")
    is_pool: bool = Field(False, description="problems with answers instead of chains (grpo)")
    system: str = Field(prompts.SYSTEM, description="system text of rows that have none")
    n_rows: int = Field(0, ge=0, description="rows that are expected, for plans")
    n_tokens: int = Field(0, ge=0, description="mean tokens of a row, for plans")


class PaperArm(Settings):
    """One variant: what the student is trained on and how.  Without `set` it is the student as it is."""

    label: tuple[str, str] = Field(description="what a report calls it, in English and Chinese")
    set: str = Field("", description="a key of `sets`; '' = not trained")
    method: str = Field("sft", description="a key of the recipe's `methods`")
    student: str = Field("", description="the model; '' = the recipe's")
    flops_of: str = Field("", description="the arm whose measured training cost this one may reach (grpo)")


class Figure(Settings):
    """A published result of the paper, in percent."""

    arm: str
    benchmark: str = Field(description="its name, or average")
    value: float
    version: Literal["v1", "v2"]
    source: str


class PaperExperiment(Settings):
    """A question of the paper: its arms, the pairs that are compared (first minus second), the published figures."""

    question: tuple[str, str]
    arms: list[str]
    pairs: list[tuple[str, str]] = []
    figures: list[Figure] = []


class Catalogue(Settings):
    """Everything of `paper.yaml`.  `models`: the shape of each model, as its config.json says."""

    sets: dict[str, TrainingSet]
    arms: dict[str, PaperArm]
    experiments: dict[str, PaperExperiment]
    models: dict[str, dict[str, Any]]


@cache
def catalogue() -> Catalogue:
    """The arms, experiments, figures and model shapes that are shipped."""
    values = yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text(encoding="utf-8"))
    return Catalogue.model_validate(values)


class Hardware(Settings):
    """What it runs on, for plans and budgets.  The shares of the GPU's peak are our own choices."""

    gpu: str = Field("H100", description="whose speed is planned with: A100, H100, H200, B200, ...")
    memory_gb: float = Field(80, gt=0, description="of one GPU")
    usd_per_gpu_hour: float = Field(0, ge=0, description="0 = the cost is not counted in dollars")
    mfu: float = Field(0.35, gt=0, le=1, description="share of the peak that training reaches")
    n_completion_tokens: int = Field(
        5290, ge=1, description="mean tokens of a completion; paper: 5,290 by models trained on L5 (v1)"
    )


class LabBudget(Settings):
    """The most that a lab may spend over all its starts; nothing set is no limit."""

    gpu_hours: float | None = Field(None, gt=0, description="GPU-hours of training and serving")
    usd: float | None = Field(None, gt=0, description="US dollars at `hardware.usd_per_gpu_hour`")


Launcher = Annotated[CommandSettings | SlurmSettings, Field(discriminator="kind")]


class PaperRecipe(Settings):
    """A lab at full scale: which student, on which chains, by which methods, on which machines."""

    student: str = Field(description="folder or hub name of the model that every arm trains unless it names another")
    curation: str = Field("", description="run folder of `limo curate`, for levels, strata and counts of examples")
    strata: StrataSettings | None = Field(None, description="what Simple, Complex and Advanced are in that run")
    sets: dict[str, TrainingSet] = Field(default_factory=dict, description="in place of shipped ones of that name")
    arms: dict[str, PaperArm] = Field(default_factory=dict, description="further arms, or in place of shipped ones")
    experiments: dict[str, PaperExperiment] = Field(default_factory=dict, description="further experiments, likewise")
    methods: dict[str, Method] = Field(
        {"sft": SftSettings()}, description="settings of training by name; arms name one"
    )
    seeds: list[int] = Field(default_factory=lambda: [0, 1, 2], min_length=1, description="training seeds")
    data: str = execution_field("", description="folder where relative paths of benchmarks start")
    benchmarks: dict[str, str] = Field(min_length=1, description="name: file or folder; empty = the hub's client")
    protocol: Protocol = Field("v2", description="the paper's decoding, v1 or v2; own: `decoding` for all benchmarks")
    max_tokens: int = Field(32768, ge=1, description="v1, v2: tokens of a completion; paper: 32,768")
    decoding: Decoding | None = Field(None, description="own: how every benchmark is answered")
    judge: AnswerJudgeSettings | None = Field(None, description="as in `limo evaluate`; a server that you run")
    overrule: list[str] = Field([], description="benchmarks where the judge's verdict counts before that of the rules")
    train: TrainLaunch = Field(default_factory=TrainLaunch)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    launcher: Launcher = execution_field(default_factory=CommandSettings, description="command or slurm")
    hardware: Hardware = execution_field(default_factory=Hardware)
    budget: LabBudget = execution_field(default_factory=LabBudget)
    keep_models: bool = execution_field(True, description="false: the weights of an arm go when it is scored")

    @model_validator(mode="before")
    @classmethod
    def _own_decoding(cls, values: Any) -> Any:
        """As in the evaluate stage's recipe: `decoding` alone is of the protocol `own`."""
        is_own = isinstance(values, dict) and values.get("decoding") is not None and "protocol" not in values
        return {**values, "protocol": "own"} if is_own else values

    @model_validator(mode="after")
    def _is_consistent(self) -> PaperRecipe:
        if (self.protocol == "own") != (self.decoding is not None):
            raise ValueError("`protocol: own` and `decoding` belong together; give both, or neither")
        return self

    def run_steps(self) -> dict[str, list[str]]:
        """Cells are named by what they depend on, and reports are made anew: any key may change."""
        return {"report": list(type(self).model_fields)}

    def experiment(self, name: str) -> PaperExperiment:
        """An experiment of the recipe, or the shipped one.  Raises InputError."""
        known = catalogue().experiments | self.experiments
        if name not in known:
            raise InputError("there is no such experiment", name, ", ".join(known), "name one of them")
        return known[name]

    def arm(self, name: str) -> PaperArm:
        """An arm of the recipe, or the shipped one.  Raises InputError."""
        known = catalogue().arms | self.arms
        if name not in known:
            raise InputError("there is no such arm", name, ", ".join(known), "name one of them")
        return known[name]

    def training_set(self, name: str) -> TrainingSet:
        """A training set of the recipe, or the shipped one.  Raises InputError."""
        known = catalogue().sets | self.sets
        if name not in known:
            raise InputError("there is no such training set", name, ", ".join(known), "add it to `sets`")
        return known[name]

    def method(self, arm: PaperArm, seed: int) -> Method:
        """The settings of an arm's training.  Raises InputError."""
        if arm.method not in self.methods:
            do = "add it to `methods`"
            raise InputError("the recipe has no settings for a method", arm.method, ", ".join(self.methods), do)
        return self.methods[arm.method].model_copy(update={"seed": seed})

    @property
    def n_gpus(self) -> int:
        """GPUs that a cell holds: as many as training or serving takes, whichever is more."""
        return max(self.train.n_gpus, 0 if self.serve.base_urls else self.serve.n_gpus)
