"""Paired comparisons: what separates, what does not, and the words for it."""

import json
import random

import pytest

from limo.core.errors import InputError
from limo.core.stats import mcnemar
from limo.stages.compare import average, compare, compare_table, pairs_of, read_outcomes, self_test


def table(rates_by_benchmark):
    return {name: {f"p{i}": rate for i, rate in enumerate(rates)} for name, rates in rates_by_benchmark.items()}


def coin(share, n, seed):
    rng = random.Random(seed)
    return [float(rng.random() < share) for _ in range(n)]


def arm(share, n_seeds, n=60, base=0):
    seeds = range(base, base + n_seeds)
    return {s - base: table({"sums": coin(share, n, s), "trips": coin(share, n, s + 50)}) for s in seeds}


@pytest.fixture
def outcomes():
    twin, base = arm(0.8, 3, base=400), arm(0.3, 1, base=300)
    return {"limo": arm(0.8, 3), "bulk": arm(0.4, 3, base=100), "twin": twin, "base": base}


def test_a_clear_difference_is_separable_and_said_in_points(outcomes):
    found = compare(outcomes, "limo", "bulk")
    assert found.separable and 0 < found.low < found.difference < found.high
    assert f"limo is {100 * found.difference:.1f} points above bulk" in found.sentence
    assert "120 problems of 2 benchmarks, 3 and 3 training seeds" in found.sentence
    back = compare(outcomes, "bulk", "limo")
    assert back.difference == pytest.approx(-found.difference) and "points below limo" in back.sentence


def test_a_difference_whose_interval_holds_zero_is_called_not_separable(outcomes):
    found = compare(outcomes, "limo", "twin")
    assert found.low < 0 < found.high
    assert not found.separable and "not separable" in found.sentence


def test_an_arm_is_not_separable_from_itself(outcomes):
    found = compare(outcomes, "limo", "limo")
    assert (found.difference, found.separable, found.n_better, found.n_worse) == (0, False, 0, 0)


def test_seeds_that_disagree_make_a_large_difference_inseparable():
    runs = {seed: table({"sums": [share] * 50}) for seed, share in enumerate([0.9, 0.2, 0.7])}
    outcomes = {"limo": runs, "base": {0: table({"sums": [0.3] * 50})}}
    assert not compare(outcomes, "limo", "base").separable
    outcomes["limo"] = {0: runs[0]}
    assert compare(outcomes, "limo", "base").separable  # which is why one seed is not enough


def test_each_benchmark_counts_once_and_is_given_alone():
    outcomes = {"a": {0: table({"large": [1.0] * 90, "small": [0.0] * 10})},
                "b": {0: table({"large": [0.0] * 90, "small": [0.0] * 10})}}  # fmt: skip
    found = compare(outcomes, "a", "b")
    assert found.difference == 0.5
    assert (found.by_benchmark["large"].value, found.by_benchmark["small"].value) == (1.0, 0.0)
    assert compare(outcomes, "a", "b", ["small"]).difference == 0


def test_single_answers_give_mcnemars_counts():
    outcomes = {"a": {0: table({"s": [1, 1, 1, 0, 1, 0]})}, "b": {0: table({"s": [0, 0, 1, 1, 0, 0]})}}
    found = compare(outcomes, "a", "b")
    assert (found.n_better, found.n_worse, found.n_same) == (3, 1, 2)
    assert found.p_value == mcnemar(3, 1)


def test_one_more_of_thirty_is_not_separable_and_says_how_many_problems_it_would_take():
    rates = {"a": [1.0] * 12 + [0.0] * 18, "b": [1.0] * 11 + [0.0] * 19}
    found = compare({name: {0: table({"s": of})} for name, of in rates.items()}, "a", "b")
    assert not found.separable and found.low < 0 < found.high and found.p_value == 0.5
    assert "not separable: +3.3 points" in found.sentence
    assert found.detectable > found.difference and found.n_needed > 300


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_one_problem_never_separates(n):
    found = compare({"a": {0: table({"s": [1.0] + [0.0] * (n - 1)})}, "b": {0: table({"s": [0.0] * n})}}, "a", "b")
    assert not found.separable and found.low < 0 and found.p_value == 0.5


def test_an_interval_that_leaves_out_zero_is_not_enough_where_the_signs_say_otherwise():
    rates = [1.0] * 4 + [0.0] * 11  # four of four: 2 of 16 drawings of signs are as large, none is larger
    found = compare({"a": {0: table({"s": rates})}, "b": {0: table({"s": [0.0] * 15})}}, "a", "b")
    assert found.p_value == 1 / 16 and not found.separable


def test_over_a_table_the_p_values_are_adjusted(outcomes):
    alone = compare(outcomes, "bulk", "base")
    found = compare_table(outcomes, pairs_of(list(outcomes)))
    assert len(found) == 6
    (again,) = [one for one in found if (one.arm, one.against) == ("base", "bulk")]
    assert again.p_value == alone.p_value and again.p_adjusted >= again.p_value
    assert all(one.p_adjusted < 0.05 for one in found if one.separable)
    assert pairs_of(["a", "b", "c"], "b") == [("a", "b"), ("c", "b")]
    with pytest.raises(InputError, match="no such arm"):
        pairs_of(["a"], "z")


def test_arms_made_identical_raise_few_alarms(outcomes):
    found = self_test(outcomes, "limo", "bulk", n_trials=60)
    assert found.n_trials == 60 and found.n_separable <= found.n_low_p <= 9
    with pytest.raises(InputError, match="different seeds"):
        self_test(outcomes, "limo", "base")


def test_a_problem_that_one_seed_could_not_decide_is_left_out_and_counted(outcomes):
    del outcomes["limo"][1]["sums"]["p3"]
    found = compare(outcomes, "limo", "bulk")
    assert (found.n_problems, found.n_left_out) == (119, 1)


def test_an_average_is_over_seeds_and_benchmarks(outcomes):
    found = average(outcomes, "limo")
    rates = [rate for seed in outcomes["limo"].values() for rates in seed.values() for rate in rates.values()]
    assert found.value == pytest.approx(sum(rates) / len(rates))
    assert 0 <= found.low < found.value < found.high <= 1
    assert average(outcomes, "base", ["sums"]).value == pytest.approx(sum(outcomes["base"][0]["sums"].values()) / 60)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda o: o.pop("bulk"), "no such arm: 'bulk'"),
        (lambda o: o["limo"].clear(), "no such arm: 'limo'"),
        (lambda o: o["limo"][2].clear(), "not every seed"),
        (lambda o: o["bulk"][0].update(table({"sums": []})), "share no problem"),
        (lambda o: o["bulk"][0]["sums"].update(p0=40.0), "outside 0..1"),
    ],
)
def test_outcomes_that_cannot_be_compared_are_refused(outcomes, change, complaint):
    change(outcomes)
    with pytest.raises(InputError, match=complaint):
        compare(outcomes, "limo", "bulk")


def test_a_benchmark_nobody_measured_is_refused(outcomes):
    with pytest.raises(InputError, match="'chess'"):
        compare(outcomes, "limo", "bulk", ["sums", "chess"])


def test_the_scores_of_a_lab_are_compared_like_those_of_evaluate(tmp_path):
    rows = {
        arm: [{"seed": 0, "arm_hash": "4f2a", "outcomes": {"b": {"p": rate}}}] for arm, rate in (("x", 1), ("y", 0))
    }
    (tmp_path / "scores.json").write_text(json.dumps(rows), encoding="utf-8")
    assert set(read_outcomes([tmp_path])) == {"x", "y"}
