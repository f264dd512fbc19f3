"""Grade a chain's reasoning: traits as numbers, a score, a level L1..L5, by one of three scorers.

`limo-v2` is the paper's (section on chain quality): a weighted sum of elaborated reasoning 30% by length,
self-verification 20%, exploratory approach 25% and adaptive granularity 25% by keyword frequencies divided by the
text's length.  It leaves open how the four are brought to one scale, what breaks ties, and where the levels are cut.
`structure` measures what a chain does (see that module); `judge` is a model with a rubric (see that module).  Our
choices, each a setting or a rule of this page:

- scale `rank`: a trait's value is the share of the other chains that have less of it.  Any growing scale of length
  (characters, tokens, logarithm) then gives the same score, and the weights mean what they say whatever the spread;
  `max` divides by the largest value; `half` is value / (value + median of recorded long chains), of one text alone.
- length is counted in words: runs of Latin letters or digits, two Han characters to a word; the same count divides
  the frequencies, so that English and Chinese chains can stand in one ranking.
- a level is a fifth of the chains ranked by score: L5 beats at least 80% of them.  Equal scores share the lower
  level, so that many equal bare answers are L1.  Levels `fixed` are cut at scores that do not depend on the others.
- `length_bins` makes a score the share of the chains of like length that it beats, so that no level is merely longer.

    grades = grade(chains)
    sorted(zip(grades, chains), key=lambda pair: -pair[0].score)

What it does not do: verify an answer, or see whether the reasoning is true.  `limo-v2` counts words and can be fooled
by them; `limo grade --audit` shows by how much.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from limo.core.errors import InputError
from limo.core.recipe import Settings
from limo.core.records import LEVELS, Chain, Grade
from limo.curate.scorers import judge, structure
from limo.curate.scorers.keywords import COUNTED, TRAITS, measure

__all__ = ["COUNTED", "TRAITS", "GradeSettings", "Ruler", "bands", "grade", "measure", "traits_of"]

# Medians of 562 correct recorded long chains: words, and entries in 1,000 words.
_HALVES = {"length": 913, "verification": 2.86, "exploration": 9.37, "granularity": 24.7}
# Quintiles of the scores of the same chains with 500 chains of reasoning models and 500 of plain ones.
_CUTS = {"limo-v2": (0.16, 0.34, 0.46, 0.52), "structure": (0.36, 0.46, 0.54, 0.61), "judge": (0.2, 0.4, 0.6, 0.8)}


class GradeSettings(Settings):
    """How chains are graded.  The weights are the paper's; the rest is our own choice (see the module's page)."""

    scorer: Literal["limo-v2", "structure", "judge"] = Field("limo-v2", description="who scores; paper: limo-v2")
    elaboration: float = Field(0.30, ge=0, le=1, description="limo-v2: weight of length; paper v2: 0.30")
    verification: float = Field(0.20, ge=0, le=1, description="limo-v2: weight of checking words; paper v2: 0.20")
    exploration: float = Field(0.25, ge=0, le=1, description="limo-v2: weight of tentative words; paper v2: 0.25")
    granularity: float = Field(0.25, ge=0, le=1, description="limo-v2: weight of connectives; paper v2: 0.25")
    scale: Literal["rank", "max", "half"] = Field(
        "rank", description="limo-v2: how a trait comes to 0..1; `half` is of one text alone; not in the paper"
    )
    levels: Literal["quantile", "fixed"] = Field("quantile", description="fifths of the chains, or fixed scores")
    cuts: list[float] = Field(
        default_factory=list, description="four rising scores for `fixed`; empty: those of recorded chains"
    )
    length_bins: int = Field(0, ge=0, le=100, description="score within this many groups of like length; 0: not")

    @model_validator(mode="after")
    def _fits(self) -> GradeSettings:
        if self.cuts and (len(self.cuts) != len(LEVELS) - 1 or sorted(set(self.cuts)) != self.cuts):
            raise ValueError("`cuts` are four scores, each larger than the one before")
        if self.levels == "fixed" and self.length_bins:
            raise ValueError("fixed levels and `length_bins` exclude each other: the latter compares chains")
        if self.levels == "fixed" and self.scorer == "limo-v2" and self.scale != "half":
            raise ValueError("fixed levels of `limo-v2` need `scale: half`; the other scales compare chains")
        return self


Columns = dict[str, list[float]]
"""Raw values by name, one a text; `length` is among them whatever the scorer."""


def grade(chains: Sequence[Chain], settings: GradeSettings | None = None, judged: Columns | None = None) -> list[Grade]:
    """One grade a chain, in order.

    Traits and score lie in 0..1.  By quantile, and by the scales `rank` and `max`, they are relative to the chains
    given: grade together what is to be compared.  `judged` is what a judge said of the chains (`judge.columns`), which
    the scorer `judge` needs.  Raises InputError where that is missing.
    """
    settings = settings or GradeSettings()
    columns = judged if settings.scorer == "judge" else columns_of([chain.text for chain in chains], settings)
    if columns is None:
        do = "ask a model with prompts.rubric and hand its marks in from Python, or choose another scorer"
        raise InputError("nobody has judged these chains", "scorer: judge", "a model that judges", do)
    return Ruler(columns, settings).grades(columns)


def traits_of(settings: GradeSettings) -> tuple[str, ...]:
    """The names of the traits that the settings' scorer gives, in order."""
    return {"limo-v2": TRAITS, "structure": (*structure.TRAITS, "novelty"), "judge": judge.TRAITS}[settings.scorer]


def columns_of(texts: Sequence[str], settings: GradeSettings) -> Columns:
    """What is measured in each text alone, by the scorer `limo-v2` or `structure`."""
    if settings.scorer == "structure":
        found = [structure.measure(text) for text in texts]
        columns = {name: [one.traits[name] for one in found] for name in structure.TRAITS}
        shown = {"novelty": [one.novelty for one in found], "score": [one.score for one in found]}
        return columns | shown | {"length": [float(len(text)) for text in texts]}
    raw = [measure(text) for text in texts]
    return {"length": [one.n_words for one in raw]} | {name: [getattr(one, name) for one in raw] for name in COUNTED}


class Ruler:
    """Traits, scores and levels as they are among the chains of `columns`: it can be held to other texts too."""

    def __init__(self, columns: Columns, settings: GradeSettings) -> None:
        self.settings = settings
        self._sorted = {name: sorted(values) for name, values in columns.items()}
        scores = self._scores(columns)
        self._bins = _bins(columns["length"], scores, settings.length_bins)
        self._final = sorted(self._placed(scores, columns))

    def grades(self, columns: Columns) -> list[Grade]:
        """One grade for each row of `columns`."""
        names = traits_of(self.settings)
        rows = zip(*(self._scaled(name, columns) for name in names), strict=True)
        scores = self._placed(self._scores(columns), columns)
        return [
            Grade(dict(zip(names, row, strict=True)), score, LEVELS[self._level(score)])
            for row, score in zip(rows, scores, strict=True)
        ]

    def _scores(self, columns: Columns) -> list[float]:
        if self.settings.scorer != "limo-v2":
            return [round(score, 12) for score in columns["score"]]
        weights = {name: getattr(self.settings, name) for name in TRAITS}
        total = sum(weights.values()) or 1.0
        rows = zip(*(self._scaled(name, columns) for name in TRAITS), strict=True)
        # Rounded, so that equal sums are equal whatever their last digit.
        return [
            round(sum(w * value for w, value in zip(weights.values(), row, strict=True)) / total, 12) for row in rows
        ]

    def _scaled(self, trait: str, columns: Columns) -> list[float]:
        if self.settings.scorer != "limo-v2":
            return columns[trait]
        name = "length" if trait == "elaboration" else trait
        values, known = columns[name], self._sorted[name]
        if self.settings.scale == "half":
            return [value / (value + _HALVES[name]) for value in values]
        if self.settings.scale == "max":
            top = known[-1] if known else 0.0
            return [min(1.0, value / top) if top else 0.0 for value in values]
        return _beaten(values, known)

    def _placed(self, scores: list[float], columns: Columns) -> list[float]:
        """The scores, or what they beat among texts of like length."""
        if not self.settings.length_bins:
            return scores
        edges, among = self._bins
        places = [bisect_right(edges, length) for length in columns["length"]]
        return [_beaten([score], among[place])[0] for score, place in zip(scores, places, strict=True)]

    def _level(self, score: float) -> int:
        if self.settings.levels == "fixed":
            return bisect_right(self.settings.cuts or _CUTS[self.settings.scorer], score)
        return _band(score, self._final)


def bands(scores: Sequence[float], n_bands: int = len(LEVELS)) -> list[int]:
    """The quantile band 0..n_bands-1 of each score: by the share of all scores that it beats, so ties share a band."""
    order = sorted(scores)
    return [_band(score, order, n_bands) for score in scores]


def _band(score: float, order: Sequence[float], n_bands: int = len(LEVELS)) -> int:
    return min(n_bands - 1, n_bands * bisect_left(order, score) // len(order))


def _beaten(values: Sequence[float], order: Sequence[float]) -> list[float]:
    """The share of the others that have less; 0 for a single value, and for the least."""
    return [min(1.0, bisect_left(order, value) / max(1, len(order) - 1)) for value in values]


def _bins(lengths: Sequence[float], scores: Sequence[float], n_bins: int) -> tuple[list[float], list[list[float]]]:
    """Lengths at which a new bin begins, and the scores in each bin, sorted; bins hold about as many chains each."""
    order = sorted(lengths)
    edges = sorted({order[len(order) * number // n_bins] for number in range(1, n_bins)}) if order else []
    among: list[list[float]] = [[] for _ in range(len(edges) + 1)]
    for length, score in zip(lengths, scores, strict=True):
        among[bisect_right(edges, length)].append(score)
    return edges, [sorted(some) for some in among]
