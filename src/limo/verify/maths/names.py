"""What stands left of the sign: names that only introduce a value, and letters that any letter may replace.

    assignment(parse("x = 5"))         # (x, 5)
    value_of(parse("|AB| = 1"))        # 1
    value_of(parse("2x + z = 1"))      # None: an equation, not a name

A name is a symbol, a call (`f(x)`), a length or angle, a ratio or quotient of such, or a tuple of symbols.

What it does not do: solve for a name.
"""

from __future__ import annotations

from limo.verify.maths.nodes import Node
from limo.verify.maths.values import substituted, symbols, walk

_SEGMENT = {"sym", "app"}
_WHOLE_NUMBERS = {"k", "n", "m", "l"}
_CONSTANTS = ("C", "c", "K", "k")


def is_name(node: Node) -> bool:
    """Whether a tree only names something."""
    if node[0] in _SEGMENT or node == ("const", "e") or node == ("const", "i"):
        return True
    if node[0] in ("abs", "deg", "label"):
        return is_name(node[-1] if node[0] == "label" else node[1])
    if node[0] == "/":
        return is_name(node[1]) and is_name(node[2])
    if node[0] == "ratio":
        return all(is_name(part) for part in node[1])
    if node[0] == "seq":
        return bool(node[3]) and node[1] in ("", "(") and all(part[0] in _SEGMENT for part in node[3])
    if node[0] == "mul":  # AB, S_{ABC}: capitals side by side; never xy
        return all(part[0] == "sym" and part[1].lstrip("\\")[:1].isupper() for part in node[1])
    return False


def assignment(node: Node) -> tuple[Node, Node] | None:
    """Name and value of `x = 5`, `x = 2 + 3 = 5`, `5 = x`; None where it is no such thing."""
    if node[0] == "label":
        inner = assignment(node[2])
        return inner or (("sym", node[1]), node[2])
    if node[0] != "rel" or set(node[2]) - {"="}:
        return None
    items = node[1]
    if is_name(items[0]):
        last = items[-1] if not (len(items) > 2 and is_name(items[-1]) and not is_name(items[-2])) else items[-2]
        return items[0], last
    if is_name(items[-1]) and len(items) == 2:
        return items[-1], items[0]
    return None


def value_of(node: Node, *, strict: bool) -> Node | None:
    """What a relation says its name is.  Not strict: the right side of any equation that ends in a constant."""
    if node[2] in (("in",), ("==",)):
        return node[1][1] if node[2] == ("in",) and is_name(node[1][0]) else node[1][-1]
    found = assignment(node)
    if found:
        return found[1]
    if strict or set(node[2]) - {"=", "~"}:
        return _total(node)
    last = node[1][-1]
    return last if (not symbols(last) and last != ("num", 0, 0, 0)) or not symbols(node) else None


def _total(node: Node) -> Node | None:
    """`2 + 3 = 5` without a name: its last part, if nothing in it is unknown."""
    return node[1][-1] if set(node[2]) <= {"=", "~"} and not symbols(node) else None


def is_graph(name: Node, other: Node) -> bool:
    """`f(x)` and `y`: a function's value, and what it is called where its graph is drawn."""
    return name[0] == "app" and name[2] == (("sym", "x"),) and other == ("sym", "y")


def bound_form(name: Node, value: Node) -> tuple[Node, Node]:
    """`f(z) = z^2` with its bound letter replaced by a fixed one."""
    if name[0] == "app" and len(name[2]) == 1 and name[2][0][0] == "sym":
        letter, fixed = name[2][0][1], ("sym", "·")
        return ("app", name[1], (fixed,)), substituted(value, letter, fixed)
    return name, value


def renamed_constants(gold: Node, pred: Node) -> Node:
    """`+ C` and `+ c_1`: constants of integration that one side alone has, given the other's names."""
    missing = sorted(symbols(gold) - symbols(pred))
    extra = sorted(symbols(pred) - symbols(gold))
    if not missing or len(missing) != len(extra) or len(missing) > 4:
        return pred
    if {*missing, *extra} <= _WHOLE_NUMBERS and len(missing) == 1 and _has_pi(gold) and _has_pi(pred):
        return substituted(pred, extra[0], ("sym", missing[0]))
    if not all(name.split("_")[0] in _CONSTANTS for name in [*missing, *extra]) or len(symbols(gold)) == len(missing):
        return pred
    for new, old in zip(missing, extra, strict=True):
        pred = substituted(pred, old, ("sym", new))
    return pred


def _has_pi(node: Node) -> bool:
    return any(part == ("const", "pi") for part in walk(node))
