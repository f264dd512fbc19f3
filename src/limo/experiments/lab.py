"""What an experiment is, at any scale: arms that differ in one thing, fitted with several seeds, scored, compared.

An `Experiment` is data: a question, arms, and the pairs to compare.  A `Lab` answers it: the pocket lab on two CPU
cores, a paper-scale lab on GPUs.  So each research question of the paper is written once and runs at either scale.

    measured = measure(lab, HEADLINE.arms, progress)
    measured["limo"][0].outcomes["pocket-bus"]      # problem id -> pass rate

What it does not do: statistics (limo.stages.compare), drawing (limo.report), or any training of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from limo.core.progress import Progress

MEASURING = "train and score"  # the stage that a display shows
FOLLOW_S = 0.5  # seconds between a worker's looks for its parent
Outcomes = dict[str, dict[str, float]]
"""Benchmark -> problem id -> pass rate in 0..1."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant of an experiment.

    `examples` names a training set that the lab makes (`limo`, `bulk`, `L1`..`L5`); empty means the model as it is.
    `student` names the model that is trained.
    """

    name: str
    label_en: str
    label_zh: str
    examples: str = ""
    student: str = ""
    headline: bool = True


@dataclass(frozen=True, slots=True)
class Experiment:
    """A question of the paper: what is varied (`arms`), what is compared (`pairs` of arm names, first minus second)."""

    name: str
    question_en: str
    question_zh: str
    arms: tuple[Arm, ...]
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one arm gave with one training seed, and what its training cost.

    `n_train_tokens` counts every token that passed through the model in training, all epochs; `n_completion_tokens`
    is the mean length of what the trained model wrote on the benchmarks.
    """

    arm: str
    seed: int
    outcomes: Outcomes
    n_examples: int = 0
    n_train_tokens: int = 0
    n_updates: int = 0
    seconds: float = 0.0
    n_completion_tokens: float = 0.0


class Lab(Protocol):
    """Where experiments run.  A lab must be picklable: its arms are measured in processes of their own."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The training seeds of every arm."""

    @property
    def n_workers(self) -> int:
        """How many arms are measured at once."""

    def prepare(self, arms: Sequence[Arm], progress: Progress) -> None:
        """Make every training set that the arms name, so that measuring only trains and scores."""

    def measured(self, arm: Arm, seed: int) -> Measurement | None:
        """What an earlier start already measured."""

    def measure(self, arm: Arm, seed: int) -> Measurement:
        """Fit one arm with one seed and score it on every benchmark; resumable, deterministic for its seed."""


def measure(lab: Lab, arms: Sequence[Arm], progress: Progress) -> dict[str, list[Measurement]]:
    """Measure every arm with every seed, `lab.n_workers` at a time; what is already measured costs nothing.

    An untrained arm is measured once: without training there is no seed to vary.  An error in any job stops the
    others and is raised; what they finished is kept.
    """
    lab.prepare(arms, progress)
    planned = jobs(lab, arms)
    found = {(arm.name, seed): lab.measured(arm, seed) for arm, seed in planned}
    left = [job for job in planned if found[job[0].name, job[1]] is None]
    with progress.stage(MEASURING, total=len(planned), n_done=len(planned) - len(left)) as stage:
        for result in _run(lab, left):
            found[result.arm, result.seed] = result
            stage.advance(1, arm=f"{result.arm}/{result.seed}")
    measured: dict[str, list[Measurement]] = {arm.name: [] for arm in arms}
    for (name, _), one in found.items():
        assert one is not None, name
        measured[name].append(one)
    return measured


def jobs(lab: Lab, arms: Sequence[Arm]) -> list[tuple[Arm, int]]:
    """What has to be measured: each arm with each seed, an arm as it is once."""
    return [(arm, seed) for arm in arms for seed in (lab.seeds if arm.examples else lab.seeds[:1])]


def _run(lab: Lab, left: Sequence[tuple[Arm, int]]) -> Iterator[Measurement]:
    """The jobs' results as they come, each from a process of its own kind (spawned: torch must not be forked)."""
    if not left:
        return
    with _workers(lab.n_workers) as pool:
        waiting: set[Future[Measurement]] = {pool.submit(lab.measure, arm, seed) for arm, seed in left}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


@contextmanager
def _workers(n: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(n, multiprocessing.get_context("spawn"), initializer=_follow, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()  # an interrupted run must not wait minutes for trainings nobody will read
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _follow(parent: int) -> None:
    """End this worker when its parent is gone: killed with -9 it could not say so, and an orphan that trains on would
    write into the folders of the run's next start."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(FOLLOW_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
