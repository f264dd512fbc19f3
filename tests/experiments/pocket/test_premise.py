"""The premise: a student as it is and with its note begun are told apart, and a note's steps are read as they stand."""

from __future__ import annotations

import random

import pytest

from limo.experiments.pocket import premise
from limo.experiments.pocket.corpus import write_note
from limo.experiments.pocket.models import PLANS, PretrainPlan, model_card, model_path
from limo.experiments.pocket.premise import begun, measure_premise, step_accuracy
from limo.experiments.pocket.pretrain import build_model, pretrain
from limo.experiments.pocket.world import MODIFIERS, WORLD, sample_story, to_problem, to_text
from shipped_models import SHIPPED


def test_a_note_is_begun_with_the_statement_s_first_label():
    problem = to_problem(sample_story("bus", 2, random.Random(3)), "")
    chat = begun(problem)
    assert [message["role"] for message in chat] == ["system", "user", "assistant"]
    assert problem.problem.startswith(chat[-1]["content"] + " ") and len(chat[-1]["content"]) == 2


@pytest.mark.parametrize("style", ["steps", "careful"])
def test_the_steps_of_a_note_are_right_up_to_the_first_modifier_that_is_overlooked(style):
    rng = random.Random(4)
    for _ in range(60):
        story = sample_story("shop", 4, rng, ["undo"])
        problem = to_problem(story, "")
        assert step_accuracy(problem, to_text(write_note(story, style, rng).words)) == 1
        at = [modifier for modifier, _ in story.lines].index("undo")
        overlooked = step_accuracy(problem, to_text(write_note(story, style, rng, lambda _: False).words))
        assert overlooked >= at / 4
        assert overlooked < 1 or WORLD.inverses == WORLD.tables or story.values[at] == _plain(story, at)


def _plain(story, at):
    before = (story.start, *story.values)[at]
    return WORLD.tables[story.lines[at][1]][before]


def test_a_line_that_a_note_leaves_out_is_not_right():
    problem = to_problem(sample_story("bus", 3, random.Random(5), ["other"]), "")
    assert step_accuracy(problem, "\\boxed{7}") == 0
    assert step_accuracy(problem, "K: 7 L: ") <= 1 / 3


def test_a_model_that_knows_nothing_is_neither_able_nor_willing():
    model = build_model(PretrainPlan("much", hidden=32, layers=1)).eval()
    found = premise.able_and_willing(model, WORLD, n=4)
    assert set(found["able"]) == set(found["willing"]) == set(MODIFIERS)
    # Behind `other` nothing is computed, so there is nothing to be wrong about.
    assert {modifier: rate for modifier, rate in found["able"].items() if rate} == {"other": 1.0}
    assert max(found["willing"].values()) < 0.1
    facts = premise.known_facts(model, WORLD)
    assert [len(facts[name]) for name in ("forward", "inverse")] == [4, 4]
    assert max(facts["forward"] + facts["inverse"]) < 0.2


@pytest.mark.slow
def test_the_smallest_base_is_reproduced_by_its_plan(tmp_path):
    from limo.core.progress import NoProgress

    name = min(SHIPPED, key=lambda name: model_card(name)["n_parameters"])
    out = pretrain(name, tmp_path / name, NoProgress())
    measured, card = measure_premise(out, PLANS[name]), model_card(name)["premise"]
    for prompt in ("default", "begun"):
        assert measured[prompt]["all"] == pytest.approx(card[prompt]["all"], abs=0.03), prompt
    assert measured["facts"]["forward"][0] == pytest.approx(card["facts"]["forward"][0], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_says_what_the_shipped_weights_do(name):
    measured, card = measure_premise(model_path(name), PLANS[name], n_rollouts=4), model_card(name)["premise"]
    for key, values in measured.items():
        if isinstance(values, dict) and "all" in values:
            assert values["all"] == pytest.approx(card[key]["all"], abs=0.02), key
    assert measured["facts"] == card["facts"]


STUDENTS = [n for n in SHIPPED if PLANS[n].mixture == "much" and PLANS[n].hidden >= 64 and PLANS[n].dose >= 0.15]


@pytest.mark.parametrize("name", STUDENTS)
def test_every_shipped_base_can_do_what_it_does_not_do_by_default(name):
    card = model_card(name)["premise"]
    assert card["default"]["all"] < 0.2 < card["begun"]["all"] < 0.6
    assert card["begun"]["0 modifiers"] > 0.8
    # Letters of options are named at chance by this base: `choice` has to be taught, not elicited.
    assert min(rate for modifier, rate in card["able"].items() if modifier != "choice") > 0.7
    assert max(card["willing"].values()) < 0.3
    assert card["sound_256"] > card["begun"]["all"]
