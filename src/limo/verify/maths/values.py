"""Expressions evaluated at points, and compared by value: constants exactly or to many digits, formulas at points.

Two constants are equal when they are the same fraction, or agree to all but the last 20 of at least 60 digits, the
precision growing with the numbers written; two formulas when they agree so at several points.  Nothing is proved.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import (
    GUARD_DIGITS,
    Arithmetic,
    NoValue,
    TooLarge,
    Undefined,
    Unknown,
    context,
    is_real,
    mpf,
    sized,
)
from limo.verify.maths.nodes import E, Factorial, Node

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
_CURVE_DIGITS, _N_POINTS, _MAX_STEPS = 40, 3, 60
_STARTS = ((Fraction(1, 2), Fraction(3, 4)), (Fraction(-3), Fraction(-2)), (Fraction(5), Fraction(11, 2)))


class Evaluation:
    """The values of trees at one point; `scale` is the largest term added, against which a difference is small.

    A function without a rule gets a fixed number for its name and arguments, so that f(x) = f(x) and f(x) != f(y).
    Raises Undefined, TooLarge, and Unknown for a node without a value.
    """

    def __init__(self, point: Mapping[str, Any], digits: int) -> None:
        self.point = point
        self.arithmetic = Arithmetic(digits)
        self.scale: Any = 1

    def __call__(self, node: Node) -> Any:
        try:
            return self._value(node)
        except (ZeroDivisionError, ValueError):
            raise Undefined from None
        except (OverflowError, MemoryError):
            raise TooLarge from None

    def _value(self, node: Node) -> Any:
        arithmetic = self.arithmetic
        match node:
            case nodes.Number(value):
                return value
            case nodes.Symbol(name):
                return self.point[name] if name in self.point else self._fixed_number(name, ())
            case nodes.Product(factors):
                return reduce(arithmetic.multiply, map(self, factors), Fraction(1))
            case nodes.Quotient(over, under):
                return arithmetic.divide(self(over), self(under))
            case nodes.Sum(terms):
                return self._sum([self(term) for term in terms])
            case nodes.Power(base, exponent):
                exp = arithmetic.exp(self(exponent)) if base == E else None
                return arithmetic.power(self(base), self(exponent)) if exp is None else exp
            case nodes.Negative(operand):
                return -self(operand)
            case nodes.Call(function, arguments):
                return arithmetic.call(function, [self(argument) for argument in arguments])
            case nodes.Constant(name):
                return math.inf if name == "infinity" else arithmetic.constant(name)
            case nodes.Percent(operand):
                return arithmetic.multiply(self(operand), Fraction(1, 100))
            case nodes.Degrees(operand):
                return arithmetic.finite(self(operand)) * arithmetic.mp.pi / 180
            case nodes.Absolute(operand):
                return abs(self(operand))
            case nodes.Factorial(operand):
                return arithmetic.factorial(self(operand))
            case nodes.Quantity(value):
                return self(value)
            case nodes.Ratio(parts):
                return reduce(arithmetic.divide, map(self, parts))
            case nodes.BasedNumeral(digits, base):
                return Fraction(int(digits, base))
            case nodes.Application(name, arguments):
                return self._fixed_number(name, tuple(map(self, arguments)))
        raise Unknown(type(node).__name__)

    def _sum(self, values: list[Any]) -> Any:
        if infinities := {value for value in values if isinstance(value, float)}:
            if len(infinities) > 1:
                raise Undefined
            return infinities.pop()
        if all(isinstance(value, Fraction) for value in values):
            return sized(sum(values, Fraction(0)))
        numbers = [self.arithmetic.finite(value) for value in values]
        self.scale = max(self.scale, *map(abs, numbers))
        return sum(numbers, self.arithmetic.mp.mpf(0))

    def _fixed_number(self, name: str, values: tuple[Any, ...]) -> Fraction:
        """A number between 1 and 2 for a name and the values of its arguments."""
        mp = self.arithmetic.mp
        spelled = ",".join(str(v) if isinstance(v, Fraction | float) else mp.nstr(v, 18) for v in values)
        return 1 + Fraction(zlib.crc32(f"{name}({spelled})".encode()), 1 << 32)


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
    """The value at a point, and the size of the largest term that was added."""
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
        point |= {name: -point[name] for name in sorted(names)[::step]}
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


def same_curve(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions in the same symbols vanish together; None where too few points were found.

    Points of each are found numerically and tried in the other: three decide "same", one "different".
    """
    names = sorted(gold.symbols)
    if gold.symbols != pred.symbols or not 0 < len(names) <= 6:
        return None
    there, back = _vanishes_on(gold, pred, names), _vanishes_on(pred, gold, names)
    if there is False or back is False:
        return False
    return True if there and back else None


def _vanishes_on(curve: Node, other: Node, names: list[str]) -> bool | None:
    """Whether `other` is zero at points of `curve`; None if too few were found."""
    n_zeros = 0
    for unknown in names[::-1]:
        for row in POINTS[:2]:
            point: dict[str, Any] = dict(zip(names, row, strict=False))
            root = next((r for start in _STARTS if (r := _root(curve, point, unknown, start)) is not None), None)
            if root is None:
                continue
            zero = _is_zero(other, {**point, unknown: root})
            if zero is False:
                return False
            n_zeros += zero is True
            if n_zeros >= _N_POINTS:
                return True
    return True if n_zeros >= _N_POINTS - 1 else None


def _root(node: Node, point: dict[str, Any], name: str, start: tuple[Fraction, Fraction]) -> Any:
    """A real zero by the secant method; None where it finds none."""
    mp = context(_CURVE_DIGITS)
    try:
        root = mp.findroot(
            lambda x: _real(node, {**point, name: x}), [mpf(x, _CURVE_DIGITS) for x in start], maxsteps=_MAX_STEPS
        )
    except (NoValue, TypeError, ValueError, ZeroDivisionError):
        return None
    return root if abs(root) <= 10**9 else None


def _real(node: Node, point: dict[str, Any]) -> Any:
    value, _ = evaluate(node, point, _CURVE_DIGITS)
    if isinstance(value, float) or getattr(value, "imag", False):
        raise Undefined
    return mpf(value, _CURVE_DIGITS).real


def _is_zero(node: Node, point: dict[str, Any]) -> bool | None:
    try:
        value, scale = evaluate(node, point, _CURVE_DIGITS)
    except NoValue:
        return None
    if isinstance(value, float):
        return None
    return bool(abs(complex(value)) <= 1e-20 * float(abs(scale)))
