"""Trees to values: exact fractions wherever possible, else many digits; formulas compared at chosen points.

    same_value(parse(r"\\\\sqrt{8}"), parse(r"2\\\\sqrt2"))     # True
    same_value(parse("2x+1"), parse("1+x+x"))               # True
    same_value(parse("1/2^99"), parse("1/2^98"))            # False, exactly

Two constants are equal when they are the same fraction, or agree to all but the last 20 of at least 60 digits, the
working precision growing with the length of the numbers written.  Two formulas are equal when they agree so at
several points (fractions, so that rational functions are compared exactly; whole numbers where factorials, floors or
remainders stand; negative points where both sides are real there).  A wrong formula agrees by chance with a
probability far below that of a wrong key.  Nothing here is unbounded: sizes are checked before anything is raised
to a power.

What it does not do: prove, solve, or integrate (Math-Verify does, in a child).
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from limo.verify.maths.evaluation import (
    GUARD_DIGITS,
    Evaluation,
    TooLarge,
    Undefined,
    context,
    is_real,
    mpf,
)
from limo.verify.maths.nodes import Node

_WHOLE = frozenset(("fact", "floor", "ceil", "mod", "gcd", "lcm", "binom", "perm"))
POINTS = (
    ("17/7", "23/11", "31/13", "37/17", "41/19", "43/23", "53/29", "59/31", "13/5"),
    ("3/7", "5/11", "4/13", "9/17", "8/19", "7/23", "11/29", "12/31", "2/5"),
    ("101/9", "67/10", "71/12", "83/14", "89/15", "97/16", "61/8", "79/18", "47/6"),
)
_DRAW = random.Random(20)
_INTEGERS = (
    *(tuple(1 + (step + 5 * slot) % 30 for slot in range(9)) for step in range(30)),
    *(tuple(_DRAW.randint(1, 14) for _ in range(9)) for _ in range(30)),
)


def same_value(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions are equal; None where that cannot be told."""
    if gold == pred:
        return True
    names = symbols(gold) | symbols(pred)
    digits = 60 + min(800, n_digits(gold) + n_digits(pred))
    if not names:
        return _compare(gold, pred, {}, digits)
    whole = kinds(gold) | kinds(pred)
    tables: tuple[tuple[Any, ...], ...] = _INTEGERS if whole & _WHOLE else POINTS
    n_agreed = 0
    for table in tables:
        try:
            agreed = _compare(gold, pred, _point(names, table), digits)
        except Undefined:
            continue
        if not agreed:
            return agreed
        n_agreed += 1
    if n_agreed < (6 if whole & _WHOLE else 2):
        return None
    return True if whole & _WHOLE else _agree_below_zero(gold, pred, names, digits)


def constant(node: Node, digits: int = 60) -> Any:
    """The value of an expression without symbols: a Fraction, ±inf, or a number of mpmath."""
    return Evaluation({}, digits)(node)


def evaluate(node: Node, point: Mapping[str, Any], digits: int) -> tuple[Any, Any]:
    """The value at a point (a number for each symbol), and the size of the largest term that was added."""
    evaluation = Evaluation(point, digits)
    return evaluation(node), evaluation.scale


def number_of(value: Any, digits: int) -> Any:
    """A value as a real number that can be ordered; ±inf stay.  Raises Undefined where it is not real."""
    if isinstance(value, float):
        return value
    if not is_real(value):
        raise Undefined
    return getattr(mpf(value, digits), "real", value)


def substituted(node: Node, name: str, by: Node) -> Node:
    """The tree with a symbol replaced."""
    if node == ("sym", name):
        return by
    return tuple(substituted(part, name, by) if isinstance(part, tuple) else part for part in node)


def ratio_at_points(gold: Node, pred: Node) -> Fraction | Any | None:
    """The constant c with gold = c * pred, or None where there is none."""
    names = symbols(gold) | symbols(pred)
    ratios = []
    for table in POINTS:
        point = _point(names, table)
        try:
            over, under = Evaluation(point, 80)(gold), Evaluation(point, 80)(pred)
        except Undefined:
            continue
        if under == 0 or over == 0:
            return None
        ratios.append(
            over / under
            if isinstance(over, Fraction) and isinstance(under, Fraction)
            else context(80).mpmathify(mpf(over, 80)) / mpf(under, 80)
        )
    if len(ratios) < 2:
        return None
    first = ratios[0]
    return first if all(_near(first, other, 60, 1) for other in ratios[1:]) else None


def _agree_below_zero(gold: Node, pred: Node, names: frozenset[str], digits: int) -> bool:
    """sqrt(x^2) is x only for positive x; a side that is not real there says nothing."""
    for table, step in ((POINTS[0], 1), (POINTS[1], 2)):
        point = {
            name: -value if i % step == 0 else value
            for i, (name, value) in enumerate(sorted(_point(names, table).items()))
        }
        try:
            a, b = Evaluation(point, digits)(gold), Evaluation(point, digits)(pred)
        except (Undefined, TooLarge):
            continue
        if is_real(a) and is_real(b) and not _near(a, b, digits, 1):
            return False
    return True


def _compare(gold: Node, pred: Node, point: Mapping[str, Any], digits: int) -> bool:
    first, second = Evaluation(point, digits), Evaluation(point, digits)
    a, b = first(gold), second(pred)
    return _near(a, b, digits, max(first.scale, second.scale))


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


@lru_cache(maxsize=4096)
def symbols(node: Node) -> frozenset[str]:
    """Names of the free symbols of a tree."""
    return frozenset(part[1] for part in walk(node) if part[0] == "sym")


@lru_cache(maxsize=4096)
def kinds(node: Node) -> frozenset[str]:
    """Names of all nodes and functions in a tree."""
    return frozenset(part[1] if part[0] == "fn" else part[0] for part in walk(node))


@lru_cache(maxsize=4096)
def n_digits(node: Node) -> int:
    """Digits of all numbers written in a tree."""
    return sum(
        len(str(part[1].numerator)) + len(str(part[1].denominator))
        for part in walk(node)
        if part[0] == "num" and part[1].numerator.bit_length() + part[1].denominator.bit_length() < 12000
    )


def walk(node: Node) -> Iterator[Node]:
    """All nodes of a tree."""
    stack: list[Any] = [node]
    while stack:
        here = stack.pop()
        if here and isinstance(here[0], str):
            yield here
        stack.extend(part for part in here if isinstance(part, tuple))


def _point(names: frozenset[str], table: tuple[Any, ...]) -> dict[str, Fraction]:
    """A value for each name; the same name always gets the same value where there is room."""
    point: dict[str, Fraction] = {}
    taken: set[int] = set()
    for name in sorted(names):
        slot = zlib.crc32(name.encode()) % len(table)
        while slot in taken and len(taken) < len(table):
            slot = (slot + 1) % len(table)
        extra = len(taken) if slot in taken else 0
        taken.add(slot)
        point[name] = Fraction(table[slot]) + extra
    return point
