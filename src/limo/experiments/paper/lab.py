"""The paper lab: the generic lab at full scale, where a cell is a program that trains, serves and scores an arm.

    python -m limo.experiments.paper.lab runs/paper limo 0        # measures one cell, on any machine with the folder

Cells run through the recipe's launcher in the order of their expected cost.  A cell's folder is named by what it
depends on, so arms that are the same in all but name are measured once, experiments of one folder share what they have
in common, and a changed setting makes another cell.  The same command goes on after whatever stopped it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from limo.core.errors import InputError, LimoError, PartialError, StorageError
from limo.core.files import hash_path, locked, model_identity, remove, write_json
from limo.core.heartbeat import heartbeat
from limo.core.interrupts import handle_signals, stop_has_arrived
from limo.core.progress import Progress, choose_display
from limo.core.recipe import load
from limo.core.rows import write_rows
from limo.core.run_files import read_json
from limo.core.run_folder import RunFolder
from limo.core.text import content_hash, parse_json
from limo.experiments.arm_selection import CandidatePool, curated_pool
from limo.experiments.arm_training import training_cost
from limo.experiments.arms import CURATED, Arm, Selection
from limo.experiments.cells import Cell, CellExecutor, RunningCell
from limo.experiments.lab import Lab, LabHooks
from limo.experiments.paper.launchers import (
    CommandLauncher,
    JobLauncher,
    SlurmSettings,
    SubmititLauncher,
    launch_training,
)
from limo.experiments.paper.plan import plan_cells
from limo.experiments.paper.recipe import PaperRecipe, PublishedRows
from limo.experiments.paper.serving import served
from limo.experiments.results import Measurement
from limo.experiments.transforms import transform_rows
from limo.models.settings import open_model
from limo.pool.ingest import ingest, write_pool
from limo.rollouts.runner import RolloutRunner
from limo.stages import curate as curate_stage
from limo.stages import evaluate as evaluate_stage
from limo.stages import train as train_stage
from limo.stages.evaluate import ScoringSettings
from limo.train.data import read_rows
from limo.train.methods.grpo import GrpoSettings
from limo.verify.checker import Checker
from limo.verify.verifier import MathsSettings

HEARTBEAT_S = 15.0  # a killed cell has spent at most so much more than is on record
MEASUREMENT, SPENT = "measurement.json", "spent.json"


def _no_data(recipe: Any, folder: Path, progress: Progress) -> None:
    """Benchmarks are read by the evaluate stage, and problems by the curation."""


HOOKS = LabHooks(_no_data, open_model, str)


@dataclass(frozen=True)
class PaperLab(Lab):
    """The lab of a run folder: `sets/` holds training sets, `cells/ARM-HASH/seed-N/` a cell each."""

    recipe: PaperRecipe  # type: ignore[assignment]
    hooks: LabHooks = HOOKS
    _starts: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _identities: dict[tuple[str, int], str] = field(default_factory=dict, init=False, repr=False, compare=False)

    # Training sets.

    @property
    def limo(self) -> Selection:
        """LIMO's own selection: the rows of the arm `limo`."""
        return self.recipe.questions.arms["limo"].selection or Selection()

    @property
    def curation_recipe(self) -> curate_stage.Recipe:
        """The recipe of the run of `limo curate`.  Raises InputError where none is named."""
        if not self.recipe.curation:
            do = "run `limo curate limo-v2` and give its folder: curation=runs/limo-v2"
            raise InputError("chains are selected from a curation", "none", "a run of `limo curate`", do)
        _ = RunFolder(self.recipe.curation)  # raises where it is no run
        return load(curate_stage.Recipe, Path(self.recipe.curation) / "recipe.yaml")

    def prepare(self, arms: Sequence[Arm], progress: Progress) -> dict[Path, str]:
        """Write the training sets of the arms; why one could not be written."""
        return self.write_sets(arms, progress)

    def candidate_pool(self, source: str, progress: Progress) -> CandidatePool:
        """The chains of the curation.  Raises InputError."""
        if source != CURATED:
            do = "add it to `sources`"
            raise InputError("there is no such source of rows", source, f"{CURATED}, or published rows", do)
        if source not in self._pools:
            runner = RolloutRunner(self.hooks.open_model, "", progress)
            self._pools[source] = curated_pool(self.curation_recipe, Path(self.recipe.curation), runner)
        return self._pools[source]

    def set_path(self, selection: Selection, of_problems: bool = False) -> Path:
        """The file of a training set, named by its settings too."""
        published = self.recipe.published(selection)
        where = published.hash if published else f"{self.recipe.curation} {self.recipe.strata} {self.recipe.styles}"
        name = f"{selection.source}-{content_hash(where, selection.hash)[:8]}"
        return self.folder / "sets" / (f"{name}.parquet" if of_problems else f"{name}.jsonl")

    def write_set(self, selection: Selection, of_problems: bool, progress: Progress) -> None:
        """Write a training set.  Raises InputError (too few rows among others), MissingFileError (hub or path)."""
        published = self.recipe.published(selection)
        if published is None:
            super().write_set(selection, of_problems, progress)
            return
        path = self.set_path(selection, of_problems)
        drawn = {"source", "k", "seed", "is_redrawn", "change"}
        if unknown := selection.model_dump(exclude_defaults=True).keys() - drawn:
            do = "choose among the chains of a curation"
            raise InputError(
                f"published rows have no grades to select by ({selection.source})", sorted(unknown), "", do
            )
        if of_problems:
            write_pool(_drawn_problems(published, selection), path)
            return
        rows = [{"messages": row["messages"]} for row in read_rows(published.rows, published.system)]
        if len(rows) < selection.k:
            do = "bring more rows, or lower `k` of the arm's selection"
            raise InputError(f"{selection.source} has too few rows", len(rows), f"{selection.k:,} or more", do)
        if selection.k:
            rows.sort(key=lambda row: content_hash(str(selection.seed), json.dumps(row, sort_keys=True)))
        write_rows(transform_rows(rows[: selection.k or None], selection.change, selection.seed), str(path))

    # Cells.

    def cell_folder(self, arm: Arm, seed: int) -> Path:
        """The folder of a cell; that of another arm which is the same in all but name, where there is one."""
        identity = self.identity(arm, seed)
        same = sorted((self.folder / "cells").glob(f"*-{identity}"))
        return (same[0] if same else self.folder / "cells" / f"{arm.name}-{identity}") / f"seed-{seed}"

    def identity(self, arm: Arm, seed: int) -> str:
        """Hash of the student, the rows and how it trains on them; not of how it is scored."""
        student, dataset = self.recipe.student_of(arm), self.dataset(arm, seed)
        if student not in self._starts:
            self._starts[student] = model_identity(student) or student
        if arm.training is None or dataset is None:
            return content_hash(self._starts[student])[:8]
        key = (f"{arm.hash} {dataset}", dataset.stat().st_mtime_ns)
        if key not in self._identities:
            how = self.training_settings(arm, 0, dataset)
            method = f"{how.kind} {how.model_dump_json(exclude_defaults=True)}"  # an added default changes nothing
            needed = (arm.training.after, arm.training.flops_of)
            self._identities[key] = content_hash(self._starts[student], hash_path(dataset), method, *needed)[:8]
        return self._identities[key]

    @property
    def scoring_identity(self) -> str:
        """Hash of the benchmarks and of how they are answered and judged."""
        values = self.recipe.identity()
        return content_hash(json.dumps({name: values[name] for name in ScoringSettings.model_fields}))[:8]

    def stored(self, arm: Arm, seed: int) -> Measurement | None:
        """The measurement of a cell, if it is there and was scored as the recipe says today."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = parse_json((self.cell_folder(arm, seed) / MEASUREMENT).read_text(encoding="utf-8"))
            if values.pop("scoring") == self.scoring_identity:
                return replace(TypeAdapter(Measurement).validate_python(values), arm=arm.name)
        return None

    def measure(self, arm: Arm, seed: int, progress: Progress | None = None) -> Measurement:
        """Train (unless the arm is untrained), serve, score, and store the measurement.

        Raises ModelError (training or server), InputError, StorageError, CollectionStopped.
        """
        folder, recipe, cost = self.cell_folder(arm, seed), self.recipe, dict[str, Any]()
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, "another process measures this cell"):
            if stored := self.stored(arm, seed):
                return stored
            with _counting(folder / SPENT):
                model = recipe.student_of(arm)
                if arm.training:
                    trained = launch_training(self._train_recipe(arm, seed), folder / "train", recipe.train)
                    model, cost = trained.model_dir, training_cost(trained)
                    if not any(Path(model).glob("*.safetensors")):
                        what, do = "the weights of this arm were removed when it was scored", "set keep_models=true"
                        raise InputError(what, model, "", f"remove {model} to train it again, and {do}")
                with served(recipe.serve, model, f"{arm.name}-{seed}", folder) as settings:
                    values = {name: getattr(recipe, name) for name in ["data", *ScoringSettings.model_fields]}
                    evaluation = evaluate_stage.Recipe.model_validate(
                        {**values, "model": settings.model_dump(), "seed": seed}
                    )
                    result = evaluate_stage.run(evaluation, folder / "scores", progress, opener=open_model)
                measurement = Measurement.from_evaluations(arm.name, seed, result.evaluations, **cost)
            write_json(folder / MEASUREMENT, {**measurement.to_json(), "scoring": self.scoring_identity}, None)
            if arm.training and not recipe.keep_models:
                for file in [*(folder / "train" / "model").rglob("*.safetensors"), *folder.glob("train/checkpoints")]:
                    remove(file)
            return measurement

    def _train_recipe(self, arm: Arm, seed: int) -> train_stage.Recipe:
        training, dataset, needed = arm.training, self.dataset(arm, seed), Path()
        assert training is not None and dataset is not None
        method, student = self.training_settings(arm, seed, dataset), self.recipe.student_of(arm)
        if training.needed_arm:
            needed = self.cell_folder(self.recipe.questions.arms[training.needed_arm], seed) / "train" / "model"
        if training.after:
            student = str(needed)
        if training.flops_of and isinstance(method, GrpoSettings):
            record = read_json(needed / "training.json", dict[str, Any])
            method = method.model_copy(update={"max_flops": float(record["flops"])})
        return train_stage.Recipe(model=student, dataset=str(dataset), method=method)

    # The matrix.

    @contextlib.contextmanager
    def open_executor(self) -> Iterator[CellExecutor]:
        """Cells as programs or Slurm jobs, as the recipe's `launcher` says."""
        settings = self.recipe.launcher
        if isinstance(settings, SlurmSettings):
            settings = settings.model_copy(update={"options": self.recipe.slurm_options(settings.options)})
            yield LaunchedCellExecutor(self, SubmititLauncher(settings))
        else:
            yield LaunchedCellExecutor(self, CommandLauncher(settings))

    def hours(self, cells: Sequence[Cell]) -> dict[str, float]:
        """GPU-hours that each cell is expected to take."""
        planned = plan_cells(self.recipe, [(cell.arm, cell.seed, False) for cell in cells])
        return {cell.name: row.gpu_hours for cell, row in zip(cells, planned, strict=True)}

    def check_budget(self, hours: Mapping[str, float], running: Sequence[Cell], following: Cell | None) -> None:
        """Raise PartialError where what is spent, what runs and a following cell would pass the budget."""
        recipe, further = self.recipe, 0.0
        spent = sum(map(read_seconds, self.folder.glob(f"cells/*/seed-*/{SPENT}"))) * recipe.n_gpus_per_cell / 3600
        if following:
            begun = {cell.name: read_seconds(self.cell_folder(cell.arm, cell.seed) / SPENT) for cell in running}
            left = [max(0.0, hours[name] - recipe.n_gpus_per_cell * seconds / 3600) for name, seconds in begun.items()]
            further = hours[following.name] + sum(left)
        for limit, price, unit in recipe.budget.limits(recipe.hardware.usd_per_gpu_hour):
            if (spent + further) * price > limit:
                what = f"the budget is {limit:,.2f} {unit}: spent and next cell"
                value = f"{spent * price:,.2f} + {further * price:,.2f}"
                do = "raise `budget`, or leave out arms or seeds, and give the same command"
                raise PartialError(what, value, f"up to {limit:,.2f}", do)


class LaunchedCellExecutor:
    """Starts a cell as a program, by a launcher."""

    def __init__(self, lab: PaperLab, launcher: JobLauncher) -> None:
        self._lab, self._launcher, self.n_at_once = lab, launcher, launcher.n_at_once

    def start(self, cell: Cell) -> RunningCell:
        """See `CellExecutor`."""
        lab, folder = self._lab, self._lab.cell_folder(cell.arm, cell.seed)
        module = [sys.executable, "-m", "limo.experiments.paper.lab"]
        command = [*module, str(lab.folder.absolute()), cell.arm.name, str(cell.seed)]
        folder.mkdir(parents=True, exist_ok=True)  # an arm that is the same in all but name finds it
        hours = lab.hours([cell])[cell.name] / lab.recipe.n_gpus_per_cell
        return self._launcher.start(cell.name, command, folder, hours)


def _drawn_problems(published: PublishedRows, selection: Selection) -> list[Any]:
    with Checker(MathsSettings()) as checker:
        found = ingest([published.rows], checker.why_not)
    unique = {problem.id: problem for problem in found.problems}
    order = sorted(unique.values(), key=lambda problem: content_hash(str(selection.seed), problem.id))
    return order[: selection.k or None]


def read_seconds(file: Path) -> float:
    """The seconds that a cell's file says it has taken; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(parse_json(file.read_text(encoding="ascii"))["seconds"])
    return 0.0


@contextlib.contextmanager
def _counting(file: Path) -> Iterator[None]:
    """Keep the seconds of this start, added to those before, in a file."""
    before_s, began = read_seconds(file), time.monotonic()

    def write() -> None:
        with contextlib.suppress(StorageError):  # a full disk is told where it matters
            write_json(file, {"seconds": round(before_s + time.monotonic() - began, 1)})

    try:
        with heartbeat(write, HEARTBEAT_S):
            yield
    finally:
        write()


def main(folder: str, arm: str, seed: str) -> int:
    """Measure a cell of the lab in a folder; the exit code.  An error is the last line on stderr."""
    handle_signals()
    try:
        lab = PaperLab(load(PaperRecipe, Path(folder) / "recipe.yaml"), Path(folder))
        with choose_display(as_json=False) as progress:
            lab.measure(lab.recipe.questions.arms[arm], int(seed), progress)
    except LimoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        stop_has_arrived()
        print("interrupted; the same command goes on", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
