"""When is a decimal "the same" as a value it cannot equal?  When it is that value, rounded, to enough digits.

    rounds_to(constant(parse("2/3")), decimal_of(parse("0.6666667")), MIN_DIGITS)     # True
    rounds_to(constant(parse("2/3")), decimal_of(parse("0.67")), MIN_DIGITS)          # False: two digits say too little

An answer that is itself a rounded decimal is met by the value it rounds when it has five significant digits or more,
the last one rightly rounded (our own choice; fewer would let neighbours in), and by another decimal from six.  An
exact answer is met by a decimal of 15 digits and more only, which is a machine's double (equal to within a part in
10^13); whoever wants fewer says so (`digits`).  A decimal that is a whole number (204.00) is exact.

What it does not do: accept an absolute difference.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from limo.verify.maths.nodes import Node
from limo.verify.process.limits import DOUBLE_DIGITS

MIN_DIGITS, MIN_DIGITS_BOTH = 5, 6


class Decimal(NamedTuple):
    """A literal: its value, its significant digits, the power of ten of its last place."""

    value: Fraction
    n_digits: int
    place: int


def decimal_of(node: Node) -> Decimal | None:
    """The decimal literal that a tree is (with sign, power of ten, percent or unit); None for anything else."""
    if node[0] == "num":
        return Decimal(node[1], node[2], node[3]) if node[2] else None
    if node[0] == "neg":
        inner = decimal_of(node[1])
        return inner and Decimal(-inner.value, inner.n_digits, inner.place)
    if node[0] in ("unit", "deg"):
        return decimal_of(node[1])
    if node[0] == "pct":
        inner = decimal_of(node[1])
        return inner and Decimal(inner.value / 100, inner.n_digits, inner.place - 2)
    if node[0] == "mul" and len(node[1]) == 2:
        inner, power = decimal_of(node[1][0]), _power_of_ten(node[1][1])
        if inner is None or power is None:
            return None
        scale = Fraction(10**power) if power >= 0 else Fraction(1, 10**-power)
        return Decimal(inner.value * scale, inner.n_digits, inner.place + power)
    return None


def _power_of_ten(node: Node) -> int | None:
    if node[0] != "pow" or node[1][0] != "num" or node[1][1] != 10:
        return None
    exponent = node[2]
    sign = -1 if exponent[0] == "neg" else 1
    exponent = exponent[1] if sign < 0 else exponent
    if exponent[0] != "num" or exponent[1].denominator != 1 or abs(exponent[1]) > 5000:
        return None
    return sign * int(exponent[1])


def rounds_to(value: Any, decimal: Decimal, min_digits: int) -> bool:
    """Whether a value, rounded to the last place of a decimal of enough digits, is the decimal."""
    if isinstance(value, float) or getattr(value, "imag", False):
        return False
    exact = value if isinstance(value, Fraction) else Fraction(*_ratio(value))
    if decimal.n_digits >= DOUBLE_DIGITS:
        return abs(exact - decimal.value) <= abs(exact) / 10**13
    if decimal.value.denominator == 1 and decimal.place < 0:
        return False
    if decimal.n_digits < min_digits or exact.denominator == 1:
        return False
    quantum = Fraction(10**decimal.place) if decimal.place >= 0 else Fraction(1, 10**-decimal.place)
    return abs(exact - decimal.value) <= quantum / 2


def _ratio(value: Any) -> tuple[int, int]:
    """The exact fraction that a number of mpmath is."""
    sign, mantissa, exponent, _ = getattr(value, "real", value)._mpf_
    mantissa = -int(mantissa) if sign else int(mantissa)
    if abs(exponent) > 100_000:
        return 0, 1
    return (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)
