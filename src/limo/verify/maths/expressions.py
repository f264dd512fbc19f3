"""Expressions: signs, products written and implied, quotients, powers and what else is written after a thing.

    Expressions(tokenise("2x + 1")).sum()      # ("add", (("mul", (2, x)), 1))

What it does not do: lists and relations (see `syntax`).
"""

from __future__ import annotations

from fractions import Fraction

from limo.verify.maths.nodes import Node, add, mul, named, number
from limo.verify.maths.things import STARTERS, Things
from limo.verify.maths.tokens import Token, Unparsed


class Expressions(Things):
    """One method for each level of binding, loosest first."""

    def sum(self) -> Node:
        """Terms with signs."""
        self.enter()
        terms: list[Node] = []
        node: Node | None = None
        while True:
            sign = self.peek().text
            if sign in ("+", "-", "\\pm", "\\mp"):
                self.at += 1
            elif terms or node is not None:
                break
            else:
                sign = "+"
            term = self.term()
            if sign in ("\\pm", "\\mp"):
                left = add(terms) if terms else node if node is not None else ("num", Fraction(0), 0, 0)
                node, terms = ("pm" if sign == "\\pm" else "mp", left, term), []
            else:
                term = ("neg", term) if sign == "-" else term
                if node is not None:
                    terms.append(node)
                    node = None
                terms.append(term)
        self.depth -= 1
        return add(terms) if node is None else node

    def term(self) -> Node:
        """Factors, written or implied, and quotients, from left to right."""
        node = self.signed()
        while True:
            token = self.peek()
            if token.text in ("*", "\\cdot", "\\times"):
                self.at += 1
                node = mul(node, self.signed())
            elif token.text == "/":
                self.at += 1
                node = ("/", node, self.signed())
            elif token.text == "mod" or token.text in ("\\bmod", "\\mod"):
                self.at += 1
                node = ("fn", "mod", (node, self.signed()))
            elif self.starts_factor(token):
                node = self.implied(node)
            else:
                return node

    def implied(self, node: Node) -> Node:
        token = self.peek()
        if token.kind == "num" and self.tokens[self.at - 1].kind == "num":
            return self.plain_mixed(node)
        return mul(node, self.factor())

    def plain_mixed(self, whole: Node) -> Node:
        """`1 3/4`; any other two numbers side by side are no product."""
        over, slash, under = self.tokens[self.at : self.at + 3] if self.at + 2 < len(self.tokens) else [self.peek()] * 3
        if (
            slash.text == "/"
            and under.kind == "num"
            and whole[0] == "num"
            and over.text.isdigit()
            and under.text.isdigit()
        ):
            self.at += 3
            if 0 < int(over.text[:20]) < int(under.text[:20]):
                return ("add", (whole, ("/", number(over.text), number(under.text))))
        raise Unparsed("two numbers side by side")

    def signed(self) -> Node:
        if self.peek().text in ("-", "+"):
            sign = self.take().text
            inner = self.signed()
            return ("neg", inner) if sign == "-" else inner
        return self.factor()

    def starts_factor(self, token: Token) -> bool:
        if token.kind in ("num", "sym"):
            return not (token.text == "U" and token.gap) and token.text != "mod"
        if token.kind == "cmd":
            return token.text in STARTERS
        return (
            token.text in ("(", "{") or (token.text == "[" and not self.bars) or (token.text == "|" and not self.bars)
        )

    def factor(self) -> Node:
        """A primary with what is written after it: powers, factorials, primes, percent, degrees."""
        node = self.primary()
        while True:
            token = self.peek()
            if token.text == "^":
                self.at += 1
                node = self.power(node)
            elif token.text == "!" and self.tokens[self.at + 1].text != "=":
                self.at += 1
                node = ("fact", node)
            elif token.text == "%":
                self.at += 1
                node = ("pct", node)
            elif token.text == "'":
                self.at += 1
                node = named(node, "'")
            elif token.text == "_" and node[0] == "seq":
                raise Unparsed("a subscript on a bracket")
            else:
                return node

    def power(self, base: Node) -> Node:
        token = self.peek()
        if token.text == "\\circ":
            self.at += 1
            return ("deg", base)
        if token.text in ("*", "\\prime", "'", "\\top", "\\dagger"):
            self.at += 1
            return named(base, "'" if token.text == "\\prime" else token.text)
        if token.text == "{" and self.tokens[self.at + 1].text in ("*", "\\prime", "\\circ", "+"):
            mark, close = self.tokens[self.at + 1].text, self.tokens[self.at + 2].text
            if close == "}":
                self.at += 3
                return ("deg", base) if mark == "\\circ" else named(base, "'" if mark == "\\prime" else mark)
        exponent = self.group() if token.text == "{" else self.exponent()
        if base[0] == "sym" and base[1][:2] in ("C_", "A_", "P_") and base[1][2:].isdigit() and exponent[0] == "num":
            return ("fn", "binom" if base[1][0] == "C" else "perm", (number(base[1][2:]), exponent))
        return ("pow", base, exponent)

    def exponent(self) -> Node:
        if self.peek().text in ("-", "+"):
            return ("neg", self.exponent()) if self.take().text == "-" else self.exponent()
        node = self.primary()
        if self.peek().text == "^":
            self.at += 1
            return self.power(node)
        return node
