"""Intervals against known values, brute force, and what they promise: coverage."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.core.stats import (
    _t,
    beta_cdf,
    detectable_difference,
    difference_interval,
    expected_detectable,
    holm,
    macro_interval,
    majority,
    mcnemar,
    mean_interval,
    pass_at_k,
    pass_at_k_interval,
    rollouts_of,
    score_interval,
    seeds_interval,
    sign_flip,
    wilson,
)


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


def test_with_one_rollout_a_score_has_wilsons_interval_on_one_problem_less_with_students_t():
    from scipy.stats import t

    z, n, p = t.ppf(0.975, 29), 29, 0.4
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = mean_interval([1] * 12 + [0] * 18, [1] * 30)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))
    assert found.sampling is None  # one rollout a problem says nothing of how another would end


def test_rollouts_of_problems_alike_count_in_full_and_of_problems_unlike_as_problems():
    alike, unlike = mean_interval([2] * 40, [4] * 40), mean_interval([0, 4] * 20, [4] * 40)
    assert alike.high - alike.low < 0.75 * (unlike.high - unlike.low)
    assert alike.sampling == 1 and unlike.sampling == 0
    assert unlike.high - unlike.low == pytest.approx(0.32, abs=0.02)  # as of 40 answers


def test_unequal_rollouts_weigh_each_problem_once():
    found = score_interval([1.0, 0.0, 0.5], [16, 1, 4])
    assert found.value == 0.5 and 0 <= found.low < 0.5 < found.high <= 1


def test_all_right_or_all_wrong_never_claims_certainty():
    assert mean_interval([0] * 20, [1] * 20).high == pytest.approx(0.18, abs=0.005)
    assert mean_interval([4] * 20, [4] * 20).low == pytest.approx(0.82, abs=0.005)
    assert macro_interval([mean_interval([1] * 10, [1] * 10)] * 2).low < 0.97
    assert seeds_interval([[[0.0] * 20] * 3]).high > 0


def test_one_problem_says_nothing_of_problems_like_it():
    assert mean_interval([1], [1]).interval == (1, 0, 1)
    assert mean_interval([3], [8]).low < 0.1 and mean_interval([3], [8]).high > 0.9
    assert difference_interval([[1.0]], [[0.0]]).interval == (1, -1, 1)


@pytest.mark.parametrize("n", [2, 3, 10, 30, 115, 500])
def test_one_differing_problem_is_never_a_difference(n):
    one = np.zeros(n)
    one[0] = 1
    found = difference_interval([one], [np.zeros(n)])
    assert found.low < 0 < found.value
    assert sign_flip(one) == 0.5


def test_twelve_against_eleven_of_thirty_hold_zero():
    a, b = np.zeros(30), np.zeros(30)
    a[:12], b[:11] = 1, 1
    _, low, high = difference_interval([a], [b]).interval
    assert low < -0.05 and high > 0.1


def test_an_average_with_a_benchmark_of_three_is_as_unsure_as_these_three():
    found = macro_interval([mean_interval([1] * 3, [1] * 3), mean_interval([1] * 30 + [0] * 30, [1] * 60)])
    assert found.value == 0.75 and found.low < 0.55 and found.high > 0.9


def test_pass_at_k_has_an_interval_over_the_problems_with_enough_rollouts():
    n, c = [16] * 20 + [4] * 5, list(range(16, 6, -1)) * 2 + [0] * 5
    one, eight = pass_at_k_interval(n, c, 1), pass_at_k_interval(n, c, 8)
    assert one.interval == mean_interval(c, n).interval
    assert eight.value == pytest.approx(np.mean(pass_at_k(n[:20], c[:20], 8)))
    assert eight.low < eight.value <= eight.high
    assert pass_at_k_interval([1024] * 4, [1, 0, 5, 1024], 1024).value == 0.75
    with pytest.raises(ValueError, match="17 rollouts"):
        pass_at_k_interval(n, c, 17)


def test_the_majority_is_what_was_said_most_often_and_a_tie_is_shared():
    assert majority([("4", True), ("5", False), ("4", True)]) == 1
    assert majority([("4", True), ("5", False), ("5", False)]) == 0
    assert majority([("4", True), ("5", False)]) == 0.5
    assert majority([]) == 0


def test_rollouts_are_read_off_the_rates():
    assert [rollouts_of(np.array(rates)) for rates in ([0.0, 1.0], [0.25, 0.5], [1 / 3, 0], [5 / 16])] == [1, 4, 3, 16]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(4, 6)), min_size=1, max_size=12))
def test_an_interval_holds_its_value_within_0_and_1(rows):
    value, low, high = mean_interval([c for c, _ in rows], [n for _, n in rows]).interval
    assert 0 <= low <= value <= high <= 1
    assert value == pytest.approx(np.mean([c / n for c, n in rows]))


def test_a_macro_average_counts_each_benchmark_once():
    scores = [mean_interval([1] * 90, [1] * 90), mean_interval([0] * 10, [1] * 10)]
    assert macro_interval(scores).value == pytest.approx(0.5)


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
    base = np.full((1, 50), 3 / 997)  # of many rollouts, so that nothing but the seeds varies
    level = np.full((3, 50), 0.5)
    calm = difference_interval([level + 0.001 * np.arange(3)[:, None]], [base])
    wild = difference_interval([level + 0.1 * (np.arange(3) - 1)[:, None]], [base])
    assert wild.high - wild.low > 10 * (calm.high - calm.low)
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
    rng, n, trials = np.random.default_rng(3), 30, 300
    scores = differences = alarms = 0
    for _ in range(trials):
        rates = rng.beta(0.6, 1.2, n)
        scores += (found := mean_interval(rng.binomial(4, rates), [4] * n)).low <= 1 / 3 <= found.high
        a, b = rng.binomial(1, rates), rng.binomial(1, rates)
        differences += (found := difference_interval([a], [b])).low <= 0 <= found.high
        alarms += sign_flip(a - b) < 0.05
    assert 0.92 <= scores / trials <= 0.995
    assert 0.92 <= differences / trials <= 0.995
    assert alarms / trials < 0.08


def test_seeds_that_vary_are_held_by_the_interval_too():
    rng, trials, held = np.random.default_rng(4), 150, 0
    for _ in range(trials):
        seeds_a, seeds_b = rng.normal(0, 0.04, (3, 1)), rng.normal(0, 0.04, (3, 1))
        shared = rng.uniform(0.3, 0.7, 40)
        a = shared + seeds_a + rng.normal(0, 0.1, (3, 40)) + rng.normal(0, 0.1, 40)
        b = shared + seeds_b + rng.normal(0, 0.1, (3, 40))
        held += (found := difference_interval([a], [b])).low <= 0 <= found.high
    assert 0.9 <= held / trials <= 1


def test_the_flipped_signs_are_counted_exactly_for_few_and_drawn_for_many():
    rng = np.random.default_rng(1)
    for n in (1, 5, 11):
        gaps = rng.normal(0.4, 1, n)
        flipped = [abs(sum(s * g for s, g in zip(signs, gaps, strict=True)))
                   for signs in itertools.product((1, -1), repeat=n)]  # fmt: skip
        larger, equal = np.array(flipped) > abs(gaps.sum()) + 1e-9, np.abs(np.array(flipped) - abs(gaps.sum())) < 1e-9
        assert sign_flip([*gaps, 0.0, 0.0]) == pytest.approx(np.mean(larger) + np.mean(equal) / 2)
    assert sign_flip([1.0] * 9 + [-1.0]) == pytest.approx(mcnemar(9, 1))
    assert sign_flip([1.0] * 40 + [-1.0] * 20) == pytest.approx(mcnemar(40, 20))
    many = rng.normal(0.3, 1, 60)
    from scipy.stats import ttest_1samp

    assert sign_flip(many) == pytest.approx(ttest_1samp(many, 0).pvalue, abs=0.01)


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize("freedom", [0.01, 0.2, 1, 2.5, 29.7, 9999, 10001, 1e6])
def test_the_quantiles_of_student_and_the_shares_of_beta_are_scipys(freedom):
    from scipy.special import betainc
    from scipy.stats import t

    for share in (0.8, 0.975):
        assert _t(freedom, share) == pytest.approx(t.ppf(share, freedom), rel=1e-7)
    assert beta_cdf(0.5, 10.5, 0.3) == pytest.approx(betainc(0.5, 10.5, 0.3), rel=1e-9)


def test_p_values_and_wilsons_interval_are_scipys():
    from scipy.stats import binom, binomtest

    for a, b in ((0, 1), (3, 9), (7, 7), (40, 61), (900, 1000)):
        equal = (1 if a == b else 2) * binom.pmf(a, a + b, 0.5)
        assert mcnemar(a, b) == pytest.approx(binomtest(a, a + b).pvalue - equal / 2, rel=1e-9)
        low, high = binomtest(a, a + b).proportion_ci(method="wilson")
        assert wilson(a, a + b) == pytest.approx((low, high), rel=1e-9, abs=1e-12)


def test_mcnemar_counts_ties_half():
    assert mcnemar(0, 0) == 1 and mcnemar(1, 0) == 0.5
    assert mcnemar(5, 5) == pytest.approx(1 - 252 / 1024 / 2)
    assert mcnemar(0, 6) == pytest.approx(1 / 64)
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx((1 + 1 + 10) / 1024)
    assert mcnemar(7, 1) == pytest.approx(0.0391, abs=5e-5)  # ties in full: .0703


def test_false_alarms_of_mcnemars_test_stay_below_its_level_over_problems_that_differ_by_chance():
    from scipy.stats import binom

    most = [next((k for k in range(n // 2 + 1) if mcnemar(k, n - k) >= 0.05), 0) - 1 for n in range(41)]
    by_number = 2 * binom.cdf(most, range(41), 0.5)  # of n problems that differ
    for n, share in ((20, 0.3), (20, 0.5), (40, 0.2), (40, 0.5)):  # problems, and how many of them differ
        assert 0.03 < binom.pmf(range(41), n, share) @ by_number < 0.05


def test_the_expected_detectable_difference_is_that_of_two_models_alike_and_apart():
    """Simulated: pass rates evenly between 0 and 1, of each model its own; the measured one lies about it."""
    rng = np.random.default_rng(1)
    for n, k in ((25, 1), (60, 4)):
        found = []
        for _ in range(60):
            tables = [rng.binomial(k, rng.random(n))[None, :] / k for _ in range(2)]
            found.append(difference_interval([tables[0]], [tables[1]]).detectable)
        assert np.mean(found) == pytest.approx(detectable_difference(n, k), rel=0.08)
    assert detectable_difference(100, 4) < detectable_difference(100, 1) < detectable_difference(25, 1) < 0.43
    assert detectable_difference(1) == 1
    words = "smallest detectable difference, expected: 42.2 points (25 problems, rollouts of each: 1; paired by problem"
    assert expected_detectable(25).startswith(words)
