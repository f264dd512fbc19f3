"""What the asking itself costs: rollouts a second against a server that answers at once, beside two others.

    python bench/overhead.py ../shared/data                                   # ours alone
    python bench/overhead.py ../shared/data --datatrove PYTHON --curator PYTHON --memory 200000

The pythons are of environments with datatrove, aiosqlite and math-verify, or with bespokelabs-curator.  All ask the
same `limo serve-replay` (a process of its own) for the same recorded completions.  Ours includes the verdict and the
commit to the ledger, synced to the disk, of every rollout; what the others do is told in overhead_peers.  Ours and
another run in turn, ours first and last, and each of its runs is held against the two of ours beside it: the speed of a
machine drifts within minutes.  Milliseconds of processor time a rollout (of the asking process) are shown too, and the
server's, since it needs a core as well.

With latency the ideal rate is the smaller of what the open requests allow (so many every 50 ms) and what the same
machine reached without latency, in turn with it, be it with 256 under way or with as many as here: a client that wastes
nothing by waiting is as fast as that.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import psutil
from overhead_peers import CURATOR, DATATROVE

import limo
from limo.core.progress import NoProgress
from limo.core.records import Problem
from limo.ledger.store import Ledger
from limo.models.openai.completer import HttpCompleter
from limo.models.openai.settings import HttpSettings
from limo.rollouts.collect import collect
from limo.verify.checker import Checker

FILE, MODEL = "samples/qwen_math100_x8.jsonl.gz", "qwen2.5-math (repo example)"


@dataclass(frozen=True)
class Served:
    """A replay server in a process of its own."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


@contextmanager
def serving(file: Path, *options: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "limo.cli", "serve-replay", str(file), "--port", "0", "--repeat", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield Served(json.loads(server.stdout.readline())["url"], psutil.Process(server.pid))
        finally:
            server.terminate()


def problems(file: Path) -> list[Problem]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    return list({p.id: p for p in (Problem.make(row["problem"], row["gold"]) for row in rows)}.values())


class Watched(NoProgress):
    """Notes this process's memory as rollouts are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[tuple[int, float]] = []

    def show(self, event: object) -> None:
        n = int(getattr(event, "fields", {}).get("rollouts", 0))
        if n - (self.memory[-1][0] if self.memory else 0) >= 10_000:
            self.memory.append((n, psutil.Process().memory_info().rss / 2**20))


@dataclass(frozen=True)
class Speed:
    """Rollouts a second, and milliseconds of processor time for one: the asking process's, the server's."""

    rate: float
    cpu_ms: float
    server_ms: float

    def __str__(self) -> str:
        mine, its = f"{self.cpu_ms:.3f} ms of processor time each", f"and {self.server_ms:.3f} of the server's"
        return f"{self.rate:,.0f} rollouts/s, {mine}, {its}"


def ours(
    server: Served, pool: list[Problem], n: int, in_flight: int, n_per_request: int = 1, stream: bool = False
) -> tuple[Speed, Watched]:
    """The speed from request to commit, and the memory on the way; the checker has met every answer before."""
    settings = HttpSettings(in_flight=in_flight, n_per_request=n_per_request, stream=stream)
    watched = Watched()
    with tempfile.TemporaryDirectory() as folder, Checker() as checker:
        with Ledger(Path(folder) / "warm.sqlite") as ledger:
            collect(ledger, HttpCompleter([server.url], MODEL, settings=settings), pool, checker, n=8)
        with Ledger(Path(folder) / "ledger.sqlite") as ledger:
            completer = HttpCompleter([server.url], MODEL, settings=settings)
            began, cpu, its = time.perf_counter(), time.process_time(), server.cpu_s()
            collect(ledger, completer, pool, checker, n=n, progress=watched)
            taken, cpu, its = time.perf_counter() - began, time.process_time() - cpu, server.cpu_s() - its
            n_all = n * len(pool)
            assert len(ledger) == n_all
            failed = sum(stored.is_error for stored in ledger.outcomes(*next(ledger.rollouts()).key[1:4]))
            assert not failed, f"{failed} rollouts failed"
    return Speed(n_all / taken, 1e3 * cpu / n_all, 1e3 * its / n_all), watched


def peer(python: str, program: str, server: Served, pool: list[Problem], n: int, *more: str) -> Speed:
    """The same of another client, its start and imports left out."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "texts.json").write_text(json.dumps([p.problem for p in pool]))
        arguments, its = [server.url, MODEL, str(n), "256", folder, *more], server.cpu_s()
        command = [python, "-c", program, *arguments]
        own = os.environ | {"PYTHONPATH": str(Path(limo.__file__).parents[1])}  # for the one that takes our verdicts
        done = subprocess.run(command, capture_output=True, text=True, timeout=3000, env=own)
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr[-800:]}")
    its = server.cpu_s() - its
    return Speed(*json.loads(done.stdout.splitlines()[-1]), 1e3 * its / n / len(pool))


def middle(speeds: list[Speed]) -> Speed:
    """The medians, each of its own."""
    return Speed(*(statistics.median(getattr(one, name) for one in speeds) for name in ("rate", "cpu_ms", "server_ms")))


def compared(
    name: str, server: Served, pool: list[Problem], given: argparse.Namespace, ask: Callable[[], Speed]
) -> None:
    """A peer and ours in turn, ours first and last; what ours do for one of theirs, in the median of their runs."""
    mine, theirs = [ours(server, pool, given.n, 256)[0]], []
    for _ in range(given.rounds):
        theirs.append(ask())
        mine.append(ours(server, pool, given.n, 256)[0])
    for who, speeds in (("ours", mine), (name, theirs)):
        rates = ", ".join(f"{one.rate:,.0f}" for one in speeds)
        print(f"{who}: {middle(speeds)} (medians; rates {rates})")
    beside = [middle([*pair]) for pair in pairwise(mine)]
    ratios = sorted(us.rate / them.rate for us, them in zip(beside, theirs, strict=True))
    less = statistics.median(them.cpu_ms / us.cpu_ms for us, them in zip(beside, theirs, strict=True))
    times = f"{statistics.median(ratios):.1f} times the rate ({ratios[0]:.1f} to {ratios[-1]:.1f})"
    print(f"    ours {times}, {less:.1f} times less of a processor", flush=True)


def without_latency(given: argparse.Namespace, file: Path, pool: list[Problem]) -> None:
    """Everything against a server that answers at once."""
    fewer = max(given.n // 3, 1)
    peers: list[tuple[str, Callable[[Served], Speed]]] = []
    if given.datatrove:
        peers = [
            ("datatrove without cache", lambda s: peer(given.datatrove, DATATROVE, s, pool, given.n, "0")),
            (
                "datatrove without cache, with our verdict and our ledger",
                lambda s: peer(given.datatrove, DATATROVE, s, pool, given.n, "2", str(file.resolve())),
            ),
            ("datatrove with its request cache", lambda s: peer(given.datatrove, DATATROVE, s, pool, fewer, "1")),
        ]
    if given.curator:
        peers.append(("curator", lambda s: peer(given.curator, CURATOR, s, pool, fewer)))
    with serving(file) as server:
        speed, _ = ours(server, pool, given.n, 256)
        print(f"ours, no latency, 256 under way: {speed}", flush=True)
        for name, ask in peers:
            compared(name, server, pool, given, partial(ask, server))
        many = [ours(server, pool, 2 * given.n, 2000)[0] for _ in range(3)]
        print(f"ours, no latency, 2,000 under way: {middle(many)} (medians of 3)", flush=True)
        print(f"ours, streamed: {ours(server, pool, fewer, 256, stream=True)[0]}")
        print(f"ours, four rollouts a request: {ours(server, pool, given.n, 256, 4)[0]}", flush=True)
        if given.memory:
            speed, watched = ours(server, pool, given.memory // len(pool), 256)
            text = ", ".join(f"{n:,}: {mb:.0f}" for n, mb in watched.memory[:: max(1, len(watched.memory) // 10)])
            print(f"{given.memory:,} rollouts: {speed}; MB of memory after {text}", flush=True)


def with_latency(given: argparse.Namespace, file: Path, pool: list[Problem]) -> None:
    """50 ms before each reply, in turn with none."""
    runs = ((2000, 3 * given.n, 1), (2000, 3 * given.n, 4), (40, max(given.n // 4, 1), 1))
    with serving(file) as at_once, serving(file, "--latency-ms", "50") as later:
        for under_way, n, n_per_request in runs:
            few, many, waited = [], [], []
            for _ in range(given.rounds):
                few.append(ours(at_once, pool, n, 256, n_per_request)[0])
                waited.append(ours(later, pool, n, under_way, n_per_request)[0])
                many.append(ours(at_once, pool, n, under_way, n_per_request)[0])
            best, allowed = max(middle(few).rate, middle(many).rate), under_way / 0.05
            ideal = f"{middle(waited).rate / min(allowed, best):.0%} of the ideal {min(allowed, best):,.0f}"
            each = f", {n_per_request} a request" if n_per_request > 1 else ""
            rates = ", ".join(f"{one.rate:,.0f}" for one in waited)
            name = f"ours, 50 ms latency, {under_way:,} under way{each}"
            print(f"{name}: {middle(waited)} (medians; rates {rates}); {ideal}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--datatrove", help="a python that has datatrove, aiosqlite and math-verify")
    parser.add_argument("--curator", help="a python that has bespokelabs-curator")
    parser.add_argument("--n", type=int, default=100, help="rollouts of each of 100 problems")
    parser.add_argument("--rounds", type=int, default=3, help="times that each other client is measured")
    parser.add_argument("--memory", type=int, default=0, help="also this many rollouts, watching memory")
    given = parser.parse_args()
    for python in filter(None, (given.datatrove, given.curator)):
        if shutil.which(python) is None:
            parser.error(f"there is no such program: {python}")
    file = given.data / FILE
    pool = problems(file)
    print(f"load before: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores", flush=True)
    without_latency(given, file, pool)
    with_latency(given, file, pool)


if __name__ == "__main__":
    main()
