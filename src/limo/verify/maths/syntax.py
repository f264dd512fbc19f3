"""Tokens to a tree: a small grammar for answers, strict enough that what it reads it has understood.

    parse(r"\\frac{1}{2}, 3")     # ("seq", "", "", (("/", ...), ("num", ...)), ",")

The nodes are listed in `nodes`.  Anything else (integrals, sums, limits, unknown commands, words in the middle) raises
Unparsed: it is for Math-Verify.

What it does not do: evaluate (see `value`), or decide between readings of a comma (see `readings`).
"""

from __future__ import annotations

from limo.verify.maths.expressions import Expressions
from limo.verify.maths.nodes import Node
from limo.verify.maths.tokens import Unparsed, tokenise

RELATIONS = {
    "=": "=",
    "<": "<",
    ">": ">",
    "\\le": "<=",
    "\\ge": ">=",
    "\\ne": "!=",
    "\\in": "in",
    "\\approx": "~",
    "\\equiv": "==",
    "\\iff": "<=>",
    "\\Leftrightarrow": "<=>",
    "\\sim": "sim",
    "\\parallel": "par",
    "\\perp": "perp",
    "\\subset": "sub",
    "\\subseteq": "sub",
    "\\propto": "prop",
    "≈": "~",
}


def parse(text: str) -> Node:
    """The tree of a cleaned text.  Raises Unparsed."""
    return Parser(tokenise(text)).answer()


class Parser(Expressions):
    """The level of answers: lists, relations, sets."""

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
        words: list[str] = []
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
        return (token.text == "^" and after.kind in ("num", "op")) or (
            token.text == "/" and after.kind in ("word", "sym")
        )

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
        if self.peek().text == "\\pmod":
            self.at += 1
            items[-1] = ("cong", items[-1], self.argument())
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
