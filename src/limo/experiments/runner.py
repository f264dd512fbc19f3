"""Runs experiments in a lab: every arm is measured with every seed, in worker processes, and a report is written.

measured, failed = measure_arms(lab, arms, progress)
measured["limo"][0].outcomes["pocket-bus"]      # problem id -> pass rate in 0..1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from limo.core.files import write_json
from limo.experiments.answers import SAMPLED_BASE, Evidence, section
from limo.experiments.arms import Arm, Experiment, Questions
from limo.experiments.cells import cells_of, measured_arms, raise_failed, run_cells
from limo.experiments.chains import in_stratum
from limo.experiments.lab import Lab
from limo.experiments.results import Measured, Measurement
from limo.report import page, store
from limo.report.content import Report
from limo.stages.evaluate import SCORES

if TYPE_CHECKING:
    from limo.core.progress import Progress

ReportBuilder = Callable[[Lab, Sequence[Arm], Sequence[tuple[str, str]], Measured], Report]


def run_experiments(
    lab: Lab, questions: Questions, asked: Sequence[Experiment], describe: ReportBuilder, progress: Progress
) -> Report:
    """Measure the arms of experiments and leave `report.html`, `report.json` and `scores.json` in the lab's folder.

    The report answers what was asked, and every other question whose arms this folder holds already.  `describe` makes
    it of the lab, the arms with their measurements and the pairs of the first question; scores by benchmark are shown
    of the headline arms, or of the first question's.
    """
    measured, failed = measure_arms(lab, questions.arms_of(asked), progress)
    raise_failed(failed, len(cells_of(questions.arms_of(asked), lab.recipe.seeds)))
    names = {experiment.name for experiment in asked}
    answered = [*asked]
    for experiment in questions.experiments:
        arms = questions.arms_of([experiment])
        rows = {arm.name: [lab.stored(arm, seed) for seed in arm.seeds(lab.recipe.seeds)] for arm in arms}
        if experiment.name not in names and all(row for of_arm in rows.values() for row in of_arm):
            answered.append(experiment)
            measured |= rows  # type: ignore[arg-type]
    arms = [arm for arm in questions.arms_of(answered) if arm.name != SAMPLED_BASE]
    pairs = [(pair.a, pair.b) for pair in answered[0].predictions if pair.of == "answers"]
    report = describe(lab, arms, pairs, measured)
    shown = {arm.name for arm in arms if arm.is_headline} or set(answered[0].arms)
    report = replace(
        report,
        scores=[row for row in report.scores if row.arm in shown],
        averages=[row for row in report.averages if row.arm in shown],
    )
    single = lab.recipe.strata.get("single")
    evidence = Evidence(
        questions,
        measured,
        report,
        [row.name for row in report.benchmarks],
        frozenset(p.id for of in lab.benchmarks().values() for p in of if single and in_stratum(p, single)),
        {arm.name: lab.data_flops(arm) for arm in questions.arms_of(answered)},
    )
    report = replace(report, sections=[*(section(one, evidence) for one in answered), *report.sections])
    write_report(report, measured, lab.folder)
    progress.log(f"report: {lab.folder / 'report.html'}")
    return report


def write_report(report: Report, measured: Measured, folder: Path) -> None:
    """Leave `report.html`, `report.json` and `scores.json` in a folder."""
    write_json(folder / SCORES, {arm: [asdict(row) for row in rows] for arm, rows in measured.items()}, None)
    store.save(report, folder / "report.json")
    page.write(report, folder / "report.html")


def measure_arms(
    lab: Lab, arms: Sequence[Arm], progress: Progress
) -> tuple[dict[str, list[Measurement]], dict[str, str]]:
    """Measure every arm with every seed; what is stored is not measured again.

    The measurements of the arms that are complete, and the cells that failed, with the reason.
    """
    failed_sets = lab.prepare(arms, progress)
    cells, failed = cells_of(arms, lab.recipe.seeds), {}
    for cell in cells:
        if (file := lab.dataset(cell.arm, cell.seed)) in failed_sets:
            failed[cell.name] = failed_sets[file]
    with lab.open_jobs() as jobs:
        failed = run_cells(lab, cells, jobs, progress, failed)
    return measured_arms(lab, cells), failed
