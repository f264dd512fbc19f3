"""The `exact` verifier: the stated answer reads like the known one; and how a stated answer is found.

    ExactVerifier().verify(Problem.make("Capital of France?", "Paris"), Completion("Answer: paris.")).outcome  # correct

The answer is what a box holds, or what stands behind the last `Answer:` (or 答案：) on its line; a text without either
gives `no_answer`, and `truncated` where it was cut.
"""

from __future__ import annotations

import re
import unicodedata

from limo.core.prompts import EXACT_SYSTEM
from limo.core.records import Completion, Problem
from limo.verify.decision import RuleVerifier
from limo.verify.extract import Extraction, extract_from
from limo.verify.maths.equal import Comparison

_UPRIGHT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_ENDS = " \t\n.,;:!?\"'“”‘’`*。，；：！？"


def stated_answer(completion: Completion) -> Extraction:
    """The answer that a completion states."""
    extraction = extract_from(completion)
    stated = extraction.stated.strip(" *")
    return Extraction(stated, extraction.rule, missing="" if stated else extraction.missing or "no_answer")


class ExactVerifier(RuleVerifier):
    """Compares texts: Unicode form, white space, punctuation at the ends and a `\\text{}` around it aside; case too,
    unless `case` is set.
    """

    system = EXACT_SYSTEM

    def __init__(self, case: bool = False) -> None:
        self.case = case
        self.identity = f"exact/6 case={case}"

    def why_not(self, problem: Problem) -> str:
        """Why this answer cannot be compared: nothing is left of it."""
        return "" if self._normalise(problem.answer) else "empty"

    def extract(self, problem: Problem, completion: Completion) -> Extraction:
        return stated_answer(completion)

    def decide(self, problem: Problem, extraction: Extraction) -> Comparison:
        if reason := self.why_not(problem):
            return Comparison(None, "type", reason)
        return Comparison(self._normalise(extraction.text) == self._normalise(problem.answer), "exact", "the text")

    def _normalise(self, text: str) -> str:
        text = " ".join(unicodedata.normalize("NFKC", text).split()).strip(_ENDS)
        if upright := _UPRIGHT.fullmatch(text.strip("$ ")):  # as models write a word in a box
            text = upright[1].strip(_ENDS)
        return text if self.case else text.casefold()
