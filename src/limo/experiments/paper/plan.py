"""What a paper lab will take, before anything is spent: memory, hours and cost of each cell of its matrix.

    plan = plan_cells(recipe, [(arm, 0, False)])
    plan[0].train_gb, plan[0].gpu_hours, plan[0].usd

Parameters and activations are counted on the model's own code without data (`limo.train.memory`), from a shipped shape
or the model's folder.  Training takes its operations (`limo.train.compute`, a third more where layers are computed
twice) at `hardware.mfu` of the GPU's peak; completions are planned as in `limo.stages.plan`.  Loading, compiling and
queueing are not counted.  What the lab has measured already costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from limo.core.records import Problem
from limo.curate.select import SelectSettings
from limo.experiments.arm_training import method_of
from limo.experiments.arms import Arm, Selection
from limo.experiments.paper.recipe import PaperRecipe, shipped
from limo.models.local.config import config_of_shape, read_config, unknown_shape
from limo.pool.sources.benchmarks import known_benchmarks, load_files
from limo.stages import plan as planner
from limo.stages.train import Method
from limo.train.compute import GENERATE, TRAIN
from limo.train.memory import GB, Sharding, plan_memory
from limo.train.methods.grpo import GrpoSettings
from limo.train.methods.sft import SftSettings

RECOMPUTED = 4 / 3  # gradient checkpointing: a second forward pass beside one forward and two backward
KV_SHARE = 0.9  # of a GPU's memory that a server uses (vLLM's default); what weights leave of it holds keys and values
PROMPT_TOKENS = 250  # of a benchmark problem with its system text: 1,000 characters, our own choice


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One arm with one seed.  `train_gb`, `serve_gb`: of a GPU; `host_gb`: of a machine whose GPUs are off-loaded.

    `gpu_hours` counts all GPUs that the cell holds while it trains and while it is scored; `n_sequences`: longest
    completions that the server's memory holds at once; `fits`: whether a GPU, and the machine,
    hold what is planned for them.
    """

    arm: str
    seed: int
    is_done: bool
    train_gb: float
    host_gb: float
    serve_gb: float
    n_sequences: int
    train_hours: float
    score_hours: float
    gpu_hours: float
    usd: float

    fits: bool

    def done(self) -> PlannedCell:
        """The cell when it is measured: it costs nothing more."""
        return replace(self, is_done=True, gpu_hours=0.0, usd=0.0)

    @property
    def hours(self) -> float:
        """Hours that it has to go."""
        return 0.0 if self.is_done else self.train_hours + self.score_hours


def plan_cells(recipe: PaperRecipe, cells: Sequence[tuple[Arm, int, bool]]) -> list[PlannedCell]:
    """The plan of (arm, seed, is it measured already).  Raises InputError for a model whose shape is not known."""
    memory: dict[str, tuple[float, float]] = {}  # of the same model and method it is worked out once
    rows: dict[str, PlannedCell] = {}
    for arm, _, _ in cells:
        if arm.name not in rows:
            rows[arm.name] = _planned(recipe, arm, memory)
    planned = [(replace(rows[arm.name], seed=seed), is_done) for arm, seed, is_done in cells]
    return [row.done() if is_done else row for row, is_done in planned]


def _planned(recipe: PaperRecipe, arm: Arm, memory: dict[str, tuple[float, float]]) -> PlannedCell:
    model = shape_of(recipe.student_of(arm))
    train_gb, host_gb, train_hours = 0.0, 0.0, 0.0
    if arm.training:
        method = planned_method(recipe, arm)
        key = f"{recipe.student_of(arm)} {method.model_dump_json(exclude={'max_steps', 'num_train_epochs'})}"
        if key not in memory:
            memory[key] = training_memory(recipe, model, method)
        train_gb, host_gb = memory[key]
        speed = _peak(recipe) * _speed(recipe, method) * recipe.train.n_gpus
        train_hours = training_flops(recipe, arm) / speed / 3600
    serve_gb, n_sequences = serving_memory(recipe, model)
    score_hours = scoring_gpu_hours(recipe, model.num_parameters()) / recipe.serve.n_gpus
    gpu_hours = recipe.n_gpus_per_cell * (train_hours + score_hours)
    usd = gpu_hours * recipe.hardware.usd_per_gpu_hour
    sizes = (train_gb, host_gb, serve_gb, n_sequences)
    hardware = recipe.hardware
    fits = train_gb <= hardware.memory_gb and host_gb <= (hardware.host_memory_gb or host_gb) and n_sequences > 0
    return PlannedCell(arm.name, 0, False, *sizes, train_hours, score_hours, gpu_hours, usd, fits)


def planned_method(recipe: PaperRecipe, arm: Arm) -> Method:
    """The settings of an arm's training, before its rows are there."""
    assert arm.training is not None
    return method_of(recipe, arm.training, 0, lambda budget: recipe.sft.max_steps)


@lru_cache(maxsize=16)
def shape_of(student: str) -> Any:
    """A model without weights, of a shipped shape or of the config in its folder.  Raises InputError."""
    if (config := config_of_shape(student)) is None:
        if not (Path(student) / "config.json").is_file():
            raise unknown_shape(student)
        config = read_config(student)
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def training_memory(recipe: PaperRecipe, model: Any, method: Method) -> tuple[float, float]:
    """GB of a GPU, and of the machine where parameters and optimiser are kept there (all its GPUs together)."""
    launch = recipe.train
    longest = method.max_length if isinstance(method, SftSettings) else method.max_completion_length
    sharding: Sharding = "fsdp2" if launch.is_sharded else "ddp"
    plan = plan_memory(model.config, method, longest, sharding, launch.n_gpus, not method.use_cpu)
    if launch.is_offloaded:
        host = plan.weights + plan.gradients + plan.optimiser
        return (plan.activations + plan.gathered) / GB, host / launch.n_nodes / GB
    return plan.total / GB, 0.0


def serving_memory(recipe: PaperRecipe, model: Any) -> tuple[float, int]:
    """GB of weights on a GPU of the server, and the longest sequences whose keys and values fit beside them."""
    config, serve = model.config.get_text_config(), recipe.serve
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token = 2 * 2 * config.num_hidden_layers * config.num_key_value_heads * head / serve.tensor_parallel
    weights = 2 * model.num_parameters() / serve.tensor_parallel
    free = KV_SHARE * recipe.hardware.memory_gb * GB - weights
    return weights / GB, max(0, int(free // (token * serve.max_model_len)))


def training_flops(recipe: PaperRecipe, arm: Arm) -> float:
    """Operations of a training, as its record will count them."""
    training, selection, questions = arm.training, arm.selection, recipe.questions
    assert training is not None and selection is not None
    if training.flops_of:
        return training_flops(recipe, questions.arms[training.flops_of])
    method, n_parameters = planned_method(recipe, arm), float(shape_of(recipe.student_of(arm)).num_parameters())
    if isinstance(method, GrpoSettings):
        n_rollouts = max(method.max_steps, 0) * method.examples_per_update
        each = PROMPT_TOKENS + method.max_completion_length / 2
        return (GENERATE + TRAIN) * n_rollouts * each * n_parameters
    source, row_tokens = recipe.published(selection), shipped()["row_tokens"]
    n_tokens = source.n_tokens if source else row_tokens.get(selection.level, row_tokens["other"])
    limo = questions.arms["limo"].selection
    n_rows = planned_rows(recipe, selection if training.budget == "epochs" or limo is None else limo)
    n_passed = n_rows * method.num_train_epochs
    if method.max_steps > 0:
        n_passed = method.max_steps * method.examples_per_update
    return method.flops_per_token * n_parameters * n_passed * min(n_tokens or method.max_length / 2, method.max_length)


def planned_rows(recipe: PaperRecipe, selection: Selection) -> int:
    """Rows of a selection: those that it takes, or all that are published."""
    source = recipe.published(selection)
    return selection.k or (source.n_rows if source else SelectSettings().k)


def _speed(recipe: PaperRecipe, method: Method) -> float:
    """The share of the peak that a training's counted operations reach."""
    if isinstance(method, GrpoSettings):  # generating is slower than training
        shares = (GENERATE / planner.WRITING + TRAIN / recipe.hardware.mfu) / (GENERATE + TRAIN)
        return 1 / shares
    return recipe.hardware.mfu / (RECOMPUTED if method.gradient_checkpointing else 1.0)


def _peak(recipe: PaperRecipe) -> float:
    return planner.GPUS[planner.CostAssumptions(recipe.hardware.gpu).gpu].flops


def n_rollouts(recipe: PaperRecipe) -> dict[str, int]:
    """Completions of each benchmark.  Raises InputError for a benchmark of yours that cannot be read."""
    counts = {}
    for name, file in recipe.benchmarks.items():
        entry, problems = known_benchmarks().get(name.lower()), list[Problem]()
        if entry is None or not entry.n:
            problems = list({problem.id: problem for problem in load_files({name: file}, recipe.data)[name]}.values())
        n_problems = len(problems) or (entry and (entry.n_unique or entry.n)) or 0
        counts[name] = n_problems * recipe.decoding_of(name, problems).n
    return counts


def scoring_gpu_hours(recipe: PaperRecipe, n_parameters: float) -> float:
    """GPU-hours of the completions of all benchmarks."""
    most = recipe.decoding.max_tokens if recipe.decoding else recipe.max_tokens
    n, terms = sum(n_rollouts(recipe).values()), planner.CostAssumptions(recipe.hardware.gpu)
    n_out = n * min(recipe.hardware.n_completion_tokens, most)
    return planner.gpu_hours(n_parameters / 1e9, n * PROMPT_TOKENS, n_out, terms)
