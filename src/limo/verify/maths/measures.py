"""Values with what stands beside them: units, words, percent and degree signs; first these, then the values.

`2 kN` is 2000 N, 28% is 0.28, 90 degrees are pi/2; `5 dozen` is undecided.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Protocol

from limo.verify.maths import nodes, units
from limo.verify.maths.nodes import Node, product_of
from limo.verify.maths.relations import has_pi, operands
from limo.verify.maths.scalars import Explanation, Rules, ScalarComparer

_PERCENT = re.compile(r"percent|%|百分", re.I)


class Parts(Protocol):
    """What compares the parts of a quantity, and keeps the reason (see `compare.Comparer`)."""

    rules: Rules
    explanation: Explanation
    values: ScalarComparer

    def same(self, gold: Node, pred: Node) -> bool | None: ...


def same_measure(comparer: Parts, gold: Node, pred: Node) -> bool | None:
    """Units, percent and degrees first, then the values."""
    kinds = {type(gold), type(pred)}
    if nodes.Quantity in kinds:
        return _quantities(comparer, gold, pred)
    if nodes.Percent in kinds:
        return _percentages(comparer, gold, pred)
    if nodes.Degrees in kinds:
        return _angles(comparer, gold, pred)
    if _measured(pred, gold)[1] and not gold.symbols:
        return _quantities(comparer, gold, pred)
    if nodes.BasedNumeral in kinds:
        return comparer.values.based(gold, pred)
    gold, pred = _without_degrees(gold, pred), _without_degrees(pred, gold)
    return comparer.values.same(gold, _with_products(gold, pred))


def _quantities(comparer: Parts, gold: Node, pred: Node) -> bool | None:
    """Values with units or words: by the policy for units, and undecided where a word may change the value."""
    (g, g_words), (p, p_words) = _measured(gold, pred), _measured(pred, gold)
    for node, words, other in ((g, g_words, p), (p, p_words, g)):
        if words.startswith(("rad", "弧度")) and isinstance(other, nodes.Degrees):
            return comparer.values.same(node, other)
    if g_words == p_words or comparer.rules.unit == "ignore":
        return comparer.same(g, p)
    g_unit, p_unit = units.read_unit(g_words), units.read_unit(p_words)
    for words, unit in ((g_words, g_unit), (p_words, p_unit)):
        if words and unit is None and not units.is_harmless(words, comparer.rules.statement):
            if not units.changes_number(words) and comparer.same(g, p) is False:
                return False
            return comparer.explanation.undecidable(f"words that may change the number: {words}")
    if g_unit and p_unit:
        if g_unit.dimensions != p_unit.dimensions:
            return comparer.explanation.differ("different units")
        value = p.value if isinstance(p, nodes.Number) else None
        if not units.may_stand_for(g_unit, p_unit, comparer.rules.unit, value, comparer.rules.statement):
            return comparer.explanation.differ("another unit")
        return comparer.same(g, p if g_unit.size == p_unit.size else _converted(p, p_unit.size / g_unit.size))
    if g_unit and not comparer.rules.missing_unit:
        return comparer.explanation.differ("the unit is missing")
    if g_words and p_words and not (g_unit or p_unit) and not units.share_words(g_words, p_words):
        return comparer.explanation.undecidable("different words")
    if g_words and p_words and (g_unit or p_unit):
        return comparer.explanation.undecidable("a unit and words")
    return comparer.same(g, p)


def _percentages(comparer: Parts, gold: Node, pred: Node) -> bool | None:
    """28% is met by 28 and 0.28; an answer without % by its value in percent, or by n% where they are asked for."""
    g, p = operands(nodes.Percent, "operand", gold, pred)
    if isinstance(gold, nodes.Percent) and isinstance(pred, nodes.Percent):
        return comparer.same(g, p)
    if comparer.values.same(gold, pred):
        return True
    asked = comparer.values.at_least_one(gold) and _PERCENT.search(comparer.rules.statement)
    return comparer.values.same(g, p) if isinstance(gold, nodes.Percent) or asked else False


def _angles(comparer: Parts, gold: Node, pred: Node) -> bool | None:
    """90 degrees are met by 90, and by pi/2 where pi is written and the problem does not ask for one of the two."""
    if any(has_pi(side) for side in (gold, pred) if not isinstance(side, nodes.Degrees)):
        unit = units.read_unit("degree" if isinstance(gold, nodes.Degrees) else "radian")
        return not units.asks_for(comparer.rules.statement, unit) and comparer.values.same(gold, pred)
    return comparer.same(*operands(nodes.Degrees, "operand", gold, pred))


def _measured(node: Node, other: Node) -> tuple[Node, str]:
    """A value and the unit it is given in, "" for none; any letter may be one where the other side has a unit."""
    if isinstance(node, nodes.Quantity):
        return node.value, node.unit
    return _letter_unit(
        node, units.UNIT_LETTERS | {"M"} if isinstance(other, nodes.Quantity) else units.UNIT_LETTERS
    ) or (node, "")


def _letter_unit(node: Node, letters: frozenset[str]) -> tuple[Node, str] | None:
    """The number and the unit in `6 m` and `6 m^2`, where the letter of a unit was read as a symbol."""
    match node:
        case nodes.Negative(inner):
            split = _letter_unit(inner, letters)
            return (nodes.Negative(split[0]), split[1]) if split else None
        case nodes.Product((*factors, nodes.Symbol(name))) if name in letters and not any(f.symbols for f in factors):
            return product_of(factors), name
        case nodes.Product((*factors, nodes.Power(nodes.Symbol(name), nodes.Number(power)))) if name in letters:
            return None if any(f.symbols for f in factors) else (product_of(factors), f"{name}^{power}")
    return None


def _converted(node: Node, factor: Fraction) -> Node:
    """A decimal stays a decimal where a unit is converted by a power of ten."""
    power = next((k for k in range(-40, 41) if Fraction(10) ** k == factor), None)
    if isinstance(node, nodes.Number) and node.significant and power is not None:
        return nodes.Number(node.value * factor, node.significant, node.place + power)
    return nodes.Product((nodes.Number(factor), node))


def _without_degrees(node: Node, other: Node) -> Node:
    """`180° - 2a` as 180 - 2a where the other side has no degrees and no π; degrees inside a function stay."""
    inside = any(isinstance(part, nodes.Call) and nodes.Degrees in part.kinds for part in node.walk())
    if nodes.Degrees not in node.kinds or nodes.Degrees in other.kinds or has_pi(other) or inside:
        return node
    if isinstance(node, nodes.Degrees):
        return node.operand
    return node.rebuilt(lambda child: _without_degrees(child, other))


def _with_products(gold: Node, pred: Node) -> Node:
    """`g(x+1)` as a product where the answer has a g that is no function."""
    if isinstance(pred, nodes.Application) and pred.name in gold.symbols and len(pred.arguments) == 1:
        return nodes.Product((nodes.Symbol(pred.name), pred.arguments[0]))
    return pred.rebuilt(lambda child: _with_products(gold, child)) if nodes.Application in pred.kinds else pred
