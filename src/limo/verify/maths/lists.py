"""The parts of a list: names stripped, signs written out, ranges of letters left away.

    items_of(parse("n = 1, 2"))        # ([1, 2], True): their order is free
    items_of(parse("1 \\pm x"))       # ([1 + x, 1 - x], True)

What it does not do: compare them (see `compare`).
"""

from __future__ import annotations

from limo.verify.maths.names import assignment
from limo.verify.maths.nodes import Node
from limo.verify.maths.values import kinds


def items_of(node: Node) -> tuple[list[Node], bool]:
    """The parts of a list, ± written out; and whether their order is free."""
    if node[0] != "seq":
        return _signs(node), True
    kept = [item for item in node[3] if not _is_domain(item)] if not node[1] else list(node[3])
    items = [part for item in _assigned((*node[:3], tuple(kept), node[4])) for part in _signs(item)]
    return items, node[1] in ("", "{")


def _is_domain(node: Node) -> bool:
    """`k \\in \\mathbb{Z}`: it says what a letter may be, and is no part of the answer."""
    return (
        node[0] == "rel"
        and node[2] == ("in",)
        and node[1][1] in (("sym", "\\mathbbZ"), ("sym", "Z"), ("sym", "\\mathbbN"), ("sym", "R"), ("sym", "N"))
    )


def alone(node: Node) -> Node:
    """A list that holds one thing besides the range of its letters is that thing."""
    if node[0] == "seq" and not node[1]:
        kept = [item for item in node[3] if not _is_domain(item)]
        if len(kept) == 1:
            return kept[0]
    return node


def _assigned(node: Node) -> tuple[Node, ...]:
    """`n = 1, 2, 3` is the list of its values; so is `x = 1, x = 2`."""
    items: tuple[Node, ...] = node[3]
    names = [assignment(item) for item in items]
    first = names[0] if names else None
    if first and not any(names[1:]) and len(items) > 1:
        if all(item[0] != "rel" for item in items[1:]):
            return (first[1], *items[1:])
    elif first and len(items) > 1 and all(n and n[0] == first[0] for n in names):
        return tuple(n[1] for n in names if n)
    return items


def by_name(gold: list[Node], pred: list[Node]) -> tuple[tuple[Node, ...], tuple[Node, ...]] | None:
    """Values aligned by distinct names, or by place where only one side names them."""
    g, p = [assignment(x) for x in gold], [assignment(x) for x in pred]
    if not gold or len(gold) != len(pred) or not (all(g) or all(p)):
        return None
    if all(g) and all(p):
        return None
    named = g if all(g) else p
    if len({str(n[0]) for n in named if n}) < len(named) or (any(g) and any(p)):
        return None
    values = tuple(n[1] for n in named if n)
    return (values, tuple(pred)) if all(g) else (tuple(gold), values)


def _signs(node: Node) -> list[Node]:
    """`a ± b` as its two values."""
    if not kinds(node) & {"pm", "mp"} or node[0] in ("seq", "rel", "mat"):
        if node[0] == "rel" and len(node[1]) == 2 and kinds(node[1][1]) & {"pm", "mp"} and node[1][1][0] != "seq":
            return [("rel", (node[1][0], value), node[2]) for value in _signs(node[1][1])]
        return [node]
    return [_signed(node, 1), _signed(node, -1)]


def _signed(node: Node, sign: int) -> Node:
    if node[0] in ("pm", "mp"):
        a, b = _signed(node[1], sign), _signed(node[2], sign)
        return ("add", (a, b if (sign > 0) == (node[0] == "pm") else ("neg", b)))
    return tuple(_signed(part, sign) if isinstance(part, tuple) else part for part in node)
