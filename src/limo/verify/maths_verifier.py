r"""The `maths` verifier: cheap certainties first, and what is left for Math-Verify in a killable child.

    verifier = MathsVerifier(tolerance=0.0)
    verifier.verify(Problem.make("1/2?", "\\frac{1}{2}"), Completion("so it is \\boxed{0.5}")).outcome    # "correct"

A child that dies or overruns gives `undecided`, which no pass rate counts.  A problem with `options` is compared by
letter, by the text of the option, and by the two against each other (`choice`).
"""

from __future__ import annotations

from functools import lru_cache

from limo.core.process.limits import CallLimits
from limo.core.process.worker import Worker
from limo.core.prompts import SYSTEM
from limo.core.records import Completion, Problem
from limo.verify.answers import Answer, read_answer, why_unverifiable
from limo.verify.choice import by_letter, contradiction, key_error, same_option
from limo.verify.decision import RuleVerifier
from limo.verify.extract import Extraction, extract_from
from limo.verify.maths.equal import WORDS, Comparison, equal
from limo.verify.maths.scalars import DOUBLE_DIGITS, Rules
from limo.verify.maths.symbolic import open_comparer
from limo.verify.maths.units import UnitPolicy

MEMO_SIZE = 50_000


class MathsVerifier(RuleVerifier):
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
        self.rules, self.time_s = Rules(tolerance, digits, unit, missing_unit), time_s
        self.identity = f"maths/9 {tolerance=} {digits=} unit={unit} {missing_unit=}"
        self.memo: dict[tuple[str, str, str], Comparison] = {}
        self._worker = Worker(open_comparer, limits=limits or CallLimits(time_s=time_s))
        self._why_unverifiable = lru_cache(maxsize=100_000)(why_unverifiable)  # most answers of a pool come again

    def close(self) -> None:
        """End the child; what it is at in another thread ends as undecided."""
        self._worker.close()

    def why_not(self, problem: Problem) -> str:
        """Why no rule can check this problem's answer; "" where one can."""
        return key_error(problem) if problem.options else self._why_unverifiable(problem.answer)

    def extract(self, problem: Problem, completion: Completion) -> Extraction:
        """The answer, a letter where the problem's is one."""
        return extract_from(completion, letters=bool(read_answer(problem.answer).letters))

    def decide(self, problem: Problem, extraction: Extraction) -> Comparison:
        """Whether what was extracted, or else the sentence that it stands in, is the answer."""
        answer, options, text = read_answer(problem.answer), by_letter(problem.options), extraction.text
        if options:
            if why := contradiction(extraction.fallback or text, options):
                return Comparison(False, "normalised", why)
            if not equal(answer.text, text).same and (comparison := same_option(answer, text, options)):
                return comparison
        decision = self._equal(answer, text, problem.problem)
        doubted = decision.unread or decision.tier == WORDS
        if decision.same is not True and doubted and extraction.fallback and not text.startswith(extraction.fallback):
            other = self._equal(answer, extraction.fallback, problem.problem)
            if other.same or (decision.same is False and not other.unread):
                return other
        return decision

    def _equal(self, answer: Answer, text: str, statement: str) -> Comparison:
        key = (answer.text, text, statement)
        if known := self.memo.get(key):
            return known
        decision = equal(answer.text, text, self.rules._replace(statement=statement), self.time_s)
        if decision.same is not True and answer.unverifiable:
            decision = Comparison(None, "type", f"unverifiable: {answer.unverifiable}")
        elif decision.same is None and decision.tier not in ("guard", WORDS):
            decision = self._symbolic(answer.text, text)
        if decision.same is not None or decision.tier in ("guard", "type", WORDS):
            if len(self.memo) >= MEMO_SIZE:
                self.memo.clear()
            self.memo[key] = decision
        return decision

    def _symbolic(self, answer: str, text: str) -> Comparison:
        reply = self._worker.call((answer, text))
        same, reason = reply.value or (None, reply.failure)
        return Comparison(same, "symbolic", reason, unread=same is not True)
