"""The pocket lab: `limo.experiments.lab` over a synthetic world and shipped models, in minutes on two CPU cores.

report = run(load(PocketRecipe, "pocket"), "runs/lab", progress)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.run_folder import RunFolder
from limo.experiments.arms import EXPERIMENTS, Arm
from limo.experiments.lab import Lab, LabHooks, LabRecipe, write_json
from limo.experiments.pocket import world
from limo.experiments.pocket.models import PLANS, model_path
from limo.experiments.pocket.report import build_pocket_report
from limo.experiments.runner import MEASURING, measure_arms, measuring_jobs
from limo.models.completer import Completer
from limo.models.local.completer import LocalCompleter
from limo.models.settings import LocalModelSettings, ModelSettings, open_model
from limo.pool.ingest import write_pool
from limo.report import page, store
from limo.report.content import Report
from limo.stages import curate

ARMS = [arm for experiment in EXPERIMENTS for arm in experiment.arms]
# Seconds on two quiet cores: a pool problem until it is selected or dropped, an example of the bulk until it is
# written, a benchmark problem until it is scored, a row once through a training.
CURATION_S, BULK_S, SCORE_S, ROW_S = 0.15, 0.02, 0.5, 0.025


class WorldSettings(Settings):
    """How many problems of the world are written; depths are numbers of operations."""

    n_pool: int = Field(1600, ge=1, description="problems of the three curated families before filtering")
    n_bulk_pool: int = Field(16000, ge=1, description="problems of all ten families for the bulk arm")
    n_benchmark: int = Field(64, ge=8, description="problems of each of the ten benchmarks")
    seed: int = Field(1, ge=0, description="another seed is another pool; the benchmarks are fixed")


class PocketRecipe(LabRecipe):
    """The settings of a pocket lab run."""

    student: str = "pocket-rich"
    world: WorldSettings = Field(default_factory=WorldSettings)


def pocket_lab(recipe: PocketRecipe, folder: Path) -> Lab:
    """The lab of a run folder."""
    return Lab(recipe, folder, LabHooks(write_world, open_pocket_model, _student_path))


def run(recipe: PocketRecipe, folder: str | Path, progress: Progress | None = None) -> Report:
    """Run every experiment, or continue a run; `report.html`, `report.json` and `scores.json` are left in `folder`.

    Raises InputError (a folder of another recipe, a stage that keeps nothing), ModelError, StorageError.
    """
    progress, lab = progress or NoProgress(), pocket_lab(recipe, Path(folder))
    with RunFolder(folder, recipe):
        progress.plan(expected_s(lab, recipe, ARMS))
        measured = measure_arms(lab, ARMS, progress)
        report = build_pocket_report(lab, EXPERIMENTS, measured)
        scores = {arm: [asdict(row) for row in measurements] for arm, measurements in measured.items()}
        write_json(lab.folder / "scores.json", scores)
        store.save(report, lab.folder / "report.json")
        page.write(report, lab.folder / "report.html")
    progress.log(f"report: {lab.folder / 'report.html'}")
    return report


def plan(recipe: PocketRecipe, folder: str | Path) -> dict[str, float]:
    """Stage -> expected seconds on two cores of what the run in `folder` has still to do; nothing is written."""
    return expected_s(pocket_lab(recipe, Path(folder)), recipe, ARMS)


def write_world(recipe: PocketRecipe, folder: Path, progress: Progress) -> None:
    """Write pool, bulk pool and benchmarks into `folder`; nothing where they are already."""
    bulk_pool = folder / recipe.bulk.pool
    if bulk_pool.exists():
        return
    settings, depths = recipe.world, world.PRETRAIN_DEPTHS
    progress.log("world: writing problems and benchmarks")
    for family in world.families():
        write_pool(world.benchmark(family, settings.n_benchmark), folder / f"pocket-{family}.parquet")
    pool = world.sample_problems(world.families("in-domain"), settings.n_pool, depths, settings.seed)
    write_pool(pool, folder / "pool.parquet")
    bulk = world.sample_problems(world.families(), settings.n_bulk_pool, depths, settings.seed, "bulk")
    write_pool(bulk, bulk_pool)


def open_pocket_model(settings: ModelSettings, data: str) -> Completer:
    """A model of a recipe; a `path` that is the name of a pocket model means the shipped one."""
    if isinstance(settings, LocalModelSettings) and settings.path in PLANS:
        return LocalCompleter(model_path(settings.path), settings.name, settings.batch_size, settings.device)
    return open_model(settings, data)


def _student_path(name: str) -> str:
    return str(model_path(name))


def expected_s(lab: Lab, recipe: PocketRecipe, arms: Sequence[Arm]) -> dict[str, float]:
    """Stage -> seconds it is likely to take on two cores, for what is left of the run; a display corrects them."""
    expected = {}
    if not (lab.folder / "curation" / curate.SELECTED).exists():
        expected["curation"] = CURATION_S * recipe.world.n_pool
    for selection in lab.missing_selections(arms):
        expected[f"training set {selection}"] = BULK_S * recipe.bulk.n if selection == "bulk" else 1.0
    missing = [arm for arm, seed in measuring_jobs(lab, arms) if lab.stored(arm, seed) is None]
    seconds = [SCORE_S * recipe.world.n_benchmark + ROW_S * _n_rows_trained(recipe, arm) for arm in missing]
    expected[MEASURING] = sum(seconds) / min(recipe.n_workers, max(1, len(missing)))
    return expected


def _n_rows_trained(recipe: PocketRecipe, arm: Arm) -> int:
    sft = getattr(recipe, arm.training)
    return max(0, sft.max_steps) * sft.examples_per_update if arm.selection else 0
