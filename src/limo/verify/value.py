"""Trees to values: exact fractions wherever possible, else many digits; formulas compared at chosen points.

    same_value(parse(r"\\\\sqrt{8}"), parse(r"2\\\\sqrt2"))     # True
    same_value(parse("2x+1"), parse("1+x+x"))               # True
    same_value(parse("1/2^99"), parse("1/2^98"))            # False, exactly

Two constants are equal when they are the same fraction, or agree to all but the last 20 of at least 60 digits, the
working precision growing with the length of the numbers written.  Two formulas are equal when they agree so at
several points (fractions, so that rational functions are compared exactly; whole numbers where factorials, floors or
remainders stand; negative points where both sides are real there).  A wrong formula agrees by chance with a
probability far below that of a wrong key.  Nothing here is unbounded: sizes are checked before anything is raised
to a power.

What it does not do: prove, solve, or integrate (Math-Verify does, in a child).
"""

from __future__ import annotations

import math
import random
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from limo.verify.syntax import Node

MAX_BITS = 200_000
_GUARD_DIGITS = 20
_LOCAL = threading.local()
_WHOLE = frozenset(("fact", "floor", "ceil", "mod", "gcd", "lcm", "binom", "perm"))
_POINTS = (("17/7", "23/11", "31/13", "37/17", "41/19", "43/23", "53/29", "59/31", "13/5"),
           ("3/7", "5/11", "4/13", "9/17", "8/19", "7/23", "11/29", "12/31", "2/5"),
           ("101/9", "67/10", "71/12", "83/14", "89/15", "97/16", "61/8", "79/18", "47/6"))
_DRAW = random.Random(20)
_INTEGERS = (*(tuple(1 + (step + 5 * slot) % 30 for slot in range(9)) for step in range(30)),
             *(tuple(_DRAW.randint(1, 14) for _ in range(9)) for _ in range(30)))


class Undefined(Exception):
    """No value here: division by zero, a logarithm of zero, infinity minus infinity."""


class TooLarge(Exception):
    """A value too large to write down."""


class Unknown(Exception):
    """A node that has no value (a list, a relation, words)."""


def same_value(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions are equal; None where that cannot be told."""
    if gold == pred:
        return True
    names = symbols(gold) | symbols(pred)
    digits = 60 + min(800, n_digits(gold) + n_digits(pred))
    if not names:
        return _compare(gold, pred, {}, digits)
    whole = kinds(gold) | kinds(pred)
    tables: tuple[tuple[Any, ...], ...] = _INTEGERS if whole & _WHOLE else _POINTS
    n_agreed = 0
    for table in tables:
        try:
            agreed = _compare(gold, pred, _point(names, table), digits)
        except Undefined:
            continue
        if not agreed:
            return agreed
        n_agreed += 1
    if n_agreed < (6 if whole & _WHOLE else 2):
        return None
    return True if whole & _WHOLE else _agree_below_zero(gold, pred, names, digits)


def constant(node: Node, digits: int = 60) -> Any:
    """The value of an expression without symbols: a Fraction, ±inf, or a number of mpmath."""
    return _Evaluation({}, digits)(node)


def evaluate(node: Node, point: Mapping[str, Any], digits: int) -> tuple[Any, Any]:
    """The value at a point (a number for each symbol), and the size of the largest term that was added."""
    evaluation = _Evaluation(point, digits)
    return evaluation(node), evaluation.scale


def context(digits: int) -> Any:
    """mpmath's context of this thread, at a working precision."""
    return _mp(digits)


def number_of(value: Any, digits: int) -> Any:
    """A value as a real number that can be ordered; ±inf stay.  Raises Undefined where it is not real."""
    if isinstance(value, float):
        return value
    if not _is_real(value):
        raise Undefined
    return getattr(_mpf(value, digits), "real", value)


def substituted(node: Node, name: str, by: Node) -> Node:
    """The tree with a symbol replaced."""
    if node == ("sym", name):
        return by
    return tuple(substituted(part, name, by) if isinstance(part, tuple) else part for part in node)


def ratio_at_points(gold: Node, pred: Node) -> Fraction | Any | None:
    """The constant c with gold = c * pred, or None where there is none."""
    names = symbols(gold) | symbols(pred)
    ratios = []
    for table in _POINTS:
        point = _point(names, table)
        try:
            over, under = _Evaluation(point, 80)(gold), _Evaluation(point, 80)(pred)
        except Undefined:
            continue
        if under == 0 or over == 0:
            return None
        ratios.append(over / under if isinstance(over, Fraction) and isinstance(under, Fraction)
                      else _mp(80).mpmathify(_mpf(over, 80)) / _mpf(under, 80))
    if len(ratios) < 2:
        return None
    first = ratios[0]
    return first if all(_near(first, other, 60, 1) for other in ratios[1:]) else None


def _agree_below_zero(gold: Node, pred: Node, names: frozenset[str], digits: int) -> bool:
    """sqrt(x^2) is x only for positive x; a side that is not real there says nothing."""
    for table, step in ((_POINTS[0], 1), (_POINTS[1], 2)):
        point = {name: -value if i % step == 0 else value
                 for i, (name, value) in enumerate(sorted(_point(names, table).items()))}
        try:
            a, b = _Evaluation(point, digits)(gold), _Evaluation(point, digits)(pred)
        except (Undefined, TooLarge):
            continue
        if _is_real(a) and _is_real(b) and not _near(a, b, digits, 1):
            return False
    return True


def _compare(gold: Node, pred: Node, point: Mapping[str, Any], digits: int) -> bool:
    first, second = _Evaluation(point, digits), _Evaluation(point, digits)
    a, b = first(gold), second(pred)
    return _near(a, b, digits, max(first.scale, second.scale))


def _near(a: Any, b: Any, digits: int, scale: Any) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    if isinstance(a, float) or isinstance(b, float):
        return bool(a == b)
    mp = _mp(digits)
    x, y = _mpf(a, digits), _mpf(b, digits)
    size = max(abs(x), abs(y))
    if size < mp.mpf(10) ** (_GUARD_DIGITS // 2 - digits) * scale:
        return True
    return bool(abs(x - y) <= mp.mpf(10) ** (_GUARD_DIGITS - digits) * size)


def _is_real(value: Any) -> bool:
    return not isinstance(value, float) and (isinstance(value, Fraction) or not getattr(value, "imag", 0))


def _mp(digits: int) -> Any:
    """mpmath's context of this thread (its global one is shared by threads)."""
    context = getattr(_LOCAL, "mp", None)
    if context is None:
        from mpmath import MPContext

        context = _LOCAL.mp = MPContext()
    context.dps = digits
    return context


def _mpf(value: Any, digits: int) -> Any:
    if isinstance(value, Fraction):
        mp = _mp(digits)
        return mp.mpf(value.numerator) / value.denominator
    return value


@lru_cache(maxsize=4096)
def symbols(node: Node) -> frozenset[str]:
    """Names of the free symbols of a tree."""
    return frozenset(part[1] for part in walk(node) if part[0] == "sym")


@lru_cache(maxsize=4096)
def kinds(node: Node) -> frozenset[str]:
    """Names of all nodes and functions in a tree."""
    return frozenset(part[1] if part[0] == "fn" else part[0] for part in walk(node))


@lru_cache(maxsize=4096)
def n_digits(node: Node) -> int:
    """Digits of all numbers written in a tree."""
    return sum(len(str(part[1].numerator)) + len(str(part[1].denominator)) for part in walk(node)
               if part[0] == "num" and part[1].numerator.bit_length() + part[1].denominator.bit_length() < 12000)


def walk(node: Node) -> Iterator[Node]:
    """All nodes of a tree."""
    stack: list[Any] = [node]
    while stack:
        here = stack.pop()
        if here and isinstance(here[0], str):
            yield here
        stack.extend(part for part in here if isinstance(part, tuple))


def _point(names: frozenset[str], table: tuple[Any, ...]) -> dict[str, Fraction]:
    """A value for each name; the same name always gets the same value where there is room."""
    point: dict[str, Fraction] = {}
    taken: set[int] = set()
    for name in sorted(names):
        slot = zlib.crc32(name.encode()) % len(table)
        while slot in taken and len(taken) < len(table):
            slot = (slot + 1) % len(table)
        extra = len(taken) if slot in taken else 0
        taken.add(slot)
        point[name] = Fraction(table[slot]) + extra
    return point


class _Evaluation:
    """One evaluation at one point; remembers the largest term, against which a difference is small."""

    def __init__(self, point: Mapping[str, Any], digits: int) -> None:
        self.point = point
        self.digits = digits
        self.scale: Any = 1

    def __call__(self, node: Node) -> Any:
        handler = _HANDLERS.get(node[0])
        if handler is None:
            raise Unknown(node[0])
        try:
            return handler(self, node)
        except ZeroDivisionError:
            raise Undefined from None
        except (OverflowError, MemoryError):
            raise TooLarge from None

    @property
    def mp(self) -> Any:
        return _mp(self.digits)

    def real(self, value: Any) -> Any:
        """A number for mpmath."""
        if isinstance(value, float):
            raise Undefined
        return _mpf(value, self.digits)

    def num(self, node: Node) -> Any:
        return node[1]

    def sym(self, node: Node) -> Any:
        return self.point[node[1]] if node[1] in self.point else self.opaque(node[1], ())

    def const(self, node: Node) -> Any:
        if node[1] == "oo":
            return math.inf
        return {"pi": lambda m: +m.pi, "e": lambda m: +m.e, "i": lambda m: m.mpc(0, 1)}[node[1]](self.mp)

    def add(self, node: Node) -> Any:
        values = [self(term) for term in node[1]]
        if any(isinstance(value, float) for value in values):
            return self.infinite(sum(float(v) if isinstance(v, float) else 0.0 for v in values))
        if all(isinstance(value, Fraction) for value in values):
            return self.sized(sum(values, Fraction(0)))
        reals = [self.real(value) for value in values]
        for value in reals:
            size = abs(value)
            if size > self.scale:
                self.scale = size
        return sum(reals, self.mp.mpf(0))

    @staticmethod
    def infinite(value: float) -> float:
        if math.isnan(value):
            raise Undefined
        return value

    def neg(self, node: Node) -> Any:
        return -self(node[1])

    def mul(self, node: Node) -> Any:
        product: Any = Fraction(1)
        for factor in node[1]:
            value = self(factor)
            if isinstance(value, float) or isinstance(product, float):
                if value == 0 or product == 0 or not (_is_real(value) or isinstance(value, float)):
                    raise Undefined
                sign = (1 if value > 0 else -1) * (1 if product > 0 else -1)
                product = sign * math.inf
            elif isinstance(value, Fraction) and isinstance(product, Fraction):
                product = self.sized(product * value)
            else:
                product = self.real(product) * self.real(value)
        return product

    def quotient(self, node: Node) -> Any:
        over, under = self(node[1]), self(node[2])
        if isinstance(over, Fraction) and isinstance(under, Fraction):
            return self.sized(over / under)
        if isinstance(under, float):
            return Fraction(0) if not isinstance(over, float) else self.infinite(math.nan)
        if isinstance(over, float):
            return over if under > 0 else -over
        below = self.real(under)
        if abs(below) < self.mp.mpf(10) ** (_GUARD_DIGITS - self.digits):
            size = self.real(over)
            if below == 0 or abs(size) >= abs(below) * self.mp.mpf(10) ** (self.digits // 2):
                raise Undefined
        return self.real(over) / below

    def pow(self, node: Node) -> Any:
        if node[1] == ("const", "e"):
            return self.exp(self(node[2]))
        base, exponent = self(node[1]), self(node[2])
        if isinstance(base, float) or isinstance(exponent, float):
            raise Undefined
        return self.power(base, exponent)

    def power(self, base: Any, exponent: Any) -> Any:
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            if exponent.denominator == 1:
                return self.whole_power(base, int(exponent))
            exact = self.exact_root(base, exponent)
            if exact is not None:
                return exact
        if base == 0:
            if _is_real(exponent) and exponent > 0:
                return Fraction(0)
            raise Undefined
        x, y = self.real(base), self.real(exponent)
        if abs(y) * (1 + abs(self.mp.log(abs(x), 2))) > 10 * MAX_BITS:
            raise TooLarge
        return self.mp.power(x, y)

    def whole_power(self, base: Fraction, exponent: int) -> Fraction:
        if base == 0 and exponent <= 0:
            if exponent == 0:
                return Fraction(1)
            raise Undefined
        if base not in (0, 1, -1):
            size = max(base.numerator.bit_length(), base.denominator.bit_length())
            if size * abs(exponent) > MAX_BITS:
                raise TooLarge
        elif exponent:
            return base if exponent % 2 else abs(base)
        return base**exponent

    def exact_root(self, base: Fraction, exponent: Fraction) -> Any:
        """base ** (p/q): exact where it is rational, real where q is odd; None otherwise."""
        q = exponent.denominator
        if q > 64 or max(base.numerator.bit_length(), base.denominator.bit_length()) > 4000:
            return None
        negative = base < 0
        if negative and q % 2 == 0:
            return None
        over, under = _root(abs(base.numerator), q), _root(base.denominator, q)
        if over is not None and under is not None:
            return self.whole_power(Fraction(-over if negative else over, under), exponent.numerator)
        if negative:
            size = self.mp.power(self.real(-base), self.real(exponent))
            return -size if exponent.numerator % 2 else size
        return None

    def sized(self, value: Fraction) -> Fraction:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2 * MAX_BITS:
            raise TooLarge
        return value

    def exp(self, value: Any) -> Any:
        if value == 0:
            return Fraction(1)
        x = self.real(value)
        if abs(x) > MAX_BITS:
            raise TooLarge
        return self.mp.exp(x)

    def absolute(self, node: Node) -> Any:
        return abs(self(node[1]))

    def percent(self, node: Node) -> Any:
        return self.mul(("mul", (node[1], ("num", Fraction(1, 100), 0, 0))))

    def degrees(self, node: Node) -> Any:
        value = self(node[1])
        return self.real(value) * self.mp.pi / 180

    def based(self, node: Node) -> Any:
        try:
            return Fraction(int(node[1], node[2]))
        except ValueError:
            raise Undefined from None

    def factorial(self, node: Node) -> Any:
        n = self(node[1])
        if not isinstance(n, Fraction) or n < 0:
            raise Undefined
        if n.denominator != 1:
            return self.mp.gamma(self.real(n) + 1)
        if n > 5000:
            raise TooLarge
        return Fraction(math.factorial(int(n)))

    def ratio(self, node: Node) -> Any:
        value = self(node[1][0])
        for part in node[1][1:]:
            below = self(part)
            value = value / below if isinstance(value, Fraction) and isinstance(below, Fraction) else (
                self.real(value) / self.real(below))
        return value

    def unit(self, node: Node) -> Any:
        return self(node[1])

    def app(self, node: Node) -> Any:
        """A function nobody knows: some fixed number for each name and arguments."""
        return self.opaque(node[1], tuple(self(arg) for arg in node[2]))

    def opaque(self, name: str, args: tuple[Any, ...]) -> Fraction:
        spelled = ",".join(str(v) if isinstance(v, Fraction | float) else self.mp.nstr(v, 18) for v in args)
        return 1 + Fraction(zlib.crc32(f"{name}({spelled})".encode()), 1 << 32)

    def function(self, node: Node) -> Any:
        name, args = node[1], node[2]
        if name in _EXACT:
            return _EXACT[name](self, [self(arg) for arg in args])
        values = [self.real(self.radians(arg)) for arg in args]
        handler = _REAL.get(name)
        if handler is None or len(values) != 1:
            raise Unknown(name)
        try:
            return handler(self.mp, values[0])
        except ValueError:
            raise Undefined from None

    def radians(self, arg: Node) -> Any:
        value = self(arg)
        if not isinstance(value, float) and not isinstance(value, Fraction) and abs(value) > 10**30:
            raise TooLarge
        return value

    def log(self, args: list[Any]) -> Any:
        if args[0] == 0:
            raise Undefined
        if len(args) == 2 and args[1] in (0, 1):
            raise Undefined
        exact = _exact_log(args)
        if exact is not None:
            return exact
        value = self.mp.log(self.real(args[0]))
        return value if len(args) == 1 else value / self.mp.log(self.real(args[1]))

    def root(self, args: list[Any]) -> Any:
        if args[-1] == 0:
            raise Undefined
        return self.power(args[0], 1 / args[1] if isinstance(args[1], Fraction) else 1 / self.real(args[1]))

    def rounded(self, args: list[Any], up: bool) -> Any:
        value = args[0]
        if isinstance(value, Fraction):
            return Fraction(math.ceil(value) if up else math.floor(value))
        if not _is_real(value):
            raise Undefined
        near = self.mp.nint(self.real(value))
        if abs(value - near) < self.mp.mpf(10) ** (_GUARD_DIGITS - self.digits) * (1 + abs(value)):
            return Fraction(int(near))
        return Fraction(int(self.mp.ceil(value) if up else self.mp.floor(value)))

    def binomial(self, args: list[Any], ordered: bool = False) -> Any:
        n, k = (args if not ordered else args)
        if not (isinstance(n, Fraction) and isinstance(k, Fraction)) or n.denominator != 1 or k.denominator != 1:
            raise Undefined
        if max(abs(n), abs(k)) > 20000:
            raise TooLarge
        if n < 0 or k < 0:
            raise Undefined
        return Fraction(math.perm(int(n), int(k)) if ordered else math.comb(int(n), int(k)))

    def integers(self, args: list[Any], what: Callable[..., int]) -> Any:
        if not all(isinstance(arg, Fraction) and arg.denominator == 1 for arg in args):
            raise Undefined
        return Fraction(what(*[int(arg) for arg in args]))

    def extreme(self, args: list[Any], largest: bool) -> Any:
        if not all(_is_real(arg) for arg in args) or not args:
            raise Undefined
        return (max if largest else min)(args, key=lambda v: v if isinstance(v, Fraction) else v)


def _root(value: int, q: int) -> int | None:
    """The whole q-th root of a non-negative integer, None where it has none."""
    if value < 2:
        return value
    if q == 2:
        found = math.isqrt(value)
        return found if found * found == value else None
    low, high = 1, 1 << (value.bit_length() // q + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**q <= value:
            low = middle
        else:
            high = middle - 1
    return low if low**q == value else None


def _exact_log(args: list[Any]) -> Fraction | None:
    """log_b a where it is a whole number."""
    if args[0] == 1:
        return Fraction(0)
    if len(args) != 2 or not all(isinstance(a, Fraction) and a > 0 for a in args):
        return None
    value, base = args
    k = round(_log(value) / _log(base)) if base != 1 else 0
    return Fraction(k) if abs(k) < 2000 and base**k == value else None


def _log(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)


_HANDLERS: dict[str, Callable[[_Evaluation, Node], Any]] = {
    "num": _Evaluation.num, "sym": _Evaluation.sym, "const": _Evaluation.const, "add": _Evaluation.add,
    "neg": _Evaluation.neg, "mul": _Evaluation.mul, "/": _Evaluation.quotient, "pow": _Evaluation.pow,
    "abs": _Evaluation.absolute, "pct": _Evaluation.percent, "deg": _Evaluation.degrees, "based": _Evaluation.based,
    "fact": _Evaluation.factorial, "app": _Evaluation.app, "fn": _Evaluation.function, "ratio": _Evaluation.ratio,
    "unit": _Evaluation.unit,
}
_HALF = Fraction(1, 2)
_EXACT: dict[str, Callable[[_Evaluation, list[Any]], Any]] = {
    "sqrt": lambda e, a: e.power(a[0], _HALF), "cbrt": lambda e, a: e.power(a[0], Fraction(1, 3)),
    "root": _Evaluation.root, "ln": _Evaluation.log, "log": _Evaluation.log,
    "lg": lambda e, a: e.log([a[0], Fraction(10)]), "exp": lambda e, a: e.exp(a[0]), "abs": lambda e, a: abs(a[0]),
    "floor": lambda e, a: e.rounded(a, False), "ceil": lambda e, a: e.rounded(a, True), "binom": _Evaluation.binomial,
    "perm": lambda e, a: e.binomial(a, True), "gcd": lambda e, a: e.integers(a, math.gcd),
    "lcm": lambda e, a: e.integers(a, math.lcm), "mod": lambda e, a: e.integers(a, lambda x, y: x % y),
    "max": lambda e, a: e.extreme(a, True), "min": lambda e, a: e.extreme(a, False),
}
_REAL: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda m, x: m.sin(x), "cos": lambda m, x: m.cos(x), "tan": lambda m, x: m.tan(x),
    "cot": lambda m, x: m.cot(x), "sec": lambda m, x: m.sec(x), "csc": lambda m, x: m.csc(x),
    "arcsin": lambda m, x: m.asin(x), "arccos": lambda m, x: m.acos(x), "arctan": lambda m, x: m.atan(x),
    "arccot": lambda m, x: m.acot(x), "asin": lambda m, x: m.asin(x), "acos": lambda m, x: m.acos(x),
    "atan": lambda m, x: m.atan(x), "sinh": lambda m, x: m.sinh(x), "cosh": lambda m, x: m.cosh(x),
    "tanh": lambda m, x: m.tanh(x), "arg": lambda m, x: m.arg(x), "sgn": lambda m, x: m.sign(x),
}
