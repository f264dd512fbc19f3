"""The verdict: does this completion answer the problem?

    check("\\\\frac{1}{2}", "so it is \\\\boxed{0.5}").outcome          # "correct"
    with Checker(n_workers=2) as checker:
        verdicts = list(checker.check_many([("4", "\\\\boxed{4}", "stop")]))

Cheap certainties come first and in this process (same string, same number, same exact value); only what is left goes
to a killable child where Math-Verify may think about it.  A child that dies or overruns gives `undecided`, which no
pass rate counts.  With several workers whole batches go to the children, so that reading is shared between cores too.

What it does not do: ask a model (a judge is another thing), or look at the reasoning.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from queue import SimpleQueue
from typing import Any

from limo.errors import InputError
from limo.records import Outcome, Problem, Verdict
from limo.verify.answers import Answer, understand
from limo.verify.answers import verifiable as verifiable
from limo.verify.engine import Limits
from limo.verify.equal import Decision, equal
from limo.verify.extract import Extraction, extract
from limo.verify.workers import Reply, Worker

CHUNK, MEMO_SIZE = 128, 50_000
Row = tuple[str, str, str]
Question = tuple[Any, ...]


class Checker:
    """Checks completions.  A context manager; safe in threads, under asyncio and in daemon processes.

    `n_workers` processes serve `check_many`; `tolerance` is relative and applies to rounded decimal answers only;
    `limits` are those of one symbolic question.  Nothing is started before it is needed.
    """

    def __init__(self, n_workers: int = 1, limits: Limits | None = None, tolerance: float = 0.0) -> None:
        if n_workers < 1 or not 0 <= tolerance < 0.1:
            raise InputError(
                "a checker cannot be made so",
                (n_workers, tolerance),
                "n_workers >= 1, 0 <= tolerance < 0.1",
                "one worker for each core is enough",
            )
        self.n_workers, self.tolerance, self.limits = n_workers, tolerance, limits or Limits()
        self.memo: OrderedDict[tuple[str, str], Decision] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = Worker(self.limits)
        self._pool: list[Worker] = []

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes; what is under way in other threads ends as undecided."""
        for worker in [self._worker, *self._pool]:
            worker.close()

    def check(
        self,
        answer: object,
        completion: str,
        finish_reason: str = "stop",
        choices: Sequence[str] | dict[str, str] | None = None,
    ) -> Verdict:
        """The verdict on one completion of a problem (or its answer).  `choices` are the texts of the options."""
        start = time.perf_counter()
        if isinstance(answer, Problem):
            choices = choices or answer.meta.get("choices")  # type: ignore[assignment]
            answer = answer.answer
        wanted = understand(as_text(answer))
        found = extract(completion, finish_reason, letters=bool(wanted.letters))
        if not found.text:
            outcome: Outcome = found.missing or "no_answer"
            return Verdict(outcome, "", found.missing.replace("_", " "), "", time.perf_counter() - start)
        decision = self._decide(wanted, found, choices)
        outcome = "undecided" if decision.same is None else "correct" if decision.same else "wrong"
        return Verdict(outcome, found.text, decision.reason, decision.tier, time.perf_counter() - start)

    def check_many(self, rows: Iterable[Row]) -> Iterator[Verdict]:
        """Verdicts in the order of the rows (answer, completion, finish_reason), in flat memory."""
        if self.n_workers == 1:
            for answer, completion, finish_reason in rows:
                yield self.check(answer, completion, finish_reason)
        else:
            questions = (("row", as_text(answer), completion, reason) for answer, completion, reason in rows)
            for _, (values, why) in self.spread(questions):
                yield Verdict("undecided", "", why, "guard") if values is None else Verdict(*values)

    def _decide(self, wanted: Answer, found: Extraction, choices: Sequence[str] | dict[str, str] | None) -> Decision:
        text = by_choices(wanted, found.text, choices) if choices else found.text
        decision = self._equal(wanted, text)
        if decision.same is not True and found.fallback:
            other = (
                self._equal(wanted, found.fallback)
                if decision.unread
                else equal(wanted.text, found.fallback, quick=True)
            )
            if other.same:
                return other
        return decision

    def _equal(self, wanted: Answer, text: str) -> Decision:
        key = (wanted.text, text)
        with self._lock:
            known = self.memo.get(key)
            if known is not None:
                self.memo.move_to_end(key)
                return known
        try:
            decision = equal(wanted.text, text, self.tolerance)
        except Exception as error:  # one verdict, never the batch
            decision = Decision(None, "guard", f"checker failed ({type(error).__name__})")
        if decision.same is not True and wanted.unverifiable:
            decision = Decision(None, "type", f"unverifiable: {wanted.unverifiable}")
        elif decision.same is None and decision.tier != "guard":
            decision = self._symbolic(wanted.text, text)
        if decision.same is not None or decision.tier in ("guard", "type"):
            with self._lock:
                self.memo[key] = decision
                while len(self.memo) > MEMO_SIZE:
                    self.memo.popitem(last=False)
        return decision

    def _symbolic(self, answer: str, text: str) -> Decision:
        ((same, reason),) = self._worker.ask([("symbolic", answer, text)])
        return Decision(same, "symbolic", reason, unread=same is not True)

    def spread(self, questions: Iterator[Question]) -> Iterator[tuple[Question, Reply]]:
        """Chunks to the children, a bounded number under way, results in order."""
        free: SimpleQueue[Worker] = SimpleQueue()
        if not self._pool:
            self._pool = [Worker(replace(self.limits, tolerance=self.tolerance)) for _ in range(self.n_workers)]
        for worker in self._pool:
            free.put(worker)
        threads = ThreadPoolExecutor(self.n_workers, thread_name_prefix="limo-verify")
        waiting: deque[tuple[list[Question], Future[list[Reply]]]] = deque()
        more = finished = True
        try:
            finished = False
            while waiting or more:
                while more and len(waiting) < 3 * self.n_workers:
                    chunk = list(islice(questions, CHUNK))
                    more = len(chunk) == CHUNK
                    if chunk:
                        waiting.append((chunk, threads.submit(_ask, free, chunk)))
                if waiting:
                    chunk, future = waiting.popleft()
                    yield from zip(chunk, future.result(), strict=True)
            finished = True
        finally:
            if not finished:  # left early: what is under way is not wanted
                for _, future in waiting:
                    future.cancel()
                for worker in self._pool:
                    worker.close()
                self._pool = []
            threads.shutdown(wait=True)


def _ask(free: SimpleQueue[Worker], chunk: list[Question]) -> list[Reply]:
    worker = free.get()
    try:
        return worker.ask(chunk)
    finally:
        free.put(worker)


def by_choices(wanted: Answer, text: str, choices: Sequence[str] | dict[str, str]) -> str:
    """The letter of the option whose text was given instead of its letter."""
    from limo.verify.readings import choice_of

    if not wanted.letters or choice_of(text, loose=True):
        return text
    named = choices if isinstance(choices, dict) else dict(zip("ABCDEFGHIJ", choices, strict=False))
    met = [letter for letter, option in named.items() if equal(str(option), text).same]
    return met[0] if len(met) == 1 else text


def as_text(answer: object) -> str:
    """An answer as its owner stored it (a number, a list, an object), as text."""
    if isinstance(answer, str):
        return answer
    if answer is None:
        return ""
    if isinstance(answer, list | tuple):
        return ", ".join(as_text(part) for part in answer)
    return json.dumps(answer, ensure_ascii=False) if isinstance(answer, dict) else str(answer)


_DEFAULT: dict[int, Checker] = {}


def check(
    answer: object, completion: str, finish_reason: str = "stop", choices: Sequence[str] | dict[str, str] | None = None
) -> Verdict:
    """The verdict on one completion, by a checker that this process keeps."""
    checker = _DEFAULT.get(os.getpid())
    if checker is None:
        checker = _DEFAULT[os.getpid()] = Checker()
        atexit.register(checker.close)
    return checker.check(answer, completion, finish_reason, choices)
