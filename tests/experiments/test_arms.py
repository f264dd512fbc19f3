"""Questions and arms as data: they load whole, name only what there is, and keep to what was predicted."""

from __future__ import annotations

import pytest

from limo.core.errors import InputError, RecipeError
from limo.experiments.arms import Arm, PredictedPair, Selection, load_questions

ARM = {"label": ["A", "甲"]}


@pytest.fixture(scope="module")
def questions():
    return load_questions()


def written(tmp_path, text):
    file = tmp_path / "questions.yaml"
    file.write_text(text, encoding="utf-8")
    return load_questions(file)


def test_every_question_of_the_paper_has_arms_comparisons_and_predictions(questions):
    names = {"headline", "rq1", "rq2", "rq3", "rq4", "rq5", "alignment", "reinforcement", "elicited"}
    assert names <= {experiment.name for experiment in questions.experiments}
    assert all(experiment.predictions for experiment in questions.experiments)


def test_the_seed_document_s_rows_name_arms_of_their_experiment(questions):
    with_claims = [experiment for experiment in questions.experiments if experiment.seed_claims]
    assert {experiment.name for experiment in with_claims} == {"alignment", "reinforcement"}
    for experiment in with_claims:
        figures = dict.fromkeys(("score", "beyond", "notes", "tokens", "cost"), dict.fromkeys(experiment.arms, "1"))
        for row in experiment.seed_claims:
            assert all(text.format(**figures) != text for text in row.measured)


def test_the_short_lab_answers_three_questions_with_a_length_matched_pair_and_five_counts(questions):
    headline, rq1, rq5 = questions.short_lab()
    assert {"base", "limo", "random"} <= set(headline.arms)
    assert len([name for name in rq1.arms if name.startswith("L") and "_" not in name]) == 3
    assert len([name for name in rq1.arms if questions.arms[name].selection.equal_length]) == 2
    assert len(rq5.arms) == 5
    assert all(
        {pair.a, pair.b} <= set(experiment.arms)
        for experiment in (headline, rq1, rq5)
        for pair in experiment.predictions
    )


def test_the_headline_control_differs_from_limo_in_what_is_selected_alone(questions):
    limo, random = questions.arms["limo"], questions.arms["random"]
    assert limo.training == random.training
    assert random.selection.source != limo.selection.source and random.selection.by == "random"


def test_an_entry_with_each_stands_for_every_combination(tmp_path):
    found = written(
        tmp_path,
        "arms:\n  '{m}_k{k}': {each: {m: [a, b], k: [1, 2]}, label: ['{m} {k}', '{m} {k}'],"
        " selection: {k: '{k}'}, training: {student: '{m}'}}\nexperiments: {}\n",
    )
    assert list(found.arms) == ["a_k1", "a_k2", "b_k1", "b_k2"]
    assert (found.arms["b_k2"].selection.k, found.arms["b_k2"].training.student) == (2, "b")


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ("{question: [q, q], arms: [b], predictions: []}", "no arm 'b'"),
        ("{question: [q, q], arms: [a], predictions: [{a: a, b: c, expect: same, points: [0, 1]}]}", "no arm 'c'"),
        ("{question: [q, q], arms: [a], short: [d], predictions: []}", "no arm 'd'"),
        ("{question: [q, q], arms: [a], predictions: [{a: a, b: a, expect: above, points: [-1, 1]}]}", "do not fit"),
        ("{question: [q, q], arms: [a], predictions: [], colour: red}", "colour"),
    ],
)
def test_a_file_that_names_what_is_not_there_is_refused(tmp_path, experiment, message):
    with pytest.raises(RecipeError, match=message):
        written(tmp_path, f"arms: {{a: {{label: [A, A]}}}}\nexperiments: {{x: {experiment}}}\n")


def test_an_arm_that_trains_on_nothing_or_selects_for_nothing_is_refused():
    with pytest.raises(ValueError, match="need a `selection`"):
        Arm(name="a", training={}, **ARM)
    with pytest.raises(ValueError, match="needs `training`"):
        Arm(name="a", selection={}, **ARM)


def test_a_few_examples_are_drawn_at_least_five_times():
    few = Arm(name="few", selection={"k": 4, "is_redrawn": True}, training={}, **ARM)
    more = few.model_copy(update={"selection": Selection(k=8, is_redrawn=True)})
    assert len(few.seeds([0, 1, 2])) == 5 and few.seeds([0, 1, 2])[:3] == [0, 1, 2]
    assert len(set(few.seeds([3, 7]))) == 5
    assert more.seeds([0, 1, 2]) == [0, 1, 2]
    assert Arm(name="base", **ARM).seeds([0, 1, 2]) == [0]
    assert len({few.selection.drawn(seed).hash for seed in range(5)}) == 5


def test_a_label_changes_nothing_that_is_measured_and_a_setting_does():
    arm = Arm(name="a", selection={}, training={}, **ARM)
    assert arm.hash == arm.model_copy(update={"label": ("B", "乙"), "is_headline": True}).hash
    assert arm.hash != arm.model_copy(update={"selection": Selection(k=3)}).hash


def test_arms_come_once_and_after_those_that_they_start_from(questions):
    names = [arm.name for arm in questions.arms_of(questions.experiments)]
    assert len(names) == len(set(names))
    assert names.index("limo") < names.index("limo_then_grpo")


def test_an_unknown_experiment_is_refused(questions):
    with pytest.raises(InputError, match="no such experiment"):
        questions.experiment("rq9")


def test_what_was_predicted_cannot_contradict_itself():
    with pytest.raises(ValueError, match="do not fit"):
        PredictedPair(a="x", b="y", expect="below", points=(0, 5))
