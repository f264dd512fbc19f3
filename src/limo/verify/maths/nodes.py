"""Trees: what they are made of, and the little that is done while one is built.

    add([a, b])        # ("add", (a, b)); a single term stays itself
    number("1.50")     # ("num", Fraction(3, 2), 3, -2): value, significant digits, last place

A tree is nested tuples whose first entry names the node:
    num value n_digits place | sym name | const pi/e/i/oo | add terms | mul factors | neg a | / a b | pow a b
    fn name args | app name args | pm a b (a ± b) | mp a b | pct a | deg a | abs a | based digits base | fact a
    ratio parts | seq open close items joiner | rel items ops | cup/cap/minus a b | build variable condition
    mat rows | unit a words | label words a | cong residue modulus

What it does not do: check that a tree makes sense.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from limo.verify.maths.tokens import Unparsed

Node = tuple[Any, ...]
MAX_DIGITS = 4000


def number(text: str) -> Node:
    """A literal as an exact value, its count of significant digits if decimal (else 0), and its last place."""
    if len(text) > MAX_DIGITS:
        raise Unparsed("a number of too many digits")
    if text.isdigit():
        return ("num", Fraction(int(text)), 0, 0)
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent) > 5:
        raise Unparsed("an exponent of too many digits")
    whole, _, decimals = mantissa.partition(".")
    power = int(exponent or 0)
    value = Fraction(int(whole + decimals or "0"))
    value = value * 10 ** (power - len(decimals)) if power >= len(decimals) else value / 10 ** (len(decimals) - power)
    digits = len((whole + decimals).lstrip("0"))
    return ("num", value, digits if decimals or exponent else 0, power - len(decimals))


def add(terms: list[Node]) -> Node:
    """The sum of terms; a single term stays itself."""
    return terms[0] if len(terms) == 1 else ("add", tuple(terms))


def mul(a: Node, b: Node) -> Node:
    """The product of two.  Raises Unparsed where one is a list."""
    for side in (a, b):
        if side[0] == "seq" and side[1] in ("", "{"):
            raise Unparsed("a product with a list")
    return ("mul", (*a[1], b)) if a[0] == "mul" else ("mul", (a, b))


def named(node: Node, mark: str) -> Node:
    """A symbol with an accent or a prime is another symbol."""
    if node[0] in ("sym", "app"):
        return (node[0], node[1] + mark, *node[2:])
    if node[0] == "const":
        return ("sym", node[1] + mark)
    if node[0] == "pow" and mark == "\\partial":
        return node
    raise Unparsed(f"{mark} on an expression")
