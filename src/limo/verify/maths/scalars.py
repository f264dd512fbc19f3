"""Two single values: equal exactly or to many digits, or one the other's rounding; and the units beside them.

A rounded decimal is met from MIN_DIGITS significant digits on (our own choice; fewer would let neighbours in), an exact
answer by decimals of `digits` and more (a machine's double).  No absolute difference is ever accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import NoValue, TooLarge, Undecidable, Undefined, Unknown
from limo.verify.maths.nodes import Node
from limo.verify.maths.relations import with_constants_renamed
from limo.verify.maths.units import UnitPolicy
from limo.verify.maths.values import constant, same_value

_COST = ("rational", "numeric", "symbolic", "structural")
DOUBLE_DIGITS = 16  # significant digits that a machine's number keeps
MIN_DIGITS = 6


@dataclass
class Explanation:
    """The costliest tier that was needed, and its reason or why the two sides differ."""

    tier: str = "rational"
    reason: str = ""
    is_final: bool = False  # no other rule and no library decides it either

    def differ(self, reason: str, verdict: bool | None = False) -> bool | None:
        """The verdict, with its reason kept."""
        self.reason = reason
        return verdict

    def undecidable(self, reason: str) -> bool | None:
        """No verdict, from any other rule either."""
        self.is_final = True
        return self.differ(reason, None)

    def note(self, tier: str, reason: str) -> None:
        """Keep a tier that costs at least as much as the one before."""
        if _COST.index(tier) >= _COST.index(self.tier):
            self.tier, self.reason = tier, reason


class Rules(NamedTuple):
    """What an answer may differ in.

    `tolerance` is relative, where the answer is a rounded decimal; an exact answer is met by a decimal that rounds it
    to `digits` significant digits or more.  `unit`, `missing_unit`: the policy for units.  `statement`: the problem's.
    """

    tolerance: float = 0.0
    digits: int = DOUBLE_DIGITS
    unit: UnitPolicy = "prefix"
    missing_unit: bool = True
    statement: str = ""


@dataclass
class ScalarComparer:
    """Compares values."""

    rules: Rules
    explanation: Explanation

    def same(self, gold: Node, pred: Node) -> bool | None:
        """Exact or many-digit equality, else the rounding of decimals; None where it cannot be told."""
        pred = with_constants_renamed(gold, pred)
        try:
            same = same_value(gold, pred)
        except Undefined:
            same = None
        except TooLarge:
            return self.too_large(gold, pred)
        except Undecidable as error:
            return self.explanation.undecidable(str(error))
        except Unknown:
            return self.explanation.differ("no value", None)
        if same and gold.symbols:
            self.explanation.note("symbolic", "equal at every point tried")
        elif same:
            self.explanation.note("rational", "equal value")
        elif self.rounded(gold, pred):
            self.explanation.note("numeric", "equal when rounded")
            return True
        else:
            self.explanation.reason = self.explanation.reason or "different value"
        return same

    def based(self, gold: Node, pred: Node) -> bool | None:
        """A numeral with its base: the same numeral, written with or without the base."""
        if isinstance(gold, nodes.BasedNumeral) and isinstance(pred, nodes.BasedNumeral):
            if gold.base == pred.base:
                return gold.digits.lstrip("0") == pred.digits.lstrip("0")
            return self.same(gold, pred) or False
        if not isinstance(gold, nodes.BasedNumeral):
            return self.explanation.undecidable("a numeral with a base the answer does not have")
        return self.same(nodes.Number(Fraction(int(gold.digits))), pred) if gold.digits.isdigit() else False

    def too_large(self, gold: Node, pred: Node) -> bool | None:
        """One side cannot be written down: different from any number that can, if it only grows."""
        for huge, other in ((gold, pred), (pred, gold)):
            if other.symbols or not _grows(huge):
                continue
            try:
                constant(other)
            except NoValue:
                continue
            return self.explanation.differ("different size")
        return self.explanation.undecidable("too large to compare")

    def rounded(self, gold: Node, pred: Node) -> bool:
        """A rounded answer that the other value rounds to, an exact one given to enough digits, a stated tolerance."""
        if gold.symbols or pred.symbols:
            return False
        first, second = decimal_of(gold), decimal_of(pred)
        if first is None and second is None:
            return False
        try:
            a, b = constant(gold), constant(pred)
        except NoValue:
            return False
        if second and rounds_to(a, second, MIN_DIGITS if first else self.rules.digits):
            return True
        if first and rounds_to(b, first, MIN_DIGITS):
            return True
        if not (self.rules.tolerance and first) or isinstance(a, float) or isinstance(b, float):
            return False
        return bool(abs(complex(a) - complex(b)) <= self.rules.tolerance * abs(complex(a)))

    def at_least_one(self, node: Node) -> bool:
        """Whether the size of a constant is 1 or more."""
        try:
            return not node.symbols and abs(complex(constant(node))) >= 1
        except (NoValue, OverflowError):
            return False


def _grows(node: Node) -> bool:
    """Built from whole numbers of 2 and more by sums, products, powers and factorials only."""
    if isinstance(node, nodes.Number):
        return node.value >= 2
    return isinstance(node, nodes.Sum | nodes.Product | nodes.Power | nodes.Factorial) and all(
        map(_grows, node.children)
    )


class Decimal(NamedTuple):
    """A literal: its value, its significant digits, the power of ten of its last place."""

    value: Fraction
    n_digits: int
    place: int

    def shifted(self, power: int) -> Decimal:
        return Decimal(self.value * Fraction(10) ** power, self.n_digits, self.place + power)


def decimal_of(node: Node) -> Decimal | None:
    """The decimal literal that a tree is (with sign, power of ten, percent or unit); None for anything else."""
    match node:
        case nodes.Number(value, significant, place):
            return Decimal(value, significant, place) if significant else None
        case nodes.Quantity(inner) | nodes.Degrees(inner):
            return decimal_of(inner)
        case nodes.Negative(inner):
            decimal = decimal_of(inner)
            return decimal and decimal._replace(value=-decimal.value)
        case nodes.Percent(inner):
            decimal = decimal_of(inner)
            return decimal and decimal.shifted(-2)
        case nodes.Product((mantissa, nodes.Power(nodes.Number(Fraction(numerator=10, denominator=1)), exponent))):
            decimal, power = decimal_of(mantissa), _whole_exponent(exponent)
            return None if decimal is None or power is None else decimal.shifted(power)
    return None


def _whole_exponent(node: Node) -> int | None:
    match node:
        case nodes.Negative(nodes.Number(value)) | nodes.Number(value) if value.denominator == 1 and abs(value) <= 5000:
            return int(-value if isinstance(node, nodes.Negative) else value)
    return None


def rounds_to(value: Any, decimal: Decimal, min_digits: int) -> bool:
    """Whether a value, rounded to the last place of a decimal of enough digits, is the decimal."""
    if isinstance(value, float) or getattr(value, "imag", False):
        return False
    exact = value if isinstance(value, Fraction) else _exact(value)
    if (Fraction(10) ** -decimal.place * exact).denominator == 1:
        return False  # it can be written in as many digits, and is another number
    if decimal.n_digits >= DOUBLE_DIGITS or (decimal.n_digits == DOUBLE_DIGITS - 1 and -decimal.place >= DOUBLE_DIGITS):
        return abs(exact - decimal.value) <= abs(exact) / 10**14
    if decimal.value.denominator == 1 and decimal.place < 0:
        return False
    if decimal.n_digits < min_digits or exact.denominator == 1:
        return False
    return abs(exact - decimal.value) <= Fraction(10) ** decimal.place / 2


def _exact(value: Any) -> Fraction:
    """The fraction that a number of mpmath is; 0 for one too large or too small to be written down."""
    sign, mantissa, exponent, _ = getattr(value, "real", value)._mpf_
    if abs(exponent) > 100_000:
        return Fraction(0)
    return (-1) ** sign * int(mantissa) * Fraction(2) ** exponent
