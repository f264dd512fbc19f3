"""Ask a model about problems until each is decided, every answer written down before the next is asked for.

What the ledger has is never asked again; a verdict on an answer that was corrected since is taken anew.  Each group
that a completer hands back is verified and committed in one transaction, and what to ask next follows from the ledger
alone (see `schedule`), so a run killed at any point and started again ends with the same decisions, and with a
completer that answers group by group asks the same requests in the same groups.

    with Ledger("ledger.sqlite") as ledger, Checker() as checker:
        rates = collect(ledger, completer, problems, SYSTEM, Sampling(0.7), n=32, band=Band(1, 3, 32), checker=checker)

The first Ctrl-C and a budget that is reached both stop the asking, wait for what is under way, and
raise `CollectionStopped`.

What it does not do: keep or drop problems (curate does, from the pass rates).
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import lru_cache, partial
from json import dumps
from types import FrameType
from typing import Protocol

from limo.core.errors import InputError, PartialError
from limo.core.progress import NoProgress, Progress
from limo.core.prompts import SYSTEM, messages, prompt_hash
from limo.core.records import Completion, PassRate, Problem, Rollout, Sampling, Verdict
from limo.ledger.store import Ledger
from limo.models.completer import CANCELLED, Completer, CompletionGroup, Request
from limo.rollouts.budget import Budget, Meter
from limo.rollouts.schedule import LATER, Schedule
from limo.rollouts.stopping import Band

BUDGET = "the budget is spent"
TOLD_S = 1.0  # how often the time spent is written down: a killed start may have spent so much more
SHOWN = 8  # undecided problems named in the message; all are in `CollectionStopped.undecided`


class BatchVerifier(Protocol):
    """What `collect` needs of a verifier (`limo.verify.checker.Checker` is one).

    `identity` names the rules; verdicts of another identity are stale.
    """

    @property
    def identity(self) -> str:
        """Names the rules and their settings."""
        ...

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """A verdict for each pair, in order."""
        ...


class CollectionStopped(PartialError):
    """RolloutSettings ended before every problem was decided; `undecided` are the ids of those that were not."""

    def __init__(self, why: str, undecided: list[str], n_problems: int, do: str) -> None:
        named = ", ".join(undecided[:SHOWN]) + (", ..." if len(undecided) > SHOWN else "")
        super().__init__(f"{why}; undecided are {len(undecided):,} of {n_problems:,} problems", named, "", do)
        self.undecided = undecided


def collect(
    ledger: Ledger,
    completer: Completer,
    problems: Iterable[Problem],
    system: str = SYSTEM,
    sampling: Sampling | None = None,
    n: int = 1,
    band: Band | None = None,
    checker: BatchVerifier | None = None,
    progress: Progress | None = None,
    retry_errors: bool = False,
    max_error: float = 0.0,
    meter: Meter | None = None,
) -> dict[str, PassRate]:
    """The pass rate of each problem by id: `n` rollouts each, or as many as decide `band`.

    With `max_error` a band is decided when that is likely enough, otherwise when it is certain.  A rollout that failed
    (finish_reason `error`) stays undecided and is asked again with `retry_errors`, or when the completer
    `retries_errors`.  Raises InputError for a band of another n, for stop texts that the completer does not know, or
    when the ledger knows another model by this name; CollectionStopped when the budget of `meter` is reached or at
    Ctrl-C; StorageError.
    """
    if n < 1 or (band is not None and band.n != n):
        raise InputError("the band is not over the rollouts asked for", band, f"n = {n}, 1 or more", "make them equal")
    if sampling is not None and sampling.stop and not completer.capabilities.stop_texts:
        do = "take `stop` away, or ask a server"
        raise InputError("this model cannot end at stop texts", ", ".join(sampling.stop), "none", do)
    if checker is None:
        from limo.verify.checker import Checker

        with Checker() as own:
            return collect(
                ledger, completer, problems, system, sampling, n, band, own, progress, retry_errors, max_error, meter
            )
    unique = {problem.id: problem for problem in problems}
    schedule = Schedule(unique.values(), n, band, max_error, depth=completer.capabilities.concurrent)
    meter = meter or Meter(Budget(), {}, ledger)
    collection = _Collection(ledger, completer, unique, system, sampling or Sampling(), schedule, checker, meter)
    collection.recall(retry_errors or completer.capabilities.retries_errors)
    collection.ask(progress or NoProgress())
    return {name: collection.rate(name) for name in unique}


class _Collection:
    """One call of `collect`: the schedule, and the ledger it is told from."""

    def __init__(
        self, ledger: Ledger, completer: Completer, problems: dict[str, Problem], system: str, sampling: Sampling,
        schedule: Schedule, checker: BatchVerifier, meter: Meter,
    ) -> None:  # fmt: skip
        self.ledger, self.completer, self.problems, self.checker = ledger, completer, problems, checker
        self.system, self.sampling, self.schedule, self.meter = system, sampling, schedule, meter
        self.where = (completer.name, prompt_hash(system), sampling.hash)
        self.stop, self.last = "", time.perf_counter()
        self.n_asked = self.n_cancelled = self.n_kept = self.n_dropped = self.n_tokens = 0
        self.n_planned, self.usd_before = 0, meter.usd

    def rate(self, name: str) -> PassRate:
        """What is known of a problem."""
        decision, risk = self.schedule.decision(name)
        return PassRate(self.where[0], self.schedule.n, *self.schedule.counts(name), decision or "", risk)

    def recall(self, retry_errors: bool) -> None:
        """Tell the schedule what the ledger knows; verify what has no verdict on the answer as it is now."""
        with self.ledger.transaction():
            name, prompt, sampled = self.where
            identity = self.completer.capabilities.identity
            if identity and self.ledger.explain(name, "model", identity) != identity:
                do = "name this one otherwise, or use another run folder"
                raise InputError(
                    "the ledger holds rollouts of another model with this name", name, "one model a name", do
                )
            self.ledger.explain(prompt, "prompt", self.system)
            self.ledger.explain(sampled, "sampling", dumps(asdict(self.sampling), sort_keys=True))
        is_stale = False
        for problem_id, index, failed, outcome, answer in self.ledger.outcomes(*self.where):
            if problem_id not in self.problems or (failed and retry_errors):
                continue
            if not outcome or answer != self.problems[problem_id].answer:
                is_stale = True
            else:
                self.told(problem_id, index, outcome)
        if is_stale:
            self.renew(retry_errors)

    def renew(self, retry_errors: bool) -> None:
        """Verify what was stored without a verdict on the answer as it is now."""
        batch: list[Rollout] = []
        for rollout in self.ledger.rollouts(*self.where):
            problem = self.problems.get(rollout.problem_id)
            failed = rollout.completion.finish_reason == "error"
            is_new = rollout.verdict is not None and problem is not None and rollout.verdict.answer == problem.answer
            if problem is not None and not is_new and not (failed and retry_errors):
                batch.append(rollout)
        for start in range(0, len(batch), 1000):
            part = batch[start : start + 1000]
            verdicts = self.verify([(self.problems[r.problem_id], r.completion) for r in part])
            self.ledger.set_verdicts(zip((r.key for r in part), verdicts, strict=True))
            for rollout, verdict in zip(part, verdicts, strict=True):
                self.told(rollout.problem_id, rollout.index, verdict.outcome)

    def told(self, problem_id: str, index: int, outcome: str) -> list[str]:
        """Count an outcome; the problems that it settled."""
        settled = self.schedule.answered(problem_id, index, outcome)  # type: ignore[arg-type]
        for name in settled:
            decision = self.schedule.decision(name)[0]
            self.n_kept += decision == "keep"
            self.n_dropped += decision == "drop"
        return settled

    def ask(self, progress: Progress) -> None:
        """Ask until nothing is left to ask."""
        n_done, self.n_planned = self.schedule.n_settled, self.schedule.n_open
        with progress.stage(f"rollouts of {self.completer.name}", len(self.problems), n_done) as stage:
            if n_done == len(self.problems):
                return
            began = self.last = time.perf_counter()
            with self._patiently(progress):
                for group in self.completer.complete(self.requests()):  # type: ignore[arg-type]
                    n_settled = self.take(group)
                    stage.advance(n_settled, **self.fields(time.perf_counter() - began))
            self.ledger.worked(time.perf_counter() - self.last)
            left = self.schedule.unsettled() if self.stop else []
            if left:
                is_budget = self.stop == BUDGET
                why = f"{BUDGET} ({self.meter.reached()})" if is_budget else self.stop
                raise CollectionStopped(why, left, len(self.problems), "raise `budget`" if is_budget else "")

    def requests(self) -> Iterator[Request | None]:
        """What the schedule wants, made as it is pulled; None for now nothing."""
        concurrent = self.completer.capabilities.concurrent
        go_ahead = self.completer.capabilities.speculative or not concurrent
        said = lru_cache(maxsize=1024)(partial(messages, system=self.system))  # the attempts at a problem share theirs
        while not self.stop:
            n_open = self.schedule.n_outstanding if concurrent else 0  # a batch is requested as a whole
            if self.meter.reached(n_open):
                if n_open:
                    yield None  # what is under way may be all that there is room for
                    continue
                self.stop = BUDGET
                return
            wanted = self.schedule.next(go_ahead)
            if wanted is None:
                return
            if wanted == LATER:
                yield None
            else:
                problem, index = wanted
                yield Request(problem, said(problem.problem), self.sampling, index)

    def take(self, group: CompletionGroup) -> int:
        """Verify a group, write it down whole, and only then let it count; how many problems it settled."""
        came = [(request, completion) for request, completion in group if completion.finish_reason != CANCELLED]
        given_up = [request for request, completion in group if completion.finish_reason == CANCELLED]
        verdicts = self.verify([(request.problem, completion) for request, completion in came])
        rollouts = [
            Rollout(request.problem.id, *self.where, request.index, completion, verdict)
            for (request, completion), verdict in zip(came, verdicts, strict=True)
        ]
        now = time.perf_counter()
        with self.ledger.transaction():
            self.ledger.add(rollouts)
            if now - self.last >= TOLD_S:
                self.ledger.worked(now - self.last)
                self.last = now
            if given_up:
                self.ledger.lose(self.where[0], CANCELLED, len(given_up), 0)
        for request in given_up:
            self.schedule.given_up(request.problem.id)
        settled: list[str] = []
        for (request, _), verdict in zip(came, verdicts, strict=True):
            settled += self.told(request.problem.id, request.index, verdict.outcome)
        n_in = sum([completion.n_prompt_tokens for _, completion in came])
        n_out = sum([completion.n_completion_tokens for _, completion in came])
        self.meter.add(self.where[0], n_in, n_out, len(came))
        self.n_tokens += n_out
        self.n_asked += len(rollouts)
        self.n_cancelled += len(given_up)
        if settled:
            self.completer.cancel(settled)
        return len(settled)

    def verify(self, pairs: list[tuple[Problem, Completion]]) -> list[Verdict]:
        """A verdict for each; a completion that never came is undecided, with its error as the reason."""
        found = iter(self.checker.verify_many((p, c) for p, c in pairs if c.finish_reason != "error"))
        verdicts = []
        for p, c in pairs:
            v = next(found) if c.finish_reason != "error" else Verdict("undecided", reason=c.error or "failed")
            verdicts.append(replace(v, answer=p.answer, verifier=self.checker.identity))
        return verdicts

    def fields(self, seconds: float) -> dict[str, object]:
        """What is shown beside the bar; `planned` is what would be asked, and cost, without stopping early."""
        speed = round(self.n_tokens / seconds) if seconds > 0 else 0
        shown: dict[str, object] = {"rollouts": self.n_asked, "planned": self.n_planned}
        if self.schedule.band:
            shown |= {"kept": self.n_kept, "dropped": self.n_dropped}
        if self.meter.usd:
            each = (self.meter.usd - self.usd_before) / max(self.n_asked, 1)
            shown |= {"usd": round(self.meter.usd, 4), "usd_planned": round(self.usd_before + each * self.n_planned, 4)}
        if speed:
            shown["tokens_per_s"] = speed
        if self.n_cancelled:
            shown["cancelled"] = self.n_cancelled
        return shown

    @contextmanager
    def _patiently(self, progress: Progress) -> Iterator[None]:
        """The first Ctrl-C ends the asking and waits for what is under way; the second ends the waiting."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            yield  # someone else hears of Ctrl-C, or nobody is to
            return

        def interrupted(number: int, frame: FrameType | None) -> None:
            if self.stop:
                raise KeyboardInterrupt
            self.stop = "interrupted"
            n = self.schedule.n_outstanding
            progress.log(f"waiting for {n:,} answers under way; Ctrl-C again leaves them")

        signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
