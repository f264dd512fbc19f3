"""Stopping with a stated error, under any order of answers: decisions follow from the draws alone."""

from __future__ import annotations

import random

import numpy as np
import pytest

from limo.core.errors import InputError
from limo.core.records import Problem
from limo.rollouts.likely import FIRST, RATES, Learning, Likely, fit
from limo.rollouts.schedule import LATER, Schedule
from limo.rollouts.stopping import Band, decide

BAND = Band(1, 3, 12)


def pool(n, seed=0):
    rng = random.Random(seed)
    problems = [Problem.make(f"Number {i}", "") for i in range(n)]
    rates = {p.id: rng.choice([0.0, 0.03, 0.1, 0.3, 0.7, 0.95]) for p in problems}
    return problems, {p.id: [rng.random() < rates[p.id] for _ in range(BAND.n)] for p in problems}


def run(problems, draws, max_error, seed, in_flight=40, eager=False, told=()):
    """Answers come back in a random order; what was decided, with which counts, and what was asked."""
    rng = random.Random(seed)
    schedule = Schedule(problems, BAND.n, BAND, max_error, depth=True)
    for name, index in told:
        schedule.answered(name, index, "correct" if draws[name][index] else "wrong")
    asked, under_way = [], []
    while True:
        wanted = schedule.next(eager) if len(under_way) < in_flight else LATER
        if wanted is not None and wanted != LATER:
            under_way.append((wanted[0].id, wanted[1]))
            asked.append(under_way[-1])
        elif under_way:
            name, index = under_way.pop(rng.randrange(len(under_way)))
            schedule.answered(name, index, "correct" if draws[name][index] else "wrong")
        else:
            break
    assert schedule.n_outstanding == 0 and schedule.unsettled() == []
    return {p.id: (schedule.decision(p.id), schedule.counts(p.id)) for p in problems}, asked


@pytest.mark.parametrize("eager", [False, True])
def test_exact_decides_as_all_draws_whatever_the_order_and_asks_nothing_twice(eager):
    problems, draws = pool(60)
    for seed in range(5):
        found, asked = run(problems, draws, 0.0, seed, eager=eager)
        assert {name: decision for name, ((decision, _), _) in found.items()} == {
            name: "keep" if 1 <= sum(row) <= 3 else "drop" for name, row in draws.items()
        }
        assert len(set(asked)) == len(asked) < 60 * BAND.n


def test_with_an_error_allowed_decisions_and_counts_do_not_depend_on_the_order():
    problems, draws = pool(4 * FIRST)
    first, asked = run(problems, draws, 0.05, 1)
    for seed, in_flight, eager in ((2, 1, False), (3, 300, False), (4, 64, True)):
        assert run(problems, draws, 0.05, seed, in_flight, eager)[0] == first
    rng = random.Random(5)
    known = rng.sample(asked, len(asked) // 2)  # killed somewhere, with gaps, and started again
    again, more = run(problems, draws, 0.05, 6, told=known)
    assert again == first and not set(more) & set(known)


def test_errors_are_about_as_rare_as_was_asked_and_save_rollouts():
    problems, draws = pool(12 * FIRST, seed=3)
    exact, all_asked = run(problems, draws, 0.0, 1)
    loose, asked = run(problems, draws, 0.1, 1)
    wrong = sum(exact[name][0][0] != loose[name][0][0] for name in exact)
    assert 0 < wrong <= 0.1 * len(problems)
    assert len(asked) < 0.9 * len(all_asked)
    assert max(risk for (_, risk), _ in loose.values()) <= 0.1


def test_the_first_generation_is_decided_exactly():
    problems, draws = pool(FIRST)
    assert [d for d, _ in run(problems, draws, 0.2, 1)[0].values()] == [
        ("keep" if 1 <= sum(draws[p.id]) <= 3 else "drop", 0.0) for p in problems
    ]


def test_the_chance_of_keeping_is_that_of_all_continuations():
    weights = fit([(0, 12), (0, 12), (6, 6), (1, 11)])
    rule = Likely(BAND, weights, 0.01)
    rng = np.random.default_rng(0)
    for c, w in ((0, 4), (1, 6), (3, 5), (0, 0)):
        posterior = weights * RATES**c * (1 - RATES) ** w
        rates = rng.choice(RATES, size=200_000, p=posterior / posterior.sum())
        totals = c + rng.binomial(BAND.n - c - w, rates)
        assert rule.keep[c, w] == pytest.approx(np.mean((totals >= 1) & (totals <= 3)), abs=0.005)


def test_a_certain_decision_is_certain_under_any_prior():
    rule = Likely(BAND, fit([]), 0.01)
    for c in range(BAND.n + 1):
        for w in range(BAND.n + 1 - c):
            if (sure := decide(BAND, c, w)) is not None:
                assert rule.decide(c, w, 0) == sure and rule.risk(c, w) == pytest.approx(0, abs=1e-9)


def test_the_fit_finds_the_rates_that_are_there():
    rng = np.random.default_rng(1)
    right = np.concatenate([np.zeros(300, int), rng.binomial(12, 0.5, 300)])
    weights = fit([(int(c), 12 - int(c)) for c in right])
    assert weights[RATES < 0.02].sum() == pytest.approx(0.5, abs=0.03)
    assert weights[(RATES > 0.35) & (RATES < 0.65)].sum() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("error", [0.0, 0.5, -1, float("nan")])
def test_an_error_that_is_none_is_refused(error):
    with pytest.raises(InputError, match="error"):
        Learning(BAND, error, ["a"])


def test_a_higher_priority_comes_first_and_begun_problems_before_new_ones():
    urgent = Problem.make("urgent, and its text is much longer than the other", "", meta={"priority": 1})
    calm = [Problem.make(f"calm {i}", "") for i in range(3)]
    schedule = Schedule([*calm, urgent], 2, None, depth=True)
    order = [schedule.next()[0].id for _ in range(8)]
    assert order[:2] == [urgent.id] * 2
    assert all(order[k] == order[k + 1] for k in (2, 4, 6))
