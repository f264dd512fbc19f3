"""Two trees: the same answer or not, by their structure first and their values where values stand.

    Comparer().same(parse("(1,2)"), parse("(1,2)"))     # True; swapped: False
    Comparer().same(parse("1,2"), parse("2,1"))         # True: a bare list has no order

Order counts in tuples, intervals and matrices; not in sets and lists of roots.  `x = 5` is met by 5, `f(x) = 2x` by
2x, `\\pm 3` by 3 and -3, 28% by 28 and by 0.28, 90 degrees by 90 and by pi/2; an equation by its multiples; an
inequality by the interval it describes.  Every comparison gives True, False, or None where it cannot be told.
"""

from __future__ import annotations

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import TooLarge, Undefined, Unknown
from limo.verify.maths.curves import same_curve
from limo.verify.maths.decimals import DOUBLE_DIGITS
from limo.verify.maths.lists import (
    MAX_ITEMS,
    aligned_by_name,
    are_tuples,
    as_matrix,
    distinct,
    has_plus_minus,
    items_of,
    single_item,
)
from limo.verify.maths.nodes import ZERO, Node, difference
from limo.verify.maths.relations import (
    INEQUALITIES,
    assignment,
    has_pi,
    is_condition,
    is_graph,
    rising,
    simplified,
    stated_value,
    with_bound_letter,
    with_constants_renamed,
)
from limo.verify.maths.scalars import Explanation, ScalarComparer, letter_unit, measured
from limo.verify.maths.sets import is_set, same_set, solution_set
from limo.verify.maths.units import compatible, split_unit
from limo.verify.maths.values import ratio_at_points

MAX_COMPARISONS = 4000
_SIMPLE = (nodes.Number, nodes.Negative, nodes.Symbol, nodes.Quotient, nodes.Product, nodes.Sum, nodes.Listing)
_NO_VALUE = (Undefined, TooLarge, Unknown, TypeError)


class Comparer:
    """One comparison; `tolerance` is relative, for answers that are rounded decimals; `digits`: see `decimals`."""

    def __init__(self, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS) -> None:
        self.explanation = Explanation()
        self.values = ScalarComparer(tolerance, digits, self.explanation)
        self.n_comparisons = 0

    def same(self, gold: Node, pred: Node) -> bool | None:
        """Equal, different, or None."""
        self.n_comparisons += 1
        if self.n_comparisons > MAX_COMPARISONS:
            return self.differ("too many parts", None)
        gold, pred = simplified(gold), simplified(pred)
        if gold == pred:
            structured = isinstance(gold, nodes.Listing | nodes.Relation | nodes.Matrix)
            self.explanation.note("structural" if structured else "rational", "same form")
            return True
        kinds = {type(gold), type(pred)}
        if nodes.Congruence in kinds:
            return self.congruences(gold, pred)
        if nodes.Relation in kinds:
            return self.relations(gold, pred)
        if is_set(gold) or is_set(pred):
            return self.sets(gold, pred)
        if nodes.Matrix in kinds:
            return self.matrices(gold, pred)
        gold, pred = single_item(gold), single_item(pred)
        kinds = {type(gold), type(pred)}
        if nodes.Listing in kinds or has_plus_minus(gold) or has_plus_minus(pred):
            return self.lists(gold, pred)
        if nodes.Ratio in kinds:
            return self.ratios(gold, pred)
        return self.scalars(gold, pred)

    def differ(self, reason: str, verdict: bool | None = False) -> bool | None:
        """The verdict, with its reason kept."""
        self.explanation.reason = reason
        return verdict

    # --- structures ----------------------------------------------------------------------------------------------

    def in_order(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool | None:
        """Part by part."""
        if len(gold) != len(pred):
            return self.differ("different number of parts")
        verdicts = []
        for a, b in zip(gold, pred, strict=True):
            verdicts.append(self.same(a, b))
            if verdicts[-1] is False:
                return False
        self.explanation.note("structural", "part by part")
        return None if None in verdicts else True

    def in_any_order(self, gold: list[Node], pred: list[Node]) -> bool | None:
        """Each part of one side meets a part of its own on the other."""
        if len(gold) != len(pred) or len(gold) > MAX_ITEMS:
            return self.differ("different number of parts", False if len(gold) != len(pred) else None)
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
        self.explanation.note("structural", "part by part, in any order")
        return True

    def matrices(self, gold: Node, pred: Node) -> bool | None:
        """Shape and entries; a column or row is also met by the tuple of its entries."""
        gold, pred = as_matrix(gold), as_matrix(pred)
        if isinstance(gold, nodes.Matrix) and isinstance(pred, nodes.Matrix):
            if [len(row) for row in gold.rows] != [len(row) for row in pred.rows]:
                return False
            return self.in_order(gold.children, pred.children)
        matrix, other = (gold, pred) if isinstance(gold, nodes.Matrix) else (pred, gold)
        assert isinstance(matrix, nodes.Matrix)
        entries, is_line = matrix.children, len(matrix.rows) == 1 or all(len(row) == 1 for row in matrix.rows)
        if isinstance(other, nodes.Listing) and is_line:
            return self.in_order(*((entries, other.items) if matrix is gold else (other.items, entries)))
        if len(entries) == 1:
            return self.same(*((entries[0], other) if matrix is gold else (other, entries[0])))
        return self.differ(
            "a matrix against none", None if isinstance(other, nodes.Product | nodes.Sum | nodes.Power) else False
        )

    def lists(self, gold: Node, pred: Node) -> bool | None:
        """Tuples keep their order, sets and bare lists do not."""
        (g_items, g_free), (p_items, p_free) = items_of(gold), items_of(pred)
        g_bare, p_bare = (not isinstance(side, nodes.Listing) or not side.opening for side in (gold, pred))
        if isinstance(gold, nodes.Listing) and isinstance(pred, nodes.Listing) and not g_bare and not p_bare:
            same_brackets = gold.brackets == pred.brackets or are_tuples(gold, pred, len(g_items))
            if not same_brackets:
                return self.differ("different brackets")
        if g_free and p_free:
            if not (g_bare and p_bare):
                g_items, p_items = distinct(g_items), distinct(p_items)
            if len(g_items) < len(p_items) and len(distinct(g_items)) == len(g_items):
                p_items = distinct(p_items)
            aligned = aligned_by_name(g_items, p_items)
            return self.in_order(*aligned) if aligned else self.in_any_order(g_items, p_items)
        if (g_free and not g_bare) or (p_free and not p_bare):
            return self.differ("a set against a tuple")
        return self.in_order(tuple(g_items), tuple(p_items))

    def sets(self, gold: Node, pred: Node) -> bool | None:
        """Sets of numbers, by what they hold."""
        for side, other in ((gold, pred), (pred, gold)):
            if isinstance(other, nodes.Listing) and not other.opening and is_set(side) and not is_set(other):
                return self.differ("a set against a list")
        alike = isinstance(gold, nodes.Listing) and isinstance(pred, nodes.Listing) and gold.brackets == pred.brackets
        if alike and gold.opening in ("(", "[") and self.in_order(gold.children, pred.children):  # type: ignore[attr-defined]
            return True
        a, b = solution_set(gold), solution_set(pred)
        if a is not None and b is not None:
            same = same_set(a, b)
            self.explanation.note("structural", "same set" if same else "different sets")
            return same
        if alike or (isinstance(gold, nodes.SetBuilder) and isinstance(pred, nodes.SetBuilder)):
            return self.in_order(gold.children, pred.children)
        if (
            isinstance(gold, nodes.SetOperation)
            and isinstance(pred, nodes.SetOperation)
            and gold.operation == pred.operation
        ):
            straight = self.in_order(gold.children, pred.children)
            if straight or gold.operation == "difference":
                return straight
            return self.in_order(gold.children, pred.children[::-1])
        if _is_pair(gold) and _is_pair(pred):
            return self.differ("different brackets", None if gold.symbols or pred.symbols else False)
        if (a is None) != (b is None) and (_in_brackets(gold) or _in_brackets(pred)):
            other = pred if _in_brackets(gold) else gold
            return False if isinstance(other, _SIMPLE) else None
        return self.differ("sets that cannot be solved", None)

    def congruences(self, gold: Node, pred: Node) -> bool | None:
        """3 mod 7 is 10 mod 7 and not 3 mod 8; the modulus may be left away, as a unit may."""
        for relation, is_gold in ((gold, True), (pred, False)):
            if isinstance(relation, nodes.Relation):
                value = stated_value(relation, strict=True) if relation.signs == ("==",) else None
                return False if value is None else self.same(*((value, pred) if is_gold else (gold, value)))
        if not isinstance(gold, nodes.Congruence):
            return self.same(gold, pred.residue)  # type: ignore[attr-defined]
        if not isinstance(pred, nodes.Congruence):
            return self.same(gold.residue, pred)
        if not self.same(gold.modulus, pred.modulus):
            return self.differ("different moduli")
        if self.same(gold.residue, pred.residue):
            return True
        return self.values.same(ZERO, nodes.Call("mod", (difference(gold.residue, pred.residue), gold.modulus)))

    # --- values with a mark ----------------------------------------------------------------------------------------

    def scalars(self, gold: Node, pred: Node) -> bool | None:
        """Units, percent and degrees first, then the values."""
        kinds = {type(gold), type(pred)}
        if nodes.Quantity in kinds:
            return self.quantities(gold, pred)
        if nodes.Percent in kinds:
            return self.percentages(gold, pred)
        if nodes.Degrees in kinds:
            return self.angles(gold, pred)
        with_unit = letter_unit(pred) if not gold.symbols else None
        if with_unit:
            return self.values.same(gold, with_unit[0])
        if nodes.BasedNumeral in kinds:
            return self.values.based(gold, pred)
        return self.values.same(gold, pred)

    def quantities(self, gold: Node, pred: Node) -> bool | None:
        (g, g_unit), (p, p_unit) = measured(gold), measured(pred)
        for node, unit, other in ((g, g_unit, p), (p, p_unit, g)):
            if unit.startswith(("rad", "弧度")) and isinstance(other, nodes.Degrees):
                return self.values.same(node, other)
        factor = compatible(g_unit, p_unit)
        if factor is None:
            return self.differ("different units")
        if factor != 1:
            p = nodes.Product((nodes.Number(factor), p))
        elif split_unit(p_unit) is None and p_unit.startswith(("percent", "pct")):
            p = nodes.Percent(p)
        return self.same(g, p)

    def percentages(self, gold: Node, pred: Node) -> bool | None:
        """28% is met by 28 and by 0.28; an answer without % by a percentage of its value, or by n% if n >= 1."""
        if isinstance(gold, nodes.Percent):
            if isinstance(pred, nodes.Percent):
                return self.same(gold.operand, pred.operand)
            return self.values.same(gold, pred) or self.values.same(gold.operand, pred)
        if self.values.same(gold, pred):
            return True
        return self.values.same(gold, pred.operand) if self.values.at_least_one(gold) else False  # type: ignore[attr-defined]

    def angles(self, gold: Node, pred: Node) -> bool | None:
        """90 degrees are met by 90, and by pi/2 where pi is written."""
        if isinstance(gold, nodes.Degrees) and isinstance(pred, nodes.Degrees):
            return self.same(gold.operand, pred.operand)
        marked, plain = (gold, pred) if isinstance(gold, nodes.Degrees) else (pred, gold)
        assert isinstance(marked, nodes.Degrees)
        if has_pi(plain):
            return self.values.same(marked, plain)
        return self.same(*((marked.operand, plain) if marked is gold else (plain, marked.operand)))

    def ratios(self, gold: Node, pred: Node) -> bool | None:
        """3:4 is 6:8 and 3/4; 12:00 is not 1:00."""
        if not (isinstance(gold, nodes.Ratio) and isinstance(pred, nodes.Ratio)):
            n_parts = max(len(side.parts) for side in (gold, pred) if isinstance(side, nodes.Ratio))
            return self.values.same(gold, pred) if n_parts == 2 else False
        (g, *g_rest), (p, *p_rest) = gold.parts, pred.parts
        if len(g_rest) != len(p_rest):
            return False
        if ZERO in gold.parts or ZERO in pred.parts:
            return self.in_order(gold.parts, pred.parts)
        return self.in_order(tuple(nodes.Product((a, p)) for a in g_rest), tuple(nodes.Product((b, g)) for b in p_rest))

    # --- relations -----------------------------------------------------------------------------------------------

    def relations(self, gold: Node, pred: Node) -> bool | None:
        """Equations, assignments, inequalities; each against its like, or against the value or set it states."""
        if isinstance(gold, nodes.Relation):
            if isinstance(pred, nodes.Relation):
                return self.two_relations(gold, pred)
            value = stated_value(gold, strict=True)
            if value is not None:
                single = (
                    isinstance(pred, nodes.Listing) and len(pred.items) == 1 and not isinstance(value, nodes.Listing)
                )
                return self.same(value, pred.children[0] if single and not is_condition(gold) else pred)
            other, condition = pred, is_condition(gold)
        else:
            assert isinstance(pred, nodes.Relation)
            condition = is_condition(pred)
            value = stated_value(pred, strict=condition)
            if value is not None:
                return self.same(gold, value)
            other = gold
        if not condition:
            return self.differ("a value against an equation" if other is gold else "an equation against none")
        if not isinstance(other, nodes.Listing | nodes.SetOperation | nodes.SetBuilder):
            return self.differ("a condition against a value")
        return self.sets(gold, pred)

    def two_relations(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        g, p = assignment(gold), assignment(pred)
        if g and p:
            same = self.assignments(g, p)
            if same or (isinstance(g[0], nodes.Application) and isinstance(p[0], nodes.Application)) or g[0] == p[0]:
                return same
        if is_condition(gold) and is_condition(pred):
            return self.conditions(gold, pred)
        if len(gold.sides) == len(pred.sides) == 2 and gold.signs == pred.signs == ("=",):
            return self.equations(gold, pred)
        if gold.signs == pred.signs:
            same = self.in_order(gold.sides, pred.sides)
            if same is not False or len(gold.sides) == 2:
                return same
        if set(gold.signs) | set(pred.signs) <= {"=", "~"} and len(gold.sides) + len(pred.sides) > 4:
            ends = [nodes.Relation((side.sides[0], side.sides[-1]), ("=",)) for side in (gold, pred)]
            return self.same(*ends)
        return False if len(gold.sides) == len(pred.sides) else None

    def assignments(self, gold: tuple[Node, Node], pred: tuple[Node, Node]) -> bool | None:
        """`f(z) = z` is `f(x) = x`; `x = 5` is not `y = 5`."""
        g_name, p_name = gold[0], pred[0]
        kinds = {type(g_name), type(p_name)}
        if kinds == {nodes.Symbol, nodes.Application} and g_name.name == p_name.name:  # type: ignore[attr-defined]
            return self.same(gold[1], pred[1])  # y = ... and y(x) = ...
        if is_graph(g_name, p_name) or is_graph(p_name, g_name):
            return self.same(gold[1], pred[1])
        (g_name, g_value), (p_name, p_value) = with_bound_letter(*gold), with_bound_letter(*pred)
        same_items = (
            isinstance(g_name, nodes.Listing) and isinstance(p_name, nodes.Listing) and g_name.items == p_name.items
        )
        return self.same(g_value, p_value) if g_name == p_name or same_items else self.differ("different names")

    def equations(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        """One is a multiple of the other, or both are the same curve."""
        if gold.sides == pred.sides[::-1]:
            return True
        g, p = difference(*gold.sides), difference(*pred.sides)
        try:
            if not g.symbols and not p.symbols:
                return self.in_order(gold.sides, pred.sides) or self.in_order(gold.sides, pred.sides[::-1])
            renamed = with_constants_renamed(g, p)
            if ratio_at_points(g, renamed) is not None:
                self.explanation.note("symbolic", "the same equation up to a factor")
                return True
            if g.symbols != renamed.symbols:
                return False
            same = same_curve(g, renamed)
        except _NO_VALUE:
            return None
        if same:
            self.explanation.note("symbolic", "the same curve at every point tried")
        return same

    def conditions(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        """Inequalities: the same solutions in the same unknown, or the same chain read from either end."""
        if gold.symbols and gold.symbols == pred.symbols:
            a, b = solution_set(gold), solution_set(pred)
            if a is not None and b is not None:
                same: bool | None = same_set(a, b)
                self.explanation.note("structural", "same solutions" if same else "different solutions")
                return same
        if gold.signs == ("in",) == pred.signs:
            return self.in_order(gold.sides, pred.sides)
        g, p = rising(gold), rising(pred)
        if g.signs == p.signs:
            same = self.in_order(g.sides, p.sides)
            if same or len(g.sides) != 2 or g.signs[0] not in INEQUALITIES:
                return same
            return self.same_direction(g, p)
        return self.differ("different relations", False if len(g.sides) == len(p.sides) or not gold.symbols else None)

    def same_direction(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        """a < b and c < d are the same when b - a is a positive multiple of d - c."""
        try:
            factor = ratio_at_points(difference(*gold.sides[::-1]), difference(*pred.sides[::-1]))
        except _NO_VALUE:
            return None
        if not gold.symbols:
            return False
        self.explanation.note("symbolic", "the same inequality up to a factor")
        return factor is not None and not getattr(factor, "imag", 0) and factor > 0


def _in_brackets(node: Node) -> bool:
    return isinstance(node, nodes.Listing) and node.opening in ("(", "[")


def _is_pair(node: Node) -> bool:
    return _in_brackets(node) and len(node.children) == 2
