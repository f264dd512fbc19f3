"""The verdict: does this completion answer the problem?

    check("\\\\frac{1}{2}", "so it is \\\\boxed{0.5}").outcome          # "correct"
    with Checker(n_workers=2) as checker:
        verdicts = list(checker.check_many([("4", "\\\\boxed{4}", "stop")]))

Cheap certainties come first and in this process (same string, same number, same exact value); only what is left goes
to a killable child where Math-Verify may think about it.  A child that dies or overruns gives `undecided`, which no
pass rate counts.

What it does not do: ask a model (a judge is another thing), or look at the reasoning.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from limo.records import Verdict
from limo.verify.equal import Decision, equal
from limo.verify.extract import extract
from limo.verify.workers import Limits, Worker


def verifiable(answer: str) -> str:
    """Why a rule cannot check against this answer; "" where it can."""
    return "" if answer.strip() else "empty"


class Checker:
    """Checks completions; `n_workers` processes for `check_many`.  A context manager; safe in threads and asyncio."""

    def __init__(self, n_workers: int = 1, limits: Limits | None = None) -> None:
        self._worker = Worker(limits)
        self.n_workers = n_workers

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes."""
        self._worker.close()

    def check(self, answer: str, completion: str, finish_reason: str = "stop") -> Verdict:
        """The verdict on one completion."""
        start = time.perf_counter()
        found = extract(completion, finish_reason)
        outcome, tier, reason = self._decide(answer, found.text) if found.text else (found.missing, "", found.missing)
        return Verdict(outcome, found.text, reason, tier, time.perf_counter() - start)  # type: ignore[arg-type]

    def check_many(self, rows: Iterable[tuple[str, str, str]]) -> Iterator[Verdict]:
        """Verdicts in the order of the rows (answer, completion, finish_reason)."""
        for answer, completion, finish_reason in rows:
            yield self.check(answer, completion, finish_reason)

    def _decide(self, answer: str, text: str) -> tuple[str, str, str]:
        found = equal(answer, text)
        if found.same is None and found.tier != "guard":
            same, reason = self._worker.ask([("symbolic", answer, text)])[0]
            found = Decision(same, "symbolic", reason)
        return ("undecided" if found.same is None else "correct" if found.same else "wrong"), found.tier, found.reason


_DEFAULT: list[Checker] = []


def check(answer: str, completion: str, finish_reason: str = "stop") -> Verdict:
    """The verdict on one completion, by a checker that this process keeps."""
    if not _DEFAULT:
        _DEFAULT.append(Checker())
    return _DEFAULT[0].check(answer, completion, finish_reason)
