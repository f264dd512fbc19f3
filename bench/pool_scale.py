"""Ingest, dedup and decontamination of a labelled pool by the command, at two sizes: wall and CPU seconds, memory.

    python bench/pool_scale.py ../shared/data --rows 1000000

The pool of `pool_world` is written as JSON Lines, once whole and once its first tenth, and each of the three commands
runs on it as a process of its own, as a user would run it.  Memory is the largest that a process held.  `growth` is
what ten times the rows cost.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pool_world import Made, world


def written(rows: Sequence[Made], file: Path) -> Path:
    """The rows as JSON Lines."""
    with file.open("w", encoding="utf-8") as lines:
        for one in rows:
            problem = one.problem
            row = {"problem": problem.problem, "answer": problem.answer, "solution": problem.solution,
                   "source": problem.source}  # fmt: skip
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    return file


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
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "limo.cli", "pool", *words, "--json"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken[step] = (wall, cpu)
        kept = json.loads(said.rstrip("\n").rpartition("\n")[2])["n_kept"]
        most = f"{after.ru_maxrss / 1e6:5.2f} GB at most so far"
        print(f"{step:14} {n_rows:9,} rows {wall:7.1f} s {cpu:7.1f} CPU s {most}  {kept:,} kept", flush=True)
    return taken


def main() -> None:
    """A tenth of the pool and the whole of it, and what ten times the rows cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--world", type=Path, help="keep the labelled pool here, and read it from here the next time")
    given = parser.parse_args()
    made = world(given.data, given.rows, 1, given.world)
    totals = []
    with tempfile.TemporaryDirectory() as name:
        for n_rows in (given.rows // 10, given.rows):
            folder = Path(name) / str(n_rows)
            folder.mkdir()
            taken = walked(written(made[:n_rows], folder / "rows.jsonl"), n_rows, given.data, folder)
            totals.append([sum(column) for column in zip(*taken.values(), strict=True)])
            print(f"{'all three':14} {n_rows:9,} rows {totals[-1][0]:7.1f} s {totals[-1][1]:7.1f} CPU s", flush=True)
    growth = [large / small for small, large in zip(*totals, strict=True)]
    print(f"growth: {growth[0]:.1f} in wall time, {growth[1]:.1f} in CPU time")


if __name__ == "__main__":
    main()
