"""One tree at one point: exact fractions as long as it goes, mpmath's numbers after that, and nothing unbounded.

    Evaluation({"x": Fraction(1, 2)}, 60)(parse("2x"))      # Fraction(1, 1)

Sizes are checked before anything is raised to a power or multiplied out.  A function nobody knows gets a fixed number
for its name and arguments, so that f(x) = f(x) and f(x) != f(y).

What it does not do: compare (see `value`).
"""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from limo.verify.maths.nodes import Node
from limo.verify.maths.roots import exact_log, whole_root

MAX_BITS = 200_000
GUARD_DIGITS = 20
_LOCAL = threading.local()


class Undefined(Exception):
    """No value here: division by zero, a logarithm of zero, infinity minus infinity."""


class TooLarge(Exception):
    """A value too large to write down."""


class Unknown(Exception):
    """A node that has no value (a list, a relation, words)."""


def is_real(value: Any) -> bool:
    """Whether a value is a real number; a float, which is not exact, is none here."""
    return not isinstance(value, float) and (isinstance(value, Fraction) or not getattr(value, "imag", 0))


def context(digits: int) -> Any:
    """mpmath's context of this thread (its global one is shared by threads)."""
    context = getattr(_LOCAL, "mp", None)
    if context is None:
        from mpmath import MPContext  # type: ignore[import-untyped]

        context = _LOCAL.mp = MPContext()
    context.dps = digits
    return context


def mpf(value: Any, digits: int) -> Any:
    """A value as mpmath's number of that many digits."""
    if isinstance(value, Fraction):
        mp = context(digits)
        return mp.mpf(value.numerator) / value.denominator
    return value


class Evaluation:
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
        return context(self.digits)

    def real(self, value: Any) -> Any:
        """A number for mpmath."""
        if isinstance(value, float):
            raise Undefined
        return mpf(value, self.digits)

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
                if value == 0 or product == 0 or not (is_real(value) or isinstance(value, float)):
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
        if abs(below) < self.mp.mpf(10) ** (GUARD_DIGITS - self.digits):
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
            if is_real(exponent) and exponent > 0:
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
        over, under = whole_root(abs(base.numerator), q), whole_root(base.denominator, q)
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
            value = (
                value / below
                if isinstance(value, Fraction) and isinstance(below, Fraction)
                else (self.real(value) / self.real(below))
            )
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
        exact = exact_log(args)
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
        if not is_real(value):
            raise Undefined
        near = self.mp.nint(self.real(value))
        if abs(value - near) < self.mp.mpf(10) ** (GUARD_DIGITS - self.digits) * (1 + abs(value)):
            return Fraction(int(near))
        return Fraction(int(self.mp.ceil(value) if up else self.mp.floor(value)))

    def binomial(self, args: list[Any], ordered: bool = False) -> Any:
        n, k = args
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
        if not all(is_real(arg) for arg in args) or not args:
            raise Undefined
        return (max if largest else min)(args)


_HANDLERS: dict[str, Callable[[Evaluation, Node], Any]] = {
    "num": Evaluation.num,
    "sym": Evaluation.sym,
    "const": Evaluation.const,
    "add": Evaluation.add,
    "neg": Evaluation.neg,
    "mul": Evaluation.mul,
    "/": Evaluation.quotient,
    "pow": Evaluation.pow,
    "abs": Evaluation.absolute,
    "pct": Evaluation.percent,
    "deg": Evaluation.degrees,
    "based": Evaluation.based,
    "fact": Evaluation.factorial,
    "app": Evaluation.app,
    "fn": Evaluation.function,
    "ratio": Evaluation.ratio,
    "unit": Evaluation.unit,
}
_HALF = Fraction(1, 2)
_EXACT: dict[str, Callable[[Evaluation, list[Any]], Any]] = {
    "sqrt": lambda e, a: e.power(a[0], _HALF),
    "cbrt": lambda e, a: e.power(a[0], Fraction(1, 3)),
    "root": Evaluation.root,
    "ln": Evaluation.log,
    "log": Evaluation.log,
    "lg": lambda e, a: e.log([a[0], Fraction(10)]),
    "exp": lambda e, a: e.exp(a[0]),
    "abs": lambda e, a: abs(a[0]),
    "floor": lambda e, a: e.rounded(a, False),
    "ceil": lambda e, a: e.rounded(a, True),
    "binom": Evaluation.binomial,
    "perm": lambda e, a: e.binomial(a, True),
    "gcd": lambda e, a: e.integers(a, math.gcd),
    "lcm": lambda e, a: e.integers(a, math.lcm),
    "mod": lambda e, a: e.integers(a, lambda x, y: x % y),
    "max": lambda e, a: e.extreme(a, True),
    "min": lambda e, a: e.extreme(a, False),
}
_REAL: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda m, x: m.sin(x),
    "cos": lambda m, x: m.cos(x),
    "tan": lambda m, x: m.tan(x),
    "cot": lambda m, x: m.cot(x),
    "sec": lambda m, x: m.sec(x),
    "csc": lambda m, x: m.csc(x),
    "arcsin": lambda m, x: m.asin(x),
    "arccos": lambda m, x: m.acos(x),
    "arctan": lambda m, x: m.atan(x),
    "arccot": lambda m, x: m.acot(x),
    "asin": lambda m, x: m.asin(x),
    "acos": lambda m, x: m.acos(x),
    "atan": lambda m, x: m.atan(x),
    "sinh": lambda m, x: m.sinh(x),
    "cosh": lambda m, x: m.cosh(x),
    "tanh": lambda m, x: m.tanh(x),
    "arg": lambda m, x: m.arg(x),
    "sgn": lambda m, x: m.sign(x),
}
