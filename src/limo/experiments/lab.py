"""A lab trains and scores the arms of experiments by running the stages, at any scale.

What differs between labs is data (the recipe) and three functions (`LabHooks`).  A run is a folder; a killed run
continues.  The recipe is fixed before the first score is known; no setting is chosen by a benchmark.

    lab = Lab(recipe, Path("runs/lab"), LabHooks(write_data, open_model, str))
    measured = measure_arms(lab, HEADLINE.arms, progress)      # limo.experiments.runner
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core import prompts
from limo.core.errors import InputError
from limo.core.files import atomic
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings, execution_field
from limo.core.records import LEVELS, Problem, Row
from limo.core.run_folder import RunFolder
from limo.curate.chains import accept
from limo.curate.select import sample_levels
from limo.experiments.arms import Arm
from limo.experiments.results import Measurement
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.models.settings import LocalModelSettings
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import dedup
from limo.pool.ingest import read_pool
from limo.rollouts.multi_model_runner import ModelOpener, MultiModelRunner, RolloutSettings
from limo.stages import curate as curate_stage
from limo.stages import train as train_stage
from limo.stages.evaluate import Decoding, evaluate
from limo.train.data import read_rows
from limo.train.methods.sft import SftSettings
from limo.train.result import TrainResult
from limo.verify.checker import Checker

SCORING_BATCH = 256  # rows decoded at once by an arm's model


class BulkSettings(Settings):
    """The rival of the selected chains: many ordinary correct ones."""

    pool: str = Field("bulk.parquet", description="its problems, in the data folder")
    n: int = Field(6400, ge=1, description="examples; at least 50 times the selected ones")
    ask: RolloutSettings = Field(description="the models that write them, and the sampling")


class LabRecipe(Settings):
    """The settings of a lab run."""

    student: str = Field(description="the model that every arm trains")
    curation: curate_stage.Recipe
    bulk: BulkSettings
    n_level: int = Field(100, ge=1, description="chains of each level L1..L5, over the same problems where they can be")
    sft: SftSettings = Field(description="training of every small arm")
    sft_bulk: SftSettings = Field(description="training of the bulk arm; as many updates as `sft`")
    decoding: Decoding = Field(default_factory=lambda: Decoding(max_tokens=320))
    seeds: list[int] = Field(default_factory=lambda: [0, 1, 2], min_length=1, description="training seeds")
    n_workers: int = execution_field(2, ge=1, description="arms measured at once, a process and a core each")


def train_in_process(recipe: train_stage.Recipe, folder: Path) -> TrainResult:
    """Train in this process; the run of the train stage is in `folder`."""
    return train_stage.run(recipe, folder, NoProgress())


@dataclass(frozen=True, slots=True)
class LabHooks:
    """What a lab does in its own way, as functions of a module, so that a lab can be pickled for its workers.

    `write_data(recipe, folder, progress)` writes pools and benchmarks, once; `open_model` opens the models of recipe
    and arms; `model_path` turns the name of a student into its folder or hub name; `train(recipe, folder)` trains an
    arm (or launches its training); `open_student(settings, folder)` opens a trained model for as long as it is scored,
    for example behind a server that logs into `folder`; by default `open_model` does.
    """

    write_data: Callable[[Any, Path, Progress], None]
    open_model: ModelOpener
    model_path: Callable[[str], str]
    train: Callable[[train_stage.Recipe, Path], TrainResult] = train_in_process
    open_student: Callable[[LocalModelSettings, Path], AbstractContextManager[Completer]] | None = None


@dataclass(frozen=True)
class Lab:
    """A lab over the stages, in one run folder.

    `data/` holds pools and benchmarks, `curation/` the run of the curate stage, `sets/` the training sets,
    `arms/ARM/seed-N/` the run of the train stage with its ledger of benchmark rollouts and `measurement.json`.
    """

    recipe: LabRecipe
    folder: Path
    hooks: LabHooks

    @property
    def data(self) -> Path:
        """The folder of pools and benchmarks."""
        return self.folder / "data"

    def benchmarks(self) -> dict[str, list[Problem]]:
        """The benchmarks of the run by name."""
        return {name: read_pool(self.data / file) for name, file in self.recipe.curation.benchmarks.items()}

    def curate(self, progress: Progress) -> curate_stage.CurateResult:
        """Run the curate stage over the pool, or return its result."""
        recipe = self.recipe.curation.model_copy(update={"data": str(self.data)})
        return curate_stage.run(recipe, self.folder / "curation", progress, opener=self.hooks.open_model)

    def prepare(self, arms: Sequence[Arm], progress: Progress) -> None:
        """Write the data, curate, and write the training sets of the arms."""
        self.hooks.write_data(self.recipe, self.data, progress)
        with progress.stage("curation"):
            self.curate(progress)
        for selection in self.missing_selections(arms):
            with progress.stage(f"training set {selection}"):
                _write_rows(self._set_path(selection), self.select_rows(selection, progress))

    def missing_selections(self, arms: Sequence[Arm]) -> list[str]:
        """The training sets of the arms that are not written yet."""
        selections = dict.fromkeys(arm.selection for arm in arms if arm.selection)
        return [selection for selection in selections if not self._set_path(selection).exists()]

    def select_rows(self, selection: str, progress: Progress) -> Iterable[Mapping[str, Any]]:
        """The training rows of a selection (see `Arm`).  Raises InputError for an unknown one."""
        if selection == "selected":
            return read_rows(self.folder / "curation" / curate_stage.SELECTED)
        if selection == "bulk":
            return self._bulk_rows(progress)
        if selection in LEVELS:
            return self._level_rows(selection)
        raise InputError("there is no such selection", selection, "selected, bulk, L1..L5", "change the arm")

    def _bulk_rows(self, progress: Progress) -> list[Row]:
        """Ordinary chains: deduplicated, decontaminated, verified, and otherwise in the order of the pool."""
        bulk, curation = self.recipe.bulk, self.recipe.curation
        problems, _ = dedup(read_pool(self.data / bulk.pool), curation.dedup)
        problems, _ = decontaminate(problems, self.benchmarks(), curation.decontaminate)
        runner = MultiModelRunner(self.hooks.open_model, "", progress)
        with Ledger(self.folder / "bulk.sqlite") as ledger, Checker() as checker:
            runner.run(bulk.ask, problems, ledger, checker, "bulk")
            rollouts = runner.rollouts([bulk.ask], problems, ledger)
        rows = []
        for problem in problems:
            chains, _ = accept(problem, rollouts[problem.id], curation.chains)
            rows += [_training_row(problem, chain.text, curation.system) for chain in chains[:1]]
        if len(rows) < bulk.n:
            progress.log(f"bulk: {len(rows):,} correct chains, {bulk.n:,} were requested")
        return rows[: bulk.n]

    def _level_rows(self, level: str) -> list[Row]:
        """Chains of one level of the grade; the five levels share their problems where they can."""
        with RunFolder(self.folder / "curation") as curation:
            chains, grades = curate_stage.graded_chains(curation)
            left = curate_stage.problems_after(curation, self.recipe.curation.filters[-1].name)
        problems, system = {problem.id: problem for problem in left}, self.recipe.curation.system
        graded = sample_levels(chains, grades, self.recipe.n_level, LEVELS)[level]  # type: ignore[index]
        return [_training_row(problems[chain.problem_id], chain.text, system) for chain, _ in graded]

    def stored(self, arm: Arm, seed: int) -> Measurement | None:
        """The measurement of an earlier start."""
        file = self._arm_folder(arm.name, seed) / "measurement.json"
        return Measurement.from_json(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def measure(self, arm: Arm, seed: int) -> Measurement:
        """Train the arm (unless it has no selection), score it on the benchmarks, and store the measurement."""
        import torch

        torch.set_num_threads(1)  # one core an arm, so that its numbers do not depend on how many run at once
        folder = self._arm_folder(arm.name, seed)
        student = self.hooks.model_path(arm.student or self.recipe.student)
        cost: dict[str, Any] = {}
        if arm.selection:
            sft = getattr(self.recipe, arm.training).model_copy(update={"seed": seed})
            recipe = train_stage.Recipe(model=student, dataset=str(self._set_path(arm.selection)), method=sft)
            trained = self.hooks.train(recipe, folder)
            student = trained.model_dir
            cost = {name: getattr(trained, name) for name in ("n_examples", "n_updates", "seconds")}
            cost["n_train_tokens"] = trained.n_tokens_seen
        settings = LocalModelSettings(name=f"{arm.name}-{seed}", path=student, batch_size=SCORING_BATCH)
        folder.mkdir(parents=True, exist_ok=True)
        with (
            self._student(settings, folder) as completer,
            Ledger(self.ledger_path(arm.name, seed)) as ledger,
            Checker() as checker,
        ):
            how = (self.recipe.decoding, checker, NoProgress())
            benchmarks, run = self.benchmarks().items(), str(self.folder)
            evaluations = [evaluate(ledger, completer, name, problems, *how, run=run) for name, problems in benchmarks]
        measurement = Measurement.of(arm.name, seed, evaluations, **cost)
        write_json(folder / "measurement.json", asdict(measurement))
        return measurement

    def _student(self, settings: LocalModelSettings, folder: Path) -> AbstractContextManager[Completer]:
        if self.hooks.open_student is not None:
            return self.hooks.open_student(settings, folder)
        return nullcontext(self.hooks.open_model(settings, ""))

    def ledger_path(self, arm: str, seed: int) -> Path:
        """The ledger of an arm's benchmark rollouts."""
        return self._arm_folder(arm, seed) / "ledger.sqlite"

    def _arm_folder(self, arm: str, seed: int) -> Path:
        return self.folder / "arms" / arm / f"seed-{seed}"

    def _set_path(self, selection: str) -> Path:
        return self.folder / "sets" / f"{selection}.jsonl"


def _training_row(problem: Problem, text: str, system: str) -> Row:
    messages = prompts.messages(problem.problem, system)
    return {"messages": [*messages, {"role": "assistant", "content": text}]}


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json.dumps({"messages": row["messages"]}, ensure_ascii=False) + "\n" for row in rows)


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
