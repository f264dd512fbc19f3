"""Independent tasks in threads of this machine or on a Ray cluster: the same tasks, the same files.

A task reads files, writes one file whole, and returns nothing; so it may run anywhere that sees the folder, a task
whose file is there is not run again, and a killed run continues where it was.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import Field

from limo.core.errors import InputError, LimoError
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.text import shorten

Task = Callable[[str], None]
MAX_THREADS = 8  # compiled code and Arrow release the interpreter's lock, the rest of a task does not


class ExecutorSettings(Settings):
    """Where tasks run."""

    kind: Literal["local", "ray"] = Field(default="local", description="local: this machine; ray: a Ray cluster")
    address: str = Field(default="", description="of the Ray cluster; empty: RAY_ADDRESS, else one on this machine")


def run_tasks(task: Task, names: Sequence[str], executor: ExecutorSettings, progress: Progress | None = None) -> None:
    """Run `task(name)` for every name.  `task` must be a module's function or a partial of one: Ray pickles it.

    Raises the first error of a task, and InputError where Ray is not installed or cannot be reached.
    """
    if not names:
        return
    (progress or NoProgress()).log(f"tasks: {len(names):,}, executor {executor.kind}")
    if executor.kind == "ray":
        _run_on_ray(task, names, executor.address)
        return
    failed = threading.Event()

    def run(name: str) -> None:
        if not failed.is_set():
            try:
                task(name)
            except BaseException:
                failed.set()
                raise

    with _without_collections(), ThreadPoolExecutor(min(len(names), os.cpu_count() or 1, MAX_THREADS)) as threads:
        futures = [threads.submit(run, name) for name in names]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C too
            failed.set()
            raise


@contextmanager
def _without_collections() -> Iterator[None]:
    """Without what took a seventh of the time: tasks make millions of objects and no cycles that one could look for,
    and Arrow's own allocator gives pages back to the system and asks for them again.
    """
    import pyarrow as pa

    was_enabled, pool = gc.isenabled(), pa.default_memory_pool()
    gc.disable()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        if was_enabled:
            gc.enable()


def _run_on_ray(task: Task, names: Sequence[str], address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import
    try:
        import ray
    except ImportError:
        do = "pip install 'limo[ray]', or use the local executor"
        raise InputError("Ray is not installed", "ray", "the extra `ray`", do) from None
    if not ray.is_initialized():
        try:
            ray.init(address=address or None, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            do = f"start one with `ray start`, or check the address ({shorten(str(error))})"
            raise InputError("the Ray cluster cannot be reached", address or "local", "HOST:PORT", do) from None
    remote: Any = ray.remote(_error_text)
    shared = ray.put(task)  # once: it may hold an index of benchmarks
    for text in ray.get([remote.remote(shared, name) for name in names]):
        if text:
            raise TaskError(text)


def _error_text(task: Task, name: str) -> str:
    """Run one task on a worker; a LimoError comes back as its text, since Ray would wrap it."""
    try:
        task(name)
    except LimoError as error:
        return str(error)
    return ""


class TaskError(LimoError, RuntimeError):
    """A LimoError that a task raised on a worker of a cluster."""

    def __init__(self, text: str) -> None:
        RuntimeError.__init__(self, text)
