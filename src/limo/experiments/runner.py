"""Runs experiments in a lab: every arm is measured with every seed, in worker processes, and a report is written.

measured = measure_arms(lab, HEADLINE.arms, progress)
measured["limo"][0].outcomes["pocket-bus"]      # problem id -> pass rate in 0..1
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING

from limo.experiments.arms import Arm
from limo.experiments.lab import Lab
from limo.experiments.results import Measurement

if TYPE_CHECKING:
    from limo.core.progress import Progress

MEASURING = "train and score"  # the name of the stage in the display
PARENT_CHECK_S = 0.5  # seconds between a worker's checks that its parent lives


def measure_arms(lab: Lab, arms: Sequence[Arm], progress: Progress) -> dict[str, list[Measurement]]:
    """Measure every arm with every seed in processes of their own; what is stored is not measured again.

    An error in one job stops the others and is raised; what they finished is kept.
    """
    lab.prepare(arms, progress)
    jobs = measuring_jobs(lab, arms)
    measurements = {(arm.name, seed): lab.stored(arm, seed) for arm, seed in jobs}
    missing = [(arm, seed) for arm, seed in jobs if measurements[arm.name, seed] is None]
    with progress.stage(MEASURING, total=len(jobs), n_done=len(jobs) - len(missing)) as stage:
        for result in _measure_in_workers(lab, missing):
            measurements[result.arm, result.seed] = result
            stage.advance(1, arm=f"{result.arm}/{result.seed}")
    measured: dict[str, list[Measurement]] = {arm.name: [] for arm in arms}
    for (name, _), measurement in measurements.items():
        assert measurement is not None, name
        measured[name].append(measurement)
    return measured


def measuring_jobs(lab: Lab, arms: Sequence[Arm]) -> list[tuple[Arm, int]]:
    """Each arm with each training seed; an untrained arm with the first one."""
    seeds = lab.recipe.seeds
    return [(arm, seed) for arm in arms for seed in (seeds if arm.selection else seeds[:1])]


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
