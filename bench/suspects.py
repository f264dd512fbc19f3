"""Wrong keys among real problems: how many are found, and how many good hard problems are taken for them.

    python bench/suspects.py ../shared/data

Two pools: GSM8K's test problems with four systems' rollouts, on which the default share of agreement was chosen, and
MATH500 with AMC23 and the rollouts of every short and long model there is, which only check it.  In each round 5% of
the keys are replaced by the answer of another problem, and the rollouts are checked against the keys as they are then.
A planted key is findable where at least that share of the rollouts with an answer gives the true one; how many are
found of all that a majority gives is printed too.  Good hard problems are those that at most a quarter of the rollouts
with an answer solve; those that none solves, which a band from 1 drops anyway, are counted apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limo.core.records import Completion, Problem, Rollout, Verdict
from limo.curate.difficulty import SuspectSettings, find_suspects
from limo.pool.sources.benchmarks import load_benchmark
from limo.verify.checker import Checker

CHOSEN_ON = "GSM8K"
SAMPLES = {
    CHOSEN_ON: ("samples/gsm8k_gpt3_x4",),
    "MATH500 and AMC23": (
        "samples/sky_short_math500", "samples/sky_short_amc23", "chains/sky_long_math500", "chains/sky_long_amc23",
    ),
}  # fmt: skip
KEYS = {"MATH500": "benchmarks/math.jsonl.gz", "AMC23": "benchmarks/amc.jsonl"}
SHARE, HARD = 0.05, 0.25


def read(folder: Path, files: Sequence[str]) -> tuple[dict[str, Problem], dict[str, list[Rollout]]]:
    """The problems by id, with the keys of their benchmarks where those are there, and their rollouts, not verified."""
    known = {problem.id: problem for name, file in KEYS.items() for problem in load_benchmark(name, folder / file)}
    problems: dict[str, Problem] = {}
    rollouts = defaultdict(list)
    for file in files:
        with gzip.open(folder / f"{file}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
            for row in map(json.loads, lines):
                problem = Problem.make(row["problem"], row["gold"])
                problems[problem.id] = known.get(problem.id, problem)
                text = Completion(row["response"])
                rollouts[problem.id].append(Rollout(problem.id, row["model"], "p", "s", row["sample"], text))
    return problems, rollouts


def verified(checker: Checker, key: str, rollouts: list[Rollout]) -> list[Rollout]:
    """The rollouts with their verdicts on `key`."""
    verdicts = checker.verify_many((Problem("", "", key), one.completion) for one in rollouts)
    return [replace(one, verdict=verdict) for one, verdict in zip(rollouts, verdicts, strict=True)]


def share_correct(rollouts: list[Rollout]) -> tuple[int, float]:
    """How many are correct, and which share of those with an answer."""
    outcomes = [one.verdict.outcome for one in rollouts if one.verdict]
    n_correct, n_answered = outcomes.count("correct"), outcomes.count("correct") + outcomes.count("wrong")
    return n_correct, n_correct / n_answered if n_answered else 0.0


def measure(problems: dict[str, Problem], raw: dict[str, list[Rollout]], rounds: int) -> None:
    """Print what is found and what is lost at several shares of agreement."""
    with Checker() as checker:
        true = {name: verified(checker, problems[name].answer, raw[name]) for name in problems}
        planted = plant(checker, problems, raw, rounds)
        shares = {name: share_correct(rollouts) for name, rollouts in true.items()}
        hard = {
            "solved by some, a quarter at most": [problems[name] for name, (_, s) in shares.items() if 0 < s <= HARD],
            "solved by none": [problems[name] for name, (n, _) in shares.items() if n == 0],
        }
        print(f"{len(problems)} problems, {sum(map(len, raw.values())):,} rollouts, {len(planted)} wrong keys planted")
        for share in (0.5, 0.6, 0.7, 0.75, 0.8, 0.9):
            settings = SuspectSettings(share=share)
            found = {id(key) for key, some in planted if find_suspects([key], {key.id: some}, settings, checker.same)}
            agree = [id(key) in found for key, _ in planted if shares[key.id][1] >= share]
            majority = [id(key) in found for key, _ in planted if shares[key.id][1] >= 0.5]
            print(f"agreement {share}: wrong keys whose rollouts agree are flagged {part(sum(agree), len(agree))}")
            print(f"    of all that a majority of rollouts contradicts {part(sum(majority), len(majority))}")
            lost = [len(find_suspects(good, true, settings, checker.same)) for good in hard.values()]
            for name, n in zip(hard, lost, strict=True):
                print(f"    good problems {name}: flagged {part(n, len(hard[name]))}")
            print(f"    good hard problems: flagged {part(sum(lost), sum(map(len, hard.values())))}")


def part(n: int, n_all: int) -> str:
    return f"{n} of {n_all}" + (f" ({n / n_all:.1%})" if n_all else "")


def main() -> None:
    """Both pools."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    for name, files in SAMPLES.items():
        print(f"== {name}" + (" (the default was chosen here)" if name == CHOSEN_ON else ""))
        measure(*read(asked.data, files), asked.rounds)


def plant(
    checker: Checker, problems: dict[str, Problem], raw: dict[str, list[Rollout]], rounds: int
) -> list[tuple[Problem, list[Rollout]]]:
    """In each round 5% of the problems with the answer of another, and their rollouts checked against that."""
    names, found = sorted(problems), []
    for seed in range(rounds):
        rng = random.Random(seed)
        for name in rng.sample(names, round(SHARE * len(names))):
            others = [problems[other].answer for other in rng.sample(names, 20)]
            wrong = next(answer for answer in others if differs(checker, problems[name].answer, answer))
            found.append((replace(problems[name], answer=wrong), verified(checker, wrong, raw[name])))
    return found


def differs(checker: Checker, one: str, other: str) -> bool:
    """Whether a key is really another answer."""
    verdict: Verdict = checker.check(one, f"\\boxed{{{other}}}")
    return verdict.outcome == "wrong"


if __name__ == "__main__":
    main()
