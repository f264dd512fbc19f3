"""Arithmetic on values: exact fractions as long as it goes, mpmath's numbers after that, and nothing unbounded.

A value is a Fraction, a number of mpmath, or ±inf (the only floats).  Raises Undefined, TooLarge and Unknown.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

MAX_BITS = 200_000
MAX_CHOICES = 20_000  # of things to choose from
GUARD_DIGITS = 20
_LOCAL = threading.local()


class NoValue(Exception):
    """An expression without a value, for one of the three reasons below."""


class Undefined(NoValue):
    """Division by zero, a logarithm of zero, infinity minus infinity."""


class TooLarge(NoValue):
    """A value too large to write down."""


class Undecidable(NoValue):
    """The processor time of this comparison is spent, or the points of a formula do not tell."""


class Unknown(NoValue):
    """A list, a relation, words, a function without a rule."""


@contextmanager
def limited_time(seconds: float) -> Iterator[None]:
    """Inside, this thread may compute for so many seconds of processor time."""
    _LOCAL.end = time.thread_time() + seconds
    try:
        yield
    finally:
        _LOCAL.end = math.inf


def check_time() -> None:
    """Raises Undecidable where the time of `limited_time` is over."""
    if time.thread_time() > getattr(_LOCAL, "end", math.inf):
        raise Undecidable("over the processor time of a comparison")


def is_real(value: Any) -> bool:
    """Whether a value is a finite real number."""
    return not isinstance(value, float) and (isinstance(value, Fraction) or not getattr(value, "imag", 0))


def context(digits: int) -> Any:
    """mpmath's context of this thread (its global one is shared by threads), set to so many digits."""
    context = getattr(_LOCAL, "mp", None)
    if context is None:
        from mpmath import MPContext  # type: ignore[import-untyped]

        context = _LOCAL.mp = MPContext()
    context.dps = digits
    return context


def mpf(value: Any, digits: int) -> Any:
    """A value as mpmath's number of that many digits."""
    if isinstance(value, Fraction):
        return context(digits).mpf(value.numerator) / value.denominator
    return value


def magnitude(value: Any) -> int:
    """The power of two that a number of mpmath is near; 0 for zero."""
    real, imaginary = getattr(value, "_mpc_", None) or (value._mpf_, None)
    return max((part[2] + part[3] for part in (real, imaginary) if part and part[1]), default=0)


class Arithmetic:
    """Operations at a number of digits.

    `span`: over how many bits the numbers reach that were combined so that a small one could be lost beside a large
    one; with fewer digits than that, two values may look equal that are not.  `scale`: the largest number whose error
    went into a result as an absolute error, against which a difference is small.
    """

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.span = 0
        self.scale: Any = 0

    def reaches(self, bits: int) -> None:
        """Note that numbers so far apart were combined."""
        if bits > self.span:
            self.span = bits

    def add(self, numbers: list[Any]) -> Any:
        """The sum of numbers of mpmath."""
        sizes = [abs(number) for number in numbers]
        self.scale = max(self.scale, *sizes)
        magnitudes = [magnitude(size) for size in sizes if size]
        if magnitudes:
            self.reaches(max(magnitudes) - min(magnitudes))
        return sum(numbers, self.mp.mpf(0))

    @property
    def mp(self) -> Any:
        return context(self.digits)

    def finite(self, value: Any) -> Any:
        """A value as a number of mpmath.  Raises Undefined for ±inf."""
        if isinstance(value, float):
            raise Undefined
        if isinstance(value, Fraction):
            self.reaches(max(value.numerator.bit_length(), value.denominator.bit_length()) // 2)
        return mpf(value, self.digits)

    def tiny(self) -> Any:
        """Below this, a difference is no difference."""
        return self.mp.mpf(10) ** (GUARD_DIGITS - self.digits)

    def constant(self, name: str) -> Any:
        """e, pi or i."""
        return self.mp.mpc(0, 1) if name == "i" else +getattr(self.mp, name)

    def multiply(self, a: Any, b: Any) -> Any:
        if isinstance(a, float) or isinstance(b, float):
            if a == 0 or b == 0 or not all(is_real(value) or isinstance(value, float) for value in (a, b)):
                raise Undefined
            return (1 if a > 0 else -1) * (1 if b > 0 else -1) * math.inf
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return sized(a * b)
        return self.finite(a) * self.finite(b)

    def divide(self, over: Any, under: Any) -> Any:
        if isinstance(over, Fraction) and isinstance(under, Fraction):
            return sized(over / under)
        if isinstance(under, float):
            if isinstance(over, float):
                raise Undefined
            return Fraction(0)
        if isinstance(over, float):
            if not is_real(under):
                raise Undefined
            return over if under > 0 else -over
        below = self.finite(under)
        if abs(below) < self.tiny():
            size = self.finite(over)
            if below == 0 or abs(size) >= abs(below) * self.mp.mpf(10) ** (self.digits // 2):
                raise Undefined
        return self.finite(over) / below

    def power(self, base: Any, exponent: Any) -> Any:
        if isinstance(base, float) or isinstance(exponent, float):
            raise Undefined
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            if exponent.denominator == 1:
                return whole_power(base, int(exponent))
            exact = self._exact_root(base, exponent)
            if exact is not None:
                return exact
        if base == 0:
            if is_real(exponent) and exponent > 0:
                return Fraction(0)
            raise Undefined
        x, y = self.finite(base), self.finite(exponent)
        if abs(y) * (1 + abs(self.mp.log(abs(x), 2))) > 10 * MAX_BITS:
            raise TooLarge
        self.reaches(-magnitude(y))
        return self.mp.power(x, y)

    def _exact_root(self, base: Fraction, exponent: Fraction) -> Any:
        """base ** (p/q): exact where it is rational, real where q is odd; None otherwise."""
        q = exponent.denominator
        if q > 64 or max(base.numerator.bit_length(), base.denominator.bit_length()) > 4000:
            return None
        negative = base < 0
        if negative and q % 2 == 0:
            return None
        over, under = whole_root(abs(base.numerator), q), whole_root(base.denominator, q)
        if over is not None and under is not None:
            return whole_power(Fraction(-over if negative else over, under), exponent.numerator)
        if negative:
            size = self.mp.power(self.finite(-base), self.finite(exponent))
            return -size if exponent.numerator % 2 else size
        return None

    def exp(self, value: Any) -> Any:
        if value == 0:
            return Fraction(1)
        x = self.finite(value)
        if abs(x) > MAX_BITS:
            raise TooLarge
        self.reaches(-magnitude(x))
        return self.mp.exp(x)

    def factorial(self, n: Any) -> Any:
        if not isinstance(n, Fraction) or n < 0:
            raise Undefined
        if n.denominator != 1:
            return self.mp.gamma(self.finite(n) + 1)
        if n > 5000:
            raise TooLarge
        return Fraction(math.factorial(int(n)))

    def call(self, function: str, values: list[Any]) -> Any:
        """A known function of values."""
        if not values or len(values) != _N_ARGUMENTS.get(function, len(values)):
            raise Unknown(f"{function} of {len(values)} arguments")
        if function in _EXACT:
            return _EXACT[function](self, values)
        if not all(isinstance(value, float | Fraction) or abs(value) <= 10**30 for value in values):
            raise TooLarge  # mpmath cannot reduce it to one turn
        numbers = [self.finite(value) for value in values]
        if len(numbers) != 1:
            raise Unknown(function)
        self.scale = max(self.scale, abs(numbers[0]))
        self.reaches(int(3 * abs(numbers[0])) if function in _SATURATED else abs(magnitude(numbers[0])))
        return getattr(self.mp, "sign" if function == "sgn" else _ARC.sub("a", function))(numbers[0])

    def log(self, value: Any, base: Any = None) -> Any:
        if value == 0 or base in (0, 1):
            raise Undefined
        exact = exact_log(value, base)
        if exact is not None:
            return exact
        self.scale = max(self.scale, self.mp.mpf(1))
        logarithm = self.mp.log(self.finite(value))
        return logarithm if base is None else logarithm / self.mp.log(self.finite(base))

    def root(self, value: Any, index: Any) -> Any:
        if index == 0:
            raise Undefined
        return self.power(value, 1 / index if isinstance(index, Fraction) else 1 / self.finite(index))

    def floor(self, value: Any) -> Fraction:
        if isinstance(value, Fraction):
            return Fraction(math.floor(value))
        if not is_real(value):
            raise Undefined
        nearest = self.mp.nint(self.finite(value))
        if abs(value - nearest) < self.tiny() * (1 + abs(value)):
            return Fraction(int(nearest))
        return Fraction(int(self.mp.floor(value)))


def sized(value: Fraction) -> Fraction:
    """The value.  Raises TooLarge where it has too many bits."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2 * MAX_BITS:
        raise TooLarge
    return value


def whole_power(base: Fraction, exponent: int) -> Fraction:
    """base ** exponent, exactly.  Raises Undefined for 0 to a negative power, TooLarge over MAX_BITS."""
    if base in (0, 1, -1):
        if base == 0 and exponent < 0:
            raise Undefined
        exponent = exponent and 2 - exponent % 2  # which power of 0, 1 and -1 counts only by being odd
    elif max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent) > MAX_BITS:
        raise TooLarge
    return base**exponent


def whole_root(value: int, q: int) -> int | None:
    """The whole q-th root of a non-negative integer, None where it has none."""
    if q == 2 or value < 2:
        root = math.isqrt(value)
    else:
        from mpmath.libmp import from_int, mpf_nthroot, to_int  # type: ignore[import-untyped]

        root = to_int(mpf_nthroot(from_int(value), q, value.bit_length() // q + 32), "n")
    return root if root**q == value else None


def exact_log(value: Any, base: Any) -> Fraction | None:
    """The logarithm where it is a whole number; a base of None is e."""
    if value == 1:
        return Fraction(0)
    if not (isinstance(value, Fraction) and isinstance(base, Fraction) and value > 0 and base > 0):
        return None
    k = round(_float_log(value) / _float_log(base)) if base != 1 else 0
    return Fraction(k) if abs(k) < 2000 and base**k == value else None


def _float_log(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)


def _double_factorial(n: Any) -> Fraction:
    """n (n-2) (n-4) ... of a whole number from -1 on."""
    if not isinstance(n, Fraction) or n < -1 or n.denominator != 1:
        raise Undefined
    if n > 5000:
        raise TooLarge
    return Fraction(math.prod(range(int(n), 0, -2)))


def _of_integers(function: Callable[..., int], values: list[Any], limit: float = math.inf) -> Fraction:
    if not all(isinstance(value, Fraction) and value.denominator == 1 for value in values):
        raise Undefined
    if any(abs(value) > limit for value in values):
        raise TooLarge
    return Fraction(function(*map(int, values)))


def _extreme(function: Callable[[list[Any]], Any], values: list[Any]) -> Any:
    if not all(map(is_real, values)):
        raise Undefined
    return function(values)


_EXACT: dict[str, Callable[[Arithmetic, list[Any]], Any]] = {
    "sqrt": lambda a, values: a.power(values[0], Fraction(1, 2)),
    "cbrt": lambda a, values: a.power(values[0], Fraction(1, 3)),
    "root": lambda a, values: a.root(values[0], values[-1]),
    "ln": lambda a, values: a.log(*values[:2]),
    "log": lambda a, values: a.log(*values[:2]),
    "lg": lambda a, values: a.log(values[0], Fraction(10)),
    "exp": lambda a, values: a.exp(values[0]),
    **dict.fromkeys(("abs", "Abs"), lambda a, values: abs(values[0])),
    "factorial": lambda a, values: a.factorial(values[0]),
    "doublefactorial": lambda a, values: _double_factorial(values[0]),
    "floor": lambda a, values: a.floor(values[0]),
    "ceil": lambda a, values: -a.floor(-values[0]),
    "binom": lambda a, values: _of_integers(math.comb, values, MAX_CHOICES),
    "perm": lambda a, values: _of_integers(math.perm, values, MAX_CHOICES),
    "gcd": lambda a, values: _of_integers(math.gcd, values),
    "lcm": lambda a, values: _of_integers(math.lcm, values),
    "mod": lambda a, values: _of_integers(lambda x, y: x % y, values),
    "max": lambda a, values: _extreme(max, values),
    "min": lambda a, values: _extreme(min, values),
}
_SATURATED = frozenset(("tanh", "coth"))  # they come as near to 1 as e^{-2x} is to 0
_N_ARGUMENTS = {"binom": 2, "perm": 2, "mod": 2}
_ARC = re.compile(r"^arc?(?=[sct])")  # arcsin and arsinh are mpmath's asin and asinh; other functions have its names
