"""Two single values: units, percent, degrees, numerals of a base and ratios first, then what they are worth.

    Scalars().scalars(parse("28%"), parse("0.28"))      # True

What it does not do: lists, sets, relations (see `compare`).
"""

from __future__ import annotations

from fractions import Fraction

from limo.verify.maths.decimals import MIN_DIGITS, MIN_DIGITS_BOTH, decimal_of, rounds_to
from limo.verify.maths.evaluation import TooLarge, Undefined, Unknown
from limo.verify.maths.names import renamed_constants
from limo.verify.maths.nodes import Node
from limo.verify.maths.units import compatible, split_unit
from limo.verify.maths.values import constant, same_value, symbols, walk
from limo.verify.process.limits import DOUBLE_DIGITS

_ORDER = ("rational", "numeric", "symbolic", "structural")
_UNIT_LETTERS = frozenset("mgshLNJVWKCTAFH")


class Scalars:
    """The part of a comparison that looks at values; remembers the dearest tier that was needed."""

    def __init__(self, tolerance: float = 0.0, digits: int = DOUBLE_DIGITS) -> None:
        self.tolerance, self.digits = tolerance, digits
        self.tier = "rational"
        self.reason = ""

    def note(self, tier: str, reason: str) -> None:
        """Remember the dearest tier that was needed."""
        if _ORDER.index(tier) >= _ORDER.index(self.tier):
            self.tier, self.reason = tier, reason

    def same(self, gold: Node, pred: Node) -> bool | None:
        """Equal, different, or None."""
        raise NotImplementedError

    def all(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool | None:
        """Pair by pair, in order."""
        raise NotImplementedError

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
        """A rounded answer that the other value rounds to, an exact one given to enough digits, a stated tolerance."""
        if symbols(gold) or symbols(pred):
            return False
        first, second = decimal_of(gold), decimal_of(pred)
        if first is None and second is None:
            return False
        try:
            a, b = constant(gold), constant(pred)
        except (TooLarge, Undefined, Unknown):
            return False
        if second and rounds_to(a, second, MIN_DIGITS_BOTH if first else self.digits):
            return True
        if first and rounds_to(b, first, MIN_DIGITS_BOTH if second else MIN_DIGITS):
            return True
        if not (self.tolerance and first) or isinstance(a, float) or isinstance(b, float):
            return False
        return bool(abs(complex(a) - complex(b)) <= self.tolerance * abs(complex(a)))

    def units(self, gold: Node, pred: Node) -> bool | str | None:
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

    def percent(self, gold: Node, pred: Node) -> bool | str | None:
        """28% is met by 28 and by 0.28; an answer without % by a percentage of its value, or by n% if n >= 1."""
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

    def degrees(self, gold: Node, pred: Node) -> bool | str | None:
        """90 degrees are met by 90, and by pi/2 where pi is written."""
        g, p = gold[0] == "deg", pred[0] == "deg"
        if not g and not p:
            return ""
        if g and p:
            return self.same(gold[1], pred[1])
        marked, plain = (gold, pred) if g else (pred, gold)
        if _has_pi(plain):
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


def _has_pi(node: Node) -> bool:
    return any(part == ("const", "pi") for part in walk(node))


def _grows(node: Node) -> bool:
    """Built from whole numbers of 2 and more by sums, products, powers and factorials only."""
    if node[0] == "num":
        return bool(node[1] >= 2)
    parts = node[1] if node[0] in ("add", "mul") else node[1:] if node[0] in ("pow", "fact") else ()
    return bool(parts) and all(_grows(part) for part in parts)


def _unit_letter(node: Node) -> tuple[Node, str] | None:
    """The number and the unit in `6 m`, `6 m^2` or `1.2 \\times 10^3 m`."""
    if (
        node[0] == "/"
        and (over := _unit_letter(node[1]))
        and (under := _unit_letter(("mul", (("num", 1, 0, 0), node[2]))))
    ):
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
