"""The pocket world writes problems whose answers are true, distinct benchmarks, and nothing else."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from limo.experiments.pocket.world import (
    BENCHMARK_DEPTHS,
    LETTERS,
    PRETRAIN_DEPTHS,
    Operation,
    apply,
    benchmark,
    families,
    sample_problems,
    sample_story,
    wording,
)


def test_there_are_ten_families_of_which_three_serve_curation():
    assert len(families()) == 10
    assert len(families("in-domain")) == 3
    assert len(families("out-of-domain")) == 7


@pytest.mark.parametrize("family", families())
def test_every_value_of_a_story_follows_from_the_one_before(family):
    rng = random.Random(family)
    wrap = wording()["families"][family].get("wrap", 0)
    for depth in BENCHMARK_DEPTHS:
        story = sample_story(family, depth, rng)
        value = story.start
        for op, result in zip(story.operations, story.values, strict=True):
            value = apply(value, op, wrap)
            assert value == result
            assert 0 <= value <= 99


def test_an_operation_outside_the_bounds_is_refused():
    assert apply(95, Operation("add", 9)) is None
    assert apply(3, Operation("sub", 9)) is None
    assert apply(7, Operation("halve")) is None
    assert apply(22, Operation("add", 5), wrap=24) == 3


def test_the_right_option_is_one_of_four_different_ones():
    rng = random.Random(0)
    letters = Counter()
    for _ in range(200):
        story = sample_story("choice", 3, rng)
        assert len(set(story.options)) == 4
        assert story.options[LETTERS.index(story.answer)] == story.values[-1]
        letters[story.answer] += 1
    assert min(letters.values()) > 25, "the key must not favour a letter"


@pytest.mark.parametrize("family", families())
def test_a_benchmark_is_distinct_bilingual_and_the_same_every_time(family):
    problems = benchmark(family)
    assert len({problem.id for problem in problems}) == len(problems) == 64
    assert {problem.language for problem in problems} == {"en", "zh"}
    assert {problem.meta["depth"] for problem in problems} == set(BENCHMARK_DEPTHS)
    assert problems == benchmark(family)


def test_benchmarks_hold_problems_longer_than_any_in_training():
    assert max(BENCHMARK_DEPTHS) > max(PRETRAIN_DEPTHS)


def test_every_wording_names_the_numbers_it_needs():
    for name, spec in wording()["families"].items():
        for language in ("en", "zh"):
            for kind in spec["ops"]:
                for text in spec[language][kind]:
                    assert ("{n}" in text) == (kind not in ("double", "halve")), (name, text)
                    assert ("{k}" in text) == kind.endswith("groups"), (name, text)


def test_a_sample_is_the_same_for_its_seed_and_spread_over_families_and_depths():
    one = sample_problems(["bus", "shop"], 80, range(1, 5), seed=3)
    assert one == sample_problems(["bus", "shop"], 80, range(1, 5), seed=3)
    assert one != sample_problems(["bus", "shop"], 80, range(1, 5), seed=4)
    assert Counter(p.meta["family"] for p in one) == {"bus": 40, "shop": 40}
    assert set(Counter(p.meta["depth"] for p in one).values()) == {20}
