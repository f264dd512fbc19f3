"""What exact early stopping saves: its share of the rollouts and tokens of the whole plan, and of the optimum.

    python bench/rollouts.py ../shared/data

The outcomes are recorded: 32 rollouts of each of 577 problems (eight in each of the first four epochs of a
reinforcement run), and eight models' single completions of each of 500 problems.  A problem's rollouts are shuffled
with a fixed seed and requested in the order of limo's schedule, one at a time and 256 at a time.  The optimum is brute
force: for each problem the fewest first rollouts after which every continuation decides the same.  Tokens are counted
with completion lengths drawn from those of eight reasoning models, one length a rollout.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from limo.core.pass_rate_band import PassRateBand
from limo.core.records import Problem
from limo.rollouts.schedule import AWAIT_RESULTS, Schedule
from limo.verify.checker import Checker

N_OUTSTANDING = 256


@dataclass(frozen=True)
class RecordedOutcomes:
    """By problem id, whether each rollout is correct, and the band to decide."""

    name: str
    band: PassRateBand
    by_problem: dict[str, list[bool]]


def rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def outcomes_of_epochs(data: Path, rng: random.Random) -> dict[str, list[bool]]:
    """32 outcomes a problem, from the share of correct rollouts in each of the first four epochs, eight each."""
    by_problem = {}
    for row in rows(data / "samples/dsr_sub_acc_history_dev.jsonl.gz"):
        outcomes = [k < round(8 * share) for share in row["acc_history"][:4] for k in range(8)]
        by_problem[Problem.make(row["problem"], row["answer"]).id] = rng.sample(outcomes, len(outcomes))
    return by_problem


def outcomes_of_models(data: Path, rng: random.Random) -> dict[str, list[bool]]:
    """Eight outcomes a problem, one of each model, by limo's verifier."""
    by_problem: dict[str, list[bool]] = {}
    with Checker() as checker:
        for row in rows(data / "samples/sky_short_math500.jsonl.gz"):
            is_correct = checker.check(row["gold"], row["response"]).outcome == "correct"
            by_problem.setdefault(Problem.make(row["problem"], row["gold"]).id, []).append(is_correct)
    return {name: rng.sample(outcomes, 8) for name, outcomes in by_problem.items() if len(outcomes) == 8}


def is_kept(band: PassRateBand, outcomes: list[bool]) -> bool:
    return band.low <= sum(outcomes) <= band.high


def optimum(band: PassRateBand, outcomes: list[bool]) -> int:
    """The fewest first rollouts after which all continuations decide the same."""
    for k in range(band.n + 1):
        decisions = {band.low <= sum(outcomes[:k]) + more <= band.high for more in range(band.n - k + 1)}
        if len(decisions) == 1:
            return k
    raise AssertionError("the last rollout decides")


def request(recorded: RecordedOutcomes, n_outstanding: int) -> tuple[set[tuple[str, int]], dict[str, str | None]]:
    """The (problem id, index) that the schedule requested, and its decisions; results come in order of request."""
    problems = [Problem(name, name, "") for name in recorded.by_problem]
    schedule = Schedule(problems, recorded.band.n, recorded.band, started_first=True)
    requested: set[tuple[str, int]] = set()
    outstanding: deque[tuple[str, int]] = deque()
    while True:
        step = schedule.next_request(speculative=False) if len(outstanding) < n_outstanding else AWAIT_RESULTS
        if step is not None and step != AWAIT_RESULTS:
            outstanding.append((step[0].id, step[1]))
            requested.add(outstanding[-1])
        elif outstanding:
            name, index = outstanding.popleft()
            schedule.record(name, index, "correct" if recorded.by_problem[name][index] else "wrong")
        else:
            return requested, {name: schedule.decision(name) for name in recorded.by_problem}


def measure(recorded: RecordedOutcomes, lengths: dict[tuple[str, int], int], n_outstanding: int) -> list[str]:
    requested, decisions = request(recorded, n_outstanding)
    n_planned = len(recorded.by_problem) * recorded.band.n
    truth = {name: "keep" if is_kept(recorded.band, row) else "drop" for name, row in recorded.by_problem.items()}
    n_same = sum(truth[name] == decision for name, decision in decisions.items())
    n_optimum = sum(optimum(recorded.band, row) for row in recorded.by_problem.values())
    tokens = sum(lengths[key] for key in requested) / sum(lengths.values())
    shares = (f"{len(requested) / n_planned:.1%}", f"{tokens:.1%}", f"{n_optimum / n_planned:.1%}")
    return [str(n_outstanding), *shares, f"{len(requested) / n_optimum:.3f}", f"{n_same / len(truth):.2%}"]


def main(data: Path) -> None:
    rng = random.Random(0)
    known = [n for row in rows(data / "samples/chain_token_lengths_8models.jsonl.gz") for n in row["sample_of_lengths"]]
    epochs, models = outcomes_of_epochs(data, rng), outcomes_of_models(data, rng)
    tables = [
        RecordedOutcomes("32 rollouts", PassRateBand(1, 3, 32), epochs),
        RecordedOutcomes(
            "the first 4 rollouts", PassRateBand(0, 0, 4), {name: row[:4] for name, row in epochs.items()}
        ),
        RecordedOutcomes("8 rollouts", PassRateBand(1, 6, 8), models),
    ]
    head = ["outstanding", "rollouts", "tokens", "optimum", "of optimum", "same decision"]
    for recorded in tables:
        band = recorded.band
        lengths = {(name, index): rng.choice(known) for name in recorded.by_problem for index in range(band.n)}
        lines = [head, *(measure(recorded, lengths, n_outstanding) for n_outstanding in (1, N_OUTSTANDING))]
        widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
        n_kept = sum(is_kept(band, row) for row in recorded.by_problem.values())
        n_problems = len(recorded.by_problem)
        print(f"\n{n_problems} problems, {recorded.name}, keep {band.low} to {band.high} of {band.n}: {n_kept} kept")
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
