"""Programs that a run starts and ends: a server, a training in processes of its own, a cell of a matrix.

None outlives the run.  The program is told when its parent dies (Linux), and whatever it left behind, however it was
killed, is ended before the same program starts again.

    with ChildProgram(["vllm", "serve", ...], folder / "server") as server:     # server.log, server.json
        server.wait()
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from limo.core.errors import InputError
from limo.core.files import storage_errors, write_json
from limo.core.text import parse_json

GRACE_S = 20.0  # between the request to end and the end by force
_PR_SET_PDEATHSIG = 1
_LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


class ChildProgram:
    """A program in a session of its own.  `stem` names its two files: `.log` (appended) and `.json` (who it is)."""

    def __init__(self, command: Sequence[str], stem: Path, env: Mapping[str, str] | None = None) -> None:
        """Start the program; what an earlier start of it left is ended first.  Raises InputError where it is absent."""
        self.command, self.log, self.record = list(command), Path(f"{stem}.log"), Path(f"{stem}.json")
        end_leftover(self.record)
        parent = os.getpid()

        def end_with_parent() -> None:
            if _LIBC is not None:
                _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != parent:  # it died in between
                    os._exit(1)

        with storage_errors(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with open(self.log, "ab") as sink:
                sink.write(f"\n$ {' '.join(self.command)}\n".encode())
                sink.flush()
                try:
                    self.process = subprocess.Popen(
                        self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
                        env=os.environ | dict(env or {}), preexec_fn=end_with_parent,
                    )  # fmt: skip
                except FileNotFoundError:
                    do = "install it, or change the command in the recipe"
                    raise InputError("a program is not there", self.command[0], "a program on PATH", do) from None
        self._write_record()

    def _write_record(self) -> None:
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
            created_s = psutil.Process(self.process.pid).create_time()
            values = {"pid": self.process.pid, "created_s": created_s, "host": platform.node()}
            write_json(self.record, values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self.process.poll()

    def wait(self) -> int:
        """The exit code, when it has ended."""
        return self.process.wait()

    def end(self) -> None:
        """End the program and all that it started."""
        end_leftover(self.record)
        self.process.wait()
        self.record.unlink(missing_ok=True)

    def last_lines(self, n: int = 3) -> str:
        """The last lines of the log that say something, for an error message."""
        return last_lines(self.log, n)


def last_lines(log: Path, n: int = 3) -> str:
    """What the last command of a log says at its end, as one line; of its last 8 kB.

    The error of a `limo` command that it started, else the last `n` lines: a launcher ends with a report of its own.
    """
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    begun = max((number for number, line in enumerate(lines) if line.startswith("$ ")), default=-1)
    said = [line.strip() for line in lines[begun + 1 :] if line.strip()]
    return " | ".join([line for line in said if line.startswith("limo: ")][-1:] or said[-n:])


def end_leftover(record: Path) -> None:
    """End the processes of the session that a record names, where some are left on this machine."""
    import psutil

    try:
        values = parse_json(record.read_text(encoding="ascii"))
        session, created_s, host = int(values["pid"]), float(values["created_s"]), values["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if host != platform.node():
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(session).create_time() - created_s) > 1:
            return  # the number belongs to another process by now
    alive = _members(session, created_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(alive, timeout=GRACE_S)
    for process in [*left, *_members(session, created_s)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=GRACE_S)


def _members(session: int, created_s: float) -> list[Any]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session and process.create_time() >= created_s - 1:
                found += [process] if process.status() != psutil.STATUS_ZOMBIE else []
    return found
