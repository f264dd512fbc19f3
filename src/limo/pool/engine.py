"""Independent tasks on this machine or on a Ray cluster: the same tasks, the same files, by one setting.

A task reads files, writes one file whole, and returns nothing; so it may run anywhere that sees the folder, a task
whose file is there is never run again, and a killed run goes on where it was.  Daft places the tasks: its native
runner inside this process, or Ray through the extra `ray`.

    run_each(work, ["part-00000", "part-00001"], Engine(kind="local"))

What it does not do: move rows between tasks.  They meet in files, one part of the keys at a time, which is what bounds
the memory; Daft's own group-by holds all groups at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field

from limo.core.errors import InputError, LimoError
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.text import shorten

Work = Callable[[str], None]


class Engine(Settings):
    """Where tasks run."""

    kind: Literal["local", "ray"] = Field(default="local", description="local: this machine; ray: a Ray cluster")
    address: str = Field(default="", description="of the Ray cluster; empty: RAY_ADDRESS, else one on this machine")


def run_each(work: Work, tasks: Sequence[str], engine: Engine, progress: Progress | None = None) -> None:
    """Run `work(task)` for every task.  `work` must be a module's function or a partial of one (Ray pickles it).

    Raises the first LimoError of a task with its own text, and InputError where the engine cannot start.
    """
    if not tasks:
        return
    (progress or NoProgress()).log(f"{len(tasks)} tasks on the {engine.kind} engine")
    if len(tasks) == 1 and engine.kind == "local":  # nothing to place
        work(tasks[0])
        return
    os.environ["DO_NOT_TRACK"] = "1"  # before the import: Daft would report its use
    try:
        import daft
    except ImportError:
        raise InputError("Daft is not installed", "daft", "daft>=0.7.26,<0.8", "pip install 'daft<0.8'") from None
    _start(engine)
    told: Any = daft.func.batch(return_dtype=daft.DataType.string(), batch_size=1, use_process=False)(_telling(work))
    placed = daft.from_pydict({"task": list(tasks)})
    if engine.kind == "ray":  # a partition is what a cluster places; in this process tasks are
        placed = placed.into_partitions(len(tasks))
    found = placed.select(told(daft.col("task")).alias("fault")).to_pydict()["fault"]
    fault = next((one for one in found if one), "")
    if fault:
        raise _Told(fault)


def _telling(work: Work) -> Callable[..., list[str]]:
    """`work` on a batch of tasks; what the user must be told comes back as text, since Daft would wrap it."""

    def told(tasks: object) -> list[str]:
        return [_fault(work, task) for task in tasks.to_pylist()]  # type: ignore[attr-defined]

    return told


def _fault(work: Work, task: str) -> str:
    try:
        work(task)
    except LimoError as error:
        return str(error)
    return ""


class _Told(LimoError, RuntimeError):
    """A fault of a task, as it was told there."""

    def __init__(self, text: str) -> None:
        RuntimeError.__init__(self, text)


def _start(engine: Engine) -> None:
    """Daft's runner of that kind; a process has one for its whole life."""
    import daft

    wanted = "ray" if engine.kind == "ray" else "native"
    try:
        if wanted == "ray":
            daft.set_runner_ray(engine.address or None, noop_if_initialized=True)
        else:
            daft.set_runner_native()
    except ImportError:
        do = "pip install 'limo[ray]', or engine local"
        raise InputError("Ray is not installed", engine.kind, "the extra `ray`", do) from None
    except Exception as error:  # Daft raises errors of its own, also where this very runner is set already
        if daft.get_or_infer_runner_type() != wanted:
            do = f"start a new process for another engine, or check the address ({shorten(str(error))})"
            raise InputError("this engine cannot be started", engine.kind, "local or ray", do) from None
