"""A lab trains and scores the arms of experiments by running the stages, at any scale.

What differs between labs is data (the recipe, the questions) and a few functions (`LabHooks`).  A run is a folder; a
killed run continues.  The recipe is fixed before the first score is known; no setting is chosen by a benchmark.

    lab = Lab(recipe, Path("runs/lab"), LabHooks(write_data, open_model, str))
    measured = measure_arms(lab, arms, progress)      # limo.experiments.runner
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core import prompts
from limo.core.errors import InputError, LimoError, PartialError
from limo.core.files import write_json
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings, execution_field
from limo.core.records import Problem, Row
from limo.core.rows import write_rows
from limo.core.run_files import read_json
from limo.curate.select import Candidate
from limo.experiments.arm_selection import (
    CandidatePool,
    CollectionSettings,
    Stratum,
    collected_pool,
    curated_pool,
    select_chains,
    select_problems,
)
from limo.experiments.arm_training import method_of, n_updates, training_cost
from limo.experiments.arms import CURATED, Arm, Selection
from limo.experiments.cells import Cell, CellExecutor, worker_executor
from limo.experiments.prompting import PromptedCompleter
from limo.experiments.results import CurvePoint, Measurement, note_rates, step_rates
from limo.experiments.transforms import transform_rows
from limo.ledger.store import Ledger
from limo.models.completer import Completer
from limo.models.settings import LocalModelSettings, ModelSettings
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import dedup
from limo.pool.ingest import read_pool, write_pool
from limo.rollouts.runner import ModelOpener, RolloutRunner
from limo.stages import curate as curate_stage
from limo.stages import train as train_stage
from limo.stages.checkpoints import checkpoints_of
from limo.stages.evaluate import Decoding, Evaluation, evaluate
from limo.train.compute import GENERATE
from limo.train.data import read_rows
from limo.train.methods.grpo import GrpoSettings
from limo.train.methods.lora import LoraSettings
from limo.train.methods.sft import SftSettings
from limo.train.result import TrainResult
from limo.verify.checker import Checker

SCORING_BATCH = 256  # rows decoded at once by an arm's model
LIMO = Selection()


class LabRecipe(Settings):
    """The settings of a lab run."""

    student: str = Field(description="the model that every arm trains, unless the arm names another")
    curation: curate_stage.Recipe
    collections: dict[str, CollectionSettings] = Field(
        default_factory=dict, description="further chains by name, neither filtered nor selected"
    )
    styles: dict[str, str] = Field(default_factory=dict, description="style of chains -> the teacher's system text")
    strata: dict[str, Stratum] = Field(
        default_factory=dict,
        description="stratum -> column or key of `meta` -> [lowest, highest] number, or the texts that are meant",
    )
    sft: SftSettings = Field(description="fine-tuning of every arm: as many updates and as large batches for all")
    lora: LoraSettings | None = Field(None, description="of arms whose method is lora")
    grpo: GrpoSettings | None = Field(None, description="of arms whose method is grpo")
    decoding: Decoding = Field(default_factory=lambda: Decoding(max_tokens=320))
    seeds: list[int] = execution_field(
        default_factory=lambda: [0, 1, 2], min_length=1, description="training seeds; a run may grow by more"
    )
    n_workers: int = execution_field(2, ge=1, description="arms measured at once, a process and a core each")


@dataclass(frozen=True, slots=True)
class LabHooks:
    """What a lab does in its own way, as functions of a module, so that a lab can be pickled for its workers.

    `write_data(recipe, folder, progress)` writes pools and benchmarks, once; `open_model` opens the models of recipe
    and arms; `model_path` turns the name of a student into its folder or hub name; `begin` gives the first words of a
    note on a problem; `step_accuracy` the share of its steps that a completion gets right, where the lab knows them.
    """

    write_data: Callable[[Any, Path, Progress], None]
    open_model: ModelOpener
    model_path: Callable[[str], str]
    begin: Callable[[Problem], str] | None = None
    step_accuracy: Callable[[Problem, str], float] | None = None


@dataclass(frozen=True)
class Lab:
    """A lab over the stages, in one run folder.

    `data/` holds pools and benchmarks, `curation/` the run of the curate stage, `collections/` the ledgers of other
    chains, `sets/` the training sets, `arms/ARM/seed-N/` the run of the train stage with its ledger of benchmark
    rollouts and `measurement.json`.
    """

    recipe: LabRecipe
    folder: Path
    hooks: LabHooks
    _pools: dict[str, CandidatePool] = field(default_factory=dict, init=False, repr=False, compare=False)
    _sizes: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pools": {}}  # a worker trains on the sets that were written

    @property
    def data(self) -> Path:
        """The folder of pools and benchmarks."""
        return self.folder / "data"

    def benchmarks(self) -> dict[str, list[Problem]]:
        """The benchmarks of the run by name."""
        return {name: read_pool(self.data / file.path) for name, file in self.recipe.curation.benchmarks.items()}

    @property
    def limo(self) -> Selection:
        """LIMO's own selection, whose updates are those of every arm."""
        return LIMO

    @property
    def curation_recipe(self) -> curate_stage.Recipe:
        """The recipe of the curation that chains are selected from."""
        return self.recipe.curation

    def curate(self, progress: Progress) -> curate_stage.CurateResult:
        """Run the curate stage over the pool, or return its result."""
        recipe = self.curation_recipe.model_copy(update={"data": str(self.data)})
        return curate_stage.run(recipe, self.folder / "curation", progress, opener=self.hooks.open_model)

    # Training sets.

    def prepare(self, arms: Sequence[Arm], progress: Progress) -> dict[Path, str]:
        """Write the data, curate, collect, and write the training sets of the arms; why one could not be written."""
        self.hooks.write_data(self.recipe, self.data, progress)
        with progress.stage("curation"):
            self.curate(progress)
        return self.write_sets(arms, progress)

    def write_sets(self, arms: Sequence[Arm], progress: Progress) -> dict[Path, str]:
        """Write the training sets that are missing; the file of one that could not be written, and why.

        Raises what happens to LIMO's own, by whose updates others are trained, and PartialError: a stop (a signal, a
        budget) is not the fault of a set, and nothing that follows begins.
        """
        failed, missing = {}, self.missing_sets(arms)
        with progress.stage("training sets", total=len(missing)) as stage:
            for selection, of_problems in missing:
                try:
                    self.write_set(selection, of_problems, progress)
                except PartialError:
                    raise
                except LimoError as error:
                    if selection == self.limo:
                        raise
                    failed[self.set_path(selection, of_problems)] = str(error)
                stage.advance(1)
        return failed

    def sets_of(self, arms: Sequence[Arm]) -> list[tuple[Selection, bool]]:
        """The training sets of the arms, and whether each is one of problems without chains.

        LIMO's own comes first, where a budget is as much as LIMO's.
        """
        trainings = [arm.training for arm in arms if arm.training and arm.training.method != "grpo"]
        is_measured_by_limo = self.recipe.sft.max_steps > 0 or any(one.budget != "epochs" for one in trainings)
        wanted = {(self.limo, False): None} if is_measured_by_limo else {}
        for arm in arms:
            for seed in arm.seeds(self.recipe.seeds) if arm.selection else ():
                wanted[arm.selection.drawn(seed), arm.is_rl] = None  # type: ignore[union-attr]
        return list(wanted)

    def missing_sets(self, arms: Sequence[Arm]) -> list[tuple[Selection, bool]]:
        """Those of `sets_of` that are not written yet."""
        return [wanted for wanted in self.sets_of(arms) if not self.set_path(*wanted).exists()]

    def dataset(self, arm: Arm, seed: int) -> Path | None:
        """The file of an arm's training set; None where it has none."""
        return self.set_path(arm.selection.drawn(seed), arm.is_rl) if arm.selection else None

    def set_path(self, selection: Selection, of_problems: bool = False) -> Path:
        """The file of a training set."""
        name = f"{selection.source}-{selection.by}-{selection.hash}"
        return self.folder / "sets" / (f"{name}-problems.parquet" if of_problems else f"{name}.jsonl")

    def write_set(self, selection: Selection, of_problems: bool, progress: Progress) -> None:
        """Write a training set of chosen chains, or of problems.  Raises InputError."""
        pool, path = self.candidate_pool(selection.source, progress), self.set_path(selection, of_problems)
        recipe, curation = self.recipe, self.curation_recipe
        k = selection.k or curation.select.k
        if of_problems:
            problems = select_problems(pool, selection, k, recipe.strata)
            write_pool(problems, path)
            return
        chosen = select_chains(pool, selection, curation.select, curation.grade, recipe.styles, recipe.strata)
        if len(chosen) < k:
            progress.log(f"{path.stem}: {len(chosen):,} chains, {k:,} were wanted")
        rows = [_training_row(candidate, curation.system) for candidate in chosen]
        write_rows(transform_rows(rows, selection.change, selection.seed), str(path))

    def candidate_pool(self, source: str, progress: Progress) -> CandidatePool:
        """The chains of a source; a collection is sampled where its ledger lacks rollouts.  Raises InputError."""
        recipe, runner = self.recipe, RolloutRunner(self.hooks.open_model, "", progress)
        if source in self._pools:
            return self._pools[source]
        if source not in (sources := [CURATED, *recipe.collections]):
            raise InputError("there is no such source of chains", source, known=sources, do="name one of them")
        with progress.stage(f"chains {source}"):
            if source == CURATED:
                pool = curated_pool(recipe.curation, self.folder / "curation", runner)
            else:
                settings, curation = recipe.collections[source], recipe.curation
                problems, _ = dedup(read_pool(self.data / settings.pool)[: settings.n_problems], curation.dedup)
                problems, _ = decontaminate(problems, self.benchmarks(), curation.decontaminate)
                ledger = self.folder / "collections" / f"{source}.sqlite"
                pool = collected_pool(settings, problems, curation.chains, curation.grade, ledger, runner, source)
        return self._pools.setdefault(source, pool)

    # Training.

    def train(self, arm: Arm, seed: int) -> TrainResult:
        """Train an arm, or return the record of its training."""
        training, dataset = arm.training, self.dataset(arm, seed)
        if training is None or dataset is None:
            raise ValueError(f"{arm.name} is not trained")
        start = self.hooks.model_path(training.student or self.recipe.student)
        if training.after:
            start = str(self.arm_folder(training.after, seed) / "model")
        method = self.training_settings(arm, seed, dataset)
        recipe = train_stage.Recipe(model=start, dataset=str(dataset), method=method)
        return train_stage.run(recipe, self.arm_folder(arm.name, seed), NoProgress())

    def training_settings(self, arm: Arm, seed: int, dataset: Path) -> train_stage.Method:
        """The settings of an arm's training: its section of the recipe, its budget, what it changes."""
        assert arm.training is not None
        student = self.hooks.model_path(self.recipe.student)
        count = partial(n_updates, self.recipe.sft, self.set_path(self.limo), dataset, student)
        return method_of(self.recipe, arm.training, seed, count)

    # Scoring.

    def stored(self, arm: Arm, seed: int) -> Measurement | None:
        """The measurement of an earlier start.  Raises InputError where it is of another arm by this name."""
        file = self.arm_folder(arm.name, seed) / "measurement.json"
        if not file.exists():
            return None
        measurement = read_json(file, Measurement)
        if measurement.arm_hash != arm.hash:
            do = f"name another --run, or remove {file.parent}"
            raise InputError("this run measured another arm by this name", arm.name, "an arm as it is now", do)
        return measurement

    def measure(self, arm: Arm, seed: int) -> Measurement:
        """Train the arm (unless it is not trained), score it on the benchmarks, and store the measurement."""
        import torch

        torch.set_num_threads(1)  # one core an arm, so that its numbers do not depend on how many run at once
        folder, points = self.arm_folder(arm.name, seed), list[CurvePoint]()
        cost: dict[str, Any] = {}
        student = self.hooks.model_path(arm.student or self.recipe.student)
        if arm.training:
            trained = self.train(arm, seed)
            student = trained.model_dir
            cost = training_cost(trained)
        folder.mkdir(parents=True, exist_ok=True)
        with Ledger(self.ledger_path(arm.name, seed)) as ledger, Checker() as checker:
            completer = self.open_student(arm, seed, student, f"{arm.name}-{seed}")
            evaluations = list(self._evaluate(arm, completer, ledger, checker))
            rollouts = list(ledger.rollouts(completer.name))
            cost["note_rates"] = note_rates(rollouts, self.benchmarks())
            if self.hooks.step_accuracy:
                cost |= step_rates(rollouts, self.benchmarks(), self.hooks.step_accuracy)
            if arm.training and arm.training.n_points:
                points = list(self._points(arm, seed, trained, ledger, checker))
        cost |= {"arm_hash": arm.hash, "points": points}
        measurement = Measurement.from_evaluations(arm.name, seed, evaluations, bool(arm.prompting.n_samples), **cost)
        write_json(folder / "measurement.json", measurement.to_json(), None)
        return measurement

    def open_student(self, arm: Arm, seed: int, path: str, name: str) -> Completer:
        """A model as the arm is asked: as it is, with its answer begun, or with examples in the prompt."""
        completer = self.hooks.open_model(LocalModelSettings(name=name, path=path, batch_size=SCORING_BATCH), "")
        how, shots = arm.prompting, []
        if how.n_shots and arm.selection:
            rows = read_rows(self.set_path(arm.selection.drawn(seed)))[: how.n_shots]
            shots = [message for row in rows for message in row["messages"] if message["role"] != "system"]
        begin = self.hooks.begin if how.is_begun else None
        return PromptedCompleter(completer, shots, begin) if shots or begin else completer

    def _evaluate(self, arm: Arm, completer: Completer, ledger: Ledger, checker: Checker) -> Iterator[Evaluation]:
        decoding, n = self.recipe.decoding, arm.prompting.n_samples
        if n:
            decoding = Decoding.model_validate(decoding.model_dump() | {"n": n, "temperature": 1.0})
        for name, problems in self.benchmarks().items():
            yield evaluate(ledger, completer, name, problems, decoding, checker, NoProgress(), run=str(self.folder))

    def _points(
        self, arm: Arm, seed: int, trained: TrainResult, ledger: Ledger, checker: Checker
    ) -> Iterator[CurvePoint]:
        """The checkpoints of a training with their scores and their cost so far."""
        for update, path in checkpoints_of(self.arm_folder(arm.name, seed)).items():
            completer = self.open_student(arm, seed, str(path), f"{arm.name}-{seed}@{update}")
            scored = list(self._evaluate(arm, completer, ledger, checker))
            pass_rates = {evaluation.score.benchmark: evaluation.rate_by_problem for evaluation in scored}
            yield CurvePoint(int(update), trained.flops * _share_done(path, int(update), trained), pass_rates)

    def data_flops(self, arm: Arm) -> float:
        """Operations behind an arm's chains: of the filters and teachers, problems read and completions written.

        All of the curation for chains that come from it; of a collection that is drawn from at random the share of
        its problems that the arm takes, else all of it.  0 for an arm without chains.  Raises InputError for a model
        whose size is not known.
        """
        selection = arm.selection
        if selection is None or arm.is_rl:
            return 0.0
        path, models, share = self.folder / "curation" / "ledger.sqlite", self.recipe.curation.models, 1.0
        if selection.source != CURATED:
            path = self.folder / "collections" / f"{selection.source}.sqlite"
            models = self.recipe.collections[selection.source].ask.models
        if selection.source != CURATED and selection.by == "random":
            pool = self.candidate_pool(selection.source, NoProgress())
            n_solved = len({candidate.problem.id for candidate in pool.correct})
            share = min(1.0, (selection.k or self.recipe.curation.select.k) / n_solved)
        with Ledger(path, read_only=True) as ledger:
            usage = ledger.usage_by_model()
        sizes = {model.name: self._n_parameters(model) for model in models if model.name in usage}
        n_tokens = {name: usage[name].n_prompt_tokens + usage[name].n_completion_tokens for name in sizes}
        return share * GENERATE * sum(n * n_tokens[name] for name, n in sizes.items())

    def _n_parameters(self, model: ModelSettings) -> float:
        if model.size_b is not None:
            return model.size_b * 1e9
        if model.name in self._sizes:
            return self._sizes[model.name]
        loaded = getattr(self.hooks.open_model(model, ""), "model", None) if model.kind == "local" else None
        if loaded is None:
            raise InputError("the size of a model is not known", model.name, "its `size_b`", "add it to the recipe")
        self._sizes[model.name] = float(loaded.num_parameters())
        return self._sizes[model.name]

    def ledger_path(self, arm: str, seed: int) -> Path:
        """The ledger of an arm's benchmark rollouts."""
        return self.arm_folder(arm, seed) / "benchmarks.sqlite"

    def cell_folder(self, arm: Arm, seed: int) -> Path:
        """Where a cell works; cells that are the same in all but name share a folder."""
        return self.arm_folder(arm.name, seed)

    def hours(self, cells: Sequence[Cell]) -> dict[str, float]:
        """What each cell is expected to take, by name: all alike, so that they run in the order of their arms."""
        return dict.fromkeys((cell.name for cell in cells), 0.0)

    def open_executor(self) -> AbstractContextManager[CellExecutor]:
        """Where cells run: in worker processes of this machine."""
        return worker_executor(self.measure, self.recipe.n_workers)

    def check_budget(self, hours: Mapping[str, float], running: Sequence[Cell], following: Cell | None) -> None:
        """Raise PartialError where these cells would pass the budget; here there is none."""

    def arm_folder(self, arm: str, seed: int) -> Path:
        """The folder of an arm with one training seed."""
        return self.folder / "arms" / arm / f"seed-{seed}"


def _share_done(checkpoint: Path, update: int, trained: TrainResult) -> float:
    """The share of a training's tokens that was seen at a checkpoint; of its updates where tokens were not counted."""
    state = read_json(checkpoint / "trainer_state.json", dict[str, Any])
    n_seen = state.get("num_input_tokens_seen") or 0
    return n_seen / trained.n_tokens_seen if n_seen and trained.method == "grpo" else update / trained.n_updates


def _training_row(candidate: Candidate, system: str) -> Row:
    """A row of training: the chat, and where its chain is from."""
    chain, messages = candidate.chain, prompts.messages(candidate.problem.problem, system)
    lineage = {"problem_id": chain.problem_id, "teacher": chain.teacher, "index": chain.index}
    return {"messages": [*messages, {"role": "assistant", "content": chain.text}], **lineage}
