"""Request rollouts until each problem is finished; every completion is stored before the next one is requested.

What the ledger holds is never requested again; a stored verdict on another answer or by another verifier is stale, and
its completion is verified again.  Each group that a completer returns is verified and committed in one transaction, and
what to request next follows from the ledger alone (see `schedule`), so a run that is killed and restarted ends with the
same decisions.  A budget that is reached and the first signal (Ctrl-C, SIGTERM) both end the requests, wait for the
outstanding ones (after a signal not for those that wait for another try), and raise CollectionStopped.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import lru_cache, partial
from json import dumps
from typing import Protocol

from limo.core.errors import InputError, PartialError
from limo.core.heartbeat import heartbeat
from limo.core.interrupts import first_signal
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, Progress, Stage, duration
from limo.core.prompts import SYSTEM, messages, prompt_hash
from limo.core.records import FAILED, Completion, Outcome, PassRate, Problem, Rollout, Sampling, Verdict
from limo.core.text import short_names
from limo.ledger.store import Ledger
from limo.models.completer import CANCELLED, Completer, CompletionGroup, Request
from limo.rollouts.budget import Budget, BudgetMeter
from limo.rollouts.schedule import AWAIT_RESULTS, Schedule

BUDGET_SPENT = "the budget is spent"
BEAT_S = 5.0  # how often it is shown how far a model in this process is
SAVE_TIME_S = 1.0  # how often the time spent is stored: a start that is killed may have spent this much more
VERIFIED_TOGETHER = 1000  # stored completions that are verified again in one transaction


class BatchVerifier(Protocol):
    """What `collect_rollouts` needs of a verifier (`limo.verify.checker.Checker` is one)."""

    @property
    def identity(self) -> str:
        """Names the rules and their settings; a stored verdict of another identity is stale."""
        ...

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each pair, in order."""
        ...


class CollectionStopped(PartialError):
    """The rollouts stopped before every problem was finished; `undecided` are the ids of those that were not."""

    def __init__(self, why: str, undecided: list[str], n_problems: int, do: str) -> None:
        self.why, self.do = why, do
        super().__init__(f"{why}; {len(undecided):,} of {n_problems:,} problems are unfinished", do=do)
        self.undecided = undecided


def collect_rollouts(
    ledger: Ledger,
    completer: Completer,
    problems: Iterable[Problem],
    verifier: BatchVerifier,
    system: str = SYSTEM,
    sampling: Sampling | None = None,
    n: int = 1,
    band: PassRateBand | None = None,
    progress: Progress | None = None,
    retry_errors: bool = False,
    meter: BudgetMeter | None = None,
) -> dict[str, PassRate]:
    """The pass rate of each problem by id: `n` rollouts each, or as many as decide `band`.

    A rollout that failed stays undecided.  It is requested again with `retry_errors`, and one whose request failed
    (finish_reason `error`) also where the completer `retries_errors`.  Raises InputError for a band of another n, for
    stop texts that the completer does not support, or when the ledger holds another model of this name;
    CollectionStopped when the budget of `meter` is reached or at Ctrl-C; StorageError.
    """
    if n < 1 or (band is not None and band.n != n):
        raise InputError("the band is not over the requested rollouts", band, f"n = {n}, 1 or more", "make them equal")
    sampling = sampling or Sampling()
    if sampling.stop and not completer.capabilities.stop_texts:
        do = "take `stop` away, or use a server"
        raise InputError("this model cannot end at stop texts", ", ".join(sampling.stop), "none", do)
    by_id = {problem.id: problem for problem in problems}
    schedule = Schedule(by_id.values(), n, band, started_first=completer.capabilities.concurrent)
    meter = meter or BudgetMeter(Budget(), {}, ledger)
    collection = _Collection(ledger, completer, by_id, system, sampling, schedule, verifier, meter)
    collection.load_stored(retry_errors)
    collection.request_missing(progress := progress or NoProgress())
    if passed := meter.passed():
        progress.log(f"warning: the budget is exceeded: {passed}")
    return {problem_id: collection.pass_rate(problem_id) for problem_id in by_id}


def verify_completions(verifier: BatchVerifier, pairs: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
    """A verdict for each pair, with its answer and verifier; a failed completion is undecided, its error the reason."""
    verdicts = iter(list(verifier.verify_many((p, c) for p, c in pairs if c.finish_reason not in FAILED)))
    stamped = []
    for problem, completion in pairs:
        is_error = completion.finish_reason in FAILED
        verdict = Verdict("undecided", reason=completion.error or "failed") if is_error else next(verdicts)
        stamped.append(replace(verdict, answer=problem.answer, verifier=verifier.identity))
    return stamped


class _Collection:
    """One call of `collect_rollouts`; `ledger_key`: (model, prompt hash, sampling hash), as the ledger names them."""

    def __init__(
        self, ledger: Ledger, completer: Completer, problems: dict[str, Problem], system: str, sampling: Sampling,
        schedule: Schedule, verifier: BatchVerifier, meter: BudgetMeter,
    ) -> None:  # fmt: skip
        self.ledger, self.completer, self.problems, self.verifier = ledger, completer, problems, verifier
        self.system, self.sampling, self.schedule, self.meter = system, sampling, schedule, meter
        self.ledger_key = (completer.name, prompt_hash(system), sampling.hash)
        self.stop_reason = ""
        self.n_rollouts = self.n_cancelled = self.n_kept = self.n_dropped = self.n_tokens = 0
        self.n_planned, self.usd_before = 0, meter.usd

    def pass_rate(self, problem_id: str) -> PassRate:
        """The counts and the decision of a problem so far."""
        decision = self.schedule.decision(problem_id)
        return PassRate(self.ledger_key[0], self.schedule.n, *self.schedule.counts(problem_id), decision or "")

    def load_stored(self, retry_errors: bool) -> None:
        """Record the outcomes that the ledger holds; completions without a current verdict are verified first."""
        self._define_setup()
        retried = FAILED if retry_errors else ("error",) if self.completer.capabilities.retries_errors else ()
        stale: set[tuple[str, int]] = set()
        for stored in self.ledger.outcomes(*self.ledger_key, self.problems):
            problem = self.problems[stored.problem_id]
            if stored.finish_reason in retried:
                continue
            if stored.outcome and (stored.answer, stored.verifier) == (problem.answer, self.verifier.identity):
                self.record(stored.problem_id, stored.index, stored.outcome)  # type: ignore[arg-type]
            else:
                stale.add((stored.problem_id, stored.index))
        stored_rollouts = (
            self.ledger.rollouts(*self.ledger_key, {problem_id for problem_id, _ in stale}) if stale else ()
        )
        rollouts = [rollout for rollout in stored_rollouts if (rollout.problem_id, rollout.index) in stale]
        for start in range(0, len(rollouts), VERIFIED_TOGETHER):
            batch = rollouts[start : start + VERIFIED_TOGETHER]
            verdicts = self.verify([(self.problems[rollout.problem_id], rollout.completion) for rollout in batch])
            self.ledger.set_verdicts(zip((rollout.key for rollout in batch), verdicts, strict=True))
            for rollout, verdict in zip(batch, verdicts, strict=True):
                self.record(rollout.problem_id, rollout.index, verdict.outcome)

    def _define_setup(self) -> None:
        """Store what the names in `ledger_key` stand for."""
        model, prompt, sampling = self.ledger_key
        with self.ledger.transaction():
            identity = self.completer.capabilities.identity
            if identity and self.ledger.define("model", model, identity) != identity:
                what, do = "the ledger holds rollouts of another model with this name", "give this one another name"
                raise InputError(what, model, "one model a name", f"{do}, or use another run folder")
            self.ledger.define("prompt", prompt, self.system)
            self.ledger.define("sampling", sampling, dumps(asdict(self.sampling), sort_keys=True))

    def record(self, problem_id: str, index: int, outcome: Outcome) -> bool:
        """Count an outcome; whether it finished its problem."""
        is_finished = self.schedule.record(problem_id, index, outcome)
        if is_finished:
            decision = self.schedule.decision(problem_id)
            self.n_kept += decision == "keep"
            self.n_dropped += decision == "drop"
        return is_finished

    def request_missing(self, progress: Progress) -> None:
        """Request rollouts until no problem needs more."""
        n_finished, self.n_planned = self.schedule.n_finished, self.schedule.n_remaining
        name = short_names([self.completer.name])[self.completer.name]
        with progress.stage(f"rollouts of {name}", len(self.problems), n_finished) as stage:
            if n_finished == len(self.problems):
                return
            began = time.perf_counter()
            tells = (
                nullcontext()
                if self.completer.capabilities.concurrent
                else heartbeat(partial(self._tell, stage), BEAT_S)
            )
            with first_signal(partial(self._stop, progress)) as received, tells:
                for group in self.completer.complete(self.requests()):  # type: ignore[arg-type]
                    n_finished = self.store(group) if group else 0
                    fields = self.progress_fields(time.perf_counter() - began)
                    stage.advance(n_finished, **fields, waiting_for="" if group else self.completer.waits_for())
            self.meter.save_seconds()
            unfinished = self.schedule.unfinished() if self.stop_reason else []
            if unfinished:
                is_budget = self.stop_reason == BUDGET_SPENT
                why = f"{BUDGET_SPENT} ({self.meter.limit_reached()})" if is_budget else self.stop_reason
                raise CollectionStopped(why, unfinished, len(self.problems), "raise `budget`" if is_budget else "")
            if received:  # with the last requests: nothing is unfinished here, and what would follow is not begun
                signal.raise_signal(received[0])

    def requests(self) -> Iterator[Request | None]:
        """The requests of the schedule, made as they are pulled; None means: pull again after the next group."""
        capabilities = self.completer.capabilities
        speculative = capabilities.speculative or not capabilities.concurrent
        messages_of = lru_cache(maxsize=1024)(partial(messages, system=self.system))  # shared by a problem's rollouts
        while not self.stop_reason:
            n_outstanding = self.schedule.n_outstanding if capabilities.concurrent else 0  # else a batch is one request
            if self.meter.limit_reached(n_outstanding):
                if n_outstanding:
                    yield None  # the outstanding requests may use up the budget
                    continue
                self.stop_reason = BUDGET_SPENT
                return
            request = self.schedule.next_request(speculative)
            if request is None:
                return
            if request == AWAIT_RESULTS:
                yield None
            else:
                problem, index = request
                yield Request(problem, messages_of(problem.problem), self.sampling, index)

    def store(self, group: CompletionGroup) -> int:
        """Verify a group, commit it whole, and only then count it; how many problems it finished."""
        completed = [(request, completion) for request, completion in group if completion.finish_reason != CANCELLED]
        cancelled = [request for request, completion in group if completion.finish_reason == CANCELLED]
        rollouts = [Rollout(r.problem.id, *self.ledger_key, r.index, completion) for r, completion in completed]
        try:
            verdicts = self.verify([(request.problem, completion) for request, completion in completed])
        except BaseException:
            self.ledger.add(rollouts)  # they are paid for; the next start verifies them
            raise
        with self.ledger.transaction():
            self.ledger.add([replace(r, verdict=verdict) for r, verdict in zip(rollouts, verdicts, strict=True)])
            self.meter.save_seconds(SAVE_TIME_S)
            if any(completion.is_estimated for _, completion in completed):
                self.ledger.define("tokens", self.ledger_key[0], "estimated")
            if cancelled:
                self.ledger.count_lost(self.ledger_key[0], CANCELLED, len(cancelled), 0)
        for request in cancelled:
            self.schedule.record_cancelled(request.problem.id)
        results = zip(rollouts, verdicts, strict=True)
        finished = [r.problem_id for r, verdict in results if self.record(r.problem_id, r.index, verdict.outcome)]
        n_prompt_tokens = sum(completion.n_prompt_tokens for _, completion in completed)
        n_completion_tokens = sum(completion.n_completion_tokens for _, completion in completed)
        self.meter.add(self.ledger_key[0], n_prompt_tokens, n_completion_tokens, len(completed))
        self.n_tokens += n_completion_tokens
        self.n_rollouts += len(completed)
        self.n_cancelled += len(cancelled)
        if finished:
            self.completer.cancel(finished)
        return len(finished)

    def verify(self, pairs: list[tuple[Problem, Completion]]) -> list[Verdict]:
        """As `verify_completions`; where a judge stops at the budget, this collection stops."""
        try:
            return verify_completions(self.verifier, pairs)
        except CollectionStopped as judge:
            raise CollectionStopped(judge.why, self.schedule.unfinished(), len(self.problems), judge.do) from judge

    def progress_fields(self, seconds: float) -> dict[str, object]:
        """What is shown beside the bar; `at_most` is what would be requested, and cost, without early stopping."""
        fields: dict[str, object] = {"rollouts": self.n_rollouts, "at_most": self.n_planned}
        if self.schedule.band:
            fields |= {"kept": self.n_kept, "dropped": self.n_dropped}
        if self.meter.usd:
            usd_each = (self.meter.usd - self.usd_before) / max(self.n_rollouts, 1)
            usd_at_most = round(self.usd_before + usd_each * self.n_planned, 4)
            fields |= {"usd": round(self.meter.usd, 4), "usd_at_most": usd_at_most}
        if tokens_per_s := round(self.n_tokens / seconds) if seconds > 0 else 0:
            fields["tokens_per_s"] = tokens_per_s
        return fields | ({"cancelled": self.n_cancelled} if self.n_cancelled else {})

    def _stop(self, progress: Progress) -> bool:
        """End the requests at a first signal; whether they went on until then."""
        if self.stop_reason:
            return False
        self.stop_reason = "interrupted"
        n_outstanding = self.schedule.n_outstanding - self.completer.stop_waiting()
        longest_s = self.completer.longest_s()
        at_most = f", usually far less than the {duration(longest_s)} allowed" if longest_s else ""
        if n_outstanding > 0:
            progress.log(f"waiting for {n_outstanding:,} outstanding rollouts" + at_most + "; Ctrl-C again leaves them")
        return True

    def _tell(self, stage: Stage) -> None:
        """Show how far a model in this process is with the rollouts that it makes together."""
        if words := self.completer.waits_for():
            stage.advance(0, waiting_for=words)
