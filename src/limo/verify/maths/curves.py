"""Two equations: the same curve?  Points of one are found numerically and tried in the other, both ways.

    same_curve(parse("x y - 1"), parse("y - 1/x"))               # True
    same_curve(parse("x^2 + y^2 - 1"), parse("x^2 - y^2 - 1"))   # False
    same_curve(parse("x^2 + 1"), parse("x^4 + 1"))               # None: no real point to try

Equations are given as the expression that must vanish.  Three points of each curve on the other decide "same"; one
that is not decides "different".
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from limo.verify.maths.arithmetic import TooLarge, Undefined, Unknown, context, mpf
from limo.verify.maths.nodes import Node
from limo.verify.maths.values import POINTS, evaluate

_DIGITS, _N_POINTS, _MAX_STEPS = 40, 3, 60
_STARTS = ((Fraction(1, 2), Fraction(3, 4)), (Fraction(-3), Fraction(-2)), (Fraction(5), Fraction(11, 2)))


def same_curve(gold: Node, pred: Node) -> bool | None:
    """Whether two expressions in the same symbols vanish together; None where no point was found."""
    names = sorted(gold.symbols)
    if gold.symbols != pred.symbols or not 0 < len(names) <= 6:
        return None
    there, back = _vanishes_on(gold, pred, names), _vanishes_on(pred, gold, names)
    if there is False or back is False:
        return False
    return True if there and back else None


def _vanishes_on(curve: Node, other: Node, names: list[str]) -> bool | None:
    """Whether `other` is zero at points of `curve`; None if too few were found."""
    n_zeros = 0
    for unknown in names[::-1]:
        for row in POINTS[:2]:
            point: dict[str, Any] = dict(zip(names, row, strict=False))
            root = next((r for start in _STARTS if (r := _root(curve, point, unknown, start)) is not None), None)
            if root is None:
                continue
            zero = _is_zero(other, {**point, unknown: root})
            if zero is False:
                return False
            n_zeros += zero is True
            if n_zeros >= _N_POINTS:
                return True
    return True if n_zeros >= _N_POINTS - 1 else None


def _root(node: Node, point: dict[str, Any], name: str, start: tuple[Fraction, Fraction]) -> Any:
    """A real zero by the secant method; None where it finds none."""
    mp = context(_DIGITS)
    try:
        root = mp.findroot(
            lambda x: _real(node, {**point, name: x}), [mpf(x, _DIGITS) for x in start], maxsteps=_MAX_STEPS
        )
    except (Undefined, Unknown, TooLarge, TypeError, ValueError, ZeroDivisionError):
        return None
    return root if abs(root) <= 10**9 else None


def _real(node: Node, point: dict[str, Any]) -> Any:
    value, _ = evaluate(node, point, _DIGITS)
    if isinstance(value, float) or getattr(value, "imag", False):
        raise Undefined
    return mpf(value, _DIGITS).real


def _is_zero(node: Node, point: dict[str, Any]) -> bool | None:
    try:
        value, scale = evaluate(node, point, _DIGITS)
    except (Undefined, Unknown, TooLarge):
        return None
    if isinstance(value, float):
        return None
    return bool(abs(complex(value)) <= 1e-20 * float(abs(scale)))
