"""Measurements of arms, and the rows of a report that follow from them.

Every number is computed by `limo.stages.compare` from pass rates per benchmark, seed and problem.

    comparison_rows(measured, [("limo", "bulk")], {"all": ["pocket-bus", "pocket-shop"]})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from limo.core.records import LEVELS, Problem, Provenance, Rollout
from limo.core.stats import Interval
from limo.experiments.arms import Arm
from limo.experiments.transforms import split_steps
from limo.report.content import ArmRow, BenchmarkGroup, BenchmarkRow, ComparisonRow, LevelRow, LocalizedText, Report
from limo.stages.compare import average, compare_table
from limo.stages.evaluate import Evaluation
from limo.stages.reports.scores import Groups, Sources, average_rows, comparison_row, origins, score_rows

Rates = dict[str, dict[str, float]]
"""Benchmark -> problem id -> share of rollouts in 0..1."""
Counts = dict[str, dict[str, tuple[int, int]]]
"""Benchmark -> problem id -> (rollouts that count, all rollouts)."""
PassRates = Annotated[Rates, Field(alias="outcomes")]  # the key in files
RateName = Literal["pass_rates", "note_rates"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A checkpoint of a training: the updates and matrix operations that it took so far, and its pass rates."""

    n_updates: int
    flops: float
    pass_rates: PassRates


@dataclass(frozen=True, slots=True)
class Measurement:
    """The scores of one arm with one training seed, and the cost of its training.

    `arm_hash`: of the arm that was measured; `note_rates`: of completions in the form of a note;
    `steps`: steps that are right, where the lab knows them; `sound`: (rollouts whose answer and every step are right,
    rollouts); `counts`: (correct, decided) rollouts, of an arm that was sampled; `provenance`: benchmark -> the
    rollouts behind it; `points`: the checkpoints on the way.  `n_train_tokens`: tokens that passed through the model in
    training, all epochs; `seconds`, `flops`: of training; `n_completion_tokens`: mean length of the completions, each
    benchmark counting once.
    """

    arm: str
    seed: int
    pass_rates: PassRates
    arm_hash: str = ""
    note_rates: Annotated[Rates, Field(alias="notes")] = field(default_factory=dict)
    steps: Rates = field(default_factory=dict)
    sound: Counts = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)
    n_examples: int = 0
    n_train_tokens: int = 0
    n_updates: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    n_completion_tokens: float = 0.0
    provenance: dict[str, Provenance] = field(default_factory=dict)
    points: list[CurvePoint] = field(default_factory=list)

    @classmethod
    def from_evaluations(
        cls, arm: str, seed: int, evaluations: Sequence[Evaluation], is_sampled: bool = False, **rest: Any
    ) -> Measurement:
        """The measurement that evaluations of every benchmark amount to; `is_sampled`: counts are kept."""
        scores = [evaluation.score for evaluation in evaluations]
        of_counts = (
            {name: (one.n_correct_by_problem[name], n) for name, n in one.n_decided_by_problem.items()}
            for one in evaluations
        )
        names = [score.benchmark for score in scores]
        return cls(
            arm,
            seed,
            {evaluation.score.benchmark: evaluation.rate_by_problem for evaluation in evaluations},
            counts=dict(zip(names, of_counts, strict=True)) if is_sampled else {},
            n_completion_tokens=mean(evaluation.n_tokens_mean for evaluation in evaluations),
            provenance={score.benchmark: score.provenance for score in scores if score.provenance},
            **rest,
        )

    def to_json(self) -> dict[str, Any]:
        """As it is stored: pass rates as `outcomes`, rates of notes as `notes`."""
        values: dict[str, Any] = TypeAdapter(Measurement).dump_python(self, mode="json", by_alias=True)
        return values


def note_rates(rollouts: Iterable[Rollout], benchmarks: Mapping[str, Sequence[Problem]]) -> Rates:
    """The share of completions in the form of a note: more than one step, ended by itself, an answer in the end."""
    found: dict[str, list[bool]] = {}
    for rollout in rollouts:
        is_note = rollout.outcome in ("correct", "wrong") and len(split_steps(rollout.completion.text)) > 1
        found.setdefault(rollout.problem_id, []).append(is_note)
    return {
        name: {problem.id: mean(found[problem.id]) for problem in problems if problem.id in found}
        for name, problems in benchmarks.items()
    }


def step_rates(
    rollouts: Iterable[Rollout],
    benchmarks: Mapping[str, Sequence[Problem]],
    step_accuracy: Callable[[Problem, str], float],
) -> dict[str, Any]:
    """The fields `steps` and `sound` of a measurement."""
    problems = {problem.id: problem for of in benchmarks.values() for problem in of}
    found: dict[str, list[tuple[float, bool]]] = {}
    for rollout in rollouts:
        share = step_accuracy(problems[rollout.problem_id], rollout.completion.text)
        found.setdefault(rollout.problem_id, []).append((share, rollout.outcome == "correct" and share == 1))
    steps: Rates = {}
    sound: Counts = {}
    for name, of in benchmarks.items():
        rows = {problem.id: found[problem.id] for problem in of if problem.id in found}
        steps[name] = {problem: mean(share for share, _ in row) for problem, row in rows.items()}
        sound[name] = {problem: (sum(is_sound for _, is_sound in row), len(row)) for problem, row in rows.items()}
    return {"steps": steps, "sound": sound}


Measured = Mapping[str, Sequence[Measurement]]  # arm -> one measurement a seed


def group_benchmarks(benchmarks: Iterable[BenchmarkRow]) -> dict[BenchmarkGroup, list[str]]:
    """The names of the benchmarks by group that has some, and of all."""
    groups: dict[BenchmarkGroup, list[str]] = {"in-domain": [], "out-of-domain": []}
    for row in benchmarks:
        groups[row.group].append(row.name)
    groups |= {"all": groups["in-domain"] + groups["out-of-domain"]}
    return {group: names for group, names in groups.items() if names}


def build_report(
    title: LocalizedText,
    benchmarks: list[BenchmarkRow],
    arms: Iterable[Arm],
    pairs: Sequence[tuple[str, str]],
    measured: Measured,
    student: str,
    **rest: Any,
) -> Report:
    """A report with every table that follows from the measurements; `rest` are the other parts of `Report`."""
    groups, pass_rates, sources = group_benchmarks(benchmarks), rates_of(measured), sources_of(measured)
    n_sampled = {
        (arm, name): sum(n for row in rows for _, n in row.counts[name].values())
        for arm, rows in measured.items()
        for name in rows[0].counts
    }
    return Report(
        title=title,
        arms=[arm_row(arm, measured[arm.name], student) for arm in arms],
        benchmarks=benchmarks,
        scores=score_rows(pass_rates, sources, n_sampled),
        averages=average_rows(pass_rates, groups, sources),
        comparisons=comparison_rows(measured, pairs, groups),
        levels=level_rows(measured, groups["all"]),
        **rest,
    )


def arm_row(arm: Arm, measurements: Sequence[Measurement], student: str) -> ArmRow:
    """An arm and the cost of its training, the mean over its seeds."""
    first = measurements[0]
    trained = arm.training.student if arm.training else ""
    return ArmRow(
        arm.name, *arm.label, trained or arm.student or student, first.n_examples,
        n_tokens=round(mean(measurement.n_train_tokens for measurement in measurements)),
        n_updates=first.n_updates, color=arm.name, headline=arm.is_headline,
        seconds=round(mean(measurement.seconds for measurement in measurements), 1),
    )  # fmt: skip


def sources_of(measured: Measured) -> Sources:
    """Arm and benchmark -> where the rollouts of its seeds are."""
    sources: dict[tuple[str, str], list[Provenance]] = {}
    for arm, measurements in measured.items():
        for benchmark, origin in (item for row in measurements for item in row.provenance.items()):
            sources.setdefault((arm, benchmark), []).append(origin)
    return sources


def comparison_rows(
    measured: Measured, pairs: Sequence[tuple[str, str]], groups: Groups, rates: RateName = "pass_rates"
) -> list[ComparisonRow]:
    """First minus second of each pair, paired by problem, in each group; p values adjusted over the pairs of a group.

    `rates`: which are compared.
    """
    sources = sources_of(measured)
    by_group = [
        [comparison_row(found, group, sources) for found in compare_table(rates_of(measured, rates), pairs, [names])]
        for group, names in groups.items()
        if pairs
    ]
    return [row for of_pair in zip(*by_group, strict=True) for row in of_pair]


def level_rows(measured: Measured, benchmarks: Sequence[str]) -> list[LevelRow]:
    """The arms of one level over all benchmarks, with the mean length of their completions."""
    pass_rates, rows = rates_of(measured), []
    for level in LEVELS:
        if measurements := measured.get(level):
            n_tokens = mean(measurement.n_completion_tokens for measurement in measurements)
            interval = average(pass_rates, level, benchmarks).interval
            provenance = origins(sources_of(measured), [level], benchmarks)
            rows.append(LevelRow(level, *interval, n_tokens, measurements[0].n_examples, provenance))
    return rows


def curve_points(measurements: Sequence[Measurement], benchmarks: Sequence[str]) -> list[tuple[float, Interval]]:
    """The checkpoints that every seed has: mean operations so far, and pass@1 over the benchmarks with its interval."""
    by_update: dict[int, list[CurvePoint]] = {}
    for measurement in measurements:
        for point in measurement.points:
            by_update.setdefault(point.n_updates, []).append(point)
    found = []
    for _, points in sorted(by_update.items()):
        if len(points) == len(measurements):
            rates = {"point": {seed: point.pass_rates for seed, point in enumerate(points)}}
            found.append((mean(point.flops for point in points), average(rates, "point", benchmarks).interval))
    return found


def rates_of(measured: Measured, rates: RateName = "pass_rates") -> dict[str, dict[int, Rates]]:
    """Arm -> seed -> benchmark -> problem id -> rate."""
    return {arm: {row.seed: getattr(row, rates) for row in measurements} for arm, measurements in measured.items()}
