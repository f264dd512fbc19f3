"""The matrix of an experiment: its cells are arms x training seeds, each measured once, cheapest first.

They run in worker processes (`WorkerExecutor`), or as programs and Slurm jobs (`limo.experiments.paper.launchers`); in
which order, `limo.experiments.runner` says.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from limo.core.errors import LimoError
from limo.experiments.arms import Arm
from limo.experiments.results import Measurement

MEASURING = "train and score"  # the name of the stage in the display
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


class RunningCell(Protocol):
    """A cell that was started, wherever it runs."""

    def poll(self) -> str | None:
        """None while it is queued or runs; then '' or why it failed."""

    def cancel(self) -> None:
        """End it."""


class CellExecutor(Protocol):
    """Starts cells: in worker processes, as programs, or as Slurm jobs."""

    n_at_once: int

    def start(self, cell: Cell) -> RunningCell:
        """Start a cell, or take up the job of it that an earlier start of this run left running."""


def cells_of(arms: Sequence[Arm], seeds: Sequence[int]) -> list[Cell]:
    """Each arm with each of its training seeds."""
    return [Cell(arm, seed) for arm in arms for seed in arm.seeds(seeds)]


class WorkerExecutor:
    """Measures cells in processes of this machine, `n_at_once` of them; see `worker_executor`."""

    def __init__(self, pool: ProcessPoolExecutor, measure: Callable[[Arm, int], Measurement], n_at_once: int) -> None:
        self._pool, self._measure, self.n_at_once = pool, measure, n_at_once

    def start(self, cell: Cell) -> RunningCell:
        """See `CellExecutor`."""
        return _CellInWorker(self._pool.submit(self._measure, cell.arm, cell.seed))


class _CellInWorker:
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
def worker_executor(measure: Callable[[Arm, int], Measurement], n_workers: int) -> Iterator[WorkerExecutor]:
    """CellExecutor by `measure` in worker processes, which end with the block and with this process."""
    context = multiprocessing.get_context("spawn")  # torch must not be forked
    pool = ProcessPoolExecutor(n_workers, context, initializer=_exit_with_parent, initargs=(os.getpid(),))
    try:
        yield WorkerExecutor(pool, measure, n_workers)
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
