"""The single things an expression is made of: numbers, symbols, calls, commands, brackets, matrices.

    Things(tokenise(r"\\frac12")).primary()      # ("/", 1, 2)

What it does not do: sums, products and powers (see `expressions`).
"""

from __future__ import annotations

from collections.abc import Callable

from limo.verify.maths.nodes import Node, mul, named, number
from limo.verify.maths.stream import Stream
from limo.verify.maths.tokens import FUNCTIONS, Token, Unparsed

_CLOSERS = {"(": ")]", "[": "])", "]": "[]"}
_CONSTS = {"\\pi": "pi", "\\infty": "oo", "e": "e", "i": "i", "\\imath": "i"}
_ACCENTS = frozenset(
    [
        "\\hat",
        "\\bar",
        "\\tilde",
        "\\dot",
        "\\ddot",
        "\\overline",
        "\\underline",
        "\\widehat",
        "\\widetilde",
        "\\overarc",
        "\\angle",
        "\\triangle",
        "\\Delta",
        "\\partial",
        "\\nabla",
    ]
)
_SYMBOLS = frozenset(
    [
        "\\ldots",
        "\\hbar",
        "\\ell",
        "\\Re",
        "\\Im",
        "\\prime",
        "\\partial",
        "\\nabla",
        "\\aleph",
        "\\mho",
        "\\odot",
        "\\oplus",
        "\\circ",
        "\\dagger",
        "\\square",
        "\\top",
        "\\bot",
    ]
)
_APPLIED = frozenset("fghFGHPQRWuvNTU") | {"\\phi", "\\psi", "\\Phi", "\\delta", "\\mho", "\\Gamma"}
_ENVIRONMENTS = frozenset(["pmatrix", "bmatrix", "matrix", "array", "Bmatrix", "smallmatrix"])


class Things(Stream):
    """One method for each kind of thing."""

    def primary(self) -> Node:
        self.enter()
        token = self.take()
        try:
            if token.kind == "num":
                return self.numeral(token.text)
            if token.kind == "sym":
                return self.symbol(token.text)
            if token.kind == "cmd":
                return self.command(token.text)
            if token.text in ("(", "[", "]"):
                return self.bracket(token.text)
            if token.text == "{":
                return self.braces("}")
            if token.text == "|":
                return self.absolute("|")
        finally:
            self.depth -= 1
        raise Unparsed(f"unexpected {token.text!r}")

    def numeral(self, text: str) -> Node:
        node = number(text)
        if self.peek().text == "_" and text.isdigit():
            self.at += 1
            base = self.small_group()
            if base.isdigit() and 2 <= int(base[:3]) <= 36:
                return ("based", text, int(base))
            raise Unparsed("a number with a subscript")
        if self.peek().text == "\\frac" and text.isdigit():
            return self.mixed(node)
        return node

    def mixed(self, whole: Node) -> Node:
        """`1\\frac{3}{4}` is a sum when the fraction is plain, else a product."""
        start = self.at
        self.at += 1
        over, under = self.argument(), self.argument()
        if (
            over[0] == under[0] == "num"
            and min(over[1], under[1]) > 0
            and over[1].denominator == under[1].denominator == 1
        ):
            return ("add", (whole, ("/", over, under)))
        self.at = start
        return whole

    def symbol(self, text: str) -> Node:
        if text in FUNCTIONS:
            return self.function(text)
        name = text + self.subscript()
        if name in _CONSTS and not (self.peek().text == "(" and not self.peek().gap and name == "i"):
            return ("const", _CONSTS[name])
        while self.peek().text == "'":
            self.at += 1
            name += "'"
        if self.peek().text == "^" and self.tokens[self.at + 1].text in ("\\prime", "'"):
            self.at += 2
            name += "'"
        if name in _APPLIED and [t.text for t in self.tokens[self.at : self.at + 6]] == ["^", "{", "-", "1", "}", "("]:
            self.at += 5  # the inverse of a function, not one over it
            name += "^{-1}"
        if self.peek().text == "(" and (applied := self.application(name)):
            return applied
        return ("sym", name)

    def application(self, name: str) -> Node | None:
        """`f(x)`, `u(t)`, `I(0)`: a call where the name is a function's or the argument a single thing."""
        start = self.at
        self.at += 1
        try:
            inner = self.listing(")")
            if self.take().text != ")":
                raise Unparsed("a call that does not close")
        except Unparsed:
            self.at = start
            return None
        single = inner[0] in ("num", "sym", "seq") or (inner[0] in ("neg", "deg") and inner[1][0] == "num")
        if name.rstrip("'").removesuffix("^{-1}").split("_")[0] in _APPLIED or (
            single and not (inner[0] == "num" and name[-1].isdigit())
        ):
            return ("app", name, inner[3] if inner[0] == "seq" and not inner[1] else (inner,))
        self.at = start
        return None

    def function(self, name: str) -> Node:
        power: Node | None = None
        base: Node | None = None
        while self.peek().text in ("^", "_"):
            if self.take().text == "_":
                base = self.group() if self.peek().text == "{" else self.primary()
            else:
                power = self.group() if self.peek().text == "{" else self.exponent()
        args = self.arguments(name)
        if base is not None:
            args = (*args, base)
        node: Node = ("fn", name, args)
        if power is not None and power[0] == "neg" and name in ("sin", "cos", "tan", "cot"):
            return ("fn", "arc" + name, args)
        return node if power is None else ("pow", node, power)

    def arguments(self, name: str) -> tuple[Node, ...]:
        """In brackets, or the product that follows up to the next function, sign or slash."""
        if self.peek().text in ("(", "{", "["):
            inner = self.primary()
            return inner[3] if inner[0] == "seq" else (inner,)
        if name in ("max", "min", "gcd", "lcm", "sup", "inf", "mod"):
            raise Unparsed(f"{name} without brackets")
        node = self.factor()
        if name in ("sqrt", "cbrt"):
            return (node,)
        while self.starts_factor(self.peek()) and self.peek().text not in FUNCTIONS:
            if self.peek().text == "(" and self.tokens[self.at - 1].kind != "num":
                break
            node = mul(node, self.factor())
        return (node,)

    def command(self, text: str) -> Node:
        handler = _COMMANDS.get(text)
        if handler is not None:
            return handler(self)
        if text in _CONSTS:
            return ("const", _CONSTS[text])
        if text in _ACCENTS:
            inner = self.primary()
            if inner[0] in ("num", "mul", "add", "/"):
                raise Unparsed(f"{text} over an expression")
            marked = named(inner, text)
            return (marked[0], marked[1] + self.subscript(), *marked[2:])
        if text in _SYMBOLS:
            return ("sym", text + self.subscript())
        raise Unparsed(f"no rule for {text}")

    def frac(self) -> Node:
        return ("/", self.argument(), self.argument())

    def root(self) -> Node:
        index: Node | None = None
        if self.peek().text == "[":
            self.at += 1
            index = self.sum()
            self.expect("]")
        inner = self.group() if self.peek().text == "{" else self.factor_without_power()
        return ("fn", "sqrt", (inner,)) if index is None else ("fn", "root", (inner, index))

    def factor_without_power(self) -> Node:
        return self.primary()

    def binom(self) -> Node:
        return ("fn", "binom", (self.argument(), self.argument()))

    def argument(self) -> Node:
        """A group, or one character: `\\frac12` takes one digit at a time."""
        token = self.peek()
        if token.text == "{":
            return self.group()
        if token.kind == "num" and len(token.text) > 1 and token.text.isdigit():
            self.tokens[self.at : self.at + 1] = [
                Token("num", token.text[0], False),
                Token("num", token.text[1:], False),
            ]
        if token.text == "-":
            raise Unparsed("a sign where a group should be")
        self.enter()
        node = number(self.take().text) if self.peek().kind == "num" else self.primary()
        self.depth -= 1
        return node

    def group(self) -> Node:
        self.expect("{")
        node = self.listing("}")
        self.expect("}")
        return node

    def small_group(self) -> str:
        """The raw text of a subscript or a unit's power."""
        token = self.take()
        if token.text != "{":
            return token.text
        text = ""
        while self.peek().text != "}":
            if self.peek().kind == "end" or len(text) > 40:
                raise Unparsed("a group that does not close")
            text += self.take().text.replace(" ", "")
        self.at += 1
        return text

    def subscript(self) -> str:
        if self.peek().text != "_":
            return ""
        self.at += 1
        return "_" + self.small_group()

    def bracket(self, opening: str) -> Node:
        """Round and square brackets: grouping, a tuple, or an interval whose ends may differ."""
        bars, self.bars = self.bars, 0
        inner = self.listing(_CLOSERS[opening])
        self.bars = bars
        closing = self.take().text
        if closing not in _CLOSERS[opening] or not closing:
            raise Unparsed("brackets that do not match")
        if inner[0] == "seq" and not inner[1] and inner[4] != "or":
            return ("seq", opening, closing, inner[3], inner[4])
        if closing != {"(": ")", "[": "]"}.get(opening):
            raise Unparsed("brackets that do not match")
        return inner if opening == "(" or inner[0] != "seq" else ("seq", "[", "]", (inner,), ",")

    def braces(self, closing: str) -> Node:
        """`{...}` and `\\{...\\}`: a group, a set, or a set-builder."""
        bars, self.bars = self.bars, self.bars + 1
        if self.peek().text == closing:
            self.at += 1
            return ("seq", "{", "}", (), ",")
        inner = self.listing(closing)
        if self.peek().text in ("|", "\\mid", ":"):
            self.at += 1
            condition = self.listing(closing)
            self.expect(closing)
            self.bars = bars
            return ("build", inner, condition)
        self.bars = bars
        self.expect(closing)
        if inner[0] == "ratio" and closing == "\\}":
            return ("build", inner[1][0], inner[1][1])
        if inner[0] == "seq" and not inner[1]:
            return ("seq", "{" if closing == "\\}" else "", "}" if closing == "\\}" else "", inner[3], ",")
        return inner if closing == "}" else ("seq", "{", "}", (inner,), ",")

    def absolute(self, closing: str) -> Node:
        self.bars += 1
        inner = self.sum()
        self.bars -= 1
        self.expect(closing)
        return ("abs", inner)

    def floor(self) -> Node:
        inner = self.sum()
        self.expect("\\rfloor")
        return ("fn", "floor", (inner,))

    def ceiling(self) -> Node:
        inner = self.sum()
        self.expect("\\rceil")
        return ("fn", "ceil", (inner,))

    def angled(self) -> Node:
        inner = self.listing("\\rangle")
        self.expect("\\rangle")
        return ("seq", "(", ")", inner[3] if inner[0] == "seq" else (inner,), ",")

    def blackboard(self) -> Node:
        name = self.small_group()
        infinity = ("const", "oo")
        return ("seq", "(", ")", (("neg", infinity), infinity), ",") if name == "R" else ("sym", "\\mathbb" + name)

    def empty(self) -> Node:
        return ("seq", "{", "}", (), ",")

    def degrees(self) -> Node:
        raise Unparsed("a degree sign without a number")

    def environment(self) -> Node:
        """Matrices and systems; every other environment is for Math-Verify."""
        name = self.small_group()
        if name == "cases":
            return self.system()
        if name not in _ENVIRONMENTS:
            raise Unparsed(f"environment {name}")
        if name == "array" and self.peek().text == "{":
            self.small_group()
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while self.peek().text != "\\end":
            if self.peek().text in ("\\\\", "&", "\\hline"):
                if self.take().text == "\\\\" and row:
                    rows.append(tuple(row))
                    row = []
                continue
            row.append(self.relation())
        self.at += 1
        if self.small_group() != name:
            raise Unparsed("environments that do not match")
        return ("mat", (*rows, tuple(row)) if row else tuple(rows))

    def system(self) -> Node:
        """`\\begin{cases} x = 1 \\\\ y = 2 \\end{cases}`: what holds together; a definition by cases is not read."""
        items: list[Node] = []
        while self.peek().text != "\\end":
            if self.peek().text in ("\\\\", ",", ";"):
                self.at += 1
                continue
            items.append(self.relation())
        self.at += 1
        if self.small_group() != "cases" or not all(item[0] == "rel" for item in items) or not items:
            raise Unparsed("cases that are no system")
        return ("seq", "", "", tuple(items), "and")


_COMMANDS: dict[str, Callable[[Things], Node]] = {
    "\\frac": Things.frac,
    "\\sqrt": Things.root,
    "\\binom": Things.binom,
    "\\lfloor": Things.floor,
    "\\lceil": Things.ceiling,
    "\\langle": Things.angled,
    "\\mathbb": Things.blackboard,
    "\\emptyset": Things.empty,
    "\\begin": Things.environment,
    "\\{": lambda p: p.braces("\\}"),
    "\\circ": Things.degrees,
}
STARTERS = (frozenset(_COMMANDS) | _ACCENTS | _SYMBOLS | frozenset(_CONSTS)) - {"\\circ"}
