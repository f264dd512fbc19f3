"""Skills: a student is asked as it is and with its note begun, and the two are told apart."""

from __future__ import annotations

import pytest

from limo.experiments.pocket.models import model_card, model_path
from limo.experiments.pocket.pretrain import measure_skills, skill_prompts
from limo.experiments.pocket.world import sample_problems


def test_a_note_is_begun_with_the_letter_of_the_statement_s_first_line():
    problem = sample_problems(["bus"], 1, range(2, 3), seed=3)[0]
    chat = skill_prompts("rich")["begun"](problem)
    assert [message["role"] for message in chat] == ["system", "user", "assistant"]
    assert problem.problem.startswith(chat[-1]["content"] + " ") and len(chat[-1]["content"]) == 2


def test_the_teacher_is_asked_in_each_of_its_styles():
    problem = sample_problems(["bus"], 1, range(2, 3), seed=3)[0]
    asked = {name: prompt(problem)[0]["content"] for name, prompt in skill_prompts("teacher").items()}
    assert list(asked) == ["answer", "terse", "steps", "careful"] and len(set(asked.values())) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pocket-rich", "pocket-poor"])
def test_the_card_says_what_the_shipped_weights_do(name):
    measured = measure_skills(model_path(name), model_card(name)["plan"]["mixture"])
    for prompt, rates in model_card(name)["skills"].items():
        for depth, rate in rates.items():
            assert measured[prompt][depth] == pytest.approx(rate, abs=0.051), (prompt, depth)  # two of 40: rounding
