"""A tree at a point: the value of each node, bottom up.

    Evaluation({"x": Fraction(1, 2)}, 60)(parse("2x"))      # Fraction(1, 1)

Values are those of `arithmetic`.  A function nobody knows gets a fixed number for its name and arguments, so that
f(x) = f(x) and f(x) != f(y).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from limo.verify.maths import nodes
from limo.verify.maths.arithmetic import Arithmetic, TooLarge, Undefined, Unknown, sized
from limo.verify.maths.nodes import E, Node


class Evaluation:
    """One evaluation at one point; remembers the largest term, against which a difference is small.

    Raises Undefined, TooLarge, and Unknown for a node without a value.
    """

    def __init__(self, point: Mapping[str, Any], digits: int) -> None:
        self.point = point
        self.arithmetic = Arithmetic(digits)
        self.scale: Any = 1

    def __call__(self, node: Node) -> Any:
        rule = _RULES.get(type(node))
        if rule is None:
            raise Unknown(type(node).__name__)
        try:
            return rule(self, node)
        except ZeroDivisionError:
            raise Undefined from None
        except (OverflowError, MemoryError):
            raise TooLarge from None

    def symbol(self, node: nodes.Symbol) -> Any:
        return self.point[node.name] if node.name in self.point else self.fixed_number(node.name, ())

    def constant(self, node: nodes.Constant) -> Any:
        if node.name == "infinity":
            return math.inf
        mp = self.arithmetic.mp
        return mp.mpc(0, 1) if node.name == "i" else +getattr(mp, node.name)

    def sum(self, node: nodes.Sum) -> Any:
        values = [self(term) for term in node.terms]
        infinities = [value for value in values if isinstance(value, float)]
        if infinities:
            if len(set(infinities)) > 1:
                raise Undefined
            return infinities[0]
        if all(isinstance(value, Fraction) for value in values):
            return sized(sum(values, Fraction(0)))
        numbers = [self.arithmetic.finite(value) for value in values]
        self.scale = max(self.scale, *map(abs, numbers))
        return sum(numbers, self.arithmetic.mp.mpf(0))

    def product(self, node: nodes.Product) -> Any:
        product: Any = Fraction(1)
        for factor in node.factors:
            product = self.arithmetic.multiply(product, self(factor))
        return product

    def power(self, node: nodes.Power) -> Any:
        if node.base == E:
            return self.arithmetic.exp(self(node.exponent))
        return self.arithmetic.power(self(node.base), self(node.exponent))

    def degrees(self, node: nodes.Degrees) -> Any:
        return self.arithmetic.finite(self(node.operand)) * self.arithmetic.mp.pi / 180

    def based_numeral(self, node: nodes.BasedNumeral) -> Any:
        try:
            return Fraction(int(node.digits, node.base))
        except ValueError:
            raise Undefined from None

    def ratio(self, node: nodes.Ratio) -> Any:
        value = self(node.parts[0])
        for part in node.parts[1:]:
            value = self.arithmetic.divide(value, self(part))
        return value

    def application(self, node: nodes.Application) -> Any:
        return self.fixed_number(node.name, tuple(self(argument) for argument in node.arguments))

    def call(self, node: nodes.Call) -> Any:
        return self.arithmetic.call(node.function, [self(argument) for argument in node.arguments])

    def fixed_number(self, name: str, values: tuple[Any, ...]) -> Fraction:
        """A number between 1 and 2 for a name and the values of its arguments."""
        mp = self.arithmetic.mp
        spelled = ",".join(str(v) if isinstance(v, Fraction | float) else mp.nstr(v, 18) for v in values)
        return 1 + Fraction(zlib.crc32(f"{name}({spelled})".encode()), 1 << 32)


_RULES: dict[type[Node], Callable[[Evaluation, Any], Any]] = {
    nodes.Number: lambda evaluation, node: node.value,
    nodes.Symbol: Evaluation.symbol,
    nodes.Constant: Evaluation.constant,
    nodes.BasedNumeral: Evaluation.based_numeral,
    nodes.Sum: Evaluation.sum,
    nodes.Product: Evaluation.product,
    nodes.Negative: lambda evaluation, node: -evaluation(node.operand),
    nodes.Quotient: lambda evaluation, node: evaluation.arithmetic.divide(
        evaluation(node.numerator), evaluation(node.denominator)
    ),
    nodes.Power: Evaluation.power,
    nodes.Absolute: lambda evaluation, node: abs(evaluation(node.operand)),
    nodes.Factorial: lambda evaluation, node: evaluation.arithmetic.factorial(evaluation(node.operand)),
    nodes.Percent: lambda evaluation, node: evaluation.arithmetic.multiply(evaluation(node.operand), Fraction(1, 100)),
    nodes.Degrees: Evaluation.degrees,
    nodes.Ratio: Evaluation.ratio,
    nodes.Quantity: lambda evaluation, node: evaluation(node.value),
    nodes.Call: Evaluation.call,
    nodes.Application: Evaluation.application,
}
