"""Units of measure: which words are units, what they measure, and how they convert.

    split_unit("cm^2")            # Unit(("length", 2), Fraction(1, 10000))
    compatible("m", "cm")         # Fraction(1, 100): a cm is a hundredth of a m
    compatible("kg", "m")         # None: they cannot mean the same

A word that is no unit here ("apples", "units") measures nothing and is never held against an answer.
Quotients ("km/h") and one power ("cm^2") are understood, no other algebra of units.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from limo.verify.maths.tables import table


class Unit(NamedTuple):
    """What is measured (a name and its power, joined for quotients) and the size in base units."""

    measures: str
    size: Fraction


_UNITS = {
    name: Unit(measure, Fraction(unit["size"]))
    for measure, units in table("units")["measures"].items()
    for unit in units
    for name in unit["names"]
}
_COUNTERS = frozenset(table("units")["counters"])
_SQUARE = re.compile(r"^(?:square|sq\.?|平方)\s*|^(?:cubic|cu\.?|立方)\s*")
_POWER = re.compile(r"\^?\{?\s*(-?\d)\s*\}?$")
LETTERS = frozenset(word for word in _UNITS if len(word) == 1 and word.isascii())


def is_unit(word: str) -> bool:
    """A word of two letters or more (or a Chinese measure) that names a unit or counts things."""
    return (word.lower() in _UNITS and word.lower() not in LETTERS) or word in _COUNTERS


@lru_cache(maxsize=4096)
def split_unit(text: str) -> Unit | None:
    """The unit that a text after a number names; None where it names none we know."""
    text = re.sub(r"\s+", " ", text.strip(" .,;:()").replace("per ", "/").replace("每", "/"))
    over, slash, under = text.partition("/")
    if slash:
        top, bottom = split_unit(over), split_unit(under)
        if top is None or bottom is None:
            return None
        return Unit(f"{top.measures}/{bottom.measures}", top.size / bottom.size)
    power, square = 1, _SQUARE.match(text)
    if square:
        power = 3 if square.group().startswith(("cu", "立")) else 2
        text = text[square.end() :]
    raised = _POWER.search(text)
    if raised and len(text) > len(raised.group()):
        power, text = int(raised.group(1)), text[: raised.start()]
    word = text.strip()
    unit = _UNITS.get(word) or _UNITS.get(word.lower())
    if unit is None:
        return None
    if power == 1:
        return unit
    if unit.measures == "length" and power == 3:
        return Unit("volume", unit.size**3 * 1000)
    return Unit(f"{unit.measures}^{power}", unit.size**power)


def compatible(gold: str, pred: str) -> Fraction | None:
    """How many of `gold`'s unit make one of `pred`'s; 1 where either is no known unit, None where they clash."""
    first, second = split_unit(gold), split_unit(pred)
    if first is None or second is None:
        return Fraction(1)
    if first.measures != second.measures:
        return None
    return second.size / first.size


_CLOCK = re.compile(
    r"\s*\$?\s*(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*(?:\\(?:text|mathrm)\s*\{)?[\s~\\,]*(?:([ap])\.?\s?m\.?)?"
    r"[\s}$]*\Z",
    re.I,
)


def clock_times(gold: str, pred: str) -> bool | None:
    """Whether two times of day are the same; None where they are none, or may as well be ratios."""
    times = [_CLOCK.match(text[:60]) for text in (gold, pred)]
    if not all(times) or not any(time and (time.group(3) or time.group(4)) for time in times):
        return None
    (h, m, s, half), (h2, m2, s2, half2) = (time.groups("") for time in times if time)
    if (m, s or "00") != (m2, s2 or "00"):
        return False
    hours, hours2 = _hour(int(h), half), _hour(int(h2), half2)
    both = bool(half) == bool(half2) or max(int(h), int(h2)) > 12  # else one of them does not say which half of the day
    return hours == hours2 if both else hours % 12 == hours2 % 12


def _hour(hour: int, half: str) -> int:
    return hour if not half else hour % 12 + 12 * (half.lower() == "p")
