r"""The `numeric` verifier: a number (1,200  -3.5  6.02 \times 10^{23}  \frac{1}{2}) with a unit, within a tolerance.

A unit that `maths.units` does not have is compared as text; one known beside one unknown leaves the row undecided.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from limo.core.prompts import NUMERIC_SYSTEM
from limo.core.records import Completion, Problem
from limo.verify.decision import RuleVerifier
from limo.verify.exact import stated_answer
from limo.verify.extract import Extraction, extract_from
from limo.verify.maths.equal import Comparison
from limo.verify.maths.normalise import WORD_CLOSE, WORD_OPEN, money_behind, numerals
from limo.verify.maths.times import compound_quantities
from limo.verify.maths.units import Unit, UnitPolicy, changes_number, may_stand_for, read_unit

_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?"
_VALUE = re.compile(
    rf"(?P<number>(?:(?!10\s*\^){_NUMBER})?)(?:\s*/\s*(?P<over>\d+(?:\.\d+)?))?"
    r"(?:[eE](?P<exponent>[-+]?\d+)|\s*(?:x|×|\*|·)?\s*(?<![\d.])10\s*\^\s*\{?\s*(?P<power>[-+]?\d+)\s*\}?)?"
)
_FRACTION = re.compile(rf"(?:(?<![\d.])(\d+)\s*)?\\d?frac\s*\{{\s*({_NUMBER})\s*\}}\s*\{{\s*({_NUMBER})\s*\}}")
_WORDS = re.compile(r"\\(?:text|mathrm|textrm|mbox|operatorname|rm|mathbf)\b\s*")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile("(?<=[0-9])(?=[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")  # of a number; those of units stay as text


class Quantity(NamedTuple):
    """A number and the text of its unit; "" where it has none."""

    value: float
    unit: str


class NumericVerifier(RuleVerifier):
    """Compares quantities.  `tolerance` is relative to the known value (so 0 is met by 0 alone).

    `unit` is the policy of `units.may_stand_for`; `ignore` compares the numbers alone.  `missing_unit`: a number
    without a unit has the answer's.
    """

    system = NUMERIC_SYSTEM

    def __init__(self, tolerance: float = 0.01, unit: UnitPolicy = "prefix", missing_unit: bool = True) -> None:
        self.tolerance, self.unit, self.missing_unit = tolerance, unit, missing_unit
        self.identity = f"numeric/7 tolerance={tolerance:g} unit={unit} missing_unit={missing_unit}"

    def why_not(self, problem: Problem) -> str:
        """Why this answer cannot be compared: it is no number with a unit."""
        return "" if read_quantities(problem.answer) else "the answer is no number"

    def extract(self, problem: Problem, completion: Completion) -> Extraction:
        """The stated answer, or what else reads like one."""
        stated = stated_answer(completion)
        return stated if read_quantities(stated.text) else extract_from(completion)

    def decide(self, problem: Problem, extraction: Extraction) -> Comparison:
        """Whether one of the quantities that the answer may stand for was stated."""
        known, stated = read_quantities(problem.answer), read_quantities(extraction.text)
        if not known:
            return Comparison(None, "type", "the answer is no number")
        if not stated:
            return Comparison(False, "numeric", "not one number with a unit")
        found = [self._compare(a, b, problem.problem) for a in known for b in stated]
        return next((comparison for comparison in found if comparison.same), found[0])

    def _compare(self, known: Quantity, stated: Quantity, statement: str) -> Comparison:
        if changes_number(stated.unit) and not read_leading_unit(stated.unit) and stated.unit != known.unit:
            return Comparison(None, "numeric", f"words that may change the number: {stated.unit}")
        if self.unit == "ignore" or not known.unit:
            return self._close(known.value, stated.value, "numbers")
        first, second = read_leading_unit(known.unit), read_leading_unit(stated.unit)
        if not stated.unit:
            if not self.missing_unit:
                return Comparison(False, "numeric", "the unit is missing")
            plain = first is not None and not first.dimensions  # 0.5 is 50%
            if first is not None and plain and self._is_close(known.value * float(first.size), stated.value):
                return Comparison(True, "numeric", "numbers")
            return self._close(known.value, stated.value, "numbers, the unit is missing")
        if first is None or second is None:
            if _plain(known.unit) == _plain(stated.unit):
                return self._close(known.value, stated.value, "numbers, the unit as text")
            if first is None and second is None:
                return Comparison(False, "numeric", f"other units: {known.unit} and {stated.unit}")
            return Comparison(None, "numeric", f"unknown unit: {known.unit if first is None else stated.unit}")
        if first.dimensions != second.dimensions:
            return Comparison(False, "numeric", f"other units: {known.unit} and {stated.unit}")
        if not may_stand_for(first, second, self.unit, stated.value, statement):
            return Comparison(False, "numeric", f"not in {known.unit}")
        return self._close(known.value * float(first.size), stated.value * float(second.size), "numbers and units")

    def _close(self, known: float, stated: float, reason: str) -> Comparison:
        return Comparison(self._is_close(known, stated), "numeric", reason)

    def _is_close(self, known: float, stated: float) -> bool:
        return abs(stated - known) <= (self.tolerance + 1e-12) * abs(known)


@lru_cache(maxsize=8192)
def read_quantities(text: str) -> list[Quantity]:
    """The one number of a text with its unit (in each of its units, `2 h 30 min`); [] for none, or more than one."""
    read = map(_read_quantity, compound_quantities(text) or [money_behind(text)])
    return [quantity for quantity in read if quantity]


def _read_quantity(text: str) -> Quantity | None:
    text = numerals(text).replace(WORD_OPEN, " ").replace(WORD_CLOSE, " ")
    text = text if text.isascii() else _POWER.sub("^", text).translate(_SUPERSCRIPTS)
    text = _FRACTION.sub(_quotient, text) if "frac" in text else text
    text = _WORDS.sub(" ", text).replace("\\times", "×").replace("\\cdot", "·").replace("−", "-").replace("\\%", "%")
    text = text.replace("^\\circ", "°").replace("^{\\circ}", "°").replace("\\degree", "°").replace("\\Omega", "Ω")
    text = text.replace("\\mu", "µ").replace("° C", "°C")
    text = re.split(r"=|≈|\\approx|\\simeq|~", re.sub(r"\\[,;:! ]|[$\\]", " ", text))[-1].strip(" .,;")
    text = re.sub(
        r"^(?:about|approximately|approx\.?|roughly|around|大?约|(?:应该?)?[是为])\s*",
        "",
        text.strip("{} "),
        flags=re.I,
    )
    match = _VALUE.match(text)
    if match is None or not (match["number"].strip("+-") or match["power"]):
        return None
    unit = text[match.end() :].replace("{", " ").replace("}", " ").strip(" .,;()")
    is_denied = not unit.isascii() and re.search("[不没非无]", unit)
    n_more = re.search(r"(?<![\^\d-])(?<![A-Za-zµμΩÅ°%])\s*\d", " " + re.sub(r"\^\s*\(?\s*-?\d", "", unit))
    if n_more or is_denied or re.match(r"\^[\s(-]*\d", unit):  # another number, or its power
        return None
    number = match["number"].strip("+") if match["number"].strip("+-") else match["number"] + "1"
    exponent = match["exponent"] or match["power"] or "0"
    value, under = float(f"{number.replace(',', '')}e{exponent}"), float(match["over"] or 1)
    return Quantity(value / under, unit) if under and math.isfinite(value) else None


def _quotient(match: re.Match[str]) -> str:
    """A fraction on one line, with the whole number before it in it."""
    whole, over, under = match.groups()
    is_mixed = whole and over.isdigit() and under.isdigit()  # of any length, which `int` does not read
    mixed = f"{Decimal(whole) * Decimal(under) + Decimal(over):f}" if is_mixed else f"{whole or ''}{over}"
    return f"{mixed}/{under}"


def read_leading_unit(text: str) -> Unit | None:
    """The unit that a text begins with, None where that is unknown; "m above ground" is m."""
    unit = read_unit(text)
    while unit is None and (words := re.fullmatch(r"(.*\S)[\s,]+[A-Za-z]{3,}", text)):
        text = words[1]
        unit = read_unit(text)
    return unit


def _plain(text: str) -> str:
    return re.sub(r"[\s.·]+", "", text).casefold()
