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
import traceback
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from limo.errors import InputError
from limo.records import Outcome, Problem, Verdict
from limo.verify.answers import Answer, understand
from limo.verify.answers import verifiable as verifiable
from limo.verify.choices import by_choices, contradiction
from limo.verify.decimals import DOUBLE_DIGITS
from limo.verify.engine import Limits
from limo.verify.equal import WORDS, Decision, equal
from limo.verify.extract import Extraction, extract
from limo.verify.workers import Reply, Shared, Worker

CHUNK, MEMO_SIZE = 128, 50_000
AHEAD, AHEAD_BYTES = 64, 16 << 20  # chunks and bytes read ahead, so that one slow question stops no other worker
FAILED = "failed"  # the tier of a verdict that a mistake in our own rules left open
Row = tuple[str, str, str]
Question = tuple[Any, ...]


class Checker:
    """Checks completions.  A context manager; safe in threads, under asyncio and in daemon processes.

    `n_workers` processes serve `check_many`; `limits` are those of one symbolic question.  Both kinds of leniency are
    off: `tolerance` is relative and applies to rounded decimal answers only; `digits` are the significant digits from
    which a rightly rounded decimal stands for an exact answer (15: a double).  Nothing starts before it is needed.
    """

    def __init__(
        self, n_workers: int = 1, limits: Limits | None = None, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS
    ) -> None:
        if n_workers < 1 or not 0 <= tolerance < 0.1 or digits < 2:
            raise InputError(
                "a checker cannot be made so",
                (n_workers, tolerance, digits),
                "n_workers >= 1, 0 <= tolerance < 0.1, digits >= 2",
                "one worker for each core is enough",
            )
        self.n_workers = n_workers
        self.limits = replace(limits or Limits(), tolerance=tolerance, digits=digits)
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
        """The verdict on one completion of a problem (or its answer).  `choices` are the texts of the options.

        A rule that fails (a mistake of ours) costs this one verdict: undecided, tier `failed`, its place the reason.
        """
        start = time.perf_counter()
        if isinstance(answer, Problem):
            choices = choices or answer.meta.get("choices")  # type: ignore[assignment]
            answer = answer.answer
        extracted = ""
        try:
            wanted = understand(as_text(answer))
            found = extract(completion, finish_reason, letters=bool(wanted.letters))
            if not found.text:
                outcome: Outcome = found.missing or "no_answer"
                return Verdict(outcome, "", found.missing.replace("_", " "), "", time.perf_counter() - start)
            extracted = found.text
            decision = self._decide(wanted, found, choices)
        except (RecursionError, MemoryError) as error:
            decision = Decision(None, "guard", f"over the limits ({type(error).__name__})")
        except Exception as error:  # one verdict, never the batch
            decision = Decision(None, FAILED, _place(error))
        outcome = "undecided" if decision.same is None else "correct" if decision.same else "wrong"
        return Verdict(outcome, extracted, decision.reason, decision.tier, time.perf_counter() - start)

    def same(self, one: str, other: str) -> bool:
        """Whether two answers are surely equal; False where nobody can tell."""
        return self.check(one, f"\\boxed{{{other}}}").outcome == "correct"

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
        text = found.text
        if choices:
            options = choices if isinstance(choices, dict) else dict(zip("ABCDEFGHIJ", choices, strict=False))
            if why := contradiction(found.fallback or text, options):
                return Decision(False, "normalised", why)
            text = by_choices(wanted, text, options)
        decision = self._equal(wanted, text)
        if decision.same is not True and found.fallback and (decision.unread or decision.tier == WORDS):
            other = self._equal(wanted, found.fallback)
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
        decision = equal(wanted.text, text, self.limits.tolerance, self.limits.digits)
        if decision.same is not True and wanted.unverifiable:
            decision = Decision(None, "type", f"unverifiable: {wanted.unverifiable}")
        elif decision.same is None and decision.tier not in ("guard", WORDS):
            decision = self._symbolic(wanted.text, text)
        if decision.same is not None or decision.tier in ("guard", "type", WORDS):
            self._remember(key, decision)
        return decision

    def _remember(self, key: tuple[str, str], decision: Decision) -> None:
        with self._lock:
            self.memo[key] = decision
            while len(self.memo) > MEMO_SIZE:
                self.memo.popitem(last=False)

    def _symbolic(self, answer: str, text: str) -> Decision:
        ((same, reason),) = self._worker.ask([("symbolic", answer, text)])
        return Decision(same, "symbolic", reason, unread=same is not True)

    def spread(self, questions: Iterator[Question]) -> Iterator[tuple[Question, Reply]]:
        """Chunks to the children, a bounded number under way, results in order.  The third part of each is its text."""
        free: SimpleQueue[Worker] = SimpleQueue()
        if not self._pool:
            shared = Shared()
            self._pool = [Worker(self.limits, shared) for _ in range(self.n_workers)]
        for worker in self._pool:
            free.put(worker)
        threads = ThreadPoolExecutor(self.n_workers, thread_name_prefix="limo-verify")
        waiting: deque[tuple[list[Question], int, Future[list[Reply]]]] = deque()
        n_bytes, more, finished = 0, True, False
        try:
            while waiting or more:
                while more and len(waiting) < AHEAD and (n_bytes < AHEAD_BYTES or len(waiting) < 2 * self.n_workers):
                    chunk = list(islice(questions, CHUNK))
                    more = len(chunk) == CHUNK
                    if chunk:
                        size = sum(len(question[2]) for question in chunk)
                        waiting.append((chunk, size, threads.submit(_ask, free, chunk)))
                        n_bytes += size
                if waiting:
                    chunk, size, future = waiting.popleft()
                    yield from zip(chunk, future.result(), strict=True)
                    n_bytes -= size
            finished = True
        finally:
            if not finished:  # left early: what is under way is not wanted
                for *_, future in waiting:
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


def _place(error: Exception) -> str:
    """What failed and where, for whoever mends it."""
    here = traceback.extract_tb(error.__traceback__)[-1]
    return f"a rule failed: {type(error).__name__} in {Path(here.filename).name}:{here.lineno}"


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
