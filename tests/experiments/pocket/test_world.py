"""The pocket world writes problems whose answers are true, distinct benchmarks, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from limo.core.errors import InputError
from limo.core.records import Completion
from limo.experiments.pocket.world import (
    DEPTHS,
    LETTERS,
    LINE_MODIFIERS,
    MODIFIERS,
    N_VALUES,
    WORLD,
    World,
    benchmark,
    families,
    held_out_problems,
    ranges,
    sample_problems,
    sample_story,
    to_problem,
    wording,
)
from limo.verify.checker import Checker


def test_there_are_ten_families_of_which_three_serve_curation():
    assert len(families()) == 10
    assert len(families("in-domain")) == 3
    assert len(families("out-of-domain")) == 7


def test_every_machine_maps_the_numbers_onto_themselves_and_its_inverse_undoes_it():
    assert len(set(WORLD.machines)) == len(WORLD.tables) == 64
    for table, inverse in zip(WORLD.tables, WORLD.inverses, strict=True):
        assert sorted(table) == list(range(N_VALUES)) == [inverse[value] for value in table]
    assert World(seed=WORLD.seed + 1).tables != WORLD.tables


def test_a_modifier_does_what_the_line_says():
    table, inverse = WORLD.tables[3], WORLD.inverses[3]
    assert WORLD.apply(5, "", 3) == table[5]
    assert WORLD.apply(5, "twice", 3) == table[table[5]]
    assert (WORLD.apply(15, "big", 3), WORLD.apply(16, "big", 3)) == (15, table[16])
    assert WORLD.apply(5, "other", 3) == 5
    assert WORLD.apply(5, "undo", 3) == inverse[5]
    assert WORLD.apply(5, "mirror", 3) == table[26]


def test_more_machines_than_names_are_refused():
    with pytest.raises(InputError, match=r"so many machines.*1 to 560"):
        _ = World(n_machines=561).machines


def test_frequent_machines_are_met_more_often_and_at_first_alone():
    rng = random.Random(0)
    counts = Counter(WORLD.sample_machine(rng) for _ in range(20_000))
    assert set(counts) == set(range(64))
    assert sum(counts[machine] for machine in range(16)) > 2 * sum(counts[machine] for machine in range(48, 64))
    assert {WORLD.sample_machine(rng, n_active=8) for _ in range(500)} == set(range(8))


@pytest.mark.parametrize("family", families())
def test_every_value_of_a_story_follows_from_the_one_before(family):
    rng = random.Random(family)
    for depth in DEPTHS:
        story = sample_story(family, depth, rng, MODIFIERS)
        values = (story.start, *story.values)
        for (modifier, machine), (before, after) in zip(story.lines, pairwise(values), strict=True):
            assert WORLD.apply(before, modifier, machine) == after
        placed = [modifier for modifier, _ in story.lines if modifier]
        assert len(placed) == len(set(placed)) == min(depth, len(LINE_MODIFIERS))


def test_the_right_option_is_one_of_four_different_ones():
    rng = random.Random(0)
    letters = Counter()
    for _ in range(200):
        story = sample_story("choice", 3, rng)
        assert sorted(story.options) == sorted(ranges(story.language))
        (letter,) = story.answer
        assert ranges(story.language).index(story.options[LETTERS.index(letter)]) == story.values[-1] // 8
        letters[letter] += 1
    assert min(letters.values()) > 25, "the key must not favour a letter"


@pytest.mark.parametrize("family", families())
def test_an_answer_is_verified_in_a_box_and_what_an_overlooked_modifier_gives_is_not(family):
    rng = random.Random(family)
    with Checker() as checker:
        for modifiers in ((), ("choice",), ("undo",)):
            story = sample_story(family, 2, rng, modifiers)
            problem = to_problem(story, "test")
            assert checker.why_not(problem) == ""
            box = "\\boxed{%s}"
            assert checker.verify(problem, Completion(box % problem.answer)).outcome == "correct"
            others = [str(value) for value in range(N_VALUES) if story.options or value != story.values[-1]]
            wrong = [*others, *(LETTERS.replace(problem.answer, "") if story.options else "")]
            verdicts = {text: checker.verify(problem, Completion(box % text)).outcome for text in wrong}
            assert set(verdicts.values()) == {"wrong"}, (problem, verdicts)


@pytest.mark.parametrize("family", families())
def test_a_benchmark_is_distinct_bilingual_and_the_same_every_time(family):
    problems = benchmark(family)
    assert len({problem.id for problem in problems}) == len(problems) == 64
    assert {problem.language for problem in problems} == {"en", "zh"}
    assert {problem.meta["depth"] for problem in problems} == set(DEPTHS)
    assert problems == benchmark(family)
    assert benchmark(family, 80)[:64] == problems
    n_modifiers = Counter(len(problem.meta["modifiers"]) for problem in problems)  # type: ignore[arg-type]
    assert min(n_modifiers[n] for n in (0, 1, 2)) >= (10 if family != "choice" else 0)


def test_problems_of_another_seed_are_others():
    ids = [{problem.id for problem in held_out_problems("bus", 60, f"{seed}/bus")} for seed in ("one", "two")]
    assert len(ids[0] & ids[1]) < 6


def test_a_pool_s_modifiers_are_as_rare_as_the_world_says():
    problems = sample_problems(["bus"], 4000, range(3, 6), seed=1)
    counts = Counter(modifier for problem in problems for modifier in problem.meta["modifiers"])  # type: ignore[attr-defined]
    for modifier, rate in wording()["pool_rates"].items():
        assert counts[modifier] / 4000 == pytest.approx(rate, abs=0.03)


def test_a_sample_is_the_same_for_its_seed_and_spread_over_families_and_depths():
    one = sample_problems(["bus", "shop"], 80, range(1, 5), seed=3)
    assert one == sample_problems(["bus", "shop"], 80, range(1, 5), seed=3)
    assert one != sample_problems(["bus", "shop"], 80, range(1, 5), seed=4)
    assert Counter(p.meta["family"] for p in one) == {"bus": 40, "shop": 40}
    assert set(Counter(p.meta["depth"] for p in one).values()) == {20}
    assert all(len(p.meta["values"]) == p.meta["depth"] for p in one)  # type: ignore[arg-type]
