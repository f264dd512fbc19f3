"""How far a scorer can be trusted: what its scores go with, what they can be fooled by, and how far two agree.

- correlations (Spearman's) of each trait and the score with length and with the labels that the rows carry;
- insertion: words that the keyword scorer counts are put between the words of each chain; how far does it rise?
- shuffling: the steps of each chain (sentences and lines, then paragraphs) are put in another order; does it fall?
- separation: the area under the ROC curve of chains that reason against chains that do not.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limo.core.records import LEVELS, Grade
from limo.curate.grade import Grader, GradeSettings, measure_texts
from limo.curate.scorers.keywords import COUNTED, word_lists
from limo.curate.scorers.registry import SCORERS

N_WORDS = 50


@dataclass(frozen=True, slots=True)
class EditEffect:
    """What an edit of `n` chains did: shares whose score rose or fell, whose level rose; the mean rise in levels."""

    n: int
    score_rises: float
    score_falls: float
    level_rises: float
    mean_levels: float


@dataclass(frozen=True, slots=True)
class Audit:
    """One scorer's audit over `n` chains: `correlations` and `separation` (maybe empty) by trait and of the `score`."""

    scorer: str
    n: int
    correlations: dict[str, dict[str, float]]
    keywords_inserted: EditEffect
    shuffled: dict[str, EditEffect]
    separation: dict[str, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two scorers agree on `n` chains.

    `correlation`: Spearman's, of the scores; `same_level`: a share; `kappa`: Cohen's, weighted by the squared distance.
    """

    n: int
    correlation: float
    same_level: float
    kappa: float


def audit(
    texts: Sequence[str], settings: GradeSettings, labels: Mapping[str, Sequence[float]] | None = None,
    against: Sequence[str] = (), seed: int = 0,
) -> Audit:  # fmt: skip
    """Audit a scorer of texts alone (`limo-v2` or `structure`) on `texts`; those of `against` should score lower.

    `labels` are numbers by name, one for each text (correctness is 0 or 1); NaN where a text has none.
    """
    columns = measure_texts(texts, settings)
    grader = Grader(columns, settings)
    grades = grader.grades(columns)
    rng = random.Random(seed)

    def effect_of(edited: Sequence[str | None]) -> EditEffect:
        pairs = [(before, text) for before, text in zip(grades, edited, strict=True) if text is not None]
        after = grader.grades(measure_texts([text for _, text in pairs], settings))
        return _edit_effect([before for before, _ in pairs], after)

    compared_with = {"length": columns["length"], **(labels or {})}
    return Audit(
        settings.scorer,
        len(texts),
        _correlations(grades, SCORERS[settings.scorer].traits, compared_with),
        effect_of([insert_keywords(text, rng) for text in texts]),
        {unit: effect_of([shuffle(text, unit, rng) for text in texts]) for unit in ("steps", "paragraphs")},
        _separation(texts, against, settings) if against else {},
    )


def agreement(grades: Sequence[Grade], others: Sequence[Grade]) -> Agreement:
    """The agreement of two gradings of the same chains, in the same order."""
    levels = [(LEVELS.index(a.level), LEVELS.index(b.level)) for a, b in zip(grades, others, strict=True)]
    if not levels:
        return Agreement(0, 0.0, 0.0, 0.0)
    a, b = np.array(levels).T
    expected = a.var() + b.var() + (a.mean() - b.mean()) ** 2  # mean squared distance of independent levels
    kappa = float(1 - ((a - b) ** 2).mean() / expected) if expected else 1.0
    correlation = rank_correlation([grade.score for grade in grades], [grade.score for grade in others])
    return Agreement(len(levels), correlation, float((a == b).mean()), kappa)


def insert_keywords(text: str, rng: random.Random, n: int = N_WORDS) -> str:
    """The text with `n` entries of the keyword lists put between its words at random."""
    entries = [entry for trait in COUNTED for entry in word_lists("en")[trait]]
    words = text.split(" ")
    for entry in rng.choices(entries, k=n):
        words.insert(rng.randrange(len(words) + 1), entry)
    return " ".join(words)


def shuffle(text: str, unit: str, rng: random.Random) -> str | None:
    """The text with its `steps` or `paragraphs` in another order; None where it has fewer than three of them."""
    text, border = (text.replace(". ", ".\n").replace("? ", "?\n"), "\n") if unit == "steps" else (text, "\n\n")
    parts = [part for part in text.split(border) if part.strip()]
    if len(set(parts)) < 3:
        return None
    mixed = parts[:]
    while mixed == parts:
        rng.shuffle(mixed)
    return border.join(mixed)


def rank_correlation(values: Sequence[float], others: Sequence[float]) -> float:
    """Spearman's rank correlation over the pairs in which neither is NaN; 0 where one of them does not vary."""
    pairs = [(a, b) for a, b in zip(values, others, strict=True) if a == a and b == b]
    if len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        return 0.0
    return float(np.corrcoef([_twice_below(column, column) for column in zip(*pairs, strict=True)])[0, 1])


def _twice_below(values: Sequence[float], others: Sequence[float]) -> Any:
    """For each value, twice how many of `others` are below it, and once how many are equal: its rank, ties shared."""
    ordered = np.sort(others)
    return np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")


def area_under_roc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """The chance that one of `higher` is above one of `lower`, ties counting half; 0.5 where one of them is empty."""
    return float(_twice_below(higher, lower).mean() / (2 * len(lower))) if higher and lower else 0.5


def _correlations(
    grades: Sequence[Grade], traits: Sequence[str], compared_with: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    columns: dict[str, Sequence[float]] = {name: [grade.traits[name] for grade in grades] for name in traits}
    columns["score"] = [grade.score for grade in grades]
    others = {**compared_with, **columns}
    return {
        name: {other: rank_correlation(values, others[other]) for other in others if other != name}
        for name, values in columns.items()
    }


def _edit_effect(before: Sequence[Grade], after: Sequence[Grade]) -> EditEffect:
    n = max(1, len(before))
    levels = [LEVELS.index(b.level) - LEVELS.index(a.level) for a, b in zip(before, after, strict=True)]
    changes = [b.score - a.score for a, b in zip(before, after, strict=True)]
    rises, falls = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    return EditEffect(len(before), rises / n, falls / n, sum(level > 0 for level in levels) / n, sum(levels) / n)


def _separation(texts: Sequence[str], against: Sequence[str], settings: GradeSettings) -> dict[str, float]:
    """By trait and for the score, the area under the ROC curve of `texts` above `against`, all graded together."""
    columns = measure_texts([*texts, *against], settings)
    grades, n = Grader(columns, settings).grades(columns), len(texts)
    rows = [grade.traits | {"score": grade.score} for grade in grades]
    return {name: area_under_roc([row[name] for row in rows[:n]], [row[name] for row in rows[n:]]) for name in rows[0]}
