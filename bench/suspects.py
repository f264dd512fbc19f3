"""Wrong keys among real problems: how many are found, and how many good hard problems are taken for them.

    python bench/suspects.py ../shared/data

The pool is MATH500 and AMC23 with the recorded rollouts of every short and long model there is.  In each round 5% of
the keys are replaced by the answer of another problem, and the rollouts are checked against the keys as they are then.
Two kinds of good hard problems are counted apart: those that one or
two rollouts solve, which a band would keep, and those that none solves, which a band from 1 drops anyway.  A planted
key is findable where at least that share of the rollouts with an answer gives the true one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from limo.curate.difficulty import SuspectSettings, suspects
from limo.pool.benchmarks import load_benchmark
from limo.records import Completion, Problem, Rollout, Verdict, problem_id
from limo.verify.check import Checker

FILES = ("samples/sky_short_math500", "samples/sky_short_amc23", "chains/sky_long_math500", "chains/sky_long_amc23")
POOL = {"MATH500": "benchmarks/math.jsonl.gz", "AMC23": "benchmarks/amc.jsonl"}
SHARE = 0.05


def read(folder: Path) -> tuple[dict[str, Problem], dict[str, list[Rollout]]]:
    """The problems by id, with the keys of their benchmarks, and their rollouts, not verified yet."""
    pool = [load_benchmark(name, folder / file) for name, file in POOL.items()]
    problems = {problem.id: problem for some in pool for problem in some}
    rollouts = defaultdict(list)
    for name in FILES:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
            for row in map(json.loads, lines):
                name, text = problem_id(row["problem"]), Completion(row["response"])
                if name in problems:
                    rollouts[name].append(Rollout(name, row["model"], "p", "s", row["sample"], text))
    return {name: problems[name] for name in rollouts}, rollouts


def verified(checker: Checker, key: str, rollouts: list[Rollout]) -> list[Rollout]:
    """The rollouts with their verdicts on `key`."""
    verdicts = checker.check_many((key, one.completion.text, "stop") for one in rollouts)
    return [replace(one, verdict=verdict) for one, verdict in zip(rollouts, verdicts, strict=True)]


def share_correct(rollouts: list[Rollout]) -> tuple[int, float]:
    """How many are correct, and which share of those with an answer."""
    outcomes = [one.verdict.outcome for one in rollouts if one.verdict]
    n_correct, n_answered = outcomes.count("correct"), outcomes.count("correct") + outcomes.count("wrong")
    return n_correct, n_correct / n_answered if n_answered else 0.0


def main() -> None:
    """Print what is found and what is lost at several shares of agreement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    problems, raw = read(asked.data)
    with Checker() as checker:
        true = {name: verified(checker, problems[name].answer, raw[name]) for name in problems}
        planted = plant(checker, problems, raw, asked.rounds)
    shares = {name: share_correct(rollouts) for name, rollouts in true.items()}
    hard = {
        "solved by 1 or 2": [problems[name] for name, (n, _) in shares.items() if 1 <= n <= 2],
        "solved by none": [problems[name] for name, (n, _) in shares.items() if n == 0],
    }
    print(f"{len(problems)} problems, {sum(map(len, raw.values())):,} rollouts, {len(planted)} wrong keys planted")
    for share in (0.5, 0.6, 0.7):
        settings = SuspectSettings(share=share)
        agree = [(key, some) for key, some in planted if shares[key.id][1] >= share]
        found = sum(bool(suspects([key], {key.id: some}, settings)) for key, some in agree)
        what = "wrong keys whose rollouts agree are flagged"
        print(f"agreement {share}: {found} of {len(agree)} {what} ({found / len(agree):.1%})")
        for name, good in hard.items():
            lost = len(suspects(good, true, settings))
            print(f"    good problems {name}: {lost} of {len(good)} flagged ({lost / len(good):.1%})")


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
