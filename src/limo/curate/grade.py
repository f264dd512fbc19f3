"""Grade a chain's reasoning: traits as numbers, a score, and a level L1..L5, by one of the registered scorers.

`limo-v2` is the paper's (section on chain quality): a weighted sum of elaborated reasoning 30% by length,
self-verification 20%, exploratory approach 25% and adaptive granularity 25% by keyword frequencies divided by the
text's length.  It leaves open how the four come to one scale, what breaks ties, and where levels are cut.  Our choices:

- scale `rank`: the share of the other chains that have less of a trait; `max`: divided by the largest value; `half`:
  value / (value + median of recorded long chains), of one text alone.
- a level is a fifth of the chains ranked by score; equal scores share the lower level, so that many equal bare answers
  are L1.  Levels `fixed` are cut at scores that do not depend on the others.
- `length_bins` makes a score the share of the chains of like length that it is above.

No scorer sees whether the reasoning is true; `limo grade --audit` shows by how much words alone raise a score.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from limo.core.errors import InputError, did_you_mean
from limo.core.recipe import Settings
from limo.core.records import LEVELS, Chain, Grade
from limo.curate.chains import chain_hash
from limo.curate.scorers import keywords
from limo.curate.scorers.registry import SCORERS, Scorer


class GradeSettings(Settings):
    """How chains are graded.  The weights are the paper's; the rest is our own choice (see the module's page)."""

    scorer: str = Field("limo-v2", description=f"one of {', '.join(SCORERS)}; paper: limo-v2")
    elaboration: float = Field(0.30, ge=0, le=1, description="limo-v2: weight of length; paper v2: 0.30")
    verification: float = Field(0.20, ge=0, le=1, description="limo-v2: weight of checking words; paper v2: 0.20")
    exploration: float = Field(0.25, ge=0, le=1, description="limo-v2: weight of tentative words; paper v2: 0.25")
    granularity: float = Field(0.25, ge=0, le=1, description="limo-v2: weight of connectives; paper v2: 0.25")
    scale: Literal["rank", "max", "half"] = Field(
        "rank", description="limo-v2: how traits come to 0..1; not in the paper"
    )
    levels: Literal["quantile", "fixed"] = Field("quantile", description="fifths of the chains, or fixed scores")
    cuts: list[float] = Field([], description="four rising scores for `fixed`; empty: those of recorded chains")
    length_bins: int = Field(0, ge=0, le=100, description="score within this many groups of like length; 0: not")

    @field_validator("scorer")
    @classmethod
    def _is_registered(cls, value: str) -> str:
        if value not in SCORERS:
            near = did_you_mean(value, SCORERS)
            raise ValueError(f"there is no such scorer; {near or 'name one of ' + ', '.join(SCORERS)}")
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> GradeSettings:
        if self.cuts and (len(self.cuts) != len(LEVELS) - 1 or sorted(set(self.cuts)) != self.cuts):
            raise ValueError("`cuts` are four scores, each larger than the one before")
        if self.levels == "fixed" and self.length_bins:
            raise ValueError("fixed levels and `length_bins` exclude each other: the latter compares chains")
        if self.levels == "fixed" and SCORERS[self.scorer].medians and self.scale != "half":
            raise ValueError(f"fixed levels of `{self.scorer}` need `scale: half`; the other scales compare chains")
        return self


Columns = dict[str, list[float]]
"""Measured values by name, one for each text; `length` is among them whatever the scorer."""


def grade(chains: Sequence[Chain], settings: GradeSettings | None = None, marks: Columns | None = None) -> list[Grade]:
    """One grade for each chain, in order, in 0..1; by quantile and by `rank` and `max` relative to the chains given.

    `marks` are a judge's (`judge.mean_marks`) for the scorer `judge`.  Raises InputError where they are missing.
    """
    settings = settings or GradeSettings()
    columns = measure_texts([chain.text for chain in chains], settings) if SCORERS[settings.scorer].measure else marks
    if columns is None:
        do = "get marks from a model with prompts.rubric and pass them from Python, or choose another scorer"
        raise InputError("nobody has judged these chains", f"scorer: {settings.scorer}", "a judge's marks", do)
    return Grader(columns, settings).grades(columns)


def measure_texts(texts: Sequence[str], settings: GradeSettings) -> Columns:
    """What the settings' scorer measures in each text alone.  Raises ValueError for a scorer that measures no texts."""
    measure = SCORERS[settings.scorer].measure
    if measure is None:
        raise ValueError(f"the scorer {settings.scorer} measures no texts")
    rows = [measure(text) for text in texts]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else measure(""))}


class Grader:
    """Gives traits, scores and levels relative to the reference texts of `columns`, to these or to other texts."""

    def __init__(self, columns: Columns, settings: GradeSettings) -> None:
        self.settings = settings
        self._scorer: Scorer = SCORERS[settings.scorer]
        self._reference = {name: sorted(values) for name, values in columns.items()}
        scores = self._scores(columns)
        self._bins = _length_bins(columns["length"], scores, settings.length_bins)
        self._final_scores = sorted(self._within_bins(scores, columns))

    def grades(self, columns: Columns) -> list[Grade]:
        """One grade for each row of `columns`."""
        names, scores = self._scorer.traits, self._within_bins(self._scores(columns), columns)
        rows = zip(*(self._scaled(name, columns[name]) for name in names), scores, strict=True)
        return [Grade(dict(zip(names, row, strict=True)), s, LEVELS[self._level(s)]) for *row, s in rows]

    def _scores(self, columns: Columns) -> list[float]:
        """Rounded, so that equal sums are equal whatever their last digit."""
        if not self._scorer.medians:
            return [round(score, 12) for score in columns["score"]]
        names = self._scorer.traits
        weights = [getattr(self.settings, name, 1.0) for name in names]  # a scorer of yours: its traits count alike
        total = sum(weights) or 1.0
        rows = zip(*(self._scaled(name, columns[name]) for name in names), strict=True)
        return [round(sum(w * value for w, value in zip(weights, row, strict=True)) / total, 12) for row in rows]

    def _scaled(self, trait: str, values: list[float]) -> list[float]:
        if not self._scorer.medians:
            return values
        if self.settings.scale == "half":
            return [value / (value + self._scorer.medians[trait]) for value in values]
        reference = self._reference[trait]
        if self.settings.scale == "max":
            largest = reference[-1] if reference else 0.0
            return [min(1.0, value / largest) if largest else 0.0 for value in values]
        return [_share_below(value, reference) for value in values]

    def _within_bins(self, scores: list[float], columns: Columns) -> list[float]:
        """The scores, or with `length_bins` the share of texts of like length that each is above."""
        edges, bins = self._bins
        pairs = zip(scores, (bisect_right(edges, length) for length in columns["length"]), strict=True)
        return [_share_below(score, bins[number]) for score, number in pairs] if self.settings.length_bins else scores

    def _level(self, score: float) -> int:
        if self.settings.levels == "fixed":
            return bisect_right(self.settings.cuts or self._scorer.cuts, score)
        n_below, n = bisect_left(self._final_scores, score), len(self._final_scores)
        return min(len(LEVELS) - 1, len(LEVELS) * n_below // n)


def _share_below(value: float, order: Sequence[float]) -> float:
    """The share of the others in `order` that are less; 0 for a single value, and for the least."""
    return min(1.0, bisect_left(order, value) / max(1, len(order) - 1))


def _length_bins(lengths: list[float], scores: list[float], n_bins: int) -> tuple[list[float], list[list[float]]]:
    """Lengths at which a new bin begins, and the scores in each bin, sorted; bins hold about as many chains each."""
    order = sorted(lengths)
    edges = sorted({order[len(order) * number // n_bins] for number in range(1, n_bins)}) if order else []
    bins: list[list[float]] = [[] for _ in range(len(edges) + 1)]
    for length, score in zip(lengths, scores, strict=True):
        bins[bisect_right(edges, length)].append(score)
    return edges, [sorted(scores_of_bin) for scores_of_bin in bins]


def grade_rows(chains: Sequence[Chain], grades: Sequence[Grade]) -> list[dict[str, Any]]:
    """A table row for each chain: its hash, its grade, and the keyword counts of the paper's scorer."""
    rows = []
    for chain, grade in zip(chains, grades, strict=True):
        counts = keywords.measure(chain.text)
        counted = {"n_words": counts["length"], **{name: counts[name] for name in keywords.COUNTED}}
        names = {"problem_id": chain.problem_id, "chain_hash": chain_hash(chain)}
        rows.append(names | asdict(grade) | {"counted": counted})
    return rows


def match_grades(chains: Iterable[Chain], rows: Iterable[dict[str, Any]]) -> tuple[list[Chain], list[Grade]]:
    """The chains that the rows of `grade_rows` name, in the order of the rows, each with its grade."""
    by_hash, rows = {chain_hash(chain): chain for chain in chains}, list(rows)
    grades = [Grade(row["traits"], row["score"], row["level"]) for row in rows]
    return [by_hash[row["chain_hash"]] for row in rows], grades
