"""The section of the report that answers a question: sentences, predictions against what came, charts and a table.

A comparison's words are those of the whole report: where two arms are not separable the sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Literal

from limo.core.language import translated
from limo.core.stats import Interval
from limo.core.text import operations, signed
from limo.experiments.arms import Experiment, PredictedPair, Questions
from limo.experiments.results import Counts, Measured, RateName, Rates, comparison_rows, curve_points, rates_of
from limo.report import words
from limo.report.charts.drawing import arm_colors
from limo.report.content import ChartRow, ComparisonRow, DataTable, LocalizedText, Prediction, Report, Section
from limo.report.words import comparison_claim, count, points
from limo.stages.compare import average
from limo.stages.reach import KINDS, Reach, rates_by_problem, reach
from limo.stages.reports.texts import interval_series, make_chart, make_table, text

SAMPLED_BASE = "base_sampled"  # the arm whose rollouts are the base's reach
ALIKE = 0.10  # two arms whose difference is surely below this are called alike: our own choice
Held = Literal["held", "partly", "failed", "open"]


@dataclass(frozen=True, slots=True)
class QuestionEvidence:
    """What sections are written from.

    `report`: its arms have the labels; `facts`: ids of the problems of one single step; `data_flops`: arm -> operations
    of the filters and teachers behind its chains.
    """

    questions: Questions
    measured: Measured
    report: Report
    benchmarks: list[str]
    facts: frozenset[str] = frozenset()
    data_flops: Mapping[str, float] = field(default_factory=dict)


def question_section(experiment: Experiment, evidence: QuestionEvidence) -> Section:
    """The section of one experiment, all of whose arms were measured."""
    compared = compare_predicted(experiment.predictions, evidence)
    claims = [_claim(pair, row, evidence.report) for pair, row in compared]
    predictions = [describe_prediction(pair, row, evidence.report) for pair, row in compared]
    charts, tables = [_scores_chart(experiment, evidence)], [_table(experiment, evidence)]
    if experiment.seed_claims:
        tables.append(_seed_table(experiment, evidence))
    if experiment.chart == "cost":
        charts.append(_cost_chart(experiment, evidence))
        claims += [_cost_claim(name, evidence) for name in experiment.arms if _is_from_base(name, evidence)]
    if experiment.chart == "reach":
        reaches = reach_by_arm(experiment, evidence)
        if _knows_steps(evidence, [SAMPLED_BASE, "base", *reaches]):
            claims.append(text("sound"))
        charts.append(_reach_chart(reaches, evidence.report))
        for arm, found in reaches.items():
            label = evidence.report.arm(arm).label
            chinese = translated(f"{label.text('zh')}: {found.sentence}", "zh")
            claims.append(LocalizedText(f"{label.en}: {found.sentence}.", f"{chinese}。"))
    title, lead = LocalizedText(*experiment.question), LocalizedText(*experiment.note)
    return Section(experiment.name, title, lead, claims, predictions, charts, tables, kind="question")


def compare_predicted(
    pairs: Sequence[PredictedPair], evidence: QuestionEvidence
) -> list[tuple[PredictedPair, ComparisonRow]]:
    """Each pair of a question over all benchmarks; p values are adjusted over the question's pairs."""
    compared: list[tuple[PredictedPair, ComparisonRow]] = []
    names_of: dict[str, RateName] = {"answers": "pass_rates", "notes": "note_rates"}
    for of, rates in names_of.items():
        own = [pair for pair in pairs if pair.of == of]
        names = [(pair.a, pair.b) for pair in own]
        rows = comparison_rows(evidence.measured, names, {"all": evidence.benchmarks}, rates)
        compared += zip(own, rows, strict=True)
    return compared


def prediction_outcome(pair: PredictedPair, row: ComparisonRow) -> Held:
    """Whether a prediction held; `open` where the comparison does not decide it.

    A difference held or failed where it is separable.  That two arms are alike failed where they are separable, and
    held where the whole interval lies within 10 points: a wide one that holds 0 shows nothing.
    """
    held: Held = "held" if _is_within(pair, row) else "partly"
    if pair.expect == "same":
        is_narrow = row.low >= -ALIKE and row.high <= ALIKE
        return "failed" if row.separable else held if is_narrow else "open"
    if not row.separable:
        return "open"
    return held if (row.difference > 0) == (pair.expect == "above") else "failed"


def _is_within(pair: PredictedPair, row: ComparisonRow) -> bool:
    return pair.points[0] <= 100 * row.difference <= pair.points[1]


def describe_prediction(pair: PredictedPair, row: ComparisonRow, report: Report) -> Prediction:
    """A prediction in words, with what came."""
    a, b = report.arm(pair.a).label, report.arm(pair.b).label
    low, high = (signed(bound, 0) for bound in pair.points)
    came = f"{points(row.difference, signed=True)} [{points(row.low, signed=True)}, {points(row.high, signed=True)}]"
    outcome, of = prediction_outcome(pair, row), text(f"of_{pair.of}")
    is_apart = pair.expect == "same" and row.separable
    other = text("another_size" if not _is_within(pair, row) else "within_yet_apart" if is_apart else "within")
    words = {"expect": text(f"expect_{pair.expect}"), "other": other}
    said = text("predicted", a=a, b=b, of=of, low=low, high=high, came=came, **words)
    return Prediction(said, outcome)


def headline_claims(report: Report) -> list[LocalizedText]:
    """The first sentences of a lab's report; what was selected beside as many that nobody selected, said in words."""
    claims, rows = words.headline_claims(report), [row for row in report.comparisons if row.group == "all"]
    if rows and (rows[0].a, rows[0].b) == ("limo", "random"):
        came = "open" if not rows[0].separable else "won" if rows[0].difference > 0 else "lost"
        claims[0] = text(f"selection_{came}", claim=claims[0])
    return claims


def _claim(pair: PredictedPair, row: ComparisonRow, report: Report) -> LocalizedText:
    claim = comparison_claim(report, row)
    return text("claim_of_notes", claim=claim) if pair.of == "notes" else claim


def _scores_chart(experiment: Experiment, evidence: QuestionEvidence) -> ChartRow:
    """The arms' averages over all benchmarks: bars, or lines over the number of examples."""
    scores, series = {name: _average(name, evidence) for name in experiment.arms}, []
    if experiment.chart != "lines":
        shown = [name for name in experiment.arms if name != SAMPLED_BASE]
        series = [interval_series("pass@1", range(len(shown)), [scores[name] for name in shown])]
        labels = [evidence.report.arm(name).label for name in shown]
        return make_chart("arms_chart", "bars", series, "arm", "pass_1", categories=labels, percent=True)
    lines = {name: evidence.questions.arms[name].series for name in experiment.arms}
    n_examples = {name: evidence.measured[name][0].n_examples for name in experiment.arms}
    for line in dict.fromkeys(series for series in lines.values() if series[0]):
        own = sorted((name for name in experiment.arms if lines[name] == line), key=n_examples.__getitem__)
        xs = [n_examples[name] for name in own]
        series.append(interval_series(LocalizedText(*line), xs, [scores[name] for name in own]))
    x = [value for row in series for value in row.x if value > 0]
    spans_decades = bool(x) and max(x) >= 10 * min(x)
    return make_chart("examples_chart", "lines", series, "n_examples", "pass_1", log_x=spans_decades, percent=True)


def _cost_chart(experiment: Experiment, evidence: QuestionEvidence) -> ChartRow:
    """Score over matrix operations: of filters, teachers, generation and training together."""
    series, colors = [], arm_colors(evidence.report)
    for name in experiment.arms:
        found = curve_points(evidence.measured[name], evidence.benchmarks)
        if found:
            before = _flops_before(name, evidence)
            label = evidence.report.arm(name).label
            xs, ys = [before + flops for flops, _ in found], [score for _, score in found]
            series.append(interval_series(label, xs, ys, color=colors[name]))
    return make_chart("spent_chart", "lines", series, "operations", "pass_1", log_x=True, percent=True)


def _is_from_base(name: str, evidence: QuestionEvidence) -> bool:
    training = evidence.questions.arms[name].training
    return training is not None and training.method == "grpo" and not training.after


def _cost_claim(name: str, evidence: QuestionEvidence) -> LocalizedText:
    """At what cost a training by reward first reached LIMO's score, if it did."""
    limo, label = evidence.measured["limo"], evidence.report.arm(name).label
    score, cost = _average("limo", evidence).value, _flops_before("limo", evidence) + mean(m.flops for m in limo)
    found = curve_points(evidence.measured[name], evidence.benchmarks)
    reached = [flops for flops, value in found if value.value >= score]
    spent = reached[0] if reached else found[-1][0]
    key = "reward_reaches" if reached else "reward_falls_short"
    return text(key, arm=label, spent=operations(spent), times=f"{spent / cost:.2g}", cost=operations(cost))


def _flops_before(name: str, evidence: QuestionEvidence) -> float:
    """What was spent before an arm's own training: on its chains, and on the arm that it starts from."""
    training = evidence.questions.arms[name].training
    before = evidence.data_flops.get(name, 0.0)
    if training and training.after:
        own = mean(measurement.flops for measurement in evidence.measured[training.after])
        before += own + _flops_before(training.after, evidence)
    return before


def reach_by_arm(experiment: Experiment, evidence: QuestionEvidence) -> dict[str, Reach]:
    """What each trained arm elicited, taught and lost of its base, whose reach is that of the sampled base.

    Where every rollout's steps are known, a problem is solved by a right answer with every step right: with few
    possible answers a guess among 256 hits nearly all of them.
    """
    (sampled,) = evidence.measured[SAMPLED_BASE]
    trained = [name for name in experiment.arms if evidence.questions.arms[name].training]
    is_sound = _knows_steps(evidence, [SAMPLED_BASE, "base", *trained])
    solved = sampled.sound if is_sound else sampled.counts
    counts = {f"{name}/{problem}": n for name, of in solved.items() for problem, n in of.items()}

    def rates(arm: str) -> dict[str, float]:
        rows = evidence.measured[arm]
        return rates_by_problem(_sound_rates(row.sound) if is_sound else row.pass_rates for row in rows)

    return {name: reach(counts, rates("base"), rates(name)) for name in trained}


def _knows_steps(evidence: QuestionEvidence, arms: Sequence[str]) -> bool:
    return all(row.sound for arm in arms for row in evidence.measured[arm])


def _sound_rates(sound: Counts) -> Rates:
    return {benchmark: {problem: k / n for problem, (k, n) in of.items()} for benchmark, of in sound.items()}


def _reach_chart(reaches: Mapping[str, Reach], report: Report) -> ChartRow:
    labels = [report.arm(name).label for name in reaches]
    series = [
        interval_series(text(kind), range(len(labels)), [getattr(found, kind) for found in reaches.values()])
        for kind in KINDS
    ]
    return make_chart("reach_of_arms", "bars", series, "arm", "share_of_all", categories=labels, percent=True)


def _table(experiment: Experiment, evidence: QuestionEvidence) -> DataTable:
    """Each arm: examples, updates, tokens, operations, score, notes, length; and single steps where there are any."""
    heads = ["arm", "n_examples", "n_updates", "trained_on", "all_operations"]
    heads += ["pass_1_head", "notes", "tokens_out", "seeds"]
    knows_steps = _knows_steps(evidence, experiment.arms)
    heads += ["steps_right"] if knows_steps else []
    heads += ["single_steps"] if evidence.facts else []
    rows = []
    for name in experiment.arms:
        own = evidence.measured[name]
        flops = _flops_before(name, evidence) + mean(measurement.flops for measurement in own)
        cells = [
            count(own[0].n_examples), count(own[0].n_updates), count(round(mean(m.n_train_tokens for m in own))),
            operations(flops) if flops else "—",
            _with_interval(_average(name, evidence)), points(_mean_rate([m.note_rates for m in own])),
            f"{mean(m.n_completion_tokens for m in own):.0f}", count(len(own)),
        ]  # fmt: skip
        if knows_steps:
            cells.append(points(_mean_rate([m.steps for m in own])))
        if evidence.facts:
            single = [{b: _only(of, evidence.facts) for b, of in m.pass_rates.items()} for m in own]
            cells.append(points(_mean_rate(single)))
        rows.append([LocalizedText(*evidence.questions.arms[name].label), *cells])
    return make_table("arms_table", heads, rows, "arms_table_note")


def _seed_table(experiment: Experiment, evidence: QuestionEvidence) -> DataTable:
    """The rows of the seed document's table, with what was measured of each."""
    measured, rates = {name: evidence.measured[name] for name in experiment.arms}, rates_of(evidence.measured)
    beyond = [row.name for row in evidence.report.benchmarks if row.group == "out-of-domain"] or evidence.benchmarks
    figures = {
        "score": {name: _with_interval(_average(name, evidence)) for name in measured},
        "beyond": {name: _with_interval(average(rates, name, beyond).interval) for name in measured},
        "notes": {name: points(_mean_rate([m.note_rates for m in own])) for name, own in measured.items()},
        "tokens": {name: f"{mean(m.n_completion_tokens for m in own):.0f}" for name, own in measured.items()},
        "cost": {
            name: operations(_flops_before(name, evidence) + mean(m.flops for m in own))
            for name, own in measured.items()
        },
    }
    rows = []
    for row in experiment.seed_claims:
        came = LocalizedText(*(text.format(**figures) for text in row.measured))
        rows.append([LocalizedText(*row.aspect), LocalizedText(*row.claim), came])
    return make_table("seed_table", ("aspect", "seed_document", "measured_here"), rows)


def _only(of: Mapping[str, float], problems: frozenset[str]) -> dict[str, float]:
    return {problem: rate for problem, rate in of.items() if problem in problems}


def _mean_rate(rates: Sequence[Rates]) -> float:
    values = [rate for by_benchmark in rates for of in by_benchmark.values() for rate in of.values()]
    return mean(values) if values else 0.0


def _average(name: str, evidence: QuestionEvidence) -> Interval:
    return average(rates_of(evidence.measured), name, evidence.benchmarks).interval


def _with_interval(value: Interval) -> str:
    return f"{points(value.value)} [{points(value.low)}, {points(value.high)}]"
