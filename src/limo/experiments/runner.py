"""Runs experiments in a lab: every arm is measured with every seed, in worker processes, and a report is written.

measured, failed = measure_arms(lab, arms, progress)
measured["limo"][0].pass_rates["pocket-bus"]      # problem id -> pass rate in 0..1
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import PartialError
from limo.core.files import write_json
from limo.experiments.arm_selection import in_stratum
from limo.experiments.arms import Arm, Experiment, Questions
from limo.experiments.cells import MEASURING, Cell, CellExecutor, RunningCell, cells_of
from limo.experiments.lab import Lab
from limo.experiments.question_sections import SAMPLED_BASE, QuestionEvidence, headline_claims, question_section
from limo.experiments.results import Measured, Measurement
from limo.report import page, store
from limo.report.content import Report
from limo.report.words import HEADLINE_CLAIMS, page_language
from limo.stages.evaluate import SCORES

if TYPE_CHECKING:
    from limo.core.progress import Progress

POLL_S = 0.2  # between two looks at the running cells
ReportBuilder = Callable[[Lab, Sequence[Arm], Sequence[tuple[str, str]], Measured], Report]


def run_experiments(
    lab: Lab, questions: Questions, asked: Sequence[Experiment], describe: ReportBuilder, progress: Progress
) -> Report:
    """Measure the arms of experiments and leave `report.html`, `report.json` and `scores.json` in the lab's folder.

    The report answers what was asked, and every other question whose arms this folder holds already.  `describe` makes
    it of the lab, the arms with their measurements and the pairs of the first question; scores by benchmark are shown
    of the headline arms and those that the first sentences compare, or of the first question's.
    """
    measured, failed = measure_arms(lab, questions.arms_of(asked), progress)
    raise_failed(failed, len(cells_of(questions.arms_of(asked), lab.recipe.seeds)))
    report = report_of(lab, questions, asked, describe, measured)
    write_report(report, measured, lab.folder)
    progress.log(f"report: {lab.folder / 'report.html'}")
    return report


def report_of(
    lab: Lab, questions: Questions, asked: Sequence[Experiment], describe: ReportBuilder, measured: dict[str, Any]
) -> Report:
    """The report of the arms that are measured; `measured` grows by those of other questions that are there.

    Of a run that is not finished: the arms that are complete, and the questions of which all are.
    """
    names = {experiment.name for experiment in asked}
    answered = [one for one in asked if all(arm.name in measured for arm in questions.arms_of([one]))]
    for experiment in questions.experiments:
        arms = questions.arms_of([experiment])
        rows = {arm.name: [lab.stored(arm, seed) for seed in arm.seeds(lab.recipe.seeds)] for arm in arms}
        if experiment.name not in names and all(row for of_arm in rows.values() for row in of_arm):
            answered.append(experiment)
            measured |= rows
    arms = [arm for arm in questions.arms_of([*asked, *answered]) if arm.name in measured and arm.name != SAMPLED_BASE]
    pairs = [(pair.a, pair.b) for pair in asked[0].predictions if pair.of == "answers"]
    pairs = [pair for pair in pairs if {*pair} <= measured.keys()]
    claimed = {name for pair in pairs[:HEADLINE_CLAIMS] for name in pair}
    arms = [arm.model_copy(update={"is_headline": arm.is_headline or arm.name in claimed}) for arm in arms]
    report = describe(lab, arms, pairs, measured)
    shown = {arm.name for arm in arms if arm.is_headline} or set(asked[0].arms)
    report = replace(
        report,
        headline=headline_claims(report),
        scores=[row for row in report.scores if row.arm in shown],
        averages=[row for row in report.averages if row.arm in shown],
        rebuild=f"limo experiment {asked[0].name} --run runs/lab" if len(asked) == 1 else report.rebuild,
    )
    single = lab.recipe.strata.get("single")
    evidence = QuestionEvidence(
        questions,
        measured,
        report,
        [row.name for row in report.benchmarks],
        frozenset(p.id for of in lab.benchmarks().values() for p in of if single and in_stratum(p, single)),
        {arm.name: lab.data_flops(arm) for arm in questions.arms_of(answered)},
    )
    return replace(report, sections=[*(question_section(one, evidence) for one in answered), *report.sections])


def write_report(report: Report, measured: Measured, folder: Path) -> None:
    """Leave `report.html`, `report.json` and `scores.json` in a folder."""
    write_json(folder / SCORES, {arm: [row.to_json() for row in rows] for arm, rows in measured.items()}, None)
    store.save(report, folder / "report.json")
    page.write(report, folder / "report.html", page_language())


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
    with lab.open_executor() as executor:
        failed = run_cells(lab, cells, executor, progress, failed)
    return measured_arms(lab, cells), failed


def measured_arms(lab: Lab, cells: Sequence[Cell]) -> dict[str, list[Measurement]]:
    """Arm -> its measurements, of the arms that have one for each of their cells."""
    stored: dict[str, list[Measurement | None]] = {}
    for cell in cells:
        stored.setdefault(cell.arm.name, []).append(lab.stored(cell.arm, cell.seed))
    return {arm: [row for row in rows if row] for arm, rows in stored.items() if all(rows)}


def raise_failed(failed: Mapping[str, str], n_cells: int) -> None:
    """Raise PartialError where a cell failed."""
    for name, reason in list(failed.items())[:1]:
        do = "the others are measured; mend it and give the same command"
        raise PartialError(f"{len(failed)} of {n_cells} cells failed; {name}", reason, "", do)


def run_cells(
    lab: Lab, cells: Sequence[Cell], executor: CellExecutor, progress: Progress, failed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Measure the cells that are neither stored nor `failed` before; the names of all that failed, with the reason.

    One that fails leaves the others running, but for those that need it.  Raises what a check of the budget raises,
    with the running cells cancelled; what was measured is kept.
    """
    reasons = dict(failed or {})
    waiting = [cell for cell in cells if cell.name not in reasons and lab.stored(cell.arm, cell.seed) is None]
    n_before, hours = len(cells) - len(waiting), lab.hours(waiting)
    waiting.sort(key=lambda cell: hours[cell.name])
    running: dict[str, tuple[Cell, RunningCell]] = {}
    with progress.stage(MEASURING, total=len(cells), n_done=n_before) as stage:

        def end(cell: Cell, reason: str | None) -> None:
            if not reason and lab.stored(cell.arm, cell.seed) is None:
                reason = "it ended without a measurement"
            if reason:
                reasons[cell.name] = reason
                progress.log(f"{cell.name} failed: {reason}")
            stage.advance(1, cell=cell.name)

        try:
            while waiting or running:
                for name, (cell, run) in list(running.items()):
                    if (outcome := run.poll()) is not None:
                        del running[name]
                        end(cell, outcome)
                for cell in list(waiting):
                    is_needed_open = cell.needs in {other.name for other in waiting} | running.keys()
                    folders = [lab.cell_folder(other.arm, other.seed) for other, _ in running.values()]
                    if cell.needs in reasons or lab.stored(cell.arm, cell.seed) is not None:
                        waiting.remove(cell)  # given up, or measured under another name meanwhile
                        end(cell, f"{cell.needs}, which it needs, was not measured" if cell.needs in reasons else "")
                    elif len(running) < executor.n_at_once and not is_needed_open:
                        if lab.cell_folder(cell.arm, cell.seed) in folders:
                            continue
                        lab.check_budget(hours, [other for other, _ in running.values()], cell)
                        waiting.remove(cell)
                        running[cell.name] = (cell, executor.start(cell))
                if running:
                    lab.check_budget(hours, [cell for cell, _ in running.values()], None)
                    threading.Event().wait(POLL_S)
        except BaseException:
            for _, run in running.values():
                run.cancel()
            raise
    return reasons
