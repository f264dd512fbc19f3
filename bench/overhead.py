"""What requesting rollouts costs, beside datatrove's runner with its request cache and Bespoke Curator.

    python bench/overhead.py ../shared/data                                       # ours alone
    python bench/overhead.py ../shared/data --datatrove PYTHON --curator PYTHON

The pythons are of environments with datatrove and what its cache needs without saying so (aiofiles, aiosqlite, httpx,
orjson, xxhash), or with bespokelabs-curator.  All request the same recorded completions from the same `limo
serve-replay`, a process of its own that replies at once, with 256 requests in flight.  Ours includes the verdict and
the commit of every rollout; what the others do is said in overhead_peers.
Goal: 3 times the rate of each.  A peer runs between two runs of ours and is compared with their mean, since the speed
of a machine drifts within minutes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from overhead_peers import CURATOR, DATATROVE

from limo.core.records import Problem
from limo.ledger.store import Ledger
from limo.models.openai.completer import HttpCompleter
from limo.models.openai.settings import HttpSettings
from limo.rollouts.collect import collect_rollouts
from limo.verify.checker import Checker

FILE, MODEL, IN_FLIGHT = "samples/qwen_math100_x8.jsonl.gz", "qwen2.5-math (repo example)", 256
Speed = tuple[float, float]  # rollouts a second, milliseconds of the client's processor time for one


@contextmanager
def serving(file: Path) -> Iterator[str]:
    """The base URL of a replay server in a process of its own."""
    command = [sys.executable, "-m", "limo", "serve-replay", str(file), "--port", "0", "--repeat", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def read_problems(file: Path) -> list[Problem]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    return list({p.id: p for p in (Problem.make(row["problem"], row["gold"]) for row in rows)}.values())


def ours(url: str, problems: list[Problem], n: int, **settings: object) -> Speed:
    """From request to commit; the checker has seen every answer before."""
    completer = HttpCompleter([url], MODEL, settings=HttpSettings(in_flight=IN_FLIGHT, **settings))
    with tempfile.TemporaryDirectory() as folder, Checker() as checker:
        with Ledger(Path(folder) / "warm.sqlite") as ledger:
            collect_rollouts(ledger, completer, problems, checker, n=8)
        with Ledger(Path(folder) / "ledger.sqlite") as ledger:
            began_s, cpu_s = time.perf_counter(), time.process_time()
            collect_rollouts(ledger, completer, problems, checker, n=n)
            taken_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
            n_all = n * len(problems)
            assert sum(rollout.completion.finish_reason != "error" for rollout in ledger.rollouts()) == n_all
    return n_all / taken_s, 1e3 * cpu_s / n_all


def peer(python: str, program: str, url: str, problems: list[Problem], n: int) -> Speed:
    """The same of another client, its start and imports left out."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "texts.json").write_text(json.dumps([problem.problem for problem in problems]))
        command = [python, "-c", program, url, MODEL, str(n), str(IN_FLIGHT), folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr[-800:]}")
    rate, cpu_ms = json.loads(done.stdout.splitlines()[-1])
    return rate, cpu_ms


def report(name: str, speeds: list[Speed]) -> None:
    rate, cpu_ms = (statistics.median(values) for values in zip(*speeds, strict=True))
    rates = ", ".join(f"{speed[0]:,.0f}" for speed in speeds)
    print(f"{name}: {rate:,.0f} rollouts/s, {cpu_ms:.2f} ms of processor time each (of {rates})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--datatrove", help="a python that has datatrove and what its cache needs")
    parser.add_argument("--curator", help="a python that has bespokelabs-curator")
    parser.add_argument("--n", type=int, default=60, help="rollouts of each of 100 problems; a third of it for peers")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each peer")
    given = parser.parse_args()
    file = given.data / FILE
    problems = read_problems(file)
    peers = [("datatrove with its request cache", given.datatrove, DATATROVE), ("Curator", given.curator, CURATOR)]
    with serving(file) as url:
        report("ours, four rollouts a request", [ours(url, problems, given.n, n_per_request=4)])
        report("ours, streamed", [ours(url, problems, given.n // 3, stream=True)])
        for name, python, program in peers:
            mine, theirs = [ours(url, problems, given.n)], []
            for _ in range(given.rounds if python else 0):
                theirs.append(peer(python, program, url, problems, given.n // 3))
                mine.append(ours(url, problems, given.n))
            report("ours", mine)
            if theirs:
                report(name, theirs)
                beside = [(before + after) / 2 for (before, _), (after, _) in pairwise(mine)]
                ratios = sorted(rate / them for rate, (them, _) in zip(beside, theirs, strict=True))
                print(f"    ours {statistics.median(ratios):.1f} times the rate ({ratios[0]:.1f} to {ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
