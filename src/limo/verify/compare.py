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

from limo.verify.curves import same_curve
from limo.verify.names import assignment, bound_form, is_name, renamed_constants, value_of
from limo.verify.sets import INEQUALITIES, is_condition, is_setlike, same_set, solution_set
from limo.verify.syntax import Node
from limo.verify.units import compatible, split_unit
from limo.verify.value import TooLarge, Undefined, Unknown, constant, kinds, ratio_at_points, same_value, symbols
from limo.verify.decimals import decimal_of, rounds_to

MAX_ITEMS = 200
_UNIT_LETTERS = frozenset("mgshLNJVWK")
_ORDER = ("rational", "numeric", "symbolic", "structural")
_OPPOSITE = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class Comparer:
    """One comparison; `tolerance` is relative, for answers that are rounded decimals."""

    def __init__(self, tolerance: float = 0.0) -> None:
        self.tolerance = tolerance
        self.tier = "rational"
        self.reason = ""
        self.budget = 4000

    def note(self, tier: str, reason: str) -> None:
        """Remember the dearest tier that was needed."""
        if _ORDER.index(tier) >= _ORDER.index(self.tier):
            self.tier, self.reason = tier, reason

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
        if "rel" in (gold[0], pred[0]):
            return self.relations(gold, pred)
        if is_setlike(gold) or is_setlike(pred):
            return self.sets(gold, pred)
        if "mat" in (gold[0], pred[0]):
            return self.matrices(gold, pred)
        gold, pred = _alone(gold), _alone(pred)
        if {"seq", "pm", "mp"} & {gold[0], pred[0]} or "pm" in kinds(gold) | kinds(pred):
            return self.sequences(gold, pred)
        if "ratio" in (gold[0], pred[0]):
            return self.ratios(gold, pred)
        return self.scalars(gold, pred)

    # --- values --------------------------------------------------------------------------------------------------

    def scalars(self, gold: Node, pred: Node) -> bool | None:
        """Units, percent and degrees first, then the values."""
        for marked in (self.units, self.percent, self.degrees):
            found = marked(gold, pred)
            if found != "":
                return found  # type: ignore[return-value]
        measured = _unit_letter(pred) if not symbols(gold) else None
        if measured is not None:
            return self.values(gold, measured[0])
        if gold[0] == "based" or pred[0] == "based":
            return self.based(gold, pred)
        return self.values(gold, pred)

    def values(self, gold: Node, pred: Node) -> bool | None:
        """Exact or many-digit equality, else the rounding of decimals."""
        pred = renamed_constants(gold, pred)
        try:
            same = same_value(gold, pred)
        except Undefined:
            same = None
        except TooLarge:
            return self.too_large(gold, pred)
        except Unknown:
            self.reason = "no value"
            return None
        if same:
            formula = bool(symbols(gold))
            self.note("symbolic" if formula else "rational", "equal at every point tried" if formula else "equal value")
            return True
        if self.rounded(gold, pred):
            self.note("numeric", "equal when rounded")
            return True
        self.reason = self.reason or "different value"
        return same

    def too_large(self, gold: Node, pred: Node) -> bool | None:
        """One side cannot be written down: different from any number that can, if it only grows."""
        for huge, other in ((gold, pred), (pred, gold)):
            try:
                constant(other)
            except (TooLarge, Undefined, Unknown, KeyError):
                continue
            if not symbols(other) and _grows(huge):
                self.reason = "different size"
                return False
        self.reason = "too large to compare"
        return None

    def rounded(self, gold: Node, pred: Node) -> bool:
        """A decimal of enough digits that is the other value rounded; or the stated tolerance."""
        if symbols(gold) or symbols(pred):
            return False
        first, second = decimal_of(gold), decimal_of(pred)
        if first is None and second is None:
            return False
        try:
            a, b = constant(gold), constant(pred)
        except (TooLarge, Undefined, Unknown):
            return False
        if (second and rounds_to(a, second, first is not None)) or (first and rounds_to(b, first, second is not None)):
            return True
        if not (self.tolerance and first) or isinstance(a, float) or isinstance(b, float):
            return False
        return bool(abs(complex(a) - complex(b)) <= self.tolerance * abs(complex(a)))

    def units(self, gold: Node, pred: Node) -> bool | None | str:
        if gold[0] != "unit" and pred[0] != "unit":
            return ""
        (g, g_unit), (p, p_unit) = _measured(gold), _measured(pred)
        for node, unit, other in ((g, g_unit, p), (p, p_unit, g)):
            if unit.startswith(("rad", "弧度")) and other[0] == "deg":
                return self.values(node, other)
        factor = compatible(g_unit, p_unit)
        if factor is None:
            self.reason = "different units"
            return False
        if factor != 1:
            p = ("mul", (("num", factor, 0, 0), p))
        elif split_unit(p_unit) is None and p_unit.startswith(("percent", "pct")):
            p = ("pct", p)
        return self.same(g, p)

    def percent(self, gold: Node, pred: Node) -> bool | None | str:
        """28% is met by 28 and by 0.28; an answer without % by a percentage of its value, or by n% if n is at least 1."""
        g, p = gold[0] == "pct", pred[0] == "pct"
        if not g and not p:
            return ""
        if g and p:
            return self.same(gold[1], pred[1])
        if g:
            return self.values(gold, pred) or self.values(gold[1], pred)
        if self.values(gold, pred):
            return True
        try:
            large = not symbols(gold) and abs(complex(constant(gold))) >= 1
        except (TooLarge, Undefined, Unknown, OverflowError):
            large = False
        return self.values(gold, pred[1]) if large else False

    def degrees(self, gold: Node, pred: Node) -> bool | None | str:
        """90 degrees are met by 90, and by pi/2 where pi is written."""
        g, p = gold[0] == "deg", pred[0] == "deg"
        if not g and not p:
            return ""
        if g and p:
            return self.same(gold[1], pred[1])
        marked, plain = (gold, pred) if g else (pred, gold)
        if ("const", "pi") in _leaves(plain):
            return self.values(marked, plain)
        return self.same(marked[1], plain) if g else self.same(plain, marked[1])

    def based(self, gold: Node, pred: Node) -> bool | None:
        """A numeral with its base: the same numeral, written with or without the base."""
        if gold[0] == pred[0] == "based":
            if gold[2] == pred[2]:
                return bool(gold[1].lstrip("0") == pred[1].lstrip("0"))
            return self.values(gold, pred) or False
        numeral, other = (gold, pred) if gold[0] == "based" else (pred, gold)
        return self.values(("num", Fraction(int(numeral[1])), 0, 0), other)

    def ratios(self, gold: Node, pred: Node) -> bool | None:
        """3:4 is 6:8 and 3/4; 12:00 is not 1:00."""
        g = gold[1] if gold[0] == "ratio" else None
        p = pred[1] if pred[0] == "ratio" else None
        if g and p:
            if len(g) != len(p):
                return False
            if any(("num", Fraction(0), 0, 0) in (a, b) for a, b in zip(g, p, strict=True)):
                return self.all(g, p)
            crossed = [(("mul", (a, p[0])), ("mul", (b, g[0]))) for a, b in zip(g[1:], p[1:], strict=True)]
            return self.all(tuple(a for a, _ in crossed), tuple(b for _, b in crossed))
        return self.values(gold, pred) if len(g or p or ()) == 2 else False

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
        if gold[0] == pred[0] == "mat":
            if [len(row) for row in gold[1]] != [len(row) for row in pred[1]]:
                return False
            return self.all(tuple(x for row in gold[1] for x in row), tuple(x for row in pred[1] for x in row))
        matrix, other = (gold, pred) if gold[0] == "mat" else (pred, gold)
        flat = tuple(x for row in matrix[1] for x in row)
        if other[0] == "seq" and (len(matrix[1]) == 1 or all(len(row) == 1 for row in matrix[1])):
            if other[1] == "[" and all(part[0] == "seq" for part in other[3]):
                return False
            return self.all(flat, other[3]) if gold[0] == "mat" else self.all(other[3], flat)
        if len(flat) == 1:
            return self.same(flat[0], other) if gold[0] == "mat" else self.same(other, flat[0])
        self.reason = "a matrix against none"
        return None if other[0] in ("mul", "add", "pow") else False

    def sequences(self, gold: Node, pred: Node) -> bool | None:
        """Tuples keep their order, sets and bare lists do not."""
        g_items, g_free = _items(gold)
        p_items, p_free = _items(pred)
        bare = (gold[0] != "seq" or not gold[1], pred[0] != "seq" or not pred[1])
        if gold[0] == pred[0] == "seq" and all(not b for b in bare) and (gold[1], gold[2]) != (pred[1], pred[2]):
            if {gold[1], pred[1]} != {"(", "["} or len(g_items) < 3 or {gold[2], pred[2]} != {")", "]"}:
                self.reason = "different brackets"
                return False
        if g_free and p_free:
            if not all(bare):
                g_items, p_items = self.distinct(g_items), self.distinct(p_items)
            if len(g_items) < len(p_items) and len(self.distinct(g_items)) == len(g_items):
                p_items = self.distinct(p_items)
            named = _by_name(g_items, p_items)
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
        if gold[0] == pred[0] == "seq" and gold[1:3] == pred[1:3] and gold[1] in ("(", "[") and self.all(gold[3], pred[3]):
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
        for first, second in (((gold[1][0], gold[1][1]), (pred[1][0], pred[1][1])),
                              ((gold[1][0], gold[1][1]), (pred[1][1], pred[1][0]))):
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
        return node[3][0]  # type: ignore[no-any-return]
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


def _unit_letter(node: Node) -> tuple[Node, str] | None:
    """The number and the unit in `6 m`, `6 m^2` or `1.2 \\times 10^3 m`."""
    if node[0] == "/" and (over := _unit_letter(node[1])) and (under := _unit_letter(("mul", (("num", 1, 0, 0), node[2])))):
        return over[0], f"{over[1]}/{under[1]}"
    if node[0] != "mul":
        return None
    *factors, last = node[1]
    power = f"^{last[2][1]}" if last[0] == "pow" and last[2][0] == "num" else ""
    unit = last[1] if last[0] == "pow" else last
    if unit[0] != "sym" or unit[1] not in _UNIT_LETTERS or any(symbols(factor) for factor in factors):
        return None
    return (("mul", tuple(factors)) if len(factors) > 1 else factors[0]), unit[1] + power


def _measured(node: Node) -> tuple[Node, str]:
    """A tree and the unit it is given in, "" for none."""
    return (node[1], node[2]) if node[0] == "unit" else _unit_letter(node) or (node, "")


def _items(node: Node) -> tuple[list[Node], bool]:
    """The parts of a list, ± written out; and whether their order is free."""
    if node[0] != "seq":
        return _signs(node), True
    kept = [item for item in node[3] if not _is_domain(item)] if not node[1] else list(node[3])
    items = [part for item in _assigned((*node[:3], tuple(kept), node[4])) for part in _signs(item)]
    return items, node[1] in ("", "{")


def _alone(node: Node) -> Node:
    """A list that holds one thing besides the range of its letters is that thing."""
    if node[0] == "seq" and not node[1]:
        kept = [item for item in node[3] if not _is_domain(item)]
        if len(kept) == 1:
            return kept[0]
    return node


def _is_domain(node: Node) -> bool:
    """`k \\in \\mathbb{Z}`: it says what a letter may be, and is no part of the answer."""
    return node[0] == "rel" and node[2] == ("in",) and node[1][1] in (("sym", "\\mathbbZ"), ("sym", "Z"), ("sym", "\\mathbbN"),
                                                                  ("sym", "R"), ("sym", "N"))


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


def _by_name(gold: list[Node], pred: list[Node]) -> tuple[tuple[Node, ...], tuple[Node, ...]] | None:
    """Values aligned by distinct names, or by place where only one side names them."""
    g, p = [assignment(x) for x in gold], [assignment(x) for x in pred]
    if not gold or len(gold) != len(pred) or not (all(g) or all(p)):
        return None
    if all(g) and all(p):
        return None
    named = g if all(g) else p
    if len({str(n[0]) for n in named if n}) < len(named) or any(g) and any(p):
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


def _same_exactly(a: Node, b: Node) -> bool:
    try:
        return a == b or bool(same_value(a, b))
    except (Undefined, TooLarge, Unknown):
        return False


def _leaves(node: Node) -> set[Node]:
    found: set[Node] = set()
    stack = [node]
    while stack:
        here = stack.pop()
        if here and here[0] == "const":
            found.add(here)
        stack.extend(part for part in here if isinstance(part, tuple))
    return found


def _grows(node: Node) -> bool:
    """Built from whole numbers of 2 and more by sums, products, powers and factorials only."""
    if node[0] == "num":
        return bool(node[1] >= 2)
    parts = node[1] if node[0] in ("add", "mul") else node[1:] if node[0] in ("pow", "fact") else ()
    return bool(parts) and all(_grows(part) for part in parts)


def _rising(node: Node) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """A chain turned so that its first sign points up."""
    items, ops = node[1], node[2]
    if ops and ops[0] in (">", ">=") and all(op in _OPPOSITE for op in ops):
        return items[::-1], tuple(_OPPOSITE[op] for op in reversed(ops))
    return items, ops
