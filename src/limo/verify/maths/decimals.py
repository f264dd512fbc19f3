"""When a decimal counts as the value that it rounds: when it has enough digits, the last one rightly rounded.

    rounds_to(Fraction(2, 3), decimal_of(parse("0.6666667")), MIN_DIGITS)     # True
    rounds_to(Fraction(2, 3), decimal_of(parse("0.67")), MIN_DIGITS)          # False: two digits say too little

An answer that is itself a rounded decimal is met by the value it rounds from five significant digits on (our own
choice; fewer would let neighbours in), and by another decimal from six.  An exact answer is met by a decimal of 15
digits and more only, which is a machine's double (equal to within a part in 10^13), unless fewer are asked for
(`digits`).  A decimal that is a whole number (204.00) is exact.  No absolute difference is ever accepted.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from limo.verify.maths.nodes import Degrees, Negative, Node, Number, Percent, Power, Product, Quantity

DOUBLE_DIGITS = 15  # significant digits that a machine's number keeps
MIN_DIGITS, MIN_DIGITS_BOTH = 5, 6


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
        case Number(value, significant, place):
            return Decimal(value, significant, place) if significant else None
        case Quantity(inner) | Degrees(inner):
            return decimal_of(inner)
        case Negative(inner):
            decimal = decimal_of(inner)
            return decimal and decimal._replace(value=-decimal.value)
        case Percent(inner):
            decimal = decimal_of(inner)
            return decimal and decimal.shifted(-2)
        case Product((mantissa, Power(Number(Fraction(numerator=10, denominator=1)), exponent))):
            decimal, power = decimal_of(mantissa), _whole_exponent(exponent)
            return None if decimal is None or power is None else decimal.shifted(power)
    return None


def _whole_exponent(node: Node) -> int | None:
    sign, node = (-1, node.operand) if isinstance(node, Negative) else (1, node)
    if not isinstance(node, Number) or node.value.denominator != 1 or abs(node.value) > 5000:
        return None
    return sign * int(node.value)


def rounds_to(value: Any, decimal: Decimal, min_digits: int) -> bool:
    """Whether a value, rounded to the last place of a decimal of enough digits, is the decimal."""
    if isinstance(value, float) or getattr(value, "imag", False):
        return False
    exact = value if isinstance(value, Fraction) else _exact(value)
    if decimal.n_digits >= DOUBLE_DIGITS:
        return abs(exact - decimal.value) <= abs(exact) / 10**13
    if decimal.value.denominator == 1 and decimal.place < 0:
        return False
    if decimal.n_digits < min_digits or exact.denominator == 1:
        return False
    return abs(exact - decimal.value) <= Fraction(10) ** decimal.place / 2


def _exact(value: Any) -> Fraction:
    """The exact fraction that a number of mpmath is; 0 for one that is too large or too small to be written down."""
    sign, mantissa, exponent, _ = getattr(value, "real", value)._mpf_
    if abs(exponent) > 100_000:
        return Fraction(0)
    return (-1) ** sign * int(mantissa) * Fraction(2) ** exponent
