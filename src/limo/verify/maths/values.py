"""Expressions evaluated at points, and compared by value: constants exactly or to many digits, formulas at points.

Two constants are equal when they are the same fraction, or agree to all but the last 20 of at least 60 digits, the
precision growing with the numbers written; two formulas when they agree so at several points.  Nothing is proved.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import (
    GUARD_DIGITS,
    Arithmetic,
    TooLarge,
    Undecidable,
    Undefined,
    Unknown,
    check_time,
    context,
    is_real,
    magnitude,
    mpf,
    sized,
)
from limo.verify.maths.matrices import are_matrices, same_matrix
from limo.verify.maths.nodes import ELLIPSIS, IMAGINARY, E, Factorial, Node

_OF_WHOLE = frozenset(("mod", "gcd", "lcm", "binom", "perm", "doublefactorial"))  # functions of whole numbers alone
_ROUNDING = frozenset(("floor", "ceil"))
_WHOLE_LETTERS = frozenset("ijklmnpqrs")  # what stands for whole numbers beside a floor
_COMPLEX_LETTERS = frozenset("zw")
Rows = tuple[tuple[Fraction, ...], ...]
POINTS: Rows = tuple(
    tuple(map(Fraction, row.split()))
    for row in (
        "17/7 23/11 31/13 37/17 41/19 43/23 53/29 59/31 13/5",
        "3/7 5/11 4/13 9/17 8/19 7/23 11/29 12/31 2/5",
        "101/9 67/10 71/12 83/14 89/15 97/16 61/8 79/18 47/6",
    )
)
_SIGNS = {1: (1, 1, 1), 2: (1, 2, 3)}  # which of the symbols are negative, as bits; of three and more all eight cases
_DRAW = random.Random(20)
_WHOLE_POINTS = (
    *(tuple(Fraction(1 + (step + 5 * slot) % 30) for slot in range(9)) for step in range(30)),
    *(tuple(Fraction(_DRAW.randint(1, 14)) for _ in range(9)) for _ in range(30)),
)
MAX_TERMS, MAX_SCALE = 400, 10**9
MAX_DIGITS = 10_000  # more than the usual ones, to tell apart what looks equal
MIN_POINTS, MIN_WHOLE_POINTS = 2, 6  # points at which both sides must be defined


class Evaluation:
    """The values of trees at one point.

    A function without a rule gets a fixed number for its name and arguments, so that f(x) = f(x) and f(x) != f(y).
    `real`: a part that is not real has no value.  Raises Undefined, TooLarge, and Unknown for a node without a value.
    """

    def __init__(self, point: Mapping[str, Any], digits: int, *, real: bool = False) -> None:
        self.point, self.real = point, real
        self.arithmetic = Arithmetic(digits)

    def again(self, digits: int) -> Evaluation:
        """A new evaluation at the same point."""
        return Evaluation(self.point, digits, real=self.real)

    def __call__(self, node: Node) -> Any:
        check_time()
        try:
            value = self._value(node)
            if self.real and not is_real(value) and not isinstance(value, float):
                raise Undefined
            return value
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
            case nodes.Product(factors) if ELLIPSIS in factors:
                return reduce(arithmetic.multiply, self._progression(factors), Fraction(1))
            case nodes.Sum(terms) if ELLIPSIS in terms:
                return self._sum(self._progression(terms))
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
            case nodes.Application("\\Gamma", (argument,)):
                return arithmetic.factorial(self(argument) - 1)
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
        return self.arithmetic.add([self.arithmetic.finite(value) for value in values])

    def _progression(self, parts: tuple[Node, ...]) -> list[Any]:
        """The numbers of `1, 2, ..., 9`: those before the dots go on, in steps or by a factor, to those after them."""
        at = parts.index(ELLIPSIS)
        if at == 1 and len(parts) > 3:  # `2n + ... + 4 + 2` begins with its last term
            parts, at = parts[::-1], len(parts) - 2
        before, after = [self(part) for part in parts[:at]], [self(part) for part in parts[at + 1 :]]
        numbers = progression(before, after[0]) if after else None
        if numbers is None:
            raise Undefined
        return [*numbers, *after[1:]]

    def _fixed_number(self, name: str, values: tuple[Any, ...]) -> Fraction:
        """A number between 1 and 2 for a name and the values of its arguments."""
        mp = self.arithmetic.mp
        spelled = ",".join(str(v) if isinstance(v, Fraction | float) else mp.nstr(v, 18) for v in values)
        return 1 + Fraction(zlib.crc32(f"{name}({spelled})".encode()), 1 << 32)


def progression(before: list[Any], last: Any) -> list[Any] | None:
    """The whole of an arithmetic progression, or a geometric one of three terms and more; None where it is neither."""
    if len(before) < 2 or not all(isinstance(value, Fraction) for value in [*before, last]) or before[0] == before[1]:
        return None
    step, factor = before[1] - before[0], before[1] / before[0] if before[0] else Fraction(0)
    if len(before) > 2 and before[2] - before[1] != step:
        numbers = before[:2]
        while len(numbers) < MAX_TERMS and abs(numbers[-1]) < abs(last) and abs(factor) > 1:
            numbers.append(numbers[-1] * factor)
    else:
        n_steps = (last - before[0]) / step
        if n_steps.denominator > 1 or not 0 <= n_steps < MAX_TERMS:
            return None
        numbers = [before[0] + k * step for k in range(int(n_steps) + 1)]
    return numbers if numbers[-1] == last and numbers[: len(before)] == before[: len(numbers)] else None


def same_value(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions are equal; None where that cannot be told."""
    if gold == pred:
        return True
    if are_matrices(gold, pred):
        return same_matrix(gold, pred)
    names = gold.symbols | pred.symbols
    digits = 60 + min(800, gold.n_digits + pred.n_digits)
    if not names:
        return _agree(gold, pred, {}, digits)
    kinds, functions = gold.kinds | pred.kinds, gold.functions | pred.functions
    whole = Factorial in kinds or bool(functions & _OF_WHOLE) or ELLIPSIS.name in names
    alternating = any(map(_alternates, (*gold.walk(), *pred.walk())))
    whole = whole or alternating
    rounding = bool(functions & _ROUNDING)
    is_complex = is_complex_valued(names, gold, pred)
    points = _WHOLE_POINTS if whole or (rounding and all(name[0] in _WHOLE_LETTERS for name in names)) else POINTS
    n_agreed, n_outside, is_large = 0, 0, False
    steps = [point_of(names, row) for row in _WHOLE_POINTS[:4]] if rounding and points is POINTS else []
    if alternating and len(names) == 1:  # (-1)^{2n} is no 1
        steps = [dict.fromkeys(names, Fraction(k, 2)) for k in (1, 3, 5)]
    for point in (*steps, *points_of(names, points, gold, pred)):
        if rounding:
            point |= {name: Fraction(round(value)) for name, value in point.items() if name[0] in _WHOLE_LETTERS}
        if is_complex:
            point |= {name: context(digits).mpc(mpf(x, digits), mpf(x, digits) / 3) for name, x in point.items()}
        evaluation = Evaluation(point, digits, real=not is_complex)
        try:
            value = evaluation(gold)
        except (Undefined, TooLarge) as error:
            is_large = is_large or isinstance(error, TooLarge)
            continue
        try:
            if not _meets(pred, gold, value, evaluation):
                return False
        except Undefined:
            n_outside += 1
            continue
        n_agreed += 1
    if n_agreed < (MIN_POINTS if points is POINTS else MIN_WHOLE_POINTS):
        if is_large:
            raise TooLarge
        return None
    if n_outside and points is POINTS:
        raise Undecidable("defined on fewer points")
    return True


def _alternates(node: Node) -> bool:
    """`(-1)^n`: only whole numbers may stand for n."""
    return isinstance(node, nodes.Power) and isinstance(node.base, nodes.Negative) and bool(node.exponent.symbols)


def is_complex_valued(names: frozenset[str], *sides: Node) -> bool:
    """Whether the symbols stand for complex numbers: `i` is written, or there is none but z and w."""
    return any(IMAGINARY in side.walk() for side in sides) or all(name[0] in _COMPLEX_LETTERS for name in names)


def points_of(names: frozenset[str], rows: Rows, *sides: Node) -> Iterator[dict[str, Any]]:
    """Points of every sign, and, where larger numbers are written, points of their size."""
    for row in rows:
        yield point_of(names, row)
    numbers = (abs(node.value) for side in sides for node in side.walk() if isinstance(node, nodes.Number))
    largest = max((number for number in numbers if number < MAX_SCALE), default=Fraction(0))
    if rows is not POINTS:
        if any("mod" in side.functions for side in sides):  # n mod 97 is n below 97
            yield from (point_of(names, tuple(value + k * int(largest) for value in rows[k])) for k in (1, 2, 3))
        return
    for size in (1, largest) if largest > 5 else (1,):
        for k, signs in enumerate((*_SIGNS.get(len(names), range(1, 8)), *((0, 0) if size > 1 else ()))):
            point = point_of(names, rows[k % (3 if size == 1 else 2)])  # some larger than the number, some smaller
            yield {name: point[name] * size * (-1 if signs >> j % 3 & 1 else 1) for j, name in enumerate(sorted(names))}


def constant(node: Node, digits: int = 60) -> Any:
    """The value of an expression without symbols: a Fraction, ±inf, or a number of mpmath."""
    return Evaluation({}, digits)(node)


def evaluate(node: Node, point: Mapping[str, Any], digits: int, *, real: bool = False) -> tuple[Any, Any]:
    """The value at a point, and the size of the largest term that was added."""
    evaluation = Evaluation(point, digits, real=real)
    return evaluation(node), evaluation.arithmetic.scale


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
    ratios, is_complex = [], is_complex_valued(names, gold, pred)
    for point in points_of(names, POINTS, gold, pred):
        if is_complex:
            point = {name: context(80).mpc(mpf(x, 80), mpf(x, 80) / 3) for name, x in point.items()}
        try:
            over = Evaluation(point, 80, real=not is_complex)(gold)
        except Undefined:
            continue
        try:
            under = Evaluation(point, 80, real=not is_complex)(pred)
        except Undefined:
            return None
        if under == 0 or over == 0:
            if under == over:
                continue
            return None
        exact = isinstance(over, Fraction) and isinstance(under, Fraction)
        ratios.append(over / under if exact else context(80).mpmathify(mpf(over, 80)) / mpf(under, 80))
    if len(ratios) < MIN_POINTS:
        return None
    return ratios[0] if all(_near(ratios[0], ratio, 60) for ratio in ratios[1:]) else None


def _agree(gold: Node, pred: Node, point: Mapping[str, Any], digits: int) -> bool:
    evaluation = Evaluation(point, digits)
    return _meets(pred, gold, evaluation(gold), evaluation)


def _meets(pred: Node, gold: Node, value: Any, evaluation: Evaluation) -> bool:
    """Whether `pred` has the value of `gold`, by as many digits as it takes.  Raises TooLarge over MAX_DIGITS.

    The first digits do not tell where a small term may be lost beside a large one, or where what is left of a
    difference may be an error of rounding as well as a small number: both are computed again, with more digits.
    """
    digits = evaluation.arithmetic.digits
    other_evaluation = evaluation.again(digits)
    other = other_evaluation(pred)
    if not _near(value, other, digits, evaluation, other_evaluation):
        return False
    n_more = _n_lost(value, other, evaluation.arithmetic, other_evaluation.arithmetic)
    if n_more <= digits - GUARD_DIGITS:
        return True
    if n_more > MAX_DIGITS:
        raise TooLarge
    sides = evaluation.again(digits + n_more), evaluation.again(digits + n_more)
    return _near(sides[0](gold), sides[1](pred), digits + n_more, *sides)


def _n_lost(a: Any, b: Any, *sides: Arithmetic) -> int:
    """How many digits more than usual it takes to tell two values apart that look equal."""
    if isinstance(a, float) or isinstance(b, float) or (isinstance(a, Fraction) and isinstance(b, Fraction)):
        return 0
    x, y = (side.finite(value) for side, value in zip(sides, (a, b), strict=True))
    scale = max(side.scale for side in sides)
    size = max(abs(x), abs(y))
    n_cancelled = magnitude(scale) - magnitude(size) if scale > size else 0
    return int(0.302 * (n_cancelled + 2 * max(side.span for side in sides)))


def _near(a: Any, b: Any, digits: int, *sides: Evaluation) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    if isinstance(a, float) or isinstance(b, float):
        return bool(a == b)
    mp = context(digits)
    x, y = mpf(a, digits), mpf(b, digits)
    size = max(abs(x), abs(y), *(side.arithmetic.scale for side in sides))
    return bool(abs(x - y) <= mp.mpf(10) ** (GUARD_DIGITS - digits) * size)


def point_of(names: frozenset[str], row: tuple[Fraction, ...]) -> dict[str, Fraction]:
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
