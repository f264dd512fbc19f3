"""Ask a model about problems until each is decided, every answer written down before the next is asked for.

What the ledger has is never asked again; a verdict on an answer that was corrected since is taken anew.  Each group
that a completer hands back is verified and committed in one transaction, and what to ask next follows from the ledger
alone (see `schedule`), so a run killed at any point and started again asks the same requests in the same groups and
ends with the same rollouts.

    with Ledger("ledger.sqlite") as ledger, Checker() as checker:
        rates = collect(ledger, completer, problems, SYSTEM, Sampling(0.7), n=32, band=Band(1, 3, 32), checker=checker)

What it does not do: keep or drop problems (curate does, from the pass rates).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from json import dumps
from typing import Protocol

from limo.errors import InputError
from limo.ledger import Ledger
from limo.progress import Progress, Silent, Stage
from limo.prompts import SYSTEM, messages, prompt_hash
from limo.records import Completion, PassRate, Problem, Rollout, Sampling, Verdict
from limo.rollouts.completer import Completer, Group, Request
from limo.rollouts.schedule import Schedule
from limo.rollouts.stopping import Band


class Checks(Protocol):
    """What `collect` needs of a checker (`limo.verify.check.Checker` is one)."""

    def check_many(self, rows: Iterable[tuple[str, str, str]]) -> Iterator[Verdict]:
        """Verdicts in the order of the rows (answer, completion, finish_reason)."""
        ...


def collect(
    ledger: Ledger,
    completer: Completer,
    problems: Iterable[Problem],
    system: str = SYSTEM,
    sampling: Sampling | None = None,
    n: int = 1,
    band: Band | None = None,
    checker: Checks | None = None,
    progress: Progress | None = None,
    retry_errors: bool = False,
) -> dict[str, PassRate]:
    """The pass rate of each problem by id: `n` rollouts each, or as many as decide `band`.

    A rollout that failed (finish_reason `error`) stays undecided and is asked again only with `retry_errors`.  Raises
    InputError for a band of another n, or when the ledger knows another model by this name; StorageError.
    """
    if n < 1 or (band is not None and band.n != n):
        raise InputError("the band is not over the rollouts asked for", band, f"n = {n}, 1 or more", "make them equal")
    if checker is None:
        from limo.verify.check import Checker

        with Checker() as own:
            return collect(ledger, completer, problems, system, sampling, n, band, own, progress, retry_errors)
    unique = {problem.id: problem for problem in problems}
    collection = _Collection(ledger, completer, unique, system, sampling or Sampling(), n, band, checker)
    collection.recall(retry_errors)
    collection.ask(progress or Silent())
    return {name: PassRate(completer.name, n, *collection.schedule.counts(name)) for name in unique}


class _Collection:
    """One call of `collect`: the schedule, and the ledger it is told from."""

    def __init__(
        self, ledger: Ledger, completer: Completer, problems: dict[str, Problem], system: str, sampling: Sampling,
        n: int, band: Band | None, checker: Checks,
    ) -> None:  # fmt: skip
        self.ledger, self.completer, self.problems, self.checker = ledger, completer, problems, checker
        self.system, self.sampling = system, sampling
        self.where = (completer.name, prompt_hash(system), sampling.hash)
        self.schedule = Schedule(problems.values(), n, band)
        self.n_left = 0

    def recall(self, retry_errors: bool) -> None:
        """Tell the schedule what the ledger knows; verify what has no verdict on the answer as it is now."""
        with self.ledger.transaction():
            name, prompt, sampled = self.where
            identity = getattr(self.completer, "identity", "")
            if identity and self.ledger.explain(name, "model", identity) != identity:
                do = "name this one otherwise, or use another run folder"
                raise InputError(
                    "the ledger holds rollouts of another model with this name", name, "one model a name", do
                )
            self.ledger.explain(prompt, "prompt", self.system)
            self.ledger.explain(sampled, "sampling", dumps(asdict(self.sampling), sort_keys=True))
        unverified = []
        for rollout in self.ledger.rollouts(*self.where):
            failed = rollout.completion.finish_reason == "error"
            if rollout.problem_id not in self.problems or (failed and retry_errors):
                continue
            if rollout.verdict is None or rollout.verdict.answer != self.problems[rollout.problem_id].answer:
                unverified.append(rollout)
            else:
                self.schedule.answered(rollout.problem_id, rollout.index, rollout.verdict.outcome)
        verdicts = self.verify([(self.problems[r.problem_id], r.completion) for r in unverified])
        self.ledger.set_verdicts(zip((r.key for r in unverified), verdicts, strict=True))
        for rollout, verdict in zip(unverified, verdicts, strict=True):
            self.schedule.answered(rollout.problem_id, rollout.index, verdict.outcome)

    def ask(self, progress: Progress) -> None:
        """Ask until nothing is left to ask."""
        self.n_left = sum(self.schedule.n_more(name) > 0 for name in self.problems)
        n_done = len(self.problems) - self.n_left
        with progress.stage(f"rollouts of {self.completer.name}", len(self.problems), n_done) as stage:
            if not self.n_left:
                return
            began, n_rollouts, n_tokens = time.perf_counter(), 0, 0
            for group in self.completer.complete(self.requests()):
                self.take(group, stage)
                n_rollouts += len(group)
                n_tokens += sum(completion.n_completion_tokens for _, completion in group)
                speed = round(n_tokens / (time.perf_counter() - began))
                stage.advance(0, rollouts=n_rollouts, **({"tokens_per_s": speed} if speed else {}))

    def requests(self) -> Iterator[Request]:
        """What the schedule wants, made as it is pulled."""
        while (wanted := self.schedule.next()) is not None:
            problem, index = wanted
            yield Request(problem, messages(problem.problem, self.system), self.sampling, index)

    def take(self, group: Group, stage: Stage) -> None:
        """Verify a group, write it down whole, and only then let it count."""
        verdicts = self.verify([(request.problem, completion) for request, completion in group])
        rollouts = [
            Rollout(request.problem.id, *self.where, request.index, completion, verdict)
            for (request, completion), verdict in zip(group, verdicts, strict=True)
        ]
        self.ledger.add(rollouts)
        for rollout, verdict in zip(rollouts, verdicts, strict=True):
            before = self.schedule.n_more(rollout.problem_id)
            self.schedule.answered(rollout.problem_id, rollout.index, verdict.outcome)
            stage.advance(int(before > 0 and self.schedule.n_more(rollout.problem_id) == 0))

    def verify(self, pairs: list[tuple[Problem, Completion]]) -> list[Verdict]:
        """A verdict for each; a completion that never came is undecided, with its error as the reason."""
        rows = [(p.answer, c.text, c.finish_reason) for p, c in pairs if c.finish_reason != "error"]
        found = iter(self.checker.check_many(rows))
        verdicts = [
            Verdict("undecided", reason=c.error or "failed") if c.finish_reason == "error" else next(found)
            for _, c in pairs
        ]
        return [replace(verdict, answer=p.answer) for verdict, (p, _) in zip(verdicts, pairs, strict=True)]
