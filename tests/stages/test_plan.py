"""A plan against brute force: every sequence of draws, walked through one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from limo.core.errors import InputError
from limo.core.pass_rate_band import PassRateBand
from limo.core.prompts import prompt_hash
from limo.core.records import Completion, Problem, Rollout, Verdict
from limo.ledger.store import Ledger
from limo.rollouts.runner import RolloutSettings
from limo.stages.plan import (
    PASS_RATES,
    CostAssumptions,
    Step,
    cost_table,
    expected,
    fit_pass_rates,
    lengths_note,
    model_size,
    plan,
    speed_note,
)

PROBLEMS = [Problem.make(f"What is {i} and one?", str(i + 1)) for i in range(40)]


def rollout_settings(n=4, models=1, **more):
    named = [
        {"kind": "http", "name": f"Qwen-{7 * (k + 1)}B", "base_urls": ["http://h/v1"], **more} for k in range(models)
    ]
    return RolloutSettings.model_validate({"models": named, "n": n, "sampling": {"max_tokens": 1000}})


def at(rate):
    """All weight on the rate of the grid that is nearest."""
    weights = np.zeros(len(PASS_RATES))
    weights[np.abs(PASS_RATES - rate).argmin()] = 1.0
    return float(PASS_RATES[weights.argmax()]), weights


@pytest.mark.parametrize("band", [PassRateBand(0, 0, 4), PassRateBand(1, 3, 6), PassRateBand(2, 2, 5)], ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 1.0])
def test_the_expectation_is_the_mean_over_all_sequences(band, rate):
    p, weights = at(rate)
    expected_n = kept = 0.0
    for draws in product([True, False], repeat=band.n):
        chance = np.prod([p if right else 1 - p for right in draws])
        stop = next(k for k in range(band.n + 1) if band.decide(sum(draws[:k]), k - sum(draws[:k])))
        expected_n += chance * stop
        kept += chance * (band.low <= sum(draws) <= band.high)
    found = expected(Step("f", rollout_settings(band.n), band), weights)
    assert found == pytest.approx((kept, expected_n))


def test_several_models_stop_only_between_them():
    p, weights = at(0.5)
    share, n = expected(Step("f", rollout_settings(2, models=2), PassRateBand(0, 0, 4)), weights)
    assert n == pytest.approx(2 + 2 * (1 - p) ** 2)
    assert share == pytest.approx((1 - p) ** 4)


def test_each_step_is_about_what_the_one_before_keeps_and_the_sum_adds_up():
    steps = [Step("weak", rollout_settings(), PassRateBand(0, 0, 4)), Step("teacher", rollout_settings(2))]
    first, second = plan(steps, PROBLEMS, CostAssumptions())
    assert (first.n_problems, first.n_most) == (40, 160)
    assert second.n_problems == first.n_kept < 40
    assert first.n_expected < first.n_most and second.n_expected == pytest.approx(2 * first.n_kept)
    assert cost_table([first, second])[-1][2] == f"{first.n_most + second.n_most:,}"


def test_a_judge_gets_the_chains_that_teachers_will_give_and_reads_them_whole():
    strong, other = (
        Step("strong", rollout_settings(6), PassRateBand(1, 3, 6), teaches=True),
        Step("teacher", rollout_settings(2), teaches=True),
    )
    judge = Step("judge", rollout_settings(3), judges=True)
    first, second, last = plan([strong, other, judge], PROBLEMS, CostAssumptions())
    chains = 2 * first.n_kept + 0.5 * second.n_expected  # the middle of the band; a flat prior says one in two
    assert last.n_problems == pytest.approx(chains) and last.n_expected == pytest.approx(3 * chains)
    assert last.n_most == round(3 * (3 * 40 + 2 * first.n_kept)) > last.n_expected
    assert last.n_in > last.n_expected * 500  # tokens of each chain alone
    assert [row.n_problems for row in plan([strong, judge, other], PROBLEMS, CostAssumptions())][2] == first.n_kept


def test_money_and_hours_follow_from_prices_and_speed():
    dear = rollout_settings(4, price={"input": 1.0, "output": 10.0})
    (row,) = plan([Step("teacher", dear)], PROBLEMS, CostAssumptions("H100", 2.0, 50.0))
    assert row.n_out == 4 * 40 * 500  # half of max_tokens, as nothing is known
    hours = 2 * 7e9 * (row.n_in / 0.5 + row.n_out / 0.15) / 989e12 / 3600
    assert row.gpu_hours == pytest.approx(hours)
    assert row.usd == pytest.approx((row.n_in + 10 * row.n_out) / 1e6 + 2 * hours)
    assert row.hours == pytest.approx(row.n_out / (50 * 256) / 3600)
    assert row.source == "assumed"
    free = rollout_settings(4)
    unpriced, priced = (plan([Step("teacher", free)], PROBLEMS, CostAssumptions("H100", usd))[0] for usd in (0.0, 2.0))
    assert unpriced.usd is None and priced.usd == pytest.approx(2 * hours)
    assert [cells[8] for cells in cost_table([unpriced, row])][1:] == ["?", f"{row.usd:,.2f}", f"{row.usd:,.2f}"]


def test_the_time_rests_on_the_speed_that_the_ledger_shows_unless_one_is_given(tmp_path):
    one, terms = rollout_settings(4), CostAssumptions()
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.add(
            [
                Rollout(p.id, "x", "p", "s", 0, Completion("?", n_completion_tokens=70), Verdict("wrong"))
                for p in PROBLEMS[:20]
            ]
        )
        assert plan([Step("a", one)], PROBLEMS, terms, ledger)[0].tokens_per_s == 0  # no time was noted
        ledger.add_seconds(100.0)
        (row,) = plan([Step("a", one)], PROBLEMS, terms, ledger)
        (given,) = plan([Step("a", one)], PROBLEMS, CostAssumptions(tokens_per_s=50.0), ledger)
    assert row.tokens_per_s == 14 and row.hours == pytest.approx(row.n_out / 14 / 3600)
    assert speed_note([row], terms).startswith("time at 14 tokens/s in all, measured in this run")
    assert given.hours == pytest.approx(given.n_out / (50 * 256) / 3600)
    assert speed_note([given], CostAssumptions(tokens_per_s=50.0)) == "time at 50 tokens/s a request (--tokens-per-s)"


def test_what_a_ledger_shows_takes_the_place_of_assumptions(tmp_path):
    one = rollout_settings()
    where = (one.models[0].name, prompt_hash(one.system), one.sampling.sampling().hash)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        never = [
            Rollout(p.id, *where, k, Completion("?", n_completion_tokens=70), Verdict("wrong"))
            for p in PROBLEMS[:20]
            for k in range(4)
        ]
        ledger.add(never)
        steps = [Step("weak", one, PassRateBand(0, 0, 4)), Step("other", rollout_settings(1))]
        row, _ = plan(steps, PROBLEMS, CostAssumptions(), ledger)
        apart = RolloutSettings.model_validate({"models": [{"kind": "replay", "name": "x", "files": ["f"]}], "n": 1})
        (unseen,) = plan([Step("strong", apart)], PROBLEMS, CostAssumptions(), ledger)
    assert row.source == "20 problems" and lengths_note([row]).endswith("measured, the mean of those in the ledger")
    assert unseen.n_out == 70 * unseen.n_expected, "a model without rollouts: the mean of the others"
    assert lengths_note(plan(steps, PROBLEMS, CostAssumptions())).startswith("tokens of a rollout: half of max_tokens")
    assert row.n_kept > 35 and row.n_out == pytest.approx(70 * row.n_expected)


def test_a_model_whose_size_nobody_says_and_a_gpu_nobody_knows_are_named():
    nameless = RolloutSettings.model_validate(
        {"models": [{"kind": "http", "name": "big", "base_urls": ["http://h/v1"]}], "n": 1}
    )
    (row,) = plan([Step("teacher", nameless)], PROBLEMS, CostAssumptions())
    assert row.gpu_hours is None and cost_table([row])[1][7] == "unknown"
    assert row.usd is None and [cells[8] for cells in cost_table([row])] == ["USD", "?", "?"], "no price was given"
    message = nameless.model_copy(update={"models": [nameless.models[0].model_copy(update={"size_b": 7.0})]})
    (known,) = plan([Step("teacher", message)], PROBLEMS, CostAssumptions())
    assert known.gpu_hours and message.hash == nameless.hash  # a size changes no draw: the run stays the same run
    with pytest.raises(InputError, match="H100"):
        CostAssumptions("abacus")
    with pytest.raises(InputError, match="nothing to plan"):
        plan([], [], CostAssumptions())


def test_the_fit_finds_the_pass_rates_that_are_there_and_is_flat_without_any():
    rng = np.random.default_rng(1)
    n_correct = np.concatenate([np.zeros(300, int), rng.binomial(12, 0.5, 300)])
    weights = fit_pass_rates([(int(n), 12 - int(n)) for n in n_correct])
    assert weights.sum() == pytest.approx(1)
    assert weights[PASS_RATES < 0.02].sum() == pytest.approx(0.5, abs=0.03)
    assert weights[(PASS_RATES > 0.35) & (PASS_RATES < 0.65)].sum() == pytest.approx(0.5, abs=0.06)
    assert set(fit_pass_rates([])) == {1 / len(PASS_RATES)}


def test_a_model_that_is_named_twice_is_refused_before_it_counts_twice():
    model = {"kind": "replay", "name": "strong", "files": ["a.jsonl"]}
    with pytest.raises(ValidationError, match="strong is named twice"):
        RolloutSettings.model_validate({"models": [model, {**model, "files": ["b.jsonl"]}], "n": 1})
    assert RolloutSettings.model_validate({"models": [model, {**model, "name": "weak"}], "n": 1}).n_in_all == 2


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen2.5-32B-Instruct", 32),
        ("/m/SmolLM2-135M-Instruct.Q4_1.gguf", 0.135),
        ("Qwen2.5-7B-Instruct-1M", 7),
        ("gpt-4", None),
    ],
)
def test_the_size_of_a_model_stands_in_its_name(name, billions):
    assert model_size(name) == billions
