"""Commands as processes: killed with SIGKILL at random moments of their work until they end, or on a full disk.

A template process imports everything once and forks a child for each start, so that every moment falls into the work of
the command and none into imports.  A moment is drawn in processor time of the child, which a busy machine does not
stretch.  Run as a program this file is the template.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from limo.core.files import hash_path

OWN_WORDS = ("state.json", "dataset_info.json")  # `datasets` puts a fingerprint of its own into them
SECONDS = re.compile(rb'\\?"(?:elapsed_s|seconds)\\?": ?[0-9.e-]+')
IN_A_ROW = 3  # kills before a start is let to its end
Key = tuple[str, str, int]


class Ended(NamedTuple):
    """How a start ended: its wait status, its processor seconds, and what it wrote to stderr."""

    status: int
    cpu_s: float
    err: str


class Template:
    """The process that starts commands; a context manager."""

    def __enter__(self) -> Template:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"}
        environment |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, __file__]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, env=environment, text=True, **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self._process.kill()

    def run(self, line: str, folder: Path, kill_at: float | None = None, max_file_bytes: int | None = None) -> Ended:
        """Run a command in a folder; kill it after so many processor seconds, refuse files beyond so many bytes."""
        job = {"words": line.split(), "folder": str(folder), "kill_at": kill_at, "max_file_bytes": max_file_bytes}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        return Ended(**reply)


class Figures(NamedTuple):
    """What happened to a command: kills, starts, and rollouts that were lost with a kill and paid for again."""

    n_kills: int
    n_starts: int
    n_lost: int
    cpu_s: float


def kill_again_and_again(
    template: Template, line: str, folder: Path, n_kills: int, server: object = None, in_flight: int = 0
) -> Figures:
    """Kill `line`, which writes to `folder/out`, so often; its outputs must be those of an undisturbed run.

    Every start must be killed or end with 0, no stored rollout may be requested again, and a kill may lose at most
    the rollouts in flight.
    """
    out, draw = folder / "out", random.Random(line)
    template.run(line, folder)  # the first one tells the template what to import
    shutil.rmtree(out)
    whole = template.run(line, folder)
    assert whole.status == 0, whole.err
    expected = contents(out)
    assert expected
    n_done = n_starts = n_lost = 0
    while n_done < n_kills:
        shutil.rmtree(out)
        if server is not None:
            server.n_requested.clear()
        paid: dict[Key, int] = {}
        in_a_row = 0
        while True:
            kill_at = draw.uniform(0, whole.cpu_s) if in_a_row < IN_A_ROW and n_done < n_kills else None
            ended = template.run(line, folder, kill_at)
            n_starts += 1
            if ended.status == 0:
                break
            assert ended.status == signal.SIGKILL, (ended.status, ended.err)
            n_done, in_a_row = n_done + 1, in_a_row + 1
            if server is not None:
                for key in stored_rollouts(out) - paid.keys():
                    paid[key] = server.n_requested[key]
        assert contents(out) == expected, differing(contents(out), expected)
        assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]
        if server is not None:
            assert all(server.n_requested[key] == n for key, n in paid.items())
            lost = sum(n - 1 for n in server.n_requested.values())
            assert lost <= in_flight * in_a_row, (lost, in_a_row)
            n_lost += lost
    assert template.run("no-processes-left", folder).status == 0
    return Figures(n_done, n_starts, n_lost, whole.cpu_s)


def contents(folder: Path) -> dict[str, str]:
    """A hash of each file; times, which differ from run to run, are taken out, and of ledgers the rows count."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in OWN_WORDS]
    kept = [
        path for path in files if not path.name.startswith(".") and path.suffix not in (".sqlite-wal", ".sqlite-shm")
    ]
    return {str(path.relative_to(folder)): sha256(_content(path)).hexdigest() for path in kept}


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The files in which two folders differ."""
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _content(path: Path) -> bytes:
    if path.suffix == ".sqlite":
        columns = (
            "model, prompt_hash, sampling_hash, problem_id, rollout_index, text, reasoning, finish_reason, outcome"
        )
        rows = _query(path, f"SELECT {columns} FROM rollouts LEFT JOIN verdicts ON rollout_id = id ORDER BY 1,2,3,4,5")
        return repr(rows).encode()
    if path.name == "ledger.json":  # the ledger's name is random
        return str(json.loads(path.read_text())["n_rollouts"]).encode()
    if path.name == "outputs.json":  # hashes of files that hold times: each must be that of its file
        noted = json.loads(path.read_text())
        return repr(
            {
                step: {name: value == hash_path(path.parent / name) for name, value in files.items()}
                for step, files in noted.items()
            }
        ).encode()
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        return SECONDS.sub(b"", json.dumps([table.to_pylist(), str(table.schema)], default=str).encode())
    return SECONDS.sub(b"", path.read_bytes())


def stored_rollouts(folder: Path) -> set[Key]:
    """(model, problem id, index) of every rollout in the ledgers of a folder."""
    keys: set[Key] = set()
    for path in folder.rglob("*.sqlite"):
        with suppress(sqlite3.OperationalError):  # killed before its tables were made
            keys |= set(_query(path, "SELECT model, problem_id, rollout_index FROM rollouts"))
    return keys


def _query(path: Path, select: str) -> list[tuple]:
    with tempfile.TemporaryDirectory() as copy:  # the ledger itself stays as the kill left it
        for file in path.parent.glob(f"{path.name}*"):
            shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy) / path.name)) as db:
            return db.execute(select).fetchall()


def _serve() -> None:
    """The template: a job a line on stdin, a reply a line on stdout."""
    sessions: list[int] = []
    for line in sys.stdin:
        job = json.loads(line)
        if job["words"] == ["no-processes-left"]:
            print(json.dumps({"status": int(_remain(sessions)), "cpu_s": 0, "err": ""}), flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            modules = Path(folder) / "modules"
            reader, writer = os.pipe()  # a file would be refused as all others on a full disk
            process = os.fork()
            if not process:
                _run_job(job, modules, writer)
            os.close(writer)
            os.set_blocking(reader, False)
            sessions.append(process)
            status, cpu_s, err = _watch(process, job["kill_at"], reader)
            os.close(reader)
            for name in modules.read_text().split() if modules.exists() else ():
                with suppress(Exception):
                    importlib.import_module(name)
            print(
                json.dumps({"status": status, "cpu_s": cpu_s, "err": err.decode(errors="replace")[-2000:]}), flush=True
            )


def _run_job(job: dict, modules: Path, err: int) -> None:
    from limo.cli import root
    from limo.cli.command import end_process, run_command

    def run() -> None:
        try:
            run_command(root, job["words"])
        finally:
            if job["kill_at"] is None and job["max_file_bytes"] is None:
                modules.write_text("\n".join(name for name in sys.modules if name.isascii() and "__main__" not in name))

    if job["max_file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["max_file_bytes"],) * 2)
    os.setsid()
    os.chdir(job["folder"])
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, opened in ((0, nothing), (1, nothing), (2, err)):
        os.dup2(opened, number)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    try:
        end_process(run)
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code or 0)
    except OSError:
        traceback.print_exc()
    finally:
        os._exit(99)


def _watch(process: int, kill_at: float | None, reader: int) -> tuple[int, float, bytes]:
    clock, cpu_s, err = (~process << 3) | 2, 0.0, b""  # Linux's number of a process's processor clock
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        with suppress(BlockingIOError):
            err += os.read(reader, 1 << 20)
        if done:
            return status, cpu_s, err
        cpu_s = time.clock_gettime(clock)
        if kill_at is not None and cpu_s >= kill_at:
            os.kill(process, signal.SIGKILL)
            kill_at = None
        time.sleep(0.0005)


def _remain(sessions: list[int], wait_s: float = 30) -> bool:
    """Whether processes of these sessions are alive after a while."""
    until = time.monotonic() + wait_s
    while any(_session(number) in sessions for number in os.listdir("/proc") if number.isdigit()):
        if time.monotonic() > until:
            return True
        time.sleep(0.1)
    return False


def _session(process: str) -> int:
    try:
        return os.getsid(int(process))
    except OSError:
        return -1


if __name__ == "__main__":
    _serve()
