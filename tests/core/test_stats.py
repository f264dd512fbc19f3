"""Intervals against known values, brute force, and what they promise: coverage."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.core.stats import (
    difference_interval,
    macro_interval,
    mcnemar,
    mean_interval,
    mean_resamples,
    pass_at_k,
    seeds_interval,
    wilson,
)

# Recorded from the first version: the figures of published experiments rest on these random streams.
MEAN = (0.4329906204906205, 0.20833333333333334, 0.6614769345238096)
MACRO = (0.4329906204906205, 0.26968259604978356, 0.5942443407287158)
SEEDS = (0.7, 0.1685964595087715, 1.0)
DIFFERENCE = (0.35, -1.0, 1.0)


def test_wilson_gives_the_published_values():
    # Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29
    published = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)]
    for n_correct, n, low, high in published:
        assert wilson(n_correct, n) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_holds_its_share_stays_within_bounds_and_mirrors(n_correct, n_wrong):
    n = n_correct + n_wrong
    low, high = wilson(n_correct, n)
    assert 0 <= low <= (n_correct / n if n else 0.5) <= high <= 1
    assert (low, high) == pytest.approx(tuple(1 - end for end in reversed(wilson(n_wrong, n))))


@pytest.mark.parametrize(("n_correct", "n"), [(0, 7), (1, 7), (31, 32), (500, 1319), (9, 9)])
def test_wilson_is_its_formula(n_correct, n):
    z, share = 1.959963984540054, n_correct / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert wilson(n_correct, n) == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_wilson_refuses_more_correct_than_tried():
    with pytest.raises(ValueError):
        wilson(3, 2)


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_drawings_that_hold_a_right_one(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    drawings = list(itertools.combinations([1] * c + [0] * (n - c), k))
    assert pass_at_k([n], [c], k)[0] == pytest.approx(sum(map(max, drawings)) / len(drawings))


def test_pass_at_k_needs_k_attempts_and_does_not_overflow():
    assert math.isnan(pass_at_k([2], [1], 3)[0])
    assert pass_at_k([100_000], [50_000], 64)[0] == pytest.approx(1)
    with pytest.raises(ValueError):
        pass_at_k([2], [3], 1)
    with pytest.raises(ValueError):
        pass_at_k([2], [1], 0)


def test_two_level_resamples_have_the_moments_of_drawing_by_hand():
    outcomes = [[1, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]]
    draws = mean_resamples(([sum(o) for o in outcomes], [4, 4, 4]), 20_000)
    rng = np.random.default_rng(1)
    by_hand = [np.mean([rng.choice(outcomes[i], 4).mean() for i in rng.integers(3, size=3)]) for _ in range(4_000)]
    assert draws.mean() == pytest.approx(np.mean(by_hand), abs=0.01)
    assert draws.std() == pytest.approx(np.std(by_hand), rel=0.05)


def test_the_same_data_and_seed_give_the_recorded_intervals():
    table = ([1, 0, 3, 6, 2, 5, 4, 1], [4, 5, 7, 8, 3, 6, 9, 11])
    a = [[[1, 0, 1, 1, 0.5], [1, 1, 0, 1, 0.25], [0, 1, 1, 1, 0.75]]]
    b = [[[0, 0, 1, 1, 0.5], [0, 1, 0, 0, 0]]]
    assert mean_interval(*table) == pytest.approx(MEAN, abs=1e-12)
    assert macro_interval([table, table]) == pytest.approx(MACRO, abs=1e-12)
    assert seeds_interval(a) == pytest.approx(SEEDS, abs=1e-12)
    assert difference_interval(a, b) == pytest.approx(DIFFERENCE, abs=1e-12)
    assert mean_interval(*table, seed=1) != pytest.approx(MEAN, abs=1e-12)


def test_all_right_or_all_wrong_never_claims_certainty():
    assert mean_interval([0] * 20, [1] * 20) == pytest.approx((0, 0, wilson(0, 20)[1]))
    assert mean_interval([4] * 20, [4] * 20).low == pytest.approx(wilson(20, 20)[0])
    assert macro_interval([([1] * 10, [1] * 10)] * 2).low < 1
    assert seeds_interval([[[0.0] * 20] * 3]).high > 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(4, 6)), min_size=1, max_size=12))
def test_an_interval_holds_its_value_within_0_and_1(rows):
    value, low, high = mean_interval([c for c, _ in rows], [n for _, n in rows], 200)
    assert 0 <= low <= value <= high <= 1
    assert value == pytest.approx(np.mean([c / n for c, n in rows]))


def test_a_macro_average_counts_each_benchmark_once():
    assert macro_interval([([1] * 90, [1] * 90), ([0] * 10, [1] * 10)]).value == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [([], []), ([1], [0]), ([2], [1])])
def test_impossible_counts_are_refused(bad):
    with pytest.raises(ValueError):
        mean_interval(*bad)


def test_a_paired_difference_is_antisymmetric_and_zero_against_itself():
    rng = np.random.default_rng(0)
    a, b = [rng.random((3, 40))], [rng.random((2, 40))]
    assert difference_interval(a, b).value == pytest.approx(-difference_interval(b, a).value)
    same = difference_interval(a, a)
    assert same.value == 0 and same.low < 0 < same.high


def test_pairing_takes_out_what_both_arms_find_hard():
    hard = (np.arange(60) % 2).astype(float)
    found = difference_interval([np.clip(hard + 0.1, 0, 1)[None]], [hard[None]])
    alone = seeds_interval([hard[None]])
    assert found.high - found.low < 0.3 * (alone.high - alone.low)


def test_seeds_that_disagree_widen_the_interval_and_three_are_no_crowd():
    base = np.zeros((1, 50))
    level = np.full((3, 50), 0.5)
    calm = difference_interval([level + 0.001 * np.arange(3)[:, None]], [base])
    wild = difference_interval([level + 0.1 * (np.arange(3) - 1)[:, None]], [base])
    assert wild.high - wild.low > 20 * (calm.high - calm.low)
    # only seeds vary: exactly Student's t with 2 degrees of freedom, 4.30 standard errors to each side
    assert (wild.high - wild.low) / 2 == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("a", "b"),
    [([], []), ([[[1.0]]], [[[1.0, 0.0]]]), ([[[1.0]], [[1.0], [0.0]]], [[[1.0]], [[1.0]]]), ([[[]]], [[[]]])],
)
def test_arms_that_do_not_pair_are_refused(a, b):
    with pytest.raises(ValueError):
        difference_interval(a, b)


def test_intervals_hold_the_truth_about_as_often_as_they_promise():
    rng = np.random.default_rng(3)
    scores = differences = 0
    for trial in range(200):
        rates = rng.beta(1, 2, 40)
        found = mean_interval(rng.binomial(4, rates), [4] * 40, 400, trial)
        scores += found.low <= 1 / 3 <= found.high
        seeds_a, seeds_b = rng.normal(0, 0.04, (3, 1)), rng.normal(0, 0.04, (3, 1))
        shared = rng.random(40)
        a = [shared + seeds_a + rng.normal(0, 0.2, (3, 40)) + rng.normal(0, 0.2, 40) for _ in range(2)]
        b = [shared + seeds_b + rng.normal(0, 0.2, (3, 40)) for _ in range(2)]
        found = difference_interval(a, b, 400, trial)
        differences += found.low <= 0 <= found.high
    assert 0.91 <= scores / 200 <= 1.0
    assert 0.91 <= differences / 200 <= 0.995


def test_mcnemar_is_the_exact_sign_test():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(22 / 1024)
