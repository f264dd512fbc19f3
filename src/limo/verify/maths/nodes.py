"""The nodes of a tree: a frozen dataclass for each kind of expression; fields hold nodes, tuples of nodes, or text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, dataclass_transform

from limo.verify.maths.tokens import Unparsed

MAX_DIGITS = 4000
_MAX_BITS = 12_000  # numbers of more bits do not count as written digits


@dataclass_transform(frozen_default=True)
class Node:
    """The base of all nodes, which makes each a frozen dataclass; facts about a whole tree are computed once."""

    __match_args__: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @cached_property
    def children(self) -> tuple[Node, ...]:
        """The nodes directly below."""
        return tuple(child for name in self.__match_args__ for child in _nodes_in(getattr(self, name)))

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        stack: list[Node] = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children)

    def rebuilt(self, change: Callable[[Node], Node]) -> Self:
        """The same node with each child changed."""
        return type(self)(*(_changed(getattr(self, name), change) for name in self.__match_args__))

    @cached_property
    def symbols(self) -> frozenset[str]:
        """Names of the free symbols."""
        return frozenset(node.name for node in self.walk() if type(node) is Symbol)

    @cached_property
    def kinds(self) -> frozenset[type[Node]]:
        """Classes of all nodes in the tree."""
        return frozenset(type(node) for node in self.walk())

    @cached_property
    def functions(self) -> frozenset[str]:
        """Names of the known functions that are called."""
        return frozenset(node.function for node in self.walk() if type(node) is Call)

    @cached_property
    def n_digits(self) -> int:
        """Digits of all numbers written in the tree."""
        fractions = (node.value.as_integer_ratio() for node in self.walk() if type(node) is Number)
        return sum(len(str(a)) + len(str(b)) for a, b in fractions if a.bit_length() + b.bit_length() < _MAX_BITS)


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _nodes_in(part)


def _changed(value: Any, change: Callable[[Node], Node]) -> Any:
    if isinstance(value, Node):
        return change(value)
    return tuple(_changed(part, change) for part in value) if isinstance(value, tuple) else value


class Number(Node):
    """A literal: its exact value; its significant digits and the power of ten of its last place (0 and 0 if whole)."""

    value: Fraction
    significant: int = 0
    place: int = 0


class Symbol(Node):
    """A letter or word that stands for a value."""

    name: str


class Constant(Node):
    """A named number."""

    name: Literal["pi", "e", "i", "infinity"]


class BasedNumeral(Node):
    """Digits in a base: `204_5`."""

    digits: str
    base: int


class Sum(Node):
    """Terms added; a difference has a `Negative` term."""

    terms: tuple[Node, ...]


class Product(Node):
    """Factors multiplied."""

    factors: tuple[Node, ...]


class Quotient(Node):
    """A fraction or division."""

    numerator: Node
    denominator: Node


class Power(Node):
    """A base and its exponent."""

    base: Node
    exponent: Node


class Unary(Node):
    """A node over one other."""

    operand: Node


class Negative(Unary):
    """A term with a minus sign."""


class Absolute(Unary):
    """`|x|`."""


class Factorial(Unary):
    """`n!`."""


class Percent(Unary):
    """`x%`."""


class Degrees(Unary):
    """An angle in degrees."""


class PlusMinus(Node):
    """`a ± b`, or `a ∓ b` where `first`, the sign of the first of the two values, is "-"."""

    left: Node
    right: Node
    first: Literal["+", "-"] = "+"


class Call(Node):
    """A function of `functions.yaml` applied to arguments."""

    function: str
    arguments: tuple[Node, ...]


class Application(Node):
    """Any other function: `f(x)`."""

    name: str
    arguments: tuple[Node, ...]


class Quantity(Node):
    """A value with the words after it, usually a unit."""

    value: Node
    unit: str


class Labelled(Node):
    """A value with a label: `the answer: 5`."""

    label: str
    value: Node


class Ratio(Node):
    """`a : b : c`."""

    parts: tuple[Node, ...]


class Listing(Node):
    """Items in order; the brackets tell a tuple, an interval, a set `{}` and a bare list (no brackets) apart.

    `joiner` is what stands between the items: "," ";" "and" "or".
    """

    opening: str
    closing: str
    items: tuple[Node, ...]
    joiner: str = ","

    @property
    def brackets(self) -> str:
        return self.opening + self.closing


class Relation(Node):
    """A chain `a < b = c`: its sides and the signs between them."""

    sides: tuple[Node, ...]
    signs: tuple[str, ...]


class Congruence(Node):
    """`residue (mod modulus)`."""

    residue: Node
    modulus: Node


class SetOperation(Node):
    """Two sets joined."""

    operation: Literal["union", "intersection", "difference"]
    left: Node
    right: Node


class SetBuilder(Node):
    """`{x | x > 2}`."""

    variable: Node
    condition: Node


class Matrix(Node):
    """Rows of entries of equal length."""

    rows: tuple[tuple[Node, ...], ...]


ZERO = Number(Fraction(0))
PI, E, IMAGINARY, INFINITY = Constant("pi"), Constant("e"), Constant("i"), Constant("infinity")
ELLIPSIS = Symbol("\\ldots")


def parse_number(text: str) -> Number:
    """A literal as an exact value.  Raises Unparsed where it has too many digits."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(text) > MAX_DIGITS or len(exponent) > 5:
        raise Unparsed("a number of too many digits")
    if text.isdigit():
        return Number(Fraction(int(text)))
    whole, _, decimals = mantissa.partition(".")
    n_significant = len((whole + decimals).lstrip("0")) if decimals or exponent else 0
    return Number(Fraction(text), n_significant, int(exponent or 0) - len(decimals))


def add(terms: list[Node]) -> Node:
    """The sum of terms; a single term stays itself."""
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def multiply(left: Node, right: Node) -> Node:
    """The product of two.  Raises Unparsed where one is a list or a set."""
    if any(isinstance(factor, Listing) and factor.opening in ("", "{") for factor in (left, right)):
        raise Unparsed("a product with a list")
    return Product((*left.factors, right)) if isinstance(left, Product) else Product((left, right))


def product_of(factors: list[Node]) -> Node:
    """The product of factors; a single factor stays itself."""
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def difference(left: Node, right: Node) -> Sum:
    """left - right."""
    return Sum((left, Negative(right)))


def marked(node: Node, mark: str) -> Node:
    """A symbol with an accent or a prime is another symbol."""
    match node:
        case Symbol(name):
            return Symbol(name + mark)
        case Application(name, arguments):
            return Application(name + mark, arguments)
        case Constant(name):
            return Symbol(("oo" if name == "infinity" else name) + mark)
        case Power() if mark == "\\partial":
            return node
    raise Unparsed(f"{mark} on an expression")


def replaced(node: Node, old: Node, new: Node) -> Node:
    """The tree with each part that is `old` replaced."""
    return new if node == old else node.rebuilt(lambda child: replaced(child, old, new))


def substituted(node: Node, name: str, new: Node) -> Node:
    """The tree with a symbol replaced."""
    return replaced(node, Symbol(name), new)


def is_complex_number(node: Node) -> bool:
    """Whether a tree is a number with i in it, beside other numbers."""
    return IMAGINARY in node.walk() and Number in node.kinds and not node.symbols


def conjugate(node: Node) -> Node:
    """The tree with -i for i."""
    return replaced(node, IMAGINARY, Negative(IMAGINARY))


def part_of(text: str, node: Node) -> Node:
    """`\\Re(3+4i)` is 3, `\\Im(3+4i)` is 4."""
    if node.symbols:
        return Application(text, (node,))
    if text == "\\Re":
        return Quotient(Sum((node, conjugate(node))), parse_number("2"))
    return Quotient(difference(node, conjugate(node)), Product((parse_number("2"), IMAGINARY)))
