"""Runs experiments in a lab: every arm is measured with every seed, in worker processes, and a report is written.

measured = measure_arms(lab, arms, progress)
measured["limo"][0].outcomes["pocket-bus"]      # problem id -> pass rate in 0..1
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from limo.experiments.answers import SAMPLED_BASE, Evidence, section
from limo.experiments.arms import Arm, Experiment, Questions
from limo.experiments.chains import in_stratum
from limo.experiments.lab import Lab, write_json
from limo.experiments.results import Measured, Measurement
from limo.report import page, store
from limo.report.content import Report

if TYPE_CHECKING:
    from limo.core.progress import Progress

MEASURING = "train and score"  # the name of the stage in the display
ReportBuilder = Callable[[Lab, Sequence[Arm], Sequence[tuple[str, str]], Measured], Report]
PARENT_CHECK_S = 0.5  # seconds between a worker's checks that its parent lives


def run_experiments(
    lab: Lab, questions: Questions, asked: Sequence[Experiment], describe: ReportBuilder, progress: Progress
) -> Report:
    """Measure the arms of experiments and leave `report.html`, `report.json` and `scores.json` in the lab's folder.

    The report answers what was asked, and every other question whose arms this folder holds already.  `describe` makes
    it of the lab, the arms with their measurements and the pairs of the first question; scores by benchmark are shown
    of the headline arms, or of the first question's.
    """
    measured = measure_arms(lab, questions.arms_of(asked), progress)
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
    write_json(lab.folder / "scores.json", {arm: [asdict(row) for row in rows] for arm, rows in measured.items()})
    store.save(report, lab.folder / "report.json")
    page.write(report, lab.folder / "report.html")
    progress.log(f"report: {lab.folder / 'report.html'}")
    return report


def measure_arms(lab: Lab, arms: Sequence[Arm], progress: Progress) -> dict[str, list[Measurement]]:
    """Measure every arm with every seed in processes of their own; what is stored is not measured again.

    Arms that start from another arm's model come after all others.  An error in one job stops the others and is
    raised; what they finished is kept.
    """
    lab.prepare(arms, progress)
    jobs = measuring_jobs(lab, arms)
    measurements = {(arm.name, seed): lab.stored(arm, seed) for arm, seed in jobs}
    missing = [(arm, seed) for arm, seed in jobs if measurements[arm.name, seed] is None]
    waves = [[job for job in missing if bool(starts_from(job[0])) == is_later] for is_later in (False, True)]
    with progress.stage(MEASURING, total=len(jobs), n_done=len(jobs) - len(missing)) as stage:
        for wave in waves:
            for result in _measure_in_workers(lab, wave):
                measurements[result.arm, result.seed] = result
                stage.advance(1, arm=f"{result.arm}/{result.seed}")
    measured: dict[str, list[Measurement]] = {arm.name: [] for arm in arms}
    for (name, _), measurement in measurements.items():
        assert measurement is not None, name
        measured[name].append(measurement)
    return measured


def starts_from(arm: Arm) -> str:
    """The arm whose trained model this one starts from; '' for the student as it is."""
    return arm.training.after if arm.training else ""


def measuring_jobs(lab: Lab, arms: Sequence[Arm]) -> list[tuple[Arm, int]]:
    """Each arm with each of its training seeds."""
    return [(arm, seed) for arm in arms for seed in arm.seeds(lab.recipe.seeds)]


def _measure_in_workers(lab: Lab, jobs: Sequence[tuple[Arm, int]]) -> Iterator[Measurement]:
    if not jobs:
        return
    with _worker_pool(lab.recipe.n_workers) as pool:
        for future in as_completed([pool.submit(lab.measure, arm, seed) for arm, seed in jobs]):
            yield future.result()


@contextmanager
def _worker_pool(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")  # torch must not be forked
    pool = ProcessPoolExecutor(n_workers, context, initializer=_exit_with_parent, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()  # an interrupted run must not wait for trainings whose results nobody reads
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _exit_with_parent(parent: int) -> None:
    """End this worker when its parent is gone: an orphan would write into the folders of the run's next start."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
