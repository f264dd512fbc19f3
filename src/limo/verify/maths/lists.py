"""The items of a list: names stripped, signs written out, ranges of letters left away.

items_of(parse("n = 1, 2"))       # ([1, 2], True): their order is free
items_of(parse("1 \\pm x"))        # ([1 + x, 1 - x], True)
"""

from __future__ import annotations

from dataclasses import replace

from limo.verify.maths.arithmetic import TooLarge, Undefined, Unknown
from limo.verify.maths.nodes import Listing, Matrix, Negative, Node, PlusMinus, Relation, Sum, Symbol
from limo.verify.maths.relations import assignment
from limo.verify.maths.values import same_value

MAX_ITEMS = 200
_DOMAINS = {Symbol(name) for name in ("\\mathbbZ", "Z", "\\mathbbN", "R", "N")}


def items_of(node: Node) -> tuple[list[Node], bool]:
    """The items of a list (or the one expression that is none), ± written out; and whether their order is free."""
    if not isinstance(node, Listing):
        return _both_signs(node), True
    kept = node.items if node.opening else tuple(item for item in node.items if not _is_domain(item))
    return [value for item in _without_names(kept) for value in _both_signs(item)], node.opening in ("", "{")


def single_item(node: Node) -> Node:
    """A list that holds one item besides the range of its letters is that item."""
    if isinstance(node, Listing) and not node.opening:
        kept = [item for item in node.items if not _is_domain(item)]
        if len(kept) == 1:
            return kept[0]
    return node


def aligned_by_name(gold: list[Node], pred: list[Node]) -> tuple[tuple[Node, ...], tuple[Node, ...]] | None:
    """The values of both lists in order, where every item of exactly one of them has a name of its own."""
    if not gold or len(gold) != len(pred):
        return None
    g, p = [assignment(item) for item in gold], [assignment(item) for item in pred]
    named, others = (g, p) if all(g) else (p, g)
    pairs = [pair for pair in named if pair]
    if any(others) or len({repr(name) for name, _ in pairs}) < len(gold):
        return None
    values = tuple(value for _, value in pairs)
    return (values, tuple(pred)) if named is g else (tuple(gold), values)


def has_plus_minus(node: Node) -> bool:
    """Whether a tree holds a ±."""
    return PlusMinus in node.kinds


def as_matrix(node: Node) -> Node:
    """`[[1, 2], [3, 4]]` as the matrix it is."""
    if not isinstance(node, Listing) or node.opening != "[" or not node.items:
        return node
    rows = [row.items for row in node.items if isinstance(row, Listing) and row.opening == "["]
    return Matrix(tuple(rows)) if len(rows) == len(node.items) else node


def are_tuples(gold: Listing, pred: Listing, n_items: int) -> bool:
    """`(1, 2, 3)` and `[1, 2, 3]`: with three items and more square brackets mean no interval."""
    return n_items > 2 and {gold.opening, pred.opening} == {"(", "["} and {gold.closing, pred.closing} == {")", "]"}


def distinct(items: list[Node]) -> list[Node]:
    """The items without those that repeat another."""
    kept: list[Node] = []
    for item in items[:MAX_ITEMS]:
        if not any(_surely_same(item, other) for other in kept):
            kept.append(item)
    return kept


def _is_domain(node: Node) -> bool:
    """`k \\in \\mathbb{Z}`: it says what a letter may be, and is no part of the answer."""
    return isinstance(node, Relation) and node.signs == ("in",) and node.sides[1] in _DOMAINS


def _without_names(items: tuple[Node, ...]) -> tuple[Node, ...]:
    """`n = 1, 2, 3` is the list of its values; so is `x = 1, x = 2`."""
    named = [assignment(item) for item in items]
    if len(items) < 2 or not named[0]:
        return items
    name, value = named[0]
    if not any(named[1:]):
        return items if any(isinstance(item, Relation) for item in items[1:]) else (value, *items[1:])
    if all(pair and pair[0] == name for pair in named):
        return tuple(pair[1] for pair in named if pair)
    return items


def _both_signs(node: Node) -> list[Node]:
    """`a ± b` as its two values."""
    if not has_plus_minus(node) or isinstance(node, Listing | Matrix):
        return [node]
    if isinstance(node, Relation):
        if len(node.sides) == 2 and has_plus_minus(node.sides[1]) and not isinstance(node.sides[1], Listing):
            return [replace(node, sides=(node.sides[0], value)) for value in _both_signs(node.sides[1])]
        return [node]
    return [_with_sign(node, "+"), _with_sign(node, "-")]


def _with_sign(node: Node, sign: str) -> Node:
    if isinstance(node, PlusMinus):
        left, right = _with_sign(node.left, sign), _with_sign(node.right, sign)
        return Sum((left, right if sign == node.first else Negative(right)))
    return node.rebuilt(lambda child: _with_sign(child, sign))


def _surely_same(a: Node, b: Node) -> bool:
    try:
        return a == b or bool(same_value(a, b))
    except (Undefined, TooLarge, Unknown):
        return False
