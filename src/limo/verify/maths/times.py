"""Times of day, dates, durations of several units and ranges of numbers: texts that are no formulas."""

from __future__ import annotations

import re
from fractions import Fraction

from limo.verify.maths.normalise import WORD_CLOSE, WORD_OPEN, clean
from limo.verify.maths.tables import table
from limo.verify.maths.units import read_unit

_MONTHS = {name[:n]: k for k, name in enumerate(table("languages/english")["months"], 1) for n in (3, 4, len(name))}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = [
    re.compile(pattern, re.I)
    for pattern in (
        r"(?P<y>\d{4})\s*[-/年.]\s*(?P<m>\d{1,2})\s*[-/月.]\s*(?P<d>\d{1,2})\s*日?",
        rf"(?P<m>{_MONTH})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y>\d{{4}}))?",
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m>{_MONTH})\.?(?:,?\s+(?P<y>\d{{4}}))?",
        r"(?P<m>\d{1,2})月(?P<d>\d{1,2})日",
    )
]
_NUMBER = r"\$?\d+(?:,\d{3})*(?:\.\d+)?"
_RANGE = re.compile(
    rf"(?:from\s+|between\s+)?({_NUMBER})\s*([^\d\s,;=+*()-]*)\s*(-+|\\sim|~|\bto\b|\band\b|至|到)\s*"
    rf"({_NUMBER})\s*([^\d,;=+()-]*)",
    re.I,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z\u4e00-\u9fff'\"]+)[\s,]*(?:and\s+)?")


def same_time(gold: str, pred: str, statement: str = "") -> bool | None:
    """Whether two dates or times of day are the same; None where they are none."""
    dates = [read_date(text) for text in (gold, pred)]
    if all(dates):
        return dates[0] == dates[1]
    return _same_clock(gold, pred)


def read_date(text: str) -> tuple[int, int, int] | None:
    """Year (0 where there is none), month and day."""
    text = re.sub(r"\\(?:text|mathrm)\s*|[{}$~]|\\[, ]", " ", text[:60]).strip(" .")
    for pattern in _DATES:
        if match := pattern.fullmatch(text):
            parts = match.groupdict("0")
            month = _MONTHS.get(parts["m"].lower()) or int(parts["m"])
            return int(parts.get("y", "0")), month, int(parts["d"])
    return None


def read_range(text: str) -> tuple[str, str] | None:
    """The ends of `0.35-0.50`, `3 to 5 cm`; a hyphen between a number and a smaller one is a minus sign."""
    plain = clean(text).replace(WORD_OPEN, " ").replace(WORD_CLOSE, " ").strip()
    match = _RANGE.fullmatch(plain)
    if match is None:
        return None
    low, unit, sign, high, end_unit = match.groups()
    if unit not in ("", "%", end_unit) or (end_unit and read_unit(end_unit) is None):
        return None
    if sign == "and" and not plain.lower().startswith("between"):
        return None
    if sign.startswith("-") and not float(low.strip("$").replace(",", "")) < float(high.strip("$").replace(",", "")):
        return None
    return f"{low} {unit or end_unit}".strip(), f"{high} {end_unit}".strip()


def compound_quantities(text: str) -> list[str]:
    """`2 h 30 min` as 150 min and as 2.5 h; [] where a text is no amount in several units of one kind."""
    plain = text.replace(WORD_OPEN, " ").replace(WORD_CLOSE, " ").strip()
    parts, end = [], 0
    while match := _PART.match(plain, end):
        parts.append((match[1], match[2], read_unit(match[2])))
        end = match.end()
    sizes = [unit.size for *_, unit in parts if unit]
    kinds = {unit.dimensions for *_, unit in parts if unit}
    if end < len(plain) or not 1 < len(parts) == len(sizes) or len(kinds) > 1 or sizes != sorted(sizes, reverse=True):
        return []
    total = sum(Fraction(number) * size for (number, *_), size in zip(parts, sizes, strict=True))
    values = [(total / size, name) for (_, name, _), size in zip(parts[::-1], sizes[::-1], strict=True)]
    return [rf"\frac{{{v.numerator}}}{{{v.denominator}}} {WORD_OPEN}{name}{WORD_CLOSE}" for v, name in values]


_CLOCK = re.compile(
    r"\s*\$?\s*(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*(?:\\(?:text|mathrm)\s*\{)?[\s~\\,]*(?:([ap])\.?\s?m\.?)?[\s}$]*\Z",
    re.I,
)


def _same_clock(gold: str, pred: str) -> bool | None:
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
