"""From measurements to the tables of a report: scores, group averages, paired comparisons, levels, budgets.

Every number here is computed by limo.stages.compare from outcomes per problem and seed.

    found = outcomes(measured)
    comparisons(found, [("limo", "bulk")], groups)

What it does not do: draw, or write files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from limo.core.records import LEVELS
from limo.experiments.lab import Arm, Measurement, Outcomes
from limo.report.content import ArmRow, AverageRow, BenchmarkGroup, ComparisonRow, LevelRow, ScoreRow
from limo.stages.compare import average, compare

Measured = Mapping[str, Sequence[Measurement]]
ArmOutcomes = dict[str, dict[int, Outcomes]]


def outcomes(measured: Measured) -> ArmOutcomes:
    """Arm -> seed -> benchmark -> problem -> pass rate."""
    return {name: {one.seed: one.outcomes for one in found} for name, found in measured.items()}


def arms(measured: Measured, known: Sequence[Arm], student: str) -> list[ArmRow]:
    """What each arm is and what its training cost, by seed on average."""
    rows = []
    for arm in known:
        found = measured[arm.name]
        rows.append(
            ArmRow(
                arm.name,
                arm.label_en,
                arm.label_zh,
                model=arm.student or student,
                n_examples=found[0].n_examples,
                n_tokens=round(mean(one.n_train_tokens for one in found)),
                n_updates=found[0].n_updates,
                seconds=round(mean(one.seconds for one in found), 1),
                color=arm.name,
                headline=arm.headline,
            )
        )
    return rows


def scores(found: ArmOutcomes, benchmarks: Sequence[str]) -> list[ScoreRow]:
    """Each arm on each benchmark, over its seeds."""
    rows = []
    for name, seeds in found.items():
        for benchmark in benchmarks:
            value, low, high = average(found, name, [benchmark])
            n_problems = len(next(iter(seeds.values()))[benchmark])
            n_rollouts = n_problems * len(seeds)
            rows.append(ScoreRow(name, benchmark, value, low, high, n_problems, n_rollouts, len(seeds)))
    return rows


def averages(found: ArmOutcomes, groups: Mapping[BenchmarkGroup, Sequence[str]]) -> list[AverageRow]:
    """Each arm over each group of benchmarks, every benchmark counting once."""
    return [AverageRow(name, group, *average(found, name, names)) for name in found for group, names in groups.items()]


def comparisons(
    found: ArmOutcomes, pairs: Sequence[tuple[str, str]], groups: Mapping[BenchmarkGroup, Sequence[str]]
) -> list[ComparisonRow]:
    """First minus second of each pair, paired by problem, in each group."""
    rows = []
    for a, b in pairs:
        for group, names in groups.items():
            one = compare(found, a, b, names)
            rows.append(ComparisonRow(a, b, group, one.difference, one.low, one.high, one.separable))
    return rows


def levels(measured: Measured, found: ArmOutcomes, benchmarks: Sequence[str]) -> list[LevelRow]:
    """The level arms over all benchmarks, and how long what they wrote was."""
    rows = []
    for level in LEVELS:
        if level in found:
            n_tokens = mean(one.n_completion_tokens for one in measured[level])
            n_examples = measured[level][0].n_examples
            rows.append(LevelRow(level, *average(found, level, benchmarks), n_tokens, n_examples))
    return rows
