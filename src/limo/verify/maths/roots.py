"""Roots and logarithms that come out whole.

    whole_root(27, 3)                                # 3
    exact_log([Fraction(8), Fraction(2)])            # Fraction(3, 1)

What it does not do: approximate (None where the result is not whole).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any


def whole_root(value: int, q: int) -> int | None:
    """The whole q-th root of a non-negative integer, None where it has none."""
    if value < 2:
        return value
    if q == 2:
        found = math.isqrt(value)
        return found if found * found == value else None
    low, high = 1, 1 << (value.bit_length() // q + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**q <= value:
            low = middle
        else:
            high = middle - 1
    return low if low**q == value else None


def exact_log(args: list[Any]) -> Fraction | None:
    """log_b a where it is a whole number."""
    if args[0] == 1:
        return Fraction(0)
    if len(args) != 2 or not all(isinstance(a, Fraction) and a > 0 for a in args):
        return None
    value, base = args
    k = round(_log(value) / _log(base)) if base != 1 else 0
    return Fraction(k) if abs(k) < 2000 and base**k == value else None


def _log(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)
