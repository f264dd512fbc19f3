"""Sets of real numbers, from the many ways of writing them: intervals, unions, inequalities, set-builders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import NoValue, TooLarge, Undefined, Unknown
from limo.verify.maths.nodes import INFINITY, Node, difference, replaced, substituted
from limo.verify.maths.relations import OPPOSITE, is_condition
from limo.verify.maths.roots import polynomial, real_roots
from limo.verify.maths.values import constant, evaluate, real_number

DIGITS, DIGITS_SAME, MAX_ITEMS = 80, 55, 200
_INF = float("inf")
_SOLVABLE = frozenset((*OPPOSITE, "=", "!="))


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
    if len(node.symbols) > 1:
        return None
    try:
        return _real_set(node)
    except (Undefined, Unknown, TooLarge, TypeError):
        return None


def same_set(a: RealSet, b: RealSet) -> bool:
    """Whether two sets hold the same numbers."""
    return all(a.contains(number) == b.contains(number) for number in combined(any, a, b).samples())


def residue_class(node: Node) -> Node:
    """`n = 5k + 2, k \\in \\mathbb{Z}` as n mod 5; anything else as it is."""
    match node:
        case nodes.Listing(
            "", "", (nodes.Relation((name, value), ("=",)), nodes.Relation((unknown, whole), ("in",)))
        ) if (
            whole == nodes.Symbol("\\mathbbZ") and nodes.Symbol in {type(unknown)} and value.symbols == unknown.symbols
        ):
            (letter,) = unknown.symbols
            try:
                first, *others = (constant(substituted(value, letter, nodes.Number(Fraction(k)))) for k in range(4))
            except NoValue:
                return node
            steps = {(other - first) / k for k, other in enumerate(others, 1)}
            step = steps.pop()
            is_whole = all(isinstance(number, Fraction) and number.denominator == 1 for number in (first, step))
            if not steps and step and is_whole:
                congruence = nodes.Congruence(nodes.Number(first), nodes.Number(abs(step)))
                return nodes.Relation((name, congruence), ("==",))
    return node


def holds_infinity(node: Node) -> bool:
    """Whether an interval is closed at infinity: `[1, \\infty]`, which is no set of real numbers."""
    return any(
        (part.opening == "[" and part.items[0] == nodes.Negative(INFINITY))
        or (part.closing == "]" and part.items[1] == INFINITY)
        for part in node.walk()
        if isinstance(part, nodes.Listing) and len(part.items) == 2
    )


def is_set(node: Node) -> bool:
    """Whether a tree can only be a set of numbers, not a tuple, a list or a value."""
    if isinstance(node, nodes.SetOperation | nodes.SetBuilder):
        return True
    if isinstance(node, nodes.Listing):
        infinite = len(node.items) == 2 and any(item in (INFINITY, nodes.Negative(INFINITY)) for item in node.items)
        if infinite or node.brackets in ("[)", "(]", "][", "[[", "]]"):
            return True
        if node.opening or not all(isinstance(item, nodes.Relation) for item in node.items):
            return False
        return (any(map(is_condition, node.items)) and len(node.symbols) == 1) or all(map(is_condition, node.items))
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
    return None if node.symbols else interval(number := _real(node), True, number, True)


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
        part = _solved(left, right, sign) if sign in _SOLVABLE else None
        if part is None:
            return None
        parts.append(part)
    return combined(all, *parts)


def _solved(left: Node, right: Node, sign: str) -> RealSet | None:
    """One relation of quotients of polynomials in one symbol, or absolute values of such."""
    names = left.symbols | right.symbols
    if len(names) != 1:
        return None
    (name,) = names
    side = difference(left, right)

    def contains(number: Any) -> bool:
        try:
            value, scale = evaluate(side, {name: number}, DIGITS, real=True)
        except (Undefined, Unknown):
            return False
        if abs(value) <= abs(scale) / 10**DIGITS_SAME:
            return sign in ("=", "<=", ">=")
        return sign == "!=" or (sign in ("<", "<=") if value < 0 else sign in (">", ">="))

    return RealSet(tuple(_critical(side, name)), contains)


def _critical(node: Node, name: str) -> list[Any]:
    """Zeros and poles.  Raises Undefined where they cannot be found."""
    inner = next((part for part in node.walk() if isinstance(part, nodes.Absolute) and name in part.symbols), None)
    if inner is not None:
        signs = (inner.operand, nodes.Negative(inner.operand))
        return [end for part in signs for end in _critical(replaced(node, inner, part), name)]
    parts = polynomial(node, name, {})
    return [real_number(end, DIGITS) for coefficients in parts for end in real_roots(coefficients)]


def _near(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if a in (_INF, -_INF) or b in (_INF, -_INF):
        return False
    return bool(abs(a - b) <= max(abs(a), abs(b)) / 10**DIGITS_SAME)
