"""A model with a rubric as a third scorer: what it is asked, and how its reply is read.

Five questions, each answered 1 to 5 in a line of its own, after the model has reasoned as it likes.  A reply counts
when all five are there; the last answer to each counts, so that a rubric repeated in the reasoning does no harm.  The
question itself is `prompts.rubric`.

    traits = read("structure: 4\\ngranularity: 3\\n...")  # {"structure": 0.75, ...} or None
    grades = grade(chains, GradeSettings(scorer="judge"), columns([[traits]], [chain.text]))

What it does not do: reach a model, or grade.  It is a model's opinion: set it beside the other two scorers first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

TRAITS = ("structure", "granularity", "verification", "exploration", "clarity")
_LINE = re.compile(r"^[\s*#>-]*(\w+)[\s*]*[:=][\s*]*([1-5])(?:\s*/\s*5)?[\s*.]*$", re.MULTILINE)


def read(reply: str) -> dict[str, float] | None:
    """The judge's marks as traits 0..1, or None where one of the five is missing."""
    found = {name.lower(): (int(mark) - 1) / 4 for name, mark in _LINE.findall(reply)}
    return {name: found[name] for name in TRAITS} if found.keys() >= set(TRAITS) else None


def columns(marks: Sequence[Sequence[dict[str, float]]], texts: Sequence[str]) -> dict[str, list[float]]:
    """What `grade` takes: by trait the mean over the marks of each chain (one or more a chain), and the score."""
    means = [{name: sum(one[name] for one in some) / len(some) for name in TRAITS} for some in marks]
    by_trait = {name: [mean[name] for mean in means] for name in TRAITS}
    scores = [sum(mean.values()) / len(TRAITS) for mean in means]
    return by_trait | {"score": scores, "length": [float(len(text)) for text in texts]}
