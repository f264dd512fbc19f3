"""Grade a chain's reasoning: the paper's four traits as numbers, their weighted sum, a level L1..L5.

The paper (v2, section on chain quality) scores a chain by a weighted sum: elaborated reasoning 30% by length,
self-verification 20%, exploratory approach 25% and adaptive granularity 25% by keyword frequencies divided by the
text's length.  It leaves open how the four are brought to one scale, what breaks ties, and where the levels are cut.
Our choices, each a setting or a rule of this page:

- scale `rank`: a trait's value is the share of the other chains that have less of it.  Any growing scale of length
  (characters, tokens, logarithm) then gives the same score, and the weights mean what they say whatever the spread;
  `max` divides by the largest value instead.
- length is counted in words: runs of Latin letters or digits, two Han characters to a word; the same count divides
  the frequencies, so that English and Chinese chains can stand in one ranking.
- a level is a fifth of the chains ranked by score: L5 beats at least 80% of them.  Equal scores share the lower
  level, so that many equal bare answers are L1.

    grades = grade(chains)
    sorted(zip(grades, chains), key=lambda pair: -pair[0].score)

What it does not do: verify an answer, or see whether the reasoning is true.  It counts words and can be fooled by
them; report its traits beside its correlation with length.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import Field

from limo.recipe import Settings
from limo.records import LEVELS, Chain, Grade

TRAITS = ("elaboration", "verification", "exploration", "granularity")
COUNTED = TRAITS[1:]
_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*|[0-9]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_PER_WORD = 2


class GradeSettings(Settings):
    """How chains are graded.  The weights are the paper's; the scale is our own choice (see the module's page)."""

    elaboration: float = Field(0.30, ge=0, le=1, description="weight of length; paper v2: 0.30")
    verification: float = Field(0.20, ge=0, le=1, description="weight of checking words; paper v2: 0.20")
    exploration: float = Field(0.25, ge=0, le=1, description="weight of tentative words; paper v2: 0.25")
    granularity: float = Field(0.25, ge=0, le=1, description="weight of connectives; paper v2: 0.25")
    scale: Literal["rank", "max"] = Field("rank", description="how a trait comes to 0..1; not in the paper")


@dataclass(frozen=True, slots=True)
class Traits:
    """What is counted in one text: its words, and how often each trait's words stand in 1,000 of them."""

    n_words: float
    verification: float
    exploration: float
    granularity: float


def measure(text: str) -> Traits:
    """The raw traits of one text; an empty text has none of any."""
    text = text.lower().replace("\u2019", "'")
    words = _WORD.findall(text)
    n_han = 0 if text.isascii() else len(_HAN.findall(text))
    n_words = len(words) + n_han / _HAN_PER_WORD
    counts = _count(words)
    if n_han:
        counts.update({trait: sum(map(text.count, entries)) for trait, entries in _lists("zh").items()})
    return Traits(n_words, *(1000 * counts[trait] / n_words if n_words else 0.0 for trait in COUNTED))


def grade(chains: Sequence[Chain], settings: GradeSettings | None = None) -> list[Grade]:
    """One grade a chain, in order.

    Traits and score lie in 0..1 and are relative to the chains given: grade together what is to be compared.
    """
    settings = settings or GradeSettings()
    raw = [measure(chain.text) for chain in chains]
    scale = _ranked if settings.scale == "rank" else _over_max
    columns = [scale([getattr(row, name) for row in raw]) for name in ("n_words", *COUNTED)]
    traits = [dict(zip(TRAITS, values, strict=True)) for values in zip(*columns, strict=True)]
    total = sum(getattr(settings, name) for name in TRAITS) or 1.0
    scores = [sum(getattr(settings, name) * row[name] for name in TRAITS) / total for row in traits]
    scores = [round(score, 12) for score in scores]  # so that equal sums are equal whatever their rounding
    return [Grade(row, score, LEVELS[band]) for row, score, band in zip(traits, scores, bands(scores), strict=True)]


def bands(scores: Sequence[float], n_bands: int = len(LEVELS)) -> list[int]:
    """The quantile band 0..n_bands-1 of each score: by the share of all scores that it beats, so ties share a band."""
    order = sorted(scores)
    return [n_bands * bisect_left(order, score) // len(order) for score in scores]


def _ranked(values: Sequence[float]) -> list[float]:
    """The share of the others that have less; 0 for a single value, and for the least."""
    order = sorted(values)
    return [bisect_left(order, value) / max(1, len(order) - 1) for value in values]


def _over_max(values: Sequence[float]) -> list[float]:
    top = max(values, default=0.0)
    return [value / top if top else 0.0 for value in values]


def _count(words: list[str]) -> Counter[str]:
    """How often each trait's English entries stand among `words`."""
    seen = Counter(words)
    line = f" {'  '.join(words)} "  # two spaces between, so that neighbours do not share one
    return Counter({trait: sum(_occurs(entry, seen, line) for entry in _lists("en")[trait]) for trait in COUNTED})


def _occurs(entry: str, seen: Counter[str], line: str) -> int:
    return line.count(f" {entry.replace(' ', '  ')} ") if " " in entry else seen[entry]


@cache
def _lists(language: str) -> dict[str, tuple[str, ...]]:
    """The word lists of a language, by trait."""
    text = (resources.files("limo.curate") / "words" / f"{language}.yaml").read_text(encoding="utf-8")
    return {trait: tuple(entries) for trait, entries in yaml.safe_load(text).items()}
