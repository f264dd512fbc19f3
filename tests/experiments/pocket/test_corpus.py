"""The pre-training corpus tells the truth, except where it slips on purpose, and those slips are not targets."""

from __future__ import annotations

import random
import re

import pytest

from limo.core.records import problem_id
from limo.experiments.pocket.corpus import MIXTURES, TEACHER_SYSTEM, _slip, equations, sample_document, solve
from limo.experiments.pocket.world import BENCHMARK_DEPTHS, benchmark_ids, families, sample_story, wording

EQUATION = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)")
COMPUTE = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}


def _true(match: tuple[str, str, str, str]) -> bool:
    a, sign, b, result = match
    return COMPUTE[sign](int(a), int(b)) == int(result)


@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize("style", TEACHER_SYSTEM)
def test_every_solution_ends_in_the_boxed_answer(family, style):
    rng = random.Random(f"{family}/{style}")
    for depth in BENCHMARK_DEPTHS:
        story = sample_story(family, depth, rng)
        text = "".join(part.text for part in solve(story, style, rng))
        assert re.findall(r"\\boxed\{(.*?)\}", text) == [story.answer]


@pytest.mark.parametrize("family", families())
def test_every_equation_that_is_learnt_is_true(family):
    rng = random.Random(family)
    for _ in range(60):
        story = sample_story(family, 4, rng)
        assert all(_true((str(e.a), e.sign, str(e.b), str(e.result))) for group in equations(story) for e in group)
        wrong = 0
        text = ""
        for part in solve(story, "careful", rng):
            assert part.role == "assistant"
            wrong += not part.learn
            text += part.text
        assert sum(not _true(match) for match in EQUATION.findall(text)) == wrong


def test_a_slip_is_context_and_its_check_does_not_give_back_the_start():
    rng = random.Random(1)
    story = sample_story("bus", 1, rng)
    equation = equations(story)[0][-1]
    parts = _slip(equation, wording()["solutions"]["en"], rng)
    assert [part.learn for part in parts] == [True, False, True]
    assert int(parts[1].text) != equation.result
    found = EQUATION.search(parts[2].text)
    assert found is not None
    assert int(found[4]) != equation.a


def test_no_document_holds_a_benchmark_problem():
    rng = random.Random(2)
    for _ in range(2000):
        user = [part.text for part in sample_document("rich", rng) if part.role == "user"]
        assert all(problem_id(text) not in benchmark_ids() for text in user)


def test_only_the_teacher_s_system_text_names_a_style():
    rng = random.Random(3)
    styles = {part.text for _ in range(300) for part in sample_document("teacher", rng) if part.role == "system"}
    assert styles == set(TEACHER_SYSTEM.values())
    others = {part.text for _ in range(300) for part in sample_document("rich", rng) if part.role == "system"}
    assert not styles & others


def test_the_rich_corpus_mostly_answers():
    for name in ("rich", "poor"):
        shares = MIXTURES[name]
        assert shares["answer"] > shares["terse"] + shares["steps"] + shares["careful"]
