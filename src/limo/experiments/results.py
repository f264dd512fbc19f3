"""Measurements of arms, and the rows of a report that follow from them.

Every number is computed by `limo.stages.compare` from pass rates per benchmark, seed and problem.

    comparison_rows(measured, [("limo", "bulk")], {"all": ["pocket-bus", "pocket-shop"]})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from limo.core.records import LEVELS, Provenance
from limo.experiments.arms import Arm, Experiment
from limo.report.content import (
    ArmRow,
    AverageRow,
    BenchmarkGroup,
    BenchmarkRow,
    ComparisonRow,
    LevelRow,
    LocalizedText,
    Report,
    ScoreRow,
)
from limo.stages.compare import average, compare_table
from limo.stages.evaluate import Evaluation

Groups = Mapping[BenchmarkGroup, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The scores of one arm with one training seed, and the cost of its training.

    `outcomes`: benchmark -> problem id -> pass rate in 0..1; `provenance`: benchmark -> the rollouts behind it.
    `n_train_tokens`: tokens that passed through the model in training, all epochs; `seconds`: of training;
    `n_completion_tokens`: mean length of the completions, each benchmark counting once.
    """

    arm: str
    seed: int
    outcomes: dict[str, dict[str, float]]
    n_examples: int = 0
    n_train_tokens: int = 0
    n_updates: int = 0
    seconds: float = 0.0
    n_completion_tokens: float = 0.0
    provenance: dict[str, Provenance] = field(default_factory=dict)

    @classmethod
    def of(cls, arm: str, seed: int, evaluations: Sequence[Evaluation], **cost: Any) -> Measurement:
        """The measurement that evaluations of every benchmark amount to."""
        outcomes = {evaluation.score.benchmark: evaluation.rate_by_problem for evaluation in evaluations}
        scores = [evaluation.score for evaluation in evaluations]
        provenance = {score.benchmark: score.provenance for score in scores if score.provenance}
        length = sum(evaluation.n_tokens_mean for evaluation in evaluations) / len(evaluations)
        return cls(arm, seed, outcomes, n_completion_tokens=length, provenance=provenance, **cost)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Measurement:
        """The measurement that `dataclasses.asdict` made these values of."""
        provenance = {name: Provenance(**origin) for name, origin in values.get("provenance", {}).items()}
        return cls(**{**values, "provenance": provenance})


Measured = Mapping[str, Sequence[Measurement]]  # arm -> one measurement a seed


def build_report(
    title: LocalizedText,
    benchmarks: list[BenchmarkRow],
    experiments: Iterable[Experiment],
    measured: Measured,
    student: str,
    **rest: Any,
) -> Report:
    """A report with every table that follows from the measurements; `rest` are the other parts of `Report`."""
    groups: dict[BenchmarkGroup, list[str]] = {"in-domain": [], "out-of-domain": []}
    for row in benchmarks:
        groups[row.group].append(row.name)
    groups["all"] = groups["in-domain"] + groups["out-of-domain"]
    arms = [arm for experiment in experiments for arm in experiment.arms]
    pairs = [pair for experiment in experiments for pair in experiment.pairs]
    return Report(
        title=title,
        arms=[arm_row(arm, measured[arm.name], student) for arm in arms],
        benchmarks=benchmarks,
        scores=score_rows(measured, groups["all"]),
        averages=average_rows(measured, groups),
        comparisons=comparison_rows(measured, pairs, groups),
        levels=level_rows(measured, groups["all"]),
        **rest,
    )


def arm_row(arm: Arm, measurements: Sequence[Measurement], student: str) -> ArmRow:
    """An arm and the cost of its training, the mean over its seeds."""
    first = measurements[0]
    return ArmRow(
        arm.name, arm.label_en, arm.label_zh, arm.student or student, first.n_examples,
        n_tokens=round(mean(measurement.n_train_tokens for measurement in measurements)),
        n_updates=first.n_updates, color=arm.name, headline=arm.headline,
        seconds=round(mean(measurement.seconds for measurement in measurements), 1),
    )  # fmt: skip


def score_rows(measured: Measured, benchmarks: Sequence[str]) -> list[ScoreRow]:
    """Each arm on each benchmark, over its seeds."""
    outcomes, rows = _outcomes(measured), []
    for arm, measurements in measured.items():
        for benchmark in benchmarks:
            n_problems, n_seeds = len(measurements[0].outcomes[benchmark]), len(measurements)
            sizes = (n_problems, n_problems * n_seeds, n_seeds)
            interval = average(outcomes, arm, [benchmark]).interval
            rows.append(ScoreRow(arm, benchmark, *interval, *sizes, _provenance(measurements, [benchmark])))
    return rows


def average_rows(measured: Measured, groups: Groups) -> list[AverageRow]:
    """Each arm over each group of benchmarks, every benchmark counting once."""
    outcomes = _outcomes(measured)
    return [
        AverageRow(arm, group, *average(outcomes, arm, names).interval, _provenance(measurements, names))
        for arm, measurements in measured.items()
        for group, names in groups.items()
    ]


def comparison_rows(measured: Measured, pairs: Sequence[tuple[str, str]], groups: Groups) -> list[ComparisonRow]:
    """First minus second of each pair, paired by problem, in each group; p values adjusted over all of them."""
    found = compare_table(_outcomes(measured), pairs, list(groups.values()))
    rows, places = [], [(a, b, group) for a, b in pairs for group in groups]
    for (a, b, group), result in zip(places, found, strict=True):
        provenance = _provenance([*measured[a], *measured[b]], groups[group])
        interval = (result.difference, result.low, result.high)
        rows.append(ComparisonRow(a, b, group, *interval, result.separable, provenance=provenance))
    return rows


def level_rows(measured: Measured, benchmarks: Sequence[str]) -> list[LevelRow]:
    """The arms of one level over all benchmarks, with the mean length of their completions."""
    outcomes, rows = _outcomes(measured), []
    for level in LEVELS:
        if measurements := measured.get(level):
            n_tokens = mean(measurement.n_completion_tokens for measurement in measurements)
            interval, provenance = average(outcomes, level, benchmarks).interval, _provenance(measurements, benchmarks)
            rows.append(LevelRow(level, *interval, n_tokens, measurements[0].n_examples, provenance))
    return rows


def _outcomes(measured: Measured) -> dict[str, dict[int, dict[str, dict[str, float]]]]:
    """Arm -> seed -> benchmark -> problem id -> pass rate."""
    return {arm: {row.seed: row.outcomes for row in measurements} for arm, measurements in measured.items()}


def _provenance(measurements: Sequence[Measurement], benchmarks: Sequence[str]) -> list[Provenance]:
    """Where the rollouts of the benchmarks are, each place once."""
    named = (row.provenance.get(benchmark) for row in measurements for benchmark in benchmarks)
    return list(dict.fromkeys(origin for origin in named if origin))
