"""The tokens of one answer and the place reached in them; what every level of the parser stands on.

    stream = Stream(tokenise("1 + 2")); stream.take().text        # "1"

The levels call each other in circles (brackets hold whole answers), so the names they share are declared here.

What it does not do: know any grammar.
"""

from __future__ import annotations

from limo.verify.maths.nodes import Node
from limo.verify.maths.tokens import Token, Unparsed

MAX_DEPTH = 40


class Stream:
    """Tokens, the index of the next, the depth of nesting, and how many bars are open."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    def listing(self, closers: str = "") -> Node:
        """A whole answer, up to one of the closers."""
        raise NotImplementedError

    def relation(self) -> Node:
        """Expressions with relation signs between them."""
        raise NotImplementedError

    def sum(self) -> Node:
        """An expression."""
        raise NotImplementedError

    def factor(self) -> Node:
        """A single thing with its powers."""
        raise NotImplementedError

    def exponent(self) -> Node:
        """What stands after ^ without a group."""
        raise NotImplementedError

    def starts_factor(self, token: Token) -> bool:
        """Whether a product may go on with this token."""
        raise NotImplementedError

    def peek(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        if token.kind == "end":
            raise Unparsed("ends too early")
        self.at += 1
        return token

    def expect(self, text: str) -> None:
        if self.peek().text != text:
            raise Unparsed(f"{text!r} expected, not {self.peek().text!r}")
        self.at += 1

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unparsed("nested too deeply")
