"""Collecting: nothing is requested twice or once decided, and it ends the same whatever stopped it on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import replace
from itertools import count, islice
from typing import ClassVar

import pytest

from limo.core.errors import InputError, ModelError
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, describe_line
from limo.core.records import Completion, Problem, Sampling, Verdict
from limo.ledger.store import Ledger
from limo.models.completer import Capabilities, Completer
from limo.rollouts.budget import Budget, BudgetMeter, Price
from limo.rollouts.collect import CollectionStopped, collect_rollouts

PROBLEMS = [Problem.make(f"Problem {'long ' * (i % 4)}{i}", str(i)) for i in range(12)]
NUMBER = {problem.id: i for i, problem in enumerate(PROBLEMS)}


class Model(Completer):
    """Right on rollout `index` of problem i where (index + i) % 3 == 0; problem 5 always fails."""

    name = "model"

    def __init__(self, group=4, die_after=None, identity=""):
        self.group, self.die_after, self.capabilities = group, die_after, Capabilities(identity=identity)
        self.requested = []

    def complete(self, requests):
        while batch := list(islice(requests, self.group)):
            if self.die_after is not None and len(self.requested) >= self.die_after:
                raise KeyboardInterrupt
            self.requested += [(NUMBER[request.problem.id], request.index) for request in batch]
            yield [(request, self.answer(NUMBER[request.problem.id], request.index)) for request in batch]

    def answer(self, i, index):
        if i == 5:
            return Completion("", "error", error="the server is away")
        return Completion(str(i) if (index + i) % 3 == 0 else "?", n_completion_tokens=2)


class Exact:
    """Right when the text is the answer."""

    identity = "exact"

    def verify_many(self, pairs):
        for problem, completion in pairs:
            yield Verdict("correct" if completion.text == problem.answer else "wrong")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def run(path, model, n=6, band=None, **more):
    with Ledger(path) as ledger:
        return collect_rollouts(ledger, model, PROBLEMS, Exact(), n=n, band=band, **more)


def test_without_a_band_every_rollout_is_requested_once(path):
    model = Model()
    rates = run(path, model)
    assert sorted(model.requested) == [(i, index) for i in range(12) for index in range(6)]
    assert {rate.n_decided for rate in rates.values()} == {6, 0}
    assert rates[PROBLEMS[0].id].rate == pytest.approx(1 / 3)


def test_a_model_in_this_process_says_how_far_it_is_and_a_signal_finishes_its_batch(path, monkeypatch):
    class Slow(Model):
        def waits_for(self):
            return "4 completions in this process"

        def complete(self, requests):
            for group in super().complete(requests):
                assert told.wait(30)
                if len(self.requested) == 4:
                    signal.raise_signal(signal.SIGINT)
                yield group

    class Shown(NoProgress):
        def show(self, event):
            super().show(event)
            if "waiting for 4 completions in this process" in describe_line(event):
                told.set()

    told, progress = threading.Event(), Shown()
    monkeypatch.setattr("limo.rollouts.collect.BEAT_S", 0.01)
    with pytest.raises(CollectionStopped):
        run(path, Slow(), progress=progress)
    assert progress.logged == ["waiting for 4 outstanding rollouts; Ctrl-C again leaves them"]


def test_a_second_call_asks_nothing_and_says_the_same(path):
    first, again = Model(), Model()
    assert run(path, first) == run(path, again)
    assert again.requested == []


def test_more_rollouts_request_only_the_new_ones(path):
    run(path, Model(), n=2)
    more = Model()
    run(path, more, n=3)
    assert {index for _, index in more.requested} == {2}


@pytest.mark.parametrize("band", [PassRateBand(0, 0, 6), PassRateBand(1, 2, 6), PassRateBand(0, 3, 6)], ids=str)
def test_with_a_band_a_decided_problem_gets_no_more_requests_and_is_decided_as_by_all_rollouts(path, tmp_path, band):
    whole = run(tmp_path / "whole.sqlite", Model())
    model = Model(group=1)
    rates = run(path, model, band=band)
    assert len(model.requested) < 6 * 12
    for problem in PROBLEMS:
        rate, all_of_it = rates[problem.id], whole[problem.id]
        if NUMBER[problem.id] == 5:
            continue
        wanted = band.decide(all_of_it.n_correct, all_of_it.n_wrong)
        assert band.decide(rate.n_correct, rate.n_wrong) == wanted
    with Ledger(path) as ledger:  # nothing requested after it was decided
        for problem in PROBLEMS:
            outcomes = [r.verdict.outcome for r in ledger.rollouts() if r.problem_id == problem.id][:-1]
            assert band.decide(outcomes.count("correct"), outcomes.count("wrong")) is None


@pytest.mark.parametrize("band", [None, PassRateBand(1, 2, 6)], ids=str)
@pytest.mark.parametrize("die_after", [1, 9, 30])
def test_stopped_and_started_again_it_asks_the_same_in_all_and_nothing_twice(path, tmp_path, band, die_after):
    straight, first, second = Model(), Model(die_after=die_after), Model()
    wanted = run(tmp_path / "straight.sqlite", straight, band=band)
    with contextlib.suppress(KeyboardInterrupt):
        run(path, first, band=band)
    assert run(path, second, band=band) == wanted
    assert not set(first.requested) & set(second.requested)
    assert sorted(first.requested + second.requested) == sorted(straight.requested)


@pytest.mark.parametrize("forget", [False, True], ids=["corrected", "verdicts of a version 1 ledger"])
def test_a_verdict_counts_for_the_answer_it_was_taken_on_and_no_other(path, forget):
    before = run(path, Model())
    assert before[PROBLEMS[3].id].n_correct == 2
    if forget:
        with Ledger(path) as ledger:
            ledger._db.execute("UPDATE verdicts SET answer = ''")
    corrected = [replace(one, answer="?") if NUMBER[one.id] == 3 else one for one in PROBLEMS]
    model, seen = Model(), []

    class Watched(Exact):
        def verify_many(self, pairs):
            pairs = list(pairs)
            seen.extend(pairs)
            yield from super().verify_many(pairs)

    with Ledger(path) as ledger:
        after = collect_rollouts(ledger, model, corrected, Watched(), n=6)
        stored = {
            (r.index, r.verdict.outcome, r.verdict.answer) for r in ledger.rollouts() if r.problem_id == PROBLEMS[3].id
        }
    assert model.requested == []
    assert len(seen) == (66 if forget else 6)  # only what must be taken anew
    assert after[PROBLEMS[3].id].n_correct == 4
    assert stored == {(i, "correct" if i % 3 else "wrong", "?") for i in range(6)}
    assert {k: v for k, v in after.items() if k != PROBLEMS[3].id} == {
        k: v for k, v in before.items() if k != PROBLEMS[3].id
    }


@pytest.mark.parametrize("stored", ["exact", ""], ids=["of another verifier", "of an unknown one"])
def test_a_verdict_of_another_verifier_is_stale_and_taken_again_without_a_request(path, stored):
    run(path, Model())
    with Ledger(path) as ledger:
        ledger._db.execute("UPDATE verdicts SET verifier = ?", (stored,))

    class Lenient(Exact):
        identity = "lenient"

        def verify_many(self, pairs):
            yield from (Verdict("correct") for _ in pairs)

    model = Model()
    with Ledger(path) as ledger:
        rates = collect_rollouts(ledger, model, PROBLEMS, Lenient(), n=6)
        assert {r.verdict.verifier for r in ledger.rollouts()} == {"lenient"}
    assert model.requested == []
    assert {rate.rate for problem_id, rate in rates.items() if NUMBER[problem_id] != 5} == {1.0}
    assert rates[PROBLEMS[5].id].n_decided == 0  # a failed request stays undecided


def test_completions_whose_verifier_fails_are_stored_and_verified_at_the_next_start(path):
    class Broken(Exact):
        def verify_many(self, pairs):
            raise ModelError("the judge's server is away")

    first, second = Model(), Model()
    with Ledger(path) as ledger, pytest.raises(ModelError):
        collect_rollouts(ledger, first, PROBLEMS, Broken(), n=1)
    with Ledger(path) as ledger:
        assert [r.verdict for r in ledger.rollouts()] == [None] * 4
    assert run(path, second, n=1) == run(path.with_name("straight.sqlite"), Model(), n=1)
    assert len(first.requested) == 4 and not set(first.requested) & set(second.requested)


def killed(path, band, n_statements):
    """Collect in a child that kills itself at the n-th statement sent to the ledger; whether it was killed."""
    child = os.fork()
    if child == 0:
        with Ledger(path) as ledger:
            sent = count(1)
            ledger._db.set_trace_callback(
                lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(sent) == n_statements else None
            )
            collect_rollouts(ledger, Model(), PROBLEMS, Exact(), n=6, band=band)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("band", "moments"),
    [
        (PassRateBand(1, 2, 6), [9]),
        *(pytest.param(band, [2, 9, 12, 40], marks=pytest.mark.slow) for band in (None, PassRateBand(1, 2, 6))),
    ],
)
def test_killed_at_any_statement_it_ends_with_the_same_rollouts_and_asks_no_committed_one_again(
    path, tmp_path, band, moments
):
    run(tmp_path / "straight.sqlite", Model(), band=band)
    with Ledger(tmp_path / "straight.sqlite") as ledger:
        wanted = list(ledger.rollouts())
    for n_statements in moments:
        path.unlink(missing_ok=True)
        n_kills = 0
        while killed(path, band, n_statements + 3 * n_kills):  # a later point each time, or it would never end
            n_kills += 1
            with Ledger(path) as ledger:
                committed = {(NUMBER[r.problem_id], r.index) for r in ledger.rollouts()}
                assert ledger.integrity_errors() == []
            assert len(committed) % Model().group == 0 or len(committed) == len(wanted)  # whole groups only
        assert n_kills > 0
        with Ledger(path) as ledger:
            assert list(ledger.rollouts()) == wanted


def test_after_a_kill_only_what_was_not_committed_is_requested(path):
    straight, rest = Model(), Model()
    assert killed(path, None, 40)
    with Ledger(path) as ledger:
        committed = {(NUMBER[r.problem_id], r.index) for r in ledger.rollouts()}
    run(path, rest)
    run(path.with_name("straight.sqlite"), straight)
    assert 0 < len(committed) < len(straight.requested)
    assert straight.requested == straight.requested[: len(committed)] + rest.requested
    assert set(straight.requested[: len(committed)]) == committed


def test_a_failure_counts_neither_way_and_is_requested_again_only_when_wanted(path):
    model, patient = Model(), Model()
    rates = run(path, model)
    failed = rates[PROBLEMS[5].id]
    assert (failed.n, failed.n_decided, failed.n_correct) == (6, 0, 0)
    run(path, patient)
    assert patient.requested == []
    run(path, patient, retry_errors=True)
    assert {i for i, _ in patient.requested} == {5}


def test_another_prompt_or_sampling_is_another_rollout(path):
    run(path, Model(), n=1)
    for more in ({"system": "Be brief."}, {"sampling": Sampling(temperature=0.5)}):
        model = Model()
        run(path, model, n=1, **more)
        assert len(model.requested) == 12


def test_another_model_under_the_same_name_is_refused(path):
    run(path, Model(identity="these weights"))
    with pytest.raises(InputError, match="another model with this name"):
        run(path, Model(identity="other weights"))


def test_a_band_over_another_number_is_refused(path):
    with pytest.raises(InputError, match="band"):
        run(path, Model(), n=4, band=PassRateBand(0, 0, 6))


def test_progress_counts_problems_and_begins_where_the_ledger_is(path):
    run(path, Model(), n=2)
    progress = NoProgress()
    run(path, Model(), n=2, progress=progress)
    assert (progress.events[0].n_done, progress.events[0].total) == (12, 12)


def test_progress_says_what_is_kept_dropped_and_spent_against_the_whole_plan(path):
    class Shown(NoProgress):
        last: ClassVar[dict] = {}

        def show(self, event):
            self.last.update(event.fields)

    progress, n = Shown(), 6
    with Ledger(path) as ledger:
        meter = BudgetMeter(Budget(), {Model.name: Price(output=1e6)}, ledger)
        rates = collect_rollouts(
            ledger, Model(), PROBLEMS, Exact(), n=n, band=PassRateBand(1, 3, n), progress=progress, meter=meter
        )
        n_sent, n_tokens = len(ledger), ledger.usage_by_model()[Model.name][2]
    decisions = [rate.decision for rate in rates.values()]
    assert (progress.last["kept"], progress.last["dropped"]) == (decisions.count("keep"), decisions.count("drop"))
    assert progress.last["rollouts"] == n_sent < progress.last["at_most"] == n * len(PROBLEMS)
    assert progress.last["usd"] == n_tokens
    assert progress.last["usd_at_most"] == pytest.approx(n_tokens / n_sent * n * len(PROBLEMS), rel=1e-3)


def test_stop_texts_are_not_silently_passed_over(path):
    with pytest.raises(InputError, match="stop texts"):
        run(path, Model(), n=1, sampling=Sampling(stop=("\n\n",)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_with_the_last_requests_stops_what_would_follow(path, number):
    problems = [problem for problem in PROBLEMS if NUMBER[problem.id] != 5]

    class Stopped(Exact):
        n_verified = 0

        def verify_many(self, pairs):
            for verdict in super().verify_many(pairs):
                self.n_verified += 1
                yield verdict
            if self.n_verified == 2 * len(problems):
                signal.raise_signal(number)

    def stop(received, _):
        raise KeyboardInterrupt(received)

    before = signal.signal(number, stop)
    try:
        with Ledger(path) as ledger, pytest.raises(KeyboardInterrupt):
            collect_rollouts(ledger, Model(), problems, Stopped(), n=2)
        with Ledger(path) as ledger:
            assert len(ledger) == 2 * len(problems)  # what was asked is kept, and nothing is left
            collect_rollouts(ledger, again := Model(), problems, Exact(), n=2)
        assert again.requested == []
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("longest_s", [0.0, 90.0])
def test_at_a_signal_it_is_said_what_is_waited_for_and_how_long_at_most(path, concurrent, longest_s):
    told = []

    class Progress(NoProgress):
        def log(self, text):
            told.append(text)

    class Stopped(Model):
        def complete(self, requests):
            pulled = list(islice(requests, 4))
            signal.raise_signal(signal.SIGINT)
            yield [(request, self.answer(0, 0)) for request in pulled]

        def longest_s(self):
            return longest_s

    model = Stopped()
    model.capabilities = Capabilities(concurrent=concurrent)
    with pytest.raises(CollectionStopped):
        run(path, model, progress=Progress())
    what = "waiting for 4 outstanding rollouts"
    assert told == [
        f"{what}{', usually far less than the 1 min 30 s allowed' if longest_s else ''}; Ctrl-C again leaves them"
    ]
    told.clear()
    model.stop_waiting = lambda: 4  # each only waits for another try
    with pytest.raises(CollectionStopped):
        run(path, model, progress=Progress())
    assert told == []
