"""Expressions compared by value: constants exactly or to many digits, formulas at chosen points.

    same_value(parse(r"\\sqrt{8}"), parse(r"2\\sqrt2"))     # True
    same_value(parse("2x+1"), parse("1+x+x"))             # True
    same_value(parse("1/2^99"), parse("1/2^98"))          # False, exactly

Two constants are equal when they are the same fraction, or agree to all but the last 20 of at least 60 digits, the
working precision growing with the length of the numbers written.  Two formulas are equal when they agree so at
several points (fractions, so that rational functions are compared exactly; whole numbers where factorials, floors or
remainders stand; negative points where both sides are real there).  A wrong formula agrees by chance with a
probability far below that of a wrong answer in a pool.  Nothing is proved.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from limo.verify.maths.arithmetic import GUARD_DIGITS, TooLarge, Undefined, context, is_real, mpf
from limo.verify.maths.evaluation import Evaluation
from limo.verify.maths.nodes import Factorial, Node

_OF_INTEGERS = frozenset(("floor", "ceil", "mod", "gcd", "lcm", "binom", "perm"))
POINTS = tuple(
    tuple(map(Fraction, row.split()))
    for row in (
        "17/7 23/11 31/13 37/17 41/19 43/23 53/29 59/31 13/5",
        "3/7 5/11 4/13 9/17 8/19 7/23 11/29 12/31 2/5",
        "101/9 67/10 71/12 83/14 89/15 97/16 61/8 79/18 47/6",
    )
)
_DRAW = random.Random(20)
_WHOLE_POINTS = (
    *(tuple(Fraction(1 + (step + 5 * slot) % 30) for slot in range(9)) for step in range(30)),
    *(tuple(Fraction(_DRAW.randint(1, 14)) for _ in range(9)) for _ in range(30)),
)
MIN_POINTS, MIN_WHOLE_POINTS = 2, 6  # points at which both sides must be defined


def same_value(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions are equal; None where that cannot be told."""
    if gold == pred:
        return True
    names = gold.symbols | pred.symbols
    digits = 60 + min(800, gold.n_digits + pred.n_digits)
    if not names:
        return _agree(gold, pred, {}, digits)
    whole = Factorial in gold.kinds | pred.kinds or bool((gold.functions | pred.functions) & _OF_INTEGERS)
    n_agreed = 0
    for row in _WHOLE_POINTS if whole else POINTS:
        try:
            if not _agree(gold, pred, _point(names, row), digits):
                return False
        except Undefined:
            continue
        n_agreed += 1
    if n_agreed < (MIN_WHOLE_POINTS if whole else MIN_POINTS):
        return None
    return whole or _agree_below_zero(gold, pred, names, digits)


def constant(node: Node, digits: int = 60) -> Any:
    """The value of an expression without symbols: a Fraction, ±inf, or a number of mpmath."""
    return Evaluation({}, digits)(node)


def evaluate(node: Node, point: Mapping[str, Any], digits: int) -> tuple[Any, Any]:
    """The value at a point (a number for each symbol), and the size of the largest term that was added."""
    evaluation = Evaluation(point, digits)
    return evaluation(node), evaluation.scale


def real_number(value: Any, digits: int) -> Any:
    """A value as a real number that can be ordered; ±inf stay.  Raises Undefined where it is not real."""
    if isinstance(value, float):
        return value
    if not is_real(value):
        raise Undefined
    return getattr(mpf(value, digits), "real", value)


def ratio_at_points(gold: Node, pred: Node) -> Fraction | Any | None:
    """The constant c with gold = c * pred, or None where there is none."""
    names = gold.symbols | pred.symbols
    ratios = []
    for row in POINTS:
        point = _point(names, row)
        try:
            over, under = Evaluation(point, 80)(gold), Evaluation(point, 80)(pred)
        except Undefined:
            continue
        if under == 0 or over == 0:
            return None
        exact = isinstance(over, Fraction) and isinstance(under, Fraction)
        ratios.append(over / under if exact else context(80).mpmathify(mpf(over, 80)) / mpf(under, 80))
    if len(ratios) < MIN_POINTS:
        return None
    return ratios[0] if all(_near(ratios[0], ratio, 60, 1) for ratio in ratios[1:]) else None


def _agree_below_zero(gold: Node, pred: Node, names: frozenset[str], digits: int) -> bool:
    """sqrt(x^2) is x only for positive x; a point where a side is not real says nothing."""
    for row, step in ((POINTS[0], 1), (POINTS[1], 2)):
        point = _point(names, row)
        for name in sorted(names)[::step]:
            point[name] = -point[name]
        try:
            a, b = Evaluation(point, digits)(gold), Evaluation(point, digits)(pred)
        except (Undefined, TooLarge):
            continue
        if is_real(a) and is_real(b) and not _near(a, b, digits, 1):
            return False
    return True


def _agree(gold: Node, pred: Node, point: Mapping[str, Any], digits: int) -> bool:
    (a, a_scale), (b, b_scale) = evaluate(gold, point, digits), evaluate(pred, point, digits)
    return _near(a, b, digits, max(a_scale, b_scale))


def _near(a: Any, b: Any, digits: int, scale: Any) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    if isinstance(a, float) or isinstance(b, float):
        return bool(a == b)
    mp = context(digits)
    x, y = mpf(a, digits), mpf(b, digits)
    size = max(abs(x), abs(y))
    if size < mp.mpf(10) ** (GUARD_DIGITS // 2 - digits) * scale:
        return True
    return bool(abs(x - y) <= mp.mpf(10) ** (GUARD_DIGITS - digits) * size)


def _point(names: frozenset[str], row: tuple[Fraction, ...]) -> dict[str, Fraction]:
    """A value for each name; the same name always gets the same value where there is room."""
    point: dict[str, Fraction] = {}
    taken: set[int] = set()
    for name in sorted(names):
        slot = zlib.crc32(name.encode()) % len(row)
        while slot in taken and len(taken) < len(row):
            slot = (slot + 1) % len(row)
        extra = len(taken) if slot in taken else 0
        taken.add(slot)
        point[name] = row[slot] + extra
    return point
