"""Sets of real numbers, from the many ways of writing them: intervals, unions, inequalities, set-builders.

    same_set(solution_set(parse("-2 < x \\le 7")), solution_set(parse("(-2, 7]")))      # True
    solution_set(parse("x + y < 1"))                                                   # None: two unknowns

A set is a list of intervals in order, with ends as numbers of 80 digits; a point is an interval.  Inequalities are
solved when both sides are linear in one symbol, or the absolute value of such a side stands against a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from limo.verify.maths.arithmetic import TooLarge, Undefined, Unknown
from limo.verify.maths.nodes import (
    INFINITY,
    Absolute,
    Listing,
    Negative,
    Node,
    Number,
    Relation,
    SetBuilder,
    SetOperation,
    difference,
    substituted,
)
from limo.verify.maths.relations import OPPOSITE, is_condition
from limo.verify.maths.values import constant, real_number

DIGITS, DIGITS_SAME = 80, 55
_INF = float("inf")
_TURNED = {**OPPOSITE, "=": "=", "!=": "!="}


class Interval(NamedTuple):
    """All numbers from `low` to `high`; whether the ends belong to it."""

    low: Any
    low_closed: bool
    high: Any
    high_closed: bool


Intervals = list[Interval]
_ALL = Interval(-_INF, False, _INF, False)


def solution_set(node: Node) -> Intervals | None:
    """The real numbers a tree stands for; None where it is no such set."""
    try:
        return _intervals(node)
    except (Undefined, Unknown, TooLarge, TypeError):
        return None


def same_set(a: Intervals, b: Intervals) -> bool:
    """Interval by interval, ends compared to 55 digits."""
    return len(a) == len(b) and all(
        x.low_closed == y.low_closed
        and x.high_closed == y.high_closed
        and _near(x.low, y.low)
        and _near(x.high, y.high)
        for x, y in zip(a, b, strict=True)
    )


def is_set(node: Node) -> bool:
    """Whether a tree can only be a set of numbers, not a tuple, a list or a value."""
    if isinstance(node, SetOperation | SetBuilder):
        return True
    if isinstance(node, Listing):
        infinite = len(node.items) == 2 and any(item in (INFINITY, Negative(INFINITY)) for item in node.items)
        if infinite or node.brackets in ("[)", "(]", "][", "[[", "]]"):
            return True
        return bool(node.items) and not node.opening and all(is_condition(item) for item in node.items)
    return is_condition(node)


def _intervals(node: Node) -> Intervals | None:
    match node:
        case Listing():
            return _listing(node)
        case Relation():
            return _relation(node)
        case SetBuilder(_, condition):
            return _intervals(condition)
        case SetOperation(operation, left, right):
            a, b = _intervals(left), _intervals(right)
            if a is None or b is None:
                return None
            if operation == "union":
                return unite(a, b)
            return intersect(a, b if operation == "intersection" else complement(b))
    if node.symbols:
        return None
    value = _real(node)
    return [Interval(value, True, value, True)]


def _real(node: Node) -> Any:
    return real_number(constant(node, DIGITS), DIGITS)


def _listing(node: Listing) -> Intervals | None:
    if node.opening in ("(", "[", "]") and len(node.items) == 2:
        low, high = (_real(item) for item in node.items)
        low_closed = node.opening == "[" and low != -_INF
        high_closed = node.closing == "]" and high != _INF
        return [Interval(low, low_closed, high, high_closed)] if low < high else None
    if node.opening not in ("", "{"):
        return None
    parts = [part for item in node.items if (part := _intervals(item)) is not None]
    if len(parts) < len(node.items):
        return None
    if node.opening or node.joiner == "or" or not all(is_condition(item) for item in node.items):
        return _joined(unite, parts, [])
    return _joined(intersect, parts, [_ALL]) or _joined(unite, parts, [])


def _joined(
    join: Callable[[Intervals, Intervals], Intervals], parts: Sequence[Intervals], start: Intervals
) -> Intervals:
    for part in parts:
        start = join(start, part)
    return start


def _relation(node: Relation) -> Intervals | None:
    if node.signs == ("in",):
        return _intervals(node.sides[1])
    result: Intervals = [_ALL]
    for left, right, sign in zip(node.sides, node.sides[1:], node.signs, strict=False):
        part = _linear(left, right, sign) if sign in _TURNED else None
        if part is None:
            return None
        result = intersect(result, part)
    return result


def _linear(left: Node, right: Node, sign: str) -> Intervals | None:
    """One relation between two sides that are linear in one symbol."""
    for side, other, turned in ((left, right, sign), (right, left, _TURNED[sign])):
        if isinstance(side, Absolute) and not other.symbols:
            a = _linear(side.operand, other, turned)
            b = _linear(side.operand, Negative(other), _TURNED[turned])
            if a is None or b is None:
                return None
            return intersect(a, b) if turned in ("<", "<=", "!=") else unite(a, b)
    names = left.symbols | right.symbols
    if len(names) != 1:
        return None
    (name,) = names
    exact = [constant(substituted(difference(left, right), name, Number(Fraction(n))), DIGITS) for n in (0, 1, 2)]
    at_0, at_1, at_2 = (real_number(value, DIGITS) for value in exact)
    slope = at_1 - at_0
    if slope == 0 or not _near(at_2 - at_1, slope):
        return None
    if all(isinstance(value, Fraction) for value in exact):
        root = real_number(-exact[0] / (exact[1] - exact[0]), DIGITS)
    else:
        root = -at_0 / slope
    return _half_line(root, sign if slope > 0 else _TURNED[sign])


def _half_line(root: Any, sign: str) -> Intervals:
    if sign == "=":
        return [Interval(root, True, root, True)]
    below, above = Interval(-_INF, False, root, sign == "<="), Interval(root, sign == ">=", _INF, False)
    if sign == "!=":
        return [below, above]
    return [below] if sign in ("<", "<=") else [above]


def _order(interval: Interval) -> tuple[Any, bool]:
    return interval.low, not interval.low_closed


def unite(a: Intervals, b: Intervals) -> Intervals:
    """All numbers of both, touching intervals joined."""
    result: Intervals = []
    for interval in sorted([*a, *b], key=_order):
        last = result[-1] if result else None
        touching = last and _near(interval.low, last.high) and (interval.low_closed or last.high_closed)
        if last and (interval.low < last.high or touching):
            high, high_closed = last.high, last.high_closed
            if interval.high > high:
                high, high_closed = interval.high, interval.high_closed
            elif _near(interval.high, high):
                high_closed = high_closed or interval.high_closed
            low_closed = last.low_closed or (_near(interval.low, last.low) and interval.low_closed)
            result[-1] = Interval(last.low, low_closed, high, high_closed)
        else:
            result.append(interval)
    return result


def intersect(a: Intervals, b: Intervals) -> Intervals:
    """The numbers in both."""
    result: Intervals = []
    for x in a:
        for y in b:
            low, low_closed = _inner_end(x.low, x.low_closed, y.low, y.low_closed, larger=True)
            high, high_closed = _inner_end(x.high, x.high_closed, y.high, y.high_closed, larger=False)
            if (_near(low, high) and low_closed and high_closed) or (low < high and not _near(low, high)):
                result.append(Interval(low, low_closed, high, high_closed))
    return sorted(result, key=_order)


def _inner_end(a: Any, a_closed: bool, b: Any, b_closed: bool, *, larger: bool) -> tuple[Any, bool]:
    if _near(a, b):
        return a, a_closed and b_closed
    return (a, a_closed) if (a > b) == larger else (b, b_closed)


def complement(a: Intervals) -> Intervals:
    """All other real numbers."""
    result: Intervals = [_ALL]
    for interval in a:
        outside: Intervals = []
        if interval.low != -_INF:
            outside.append(Interval(-_INF, False, interval.low, not interval.low_closed))
        if interval.high != _INF:
            outside.append(Interval(interval.high, not interval.high_closed, _INF, False))
        result = intersect(result, outside)
    return result


def _near(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if a in (_INF, -_INF) or b in (_INF, -_INF):
        return False
    return bool(abs(a - b) <= max(abs(a), abs(b)) / 10**DIGITS_SAME)
