"""Where an expression is zero: its real zeros in one symbol, all of them where it is a quotient of polynomials.

zeros(parse("x^2 - 4"), "x", {})                    # [-2, 2]
same_curve(parse("y^2 - 4x"), parse("y - 2\\sqrt x"))     # False: a branch is missing
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import Any

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import NoValue, Undefined, context, is_real, mpf
from limo.verify.maths.nodes import Node
from limo.verify.maths.values import POINTS, Evaluation, evaluate, is_complex_valued

MAX_DEGREE, DIGITS = 24, 70
_SIGNS = (0, 0, 0b01, 0b10, 0b11)  # which symbols are negative in each slice of a curve, as bits
_GRID = [Fraction(k, 7) for k in (-700, -210, *range(-84, 85, 3), 211, 701)]

Polynomial = list[Any]  # coefficients, the constant first
RationalFunction = tuple[Polynomial, Polynomial]  # numerator and denominator
_ONE: Polynomial = [Fraction(1)]


def polynomial(node: Node, name: str, point: Mapping[str, Any]) -> RationalFunction:
    """A quotient of polynomials in one symbol, the others at a point.  Raises NoValue for any other tree."""
    if name not in node.symbols:
        return [Evaluation(point, DIGITS)(node)], _ONE
    match node:
        case nodes.Symbol():
            return [Fraction(0), Fraction(1)], _ONE
        case nodes.Negative(inner):
            over, under = polynomial(inner, name, point)
            return [-c for c in over], under
        case nodes.Sum(terms):
            return reduce(_sum, (polynomial(term, name, point) for term in terms), ([Fraction(0)], _ONE))
        case nodes.Product(factors):
            return reduce(_product, (polynomial(factor, name, point) for factor in factors), (_ONE, _ONE))
        case nodes.Quotient(left, right):
            return _product(polynomial(left, name, point), polynomial(right, name, point)[::-1])
        case nodes.Power(base, nodes.Number(exponent)) if exponent.denominator == 1 and exponent <= MAX_DEGREE:
            return reduce(_product, [polynomial(base, name, point)] * int(exponent), (_ONE, _ONE))
    raise Undefined


def _sum(a: RationalFunction, b: RationalFunction) -> RationalFunction:
    return _added(_times(a[0], b[1]), _times(b[0], a[1])), _times(a[1], b[1])


def _product(a: RationalFunction, b: RationalFunction) -> RationalFunction:
    return _times(a[0], b[0]), _times(a[1], b[1])


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    if len(a) + len(b) > 2 * MAX_DEGREE:
        raise Undefined
    product: Polynomial = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] = product[i + j] + _mixed(x, y)
    return product


def _mixed(x: Any, y: Any) -> Any:
    return x * y if isinstance(x, Fraction) == isinstance(y, Fraction) else mpf(x, DIGITS) * mpf(y, DIGITS)


def _added(a: Polynomial, b: Polynomial) -> Polynomial:
    if len(a) < len(b):
        a, b = b, a
    return [mpf(x, DIGITS) + mpf(y, DIGITS) if isinstance(x, Fraction) != isinstance(y, Fraction) else x + y
            for x, y in zip(a, [*b, *[Fraction(0)] * (len(a) - len(b))], strict=True)]  # fmt: skip


def _remainder(a: Polynomial, b: Polynomial) -> Polynomial:
    a = a[:]
    while len(a) >= len(b):
        factor = a[-1] / b[-1]
        for i, c in enumerate(b, len(a) - len(b)):
            a[i] -= factor * c
        a.pop()
        a = _trimmed(a)
    return a


def _trimmed(coefficients: Polynomial) -> Polynomial:
    while coefficients and coefficients[-1] == 0:
        coefficients = coefficients[:-1]
    return coefficients


def _quotient(a: Polynomial, b: Polynomial) -> Polynomial:
    a, quotient = a[:], list[Any]()
    while len(a) >= len(b):
        quotient.insert(0, a[-1] / b[-1])
        for i, c in enumerate(b, len(a) - len(b)):
            a[i] -= quotient[0] * c
        a.pop()
    return quotient


def roots(coefficients: Polynomial) -> list[Any]:
    """The distinct complex roots.  Raises Undefined where they cannot be found."""
    coefficients = _trimmed(coefficients)
    if not coefficients:
        raise Undefined
    if all(isinstance(c, Fraction) for c in coefficients):  # without multiple roots
        a, b = coefficients, [k * c for k, c in enumerate(coefficients)][1:]
        while b:
            a, b = b, _remainder(a, b)
        coefficients = _quotient(coefficients, a)
    if len(coefficients) == 1:
        return []
    if len(coefficients) == 2:  # exactly, or without the absolute error of a search
        under, over = coefficients[1], -coefficients[0]
        exact = isinstance(under, Fraction) and isinstance(over, Fraction)
        return [over / under if exact else context(DIGITS).mpmathify(mpf(over, DIGITS)) / mpf(under, DIGITS)]
    mp = context(DIGITS)
    try:
        return list(mp.polyroots([mpf(c, DIGITS) for c in coefficients[::-1]], maxsteps=200, extraprec=200))
    except (mp.NoConvergence, ZeroDivisionError, ValueError):
        raise Undefined from None


def real_roots(coefficients: Polynomial) -> list[Any]:
    """The distinct real roots."""
    found = [r for r in roots(coefficients) if isinstance(r, Fraction) or abs(r.imag) < 1e-20 * (1 + abs(r))]
    return [r if isinstance(r, Fraction) else r.real for r in found]


def zeros(node: Node, name: str, point: Mapping[str, Any]) -> list[Any] | None:
    """Real zeros in one symbol: all of a quotient of polynomials, else those found on a grid; None where none is."""
    try:
        over, _ = polynomial(node, name, point)
        return real_roots(over)
    except NoValue:
        return _zeros_on_grid(node, name, point) or None


def _zeros_on_grid(node: Node, name: str, point: Mapping[str, Any]) -> list[Any]:
    mp, found = context(DIGITS), []
    values = [(x, _real(node, {**point, name: x})) for x in _GRID]
    for (x, a), (y, b) in pairwise(values):
        if a is None or b is None or (a > 0) == (b > 0):
            continue
        try:
            ends = mpf(x, DIGITS), mpf(y, DIGITS)
            root = mp.findroot(lambda t: mpf(_real(node, {**point, name: t}) or 0, DIGITS), ends, solver="anderson")
        except (NoValue, ValueError, ZeroDivisionError):
            continue
        found.append(root)
    return found


def _real(node: Node, point: Mapping[str, Any]) -> Any:
    try:
        value = Evaluation(point, DIGITS, real=True)(node)
    except NoValue:
        return None
    return None if isinstance(value, float) else value


def same_curve(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions in the same symbols vanish at the same points; None where too few were found.

    On lines along each axis the zeros of either side are zeros of the other.
    """
    names = sorted(gold.symbols)
    if gold.symbols != pred.symbols or not 0 < len(names) <= 6:
        return None
    if is_complex_valued(gold.symbols, gold, pred):
        return _same_complex_roots(gold, pred, names)
    n_zeros = 0
    for unknown in names[::-1]:
        for k, signs in enumerate(_SIGNS if len(names) > 1 else (0,)):
            row = POINTS[k % len(POINTS)]
            point: dict[str, Any] = {
                n: -x if signs >> j % 2 & 1 else x for j, (n, x) in enumerate(zip(names, row, strict=False))
            }
            for curve, other in ((gold, pred), (pred, gold)):
                for root in zeros(curve, unknown, point) or ():
                    if _is_zero(curve, {**point, unknown: root}) is not True:
                        continue  # beside a pole
                    if not _is_zero(other, {**point, unknown: root}):
                        return False
                    n_zeros += 1
    return True if n_zeros >= 2 else None


def _same_complex_roots(gold: Node, pred: Node, names: list[str]) -> bool | None:
    if len(names) > 1:
        return None
    g, p = (roots(polynomial(side, names[0], {})[0]) for side in (gold, pred))
    near = all(any(abs(complex(a) - complex(b)) < 1e-12 * (1 + abs(complex(a))) for b in p) for a in g)
    return near and len(g) == len(p)


def _is_zero(node: Node, point: dict[str, Any]) -> bool | None:
    """None where it has no value there."""
    try:
        value, scale = evaluate(node, point, DIGITS, real=True)
    except NoValue:
        return None
    if isinstance(value, float):
        return None
    return bool(abs(value) <= 1e-20 * max(abs(scale), 1)) if is_real(value) else False
