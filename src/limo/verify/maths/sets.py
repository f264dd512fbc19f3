"""Sets of real numbers, from the many ways of writing them: intervals, unions, inequalities, set-builders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import TooLarge, Undefined, Unknown
from limo.verify.maths.nodes import INFINITY, Node, difference, substituted
from limo.verify.maths.relations import OPPOSITE, is_condition
from limo.verify.maths.values import constant, real_number

DIGITS, DIGITS_SAME, MAX_ITEMS = 80, 55, 200
_INF = float("inf")
_TURNED = {**OPPOSITE, "=": "=", "!=": "!="}


class RealSet(NamedTuple):
    """Between two neighbouring ends, and beyond the outermost, either all numbers belong to the set or none does."""

    ends: tuple[Any, ...]
    contains: Callable[[Any], bool]

    def samples(self) -> list[Any]:
        """Every end, a number between each two neighbours, and one beyond either side."""
        ends = sorted(self.ends)
        if not ends:
            return [Fraction(0)]
        between = [(low + high) / 2 for low, high in pairwise(ends)]
        return [ends[0] - abs(ends[0]) - 1, *ends, *between, ends[-1] + abs(ends[-1]) + 1]


def interval(low: Any, low_closed: bool, high: Any, high_closed: bool) -> RealSet:
    """All numbers from `low` to `high`, ends compared to 55 digits."""

    def contains(number: Any) -> bool:
        above = low_closed if _near(low, number) else low < number
        return above and (high_closed if _near(number, high) else number < high)

    return RealSet(tuple(end for end in (low, high) if abs(end) != _INF), contains)


def combined(rule: Callable[[Iterable[bool]], bool], *sets: RealSet) -> RealSet:
    """The union (`any`) or intersection (`all`) of sets."""
    ends = tuple(end for each in sets for end in each.ends)
    return RealSet(ends, lambda number: rule(each.contains(number) for each in sets))


def complement(a: RealSet) -> RealSet:
    """The real numbers that are not in `a`."""
    return RealSet(a.ends, lambda number: not a.contains(number))


def solution_set(node: Node) -> RealSet | None:
    """The real numbers a tree stands for; None where it is no such set."""
    try:
        return _real_set(node)
    except (Undefined, Unknown, TooLarge, TypeError):
        return None


def same_set(a: RealSet, b: RealSet) -> bool:
    """Whether two sets hold the same numbers."""
    return all(a.contains(number) == b.contains(number) for number in combined(any, a, b).samples())


def is_set(node: Node) -> bool:
    """Whether a tree can only be a set of numbers, not a tuple, a list or a value."""
    if isinstance(node, nodes.SetOperation | nodes.SetBuilder):
        return True
    if isinstance(node, nodes.Listing):
        infinite = len(node.items) == 2 and any(item in (INFINITY, nodes.Negative(INFINITY)) for item in node.items)
        if infinite or node.brackets in ("[)", "(]", "][", "[[", "]]"):
            return True
        return bool(node.items) and not node.opening and all(is_condition(item) for item in node.items)
    return is_condition(node)


def _real_set(node: Node) -> RealSet | None:
    match node:
        case nodes.Listing():
            return _listing(node)
        case nodes.Relation():
            return _relation(node)
        case nodes.SetBuilder(_, condition):
            return _real_set(condition)
        case nodes.SetOperation(operation, left, right):
            a, b = _real_set(left), _real_set(right)
            if a is None or b is None:
                return None
            rule = any if operation == "union" else all
            return combined(rule, a, complement(b) if operation == "difference" else b)
    return None if node.symbols else _relative_to(_real(node), "=")


def _real(node: Node) -> Any:
    return real_number(constant(node, DIGITS), DIGITS)


def _listing(node: nodes.Listing) -> RealSet | None:
    if node.opening in ("(", "[", "]") and len(node.items) == 2:
        low, high = (_real(item) for item in node.items)
        low_closed = node.opening == "[" and low != -_INF
        high_closed = node.closing == "]" and high != _INF
        return interval(low, low_closed, high, high_closed) if low < high else None
    if node.opening not in ("", "{"):
        return None
    parts = [part for item in node.items[:MAX_ITEMS] if (part := _real_set(item)) is not None]
    if len(parts) < len(node.items):
        return None
    union, intersection = combined(any, *parts), combined(all, *parts)
    if node.opening or node.joiner == "or" or not all(map(is_condition, node.items)):
        return union
    return union if same_set(intersection, combined(any)) else intersection


def _relation(node: nodes.Relation) -> RealSet | None:
    if node.signs == ("in",):
        return _real_set(node.sides[1])
    parts = []
    for left, right, sign in zip(node.sides, node.sides[1:], node.signs, strict=False):
        part = _linear(left, right, sign) if sign in _TURNED else None
        if part is None:
            return None
        parts.append(part)
    return combined(all, *parts)


def _linear(left: Node, right: Node, sign: str) -> RealSet | None:
    """One relation between two sides that are linear in one symbol."""
    for side, other, turned in ((left, right, sign), (right, left, _TURNED[sign])):
        if isinstance(side, nodes.Absolute) and not other.symbols:
            a = _linear(side.operand, other, turned)
            b = _linear(side.operand, nodes.Negative(other), _TURNED[turned])
            if a is None or b is None:
                return None
            return combined(all if turned in ("<", "<=", "!=") else any, a, b)
    names = left.symbols | right.symbols
    if len(names) != 1:
        return None
    (name,) = names
    exact = [constant(substituted(difference(left, right), name, nodes.Number(Fraction(n))), DIGITS) for n in (0, 1, 2)]
    at_0, at_1, at_2 = (real_number(value, DIGITS) for value in exact)
    slope = at_1 - at_0
    if slope == 0 or not _near(at_2 - at_1, slope):
        return None
    if all(isinstance(value, Fraction) for value in exact):
        root = real_number(-exact[0] / (exact[1] - exact[0]), DIGITS)
    else:
        root = -at_0 / slope
    return _relative_to(root, sign if slope > 0 else _TURNED[sign])


def _relative_to(number: Any, sign: str) -> RealSet:
    """The numbers that are equal to, less than, ... a number."""
    if sign in ("<", "<="):
        return interval(-_INF, False, number, sign == "<=")
    if sign in (">", ">="):
        return interval(number, sign == ">=", _INF, False)
    point = interval(number, True, number, True)
    return point if sign == "=" else complement(point)


def _near(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if a in (_INF, -_INF) or b in (_INF, -_INF):
        return False
    return bool(abs(a - b) <= max(abs(a), abs(b)) / 10**DIGITS_SAME)
