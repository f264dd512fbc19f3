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
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from limo.core.records import Completion, Outcome, Problem, Verdict
from limo.verify.answers import Answer, read_answer
from limo.verify.answers import why_unverifiable as verifiable
from limo.verify.choice import by_choices, contradiction
from limo.verify.extract import Extraction, extract
from limo.verify.maths.equal import WORDS, Decision, equal
from limo.verify.process.limits import DOUBLE_DIGITS, FAILED, Limits, limited
from limo.verify.process.spread import Crew
from limo.verify.process.workers import Worker

MEMO_SIZE = 50_000
Row = tuple[str, str, str]


class Checker:
    """Checks completions.  A context manager; safe in threads, under asyncio and in daemon processes.

    `n_workers` processes serve `check_many`; `limits` are those of one symbolic question.  Both kinds of leniency are
    off: `tolerance` is relative and applies to rounded decimal answers only; `digits` are the significant digits from
    which a rightly rounded decimal stands for an exact answer (15: a double).  Nothing starts before it is needed.
    """

    def __init__(
        self, n_workers: int = 1, limits: Limits | None = None, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS
    ) -> None:
        self.n_workers = n_workers
        self.limits = limited(n_workers, limits, tolerance, digits)
        self.memo: OrderedDict[tuple[str, str], Decision] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = Worker(self.limits)
        self._crew: Crew | None = None

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes; what is under way in other threads ends as undecided."""
        self._worker.close()
        if self._crew is not None:
            self._crew.close()

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
            wanted = read_answer(as_text(answer))
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
            items = ((("row", as_text(answer), text, reason), text) for answer, text, reason in rows)
            with closing(self.crew().chunks(items)) as chunks:
                for _, replies in chunks:
                    for values, why in replies:
                        yield Verdict("undecided", "", why, "guard") if values is None else Verdict(*values)

    @property
    def identity(self) -> str:
        """Names the rules with their settings; kept beside each verdict in the ledger."""
        return f"maths/1 tolerance={self.limits.tolerance:g} digits={self.limits.digits}"

    def why_not(self, problem: Problem) -> str:
        """Why no rule can check this problem's answer; "" where one can."""
        return verifiable(problem.answer)

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict on one completion of a problem."""
        return self.check(problem, completion.text, completion.finish_reason)

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """Verdicts in the order of the pairs, in flat memory."""
        return self.check_many(
            (problem.answer, completion.text, completion.finish_reason) for problem, completion in pairs
        )

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

    def crew(self) -> Crew:
        """The processes that serve batches; after a batch that was left early, new ones."""
        if self._crew is None or self._crew.closed:
            self._crew = Crew(self.n_workers, self.limits)
        return self._crew


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
