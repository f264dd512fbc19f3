"""What a runner notes of requests that failed."""

from __future__ import annotations

from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress
from limo.core.records import Completion, Problem
from limo.ledger.store import Ledger
from limo.models.completer import Capabilities, Completer
from limo.rollouts.runner import RolloutRunner, RolloutSettings
from rollout_cases import Exact

PROBLEMS = [Problem.make(f"Ship {i} carries how many crates?", "7") for i in range(3)]


class OneFails(Completer):
    """Right always, but the first rollout of every problem fails for good."""

    name, capabilities = "m", Capabilities()

    def complete(self, requests):
        for request in requests:
            if request:
                failed = Completion("", "error", error="status 422: no")
                yield [(request, Completion("7") if request.index else failed)]


def test_a_failed_request_of_a_problem_that_is_decided_without_it_lacks_nothing(tmp_path):
    settings = RolloutSettings.model_validate(
        {"models": [{"kind": "http", "name": "m", "base_urls": ["http://127.0.0.1:1/v1"]}], "n": 4}
    )
    for high, n_lacking in ((2, 0), (3, 3)):  # three are right: too many of 2 whatever the fourth is, and not of 3
        runner = RolloutRunner(lambda *_: OneFails(), "", NoProgress())
        with Ledger(tmp_path / f"{high}.sqlite") as ledger:
            runner.run(settings, PROBLEMS, ledger, Exact(), "weak", PassRateBand(0, high, 4))
        assert sum(lack.n for lack in runner.lacks) == n_lacking
