"""Relations and lists taken apart: names and values of assignments, chains cut and turned, the items of a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import cycle, product
from typing import TypeGuard

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import NoValue, Undecidable
from limo.verify.maths.nodes import ELLIPSIS, IMAGINARY, PI, Node, difference, replaced, substituted
from limo.verify.maths.units import read_unit
from limo.verify.maths.values import progression, same_value

INEQUALITIES = frozenset(("<", ">", "<=", ">="))
OPPOSITE = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
MAX_ITEMS, MAX_SIGNS = 200, 5
_DOMAINS = {nodes.Symbol(name) for name in ("\\mathbbZ", "Z", "\\mathbbN", "R", "N")}
INDICES = {"k", "n", "m", "l"}  # letters that stand for any whole number
_CONSTANTS = ("C", "c", "K", "k")  # letters that stand for any number


def is_name(node: Node) -> bool:
    """Whether a tree only names something."""
    match node:
        case nodes.Symbol() | nodes.Application() | nodes.Constant("e" | "i"):
            return True
        case nodes.Absolute(inner):
            return (is_name(inner) and not _is_unknown(inner)) or _is_vector(inner)
        case nodes.Degrees(inner) | nodes.Labelled(_, inner):
            return is_name(inner)
        case nodes.Quotient(over, under):
            return all(is_name(part) and not _is_unknown(part) for part in (over, under))
        case nodes.Ratio(parts):
            return all(is_name(part) for part in parts)
        case nodes.Listing(opening, _, items):
            named = all(isinstance(item, nodes.Symbol | nodes.Application) for item in items)
            return bool(items) and opening in ("", "(") and named
        case nodes.Product(factors):  # AB, S_{ABC}: capitals side by side; never xy
            return all(_is_capital(factor) or _is_vector(factor) for factor in factors)
    return False


def _is_capital(node: Node) -> bool:
    return isinstance(node, nodes.Symbol) and node.name.lstrip("\\")[:1].isupper()


def _is_vector(node: Node) -> bool:
    """B - A, as which `\\overrightarrow{AB}` is read."""
    match node:
        case nodes.Sum((end, nodes.Negative(start))):
            return _is_capital(end) and _is_capital(start)
    return False


def _is_unknown(node: Node) -> bool:
    return isinstance(node, nodes.Symbol) and node.name.islower()


def is_condition(node: Node) -> bool:
    """An inequality, or membership in a set."""
    return isinstance(node, nodes.Relation) and any(sign in INEQUALITIES or sign in ("in", "!=") for sign in node.signs)


def assignment(node: Node) -> tuple[Node, Node] | None:
    """Name and value of `x = 5`, `x = 2 + 3 = 5`, `5 = x`; None where it is no such thing."""
    if isinstance(node, nodes.Labelled):
        return assignment(node.value) or (nodes.Symbol(node.label), node.value)
    if not isinstance(node, nodes.Relation) or set(node.signs) - {"="}:
        return None
    sides = node.sides
    if is_name(sides[0]):
        names_again = len(sides) > 2 and is_name(sides[-1]) and not is_name(sides[-2])
        return sides[0], sides[-2] if names_again else sides[-1]
    if is_name(sides[-1]) and len(sides) == 2:
        return sides[-1], sides[0]
    return None


def stated_value(relation: nodes.Relation) -> Node | None:
    """What a relation says its name is; a single name, or a calculation, introduces a value and nothing else does."""
    if relation.signs in (("in",), ("==",)):
        return relation.sides[1] if relation.signs == ("==",) or is_name(relation.sides[0]) else None
    named = assignment(relation)
    if named or set(relation.signs) - {"=", "~"}:
        return named[1] if named else None
    return None if relation.symbols else relation.sides[-1]


def calculated_value(relation: nodes.Relation) -> Node | None:
    """What a calculation ends in: `4x - x = 3x`, and `a + b = 11 + 9 = 20` with numbers put in for letters."""
    first, *others = relation.sides
    if set(relation.signs) != {"="}:
        return None
    put_in = len(others) > 1 and not any(other.symbols for other in others) and _puts_in(first, others[0], {})
    return others[-1] if put_in or all(_surely_same(first, other) for other in others) else None


def _puts_in(node: Node, other: Node, numbers: dict[str, Node]) -> bool:
    """Whether a tree is another with numbers for letters."""
    if isinstance(node, nodes.Symbol):
        return not other.symbols and numbers.setdefault(node.name, other) == other
    if not node.children:
        return node == other
    same = type(node) is type(other) and len(node.children) == len(other.children)
    return same and all(_puts_in(a, b, numbers) for a, b in zip(node.children, other.children, strict=True))


def is_graph(name: Node, other: Node) -> bool:
    """`f(x)` and `y`: a function's value, and what it is called where its graph is drawn."""
    return isinstance(name, nodes.Application) and name.arguments == (nodes.Symbol("x"),) and other == nodes.Symbol("y")


def named_values(items: Iterable[Node]) -> list[tuple[Node, Node]]:
    """Name and value of each item; [] where one has none."""
    pairs = [assignment(item) for item in items]
    return [pair for pair in pairs if pair] if all(pairs) else []


def with_bound_letter(name: Node, value: Node) -> tuple[Node, Node]:
    """`f(z) = z^2` with its bound letter replaced by a fixed one."""
    if isinstance(name, nodes.Application) and len(name.arguments) == 1 and isinstance(name.arguments[0], nodes.Symbol):
        fixed = nodes.Symbol("·")
        return nodes.Application(name.name, (fixed,)), substituted(value, name.arguments[0].name, fixed)
    return name, value


def with_constants_renamed(gold: Node, pred: Node) -> Node:
    """`pred` with constants of integration (`+ C`, `+ c_1`) that it alone has given the names that `gold` alone has."""
    missing = sorted(gold.symbols - pred.symbols)
    extra = sorted(pred.symbols - gold.symbols)
    if extra == ["I"] and IMAGINARY in gold.walk():
        return replaced(pred, nodes.Symbol("I"), IMAGINARY)
    if not missing or len(missing) != len(extra) or len(missing) > 4:
        return pred
    if {*missing, *extra} <= INDICES and len(missing) == 1 and has_pi(gold) and has_pi(pred):
        return substituted(pred, extra[0], nodes.Symbol(missing[0]))
    if not all(name.split("_")[0] in _CONSTANTS for name in [*missing, *extra]) or len(gold.symbols) == len(missing):
        return pred
    for new, old in zip(missing, extra, strict=True):
        pred = substituted(pred, old, nodes.Symbol(new))
    return pred


def has_pi(node: Node) -> bool:
    """Whether π is written in a tree."""
    return any(part == PI for part in node.walk())


def simplified(node: Node) -> Node:
    """Without labels and needless brackets; `1/3 ≈ 0.33` cut to its exact part; signs and units moved inside."""
    while isinstance(node, nodes.Labelled):
        node = node.value
    if isinstance(node, nodes.Relation) and "~" in node.signs:
        node = _exact_part(node)
    match node:
        case nodes.Listing("[", _, (item,)):
            return item
        case nodes.Negative(nodes.Number(value, significant, place)):
            return nodes.Number(-value, significant, place)
        case nodes.Negative(nodes.Quantity() | nodes.Percent() | nodes.Degrees() as inner):
            return inner.rebuilt(nodes.Negative)
        case nodes.Quantity(nodes.Relation(sides, signs), unit) if signs[-1] == "=":  # `x = 5 cm` is x = (5 cm)
            return nodes.Relation((*sides[:-1], nodes.Quantity(sides[-1], unit)), signs)
        case nodes.Quantity(nodes.Relation() | nodes.Listing() | nodes.Labelled() as inner):
            return inner
    return node


def _exact_part(relation: nodes.Relation) -> Node:
    at = relation.signs.index("~")
    if at == 0 and is_name(relation.sides[0]):
        return nodes.Relation(relation.sides[:2], ("=",))
    return nodes.Relation(relation.sides[: at + 1], relation.signs[:at]) if at else relation.sides[0]


def rising(relation: nodes.Relation) -> nodes.Relation:
    """A chain turned so that its first sign points up."""
    if relation.signs[0] in (">", ">=") and all(sign in OPPOSITE for sign in relation.signs):
        return nodes.Relation(relation.sides[::-1], tuple(OPPOSITE[sign] for sign in reversed(relation.signs)))
    return relation


def items_of(node: Node, *, named: bool = True) -> tuple[list[Node], bool]:
    """The items of a list (or the one expression that is none), and whether their order is free; `named`: as values."""
    if not isinstance(node, nodes.Listing):
        return [node], True
    kept = node.items if node.opening else tuple(item for item in node.items if not is_domain(item))
    pairs = [_labelled(item) if isinstance(item, nodes.Ratio) else None for item in kept]
    if len(kept) > 1 and all(pairs):
        kept = tuple(nodes.Relation(pair, ("=",)) for pair in pairs if pair)
    items = grouped(list(_without_names(kept))) if named else list(kept)
    return _whole_progression(items), node.opening in ("", "{")


def _whole_progression(items: list[Node]) -> list[Node]:
    """`1, 2, ..., 5` with all its numbers, where it has an end."""
    at = items.index(ELLIPSIS) if ELLIPSIS in items else 0
    known = [item.value for item in items if isinstance(item, nodes.Number)]
    if not at or at != len(items) - 2 or len(known) < len(items) - 1:
        return items
    numbers = progression(known[:at], known[at])
    return [nodes.Number(number) for number in numbers] if numbers else items


def has_equations(node: Node) -> bool:
    """Whether an item of a list is an equation that states no value."""
    items = node.items if isinstance(node, nodes.Listing) else ()
    return any(isinstance(item, nodes.Relation) and set(item.signs) == {"="} and not assignment(item) for item in items)


def single_item(node: Node) -> Node:
    """A list that holds one item besides the range of its letters is that item."""
    if isinstance(node, nodes.Listing) and not node.opening:
        kept = [item for item in node.items if not is_domain(item)]
        if len(kept) == 1:
            return kept[0]
    return node


def aligned_by_name(gold: list[Node], pred: list[Node]) -> tuple[tuple[Node, ...], tuple[Node, ...]] | None:
    """The values of both lists in order, where every item of one has a name of its own, and of the other none or it."""
    if not gold or len(gold) != len(pred):
        return None
    g, p = [_labelled(item) for item in gold], [_labelled(item) for item in pred]
    if all(g) and all(p):
        of_gold, of_pred = ({repr(name): value for name, value in filter(None, pairs)} for pairs in (g, p))
        if len(of_gold) < len(gold) or of_gold.keys() != of_pred.keys():
            return None
        return tuple(of_gold.values()), tuple(of_pred[name] for name in of_gold)
    named, others = (g, p) if all(g) else (p, g)
    pairs = [pair for pair in named if pair]
    if any(others) or len({repr(name) for name, _ in pairs}) < len(gold):
        return None
    values = tuple(value for _, value in pairs)
    return (values, tuple(pred)) if named is g else (tuple(gold), values)


def _labelled(node: Node) -> tuple[Node, Node] | None:
    """Name and value of an item: `x = 1`, `x: 1`, `12 boys`."""
    match node:
        case nodes.Ratio((nodes.Symbol() as name, value)) if not value.symbols:
            return name, value
        case nodes.Quantity(value, words) if read_unit(words) is None:
            return nodes.Symbol(words), value
    return assignment(node)


def entries(node: Node) -> tuple[Node, ...] | None:
    """The entries of a row, of a column or of a list; None for any other tree."""
    if isinstance(node, nodes.Matrix):
        return node.children if len(node.rows) == 1 or all(len(row) == 1 for row in node.rows) else None
    return node.items if isinstance(node, nodes.Listing) else None


def congruent(node: Node) -> Node | None:
    """What a congruence `x == 3` says x is; any other relation says nothing."""
    if not isinstance(node, nodes.Relation):
        return node
    return stated_value(node) if node.signs == ("==",) else None


def is_braced(node: Node) -> bool:
    """Whether a tree is a set in braces."""
    return isinstance(node, nodes.Listing) and node.opening == "{"


def in_brackets(node: Node) -> bool:
    """A tuple or an interval."""
    return isinstance(node, nodes.Listing) and node.opening in ("(", "[")


def operands(kind: type[Node], field: str, *sides: Node) -> list[Node]:
    """The sides, each of a kind replaced by the node that it holds."""
    return [getattr(side, field) if isinstance(side, kind) else side for side in sides]


def as_matrix(node: Node) -> Node:
    """`[[1, 2], [3, 4]]` as the matrix it is."""
    if not isinstance(node, nodes.Listing) or node.opening != "[" or not node.items:
        return node
    rows = [row.items for row in node.items if isinstance(row, nodes.Listing) and row.opening == "["]
    return nodes.Matrix(tuple(rows)) if len(rows) == len(node.items) else node


def are_tuples(gold: nodes.Listing, pred: nodes.Listing, n_items: int) -> bool:
    """`(1, 2, 3)` and `[1, 2, 3]`: with three items and more square brackets mean no interval."""
    return n_items > 2 and {gold.opening, pred.opening} == {"(", "["} and {gold.closing, pred.closing} == {")", "]"}


def distinct(items: list[Node]) -> list[Node]:
    """The items without those that repeat another.  Raises Undecidable where there are too many."""
    if len(items) > MAX_ITEMS:
        raise Undecidable(f"a list of more than {MAX_ITEMS} items")
    kept: list[Node] = []
    for item in items:
        if not any(_surely_same(item, other) for other in kept):
            kept.append(item)
    return kept


def is_domain(node: Node) -> bool:
    """`k \\in \\mathbb{Z}`: it says what a letter may be, and is no part of the answer."""
    return isinstance(node, nodes.Relation) and node.signs == ("in",) and node.sides[1] in _DOMAINS


def _without_names(items: tuple[Node, ...]) -> tuple[Node, ...]:
    """`n = 1, 2, 3` is the list of its values; so is `x = 1, x = 2`."""
    named = [assignment(item) for item in items]
    if len(items) < 2 or not named[0]:
        return items
    name, value = named[0]
    if not any(named[1:]):
        return items if any(isinstance(item, nodes.Relation) for item in items[1:]) else (value, *items[1:])
    if all(pair and pair[0] == name for pair in named):
        return tuple(pair[1] for pair in named if pair)
    return items


def with_signs(node: Node, *, independent: bool) -> Node:
    """The bare list of what ± stands for; `independent`: each ± of an item has its own sign.  Raises Undecidable."""
    if nodes.PlusMinus not in node.kinds:
        return node
    if isinstance(node, nodes.Listing) and node.opening in ("", "{"):
        parts = (with_signs(item, independent=independent) for item in node.items)
        items = [item for part in parts for item in (part.items if _is_bare(part) else (part,))]
        return replace(node, items=tuple(items))
    n = sum(isinstance(part, nodes.PlusMinus) for part in node.walk()) if independent else 1
    if n > MAX_SIGNS:
        raise Undecidable(f"more than {MAX_SIGNS} signs ± to write out")
    joiner = "or" if isinstance(node, nodes.Relation) else ","
    return nodes.Listing("", "", tuple(_with_signs(node, cycle(s)) for s in product("+-", repeat=n)), joiner)


def one_by_one(relation: nodes.Relation) -> nodes.Listing | None:
    """`(x, y) = (1, 2)` as x = 1, y = 2; None for anything else."""
    match relation:
        case nodes.Relation((nodes.Listing(items=names), nodes.Listing(items=values)), ("=",)):
            if len(names) == len(values) and all(map(is_name, names)):
                pairs = zip(names, values, strict=True)
                return nodes.Listing("", "", tuple(nodes.Relation(pair, ("=",)) for pair in pairs))
    return None


def has_names(node: nodes.Listing) -> bool:
    """Whether each item of a list is the value of a name of its own."""
    return len({name for name, _ in named_values(node.items)}) == len(node.items)


def one_equation(node: Node) -> nodes.Relation | None:
    """`y = a or y = b` as (y - a)(y - b) = 0; None for anything else."""
    if not isinstance(node, nodes.Listing) or node.joiner != "or":
        return None
    sides = [item.sides for item in node.items if isinstance(item, nodes.Relation) and item.signs == ("=",)]
    if len(sides) < len(node.items):
        return None
    return nodes.Relation((nodes.Product(tuple(difference(*pair) for pair in sides)), nodes.ZERO), ("=",))


def _is_bare(node: Node) -> TypeGuard[nodes.Listing]:
    return isinstance(node, nodes.Listing) and not node.opening


def _with_signs(node: Node, signs: Iterator[str]) -> Node:
    if isinstance(node, nodes.PlusMinus):
        sign = next(signs)
        left, right = _with_signs(node.left, signs), _with_signs(node.right, signs)
        return nodes.Sum((left, right if sign == node.first else nodes.Negative(right)))
    return node.rebuilt(lambda child: _with_signs(child, signs))


def grouped(items: list[Node]) -> list[Node]:
    """`x=1, y=2, x=3, y=4` as the pairs (1, 2), (3, 4): names that come again begin the next."""
    pairs = named_values(items)
    names = [repr(name) for name, _ in pairs]
    period = len(set(names))
    if period in (0, 1, len(names)) or len(names) % period or names != names[:period] * (len(names) // period):
        return items
    order = sorted(range(period), key=names.__getitem__)
    return [nodes.Listing("(", ")", tuple(pairs[at + k][1] for k in order)) for at in range(0, len(pairs), period)]


def differ_in_logic(gold: Node, pred: Node) -> bool:
    """Whether one says "and" and the other "or" of what is no value: conditions, propositions, several unknowns."""
    if not (isinstance(gold, nodes.Listing) and isinstance(pred, nodes.Listing)):
        return False
    items = (*gold.items, *pred.items)
    n_names = min(len({repr(pair[0]) for item in side.items if (pair := assignment(item))}) for side in (gold, pred))
    logical = any(is_condition(item) or isinstance(item, nodes.Symbol) for item in items) or n_names > 1
    return {gold.joiner, pred.joiner} == {"and", "or"} and logical


def _surely_same(a: Node, b: Node) -> bool:
    try:
        return a == b or bool(same_value(a, b))
    except NoValue:
        return False
