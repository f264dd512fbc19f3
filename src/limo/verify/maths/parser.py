r"""Tokens to a tree: a small grammar for answers, one method for each level of binding, loosest first.

What it does not cover (integrals, sums, limits, words in the middle) raises Unparsed: that is for Math-Verify.
"""

from __future__ import annotations

from limo.verify.maths import nodes
from limo.verify.maths.atoms import argument, atom, group, starts_factor
from limo.verify.maths.matrices import TRANSPOSED, transposed
from limo.verify.maths.nodes import ZERO, Node, add, marked, multiply, parse_number, product_of
from limo.verify.maths.tables import table
from limo.verify.maths.tokens import Cursor, Unparsed, tokenise
from limo.verify.maths.units import changes_number

_RELATIONS: dict[str, str] = table("symbols")["relations"]
_SET_OPERATIONS = {"\\cup": "union", "U": "union", "\\cap": "intersection"}
_INTRODUCING = (":", "：", "=", "为", "是", " is", " are", " be", " get", " have", " equals")
_LABELS = frozenset(table("languages/english")["labels"])
_MARKS = ("*", "\\prime", "'", "\\dagger", "\\circ")  # superscripts that are no exponents


def parse(text: str) -> Node:
    """The tree of a cleaned text.  Raises Unparsed."""
    return Parser(Cursor(tokenise(text))).answer()


class Parser:
    """Reads the tokens of one answer, from the cursor on."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor

    def answer(self) -> Node:
        """The whole text."""
        node = self.listing()
        if self.cursor.token.kind != "end":
            raise Unparsed(f"stopped at {self.cursor.token.text!r}")
        return node

    def listing(self, *closers: str) -> Node:
        """Items between commas, semicolons, "and", "or"; semicolons bind loosest where both stand."""
        rows: list[list[Node]] = [[]]
        joiner, has_semicolon = "", False
        while True:
            kind, text, _ = self.cursor.token
            if kind != "end" and text not in closers and not self.at_separator():
                rows[-1].append(self.item())
            if not self.at_separator():
                break
            separator = self.cursor.take().text
            if separator == ";":
                has_semicolon = True
                rows.append([])
            elif separator != "," or not joiner:
                joiner = separator
        rows = [row for row in rows if row]
        if has_semicolon and any(len(row) > 1 for row in rows):
            parts = (row[0] if len(row) == 1 else nodes.Listing("", "", tuple(row)) for row in rows)
            return nodes.Listing("", "", tuple(parts), ";")
        items = tuple(item for row in rows for item in row)
        if len({isinstance(item, nodes.Labelled) for item in items}) > 1:
            raise Unparsed("words before one of several")
        if not items:
            raise Unparsed("nothing to read")
        return items[0] if len(items) == 1 else nodes.Listing("", "", items, joiner or ";")

    def at_separator(self) -> bool:
        return self.cursor.token.kind == "op" and self.cursor.token.text in (",", ";", "or", "and")

    def item(self) -> Node:
        """A relation or an expression, with the words (a unit) that follow it."""
        cursor = self.cursor
        with cursor.nesting:
            label = self.leading_words()
            node = self.relation()
            unit: list[str] = []
            while cursor.token.kind == "word":
                unit.append(cursor.take().text)
        if unit:
            node = nodes.Quantity(node, " ".join(unit))
        if not label:
            return node
        if not (cursor.token.kind == "end" or self.at_separator()) or cursor.index < 2:
            raise Unparsed("words before an expression")
        return nodes.Labelled(label, node)

    def leading_words(self) -> str:
        """Words before "=" or ":" name what follows; other leading words are no mathematics."""
        start, words = self.cursor.index, []
        while self.cursor.token.kind == "word":
            words.append(self.cursor.take().text)
        label = " ".join(words).lower()
        named = label in _LABELS and self.cursor.token.kind == "num"
        if words and (self.cursor.accept("=", ":") or named or words[-1].lower().endswith(_INTRODUCING)):
            if changes_number(label, before=True):
                raise Unparsed("words that change the value behind them")
            return label
        self.cursor.move(start)
        return ""

    def relation(self) -> Node:
        """Expressions with relation signs between them, kept as one chain."""
        cursor = self.cursor
        sides, signs = [self.set_operation()], []
        while cursor.token.text in _RELATIONS or cursor.token.text == "\\not":
            sign = _RELATIONS.get(cursor.take().text)
            if sign is None:
                raise Unparsed("a negated relation")
            if sign in ("<", ">") and cursor.accept("="):
                sign += "="
            signs.append(sign)
            sides.append(self.set_operation())
        if cursor.accept("\\pmod"):
            sides[-1] = nodes.Congruence(sides[-1], argument(self))
        last = sides[-1]
        if signs and isinstance(last, nodes.Product) and isinstance(last.factors[-1], nodes.Relation):
            *factors, condition = last.factors  # `y = x^2 (x > 0)`
            sides[-1] = product_of(factors)
            return nodes.Listing("", "", (nodes.Relation(tuple(sides), tuple(signs)), condition))
        return nodes.Relation(tuple(sides), tuple(signs)) if signs else sides[0]

    def set_operation(self) -> Node:
        """Unions, intersections and differences of what binds tighter."""
        node, cursor = self.ratio(), self.cursor
        while cursor.token.text in ("\\cup", "\\cap", "\\setminus", "\\backslash", "U"):
            is_set = isinstance(node, nodes.Listing | nodes.SetOperation | nodes.SetBuilder)
            if cursor.token.text == "U" and not (is_set and cursor.token.gap):
                break
            if isinstance(node, nodes.Number):  # `7\\backslash 2` is no set
                break
            operation = _SET_OPERATIONS.get(cursor.take().text, "difference")
            node = nodes.SetOperation(operation, node, self.ratio())  # type: ignore[arg-type]
        return node

    def ratio(self) -> Node:
        """Expressions with colons between them."""
        parts = [self.sum()]
        while self.cursor.accept(":"):
            parts.append(self.sum())
        return nodes.Ratio(tuple(parts)) if len(parts) > 1 else parts[0]

    def sum(self) -> Node:
        """Terms with signs; what stands left of a ± is one side of it."""
        terms: list[Node] = []
        with self.cursor.nesting:
            while True:
                sign = self.cursor.token.text
                if sign in ("+", "-", "\\pm", "\\mp"):
                    self.cursor.take()
                elif terms:
                    return add(terms)
                term = self.term()
                if sign in ("\\pm", "\\mp"):
                    terms = [nodes.PlusMinus(add(terms) if terms else ZERO, term, "+" if sign == "\\pm" else "-")]
                else:
                    terms.append(nodes.Negative(term) if sign == "-" else term)

    def term(self) -> Node:
        """Factors, written or implied, and quotients, from left to right."""
        node, cursor = self.signed(), self.cursor
        while True:
            if cursor.accept("*", "\\cdot", "\\times"):
                node = multiply(node, self.signed())
            elif cursor.accept("\\cross"):
                factors = node, self.signed()
                node = nodes.Application("cross product", tuple(sorted(factors, key=repr)))
                node = node if node.arguments == factors else nodes.Negative(node)
            elif cursor.accept("/"):
                node = nodes.Quotient(node, self.signed())
            elif cursor.accept("mod", "\\bmod", "\\mod"):
                node = nodes.Call("mod", (node, self.signed()))
            elif starts_factor(cursor):
                last = node.factors[-1] if isinstance(node, nodes.Product) else node
                both_numbers = cursor.token.kind == cursor.previous.kind == "num" and cursor.index != cursor.after_digit
                both_numbers = both_numbers and not (isinstance(last, nodes.Power) and cursor.token.gap)
                node = self.mixed_number(node) if both_numbers else multiply(node, self.factor())
            else:
                return node

    def mixed_number(self, whole: Node) -> Node:
        """`1 3/4`; any other two numbers side by side are no product."""
        over, slash, under = (self.cursor.ahead(n) for n in range(3))
        if slash.text == "/" and under.kind == "num" and over.text.isdigit() and under.text.isdigit():
            self.cursor.move(self.cursor.index + 3)
            if isinstance(whole, nodes.Number) and 0 < int(over.text[:20]) < int(under.text[:20]):
                return nodes.Sum((whole, nodes.Quotient(parse_number(over.text), parse_number(under.text))))
        raise Unparsed("two numbers side by side")

    def signed(self) -> Node:
        """A factor with the signs before it."""
        if self.cursor.accept("-"):
            return nodes.Negative(self.signed())
        return self.signed() if self.cursor.accept("+") else self.factor()

    def factor(self) -> Node:
        """An atom with what is written after it: powers, factorials, primes, percent, degrees."""
        node, cursor = atom(self), self.cursor
        while True:
            if cursor.accept("^"):
                node = self.power(node)
            elif cursor.token.text == "!" and cursor.ahead(1).text != "=":
                node = self.factorial(node)
            elif cursor.accept("%"):
                node = nodes.Percent(node)
            elif cursor.accept("'"):
                node = marked(node, "'")
            elif cursor.token.text == "_" and isinstance(node, nodes.Listing):
                raise Unparsed("a subscript on a bracket")
            else:
                return node

    def factorial(self, node: Node) -> Node:
        """`n!`, and `n!!`, which is not `(n!)!`."""
        n_signs = 0
        while self.cursor.token.text == "!" and self.cursor.ahead(1).text != "=":
            self.cursor.take()
            n_signs += 1
        if n_signs > 2:
            raise Unparsed("a factorial of three signs and more")
        return nodes.Factorial(node) if n_signs == 1 else nodes.Call("doublefactorial", (node,))

    def power(self, base: Node) -> Node:
        """A base whose ^ is read: degrees, a mark (`x^*`, `f^\\prime`), or a power."""
        cursor = self.cursor
        text, following = cursor.token.text, cursor.ahead(1).text
        if text == "\\top" or (text == "{" and following == "\\top" and cursor.ahead(2).text == "}"):
            cursor.move(cursor.index + (1 if text == "\\top" else 3))
            return transposed(base)
        if text in _MARKS:
            cursor.take()
            return _with_mark(base, text)
        if text == "{" and following in ("*", "\\prime", "\\circ", "+") and cursor.ahead(2).text == "}":
            cursor.move(cursor.index + 3)
            return _with_mark(base, following)
        exponent = group(self) if text == "{" else self.exponent()
        if isinstance(base, nodes.Symbol) and isinstance(exponent, nodes.Number):  # C_5^2: the number of choices
            letter, n = base.name[:2], base.name[2:]
            if letter in ("C_", "A_", "P_") and n.isdigit():
                return nodes.Call("binom" if letter == "C_" else "perm", (parse_number(n), exponent))
        return transposed(base) if exponent == TRANSPOSED else nodes.Power(base, exponent)

    def exponent(self) -> Node:
        """What stands after ^ without a group."""
        if self.cursor.accept("-"):
            return nodes.Negative(self.exponent())
        if self.cursor.accept("+"):
            return self.exponent()
        node = atom(self)
        return self.power(node) if self.cursor.accept("^") else node


def _with_mark(base: Node, mark: str) -> Node:
    if mark == "\\circ":
        return nodes.Degrees(base)
    return marked(base, "'" if mark == "\\prime" else mark)
