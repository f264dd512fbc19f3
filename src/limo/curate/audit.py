"""How far a scorer can be trusted: what its scores go with, and what they can be fooled by.

- correlations (Spearman's, ties shared) of each trait and the score with length, with correctness, and with whatever
  labels the rows carry (`label_counts`: how often each behaviour was found in the chain);
- stuffing: words that the keyword scorer counts are strewn over each chain; how many levels does it climb among the
  others, which stay as they were?
- shuffling: the steps of each chain (sentences and lines, then paragraphs) are put in another order; does it fall?
- telling apart: the chance that a chain of these has a higher score than one of another file (the area under the ROC
  curve), for chains that reason against chains that do not.

    report = audit(texts, GradeSettings(scorer="structure"), correct=[True, False, ...])

What it does not do: say which scorer is right.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limo.core.records import LEVELS, Grade
from limo.curate.grade import GradeSettings, Ruler, columns_of, traits_of
from limo.curate.scorers.keywords import COUNTED, word_lists

N_WORDS = 50


@dataclass(frozen=True, slots=True)
class Fooled:
    """What became of the chains that were tampered with: how many there were, shares in 0..1, levels on average."""

    n: int
    rises: float
    falls: float
    climbs: float
    n_levels: float


@dataclass(frozen=True, slots=True)
class Audit:
    """One scorer's audit.  `correlations` are by trait (and `score`), then by what they are with."""

    scorer: str
    n: int
    correlations: dict[str, dict[str, float]]
    stuffed: Fooled
    shuffled: dict[str, Fooled]
    told_apart: dict[str, float]


def audit(
    texts: Sequence[str],
    settings: GradeSettings,
    labels: Mapping[str, Sequence[float]] | None = None,
    against: Sequence[str] = (),
    seed: int = 0,
    n_words: int = N_WORDS,
) -> Audit:
    """Audit a scorer of texts alone (`limo-v2` or `structure`) on `texts`.

    `labels` are numbers by name, one a text (correctness is 0 or 1); NaN where a text has none.  `against` are texts
    that should score lower.
    """
    columns = columns_of(texts, settings)
    ruler = Ruler(columns, settings)
    grades = ruler.grades(columns)
    rng = random.Random(seed)

    def tampered(changed: Sequence[str | None]) -> Fooled:
        pairs = [(before, text) for before, text in zip(grades, changed, strict=True) if text is not None]
        after = ruler.grades(columns_of([text for _, text in pairs], settings))
        return _fooled([before for before, _ in pairs], after)

    everything = {"length": columns["length"], **(labels or {})}
    told_apart = _told_apart([*texts, *against], len(texts), settings) if against else {}
    return Audit(
        settings.scorer,
        len(texts),
        _correlations(grades, traits_of(settings), everything),
        tampered([stuff(text, rng, n_words) for text in texts]),
        {unit: tampered([shuffle(text, unit, rng) for text in texts]) for unit in ("steps", "paragraphs")},
        told_apart,
    )


def stuff(text: str, rng: random.Random, n: int = N_WORDS) -> str:
    """The text with `n` entries of the keyword lists put between its words at random."""
    entries = [entry for trait in COUNTED for entry in word_lists("en")[trait]]
    words = text.split(" ")
    for entry in rng.choices(entries, k=n):
        words.insert(rng.randrange(len(words) + 1), entry)
    return " ".join(words)


def shuffle(text: str, unit: str, rng: random.Random) -> str | None:
    """The text with its `steps` or `paragraphs` in another order; None where it has fewer than three of them."""
    if unit == "steps":
        parts = [part for part in text.replace(". ", ".\n").replace("? ", "?\n").split("\n") if part.strip()]
    else:
        parts = [part for part in text.split("\n\n") if part.strip()]
    if len(set(parts)) < 3:
        return None
    mixed = parts[:]
    while mixed == parts:
        rng.shuffle(mixed)
    return ("\n" if unit == "steps" else "\n\n").join(mixed)


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation over the pairs in which neither is NaN; 0 where one of them does not vary."""
    from scipy.stats import spearmanr

    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a == a and b == b]
    if len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        return 0.0
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def auc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """The chance that one of `higher` is above one of `lower`, ties counting half: the area under the ROC curve."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(higher, lower).statistic / (len(higher) * len(lower))) if higher and lower else 0.5


def _correlations(
    grades: Sequence[Grade], traits: Sequence[str], with_: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    columns = {name: [one.traits[name] for one in grades] for name in traits} | {"score": [one.score for one in grades]}
    return {
        name: {other: correlation(values, column) for other, column in {**with_, **columns}.items() if other != name}
        for name, values in columns.items()
    }


def _fooled(before: Sequence[Grade], after: Sequence[Grade]) -> Fooled:
    n = max(1, len(before))
    levels = [LEVELS.index(b.level) - LEVELS.index(a.level) for a, b in zip(before, after, strict=True)]
    moves = [b.score - a.score for a, b in zip(before, after, strict=True)]
    rises, falls = (sum(sign * move > 0 for move in moves) / n for sign in (1, -1))
    return Fooled(len(before), rises, falls, sum(step > 0 for step in levels) / n, sum(levels) / n)


def _told_apart(texts: Sequence[str], n: int, settings: GradeSettings) -> dict[str, float]:
    """By trait and for the score: how surely the first `n` are told from the rest, all graded together."""
    columns = columns_of(texts, settings)
    grades = Ruler(columns, settings).grades(columns)
    found = {
        name: auc([g.traits[name] for g in grades[:n]], [g.traits[name] for g in grades[n:]])
        for name in grades[0].traits
    }
    return found | {"score": auc([g.score for g in grades[:n]], [g.score for g in grades[n:]])}
