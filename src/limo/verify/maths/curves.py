"""Two equations: the same curve?  Points of one are found numerically and tried in the other, both ways.

    same_curve(parse("x y - 1"), parse("y - 1/x"))     # True
    same_curve(parse("x^2 + y^2 - 1"), parse("x^2 - y^2 - 1"))   # False
    same_curve(parse("x^2 + 1"), parse("x^4 + 1"))       # None: no real point to try

Equations are given as the expression that must vanish.  At most three points each way, sixty steps each.

What it does not do: prove.  Three points of each curve on the other decide "same"; one that is not decides "different".
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from limo.verify.maths.evaluation import TooLarge, Undefined, Unknown, context
from limo.verify.maths.nodes import Node
from limo.verify.maths.values import POINTS, evaluate, symbols

_DIGITS = 40
_STARTS = ((Fraction(1, 2), Fraction(3, 4)), (Fraction(-3), Fraction(-2)), (Fraction(5), Fraction(11, 2)))


def same_curve(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions in the same symbols vanish together; None where no point was found."""
    names = sorted(symbols(gold))
    if set(names) != set(symbols(pred)) or not 0 < len(names) <= 6:
        return None
    there, back = _vanishes(gold, pred, names), _vanishes(pred, gold, names)
    if there is False or back is False:
        return False
    return True if there and back else None


def _vanishes(on: Node, other: Node, names: list[str]) -> bool | None:
    """Whether `other` is zero at points where `on` is; None if none was found."""
    n_met = 0
    for solved in names[::-1]:
        for table in POINTS[:2]:
            point: dict[str, Any] = {name: Fraction(value) for name, value in zip(names, table, strict=False)}
            for start in _STARTS:
                root = _root(on, point, solved, start)
                if root is None:
                    continue
                met = _is_zero(other, {**point, solved: root})
                if met is False:
                    return False
                n_met += met is True
                if n_met >= 3:
                    return True
                break
    return True if n_met >= 2 else None


def _root(node: Node, point: dict[str, Any], name: str, start: tuple[Fraction, Fraction]) -> Any:
    """A real zero by the secant method; None where it finds none."""
    mp = context(_DIGITS)
    a, b = (mp.mpf(x.numerator) / x.denominator for x in start)
    try:
        fa, fb = (mp.mpmathify(_real(node, {**point, name: x})) for x in (a, b))
        for _ in range(60):
            if abs(fb) < mp.mpf(10) ** -34:
                return b
            if fa == fb:
                return None
            a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
            if abs(b) > 10**9:
                return None
            fb = _real(node, {**point, name: b})
    except (Undefined, Unknown, TooLarge, TypeError, ValueError):
        return None
    return None


def _real(node: Node, point: dict[str, Any]) -> Any:
    value, _ = evaluate(node, point, _DIGITS)
    if isinstance(value, float) or getattr(value, "imag", False):
        raise Undefined
    mp = context(_DIGITS)
    return mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else mp.mpf(value.real)


def _is_zero(node: Node, point: dict[str, Any]) -> bool | None:
    try:
        value, scale = evaluate(node, point, _DIGITS)
    except (Undefined, Unknown, TooLarge):
        return None
    if isinstance(value, float):
        return None
    return bool(abs(complex(value)) <= 1e-20 * float(abs(scale)))
