r"""Equations between values that do not hold: what `6 = 5` says of 5 is no answer.

    is_false(parse("x = 2 + 3 = 6"))     # True
    is_false(parse("x = 2/3 = 0.667"))   # False: a rounded decimal

Only values without letters are judged, and only where their spelling has one meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import NoValue
from limo.verify.maths.nodes import IMAGINARY, E, Node
from limo.verify.maths.relations import has_pi
from limo.verify.maths.values import constant, same_value

_OTHER_KINDS = {nodes.Application, nodes.PlusMinus, nodes.Congruence, nodes.Relation, nodes.Labelled, nodes.SetBuilder}
_OF_ANGLES = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_OF_UNIT = (nodes.Quantity, nodes.Degrees, nodes.Percent)


def is_false(node: Node, sign: str = "=") -> bool:
    """Whether an equation in a tree (with "==": a congruence without its modulus) equates two different values."""
    return nodes.Relation in node.kinds and any(
        _differ(a, b)
        for part in node.walk()
        if isinstance(part, nodes.Relation) and not _names_modulus(part.sides[-1]) and not _converts(part)
        for run in _runs(part, sign)
        for a, b in pairwise(run)
    )


def _names_modulus(side: Node) -> bool:
    return isinstance(side, nodes.Congruence) or (isinstance(side, nodes.Call) and side.function == "mod")


def _converts(relation: nodes.Relation) -> bool:
    """Whether several units stand in a relation: `5 m = 500 cm`."""
    return len({part.unit for part in relation.walk() if isinstance(part, nodes.Quantity)}) > 1


def _runs(relation: nodes.Relation, sign: str) -> Iterator[list[Node]]:
    """The closed sides of each part of a chain that one sign joins."""
    run = [relation.sides[0]]
    for joined, side in zip(relation.signs, relation.sides[1:], strict=True):
        if joined != sign:
            yield [part for part in run if _is_closed(part)]
            run = []
        run.append(side)
    yield [part for part in run if _is_closed(part)]


def _is_closed(node: Node) -> bool:
    """Whether a tree is a value without letters whose spelling has one meaning.

    It has not with `e` and `i`, which may be names, a logarithm without its base, or the sine of a bare number.
    """
    if node.symbols or node.kinds & _OTHER_KINDS or E in (parts := list(node.walk())) or IMAGINARY in parts:
        return False
    if any(isinstance(part, nodes.Call) and part.function == "log" and len(part.arguments) == 1 for part in parts):
        return False
    return not node.functions & _OF_ANGLES or has_pi(node) or nodes.Degrees in node.kinds


def _differ(a: Node, b: Node) -> bool:
    """Whether two closed trees are surely different values, whatever their units mean."""
    match a, b:
        case nodes.Listing("(", ")", items), nodes.Listing("(", ")", others):
            return len(items) != len(others) or any(map(_differ, items, others))
        case nodes.Ratio(), nodes.Ratio():
            pass
        case (nodes.Ratio(), _) | (_, nodes.Ratio()):
            return False
    return _differ_in_value(a, b) and _differ_in_value(_without_units(a), _without_units(b))


def _without_units(node: Node) -> Node:
    """The number itself of what is given in percent, degrees or another unit."""
    if isinstance(node, _OF_UNIT):
        return _without_units(node.children[0])
    return node.rebuilt(_without_units) if nodes.Percent in node.kinds or nodes.Degrees in node.kinds else node


def _differ_in_value(a: Node, b: Node) -> bool:
    try:
        return same_value(a, b) is False and not _are_rounded(a, b)
    except (NoValue, TypeError):
        return False


def _are_rounded(a: Node, b: Node) -> bool:
    """Whether two values differ by no more than the last place of a decimal written in one of them."""
    places = [
        part.place for side in (a, b) for part in side.walk() if isinstance(part, nodes.Number) and part.place < 0
    ]
    if not places:
        return False
    unit: Any = Fraction(10) ** max(places)
    x, y = constant(a), constant(b)
    finite = all(isinstance(value, Fraction) and (value / unit).denominator == 1 for value in (x, y))
    return not finite and bool(abs(complex(x) - complex(y)) <= float(unit) * 1.000001)
