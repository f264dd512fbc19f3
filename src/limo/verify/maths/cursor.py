"""A position in the tokens of one answer; what all parts of the parser share.

cursor = Cursor(tokenise("1 + 2")); cursor.take().text        # "1"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from limo.verify.maths.tokens import Token, Unparsed

MAX_DEPTH = 40


class Nesting:
    """One level deeper while it is entered.  Raises Unparsed where that is too deep."""

    depth = 0

    def __enter__(self) -> None:
        if self.depth >= MAX_DEPTH:
            raise Unparsed("nested too deeply")
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


class Cursor:
    """Tokens, the current one and its index, the depth of nesting, and how many bars `|` are open."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.index = 0
        self.token = tokens[0]
        self.nesting = Nesting()
        self.n_bars = 0

    @property
    def previous(self) -> Token:
        return self.tokens[self.index - 1]

    def ahead(self, n: int) -> Token:
        """The token `n` places on; the last one beyond the end."""
        return self.tokens[min(self.index + n, len(self.tokens) - 1)]

    def move(self, index: int) -> None:
        """Go to a token."""
        self.index = index
        self.token = self.tokens[index]

    def take(self) -> Token:
        """The current token, and go on.  Raises Unparsed at the end."""
        token = self.token
        if token.kind == "end":
            raise Unparsed("ends too early")
        self.move(self.index + 1)
        return token

    def accept(self, *texts: str) -> bool:
        """Go on if the current token is one of the texts."""
        if self.token.text not in texts:
            return False
        self.move(self.index + 1)
        return True

    def expect(self, text: str) -> None:
        """Go on over a token that must stand here.  Raises Unparsed where it does not."""
        if self.token.text != text:
            raise Unparsed(f"{text!r} expected, not {self.token.text!r}")
        self.move(self.index + 1)

    def split_number(self) -> None:
        """Part the first digit of the current number from the others: `\\frac12`."""
        first, rest = self.token.text[0], self.token.text[1:]
        self.tokens[self.index : self.index + 1] = [Token("num", first, False), Token("num", rest, False)]
        self.move(self.index)

    @contextmanager
    def bars(self, n: int) -> Iterator[None]:
        """`n` bars open inside."""
        before, self.n_bars = self.n_bars, n
        try:
            yield
        finally:
            self.n_bars = before
