"""The answer to a question: sentences, predictions against what came, curves over cost, elicited and taught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from limo.core.records import Completion, Problem, Rollout, Verdict
from limo.experiments.arms import Arm, Experiment, PredictedPair, Questions, Selection, Training
from limo.experiments.question_sections import (
    QuestionEvidence,
    compare_predicted,
    describe_prediction,
    headline_claims,
    prediction_outcome,
    question_section,
    reach_by_arm,
)
from limo.experiments.results import CurvePoint, Measurement, curve_points, step_rates
from limo.report.charts.drawing import arm_colors
from limo.report.content import ArmRow, ComparisonRow, LocalizedText, Report
from limo.report.page import render

N = 60
NAMES = ("base", "good", "alike", "bad", "then", "base_sampled")
SCORES = {"base": 0.1, "good": 0.8, "alike": 0.8, "bad": 0.4, "then": 0.9}


def rates(score, seed=0):
    return {"b1": {f"p{n}": float((n * 7 + seed) % N < score * N) for n in range(N)}}


def measurement(name, seed=0):
    if name == "base_sampled":
        counts = {"b1": {f"p{n}": (int(n < 50), 256) for n in range(N)}}
        return Measurement(name, 0, rates(0.1), counts=counts, note_rates=rates(0.0))
    points = [CurvePoint(u, 1e9 * u, rates(SCORES[name] * u / 10, seed)) for u in (5, 10)]
    cost = {"n_examples": len(name), "n_updates": 10, "flops": 1e10, "points": points} if name != "base" else {}
    return Measurement(name, seed, rates(SCORES[name], seed), note_rates=rates(SCORES[name]), **cost)


def arm(name):
    if name.startswith("base"):
        return Arm(name=name, label=(name.title(), name))
    training = Training(after="good" if name == "then" else "")
    return Arm(name=name, label=(name.title(), name), selection=Selection(), training=training, series=("s", "s"))


ARMS = {name: arm(name) for name in NAMES}


def pair(a, b, expect, low, high, **rest):
    return PredictedPair(a=a, b=b, expect=expect, points=(low, high), **rest)


PAIRS = [
    pair("good", "base", "above", 50, 90),
    pair("good", "alike", "same", -5, 5),
    pair("bad", "good", "above", 0, 20),
    pair("good", "bad", "same", -5, 5),
    pair("good", "alike", "above", 1, 20),
    pair("good", "base", "above", 10, 20, of="notes"),
]


def experiment(chart="bars", **rest):
    values = {"name": "x", "question": ("Why?", "为何？"), "arms": list(NAMES), "predictions": PAIRS, "chart": chart}
    return Experiment(**(values | rest))


@pytest.fixture(scope="module")
def evidence():
    measured = {name: [measurement(name, s) for s in ((0,) if name.startswith("base") else (0, 1))] for name in NAMES}
    report = Report(LocalizedText("T"), arms=[ArmRow(name, *ARMS[name].label) for name in NAMES if name != NAMES[-1]])
    questions = Questions(arms=ARMS, experiments=[experiment()])
    return QuestionEvidence(questions, measured, report, ["b1"], frozenset({"p0"}), {"good": 4e9, "then": 0.0})


def test_a_prediction_held_failed_or_stays_open(evidence):
    outcomes = [prediction_outcome(*compared) for compared in compare_predicted(PAIRS, evidence)]
    assert outcomes == ["held", "held", "failed", "failed", "open", "partly"]


def test_where_steps_are_known_a_guessed_answer_is_neither_reach_nor_taught(evidence):
    def with_steps(row):
        n = 256 if row.arm == "base_sampled" else 1
        solved = {"base": range(0), "base_sampled": range(20)}.get(row.arm, range(30))
        return replace(row, sound={"b1": {f"p{i}": (int(i in solved), n) for i in range(N)}}, steps=rates(0.5))

    sound = {name: [with_steps(row) for row in rows] for name, rows in evidence.measured.items()}
    by_answers = reach_by_arm(experiment(), evidence)["good"]
    by_steps = reach_by_arm(experiment(), replace(evidence, measured=sound))["good"]
    assert by_answers.within.value == pytest.approx(50 / 60) and by_steps.within.value == pytest.approx(20 / 60)
    assert len(by_steps.problems["elicited"]) == 20 and len(by_steps.problems["taught"]) == 10
    told = question_section(experiment("reach"), replace(evidence, measured=sound))
    assert any("every step right" in claim.en for claim in told.claims)
    assert "steps right" in [head.en for head in told.tables[0].heads]


def test_the_steps_of_rollouts_make_a_measurement():
    problem = Problem.make("1 + 1, twice", "4")
    texts = {"right": "correct", "half": "correct", "wrong": "wrong"}
    rollouts = [
        Rollout(problem.id, "m", "", "s", n, Completion(text), Verdict(outcome))
        for n, (text, outcome) in enumerate(texts.items())
    ]
    of = step_rates(rollouts, {"b": [problem]}, lambda _, text: {"right": 1.0, "half": 0.5, "wrong": 1.0}[text])
    assert of["sound"] == {"b": {problem.id: (1, 3)}}
    assert of["steps"]["b"][problem.id] == pytest.approx(2.5 / 3)


def test_that_two_arms_are_alike_is_open_where_the_interval_is_wide():
    wide = ComparisonRow("a", "b", "all", 0.02, -0.15, 0.19, False)
    alike = pair("a", "b", "same", -5, 5)
    assert prediction_outcome(alike, wide) == "open"
    assert prediction_outcome(alike, replace(wide, low=-0.06, high=0.09)) == "held"
    assert prediction_outcome(alike, replace(wide, low=0.01, high=0.03, separable=True)) == "failed"


def test_the_section_says_what_was_predicted_and_what_came_in_both_languages(evidence):
    found = question_section(experiment(), evidence)
    assert [row.outcome for row in found.predictions] == ["held", "held", "failed", "failed", "open", "partly"]
    assert found.predictions[0].text.en.startswith("Good above Base, by +50 to +90 points; it came to +70.0")
    assert ["outside that range" in found.predictions[k].text.en for k in (0, 2, 5)] == [False, True, True]
    assert "good" in found.predictions[0].text.zh
    assert found.claims[0].en.startswith("Good scores 70.0 points above Base")
    assert "not separable" in found.claims[1].en
    assert found.claims[5].en.startswith("In the form of notes: ")


def test_the_table_has_a_row_for_each_arm_with_its_single_steps(evidence):
    (table,) = question_section(experiment(), evidence).tables
    assert len(table.rows) == len(NAMES) and all(len(row) == len(table.heads) for row in table.rows)
    assert table.heads[-1].en == "problems of one step" and "Problems of one step" in table.note.en
    assert (
        question_section(experiment(), replace(evidence, facts=frozenset())).tables[0].heads[-1].en == "training seeds"
    )


def test_the_rows_of_the_seed_document_stand_beside_what_was_measured(evidence):
    measured = ("{score[good]}; {beyond[base]}; {notes[good]}; {tokens[good]}; {cost[good]}",) * 2
    claim = {"aspect": ("ability", "能力"), "claim": ("It grows.", "增长。"), "measured": measured}
    _, table = question_section(experiment(seed_claims=[claim]), evidence).tables
    ((aspect, said, came),) = table.rows
    assert (aspect.zh, said.en) == ("能力", "It grows.")
    score, beyond, notes, tokens, cost = came.en.split("; ")
    assert (
        score.startswith("80.0 [") and beyond.startswith("10.0 [") and (notes, tokens, cost) == ("80.0", "0", "1.4e+10")
    )


def test_lines_are_over_the_examples_that_an_arm_really_had(evidence):
    (chart,) = question_section(experiment("lines"), evidence).charts
    (line,) = chart.series
    assert line.x == sorted(len(name) for name in ("good", "alike", "bad", "then"))


def test_cost_counts_the_chains_and_the_arm_that_a_training_started_from(evidence):
    chart = question_section(experiment("cost"), evidence).charts[1]
    by_label = {row.label_en: row for row in chart.series}
    assert by_label["Good"].x == [4e9 + 5e9, 4e9 + 10e9]
    assert by_label["Then"].x == [4e9 + 1e10 + 5e9, 4e9 + 1e10 + 10e9]
    assert "Base" not in by_label


def test_what_a_training_by_reward_cost_is_said_against_limo():
    names = {"limo": "good", "grpo": "then", "weak": "bad"}
    arms = {name: arm(like).model_copy(update={"name": name, "label": (name, name)}) for name, like in names.items()}
    by_reward = {"training": Training(method="grpo")}
    arms = {n: a if n == "limo" else a.model_copy(update=by_reward) for n, a in arms.items()}
    measured = {name: [replace(measurement(like), arm=name)] for name, like in names.items()}
    report = Report(LocalizedText("T"), arms=[ArmRow(name, name, name) for name in names])
    asked = experiment("cost", arms=list(names), predictions=[])
    found = question_section(
        asked,
        QuestionEvidence(Questions(arms=arms, experiments=[]), measured, report, ["b1"], data_flops={"limo": 1e10}),
    )
    assert [claim.en.split(" operations")[0] for claim in found.claims] == [
        "grpo reaches the score of LIMO at 1.0e+10",
        "weak does not reach the score of LIMO within 1.0e+10",
    ]
    colors = [row.color for row in found.charts[1].series]
    assert colors == [color for name, color in arm_colors(report).items() if measured[name][0].points]
    assert "0.5 times the 2.0e+10" in found.claims[0].en and "0.5 倍" in found.claims[0].zh


def test_a_point_of_a_curve_is_one_that_every_seed_has():
    first, second = measurement("good", 0), measurement("good", 1)
    assert [flops for flops, _ in curve_points([first, second], ["b1"])] == [5e9, 1e10]
    assert len(curve_points([first, replace(second, points=second.points[:1])], ["b1"])) == 1


def test_elicited_taught_and_lost_are_shares_of_each_trained_arm(evidence):
    found = question_section(experiment("reach"), evidence)
    elicited, taught, lost = found.charts[1].series
    assert [row.label_en for row in (elicited, taught, lost)] == ["elicited", "taught", "lost"]
    assert len(elicited.x) == 4 and elicited.y[0] + taught.y[0] - lost.y[0] == pytest.approx(0.7, abs=0.02)
    assert any(claim.en.startswith("Good: elicited") for claim in found.claims)


def test_a_page_of_every_kind_of_section_is_drawn(evidence):
    kinds = ("bars", "lines", "cost", "reach")
    sections = [replace(question_section(experiment(chart), evidence), name=chart) for chart in kinds]
    text = render(replace(evidence.report, sections=sections))
    assert text.count("Why?") >= 4 and "not separable" in text


@pytest.mark.parametrize(
    ("difference", "separable", "said"),
    [(0.1, True, "Selecting beat"), (-0.1, True, "Selecting lost to"), (0.01, False, "Selecting and drawing at")],
)
def test_the_comparison_with_random_heads_the_page_and_says_whether_selecting_won(difference, separable, said):
    arms = [ArmRow("limo", "LIMO", "LIMO"), ArmRow("random", "Random", "随机")]
    row = ComparisonRow("limo", "random", "all", difference, difference - 0.05, difference + 0.05, separable)
    first, *_ = headline_claims(Report(LocalizedText("T"), arms=arms, comparisons=[row]))
    assert first.en.startswith(said) and "LIMO" in first.en and "随机" in first.zh
    other = replace(row, b="base")
    assert not headline_claims(Report(LocalizedText("T"), arms=arms, comparisons=[other]))[0].en.startswith("Selecting")


def test_a_likeness_that_fails_inside_its_range_says_why(evidence):
    row = ComparisonRow("good", "bad", "all", 0.03, 0.01, 0.05, True)
    said = describe_prediction(pair("good", "bad", "same", -5, 5), row, evidence.report)
    assert said.outcome == "failed" and said.text.en.endswith("inside that range, yet separable")
