"""Units of measure: SI with every prefix, the usual others (`units.yaml`), their products, quotients and powers."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple

from limo.verify.maths.tables import table

_COUNTERS, _GLUED = frozenset(table("units")["counters"]), frozenset(table("units")["glued"])
_SUPERSCRIPTS = str.maketrans(table("symbols")["superscripts"])
_REWRITTEN = [  # the spellings of products, quotients and powers
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\?\bper\b|每", "/"),
        (r"\b(?:square|sq\.?)\s+([A-Za-z]+)|平方([\u4e00-\u9fff]+)", r"\1\2^2"),
        (r"\b(?:cubic|cu\.?)\s+([A-Za-z]+)|立方([\u4e00-\u9fff]+)", r"\1\2^3"),
        (r"\s+squared\b", "^2"),
        (r"\s+cubed\b", "^3"),
    )
]
_GAP = re.compile(r"[\s·⋅*×(]*(/?)[\s·⋅*×(]*|[\s)]+")
_FACTOR = re.compile(
    r"((?:degrees?\s+)?[A-Za-zµμΩÅ°%$€£¥₹¢\u4e00-\u9fff.-]*[A-Za-zµμΩÅ°%$€£¥₹¢\u4e00-\u9fff])\s*\^?\s*\{?\(?\s*([-−]?\d)?\s*\)?\}?"
)


class Unit(NamedTuple):
    """The size in base units, and the exponents of the base units in order of their names."""

    size: Fraction
    dimensions: tuple[tuple[str, int], ...]


def is_unit(word: str) -> bool:
    """A word of two letters or more (or a Chinese measure) that names a unit or counts things."""
    lower = word.lower()
    return word in _GLUED or word in _COUNTERS or ((len(word) > 3 or not word.isascii()) and _single(lower) is not None)


@lru_cache(maxsize=4096)
def read_unit(text: str) -> Unit | None:
    """The unit that a text names, None where it names none; a slash divides by the next unit or by a parenthesis."""
    text = text.translate(_SUPERSCRIPTS).replace("\\cdot", "·").replace("{", "").replace("}", "").strip(" .,;:")
    for pattern, replacement in _REWRITTEN:
        text = pattern.sub(replacement, text)
    size, exponents, position, is_below, in_parentheses = Fraction(1), dict[str, int](), 0, False, False
    while position < len(text):
        gap = _GAP.match(text, position)
        if gap and gap.end() > position:
            is_below = bool(gap[1]) or (is_below and in_parentheses)
            in_parentheses = ")" not in gap.group() and (in_parentheses or "(" in gap.group())
            position = gap.end()
            continue
        factor = _FACTOR.match(text, position)
        unit = _single(factor[1]) if factor else None
        if factor is None or unit is None:
            return None
        power = (-1 if is_below else 1) * int((factor[2] or "1").replace("−", "-"))
        size *= unit.size**power
        for name, exponent in unit.dimensions:
            exponents[name] = exponents.get(name, 0) + exponent * power
        position = factor.end()
    return Unit(size, tuple(sorted((name, power) for name, power in exponents.items() if power))) if text else None


@cache
def _names() -> tuple[dict[str, Unit], dict[str, Unit | None]]:
    """Units by their names, and by their names in small letters (None where two units share them)."""
    units: dict[str, Unit] = {}
    entries = table("units")
    for symbol, (definition, *words) in [*entries["prefixed"].items(), *entries["plain"].items()]:
        size, *bases = definition.split()
        matches = [re.fullmatch(r"([A-Za-z-]+?)(-?\d)?", base) for base in bases]
        dimensions = tuple(sorted((match[1], int(match[2] or 1)) for match in matches if match))
        unit = Unit(Fraction(size), dimensions)
        units |= dict.fromkeys([symbol, *words], unit)
    unprefixed = dict(units)
    for symbol, (_, *words) in entries["prefixed"].items():
        for prefix, (power, *prefix_words) in entries["prefixes"].items():
            unit = Unit(units[symbol].size * Fraction(10) ** power, units[symbol].dimensions)
            short = [word for word in (symbol, *words) if (len(word) == 1 and word.isascii()) or word == symbol]
            names = [prefix + word for word in short]
            names += [first + word for first in prefix_words for word in words if first.isascii() == word.isascii()]
            for name in names:
                units.setdefault(name, unit)
    folded: dict[str, Unit | None] = {}
    for name, unit in units.items():
        folded[name.lower()] = unit if folded.get(name.lower(), unit) == unit else None
    return units, folded | {name.lower(): unit for name, unit in unprefixed.items()}


@lru_cache(maxsize=4096)
def _single(name: str) -> Unit | None:
    """One unit: by its symbol with its case, or by its word in any case, with or without an s."""
    units, folded = _names()
    name = name.replace("μ", "µ")
    if name in units or len(name) == 1:
        return units.get(name)
    lower = name.lower()
    return folded.get(lower) or (folded.get(lower.removesuffix("s")) if len(lower) > 2 else None)


def ratio_of_units(gold: str, pred: str) -> Fraction | None:
    """How many of `gold`'s unit make one of `pred`'s; 1 where either is no known unit, None where they clash."""
    first, second = read_unit(gold), read_unit(pred)
    if first is None or second is None:
        return Fraction(1)
    if first.dimensions != second.dimensions:
        return None
    return second.size / first.size


_CLOCK = re.compile(
    r"\s*\$?\s*(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*(?:\\(?:text|mathrm)\s*\{)?[\s~\\,]*(?:([ap])\.?\s?m\.?)?[\s}$]*\Z",
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
