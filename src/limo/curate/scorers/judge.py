"""A model with a rubric as a scorer: how its reply is read, and how the marks become columns for `grade`.

Five criteria, each marked 1 to 5 in a line of its own; the last mark of each counts, so that a rubric repeated in the
reasoning does no harm.  The prompt is `prompts.rubric`; `limo.rollouts.judging` requests the replies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

TRAITS = ("structure", "granularity", "verification", "exploration", "clarity")
_LINE = re.compile(r"^[\s*#>-]*(\w+)[\s*]*[:=][\s*]*([1-5])(?:\s*/\s*5)?[\s*.]*$", re.MULTILINE)


def read_marks(reply: str) -> dict[str, float] | None:
    """The judge's marks as traits 0..1, or None where one of the five is missing."""
    marks = {name.lower(): (int(mark) - 1) / 4 for name, mark in _LINE.findall(reply)}
    return {name: marks[name] for name in TRAITS} if marks.keys() >= set(TRAITS) else None


def mean_marks(marks: Sequence[Sequence[dict[str, float]]], texts: Sequence[str]) -> dict[str, list[float]]:
    """Columns for `grade`: the mean mark of each trait (over one reply or more), the score, the length."""
    means = [{name: sum(of[name] for of in replies) / len(replies) for name in TRAITS} for replies in marks]
    by_trait = {name: [mean[name] for mean in means] for name in TRAITS}
    scores = [sum(mean.values()) / len(TRAITS) for mean in means]
    return by_trait | {"score": scores, "length": [float(len(text)) for text in texts]}
