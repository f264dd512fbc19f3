"""The recipe of the paper lab: which student, on which rows, by which methods, on how many GPUs a cell, for how much.

`questions.yaml` holds arms, experiments, published rows and figures; a recipe says what they run on, and may add to
them or take their place.

    recipe = load(PaperRecipe, "paper-7b")
    recipe.questions.experiment("rq5").arms        # names; recipe.questions.arms[name] is the arm
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.files import shipped_yaml
from limo.core.recipe import Settings, execution_field
from limo.curate.strata import StrataSettings
from limo.experiments.arm_selection import Stratum
from limo.experiments.arms import Arm, Prompting, Questions, Selection, read_questions
from limo.experiments.paper.launchers import CommandSettings, SlurmSettings, TrainLaunchSettings
from limo.experiments.paper.serving import ServeSettings
from limo.stages.evaluate import ScoringSettings
from limo.stages.train import Method
from limo.train.methods.grpo import GrpoSettings
from limo.train.methods.sft import SftSettings


class PublishedRows(Settings):
    """Rows that are trained on as they are: `messages`, {question, solution} and its kin, or problems with answers."""

    rows: str = Field(description="hub name, file or folder")
    system: str = Field(prompts.SYSTEM, description="system text of rows that have none")
    n_rows: int = Field(0, ge=0, description="rows that are expected, for plans")
    n_tokens: int = Field(0, ge=0, description="mean tokens of a row, for plans")


class Hardware(Settings):
    """What it runs on, for plans and budgets.  The shares of the GPU's peak are our own choices."""

    gpu: str = Field("H100", description="whose speed is planned with: A100, H100, H200, B200, ...")
    memory_gb: float = Field(80, gt=0, description="of one GPU")
    host_memory_gb: float = Field(0, ge=0, description="of a machine, for what is off-loaded to it; 0 = not checked")
    usd_per_gpu_hour: float = Field(0, ge=0, description="0 = the cost is not counted in dollars")
    mfu: float = Field(0.35, gt=0, le=1, description="share of the peak that training reaches")
    n_completion_tokens: int = Field(
        5290, ge=1, description="mean tokens of a completion; paper: 5,290 by models trained on L5 (v1)"
    )


class LabBudget(Settings):
    """The most that a lab may spend over all its starts; nothing set is no limit."""

    gpu_hours: float | None = Field(None, gt=0, description="GPU-hours of training and serving")
    usd: float | None = Field(None, gt=0, description="US dollars at `hardware.usd_per_gpu_hour`")

    def limits(self, usd_per_gpu_hour: float) -> list[tuple[float, float, str]]:
        """(limit, price of a GPU-hour in its unit, unit) of each that is set."""
        both = [(self.gpu_hours, 1.0, "GPU-hours"), (self.usd, usd_per_gpu_hour, "US dollars")]
        return [(limit, price, unit) for limit, price, unit in both if limit is not None]


class PaperRecipe(ScoringSettings):
    """A lab at full scale."""

    student: str = Field(description="folder or hub name of the model that every arm trains unless it names another")
    curation: str = Field("", description="run folder of `limo curate`, for levels, strata and counts of examples")
    strata: StrataSettings | dict[str, Stratum] = Field(
        default_factory=dict, description="what Simple, Complex and Advanced are in that run, or conditions by name"
    )
    styles: dict[str, str] = Field(default_factory=dict, description="style of chains -> the teacher's system text")
    sources: dict[str, PublishedRows] = Field(
        default_factory=dict, description="published rows by name, beside the shipped ones or in their place"
    )
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict, description="arms, likewise")
    experiments: dict[str, dict[str, Any]] = Field(default_factory=dict, description="experiments, likewise")
    sft: Method = Field(default_factory=SftSettings, description="how arms learn from chains: sft, lora or qlora")
    grpo: GrpoSettings | None = Field(None, description="of arms whose method is grpo")
    seeds: list[int] = Field(default_factory=lambda: [0, 1, 2], min_length=1, description="training seeds")
    data: str = execution_field("", description="folder where relative paths of benchmarks start")
    train: TrainLaunchSettings = Field(default_factory=TrainLaunchSettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    launcher: Annotated[CommandSettings | SlurmSettings, Field(discriminator="kind")] = execution_field(
        default_factory=CommandSettings, description="command or slurm"
    )
    hardware: Hardware = execution_field(default_factory=Hardware)
    budget: LabBudget = execution_field(default_factory=LabBudget)
    keep_models: bool = execution_field(True, description="false: the weights of an arm go when it is scored")

    @model_validator(mode="after")
    def _is_runnable(self) -> PaperRecipe:
        for arm in self.questions.arms.values():
            if arm.prompting != Prompting() or (arm.training and arm.training.n_points):
                raise ValueError(f"arm {arm.name}: the paper lab has no `prompting` and no `n_points`")
        return self

    def run_steps(self) -> dict[str, list[str]]:
        """Cells are named by what they depend on, and reports are made anew: any key may change."""
        return {"report": list(type(self).model_fields)}

    @cached_property
    def questions(self) -> Questions:
        """The shipped arms and experiments with the recipe's own."""
        own = {"arms": self.arms, "experiments": self.experiments}
        return read_questions({key: shipped()[key] | own[key] for key in own}, "the recipe")

    def published(self, selection: Selection) -> PublishedRows | None:
        """The published rows that a selection is of; None for chains of the curation."""
        if selection.source in self.sources:
            return self.sources[selection.source]
        values = shipped()["sources"].get(selection.source)
        return PublishedRows.model_validate(values) if values else None

    def student_of(self, arm: Arm) -> str:
        """The model that an arm trains, or is."""
        return (arm.training.student if arm.training else "") or arm.student or self.student

    @property
    def n_gpus_per_cell(self) -> int:
        """GPUs that a cell holds: as many as training or serving takes, whichever is more."""
        return max(self.train.n_gpus, 0 if self.serve.base_urls else self.serve.n_gpus)

    def slurm_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """sbatch's options of a cell: nodes and GPUs as the recipe takes them, unless `options` name their own."""
        further = dict(options.get("additional_parameters", {}))
        names = options.keys() | further.keys()
        if self.train.n_nodes > 1 and "nodes" not in names:
            further["nodes"] = self.train.n_nodes
        own: dict[str, Any] = {"additional_parameters": further} if further else {}
        if not self.sft.use_cpu and not any("gpu" in name or name == "gres" for name in names):
            own["gpus_per_node"] = -(-self.n_gpus_per_cell // self.train.n_nodes)
        return {**options, **own}


def shipped() -> dict[str, Any]:
    """`questions.yaml` as it stands."""
    values: dict[str, Any] = shipped_yaml(__file__, "questions.yaml")
    return values
