"""Two trees: the same answer or not, by their structure first and their values where values stand.

Comparer().same(parse("1,2"), parse("2,1"))     # True: a bare list has no order; None: it cannot be told
"""

from __future__ import annotations

import re
from dataclasses import replace

from limo.verify.maths import nodes, relations
from limo.verify.maths.arithmetic import NoValue, check_time
from limo.verify.maths.measures import same_measure
from limo.verify.maths.nodes import ZERO, Node, difference
from limo.verify.maths.roots import same_curve
from limo.verify.maths.scalars import Explanation, Rules, ScalarComparer
from limo.verify.maths.sets import holds_infinity, is_set, residue_class, same_set, solution_set
from limo.verify.maths.values import ratio_at_points

MAX_COMPARISONS = 4000
_INDEX = re.compile(r"(?<=[A-Za-z])_\d+")
_UNKNOWNS = ("x", "y", "z", "t")
_RATIO = re.compile(r"ratio|proportion|odds|比", re.I)
_SIMPLE = (nodes.Number, nodes.Negative, nodes.Symbol, nodes.Quotient, nodes.Product, nodes.Sum, nodes.Listing)


class Comparer:
    """One comparison by the rules; `explanation` says how it was decided."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules, self.explanation = rules or Rules(), Explanation()
        self.values = ScalarComparer(self.rules, self.explanation)
        self.n_comparisons = 0

    def same(self, gold: Node, pred: Node) -> bool | None:
        """Equal, different, or None."""
        check_time()
        self.n_comparisons += 1
        if self.n_comparisons > MAX_COMPARISONS:
            return self.explanation.differ("too many parts", None)
        if nodes.Congruence in gold.kinds | pred.kinds:
            gold, pred = residue_class(gold), residue_class(pred)
        if (other := _differ_in_domains(gold, pred)) is not False:
            return self.explanation.differ("other numbers for its letters", None if other is None else False)
        gold, pred = (relations.single_item(relations.simplified(side)) for side in (gold, pred))
        if gold == pred:
            structured = isinstance(gold, nodes.Listing | nodes.Relation | nodes.Matrix)
            self.explanation.note("structural" if structured else "rational", "same form")
            return True
        if nodes.PlusMinus in gold.kinds | pred.kinds:
            return self.signs(gold, pred)
        kinds = {type(gold), type(pred)}
        if nodes.Congruence in kinds:
            return self.congruences(gold, pred)
        if nodes.Relation in kinds:
            return self.relations(gold, pred)
        if is_set(gold) or is_set(pred):
            return self.sets(gold, pred)
        if nodes.Matrix in kinds:
            return self.matrices(gold, pred)
        if nodes.Listing in kinds:
            return self.lists(gold, pred)
        is_ratio = nodes.Ratio in kinds and nodes.Quantity not in kinds
        return self.ratios(gold, pred) if is_ratio else same_measure(self, gold, pred)

    def signs(self, gold: Node, pred: Node) -> bool | None:
        """± written out: with one sign for all of an expression, or each with its own."""
        together = self.same(*(relations.with_signs(side, independent=False) for side in (gold, pred)))
        return together or self.same(*(relations.with_signs(side, independent=True) for side in (gold, pred)))

    def in_order(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool | None:
        """Part by part."""
        if len(gold) != len(pred):
            return self.explanation.differ("different number of parts")
        verdicts = []
        for a, b in zip(gold, pred, strict=True):
            verdicts.append(self.same(a, b))
            if verdicts[-1] is False:
                return False
        self.explanation.note("structural", "part by part")
        return None if None in verdicts else True

    def in_any_order(self, gold: list[Node], pred: list[Node]) -> bool | None:
        """Each part of one side meets a part of its own on the other."""
        if len(gold) != len(pred) or len(gold) > relations.MAX_ITEMS:
            return self.explanation.differ("different number of parts", False if len(gold) != len(pred) else None)
        rest, unsure = list(pred), False
        for a in gold:
            for i, b in enumerate(rest):
                same = self.same(a, b) if relations.is_braced(a) is relations.is_braced(b) else False  # {1} in a set
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
        sides = gold, pred = relations.as_matrix(gold), relations.as_matrix(pred)
        if isinstance(gold, nodes.Matrix) and isinstance(pred, nodes.Matrix):
            same_shape = [len(row) for row in gold.rows] == [len(row) for row in pred.rows]
            return self.in_order(gold.children, pred.children) if same_shape else False
        g_entries, p_entries = map(relations.entries, sides)
        if g_entries is not None and p_entries is not None:
            return self.in_order(g_entries, p_entries)
        if any(isinstance(side, nodes.Matrix) and len(side.children) == 1 for side in sides):
            return self.same(*(side.children[0] if isinstance(side, nodes.Matrix) else side for side in sides))
        sums = any(isinstance(side, nodes.Product | nodes.Sum | nodes.Power) for side in sides)
        return self.explanation.differ("a matrix against none", None if sums else False)

    def lists(self, gold: Node, pred: Node) -> bool | None:
        """Tuples keep their order, sets and bare lists do not."""
        if relations.differ_in_logic(gold, pred):
            return self.explanation.differ("and against or")
        if _differ_in_names(gold, pred):
            return self.explanation.differ("different names")
        gold, pred = self._as_asked(gold, pred), self._as_asked(pred, gold)
        named = not (relations.has_equations(gold) or relations.has_equations(pred))
        (g_items, g_free), (p_items, p_free) = (relations.items_of(side, named=named) for side in (gold, pred))
        g_bare, p_bare = (not isinstance(side, nodes.Listing) or not side.opening for side in (gold, pred))
        match gold, pred:
            case nodes.Listing(), nodes.Listing() if not g_bare and not p_bare and gold.brackets != pred.brackets:
                if not relations.are_tuples(gold, pred, len(g_items)):
                    return self.explanation.differ("different brackets")
        if g_free and p_free:
            if not (g_bare and p_bare):
                g_items, p_items = relations.distinct(g_items), relations.distinct(p_items)
            if len(g_items) < len(p_items) and len(relations.distinct(g_items)) == len(g_items):
                p_items = relations.distinct(p_items)
            g_items, p_items = (_without_numbers(side, self.rules.statement) for side in (g_items, p_items))
            aligned = relations.aligned_by_name(g_items, p_items)
            return self.in_order(*aligned) if aligned else self.in_any_order(g_items, p_items)
        if (g_free and not g_bare) or (p_free and not p_bare):
            return self.explanation.differ("a set against a tuple")
        return self.in_order(tuple(g_items), tuple(p_items))

    def sets(self, gold: Node, pred: Node) -> bool | None:
        """Sets of numbers, by what they hold."""
        if any(isinstance(side, nodes.Listing) and not side.opening and not is_set(side) for side in (gold, pred)):
            return self.explanation.differ("a set against a list")
        if holds_infinity(gold) is not holds_infinity(pred):
            return self.explanation.differ("closed at infinity")
        alike = isinstance(gold, nodes.Listing) and isinstance(pred, nodes.Listing) and gold.brackets == pred.brackets
        if alike and relations.in_brackets(gold) and self.in_order(gold.children, pred.children):
            return True
        if relations.differ_in_logic(gold, pred):
            return self.explanation.differ("and against or")
        a, b = solution_set(gold), solution_set(pred)
        if a is not None and b is not None:
            same = same_set(a, b)
            self.explanation.note("structural", "same set" if same else "different sets")
            return same
        match gold, pred:
            case nodes.Listing("", joiner=joiner), nodes.Listing("", joiner=other):
                met = self.in_any_order([*gold.children], [*pred.children])
                is_unsure = met and joiner != other and "or" in (joiner, other)
                return self.explanation.undecidable("a list against or") if is_unsure else met
        if alike or (isinstance(gold, nodes.SetBuilder) and isinstance(pred, nodes.SetBuilder)):
            return self.in_order(gold.children, pred.children)
        match gold, pred:
            case nodes.SetOperation(operation), nodes.SetOperation(other) if operation == other:
                straight = self.in_order(gold.children, pred.children)
                if straight or operation == "difference":
                    return straight
                return self.in_order(gold.children, pred.children[::-1])
        bracketed = [side for side in (gold, pred) if relations.in_brackets(side)]
        if [len(side.children) for side in bracketed] == [2, 2]:
            return self.explanation.differ("different brackets", None if gold.symbols or pred.symbols else False)
        if (a is None) != (b is None) and bracketed:
            return False if isinstance(pred if relations.in_brackets(gold) else gold, _SIMPLE) else None
        return self.explanation.differ("sets that cannot be solved", None)

    def congruences(self, gold: Node, pred: Node) -> bool | None:
        """3 mod 7 is 10 mod 7 and not 3 mod 8; the modulus may be left away, as a unit may."""
        match gold, pred:
            case nodes.Congruence(a, modulus), nodes.Congruence(b, other):
                if not self.same(modulus, other):
                    return self.explanation.differ("different moduli")
                return self.same(a, b) or self.values.same(ZERO, nodes.Call("mod", (difference(a, b), modulus)))
            case (nodes.Relation(), _) | (_, nodes.Relation()):
                g, p = map(relations.congruent, (gold, pred))
                return self.same(g, p) if g and p else False
        return self.same(*relations.operands(nodes.Congruence, "residue", gold, pred))

    def ratios(self, gold: Node, pred: Node) -> bool | None:
        """3:4 is 6:8, and 3/4 where the problem asks for a ratio; 12:00 is not 1:00."""
        if not (isinstance(gold, nodes.Ratio) and isinstance(pred, nodes.Ratio)):
            n_parts = max(len(side.parts) for side in (gold, pred) if isinstance(side, nodes.Ratio))
            same = self.values.same(gold, pred) if n_parts == 2 else False
            is_sure = not same or _RATIO.search(self.rules.statement)
            return same if is_sure else self.explanation.undecidable("a ratio against a quotient")
        (g, *g_rest), (p, *p_rest) = gold.parts, pred.parts
        if len(g_rest) != len(p_rest):
            return False
        if ZERO in gold.parts or ZERO in pred.parts:
            return self.in_order(gold.parts, pred.parts)
        return self.in_order(tuple(nodes.Product((a, p)) for a in g_rest), tuple(nodes.Product((b, g)) for b in p_rest))

    def _as_asked(self, named: Node, other: Node) -> Node:
        """`y = 1, x = 2` beside a tuple in the order that the problem asks for, `(x, y)`, else of the alphabet."""
        if not isinstance(named, nodes.Listing) or not isinstance(other, nodes.Listing) or other.opening != "(":
            return named
        pairs = [] if relations.has_equations(other) else relations.named_values(named.items)
        names = {
            name.name: item
            for (name, _), item in zip(pairs, named.items, strict=False)
            if isinstance(name, nodes.Symbol) and name.name.isalpha() and len(name.name) == 1
        }
        if not 1 < len(names) == len(named.items):
            return named
        letter = f"[{''.join(names)}]"
        asked = re.search(rf"\(\s*({letter}(?:\s*,\s*{letter})+)\s*\)", self.rules.statement)
        order = [name for name in asked[1] if name in names] if asked else []
        order = order if sorted(order) == sorted(names) else sorted(names)
        return replace(named, items=tuple(names[name] for name in order))

    def relations(self, gold: Node, pred: Node) -> bool | None:
        """Equations, assignments, inequalities; each against its like, or against the value or set it states."""
        if isinstance(gold, nodes.Relation) and isinstance(pred, nodes.Relation):
            return self.two_relations(gold, pred)
        relation, other = (gold, pred) if isinstance(gold, nodes.Relation) else (pred, gold)
        assert isinstance(relation, nodes.Relation)
        items = relations.one_by_one(relation)
        if items and isinstance(other, nodes.Listing) and relations.has_names(other):
            return self.same(items, pred) if relation is gold else self.same(gold, items)
        if isinstance(other, nodes.SetBuilder) and isinstance(other.variable, nodes.Listing):  # a set of points
            return self.same(relation, other.condition)
        condition = relations.is_condition(relation)
        value = relations.stated_value(relation)
        if relation is pred and (value := value or relations.calculated_value(relation)) is not None:
            return self.same(gold, value)
        if value is not None:
            single = isinstance(pred, nodes.Listing) and len(pred.items) == 1 and not isinstance(value, nodes.Listing)
            return self.same(value, pred.children[0] if single and not condition else pred)
        if (branches := relations.one_equation(other)) and not condition and len(relation.symbols) > 1:
            return self.two_relations(relation, branches)
        if not condition and isinstance(other, nodes.Listing) and relation.symbols == other.symbols:
            a, b = solution_set(relation), solution_set(other)
            if a is not None and b is not None:
                self.explanation.note("structural", "the same solutions")
                return same_set(a, b)
        if not condition:
            return self.explanation.differ(
                "a value against an equation" if other is gold else "an equation against none"
            )
        if not isinstance(other, nodes.Listing | nodes.SetOperation | nodes.SetBuilder):
            return self.explanation.differ("a condition against a value")
        return self.sets(gold, pred)

    def two_relations(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        g, p = relations.assignment(gold), relations.assignment(pred)
        if g and p:
            same = self.assignments(g, p)
            if same or (isinstance(g[0], nodes.Application) and isinstance(p[0], nodes.Application)) or g[0] == p[0]:
                return same
        if relations.is_condition(gold) and relations.is_condition(pred):
            return self.conditions(gold, pred)
        if len(gold.sides) == len(pred.sides) == 2 and gold.signs == pred.signs == ("=",):
            return self.equations(gold, pred)
        if gold.signs == pred.signs:
            same = self.in_order(gold.sides, pred.sides)
            if same is not False or len(gold.sides) == 2:
                return same
        if set(gold.signs) | set(pred.signs) <= {"=", "~"} and len(gold.sides) + len(pred.sides) > 4:
            return self.same(*(nodes.Relation((side.sides[0], side.sides[-1]), ("=",)) for side in (gold, pred)))
        return False if len(gold.sides) == len(pred.sides) else None

    def assignments(self, gold: tuple[Node, Node], pred: tuple[Node, Node]) -> bool | None:
        """`f(z) = z` is `f(x) = x`, `y = x` is `y(x) = x`; `x = 5` is not `y = 5`."""
        match gold[0], pred[0]:
            case (nodes.Symbol(name), nodes.Application(other)) | (nodes.Application(name), nodes.Symbol(other)):
                if name == other or relations.is_graph(gold[0], pred[0]) or relations.is_graph(pred[0], gold[0]):
                    return self.same(gold[1], pred[1])
            case nodes.Listing(_, _, items), nodes.Listing(_, _, others) if items == others:
                return self.same(gold[1], pred[1])
        (g_name, g_value), (p_name, p_value) = relations.with_bound_letter(*gold), relations.with_bound_letter(*pred)
        return self.same(g_value, p_value) if g_name == p_name else self.explanation.differ("different names")

    def equations(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        """One is a multiple of the other, or both are the same curve."""
        if gold.sides == pred.sides[::-1]:
            return True
        g, p = difference(*gold.sides), difference(*pred.sides)
        try:
            if not g.symbols and not p.symbols:
                return self.in_order(gold.sides, pred.sides) or self.in_order(gold.sides, pred.sides[::-1])
            renamed = relations.with_constants_renamed(g, p)
            if ratio_at_points(g, renamed) is not None:
                self.explanation.note("symbolic", "the same equation up to a factor")
                return True
            same = same_curve(g, renamed) if g.symbols == renamed.symbols else False
        except (NoValue, TypeError):
            same = None
        if same is None:
            return self.explanation.undecidable("too few points of the curves were found")
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
        g, p = relations.rising(gold), relations.rising(pred)
        if g.signs == p.signs:
            same = self.in_order(g.sides, p.sides)
            if same or len(g.sides) != 2 or g.signs[0] not in relations.INEQUALITIES:
                return same
            return self.same_direction(g, p)
        return self.explanation.differ(
            "different relations", False if len(g.sides) == len(p.sides) or not gold.symbols else None
        )

    def same_direction(self, gold: nodes.Relation, pred: nodes.Relation) -> bool | None:
        """a < b and c < d are the same when b - a is a positive multiple of d - c."""
        try:
            factor = ratio_at_points(difference(*gold.sides[::-1]), difference(*pred.sides[::-1]))
        except (NoValue, TypeError):
            return None
        if not gold.symbols:
            return False
        self.explanation.note("symbolic", "the same inequality up to a factor")
        return factor is not None and not getattr(factor, "imag", 0) and factor > 0


def _differ_in_domains(gold: Node, pred: Node) -> bool | None:
    """Whether letters range over other numbers (k in N, not in Z); None where the completion alone limits one."""
    of_gold, of_pred = map(_domains, (gold, pred))
    if of_gold and of_pred:
        return set(of_gold.values()) != set(of_pred.values())
    return None if of_pred.keys() & gold.symbols - relations.INDICES else False


def _domains(node: Node) -> dict[str, str]:
    """The letters that a bare list says to be whole numbers, with the last letter of the set's name."""
    items = node.items if isinstance(node, nodes.Listing) and not node.opening else ()
    pairs = [item.sides for item in items if isinstance(item, nodes.Relation) and relations.is_domain(item)]
    return {
        letter.name: whole.name[-1]
        for letter, whole in pairs
        if isinstance(letter, nodes.Symbol) and isinstance(whole, nodes.Symbol) and whole.name != "R"
    }


def _without_numbers(items: list[Node], statement: str) -> list[Node]:
    """The values of `x_1 = 3, x_2 = 2`, whose indices only count them; those of the problem are names."""
    pairs = relations.named_values(items)
    names = [name.name if isinstance(name, nodes.Symbol) else "" for name, _ in pairs]
    letter = names[0].partition("_")[0] if len(names) > 1 else ""
    if letter not in _UNKNOWNS or re.search(rf"(?<![A-Za-z]){letter}(?:_\{{?\d|[₀-₉])", statement):
        return items
    numbered = len(set(names)) == len(names) and all(re.fullmatch(rf"{letter}_\d+", name) for name in names)
    return [value for _, value in pairs] if numbered else items


def _differ_in_names(gold: Node, pred: Node) -> bool:
    """Whether one lists values of one unknown, and the other of several: `x=1 or x=2` and `x=1, y=2`."""
    sides = (side.items if isinstance(side, nodes.Listing) else () for side in (gold, pred))
    of_gold, of_pred = ([name for name, _ in relations.named_values(items)] for items in sides)
    if not of_gold or not of_pred or not all(isinstance(name, nodes.Symbol) for name in (*of_gold, *of_pred)):
        return False
    first, second = ({_INDEX.sub("", repr(name)) for name in names} for names in (of_gold, of_pred))
    return first != second and 1 in (len(first), len(second))
