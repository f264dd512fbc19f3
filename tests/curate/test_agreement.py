import random

import pytest
from sklearn.metrics import cohen_kappa_score

from limo.core.records import LEVELS, Grade
from limo.curate.agreement import agreement


def grades(levels: list[int]) -> list[Grade]:
    return [Grade({}, level / 4, LEVELS[level]) for level in levels]


def test_kappa_is_that_of_scikit_learn_and_the_share_counts_equal_levels():
    rng = random.Random(0)
    for _ in range(20):
        one = [rng.randrange(5) for _ in range(40)]
        other = [min(4, max(0, level + rng.choice([-1, 0, 0, 1]))) for level in one]
        found = agreement(grades(one), grades(other))
        assert found.kappa == pytest.approx(cohen_kappa_score(one, other, weights="quadratic"))
        assert found.same == sum(a == b for a, b in zip(one, other, strict=True)) / 40


def test_full_agreement_is_one_reversal_is_minus_one_and_blindness_is_nought():
    assert agreement(grades([0, 1, 2, 3, 4]), grades([0, 1, 2, 3, 4])).kappa == 1
    found = agreement(grades([0, 1, 2, 3, 4]), grades([4, 3, 2, 1, 0]))
    assert (found.correlation, found.kappa, found.same) == (pytest.approx(-1), pytest.approx(-1), 0.2)
    assert agreement(grades([0, 0, 4, 4]), grades([0, 4, 0, 4])).kappa == 0


def test_no_chains_and_one_level_for_all_are_no_fault():
    assert agreement([], []).n == 0
    assert agreement(grades([2, 2]), grades([2, 2])).kappa == 1
