"""The matrix of an experiment: its cells are arms x training seeds, each measured once, cheapest first.

A lab says what a cell leaves, what it is expected to take, and how its cells are run: here in worker processes
(`WorkerJobs`), or as programs and Slurm jobs (`limo.experiments.paper.launchers`).

    failed = run_cells(lab, cells_of(arms, seeds), jobs, progress)     # cell -> why it was not measured
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from limo.core.errors import LimoError, PartialError
from limo.core.progress import Progress
from limo.experiments.arms import Arm
from limo.experiments.results import Measurement

MEASURING = "train and score"  # the name of the stage in the display
POLL_S = 0.2  # between two looks at the running cells
PARENT_CHECK_S = 0.5  # seconds between a worker's checks that its parent lives


@dataclass(frozen=True, slots=True)
class Cell:
    """An arm with a training seed."""

    arm: Arm
    seed: int

    @property
    def name(self) -> str:
        """Names it in tables, logs and ledgers."""
        return f"{self.arm.name}-{self.seed}"

    @property
    def needs(self) -> str:
        """The cell that must be measured before: whose model or cost it takes; '' none."""
        needed = self.arm.training.needed_arm if self.arm.training else ""
        return f"{needed}-{self.seed}" if needed else ""


class Job(Protocol):
    """A cell that was started."""

    def poll(self) -> str | None:
        """None while it is queued or runs; then '' or why it failed."""

    def cancel(self) -> None:
        """End it."""


class Jobs(Protocol):
    """Starts cells."""

    n_at_once: int

    def start(self, cell: Cell) -> Job:
        """Start a cell, or take up the job of it that an earlier start of this run left running."""


class CellLab(Protocol):
    """What the matrix needs of a lab."""

    def stored(self, arm: Arm, seed: int) -> Measurement | None:
        """The measurement of a cell, if it is there."""

    def cell_folder(self, arm: Arm, seed: int) -> Path:
        """Where a cell works; cells that are the same in all but name share a folder."""

    def hours(self, cells: Sequence[Cell]) -> Mapping[str, float]:
        """What each cell is expected to take, by name; hours of machines or of GPUs."""

    def check_budget(self, hours: Mapping[str, float], running: Sequence[Cell], following: Cell | None) -> None:
        """Raise PartialError where the running cells and the following one would pass the budget."""


def cells_of(arms: Sequence[Arm], seeds: Sequence[int]) -> list[Cell]:
    """Each arm with each of its training seeds."""
    return [Cell(arm, seed) for arm in arms for seed in arm.seeds(seeds)]


def measured_arms(lab: CellLab, cells: Sequence[Cell]) -> dict[str, list[Measurement]]:
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
    lab: CellLab, cells: Sequence[Cell], jobs: Jobs, progress: Progress, failed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Measure the cells that are neither stored nor `failed` before; the names of all that failed, with the reason.

    One that fails leaves the others running, but for those that need it.  Raises what a check of the budget raises,
    with the running cells cancelled; what was measured is kept.
    """
    reasons = dict(failed or {})
    waiting = [cell for cell in cells if cell.name not in reasons and lab.stored(cell.arm, cell.seed) is None]
    n_before, hours = len(cells) - len(waiting), lab.hours(waiting)
    waiting.sort(key=lambda cell: hours[cell.name])
    running: dict[str, tuple[Cell, Job]] = {}
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
                for name, (cell, job) in list(running.items()):
                    if (outcome := job.poll()) is not None:
                        del running[name]
                        end(cell, outcome)
                for cell in list(waiting):
                    is_needed_open = cell.needs in {other.name for other in waiting} | running.keys()
                    folders = [lab.cell_folder(other.arm, other.seed) for other, _ in running.values()]
                    if cell.needs in reasons or lab.stored(cell.arm, cell.seed) is not None:
                        waiting.remove(cell)  # given up, or measured under another name meanwhile
                        end(cell, f"{cell.needs}, which it needs, was not measured" if cell.needs in reasons else "")
                    elif len(running) < jobs.n_at_once and not is_needed_open:
                        if lab.cell_folder(cell.arm, cell.seed) in folders:
                            continue
                        lab.check_budget(hours, [other for other, _ in running.values()], cell)
                        waiting.remove(cell)
                        running[cell.name] = (cell, jobs.start(cell))
                if running:
                    lab.check_budget(hours, [cell for cell, _ in running.values()], None)
                    threading.Event().wait(POLL_S)
        except BaseException:
            for _, job in running.values():
                job.cancel()
            raise
    return reasons


class WorkerJobs:
    """Measures cells in processes of this machine, `n_at_once` of them; see `worker_jobs`."""

    def __init__(self, pool: ProcessPoolExecutor, measure: Callable[[Arm, int], Measurement], n_at_once: int) -> None:
        self._pool, self._measure, self.n_at_once = pool, measure, n_at_once

    def start(self, cell: Cell) -> Job:
        """See `Jobs`."""
        return _WorkerJob(self._pool.submit(self._measure, cell.arm, cell.seed))


class _WorkerJob:
    def __init__(self, future: Future[Measurement]) -> None:
        self._future = future

    def poll(self) -> str | None:
        if not self._future.done():
            return None
        error = self._future.exception()
        return "" if error is None else str(error) if isinstance(error, LimoError) else f"bug: {error!r}"

    def cancel(self) -> None:
        self._future.cancel()


@contextmanager
def worker_jobs(measure: Callable[[Arm, int], Measurement], n_workers: int) -> Iterator[WorkerJobs]:
    """Jobs by `measure` in worker processes, which end with the block and with this process."""
    context = multiprocessing.get_context("spawn")  # torch must not be forked
    pool = ProcessPoolExecutor(n_workers, context, initializer=_exit_with_parent, initargs=(os.getpid(),))
    try:
        yield WorkerJobs(pool, measure, n_workers)
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
