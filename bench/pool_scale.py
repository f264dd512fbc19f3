"""Ingest, dedup and decontamination of a labelled pool by the command, at two sizes: wall and CPU seconds, memory.

    python bench/pool_scale.py ../shared/data --rows 1000000

The pool of `pool_world` is written as JSON Lines, once whole and once its first tenth, and each of the three commands
runs on it as a process of its own, as a user would run it.  Memory is the largest that one of these processes held.
`growth` is what ten times the rows cost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from pool_world import Made, world


def write(data: Path, n_rows: int, kept: Path | None, folder: Path) -> None:
    """The pool's first tenth and the whole of it as JSON Lines, each in a folder of its own."""
    made = world(data, n_rows, 1, kept)
    for n in (n_rows // 10, n_rows):
        (folder / str(n)).mkdir()
        _written(made[:n], folder / str(n) / "rows.jsonl")


def _written(rows: Sequence[Made], file: Path) -> None:
    with file.open("w", encoding="utf-8") as lines:
        for one in rows:
            problem = one.problem
            row = {"problem": problem.problem, "answer": problem.answer, "solution": problem.solution,
                   "source": problem.source}  # fmt: skip
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def walked(rows: Path, n_rows: int, data: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each step, printed with its memory."""
    known = ["--benchmarks", str(data / "benchmarks")]
    steps = {
        "ingest": ["ingest", str(rows), "-o", str(folder / "pool")],
        "dedup": ["dedup", str(folder / "pool"), "-o", str(folder / "distinct")],
        "decontaminate": ["decontaminate", str(folder / "distinct"), *known, "-o", str(folder / "clean")],
    }
    taken = {}
    for step, words in steps.items():
        command = [sys.executable, "-m", "limo", "pool", *words, "--json"]
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            said = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall, cpu = time.perf_counter() - start, used.ru_utime + used.ru_stime
        taken[step] = (wall, cpu)
        kept = json.loads(said.rstrip("\n").rpartition("\n")[2])["n_kept"]
        most = f"{used.ru_maxrss / 1e6:5.2f} GB"
        print(f"{step:14} {n_rows:9,} rows {wall:7.1f} s {cpu:7.1f} CPU s {most}  {kept:,} kept", flush=True)
    return taken


def main() -> None:
    """A tenth of the pool and the whole of it, and what ten times the rows cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--world", type=Path, help="keep the labelled pool here, and read it from here the next time")
    given = parser.parse_args()
    totals = []
    with tempfile.TemporaryDirectory() as name:
        # By a process of its own: a command started from a large process would be counted as large itself.
        maker = get_context("spawn").Process(target=write, args=(given.data, given.rows, given.world, Path(name)))
        maker.start()
        maker.join()
        for n_rows in (given.rows // 10, given.rows):
            folder = Path(name) / str(n_rows)
            taken = walked(folder / "rows.jsonl", n_rows, given.data, folder)
            totals.append([sum(column) for column in zip(*taken.values(), strict=True)])
            print(f"{'all three':14} {n_rows:9,} rows {totals[-1][0]:7.1f} s {totals[-1][1]:7.1f} CPU s", flush=True)
    growth = [large / small for small, large in zip(*totals, strict=True)]
    print(f"growth: {growth[0]:.1f} in wall time, {growth[1]:.1f} in CPU time")


if __name__ == "__main__":
    main()
