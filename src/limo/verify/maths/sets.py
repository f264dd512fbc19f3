"""Sets of real numbers, from the many ways of writing them: intervals, unions, inequalities, set-builders.

    solution_set(parse("-2 < x \\\\le 7")) == solution_set(parse("(-2, 7]"))      # by `same_set`
    solution_set(parse("x + y < 1"))                                          # None: two unknowns

A set is a list of pieces (low, low closed, high, high closed) in order, with ends as numbers of 80 digits.
Inequalities are solved when both sides are linear in one symbol, or the absolute value of such a side stands
against a number.

What it does not do: polynomial inequalities, or sets of points in the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from limo.verify.maths.evaluation import TooLarge, Undefined, Unknown
from limo.verify.maths.nodes import Node
from limo.verify.maths.values import constant, number_of, substituted, symbols

Piece = tuple[Any, bool, Any, bool]
Pieces = list[Piece]
_INF = float("inf")
_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
INEQUALITIES = frozenset(("<", ">", "<=", ">="))


def solution_set(node: Node) -> Pieces | None:
    """The real numbers a tree stands for; None where it is no such set."""
    try:
        return _pieces(node)
    except (Undefined, Unknown, TooLarge, TypeError):
        return None


def same_set(a: Pieces, b: Pieces) -> bool:
    """Piece by piece, ends compared to 55 digits."""
    return len(a) == len(b) and all(
        x[1] == y[1] and x[3] == y[3] and _near(x[0], y[0]) and _near(x[2], y[2]) for x, y in zip(a, b, strict=True)
    )


def is_setlike(node: Node) -> bool:
    """Whether a tree can only be a set of numbers, not a tuple, a list or a value."""
    if node[0] in ("cup", "cap", "minus", "build"):
        return True
    if node[0] == "seq":
        infinite = any(part in (("const", "oo"), ("neg", ("const", "oo"))) for part in node[3])
        mixed = node[1] + node[2] in ("[)", "(]", "][", "[[", "]]") or (infinite and len(node[3]) == 2)
        return mixed or (bool(node[3]) and all(is_condition(part) for part in node[3]) and not node[1])
    return is_condition(node)


def is_condition(node: Node) -> bool:
    """An inequality, or membership in a set."""
    return node[0] == "rel" and any(op in INEQUALITIES or op in ("in", "!=") for op in node[2])


def _pieces(node: Node) -> Pieces | None:
    kind = node[0]
    if kind == "seq":
        return _sequence(node)
    if kind == "rel":
        return _relation(node)
    if kind == "build":
        return _pieces(node[2])
    if kind in ("cup", "cap", "minus"):
        a, b = _pieces(node[1]), _pieces(node[2])
        if a is None or b is None:
            return None
        return unite(a, b) if kind == "cup" else intersect(a, b if kind == "cap" else complement(b))
    if symbols(node):
        return None
    value = number_of(constant(node, 80), 80)
    return [(value, True, value, True)]


def _sequence(node: Node) -> Pieces | None:
    _, opening, closing, items, joiner = node
    if opening in ("(", "[", "]") and len(items) == 2:
        ends = [number_of(constant(item, 80), 80) for item in items]
        low_closed = opening == "[" and ends[0] != -_INF
        high_closed = closing == "]" and ends[1] != _INF
        return [(ends[0], low_closed, ends[1], high_closed)] if ends[0] < ends[1] else None
    if opening == "{":
        points = [_pieces(item) for item in items]
        return None if any(point is None for point in points) else _all(unite, [p for p in points if p], [])
    if opening:
        return None
    parts = [_pieces(item) for item in items]
    if any(part is None for part in parts):
        return None
    found = [part for part in parts if part is not None]
    if joiner == "or" or not all(is_condition(item) for item in items):
        return _all(unite, found, [])
    both = _all(intersect, found, [(-_INF, False, _INF, False)])
    return both or _all(unite, found, [])


def _all(join: Any, parts: Sequence[Pieces], start: Pieces) -> Pieces:
    for part in parts:
        start = join(start, part)
    return start


def _relation(node: Node) -> Pieces | None:
    _, items, ops = node
    if ops == ("in",):
        return _pieces(items[1])
    result: Pieces = [(-_INF, False, _INF, False)]
    for left, right, op in zip(items, items[1:], ops, strict=False):
        if op not in _FLIP:
            return None
        part = _linear(left, right, op)
        if part is None:
            return None
        result = intersect(result, part)
    return result


def _linear(left: Node, right: Node, op: str) -> Pieces | None:
    """One relation between two sides that are linear in one symbol."""
    for side, other, sign in ((left, right, op), (right, left, _FLIP[op])):
        if side[0] == "abs" and not symbols(other):
            inner, minus = side[1], ("neg", other)
            a, b = _linear(inner, other, sign), _linear(inner, minus, _FLIP[sign])
            if a is None or b is None:
                return None
            return intersect(a, b) if sign in ("<", "<=", "!=") else unite(a, b)
    names = symbols(left) | symbols(right)
    if len(names) != 1:
        return None
    name = next(iter(names))
    at = [
        constant(substituted(("add", (left, ("neg", right))), name, ("num", Fraction(n), 0, 0)), 80) for n in (0, 1, 2)
    ]
    values = [number_of(value, 80) for value in at]
    slope = values[1] - values[0]
    if slope == 0 or not _near(values[2] - values[1], slope):
        return None
    root = number_of(-at[0] / (at[1] - at[0]), 80) if all(isinstance(v, Fraction) for v in at) else -values[0] / slope
    return _half_line(root, op if slope > 0 else _FLIP[op])


def _half_line(root: Any, op: str) -> Pieces:
    if op == "=":
        return [(root, True, root, True)]
    if op == "!=":
        return [(-_INF, False, root, False), (root, False, _INF, False)]
    if op in ("<", "<="):
        return [(-_INF, False, root, op == "<=")]
    return [(root, op == ">=", _INF, False)]


def unite(a: Pieces, b: Pieces) -> Pieces:
    """All numbers of both, touching pieces joined."""
    result: Pieces = []
    for piece in sorted([*a, *b], key=lambda p: (p[0], not p[1])):
        if result and (piece[0] < result[-1][2] or (_near(piece[0], result[-1][2]) and (piece[1] or result[-1][3]))):
            low, closed, high, high_closed = result[-1]
            if piece[2] > high:
                high, high_closed = piece[2], piece[3]
            elif _near(piece[2], high):
                high_closed = high_closed or piece[3]
            result[-1] = (low, closed or (_near(piece[0], low) and piece[1]), high, high_closed)
        else:
            result.append(piece)
    return result


def intersect(a: Pieces, b: Pieces) -> Pieces:
    """The numbers in both."""
    result: Pieces = []
    for x in a:
        for y in b:
            low, low_closed = _inner(x[0], x[1], y[0], y[1], larger=True)
            high, high_closed = _inner(x[2], x[3], y[2], y[3], larger=False)
            if (_near(low, high) and low_closed and high_closed) or (low < high and not _near(low, high)):
                result.append((low, low_closed, high, high_closed))
    return sorted(result, key=lambda p: (p[0], not p[1]))


def _inner(a: Any, a_closed: bool, b: Any, b_closed: bool, *, larger: bool) -> tuple[Any, bool]:
    if _near(a, b):
        return a, a_closed and b_closed
    return (a, a_closed) if (a > b) == larger else (b, b_closed)


def complement(a: Pieces) -> Pieces:
    """All other real numbers."""
    result: Pieces = [(-_INF, False, _INF, False)]
    for low, low_closed, high, high_closed in a:
        outside: Pieces = []
        if low != -_INF:
            outside.append((-_INF, False, low, not low_closed))
        if high != _INF:
            outside.append((high, not high_closed, _INF, False))
        result = intersect(result, outside)
    return result


def _near(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if a in (_INF, -_INF) or b in (_INF, -_INF):
        return False
    return bool(abs(a - b) <= max(abs(a), abs(b)) / 10**55)
