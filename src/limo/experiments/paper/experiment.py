"""Runs an experiment in the paper lab, plans one, or plans them all; the report holds it against the paper's figures.

plan("reproduce", load(PaperRecipe, "paper-32b"), "runs/paper-32b").cells
run("reproduce", load(PaperRecipe, "paper-32b"), "runs/paper-32b", progress)
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from limo.core.environment import environment, environment_rows
from limo.core.progress import NoProgress, Progress
from limo.core.run_folder import ASKED, RunFolder
from limo.experiments.arms import Arm, Experiment, PublishedFigure, asked_of
from limo.experiments.cells import cells_of
from limo.experiments.paper.lab import PaperLab
from limo.experiments.paper.plan import PlannedCell, n_rollouts, plan_cells, planned_rows
from limo.experiments.paper.recipe import PaperRecipe
from limo.experiments.results import Measured, build_report
from limo.experiments.runner import measure_arms, raise_failed, write_report
from limo.pool.sources.benchmarks import known_benchmarks
from limo.report.content import BenchmarkRow, LocalizedText, Report
from limo.report.words import read_data


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
    figures: list[PublishedFigure]


def plan(name: str, recipe: PaperRecipe, folder: str | Path) -> ExperimentPlan:
    """The plan of an experiment in a lab's folder.  Raises InputError for what the recipe does not hold."""
    experiment = recipe.questions.experiment(name)
    arms, known = recipe.questions.arms_of([experiment]), known_benchmarks()
    fetched = [f"model {student}" for student in dict.fromkeys(map(recipe.student_of, arms))]
    for arm in (arm for arm in arms if arm.selection):
        assert arm.selection is not None
        published, n = recipe.published(arm.selection), planned_rows(recipe, arm.selection)
        curation = f"the curation {recipe.curation}" if recipe.curation else "a curation, which is missing"
        rows = f"{n:,} rows of " if n else ""
        fetched.append(f"training set of {arm.name}: {rows}{published.rows if published else curation}")
    scored = []
    for benchmark, n in n_rollouts(recipe).items():
        entry, local = known.get(benchmark.lower()), recipe.benchmarks[benchmark].path
        hub = entry.hub.id if entry and entry.hub else ""
        fetched.append(f"benchmark {benchmark}: {Path(recipe.data) / local if local else hub}")
        scored.append(f"{benchmark}: {n:,} completions of a model")
    words = recipe.train.words(["train.yaml", "--run", "train"], is_planned=True)
    trained = [f"{', '.join(arm.name for arm in arms if arm.training)}: {shlex.join(words)}"]
    servers = recipe.serve.base_urls or [shlex.join(recipe.serve.words("MODEL", "ARM-SEED", 8000))]
    return ExperimentPlan(
        _cells(recipe, folder, arms), fetched, trained, servers, scored, published_figures(experiment)
    )


def plan_all(recipe: PaperRecipe, folder: str | Path) -> tuple[dict[str, list[PlannedCell]], dict[str, str]]:
    """The cells of every experiment by its name, and why an experiment is left out.

    A cell that an earlier experiment has, or the lab measured, is done.
    """
    left_out = {}
    for experiment in recipe.questions.experiments:
        methods = {arm.training.method for arm in recipe.questions.arms_of([experiment]) if arm.training}
        if missing := [f"`{method}`" for method in sorted(methods) if getattr(recipe, method) is None]:
            left_out[experiment.name] = f"the recipe has no section {', '.join(missing)}"
    experiments = [experiment for experiment in recipe.questions.experiments if experiment.name not in left_out]
    arms = recipe.questions.arms_of(experiments)
    work, rows = {arm.name: _work(recipe, arm) for arm in arms}, _cells(recipe, folder, arms)
    done: set[str] = set()
    planned = {}
    for experiment in experiments:
        own = {arm.name for arm in recipe.questions.arms_of([experiment])}
        planned[experiment.name] = list[PlannedCell]()
        for row in (row for row in rows if row.arm in own):
            planned[experiment.name].append(row.done() if f"{work[row.arm]} {row.seed}" in done else row)
            done.add(f"{work[row.arm]} {row.seed}")
    return planned, left_out


def _work(recipe: PaperRecipe, arm: Arm) -> str:
    """What arms share that are the same in all but name."""
    values = arm.model_dump(mode="json", include={"selection", "training"}, exclude={"training": {"student"}})
    return f"{recipe.student_of(arm)} {json.dumps(values, sort_keys=True)}"


def _cells(recipe: PaperRecipe, folder: str | Path, arms: Sequence[Arm]) -> list[PlannedCell]:
    lab, cells = PaperLab(recipe, Path(folder)), cells_of(arms, recipe.seeds)
    return plan_cells(recipe, [(cell.arm, cell.seed, lab.stored(cell.arm, cell.seed) is not None) for cell in cells])


def run(name: str, recipe: PaperRecipe, folder: str | Path, progress: Progress | None = None) -> Report:
    """Measure the cells of an experiment, or go on; `NAME/` of the folder gets its report and `scores.json`.

    Raises PartialError when the budget is reached, or cells failed (the report then shows the arms that are complete),
    InputError and StorageError.
    """
    recipe = PaperRecipe.model_validate(recipe.model_dump(mode="json"))  # as its cells will read it
    progress, lab, experiment = (
        progress or NoProgress(),
        PaperLab(recipe, Path(folder)),
        recipe.questions.experiment(name),
    )
    arms = recipe.questions.arms_of([experiment])
    with RunFolder(folder, recipe) as run_folder:
        run_folder.write_json(ASKED, asked_of([experiment], recipe.seeds))
        if recipe.train.n_gpus > 1:
            _ = recipe.train.accelerate_file  # raises for one that is not there
        measured, failed = measure_arms(lab, arms, progress)
        report = report_of(lab, experiment, measured, failed)
        (Path(folder) / name).mkdir(exist_ok=True)
        write_report(report, measured, Path(folder) / name)
    raise_failed(failed, len(cells_of(arms, recipe.seeds)))
    return report


def report_of(lab: PaperLab, experiment: Experiment, measured: Measured, failed: Mapping[str, str]) -> Report:
    """The report of the arms that are measured, with the cells that failed."""
    recipe, arms = lab.recipe, [arm for arm in lab.recipe.questions.arms_of([experiment]) if arm.name in measured]
    beyond = {name for name, entry in known_benchmarks().items() if entry.group in ("out-of-domain", "extra")}
    rows = [(name, "out-of-domain" if name.lower() in beyond else "in-domain") for name in recipe.benchmarks]
    notes = compare_with_published(experiment, measured) + [f"{name} failed: {why}" for name, why in failed.items()]
    return build_report(
        LocalizedText(*experiment.question),
        [BenchmarkRow(name, name, group=group) for name, group in rows],  # type: ignore[arg-type]
        arms,
        [pair for pair in experiment.pairs if set(pair) <= measured.keys()],
        measured,
        recipe.student,
        notes=[LocalizedText(text) for text in notes],
        environment=environment_rows(environment()),
        recipe=recipe.to_yaml(),
    )


def compare_with_published(experiment: Experiment, measured: Measured) -> list[str]:
    """A line for each published figure of the experiment, with the measured score beside it where there is one."""
    means = {
        (arm, benchmark): 100 * fmean(fmean(row.pass_rates[benchmark].values()) for row in rows)
        for arm, rows in measured.items()
        for benchmark in rows[0].pass_rates
    }
    lines = []
    for figure in published_figures(experiment):
        here = means.get((figure.arm, figure.benchmark))
        shown = "not measured" if here is None else f"{here:.1f} here"
        of_paper = f"{figure.value} in the paper ({figure.version}, {figure.source})"
        lines.append(f"{figure.arm} on {figure.benchmark}: {shown}, {of_paper}")
    return lines


def published_figures(experiment: Experiment) -> list[PublishedFigure]:
    """What the paper reports for the arms of an experiment: its own figures, else the table of the headline."""
    table, rows = read_data("paper.yaml"), list(experiment.figures)
    columns = {"base": "base", "numina": "numina", "limo": "limo-v2", "limo-v1": "limo-v1"}  # arm -> column there
    names = [arm["name"] for arm in table["arms"]]
    for arm in [arm for arm in experiment.arms if arm in columns and not experiment.figures]:
        k, source = names.index(columns[arm]), "arXiv 2502.03387, table of results"
        values = {row["name"]: row["values"][k] for row in table["benchmarks"]} | {"average": table["average"][k]}
        origin = {"version": "v1" if arm == "limo-v1" else "v2", "source": source}
        rows += [PublishedFigure(arm=arm, benchmark=name, value=value, **origin) for name, value in values.items()]
    return rows
