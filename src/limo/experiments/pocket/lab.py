"""The pocket lab: the whole method in minutes on two CPU cores, offline, with real sampling and real training.

world -> pool -> curation (the product's own pipeline) -> training sets -> every arm fitted with several seeds and
scored on ten benchmarks.  A run is a folder; killed and started again it goes on where it was.

    lab = PocketLab(load(LabRecipe, "pocket"), Path("runs/lab"))
    measured = measure(lab, HEADLINE.arms, progress)

What it does not do: choose anything by a benchmark.  The recipe is fixed before the first score is seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.files import atomic
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import EXECUTION_ONLY, Settings
from limo.core.records import LEVELS, Problem
from limo.core.run_folder import RunFolder
from limo.curate.chains import accept
from limo.curate.select import sample_levels
from limo.experiments.lab import MEASURING, Arm, Measurement, jobs
from limo.experiments.pocket import world
from limo.experiments.pocket.models import model_path
from limo.experiments.pocket.pretrain import PLANS
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.models.local.completer import LocalCompleter
from limo.models.settings import LocalModel, ModelSettings, open_model
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import dedup
from limo.pool.ingest import read_pool, write_pool
from limo.rollouts.runner import RolloutRunner, RolloutSettings
from limo.stages import curate as curate_stage
from limo.stages.evaluate import Decoding, evaluate
from limo.train.data import read_rows
from limo.train.methods.sft import SftSettings, train
from limo.verify.checker import Checker

Row = dict[str, Any]
# What a run took on two quiet cores, in seconds: a problem of the pool until it is selected or dropped, an example of
# the bulk until it is written, a problem a benchmark answered, a row once through a training.
CURATION_S, BULK_S, SCORE_S, ROW_S = 0.15, 0.02, 0.5, 0.025


class WorldSettings(Settings):
    """How much of the world is written down; depths are numbers of operations."""

    n_pool: int = Field(1600, ge=1, description="problems of the three curated families before filtering")
    n_bulk_pool: int = Field(16000, ge=1, description="problems of all ten families for the bulk arm")
    n_benchmark: int = Field(64, ge=8, description="problems of each of the ten benchmarks")
    seed: int = Field(1, ge=0, description="another seed is another pool; the benchmarks are fixed")


class BulkSettings(Settings):
    """The rival: many ordinary chains, verified like LIMO's, of every family (LIMO trains on three)."""

    n: int = Field(6400, ge=1, description="examples; at least 50 times LIMO's")
    ask: RolloutSettings = Field(description="who writes them, and how")


class LabRecipe(Settings):
    """Everything that a lab run depends on."""

    student: str = Field("pocket-rich", description="the model that every arm trains")
    world: WorldSettings = Field(default_factory=WorldSettings)
    curation: curate_stage.Recipe
    bulk: BulkSettings
    n_level: int = Field(100, ge=1, description="chains of each level L1..L5, over the same problems where they can be")
    sft: SftSettings = Field(description="training of every small arm")
    sft_bulk: SftSettings = Field(description="training of the bulk arm; as many updates as `sft`")
    decoding: Decoding = Field(default_factory=lambda: Decoding(max_tokens=320))
    seeds: list[int] = Field(default_factory=lambda: [0, 1, 2], min_length=1, description="training seeds")
    n_workers: int = Field(
        2, ge=1, description="arms measured at once, a process and a core each", json_schema_extra=EXECUTION_ONLY
    )


@dataclass(frozen=True)
class PocketLab:
    """Answers experiments (limo.experiments.lab.Lab) inside one run folder."""

    recipe: LabRecipe
    folder: Path

    @property
    def seeds(self) -> tuple[int, ...]:
        """Training seeds."""
        return tuple(self.recipe.seeds)

    @property
    def n_workers(self) -> int:
        """Processes at once."""
        return self.recipe.n_workers

    def write_world(self, progress: Progress) -> None:
        """Pool, bulk pool and benchmarks as files; nothing where they are already."""
        if self._world("bulk.parquet").exists():
            return
        settings = self.recipe.world
        depths = world.PRETRAIN_DEPTHS
        progress.log("world: writing problems and benchmarks")
        for family in world.families():
            write_pool(world.benchmark(family, settings.n_benchmark), self._world(f"pocket-{family}.parquet"))
        curated = world.families("in-domain")
        pool = world.sample_problems(curated, settings.n_pool, depths, settings.seed)
        write_pool(pool, self._world("pool.parquet"))
        bulk = world.sample_problems(world.families(), settings.n_bulk_pool, depths, settings.seed, "bulk")
        write_pool(bulk, self._world("bulk.parquet"))

    def benchmarks(self) -> dict[str, list[Problem]]:
        """The ten pocket benchmarks of this run by name."""
        names = [f"pocket-{family}" for family in world.families()]
        return {name: read_pool(self._world(f"{name}.parquet")) for name in names}

    def curate(self, progress: Progress) -> curate_stage.CurateResult:
        """The product's own pipeline over the pool."""
        recipe = self.recipe.curation.model_copy(update={"data": str(self.folder / "world")})
        return curate_stage.run(recipe, self.folder / "curation", progress, opener=open_pocket)

    def prepare(self, arms: Sequence[Arm], progress: Progress) -> None:
        """World, curation and the training sets that the arms name."""
        self.write_world(progress)
        with progress.stage("curation"):
            self.curate(progress)
        for name in self._missing_sets(arms):
            with progress.stage(f"training set {name}"):
                self._make_set(name, progress)

    def expected_s(self, arms: Sequence[Arm]) -> dict[str, float]:
        """Stage -> seconds it is likely to take on two cores, for what is left of the run; a display corrects them."""
        expected = {}
        if not (self.folder / "curation" / curate_stage.SELECTED).exists():
            expected["curation"] = CURATION_S * self.recipe.world.n_pool
        for name in self._missing_sets(arms):
            expected[f"training set {name}"] = BULK_S * self.recipe.bulk.n if name == "bulk" else 1.0
        left = [(arm, seed) for arm, seed in jobs(self, arms) if self.measured(arm, seed) is None]
        seconds = [self._arm_s(arm) for arm, _ in left]
        expected[MEASURING] = sum(seconds) / min(self.n_workers, max(1, len(left)))
        return expected

    def _arm_s(self, arm: Arm) -> float:
        score = SCORE_S * self.recipe.world.n_benchmark
        if not arm.examples:
            return score
        sft = self.recipe.sft_bulk if arm.examples == "bulk" else self.recipe.sft
        return score + ROW_S * max(0, sft.max_steps) * sft.per_device_train_batch_size

    def _missing_sets(self, arms: Sequence[Arm]) -> list[str]:
        names = dict.fromkeys(arm.examples for arm in arms if arm.examples)
        return [name for name in names if not self._set(name).exists()]

    def measured(self, arm: Arm, seed: int) -> Measurement | None:
        """What an earlier start already measured."""
        file = self._arm(arm.name, seed) / "measurement.json"
        return Measurement(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def measure(self, arm: Arm, seed: int) -> Measurement:
        """Train (unless the arm is the model as it is), answer the benchmarks, keep both."""
        import torch

        torch.set_num_threads(1)  # an arm has one core, so that what it gives does not hang on how many run at once
        folder = self._arm(arm.name, seed)
        folder.mkdir(parents=True, exist_ok=True)
        student = model_path(arm.student or self.recipe.student)
        budget: Row = {}
        if arm.examples:
            settings = self.recipe.sft_bulk if arm.examples == "bulk" else self.recipe.sft
            rows = _read_rows(self._set(arm.examples))
            trained = train(student, rows, folder / "model", settings.model_copy(update={"seed": seed}))
            student = folder / "model"
            budget = {
                "n_examples": trained.n_examples,
                "n_train_tokens": trained.n_tokens_seen,
                "n_updates": trained.n_updates,
                "seconds": trained.seconds,
            }
        outcomes, lengths = {}, []
        completer = LocalCompleter(student, f"{arm.name}-{seed}", 256)
        with Ledger(folder / "ledger.sqlite") as ledger, Checker() as checker:
            for name, problems in self.benchmarks().items():
                found = evaluate(ledger, completer, name, problems, self.recipe.decoding, checker, NoProgress())
                outcomes[name] = found.rate_by_problem
                lengths.append(found.n_tokens_mean)
        result = Measurement(arm.name, seed, outcomes, n_completion_tokens=sum(lengths) / len(lengths), **budget)
        write_json(folder / "measurement.json", asdict(result))
        return result

    def _make_set(self, name: str, progress: Progress) -> None:
        rows: Sequence[Mapping[str, Any]]
        if name == "limo":
            rows = read_rows(self.folder / "curation" / curate_stage.SELECTED)
        elif name == "bulk":
            rows = self._bulk(progress)
        elif name in LEVELS:
            rows = self._level(name)
        else:
            raise InputError("the pocket lab has no such training set", name, "limo, bulk, L1..L5", "rename the arm")
        write_json(self._set(name), [{"messages": row["messages"]} for row in rows])

    def _bulk(self, progress: Progress) -> list[Row]:
        """Ordinary chains of every family: deduplicated, decontaminated, verified, and otherwise as they come."""
        settings, curation = self.recipe.bulk, self.recipe.curation
        problems, _ = dedup(read_pool(self._world("bulk.parquet")), curation.dedup)
        problems, _ = decontaminate(problems, self.benchmarks(), curation.decontaminate)
        runner = RolloutRunner(open_pocket, "", progress)
        with Ledger(self.folder / "bulk.sqlite") as ledger, Checker() as checker:
            runner.run(settings.ask, problems, ledger, checker, "bulk")
            rollouts = runner.rollouts([settings.ask], problems, ledger)
        rows = []
        for problem in problems:
            chains, _ = accept(problem, rollouts[problem.id], curation.chains)
            rows += [_row(problem, chain.text, curation.system) for chain in chains[:1]]
        if len(rows) < settings.n:
            progress.log(f"bulk: {len(rows):,} correct chains, {settings.n:,} were asked for")
        return rows[: settings.n]

    def _level(self, level: str) -> list[Row]:
        """Chains of one level of the grade; the five levels share their problems where they can."""
        with RunFolder(self.folder / "curation") as curation:
            chains, grades = curate_stage.graded_chains(curation)
            problems = {p.id: p for p in curate_stage.problems_after(curation, self.recipe.curation.filters[-1].name)}
        pairs = sample_levels(chains, grades, self.recipe.n_level, LEVELS)[level]  # type: ignore[index]
        return [_row(problems[chain.problem_id], chain.text, self.recipe.curation.system) for chain, _ in pairs]

    def _world(self, name: str) -> Path:
        return self.folder / "world" / name

    def _set(self, name: str) -> Path:
        return self.folder / "sets" / f"{name}.json"

    def _arm(self, name: str, seed: int) -> Path:
        return self.folder / "arms" / name / f"seed-{seed}"


def open_pocket(settings: ModelSettings, data: str) -> Completer:
    """A model of a recipe; a `path` that is the name of a pocket model means the shipped one."""
    if isinstance(settings, LocalModel) and settings.path in PLANS:
        return LocalCompleter(model_path(settings.path), settings.name, settings.batch_size, settings.device)
    return open_model(settings, data)


def _row(problem: Problem, text: str, system: str) -> Row:
    messages = prompts.messages(problem.problem, system)
    return {"messages": [*messages, {"role": "assistant", "content": text}]}


def _read_rows(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def write_json(path: Path, value: object) -> None:
    """Put a value at `path`, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
