"""The pocket lab: `limo.experiments.lab` over a synthetic world and shipped models, in minutes on two CPU cores.

report = run(load(PocketRecipe, "pocket"), "runs/lab", progress)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import Field

from limo.core.environment import n_cores
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import Problem
from limo.core.run_folder import ASKED, RunFolder
from limo.experiments.arms import Arm, Experiment, asked_of, load_questions
from limo.experiments.cells import MEASURING, cells_of
from limo.experiments.lab import Lab, LabHooks, LabRecipe
from limo.experiments.pocket import world
from limo.experiments.pocket.models import PLANS, in_variant, model_path, pretrain_plan
from limo.experiments.pocket.premise import step_accuracy
from limo.experiments.pocket.report import build_pocket_report
from limo.experiments.runner import run_experiments
from limo.models.completer import Completer
from limo.models.local.completer import LocalCompleter
from limo.models.settings import LocalModelSettings, ModelSettings, open_model
from limo.pool.ingest import write_pool
from limo.report.content import Report
from limo.stages import curate

# Seconds on two quiet cores: a pool problem until it is selected or dropped, a rollout of a collection, a problem of
# each benchmark until it is scored, a row once through a training, a rollout of a training.
CURATION_S, CHAIN_S, SCORE_S, ROW_S, ROLLOUT_S = 0.06, 0.004, 0.14, 0.005, 0.01
SAMPLE_S = 0.01  # a further rollout of an untrained model, whose answers are short


class WorldSettings(Settings):
    """Which world, and how many of its problems are written."""

    variant: str = Field(
        "",
        description="another world and its models, `NAME-VARIANT`: world2; 512, which is not shipped",
    )

    n_pool: int = Field(1600, ge=1, description="problems of the three curated families before filtering")
    n_bulk_pool: int = Field(16000, ge=1, description="problems of all ten families for the bulk arm")
    n_benchmark: int = Field(64, ge=8, le=world.MOST_BENCHMARK, description="problems of each of the ten benchmarks")
    seed: int = Field(1, ge=0, description="of the pools; the benchmarks are fixed")


class PocketRecipe(LabRecipe):
    """The settings of a pocket lab run."""

    student: str = "pocket-rich"
    world: WorldSettings = Field(default_factory=WorldSettings)


def pocket_lab(recipe: PocketRecipe, folder: Path) -> Lab:
    """The lab of a run folder."""
    variant = recipe.world.variant
    opener, path = partial(open_pocket_model, variant=variant), partial(_student_path, variant=variant)
    return Lab(recipe, folder, LabHooks(write_world, opener, path, begin_note, step_accuracy))


def run(
    recipe: PocketRecipe, folder: str | Path, progress: Progress | None = None, asked: Sequence[Experiment] = ()
) -> Report:
    """Run experiments (default: the short lab), or continue a run; the report is left in `folder`.

    Raises InputError (a folder of another recipe, a stage that keeps nothing), ModelError, StorageError.
    """
    progress, lab, questions = progress or NoProgress(), pocket_lab(recipe, Path(folder)), load_questions()
    asked = asked or questions.short_lab()
    with RunFolder(folder, recipe) as run_folder:
        run_folder.write_json(ASKED, asked_of(asked, recipe.seeds))
        slower = slowdown(recipe.n_workers)
        if slower > 1.2:
            progress.log(f"this machine is busy: the times of the plan are multiplied by {slower:.1f}")
        expected = expected_s(lab, recipe, questions.arms_of(asked))
        progress.plan({stage: seconds * slower for stage, seconds in expected.items()})
        return run_experiments(lab, questions, asked, build_pocket_report, progress)


def slowdown(n_workers: int) -> float:
    """How much longer than on quiet cores work takes now: processes that want a core, these workers too, for each."""
    n_running = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1.0, (n_running + n_workers) / n_cores())


def plan(recipe: PocketRecipe, folder: str | Path, asked: Sequence[Experiment] = ()) -> dict[str, float]:
    """Stage -> expected seconds on two cores of what the run in `folder` has still to do; nothing is written."""
    questions = load_questions()
    return expected_s(pocket_lab(recipe, Path(folder)), recipe, questions.arms_of(asked or questions.short_lab()))


def write_world(recipe: PocketRecipe, folder: Path, progress: Progress) -> None:
    """Write pool, bulk pool and benchmarks into `folder`; nothing where they are already."""
    bulk_pool = folder / "bulk.parquet"
    if bulk_pool.exists():
        return
    settings, depths = recipe.world, world.DEPTHS
    where = pretrain_plan(in_variant(recipe.student, settings.variant)).world
    progress.log("world: writing problems and benchmarks")
    for family in world.families():
        write_pool(world.benchmark(family, settings.n_benchmark, where), folder / f"pocket-{family}.parquet")
    pool = world.sample_problems(world.families("in-domain"), settings.n_pool, depths, settings.seed, world=where)
    write_pool(pool, folder / "pool.parquet")
    bulk = world.sample_problems(world.families(), settings.n_bulk_pool, depths, settings.seed, "bulk", where)
    write_pool(bulk, bulk_pool)


def open_pocket_model(settings: ModelSettings, data: str, variant: str = "") -> Completer:
    """A model of a recipe; a `path` that is the name of a pocket model means that one, in the world of `variant`."""
    if isinstance(settings, LocalModelSettings) and settings.path in PLANS:
        path = _student_path(settings.path, variant)
        device = "cpu" if settings.device == "auto" else settings.device  # what the stored results were measured on
        return LocalCompleter(path, settings.name, settings.batch_size, device)
    return open_model(settings, data)


def _student_path(name: str, variant: str = "") -> str:
    return str(model_path(in_variant(name, variant)))


def begin_note(problem: Problem) -> str:
    """The label of the statement's first line, as a note begins."""
    return problem.problem.partition(" ")[0] + " "


def expected_s(lab: Lab, recipe: PocketRecipe, arms: Sequence[Arm]) -> dict[str, float]:
    """Stage -> seconds it is likely to take on two cores, for what is left of the run; a display corrects them."""
    expected = {}
    if not (lab.folder / "curation" / curate.SELECTED).exists():
        expected["curation"] = CURATION_S * recipe.world.n_pool
    for source in dict.fromkeys(selection.source for selection, _ in lab.missing_sets(arms)):
        settings = recipe.collections.get(source)
        n = (settings.n_problems or recipe.world.n_pool) * settings.ask.n_in_all if settings else 0
        expected[f"chains {source}"] = max(1.0, CHAIN_S * n)
    missing = [cell for cell in cells_of(arms, recipe.seeds) if lab.stored(cell.arm, cell.seed) is None]
    seconds = [_arm_s(recipe, cell.arm) for cell in missing]
    expected[MEASURING] = sum(seconds) / min(recipe.n_workers, max(1, len(missing)))
    return expected


def measured_pace(lab: Lab, recipe: PocketRecipe, arms: Sequence[Arm]) -> float | None:
    """How many times as long as on two quiet cores the measured trainings took; None where there is none."""
    stored = [(cell.arm, lab.stored(cell.arm, cell.seed)) for cell in cells_of(arms, recipe.seeds)]
    times = [(found.seconds, _training_s(recipe, arm)) for arm, found in stored if found and found.seconds]
    planned_s = sum(expected for _, expected in times)
    return sum(taken for taken, expected in times if expected) / planned_s if planned_s else None


def _arm_s(recipe: PocketRecipe, arm: Arm) -> float:
    n_scored = 1 + (arm.training.n_points if arm.training else 0)
    seconds = recipe.world.n_benchmark * (SCORE_S * n_scored + SAMPLE_S * arm.prompting.n_samples)
    return seconds + _training_s(recipe, arm)


def _training_s(recipe: PocketRecipe, arm: Arm) -> float:
    is_grpo = arm.training is not None and arm.training.method == "grpo"
    settings, row_s = (recipe.grpo, ROLLOUT_S) if is_grpo else (recipe.sft, ROW_S)
    n_rows = max(0, settings.max_steps) * settings.examples_per_update if settings and arm.training else 0
    return row_s * n_rows
