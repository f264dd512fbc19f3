"""Two trees: the same answer or not, by their structure first and their values where values stand.

    Comparer().same(parse("(1,2)"), parse("(1,2)"))     # True; swapped: False
    Comparer().same(parse("1,2"), parse("2,1"))         # True: a bare list has no order

Order counts in tuples, intervals and matrices; not in sets and lists of roots.  `x = 5` is met by 5, `f(x) = 2x` by
2x, `\\pm 3` by 3 and -3, 28% by 28 and by 0.28, 90 degrees by 90 and by pi/2; an equation by its multiples; an
inequality by the interval it describes.  `tier` and `reason` tell what decided.

What it does not do: guess.  `same` is None where a value cannot be told.
"""

from __future__ import annotations

from fractions import Fraction

from limo.verify.maths.curves import same_curve
from limo.verify.maths.evaluation import TooLarge, Undefined, Unknown
from limo.verify.maths.lists import alone, by_name, items_of
from limo.verify.maths.names import assignment, bound_form, is_graph, is_name, renamed_constants, value_of
from limo.verify.maths.nodes import Node
from limo.verify.maths.scalars import Scalars
from limo.verify.maths.sets import INEQUALITIES, is_condition, is_setlike, same_set, solution_set
from limo.verify.maths.values import kinds, ratio_at_points, same_value, symbols
from limo.verify.process.limits import DOUBLE_DIGITS

MAX_ITEMS = 200
_OPPOSITE = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class Comparer(Scalars):
    """One comparison; `tolerance` is relative, for answers that are rounded decimals; `digits` see `decimals`."""

    def __init__(self, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS) -> None:
        super().__init__(tolerance, digits)
        self.budget = 4000

    def same(self, gold: Node, pred: Node) -> bool | None:
        """Equal, different, or None."""
        self.budget -= 1
        if self.budget < 0:
            self.reason = "too many parts"
            return None
        gold, pred = _plain(gold), _plain(pred)
        if gold == pred:
            self.note("structural" if gold[0] in ("seq", "rel", "mat") else "rational", "same form")
            return True
        if "cong" in (gold[0], pred[0]):
            return self.congruences(gold, pred)
        if "rel" in (gold[0], pred[0]):
            return self.relations(gold, pred)
        if is_setlike(gold) or is_setlike(pred):
            return self.sets(gold, pred)
        if "mat" in (gold[0], pred[0]):
            return self.matrices(gold, pred)
        gold, pred = alone(gold), alone(pred)
        if {"seq", "pm", "mp"} & {gold[0], pred[0]} or "pm" in kinds(gold) | kinds(pred):
            return self.sequences(gold, pred)
        if "ratio" in (gold[0], pred[0]):
            return self.ratios(gold, pred)
        return self.scalars(gold, pred)

    # --- structures ----------------------------------------------------------------------------------------------

    def all(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool | None:
        """Pair by pair, in order."""
        if len(gold) != len(pred):
            self.reason = "different number of parts"
            return False
        unsure = False
        for a, b in zip(gold, pred, strict=True):
            same = self.same(a, b)
            if same is False:
                return False
            unsure = unsure or same is None
        self.note("structural", "part by part")
        return None if unsure else True

    def unordered(self, gold: list[Node], pred: list[Node]) -> bool | None:
        """Each part of one side meets a part of its own on the other."""
        if len(gold) != len(pred) or len(gold) > MAX_ITEMS:
            self.reason = "different number of parts"
            return False if len(gold) != len(pred) else None
        rest, unsure = list(pred), False
        for a in gold:
            for i, b in enumerate(rest):
                same = self.same(a, b)
                unsure = unsure or same is None
                if same:
                    del rest[i]
                    break
            else:
                return None if unsure else False
        self.note("structural", "part by part, in any order")
        return True

    def matrices(self, gold: Node, pred: Node) -> bool | None:
        """Shape and entries; a column or row is also met by the tuple of its entries."""
        gold, pred = _as_matrix(gold), _as_matrix(pred)
        if gold[0] == pred[0] == "mat":
            if [len(row) for row in gold[1]] != [len(row) for row in pred[1]]:
                return False
            return self.all(tuple(x for row in gold[1] for x in row), tuple(x for row in pred[1] for x in row))
        matrix, other = (gold, pred) if gold[0] == "mat" else (pred, gold)
        flat = tuple(x for row in matrix[1] for x in row)
        if other[0] == "seq" and (len(matrix[1]) == 1 or all(len(row) == 1 for row in matrix[1])):
            return self.all(flat, other[3]) if gold[0] == "mat" else self.all(other[3], flat)
        if len(flat) == 1:
            return self.same(flat[0], other) if gold[0] == "mat" else self.same(other, flat[0])
        self.reason = "a matrix against none"
        return None if other[0] in ("mul", "add", "pow") else False

    def sequences(self, gold: Node, pred: Node) -> bool | None:
        """Tuples keep their order, sets and bare lists do not."""
        g_items, g_free = items_of(gold)
        p_items, p_free = items_of(pred)
        bare = (gold[0] != "seq" or not gold[1], pred[0] != "seq" or not pred[1])
        bracketed = gold[0] == pred[0] == "seq" and not any(bare)
        if bracketed and gold[1:3] != pred[1:3] and not _both_tuples(gold, pred, len(g_items)):
            self.reason = "different brackets"
            return False
        if g_free and p_free:
            if not all(bare):
                g_items, p_items = self.distinct(g_items), self.distinct(p_items)
            if len(g_items) < len(p_items) and len(self.distinct(g_items)) == len(g_items):
                p_items = self.distinct(p_items)
            named = by_name(g_items, p_items)
            if named is not None:
                return self.all(*named)
            return self.unordered(g_items, p_items)
        if (g_free and not bare[0]) or (p_free and not bare[1]):
            self.reason = "a set against a tuple"
            return False
        return self.all(tuple(g_items), tuple(p_items))

    def distinct(self, items: list[Node]) -> list[Node]:
        """A set's members, each once."""
        kept: list[Node] = []
        for item in items[:MAX_ITEMS]:
            if not any(_same_exactly(item, other) for other in kept):
                kept.append(item)
        return kept

    def sets(self, gold: Node, pred: Node) -> bool | None:
        """Sets of numbers, by what they hold."""
        for side, other in ((gold, pred), (pred, gold)):
            if other[0] == "seq" and other[1] == "" and is_setlike(side) and not is_setlike(other):
                self.reason = "a set against a list"
                return False
        if (
            gold[0] == pred[0] == "seq"
            and gold[1:3] == pred[1:3]
            and gold[1] in ("(", "[")
            and self.all(gold[3], pred[3])
        ):
            return True
        a, b = solution_set(gold), solution_set(pred)
        if a is not None and b is not None:
            self.note("structural", "same set" if same_set(a, b) else "different sets")
            return same_set(a, b)
        if gold[0] == pred[0] == "seq" and (gold[1], gold[2]) == (pred[1], pred[2]):
            return self.all(gold[3], pred[3])
        if gold[0] == pred[0] and gold[0] in ("cup", "cap", "minus"):
            straight = self.all(gold[1:], pred[1:])
            return straight if straight or gold[0] == "minus" else self.all(gold[1:], (pred[2], pred[1]))
        if gold[0] == pred[0] == "build":
            return self.all(gold[1:], pred[1:])
        if gold[0] == pred[0] == "seq" and all(side[1] in ("(", "[") and len(side[3]) == 2 for side in (gold, pred)):
            self.reason = "different brackets"
            return None if symbols(gold) or symbols(pred) else False
        interval = next((side for side in (gold, pred) if side[0] == "seq" and side[1] in ("(", "[")), None)
        if interval is not None and (a is None) != (b is None):
            other = pred if interval is gold else gold
            return False if other[0] in ("num", "neg", "sym", "/", "mul", "add", "seq") else None
        self.reason = "sets that cannot be solved"
        return None

    def congruences(self, gold: Node, pred: Node) -> bool | None:
        """3 mod 7 is 10 mod 7 and not 3 mod 8; the modulus may be left away, as a unit may."""
        if gold[0] == "rel" or pred[0] == "rel":
            bare, other = (gold, pred) if gold[0] == "cong" else (pred, gold)
            value = value_of(other, strict=True) if other[2] == ("==",) else None
            if value is None:
                return False
            return self.same(bare, value) if bare is gold else self.same(value, bare)
        if gold[0] != pred[0]:
            return self.same(gold[1], pred) if gold[0] == "cong" else self.same(gold, pred[1])
        if not self.same(gold[2], pred[2]):
            self.reason = "different moduli"
            return False
        difference = ("fn", "mod", (("add", (gold[1], ("neg", pred[1]))), gold[2]))
        return True if self.same(gold[1], pred[1]) else self.values(("num", Fraction(0), 0, 0), difference)

    # --- relations -----------------------------------------------------------------------------------------------

    def relations(self, gold: Node, pred: Node) -> bool | None:
        """Equations, assignments, inequalities; each against its like, or against the value or set it states."""
        if gold[0] == "rel" and pred[0] == "rel":
            return self.two_relations(gold, pred)
        if is_condition(gold) or is_condition(pred):
            value = value_of(gold, strict=True) if gold[0] == "rel" else value_of(pred, strict=True)
            if value is not None:
                return self.same(value, pred) if gold[0] == "rel" else self.same(gold, value)
            other = pred if gold[0] == "rel" else gold
            if other[0] not in ("seq", "cup", "cap", "minus", "build"):
                self.reason = "a condition against a value"
                return False
            return self.sets(gold, pred)
        if gold[0] == "rel":
            value = value_of(gold, strict=True)
            if pred[0] == "seq" and value is not None and value[0] != "seq" and len(pred[3]) == 1:
                return self.same(value, pred[3][0])
            if value is None:
                self.reason = "an equation against none"
                return False
            return self.same(value, pred)
        value = value_of(pred, strict=False)
        if value is None:
            self.reason = "a value against an equation"
            return False
        return self.same(gold, value)

    def two_relations(self, gold: Node, pred: Node) -> bool | None:
        names = assignment(gold), assignment(pred)
        if names[0] and names[1]:
            same = self.assignments(names[0], names[1])
            if same or names[0][0][0] == names[1][0][0] == "app" or names[0][0] == names[1][0]:
                return same
        if is_condition(gold) and is_condition(pred):
            return self.conditions(gold, pred)
        if len(gold[1]) == len(pred[1]) == 2 and gold[2] == pred[2] == ("=",):
            return self.equations(gold, pred)
        if gold[2] == pred[2]:
            same = self.all(gold[1], pred[1])
            if same is not False or len(gold[1]) == 2:
                return same
        ends = [("rel", (n[1][0], n[1][-1]), ("=",)) for n in (gold, pred) if set(n[2]) <= {"=", "~"}]
        if len(ends) == 2 and len(gold[1]) + len(pred[1]) > 4:
            return self.same(ends[0], ends[1])
        return False if len(gold[1]) == len(pred[1]) else None

    def assignments(self, gold: tuple[Node, Node], pred: tuple[Node, Node]) -> bool | None:
        """`f(z) = z` is `f(x) = x`; `x = 5` is not `y = 5`."""
        if {gold[0][0], pred[0][0]} == {"sym", "app"} and gold[0][1] == pred[0][1]:  # y = ... and y(x) = ...
            return self.same(gold[1], pred[1])
        if is_graph(gold[0], pred[0]) or is_graph(pred[0], gold[0]):
            return self.same(gold[1], pred[1])
        (g_name, g_value), (p_name, p_value) = bound_form(*gold), bound_form(*pred)
        if g_name == p_name or self.values_quietly(g_name, p_name):
            return self.same(g_value, p_value)
        self.reason = "different names"
        return False

    def values_quietly(self, a: Node, b: Node) -> bool:
        return a[0] == b[0] == "seq" and a[3] == b[3]

    def equations(self, gold: Node, pred: Node) -> bool | None:
        """One is a multiple of the other."""
        g = ("add", (gold[1][0], ("neg", gold[1][1])))
        p = ("add", (pred[1][0], ("neg", pred[1][1])))
        for first, second in (
            ((gold[1][0], gold[1][1]), (pred[1][0], pred[1][1])),
            ((gold[1][0], gold[1][1]), (pred[1][1], pred[1][0])),
        ):
            if first == second:
                return True
        try:
            if not symbols(g) and not symbols(p):
                return self.all(gold[1], pred[1]) or self.all(gold[1], pred[1][::-1])
            p = renamed_constants(g, p)
            factor = ratio_at_points(g, p)
            if factor is not None:
                self.note("symbolic", "the same equation up to a factor")
                return True
            if symbols(g) != symbols(p):
                return False
            same = same_curve(g, p)
            if same:
                self.note("symbolic", "the same curve at every point tried")
            return same
        except (Undefined, TooLarge, Unknown, TypeError):
            return None

    def conditions(self, gold: Node, pred: Node) -> bool | None:
        """Inequalities: the same solutions in the same unknown, or the same chain read from either end."""
        if symbols(gold) == symbols(pred):
            a, b = solution_set(gold), solution_set(pred)
            if a is not None and b is not None and symbols(gold):
                self.note("structural", "same solutions" if same_set(a, b) else "different solutions")
                return same_set(a, b)
        if gold[2] == ("in",) == pred[2]:
            return self.all(gold[1], pred[1])
        g_items, g_ops = _rising(gold)
        p_items, p_ops = _rising(pred)
        if g_ops == p_ops and len(g_items) == len(p_items):
            same = self.all(g_items, p_items)
            if same or len(g_items) != 2 or g_ops[0] not in INEQUALITIES:
                return same
            return self.same_direction(g_items, p_items)
        self.reason = "different relations"
        if len(g_items) == len(p_items) or not symbols(gold):
            return False
        return None

    def same_direction(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool | None:
        """a < b and c < d are the same when b - a is a positive multiple of d - c."""
        try:
            factor = ratio_at_points(("add", (gold[1], ("neg", gold[0]))), ("add", (pred[1], ("neg", pred[0]))))
        except (Undefined, TooLarge, Unknown, TypeError):
            return None
        if not symbols(("add", gold)):
            return False
        self.note("symbolic", "the same inequality up to a factor")
        return factor is not None and not getattr(factor, "imag", 0) and factor > 0


def _plain(node: Node) -> Node:
    """Without labels, and with chains such as `1/3 ≈ 0.33` cut to their exact part."""
    while node[0] == "label":
        node = node[2]
    if node[0] == "rel" and "~" in node[2]:
        at = node[2].index("~")
        if at > 0 or not is_name(node[1][0]):
            node = ("rel", node[1][: at + 1], node[2][:at]) if at else node[1][0]
        else:
            node = ("rel", node[1][:2], ("=",))
    if node[0] == "seq" and node[1] == "[" and len(node[3]) == 1:
        return node[3][0]
    if node[0] == "neg" and node[1][0] == "num":
        return ("num", -node[1][1], *node[1][2:])
    if node[0] in ("neg", "unit") and node[1][0] in ("unit", "pct", "deg", "rel", "label", "seq"):
        inner = node[1]
        if node[0] == "neg" and inner[0] in ("unit", "pct", "deg"):
            return (inner[0], ("neg", inner[1]), *inner[2:])
        if node[0] == "unit" and inner[0] in ("rel", "seq", "label"):
            return _unit_inside(inner, node[2])
    return node


def _unit_inside(node: Node, unit: str) -> Node:
    """`x = 5 cm` is x = (5 cm); words after a list belong to its last part."""
    if node[0] == "rel" and node[2][-1] == "=":
        return ("rel", (*node[1][:-1], ("unit", node[1][-1], unit)), node[2])
    return node


def _as_matrix(node: Node) -> Node:
    """`[[1, 2], [3, 4]]` as the matrix it is."""
    if node[0] != "seq" or node[1] != "[" or not all(row[0] == "seq" and row[1] == "[" for row in node[3]):
        return node
    return ("mat", tuple(row[3] for row in node[3])) if node[3] else node


def _both_tuples(gold: Node, pred: Node, n_items: int) -> bool:
    """`(1, 2, 3)` and `[1, 2, 3]`: with three parts and more square brackets mean no interval."""
    return n_items > 2 and {gold[1], pred[1]} == {"(", "["} and {gold[2], pred[2]} == {")", "]"}


def _same_exactly(a: Node, b: Node) -> bool:
    try:
        return a == b or bool(same_value(a, b))
    except (Undefined, TooLarge, Unknown):
        return False


def _rising(node: Node) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """A chain turned so that its first sign points up."""
    items, ops = node[1], node[2]
    if ops and ops[0] in (">", ">=") and all(op in _OPPOSITE for op in ops):
        return items[::-1], tuple(_OPPOSITE[op] for op in reversed(ops))
    return items, ops
