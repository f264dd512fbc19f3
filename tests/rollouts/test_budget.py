"""A budget stops the run before it is passed, and the same run with a larger one goes on."""

from __future__ import annotations

import pytest

from limo.ledger.store import Ledger
from limo.models.openai.completer import HttpCompleter
from limo.models.openai.settings import HttpSettings
from limo.models.replay import ReplayCompleter
from limo.models.replay_server import ReplayServer
from limo.rollouts.budget import FIRST, Budget, BudgetMeter, Price
from limo.rollouts.collect import CollectionStopped, collect_rollouts
from rollout_cases import PROBLEMS, Exact, N


def run(ledger, completer, prices=None, **budget):
    meter = BudgetMeter(Budget(**budget), prices or {}, ledger)
    return collect_rollouts(ledger, completer, PROBLEMS, Exact(), n=N, meter=meter)


def test_tokens_are_not_passed_and_a_larger_budget_pays_nothing_twice(recording, tmp_path):
    with ReplayServer([recording]).running() as url, Ledger(tmp_path / "l.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=HttpSettings(in_flight=16))
        with pytest.raises(
            CollectionStopped, match=r"the budget is spent \(2,0.. of 2,040 tokens; the next rollout could pass it\)"
        ) as stopped:
            run(ledger, completer, tokens=2040)  # 50 tokens each
        assert 30 <= len(ledger) <= 40
        assert set(stopped.value.undecided) <= {problem.id for problem in PROBLEMS}
        assert len(stopped.value.undecided) >= len(PROBLEMS) - 40 // N
        first = list(ledger.rollouts())
        run(ledger, completer, tokens=10**6)
        assert len(ledger) == N * len(PROBLEMS)
        assert [r for r in ledger.rollouts() if r in first] == first


def test_dollars_are_counted_by_the_price_of_each_model(recording, tmp_path, monkeypatch):
    monkeypatch.setattr("limo.models.replay.MAX_GROUP", 2)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        price = Price(input=1000, output=10_000)  # 0.02 + 0.30 a rollout
        completer = ReplayCompleter([recording], "m")
        with pytest.raises(CollectionStopped, match=r"of 1\.00 US dollars"):
            run(ledger, completer, {"m": price}, usd=1.0)
        assert BudgetMeter(Budget(), {"m": price}, ledger).usd == pytest.approx(0.32 * len(ledger))
        assert len(ledger) == 4  # groups of two: a fifth would pass the budget only with the next group


def test_hours_count_over_all_starts(recording, tmp_path):
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.add_seconds(3600)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        with pytest.raises(CollectionStopped, match="hours"):
            run(ledger, ReplayCompleter([recording], "m"), hours=1)
        assert len(ledger) == 0
        run(ledger, ReplayCompleter([recording], "m"), hours=2)


def test_what_is_done_before_the_budget_ends_is_no_stop(recording, tmp_path):
    with Ledger(tmp_path / "l.sqlite") as ledger:
        run(ledger, ReplayCompleter([recording], "m"))
        run(ledger, ReplayCompleter([recording], "m"), tokens=1)


@pytest.mark.parametrize("budget", [{"tokens": 1}, {"usd": 1e-9}])
def test_before_a_cost_is_known_a_few_rollouts_alone_are_requested(recording, tmp_path, budget):
    with ReplayServer([recording]).running() as url, Ledger(tmp_path / "l.sqlite") as ledger:
        completer = HttpCompleter([url], "m", settings=HttpSettings(in_flight=256))
        with pytest.raises(CollectionStopped, match="the budget is spent"):
            run(ledger, completer, {"m": Price(input=1, output=1)}, **budget)
        assert len(ledger) == FIRST
