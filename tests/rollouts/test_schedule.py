"""The order of requests under exact stopping, whatever the order of the results."""

from __future__ import annotations

import random

import pytest

from limo.core.pass_rate_band import PassRateBand
from limo.core.records import Problem
from limo.rollouts.schedule import AWAIT_RESULTS, Schedule

BAND = PassRateBand(1, 3, 12)


def pool(n, seed=0):
    """Problems, and by problem id whether each rollout is correct."""
    rng = random.Random(seed)
    problems = [Problem.make(f"Number {i}", "") for i in range(n)]
    rates = {p.id: rng.choice([0.0, 0.03, 0.1, 0.3, 0.7, 0.95]) for p in problems}
    return problems, {p.id: [rng.random() < rates[p.id] for _ in range(BAND.n)] for p in problems}


def run(problems, draws, seed, n_most=40, speculative=False, stored=()):
    """Decisions and requests, when results come back in a random order with at most `n_most` outstanding."""
    rng = random.Random(seed)
    schedule = Schedule(problems, BAND.n, BAND, started_first=True)
    for problem_id, index in stored:
        schedule.record(problem_id, index, "correct" if draws[problem_id][index] else "wrong")
    requested, outstanding = [], []
    while True:
        request = schedule.next_request(speculative) if len(outstanding) < n_most else AWAIT_RESULTS
        if request is not None and request != AWAIT_RESULTS:
            outstanding.append((request[0].id, request[1]))
            requested.append(outstanding[-1])
        elif outstanding:
            problem_id, index = outstanding.pop(rng.randrange(len(outstanding)))
            schedule.record(problem_id, index, "correct" if draws[problem_id][index] else "wrong")
        else:
            break
    assert schedule.n_outstanding == 0 and schedule.unfinished() == [] and schedule.n_remaining == 0
    return {p.id: schedule.decision(p.id) for p in problems}, requested


@pytest.mark.parametrize("speculative", [False, True])
def test_decisions_are_those_of_all_rollouts_in_any_order_and_nothing_is_requested_twice(speculative):
    problems, draws = pool(60)
    wanted = {problem_id: "keep" if 1 <= sum(row) <= 3 else "drop" for problem_id, row in draws.items()}
    for seed in range(5):
        decisions, requested = run(problems, draws, seed, speculative=speculative)
        assert decisions == wanted
        assert len(set(requested)) == len(requested) < 60 * BAND.n


def test_restarted_with_gaps_it_decides_the_same_and_requests_nothing_stored():
    problems, draws = pool(60)
    decisions, requested = run(problems, draws, 1)
    stored = random.Random(5).sample(requested, len(requested) // 2)
    again, more = run(problems, draws, 6, stored=stored)
    assert again == decisions and not set(more) & set(stored)


def test_one_at_a_time_no_request_is_made_that_is_not_needed():
    problems, draws = pool(60)
    _, requested = run(problems, draws, 1, n_most=1)
    for problem_id, row in draws.items():
        decided_at = next(
            k for k in range(BAND.n + 1) if sum(row[:k]) > 3 or (sum(row[:k]) >= 1 and k - sum(row[:k]) >= 9)
            or k == BAND.n
        )  # fmt: skip
        assert sum(name == problem_id for name, _ in requested) == decided_at


def test_what_could_be_decided_by_outstanding_results_waits_for_them_unless_speculative():
    (problem,), _ = pool(1)
    schedule = Schedule([problem], 12, BAND)
    assert [schedule.next_request(speculative=False)[1] for _ in range(4)] == [0, 1, 2, 3]
    assert schedule.next_request(speculative=False) == AWAIT_RESULTS
    assert schedule.next_request(speculative=True) == (problem, 4)
    for index in range(4):
        schedule.record(problem.id, index, "correct")
    assert schedule.decision(problem.id) == "drop"
    schedule.record_cancelled(problem.id)
    assert schedule.n_outstanding == 0 and schedule.next_request() is None


def test_a_result_counts_once_and_only_below_n():
    (problem,), _ = pool(1)
    schedule = Schedule([problem], 2, None)
    assert schedule.record(problem.id, 0, "correct") is False
    assert schedule.record(problem.id, 0, "wrong") is False
    assert schedule.record(problem.id, 7, "wrong") is False
    assert schedule.counts(problem.id) == (1, 1)
    assert schedule.record(problem.id, 1, "undecided") is True
    assert schedule.counts(problem.id) == (1, 1)


def test_batches_take_blocks_of_indexes_and_short_statements_first():
    long, short = Problem.make("a much longer statement", ""), Problem.make("short", "")
    schedule = Schedule([long, short], 6, PassRateBand(0, 1, 6))
    order = [schedule.next_request() for _ in range(8)]
    assert order[:4] == [(short, 0), (short, 1), (long, 0), (long, 1)]
    assert order[4:] == [(short, 2), (short, 3), (long, 2), (long, 3)]


def test_started_problems_come_before_new_ones():
    problems = [Problem.make(f"calm {i}", "") for i in range(4)]
    schedule = Schedule(problems, 2, None, started_first=True)
    order = [schedule.next_request()[0].id for _ in range(8)]
    assert all(order[k] == order[k + 1] for k in (0, 2, 4, 6))
