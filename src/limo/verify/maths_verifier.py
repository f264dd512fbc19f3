r"""The `maths` verifier: cheap certainties first, and what is left for Math-Verify in a killable child.

    verifier = MathsVerifier(tolerance=0.0)
    verifier.verify(Problem.make("1/2?", "\\frac{1}{2}"), Completion("so it is \\boxed{0.5}")).outcome    # "correct"

A child that dies or overruns gives `undecided`, which no pass rate counts.  A problem with `options` is compared by
letter, by the text of the option, and by the two against each other (`choice`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from limo.core.process.limits import CallLimits
from limo.core.process.worker import Worker
from limo.core.prompts import SYSTEM
from limo.core.records import Completion, Problem, Verdict
from limo.verify.answers import Answer, read_answer, why_unverifiable
from limo.verify.choice import by_letter, contradiction, key_error, same_option
from limo.verify.decision import extract_and_decide
from limo.verify.extract import Extraction, extract_from
from limo.verify.maths.equal import WORDS, Comparison, equal
from limo.verify.maths.scalars import DOUBLE_DIGITS
from limo.verify.maths.symbolic import open_comparer
from limo.verify.maths.units import UnitPolicy

MEMO_SIZE = 50_000


class MathsVerifier:
    """Compares mathematical answers by rule.  Safe in threads, under asyncio and in daemon processes.

    `tolerance` is relative and applies to rounded decimal answers only; `digits` are the significant digits from which
    a rightly rounded decimal stands for an exact answer (16: a double).  `limits` are those of one symbolic question.
    The child starts when it is first needed.
    """

    system = SYSTEM

    def __init__(
        self,
        tolerance: float = 0.0,
        digits: int = DOUBLE_DIGITS,
        limits: CallLimits | None = None,
        *,
        unit: UnitPolicy = "prefix",
        missing_unit: bool = True,
        time_s: float = 2.0,
    ) -> None:
        self.rules: dict[str, Any] = dict(tolerance=tolerance, digits=digits, unit=unit, missing_unit=missing_unit)
        self.time_s = time_s
        self.memo: OrderedDict[tuple[str, str, str], Comparison] = OrderedDict()
        self._worker = Worker(open_comparer, limits=limits or CallLimits(time_s=time_s))
        self._lock = threading.Lock()
        self._why_unverifiable = lru_cache(maxsize=100_000)(why_unverifiable)  # most answers of a pool come again

    @property
    def identity(self) -> str:
        """Names the rules with their settings."""
        return "maths/4 " + " ".join(f"{name}={value}" for name, value in self.rules.items())

    def close(self) -> None:
        """End the child; what it is at in another thread ends as undecided."""
        self._worker.close()

    def why_not(self, problem: Problem) -> str:
        """Why no rule can check this problem's answer; "" where one can."""
        return key_error(problem) if problem.options else self._why_unverifiable(problem.answer)

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict; a rule that fails (a mistake of ours) gives `undecided`, tier `failed`, and where it failed."""
        return extract_and_decide(
            lambda: extract_from(completion, letters=bool(read_answer(problem.answer).letters)),
            lambda extraction: self.decide(
                read_answer(problem.answer), extraction, by_letter(problem.options), problem.problem
            ),
        )

    def decide(
        self, answer: Answer, extraction: Extraction, options: Mapping[str, str], statement: str = ""
    ) -> Comparison:
        """Whether what was extracted is the answer; `options` by letter, {} where there are none."""
        text = extraction.text
        if options:
            if why := contradiction(extraction.fallback or text, options):
                return Comparison(False, "normalised", why)
            if not equal(answer.text, text).same and (comparison := same_option(answer, text, options)):
                return comparison
        decision = self._equal(answer, text, statement)
        doubted = decision.unread or decision.tier == WORDS
        if decision.same is not True and doubted and extraction.fallback and not text.startswith(extraction.fallback):
            other = self._equal(answer, extraction.fallback, statement)
            if other.same:
                return other
        return decision

    def _equal(self, answer: Answer, text: str, statement: str = "") -> Comparison:
        key = (answer.text, text, statement)
        with self._lock:
            known = self.memo.get(key)
            if known is not None:
                self.memo.move_to_end(key)
                return known
        decision = equal(answer.text, text, **self.rules, statement=statement, time_s=self.time_s)
        if decision.same is not True and answer.unverifiable:
            decision = Comparison(None, "type", f"unverifiable: {answer.unverifiable}")
        elif decision.same is None and decision.tier not in ("guard", WORDS):
            decision = self._symbolic(answer.text, text)
        if decision.same is not None or decision.tier in ("guard", "type", WORDS):
            self.remember(key, decision)
        return decision

    def remember(self, key: tuple[str, str, str], decision: Comparison) -> None:
        """Keep a decision, so that the same pair is decided once."""
        with self._lock:
            self.memo[key] = decision
            while len(self.memo) > MEMO_SIZE:
                self.memo.popitem(last=False)

    def _symbolic(self, answer: str, text: str) -> Comparison:
        reply = self._worker.call((answer, text))
        same, reason = reply.value or (None, reply.failure)
        return Comparison(same, "symbolic", reason, unread=same is not True)
