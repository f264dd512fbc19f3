"""The paper lab: an experiment's arms x training seeds at full scale, each scored on all benchmarks, as one matrix.

    report = run("headline", load(PaperRecipe, "paper-7b"), "runs/paper-7b", progress)

Cells run in the order of their expected cost, cheapest first, through the recipe's launcher; one that fails leaves the
others running and is named at the end.  Experiments of one recipe share a folder: rows, trainings and scores that two
of them need are made once.  The same command goes on after whatever stopped it.
"""

from __future__ import annotations

import shlex
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from limo.core.errors import LimoError, PartialError
from limo.core.progress import NoProgress, Progress
from limo.core.records import LEVELS
from limo.core.run_folder import RunFolder, environment
from limo.experiments.lab import write_json
from limo.experiments.launchers import CommandJobs, Job, Jobs, SlurmSettings, SubmititJobs
from limo.experiments.paper_cell import SPENT, Cell, read_seconds, set_path
from limo.experiments.paper_plan import PlannedCell, n_rollouts, plan_cells
from limo.experiments.paper_recipe import Figure, PaperExperiment, PaperRecipe
from limo.experiments.paper_sets import write_set
from limo.experiments.results import Measurement, average_rows, comparison_rows, level_rows, score_rows
from limo.pool.sources.benchmarks import benchmarks as known_entries
from limo.report import page, store
from limo.report.content import ArmRow, BenchmarkRow, LocalizedText, Report
from limo.report.words import read_data
from limo.stages.evaluate import SCORES

POLL_S = 1.0  # between two looks at the running cells


class Matrix:
    """The cells of an experiment, and what became of them in this start.  `failed`: cell -> why."""

    def __init__(self, recipe: PaperRecipe, folder: Path, name: str) -> None:
        recipe = PaperRecipe.model_validate(recipe.model_dump(mode="json"))  # as its cells will read it
        self.recipe, self.folder, self.experiment = recipe, folder, recipe.experiment(name)
        self.failed: dict[str, str] = {}
        needed = [recipe.arm(arm).flops_of for arm in self.experiment.arms]  # arms whose cost others may reach
        arms = dict.fromkeys([*filter(None, needed), *self.experiment.arms])
        seeds = {arm: recipe.seeds if recipe.arm(arm).set else recipe.seeds[:1] for arm in arms}  # untrained: once
        self.cells = [Cell(recipe, folder, arm, seed) for arm in arms for seed in seeds[arm]]

    def plan(self) -> dict[str, PlannedCell]:
        """Memory, hours and cost by cell."""
        cells = [(cell.arm, cell.seed, cell.stored() is not None) for cell in self.cells]
        return {f"{row.arm}-{row.seed}": row for row in plan_cells(self.recipe, cells)}

    def write_sets(self, progress: Progress) -> None:
        """Write the training sets that are missing; one that cannot be written fails its arms alone."""
        for name in dict.fromkeys(cell.spec.set for cell in self.cells if not cell.is_prepared):
            try:
                with progress.stage(f"training set {name}"):
                    n_rows = write_set(self.recipe, name, set_path(self.recipe, self.folder, name))
                progress.log(f"training set {name}: {n_rows:,} rows")
            except LimoError as error:
                self.failed |= {cell.name: str(error) for cell in self.cells if cell.spec.set == name}

    def run(self, jobs: Jobs, progress: Progress) -> None:
        """Measure what is missing.  Raises PartialError at the budget; what was measured is kept."""
        todo = [cell for cell in self.cells if cell.name not in self.failed]
        waiting = [cell for cell in todo if cell.stored() is None]
        planned = self.plan()
        waiting.sort(key=lambda cell: planned[cell.name].gpu_hours)
        running: dict[str, tuple[Cell, Job]] = {}
        with progress.stage("cells", total=len(todo), n_done=len(todo) - len(waiting)) as stage:
            try:
                while waiting or running:
                    ended = self._collect(running, progress) + self._start(jobs, waiting, running, planned)
                    for name in ended:
                        stage.advance(1, cell=name)
                    if running:
                        self.check_budget(0.0)
                        threading.Event().wait(POLL_S)
            except (LimoError, KeyboardInterrupt):
                for _, job in running.values():
                    job.cancel()
                raise

    def _collect(self, running: dict[str, tuple[Cell, Job]], progress: Progress) -> list[str]:
        """Take the cells that have ended out of `running`; their names."""
        ended = []
        for name, (cell, job) in list(running.items()):
            outcome = job.poll()
            if outcome == "" and cell.stored() is None:
                outcome = "it ended without a measurement"
            if outcome is None:
                continue
            del running[name]
            ended.append(name)
            if outcome:
                self.failed[name] = outcome
                progress.log(f"{name} failed: {outcome}")
        return ended

    def _start(
        self, jobs: Jobs, waiting: list[Cell], running: dict[str, tuple[Cell, Job]], planned: dict[str, PlannedCell]
    ) -> list[str]:
        """Start what may run; the names of cells that need no start: measured under another name, or given up."""
        settled = []
        for cell in list(waiting):
            needed = f"{cell.spec.flops_of}-{cell.seed}" if cell.spec.flops_of else ""
            if cell.stored() or needed in self.failed:
                if not cell.stored():
                    self.failed[cell.name] = f"{needed}, whose cost it needs, was not measured"
                settled.append(cell.name)
                waiting.remove(cell)
            elif len(running) >= jobs.n_at_once or needed in {c.name for c in waiting} | running.keys():
                continue
            elif cell.folder not in {other.folder for other, _ in running.values()}:
                hours = planned[cell.name].gpu_hours
                self.check_budget(hours + sum(self._left(other, planned) for other, _ in running.values()))
                arguments = [str(self.folder.absolute()), cell.arm, str(cell.seed)]
                command = [sys.executable, "-m", "limo.experiments.paper_cell", *arguments]
                cell.folder.mkdir(parents=True, exist_ok=True)  # an arm that is the same in all but name finds it
                running[cell.name] = (cell, jobs.start(cell.name, command, cell.folder, hours / self.recipe.n_gpus))
                waiting.remove(cell)
        return settled

    def _left(self, cell: Cell, planned: dict[str, PlannedCell]) -> float:
        """GPU-hours that a running cell is expected to take yet."""
        return max(0.0, planned[cell.name].gpu_hours - self.recipe.n_gpus * cell.spent_s() / 3600)

    def check_budget(self, gpu_hours: float) -> None:
        """Raise PartialError where so many GPU-hours more would pass the budget of the lab's folder."""
        seconds = sum(map(read_seconds, self.folder.glob(f"cells/*/seed-*/{SPENT}")))
        spent, budget = self.recipe.n_gpus * seconds / 3600, self.recipe.budget
        price = self.recipe.hardware.usd_per_gpu_hour
        for limit, rate, unit in ((budget.gpu_hours, 1.0, "GPU-hours"), (budget.usd, price, "US dollars")):
            if limit is not None and (spent + gpu_hours) * rate > limit:
                what = f"the budget is {limit:,.2f} {unit}: spent and next cell"
                value = f"{spent * rate:,.2f} + {gpu_hours * rate:,.2f}"
                do = "raise `budget`, or leave out arms or seeds, and give the same command"
                raise PartialError(what, value, f"up to {limit:,.2f}", do)

    def measured(self) -> dict[str, list[Measurement]]:
        """Arm -> its measurements, of the arms that have one for each of their seeds."""
        found: dict[str, list[Measurement | None]] = {}
        for cell in self.cells:
            found.setdefault(cell.arm, []).append(cell.stored())
        return {arm: [row for row in rows if row] for arm, rows in found.items() if all(rows)}


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """What an experiment will do: its cells, what is fetched from where, and the commands; nothing is started.

    `figures`: what the paper reports for these arms.
    """

    cells: list[PlannedCell]
    fetched: list[str]
    trained: list[str]
    served: list[str]
    scored: list[str]
    figures: list[Figure]


def plan(name: str, recipe: PaperRecipe, folder: str | Path) -> ExperimentPlan:
    """The plan of an experiment in a lab's folder.  Raises InputError for what the recipe does not hold."""
    matrix = Matrix(recipe, Path(folder), name)
    recipe, cells = matrix.recipe, {cell.arm: cell for cell in matrix.cells}
    known = {name.lower(): entry for name, entry in known_entries().items()}
    fetched = [f"model {student}" for student in dict.fromkeys(cell.student for cell in cells.values())]
    for key in dict.fromkeys(cell.spec.set for cell in cells.values() if cell.spec.set):
        settings = recipe.training_set(key)
        source = (
            settings.rows or (recipe.curation and f"the curation {recipe.curation}") or "a curation, which is missing"
        )
        rows = settings.n or settings.n_rows
        fetched.append(f"training set {key}: {f'{rows:,} rows of ' if rows else ''}{source}")
    scored = []
    for benchmark, n in n_rollouts(recipe).items():
        hub = known[benchmark.lower()].hub if benchmark.lower() in known else None
        local = recipe.benchmarks[benchmark]
        fetched.append(f"benchmark {benchmark}: {Path(recipe.data) / local if local else hub and hub.id}")
        scored.append(f"{benchmark}: {n:,} completions of a model")
    words = recipe.train.words(["train.yaml", "--run", "train"], is_planned=True)
    trained = [f"{', '.join(arm for arm, cell in cells.items() if cell.spec.set)}: {shlex.join(words)}"]
    servers = recipe.serve.base_urls or [shlex.join(recipe.serve.words("MODEL", "ARM-SEED", 8000))]
    return ExperimentPlan(list(matrix.plan().values()), fetched, trained, servers, scored, published(matrix.experiment))


def run(name: str, recipe: PaperRecipe, folder: str | Path, progress: Progress | None = None) -> Report:
    """Measure the cells of an experiment, or go on; `NAME/` of the folder gets its report and `scores.json`.

    Raises PartialError when the budget is reached, or cells failed (the report then shows the arms that are complete),
    InputError and StorageError.
    """
    progress, lab = progress or NoProgress(), Path(folder)
    launcher = recipe.launcher
    jobs: Jobs = SubmititJobs(launcher) if isinstance(launcher, SlurmSettings) else CommandJobs(launcher)
    matrix = Matrix(recipe, lab, name)
    with RunFolder(lab, recipe):
        if recipe.train.n_gpus > 1:
            _ = recipe.train.accelerate_file  # raises for one that is not there
        matrix.write_sets(progress)
        matrix.run(jobs, progress)
        measured = matrix.measured()
        report = _write_report(matrix, measured, lab / name)
    if matrix.failed:
        first, why = next(iter(matrix.failed.items()))
        do = f"complete are {', '.join(measured) or 'no arms'}; mend it and give the same command"
        raise PartialError(f"{len(matrix.failed)} of {len(matrix.cells)} cells failed; {first}", why, "", do)
    return report


def _write_report(matrix: Matrix, measured: dict[str, list[Measurement]], folder: Path) -> Report:
    recipe, experiment = matrix.recipe, matrix.experiment
    known = {name.lower(): entry.group for name, entry in known_entries().items()}
    benchmarks = [
        BenchmarkRow(
            name, name, group="out-of-domain" if known.get(name.lower()) in ("out-of-domain", "extra") else "in-domain"
        )
        for name in recipe.benchmarks
    ]
    groups: dict[Any, list[str]] = {"in-domain": [], "out-of-domain": [], "all": list(recipe.benchmarks)}
    for row in benchmarks:
        groups[row.group].append(row.name)
    groups = {group: names for group, names in groups.items() if names}
    pairs = [pair for pair in experiment.pairs if set(pair) <= measured.keys()]
    report = Report(
        title=LocalizedText(*experiment.question),
        arms=[_arm_row(matrix, arm, rows) for arm, rows in measured.items()],
        benchmarks=benchmarks,
        scores=score_rows(measured, groups["all"]),
        averages=average_rows(measured, groups),
        comparisons=comparison_rows(measured, pairs, groups),
        levels=level_rows(measured, groups["all"]),
        notes=[LocalizedText(text) for text in held_against(matrix, measured)],
        environment={key: str(value) for key, value in environment().items()},
        recipe=recipe.to_yaml(),
    )
    scores = {arm: [asdict(row) for row in rows] for arm, rows in measured.items()}
    folder.mkdir(exist_ok=True)
    write_json(folder / SCORES, scores)
    store.save(report, folder / "report.json")
    page.write(report, folder / "report.html")
    return report


def _arm_row(matrix: Matrix, arm: str, rows: list[Measurement]) -> ArmRow:
    spec, n = matrix.recipe.arm(arm), len(rows)
    return ArmRow(
        arm, *spec.label, spec.student or matrix.recipe.student, rows[0].n_examples,
        n_tokens=round(sum(row.n_train_tokens for row in rows) / n), n_updates=rows[0].n_updates, color=arm,
        seconds=round(sum(row.seconds for row in rows) / n, 1), headline=arm not in LEVELS,
    )  # fmt: skip


def held_against(matrix: Matrix, measured: dict[str, list[Measurement]]) -> list[str]:
    """A line for each published figure of the experiment, with the measured score beside it where there is one."""
    means = {
        (arm, benchmark): 100 * fmean(fmean(row.outcomes[benchmark].values()) for row in rows)
        for arm, rows in measured.items()
        for benchmark in rows[0].outcomes
    }
    lines = []
    for figure in published(matrix.experiment):
        here = means.get((figure.arm, figure.benchmark))
        shown = "not measured" if here is None else f"{here:.1f} here"
        of_paper = f"{figure.value} in the paper ({figure.version}, {figure.source})"
        lines.append(f"{figure.arm} on {figure.benchmark}: {shown}, {of_paper}")
    return lines + [f"{name} failed: {why}" for name, why in matrix.failed.items()]


def published(experiment: PaperExperiment) -> list[Figure]:
    """What the paper reports for the arms of an experiment: its own figures, and the table of the headline."""
    table, rows = read_data("paper.yaml"), []
    columns = {"base": "base", "numina": "numina", "limo": "limo-v2", "limo-v1": "limo-v1"}  # arm -> column there
    names = [arm["name"] for arm in table["arms"]]
    for arm in experiment.arms if not experiment.figures else ():
        if arm not in columns:
            continue
        version, source = ("v1" if arm == "limo-v1" else "v2"), "arXiv 2502.03387, table of results"
        k = names.index(columns[arm])
        values = {row["name"]: row["values"][k] for row in table["benchmarks"]} | {"average": table["average"][k]}
        rows += [Figure(arm=arm, benchmark=b, value=v, version=version, source=source) for b, v in values.items()]
    return [*experiment.figures, *rows]
