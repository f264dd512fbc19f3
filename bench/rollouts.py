"""What early stopping saves: rollouts and tokens over the fixed plan, and how often the decision is another.

    python bench/rollouts.py ../shared/data

Draws are real: 32 of each of 579 problems (eight attempts in each of the first four epochs of a reinforcement run) and
eight models' single answers to each of 500 problems.  A problem's recorded attempts are shuffled with a fixed seed and
handed out by the schedule that `limo` uses, with several hundred requests under way.  The optimum is brute force: for
each problem the fewest first attempts after which every continuation, tried one by one, decides the same.  Tokens are
counted with completion lengths drawn from those of eight reasoning models, one length an attempt.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from limo.core.records import Band, Problem
from limo.rollouts.schedule import LATER, Schedule
from limo.verify.checker import Checker

IN_FLIGHT = 256


@dataclass(frozen=True)
class Table:
    """Recorded outcomes: for each problem whether each attempt was right, and the band in question."""

    name: str
    band: Band
    outcomes: dict[str, list[bool]]


def rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def epochs(data: Path, rng: random.Random) -> dict[str, list[bool]]:
    """32 draws a problem from the shares of the first four epochs, eight each."""
    found = {}
    for row in rows(data / "samples/dsr_sub_acc_history_dev.jsonl.gz"):
        draws = [k < round(8 * share) for share in row["acc_history"][:4] for k in range(8)]
        found[Problem.make(row["problem"], row["answer"]).id] = rng.sample(draws, len(draws))
    return found


def models(data: Path, rng: random.Random) -> dict[str, list[bool]]:
    """Eight draws a problem, one of each model, by our own verifier."""
    found: dict[str, list[bool]] = {}
    with Checker() as checker:
        for row in rows(data / "samples/sky_short_math500.jsonl.gz"):
            name = Problem.make(row["problem"], row["gold"]).id
            found.setdefault(name, []).append(checker.check(row["gold"], row["response"]).outcome == "correct")
    return {name: rng.sample(draws, len(draws)) for name, draws in found.items() if len(draws) == 8}


def decided(band: Band, draws: list[bool]) -> bool:
    return band.low <= sum(draws) <= band.high


def optimum(band: Band, draws: list[bool]) -> int:
    """The fewest first draws after which all ways to go on decide the same; only their number of right ones matters."""
    for k in range(band.n + 1):
        ends = {band.low <= sum(draws[:k]) + more <= band.high for more in range(band.n - k + 1)}
        if len(ends) == 1:
            return k
    raise AssertionError("the last draw decides")


def ask(table: Table, max_error: float, in_flight: int) -> tuple[set[tuple[str, int]], dict[str, str | None]]:
    """Which attempts the schedule asked for, and what it decided; answers come in the order of the questions."""
    schedule = Schedule([Problem(name, name, "") for name in table.outcomes], table.band.n, table.band, max_error, True)
    asked: set[tuple[str, int]] = set()
    under_way: deque[tuple[str, int]] = deque()
    while True:
        wanted = schedule.next(eager=False) if len(under_way) < in_flight else LATER
        if wanted is not None and wanted != LATER:
            problem, index = wanted
            under_way.append((problem.id, index))
            asked.add((problem.id, index))
        elif under_way:
            name, index = under_way.popleft()
            schedule.answered(name, index, "correct" if table.outcomes[name][index] else "wrong")
        else:
            return asked, {name: schedule.decision(name)[0] for name in table.outcomes}


def measured(table: Table, lengths: dict[tuple[str, int], int], max_error: float, in_flight: int) -> list[str]:
    asked, decisions = ask(table, max_error, in_flight)
    n_all = len(table.outcomes) * table.band.n
    truth = {name: "keep" if decided(table.band, draws) else "drop" for name, draws in table.outcomes.items()}
    n_same = sum(truth[name] == decision for name, decision in decisions.items())
    best = sum(optimum(table.band, draws) for draws in table.outcomes.values())
    tokens = sum(lengths[one] for one in asked) / sum(lengths.values())
    rule = f"max_error {max_error:.0%}" if max_error else "exact"
    kept = sum(decision == "keep" for decision in decisions.values())
    wrongly = sum(decisions[name] == "keep" and truth[name] == "drop" for name in truth)
    shares = (f"{len(asked) / n_all:.1%}", f"{tokens:.1%}", f"{len(asked) / best:.3f}")
    return [rule, str(in_flight), *shares, f"{n_same / len(truth):.2%}", f"{kept} ({wrongly} wrongly)"]


def main(data: Path) -> None:
    rng = random.Random(0)
    known = [n for row in rows(data / "samples/chain_token_lengths_8models.jsonl.gz") for n in row["sample_of_lengths"]]
    of_epochs, of_models = epochs(data, rng), models(data, rng)
    tables = [
        Table("579 problems, 32 draws", Band(1, 3, 32), of_epochs),
        Table("579 problems, first 4 draws", Band(0, 0, 4), {name: draws[:4] for name, draws in of_epochs.items()}),
        Table("500 problems, 8 draws", Band(1, 6, 8), of_models),
    ]
    head = ["rule", "under way", "rollouts", "tokens", "of optimum", "same decision", "kept"]
    for table in tables:
        b = table.band
        lengths = {(name, index): rng.choice(known) for name in table.outcomes for index in range(b.n)}
        arms = [(0.0, 1), (0.0, IN_FLIGHT), (0.01, IN_FLIGHT), (0.05, IN_FLIGHT)]
        lines = [head, *(measured(table, lengths, error, in_flight) for error, in_flight in arms)]
        widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
        n_kept = sum(decided(b, draws) for draws in table.outcomes.values())
        print(f"\n{table.name}, {b.low} to {b.high} of {b.n}: {n_kept} of {len(table.outcomes)} kept by all draws")
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
