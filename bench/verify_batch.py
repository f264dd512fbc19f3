"""A long batch on one core and on two: rows per second, memory over time, and whether the rows kept their order.

    python bench/verify_batch.py ../shared/data --rows 100000

The rows are recorded completions, repeated with a number of their own until there are enough; without that folder,
made ones.  Each run is the command `limo verify FILE -o OUT --workers N`; runs of one worker and of two take turns, and
the ratio of each such pair is printed with their median.  The processor time of other processes says how far to trust
it.  Memory is that of the command and its children together.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import psutil

from verify import rows as recorded


def rows(folder: Path) -> Iterator[tuple[str, str]]:
    """(answer, completion), without end."""
    if (folder / "samples").is_dir():
        yield from cycle(list(recorded(folder)))
    print("made rows: there are no recorded completions in", folder)
    for n in cycle(range(5000)):
        yield (
            f"\\frac{{{n}}}{{7}}",
            f"Adding up, {n} over 7 is what is left. So it is \\boxed{{{n}/7}}." + " Check." * 60,
        )


def write(path: Path, folder: Path, n_rows: int) -> None:
    """A file of so many rows, each with its number."""
    with open(path, "w", encoding="utf-8") as out:
        for number, (answer, completion) in enumerate(islice(rows(folder), n_rows)):
            out.write(json.dumps({"number": number, "answer": answer, "completion": completion}) + "\n")


def measured(source: Path, out: Path, n_workers: int) -> tuple[float, float, float, list[int]]:
    """Wall seconds of one run, its processor seconds, those of other processes, its memory in bytes over time."""
    out.unlink(missing_ok=True)  # replacing an old file would cost time
    all_before_s, own_before_s = processor_s(), children_s()
    command = [sys.executable, "-m", "limo", "verify", str(source), "-o", str(out), "--workers", str(n_workers)]
    start, used = time.perf_counter(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched, done = psutil.Process(process.pid), threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            try:
                used.append(sum(p.memory_info().rss for p in [watched, *watched.children(recursive=True)]))
            except psutil.Error:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"limo verify ended with {code}")
    own_s = children_s() - own_before_s
    return seconds, own_s, max(0.0, processor_s() - all_before_s - own_s), used


def processor_s() -> float:
    """Seconds that all cores have worked."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def children_s() -> float:
    """Processor seconds of the processes that this one started and that have ended, grandchildren included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_order(out: Path) -> bool:
    """Whether the rows stand as they were given."""
    with open(out, encoding="utf-8", newline="\n") as lines:
        return all(json.loads(line)["number"] == number for number, line in enumerate(lines))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, nargs="?", default=Path("../shared/data"), help="samples/ and chains/ lie here"
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=1, help="runs of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "rows.jsonl", Path(folder) / "out.jsonl"
        write(source, arguments.data, arguments.rows)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(arguments.times):
            for n_workers in seconds:
                took_s, own_s, others_s, used = measured(source, out, n_workers)
                seconds[n_workers].append(took_s)
                half = len(used) // 2
                early, late = (max(part, default=0) >> 20 for part in (used[:half], used[half:]))
                print(
                    f"{n_workers} workers: {arguments.rows / took_s:7.0f} rows/s ({took_s:.1f} s; processor time "
                    f"{own_s:.1f} s, of other processes {others_s:.1f} s); most memory "
                    f"{early} MiB in the first half, {late} MiB in the second; order kept: {in_order(out)}"
                )
    ratios = [one_worker_s / two_workers_s for one_worker_s, two_workers_s in zip(seconds[1], seconds[2], strict=True)]
    print(f"two cores over one: {median(ratios):.2f}x, the median of {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
