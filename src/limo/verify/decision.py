"""What the verifiers by rule share: extract, decide, and what a decision, or its failure, is as a verdict."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from limo.core.records import Completion, Outcome, Problem, Verdict
from limo.verify.extract import Extraction
from limo.verify.maths.equal import NO_MATHS, Comparison

FAILED = "failed"  # the tier of a verdict that a mistake in the verifier left undecided


class RuleVerifier:
    """A verifier by rule: `extract` finds the stated answer, `decide` compares it with the problem's."""

    def extract(self, problem: Problem, completion: Completion) -> Extraction:
        raise NotImplementedError

    def decide(self, problem: Problem, extraction: Extraction) -> Comparison:
        raise NotImplementedError

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict; `undecided` where a step exceeds a limit or raises (a mistake of ours), never an exception."""
        start, extraction = time.perf_counter(), Extraction("", "")
        try:
            extraction = self.extract(problem, completion)
            if not extraction.text:
                outcome = extraction.missing or "no_answer"
                return Verdict(outcome, "", outcome.replace("_", " "), "", time.perf_counter() - start)
            decision = self.decide(problem, extraction)
            if decision.reason == NO_MATHS and not extraction.is_plain:
                return Verdict("no_answer", "", "no answer", "", time.perf_counter() - start)
        except (RecursionError, MemoryError) as error:
            decision = Comparison(None, "guard", f"over the limits ({type(error).__name__})")
        except Exception as error:  # one verdict, never the batch
            decision = failed(error)
        return verdict_of(decision, extraction.text, start)


def failed(error: BaseException) -> Comparison:
    """The decision of a rule that raised: undecided, with what failed and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return Comparison(None, FAILED, f"a rule failed: {type(error).__name__} in {where}")


def verdict_of(decision: Comparison, extracted: str, start: float) -> Verdict:
    """The verdict of a decision taken since `start` (`time.perf_counter`)."""
    outcome: Outcome = "undecided" if decision.same is None else "correct" if decision.same else "wrong"
    return Verdict(outcome, extracted, decision.reason, decision.tier, time.perf_counter() - start)
