"""What the asking itself costs: rollouts a second against a server that answers at once, beside datatrove's runner.

    python bench/overhead.py ../shared/data                                   # ours alone
    python bench/overhead.py ../shared/data --peer /path/to/venv/bin/python   # an environment with datatrove, aiosqlite

Both ask the same `limo serve-replay` (a process of its own) for the same recorded completions.  Ours includes the
verdict and the commit to the ledger, synced to the disk, of every rollout.  The peer's runner is given its best case:
no verdicts, and once with and once without the request cache that lets it resume.  Ratios are what counts: all ran on
the same machine in the same minutes.  Milliseconds of processor time a rollout (of the asking process) are shown too,
since they hardly depend on what else the machine is doing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from limo.ledger import Ledger
from limo.progress import Silent
from limo.records import Problem
from limo.rollouts.http import HttpCompleter
from limo.rollouts.run import collect
from limo.rollouts.served import HttpSettings
from limo.verify.check import Checker

FILE, MODEL = "samples/qwen_math100_x8.jsonl.gz", "qwen2.5-math (repo example)"
PEER = """
import asyncio, json, sys, time
from loguru import logger
logger.remove()
from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
url, model, n, in_flight, folder, cache = sys.argv[1:7]
texts = json.load(open(folder + "/texts.json"))

async def rollout(document, generate):
    found = await generate({"messages": [{"role": "user", "content": document.text}], "max_tokens": 512})
    return {"text": found.text, "finish_reason": found.finish_reason}

config = InferenceConfig("endpoint", model, endpoint_url=url.removesuffix("/v1"), rollouts_per_document=int(n),
    max_concurrent_generations=int(in_flight), metric_interval=10**6)
out = JsonlWriter(folder + "/out", output_filename="${rank}_chunk_${chunk_index}.jsonl", compression=None)
runner = InferenceRunner(rollout, config, out, checkpoints_local_dir=folder + "/cache" if cache == "1" else None)
documents = [Document(text=text, id=str(k)) for k, text in enumerate(texts)]
began, cpu = time.perf_counter(), time.process_time()
runner.run(documents)
n_all = len(texts) * int(n)
print(json.dumps([n_all / (time.perf_counter() - began), 1e3 * (time.process_time() - cpu) / n_all]))
"""


@contextmanager
def serving(file: Path, *options: str) -> Iterator[str]:
    """The base URL of a replay server in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "limo.cli",
        "serve-replay",
        str(file),
        "--port",
        "0",
        "--repeat",
        "--json",
        *options,
    ]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def problems(file: Path) -> list[Problem]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    return list({p.id: p for p in (Problem.make(row["problem"], row["gold"]) for row in rows)}.values())


class Watched(Silent):
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
    """Rollouts a second, and milliseconds of processor time for one."""

    rate: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f} rollouts/s, {self.cpu_ms:.2f} ms of processor time each"


def ours(url: str, pool: list[Problem], n: int, in_flight: int, n_per_request: int = 1) -> tuple[Speed, Watched]:
    """The speed from request to commit, and the memory on the way; the checker has met every answer before."""
    settings = HttpSettings(in_flight=in_flight, n_per_request=n_per_request)
    watched = Watched()
    with tempfile.TemporaryDirectory() as folder, Checker() as checker:
        with Ledger(Path(folder) / "warm.sqlite") as ledger:
            collect(ledger, HttpCompleter([url], MODEL, settings=settings), pool, n=8, checker=checker)
        with Ledger(Path(folder) / "ledger.sqlite") as ledger:
            completer = HttpCompleter([url], MODEL, settings=settings)
            began, cpu = time.perf_counter(), time.process_time()
            collect(ledger, completer, pool, n=n, checker=checker, progress=watched)
            taken, cpu = time.perf_counter() - began, time.process_time() - cpu
            assert len(ledger) == n * len(pool)
            failed = sum(failed for _, _, failed, _, _ in ledger.outcomes(*next(ledger.rollouts()).key[1:4]))
            assert not failed, f"{failed} rollouts failed"
    return Speed(n * len(pool) / taken, 1e3 * cpu / n / len(pool)), watched


def peer(python: str, url: str, pool: list[Problem], n: int, in_flight: int, cache: bool) -> Speed:
    """The same of datatrove's runner, its start and imports left out."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "texts.json").write_text(json.dumps([p.problem for p in pool]))
        arguments = [url, MODEL, str(n), str(in_flight), folder, str(int(cache))]
        done = subprocess.run([python, "-c", PEER, *arguments], capture_output=True, text=True, timeout=3000)
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr[-800:]}")
    return Speed(*json.loads(done.stdout.splitlines()[-1]))


def times(mine: Speed, theirs: Speed) -> str:
    return f"{mine.rate / theirs.rate:.1f} times the rate, {mine.cpu_ms / theirs.cpu_ms:.2f} times the processor time"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--peer", help="a python that has datatrove")
    parser.add_argument("--n", type=int, default=60, help="rollouts of each of 100 problems")
    parser.add_argument("--memory", type=int, default=0, help="also this many rollouts, watching memory")
    given = parser.parse_args()
    file = given.data / FILE
    pool = problems(file)
    print(f"load before: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    with serving(file) as url:
        speed, _ = ours(url, pool, given.n, 256)
        print(f"ours, no latency, 256 under way: {speed}")
        several, _ = ours(url, pool, given.n, 256, 4)
        print(f"ours, four rollouts a request: {several}")
        if given.peer:
            for cache in (False, True):
                theirs = peer(given.peer, url, pool, max(given.n // 3, 1), 256, cache)
                print(f"datatrove, request cache {cache}: {theirs}; ours {times(speed, theirs)}")
        again, _ = ours(url, pool, given.n, 256)
        print(f"ours once more: {again}")
        if given.memory:
            speed_long, watched = ours(url, pool, given.memory // len(pool), 256)
            text = ", ".join(f"{n:,}: {mb:.0f}" for n, mb in watched.memory[:: max(1, len(watched.memory) // 8)])
            print(f"{given.memory:,} rollouts at {speed_long}; MB of memory after {text}")
    with serving(file, "--latency-ms", "50") as url:
        slow, _ = ours(url, pool, given.n, 2000)
        ideal = min(2000 / 0.05, max(speed.rate, again.rate))
        print(f"ours, 50 ms latency, 2,000 under way: {slow}, {slow.rate / ideal:.0%} of ideal {ideal:,.0f}")
        few, _ = ours(url, pool, max(given.n // 4, 1), 40)
        print(f"ours, 50 ms latency, 40 under way: {few}, {few.rate / 800:.0%} of the ideal 800")


if __name__ == "__main__":
    main()
