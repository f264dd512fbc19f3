"""The scorers of chains by name: a scorer is added by its module and one entry of `SCORERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from limo.curate.scorers import judge, keywords, structure


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way to score a chain: `traits` (0..1, in order) and the `cuts` at which fixed levels L2 to L5 begin.

    `measure`: of a text its `length`, the traits, and the `score` unless traits are counts; None where a model gives
    the marks.  `medians`: of recorded long chains, for traits that are counts.
    """

    name: str
    traits: tuple[str, ...]
    measure: Callable[[str], dict[str, float]] | None
    cuts: tuple[float, float, float, float]
    medians: Mapping[str, float] = field(default_factory=dict)


# Cuts are the quintiles of the scores of 562 correct recorded long chains with 500 chains of reasoning models and 500
# of plain ones (the judge's: even fifths); medians are those of the 562: words, and entries in 1,000 words.
SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        Scorer(
            "limo-v2", keywords.TRAITS, keywords.measure, (0.16, 0.34, 0.46, 0.52),
            {"elaboration": 913, "verification": 2.86, "exploration": 9.37, "granularity": 24.7},
        ),
        Scorer("structure", (*structure.TRAITS, "novelty"), structure.measure, (0.36, 0.46, 0.54, 0.61)),
        Scorer("judge", judge.TRAITS, None, (0.2, 0.4, 0.6, 0.8)),
    )
}  # fmt: skip
