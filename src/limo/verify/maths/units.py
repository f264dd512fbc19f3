"""Units of measure: SI with every prefix, the usual others (`units.yaml`), their products, quotients and powers."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from limo.verify.maths.tables import table

_COUNTERS, _GLUED = frozenset(table("units")["counters"]), frozenset(table("units")["glued"])
_ENGLISH = table("languages/english")
_CHANGING, _CHANGING_BEFORE, _VERBS, _HARMLESS = (
    frozenset(_ENGLISH[name]) for name in ("changing", "changing_before", "verbs", "harmless")
)
UNIT_LETTERS = frozenset("mgshLNJVWCTAFH")  # that are read as units where they could be symbols
_CJK, _CHINESE_SCALE = re.compile("[\u3400-\u9fff]"), re.compile("[十百千万亿兆半双打对上下多余超不约]")
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
_SIGNS = "A-Za-zµμΩÅ°%$€£¥₹¢\u4e00-\u9fff"
_FACTOR = re.compile(rf"((?:degrees?\s+)?[{_SIGNS}.-]*[{_SIGNS}])(?:\s*\^\s*\(?\s*([-−]?\d)\s*\)?|([-−]?\d)(?![\d.]))?")


UnitPolicy = Literal["prefix", "same", "convertible", "ignore"]
_ASKED = re.compile(
    r"(?:\b(?:in|to|into|as|how many|number of|unit:?)\s+|多少|换算成|化成|化为|单位[：:是为]?)"
    r"\$?\\?(?:text|mathrm)?\{?\s*([^\s{}$?.，。？)]+)",
    re.I,
)
_STATED = re.compile(r"(?<![\d.])(\d[\d,]*(?:\.\d+)?)[\s$~\\,]*(?:\\(?:text|mathrm)\s*\{)?\s*([^\s\d{}$,.;?]+)")


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
    text = text.translate(_SUPERSCRIPTS).replace("\\cdot", "·").replace("\\times", "·").replace("\\Omega", "Ω")
    text = text.replace("{", "").replace("}", "").strip(" .,;:")
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
        power = (-1 if is_below else 1) * int((factor[2] or factor[3] or "1").replace("−", "-"))
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


def changes_number(words: str, *, before: bool = False) -> bool:
    """Whether words around a number may make it another one: `5 dozen`; `before`: `twice the answer is 5`."""
    if before:
        signs = table("languages/chinese")["changing_before"]
        return not _CHANGING_BEFORE.isdisjoint(_split(words)) or any(sign in words for sign in signs)
    return any(
        word in _CHANGING or word.removesuffix("s") in _CHANGING or word.endswith("ths") for word in _split(words)
    )


def is_harmless(words: str, statement: str = "") -> bool:
    """Whether words behind a number only say what is counted: known ones, plurals, words of the problem's statement."""
    words = re.sub(r"\b(?:square|sq|cubic|cu)\.?\s+(?=units?\b)", "", words)
    if _CJK.search(words):
        return words[0] in _COUNTERS and not _CHINESE_SCALE.search(words)
    if changes_number(words) and words.lower().strip(" .,") not in _HARMLESS:
        return False
    names = _split(words)
    if any(word in _VERBS or word.removesuffix("s") in _VERBS for word in names):
        return False
    last = names[-1] if names else "unit"
    is_plural = len(last) > 3 and last.endswith("s") and not last.endswith(("ss", "us", "is"))
    return (
        is_plural or last in _HARMLESS or bool(re.search(rf"(?<![a-z]){re.escape(last)}(?![a-z])", statement.lower()))
    )


def share_words(one: str, other: str) -> bool:
    """Whether two texts have a word in common."""
    return not set(_split(one)).isdisjoint(_split(other)) or one == other


def _split(words: str) -> list[str]:
    return re.findall(r"[a-z']+", words.lower())


def may_stand_for(known: Unit, other: Unit, policy: UnitPolicy, value: object, statement: str) -> bool:
    """Whether a value in another unit of the same kind may answer where the answer is in the known one.

    By `prefix` it may where the units differ by a power of ten (kN and N, L and cm^3; never days and hours), and the
    problem neither asks for the known unit nor states that value itself.
    """
    if known.size == other.size or policy == "convertible":
        return True
    ratio = str(max(known.size / other.size, other.size / known.size))
    return policy == "prefix" and ratio.strip("0") == "1" and not _repeats(statement, known, value, other)


def asks_for(statement: str, unit: Unit | None) -> bool:
    """Whether a problem asks for its answer in a unit: "to hours", "how many km"."""
    return any(read_unit(match[1].rstrip(".?,;:")) == unit for match in _ASKED.finditer(statement))


def _repeats(statement: str, known: Unit, value: object, other: Unit) -> bool:
    """Whether a value only says again what the problem states, where that is to be converted."""
    stated = ((match[1].replace(",", ""), match[2]) for match in _STATED.finditer(statement))
    return asks_for(statement, known) or any(
        Fraction(number) == value and read_unit(word) == other for number, word in stated
    )
