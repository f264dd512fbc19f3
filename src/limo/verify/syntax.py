"""Tokens to a tree: a small grammar for answers, strict enough that what it reads it has understood.

    parse(r"\\\\frac{1}{2}, 3")     # ("seq", "", "", (("/", ...), ("num", ...)), ",")

A tree is nested tuples whose first entry names the node:
    num value n_digits quantum | sym name | const pi/e/i/oo | add terms | mul factors | / a b | pow a b | fn name args
    app name args | pm a b (a ± b) | mp a b | pct a | deg a | abs a | based digits base | fact a | ratio parts
    seq open close items joiner | rel items ops | cup/cap/minus a b | build variable condition | mat rows
    unit a words | text words
Anything else (integrals, sums, limits, unknown commands, words in the middle) raises Unparsed: it is for Math-Verify.

What it does not do: evaluate (see `value`), or decide between readings of a comma (see `readings`).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from limo.verify.tokens import FUNCTIONS, Token, Unparsed, tokenise

Node = tuple[Any, ...]
MAX_DEPTH, MAX_DIGITS = 40, 4000
RELATIONS = {"=": "=", "<": "<", ">": ">", "\\le": "<=", "\\ge": ">=", "\\ne": "!=", "\\in": "in", "\\approx": "~",
             "\\equiv": "==", "\\iff": "<=>", "\\Leftrightarrow": "<=>", "\\sim": "sim", "\\parallel": "par",
             "\\perp": "perp", "\\subset": "sub", "\\subseteq": "sub", "\\propto": "prop", "≈": "~"}
_CLOSERS = {"(": ")]", "[": "])", "]": "[]"}
_CONSTS = {"\\pi": "pi", "\\infty": "oo", "e": "e", "i": "i", "\\imath": "i"}
_ACCENTS = frozenset("\\hat \\bar \\tilde \\dot \\ddot \\overline \\underline \\widehat \\widetilde \\overarc \\angle "
                     "\\triangle \\Delta \\partial \\nabla".split())
_SYMBOLS = frozenset("\\ldots \\hbar \\ell \\Re \\Im \\prime \\partial \\nabla \\aleph \\mho \\odot \\oplus \\circ "
                     "\\dagger \\square \\top \\bot".split())
_APPLIED = frozenset("fghFGHPQRWuvNTU") | {"\\phi", "\\psi", "\\Phi", "\\delta", "\\mho", "\\Gamma"}
_ENVIRONMENTS = frozenset("pmatrix bmatrix matrix array Bmatrix smallmatrix".split())


def parse(text: str) -> Node:
    """The tree of a cleaned text.  Raises Unparsed."""
    return Parser(tokenise(text)).answer()


class Parser:
    """Recursive descent over a list of tokens; one method for each level of binding."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    # --- the level of answers: lists, relations, sets --------------------------------------------------------

    def answer(self) -> Node:
        """The whole text."""
        node = self.listing()
        if self.peek().kind != "end":
            raise Unparsed(f"stopped at {self.peek().text!r}")
        return node

    def listing(self, closers: str = "") -> Node:
        """Items between commas, semicolons, "and", "or"; semicolons bind loosest where both stand."""
        rows: list[list[Node]] = [[]]
        joiner, semicolons = "", 0
        while True:
            if self.peek().kind != "end" and self.peek().text not in (closers or "\0") and not self.at_separator():
                rows[-1].append(self.item())
            sign = self.peek().text
            if not self.at_separator():
                break
            self.at += 1
            if sign == ";":
                semicolons += 1
                rows.append([])
            elif sign != "," or not joiner:
                joiner = sign
        rows = [row for row in rows if row]
        if semicolons and any(len(row) > 1 for row in rows):
            return ("seq", "", "", tuple(r[0] if len(r) == 1 else ("seq", "", "", tuple(r), ",") for r in rows), ";")
        items = tuple(item for row in rows for item in row)
        if not items:
            raise Unparsed("nothing to read")
        return items[0] if len(items) == 1 else ("seq", "", "", items, joiner or ";")

    def at_separator(self) -> bool:
        return self.peek().kind == "op" and self.peek().text in (",", ";", "or", "and")

    def item(self) -> Node:
        """A relation or an expression, with the words (a unit) that follow it."""
        self.enter()
        lead = self.leading_words()
        node = self.relation()
        words = []
        while self.peek().kind == "word" or (words and self.is_unit_power()):
            token = self.take()
            if token.text == "/":
                words.append("/" + self.take().text)
                continue
            words.append("^" + self.small_group() if token.text == "^" else token.text)
        self.depth -= 1
        if words:
            node = ("unit", node, " ".join(words))
        if lead:
            if self.peek().kind != "end" or self.at < 2:
                raise Unparsed("words before an expression")
            return ("label", lead, node)
        return node

    def leading_words(self) -> str:
        """Words before "=" or ":" name what follows; other leading words are no mathematics."""
        start, words = self.at, []
        while self.peek().kind == "word":
            words.append(self.take().text)
        if words and (self.peek().text in ("=", ":") or words[-1].endswith((":", "：", "=", "为", "是", "is"))):
            if self.peek().text in ("=", ":"):
                self.at += 1
            return " ".join(words)
        self.at = start
        return ""

    def is_unit_power(self) -> bool:
        token, after = self.peek(), self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        return token.text == "^" and after.kind in ("num", "op") or (token.text == "/" and after.kind in ("word", "sym"))

    def relation(self) -> Node:
        """Expressions with relation signs between them, kept as one chain."""
        items, ops = [self.sets()], []
        while self.peek().text in RELATIONS or self.peek().text == "\\not":
            sign = RELATIONS.get(self.take().text)
            if sign is None:
                raise Unparsed("a negated relation")
            if sign in "<>" and self.peek().text == "=":
                self.at += 1
                sign += "="
            ops.append(sign)
            items.append(self.sets())
        if ops and items[-1][0] == "mul" and items[-1][1][-1][0] == "rel":  # `y = x^2 (x > 0)`: a condition
            *factors, condition = items[-1][1]
            items[-1] = ("mul", tuple(factors)) if len(factors) > 1 else factors[0]
            return ("seq", "", "", (("rel", tuple(items), tuple(ops)), condition), ",")
        return ("rel", tuple(items), tuple(ops)) if ops else items[0]

    def sets(self) -> Node:
        """Unions, intersections and differences of what binds tighter."""
        node = self.ratio()
        while self.peek().text in ("\\cup", "\\cap", "\\setminus", "\\backslash", "U"):
            if self.peek().text == "U" and not (self.is_set(node) and self.peek().gap):
                break
            op = {"\\cup": "cup", "U": "cup", "\\cap": "cap"}.get(self.take().text, "minus")
            node = (op, node, self.ratio())
        return node

    @staticmethod
    def is_set(node: Node) -> bool:
        return node[0] in ("seq", "cup", "cap", "minus", "build")

    def ratio(self) -> Node:
        """Expressions with colons between them."""
        parts = [self.sum()]
        while self.peek().text == ":":
            self.at += 1
            parts.append(self.sum())
        return ("ratio", tuple(parts)) if len(parts) > 1 else parts[0]

    # --- the level of expressions ----------------------------------------------------------------------------

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
                left = _add(terms) if terms else node if node is not None else ("num", Fraction(0), 0, 0)
                node, terms = ("pm" if sign == "\\pm" else "mp", left, term), []
            else:
                term = ("neg", term) if sign == "-" else term
                if node is not None:
                    terms.append(node)
                    node = None
                terms.append(term)
        self.depth -= 1
        return _add(terms) if node is None else node

    def term(self) -> Node:
        """Factors, written or implied, and quotients, from left to right."""
        node = self.signed()
        while True:
            token = self.peek()
            if token.text in ("*", "\\cdot", "\\times"):
                self.at += 1
                node = _mul(node, self.signed())
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
        return _mul(node, self.factor())

    def plain_mixed(self, whole: Node) -> Node:
        """`1 3/4`; any other two numbers side by side are no product."""
        over, slash, under = self.tokens[self.at: self.at + 3] if self.at + 2 < len(self.tokens) else [self.peek()] * 3
        if slash.text == "/" and under.kind == "num" and whole[0] == "num" and over.text.isdigit() and under.text.isdigit():
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
            return token.text in _STARTERS
        return token.text in ("(", "{") or (token.text == "[" and not self.bars) or (token.text == "|" and not self.bars)

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
                node = _named(node, "'")
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
            return _named(base, "'" if token.text == "\\prime" else token.text)
        if token.text == "{" and self.tokens[self.at + 1].text in ("*", "\\prime", "\\circ", "+"):
            mark, close = self.tokens[self.at + 1].text, self.tokens[self.at + 2].text
            if close == "}":
                self.at += 3
                return ("deg", base) if mark == "\\circ" else _named(base, "'" if mark == "\\prime" else mark)
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

    # --- the level of single things ----------------------------------------------------------------------------

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
        """`1\\frac{3}{4}` is a sum when the fraction is proper and plain, else a product."""
        start = self.at
        self.at += 1
        over, under = self.argument(), self.argument()
        if over[0] == under[0] == "num" and 0 < over[1] < under[1] and over[1].denominator == under[1].denominator == 1:
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
        if name.rstrip("'").split("_")[0] in _APPLIED or (single and not (inner[0] == "num" and name[-1].isdigit())):
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
            node = _mul(node, self.factor())
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
            named = _named(inner, text)
            return (named[0], named[1] + self.subscript(), *named[2:])
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
            self.tokens[self.at: self.at + 1] = [Token("num", token.text[0], False), Token("num", token.text[1:], False)]
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
        """Matrices; every other environment is for Math-Verify."""
        name = self.small_group()
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

    # --- the stream ----------------------------------------------------------------------------------------------

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


_COMMANDS: dict[str, Callable[[Parser], Node]] = {
    "\\frac": Parser.frac, "\\sqrt": Parser.root, "\\binom": Parser.binom, "\\lfloor": Parser.floor,
    "\\lceil": Parser.ceiling, "\\langle": Parser.angled, "\\mathbb": Parser.blackboard, "\\emptyset": Parser.empty,
    "\\begin": Parser.environment, "\\{": lambda p: p.braces("\\}"), "\\circ": Parser.degrees,
}
_STARTERS = (frozenset(_COMMANDS) | _ACCENTS | _SYMBOLS | frozenset(_CONSTS)) - {"\\circ"}


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


def _add(terms: list[Node]) -> Node:
    return terms[0] if len(terms) == 1 else ("add", tuple(terms))


def _mul(a: Node, b: Node) -> Node:
    for side in (a, b):
        if side[0] == "seq" and side[1] in ("", "{"):
            raise Unparsed("a product with a list")
    return ("mul", (*a[1], b)) if a[0] == "mul" else ("mul", (a, b))


def _named(node: Node, mark: str) -> Node:
    """A symbol with an accent or a prime is another symbol."""
    if node[0] in ("sym", "app"):
        return (node[0], node[1] + mark, *node[2:])
    if node[0] == "const":
        return ("sym", node[1] + mark)
    if node[0] == "pow" and mark == "\\partial":
        return node
    raise Unparsed(f"{mark} on an expression")
