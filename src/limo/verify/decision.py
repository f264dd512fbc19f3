"""How a rule's decision, or its failure, becomes a verdict."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from limo.core.records import Outcome, Verdict
from limo.verify.maths.equal import Comparison

FAILED = "failed"  # the tier of a verdict that a mistake in the verifier left undecided


def failed(error: Exception) -> Comparison:
    """The decision of a rule that raised: undecided, with what failed and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return Comparison(None, FAILED, f"a rule failed: {type(error).__name__} in {where}")


def verdict_of(decision: Comparison, extracted: str, start: float) -> Verdict:
    """The verdict of a decision taken since `start` (`time.perf_counter`)."""
    outcome: Outcome = "undecided" if decision.same is None else "correct" if decision.same else "wrong"
    return Verdict(outcome, extracted, decision.reason, decision.tier, time.perf_counter() - start)
