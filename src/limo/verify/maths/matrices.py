r"""Products whose order counts: letters that are matrices are put in as matrices, not as numbers.

A capital letter under ^T or ^{-1} shows it: `A^{-1}B` is not `BA^{-1}`, and `(AB)^T` is `B^T A^T`.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import Undecidable, check_time, context, mpf
from limo.verify.maths.nodes import Node

TRANSPOSED = nodes.Symbol("T")
DIGITS, SIZE, MAX_POWER = 60, 3, 64
_CAPITAL = re.compile(r"[A-Z](?:_.*)?")
_MATRIX_OR_VECTOR = re.compile(r"(?:[A-Z]|[bu-z])(?:_.*)?")  # any other letter is a number


def transposed(node: Node) -> Node:
    """A matrix with its rows as columns, a tuple as a column, anything else under a T."""
    match node:
        case nodes.Matrix(rows) if len({len(row) for row in rows}) == 1:
            return nodes.Matrix(tuple(zip(*rows, strict=True)))
        case nodes.Listing("(" | "[", ")" | "]", items):
            return nodes.Matrix(tuple((item,) for item in items))
    return nodes.Power(node, TRANSPOSED)


def are_matrices(*sides: Node) -> bool:
    """Whether the capital letters of two trees are matrices: one is inverted or transposed, and none divides."""
    quotients = [part for side in sides for part in side.walk() if isinstance(part, nodes.Quotient)]
    divide = any(_CAPITAL.fullmatch(name) for part in quotients for name in part.denominator.symbols)
    return not divide and any(map(_has_matrices, sides))


def _has_matrices(node: Node) -> bool:
    return any(
        isinstance(part, nodes.Power)
        and (_is_minus_one(part.exponent) or TRANSPOSED in (part.exponent, *part.exponent.children))
        and bool(part.base.symbols)
        and all(map(_CAPITAL.fullmatch, part.base.symbols))
        for part in node.walk()
    )


def same_matrix(gold: Node, pred: Node) -> bool:
    """Whether two formulas are the same matrix for random matrices.  Raises Undecidable for what is no such formula."""
    try:
        a, b = _value(gold), _value(pred)
        if not (_is_matrix(a) and _is_matrix(b)):
            return not _is_matrix(a) and not _is_matrix(b) and bool(abs(a - b) < 10 ** (20 - DIGITS))
        return bool(_size(a - b) <= (_size(a) + _size(b)) * context(DIGITS).mpf(10) ** (20 - DIGITS))
    except (ArithmeticError, TypeError, ValueError):
        raise Undecidable("letters that may be matrices") from None


def _is_minus_one(node: Node) -> bool:
    return isinstance(node, nodes.Negative) and node.operand == nodes.Number(nodes.ZERO.value + 1)


def _is_matrix(value: Any) -> bool:
    return hasattr(value, "rows")


def _size(matrix: Any) -> Any:
    return max(abs(entry) for entry in matrix)


def _value(node: Node) -> Any:
    check_time()
    mp = context(DIGITS)
    match node:
        case nodes.Number(value):
            return mpf(value, DIGITS)
        case nodes.Symbol("I"):
            return mp.eye(SIZE)
        case nodes.Symbol(name) if _MATRIX_OR_VECTOR.fullmatch(name):
            seeds = (zlib.crc32(f"{name} {k}".encode()) for k in range(SIZE * SIZE))
            entries = [mp.mpf(seed % 1999 - 999) / 500 for seed in seeds]
            return mp.matrix(SIZE, SIZE) + mp.matrix([entries[k : k + SIZE] for k in range(0, SIZE * SIZE, SIZE)])
        case nodes.Symbol(name):
            return 1 + mp.mpf(zlib.crc32(name.encode()) % 997) / 500
        case nodes.Negative(operand):
            return -1 * _value(operand)
        case nodes.Sum((first, *rest)):
            total = _value(first)
            for term in map(_value, rest):
                if _is_matrix(total) is not _is_matrix(term):
                    raise TypeError("a matrix and a number")
                total = total + term
            return total
        case nodes.Product((first, *rest)):
            product = _value(first)
            for factor in rest:
                product = product * _value(factor)
            return product
        case nodes.Quotient(over, under) if not _is_matrix(below := _value(under)):
            return _value(over) * (1 / below)
        case nodes.Power(base, exponent) if exponent == TRANSPOSED:
            return _value(base).T if _is_matrix(_value(base)) else _value(base)
        case nodes.Power(base, nodes.Negative(exponent)):
            return _value(nodes.Power(base, exponent)) ** -1
        case nodes.Power(base, nodes.Number(power)) if power.denominator == 1 and 0 <= power <= MAX_POWER:
            return _value(base) ** int(power)
    raise TypeError(type(node).__name__)
