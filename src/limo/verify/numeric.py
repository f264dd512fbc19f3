r"""The `numeric` verifier: a number with a unit, within a relative tolerance.

    verifier = NumericVerifier(tolerance=0.01, unit="convertible")
    verifier.verify(Problem.make("How fast?", "10 m/s"), Completion("Answer: 36 km/h")).outcome    # "correct"

Numbers: 1,200  -3.5  6.02e23  6.02 \times 10^{23}  1/2  \frac{1}{2}.  Units: SI units with prefixes and the usual
others, as products, quotients and powers (kg m/s^2, m s^{-1}, N·m).  A unit that is not known is compared as text; one
known beside one unknown leaves the row undecided.  Degrees Celsius are not converted to kelvin.
"""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from typing import Literal, NamedTuple

from limo.core.prompts import NUMERIC_SYSTEM
from limo.core.records import Completion, Problem, Verdict
from limo.verify.decision import failed, verdict_of
from limo.verify.exact import stated_answer
from limo.verify.extract import extract
from limo.verify.maths.equal import Comparison

UnitPolicy = Literal["same", "convertible", "ignore"]

_UNITS = """
m = 1 m; meter metre meters metres = 1 m; g gram grams = 0.001 kg; s sec second seconds = 1 s; A ampere amperes = 1 A
K kelvin = 1 K; mol mole moles = 1 mol; cd = 1 cd; rad radian radians = 1 rad; sr = 1 sr; °C degC = 1 degC
Hz hertz = 1 s-1; N newton newtons = 1 kg m s-2; Pa pascal pascals = 1 kg m-1 s-2; J joule joules = 1 kg m2 s-2
W watt watts = 1 kg m2 s-3; C coulomb coulombs = 1 A s; V volt volts = 1 kg m2 s-3 A-1
F farad farads = 1 A2 s4 kg-1 m-2
Ω ohm ohms = 1 kg m2 s-3 A-2; T tesla teslas = 1 kg s-2 A-1; Wb weber = 1 kg m2 s-2 A-1; H henry = 1 kg m2 s-2 A-2
S siemens = 1 A2 s3 kg-1 m-2; Bq = 1 s-1; Gy = 1 m2 s-2; Sv = 1 m2 s-2; L l liter litre liters litres = 0.001 m3
eV electronvolt electronvolts = 1.602176634e-19 kg m2 s-2; cal = 4.184 kg m2 s-2; bar = 100000 kg m-1 s-2
min minute minutes = 60 s; h hr hour hours = 3600 s; d day days = 86400 s; yr year years = 31557600 s
atm = 101325 kg m-1 s-2; mmHg torr = 133.322387415 kg m-1 s-2; u amu Da = 1.66053906660e-27 kg; t tonne tonnes = 1000 kg
in inch inches = 0.0254 m; ft foot feet = 0.3048 m; yd yard yards = 0.9144 m; mi mile miles = 1609.344 m
lb lbs pound pounds = 0.45359237 kg; oz ounce ounces = 0.028349523125 kg; mph = 0.44704 m s-1; Å angstrom = 1e-10 m
° deg degree degrees = 0.017453292519943295 rad; % percent = 0.01; rev revolution revolutions = 6.283185307179586 rad
"""
_UNPREFIXED = frozenset(["min", "h", "hr", "d", "yr", "in", "ft", "yd", "mi", "lb", "lbs", "oz", "mph", "mmHg", "°",
                         "deg", "%", "u", "amu", "Da", "rev", "°C", "degC", "percent", "t"])  # fmt: skip
_PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "h": 1e2, "d": 0.1, "c": 0.01, "m": 1e-3, "µ": 1e-6, "μ": 1e-6,
             "n": 1e-9, "p": 1e-12, "f": 1e-15, "kilo": 1e3, "mega": 1e6, "giga": 1e9, "centi": 0.01, "milli": 1e-3,
             "micro": 1e-6, "nano": 1e-9, "pico": 1e-12}  # fmt: skip
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?"
_GAP = re.compile(r"[\s·*×(]*(/?)[\s·*×(]*|[\s)]+")
_VALUE = re.compile(
    rf"(?P<number>(?:(?!10\s*\^){_NUMBER})?)(?:\s*/\s*(?P<over>\d+(?:\.\d+)?))?"
    r"(?:[eE](?P<exponent>[-+]?\d+)|\s*(?:x|×|\*|·)?\s*(?<![\d.])10\s*\^\s*\{?\s*(?P<power>[-+]?\d+)\s*\}?)?"
)
_FRACTION = re.compile(rf"\\d?frac\s*\{{\s*({_NUMBER})\s*\}}\s*\{{\s*({_NUMBER})\s*\}}")
_WORDS = re.compile(r"\\(?:text|mathrm|textrm|mbox|operatorname|rm|mathbf)\b\s*")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_TOKEN = re.compile(r"([A-Za-zµμΩÅ°%]+)\s*\^?\s*\{?\(?\s*(-?\d)?\s*\)?\}?")


class Unit(NamedTuple):
    """The size in SI units, and the exponents of the base units in order of their names."""

    size: float
    dimensions: tuple[tuple[str, int], ...]


class Quantity(NamedTuple):
    """A number and the text of its unit; "" where it has none."""

    value: float
    unit: str


def _table() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for entry in _UNITS.replace("\n", ";").split(";"):
        names, _, definition = entry.partition("=")
        size, *bases = definition.split() or [""]
        powers = [re.fullmatch(r"([A-Za-z]+?)(-?\d)?", base) for base in bases]
        dimensions = sorted((match[1], int(match[2] or 1)) for match in powers if match)
        units |= {name: Unit(float(size), tuple(dimensions)) for name in names.split()}
    return units


_TABLE = _table()


class NumericVerifier:
    """Compares quantities.  `tolerance` is relative to the known value (absolute where that is 0).

    `unit`: `same` wants the same unit, `convertible` converts, `ignore` compares the numbers alone.  With
    `missing_unit` a number without a unit is taken to be in the unit of the answer.
    """

    system = NUMERIC_SYSTEM

    def __init__(self, tolerance: float = 0.01, unit: UnitPolicy = "convertible", missing_unit: bool = True) -> None:
        self.tolerance, self.unit, self.missing_unit = tolerance, unit, missing_unit
        self.identity = f"numeric/1 tolerance={tolerance:g} unit={unit} missing_unit={missing_unit}"

    def why_not(self, problem: Problem) -> str:
        """Why this answer cannot be compared: it is no number with a unit."""
        return "" if read_quantity(problem.answer) else "the answer is no number"

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict on one completion."""
        start, text = time.perf_counter(), ""
        try:
            text, missing = stated_answer(completion)
            if not text:
                extraction = extract(completion.text, completion.finish_reason)
                text, missing = extraction.text, extraction.missing or missing
            if not text:
                outcome = missing or "no_answer"
                return Verdict(outcome, "", outcome.replace("_", " "), "", time.perf_counter() - start)
            decision = self.compare(problem.answer, text)
        except Exception as error:  # one verdict, never the batch
            decision = failed(error)
        return verdict_of(decision, text, start)

    def compare(self, answer: str, text: str) -> Comparison:
        """Whether a text states the quantity that is the answer."""
        known, stated = read_quantity(answer), read_quantity(text)
        if known is None:
            return Comparison(None, "type", "the answer is no number")
        if stated is None:
            return Comparison(False, "numeric", "not one number with a unit")
        if self.unit == "ignore" or not known.unit:
            return self._close(known.value, stated.value, "numbers")
        first, second = read_unit(known.unit), read_unit(stated.unit)
        if not stated.unit:
            if not self.missing_unit:
                return Comparison(False, "numeric", "the unit is missing")
            plain = first is not None and not first.dimensions  # 0.5 is 50%
            if first is not None and plain and self._is_close(known.value * first.size, stated.value):
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
        if self.unit == "same" and not math.isclose(first.size, second.size):
            return Comparison(False, "numeric", f"not in {known.unit}")
        return self._close(known.value * first.size, stated.value * second.size, "numbers and units")

    def _close(self, known: float, stated: float, reason: str) -> Comparison:
        return Comparison(self._is_close(known, stated), "numeric", reason)

    def _is_close(self, known: float, stated: float) -> bool:
        return abs(stated - known) <= (self.tolerance * abs(known) if known else self.tolerance) + 1e-12 * abs(known)


@lru_cache(maxsize=8192)
def read_quantity(text: str) -> Quantity | None:
    """The one number of a text with its unit; None where there is no number, or more than one."""
    text = _FRACTION.sub(r"\1/\2", text.translate(_SUPERSCRIPTS)) if "frac" in text else text.translate(_SUPERSCRIPTS)
    text = _WORDS.sub(" ", text).replace("\\times", "×").replace("\\cdot", "·").replace("−", "-").replace("\\%", "%")
    text = text.replace("^\\circ", "°").replace("^{\\circ}", "°").replace("\\degree", "°").replace("\\Omega", "Ω")
    text = text.replace("\\mu", "µ").replace("° C", "°C")
    text = re.split(r"=|≈|\\approx|\\simeq|~", re.sub(r"\\[,;:! ]|[$\\]", " ", text))[-1].strip(" .,;")
    text = re.sub(r"^(?:about|approximately|approx\.?|roughly|around|约|大约)\s*", "", text.strip("{} "), flags=re.I)
    match = _VALUE.match(text)
    if match is None or not (match["number"].strip("+-") or match["power"]):
        return None
    unit = text[match.end() :].replace("{", " ").replace("}", " ").strip(" .,;()")
    if re.search(r"(?<![\^\d-])(?<![A-Za-zµμΩÅ°%])\s*\d", " " + re.sub(r"\^\s*\(?\s*-?\d", "", unit)):
        return None
    number = match["number"].strip("+") if match["number"].strip("+-") else match["number"] + "1"
    value = float(number.replace(",", "")) / float(match["over"] or 1)
    value *= 10.0 ** int(match["exponent"] or match["power"] or 0)
    return Quantity(value, unit) if math.isfinite(value) else None


@lru_cache(maxsize=4096)
def read_unit(text: str) -> Unit | None:
    """The unit that a text names, None where it names none; words behind it ("m above ground") are passed over."""
    text = re.sub(r"\bper\b", "/", text.translate(_SUPERSCRIPTS)).strip()
    unit = _product(text)
    while unit is None and (words := re.fullmatch(r"(.*\S)[\s,]+[A-Za-z]{3,}", text)):
        text = words[1]
        unit = _product(text)
    return unit


def _product(text: str) -> Unit | None:
    """A product of powers; a slash divides by the next unit, or by all in the parentheses that follow it."""
    size, exponents, position, is_below, in_parentheses = 1.0, dict[str, int](), 0, False, False
    while position < len(text):
        gap = _GAP.match(text, position)
        if gap and gap.end() > position:
            is_below = bool(gap[1]) or (is_below and in_parentheses)
            in_parentheses = ")" not in gap.group() and (in_parentheses or "(" in gap.group())
            position = gap.end()
            continue
        token = _TOKEN.match(text, position)
        unit = _single(token[1]) if token else None
        if token is None or unit is None:
            return None
        power = (-1 if is_below else 1) * int(token[2] or 1)
        size *= unit.size**power
        for name, exponent in unit.dimensions:
            exponents[name] = exponents.get(name, 0) + exponent * power
        position = token.end()
    return Unit(size, tuple(sorted((name, power) for name, power in exponents.items() if power)))


def _single(name: str) -> Unit | None:
    """One unit with its prefix: km, mA, kilowatt."""
    if name in _TABLE or (name.lower() in _TABLE and len(name) > 2):
        return _TABLE.get(name) or _TABLE[name.lower()]
    for prefix, factor in _PREFIXES.items():
        rest = name.removeprefix(prefix)
        is_word = len(prefix) > 2 or prefix in ("kilo", "mega")
        if rest != name and rest in _TABLE and rest not in _UNPREFIXED and (len(rest) > 4 or rest == "gram") >= is_word:
            return Unit(_TABLE[rest].size * factor, _TABLE[rest].dimensions)
    return None


def _plain(text: str) -> str:
    return re.sub(r"[\s.·]+", "", text).casefold()
