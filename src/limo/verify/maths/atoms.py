r"""The atoms of an expression: numbers, symbols, calls, commands, brackets, matrices: `\frac12` is Quotient(1, 2).

A function starts at the token after the one that it is named for, and raises Unparsed where the atom is not whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from limo.verify.maths import nodes
from limo.verify.maths.nodes import (
    INFINITY,
    Node,
    conjugate,
    is_complex_number,
    marked,
    multiply,
    parse_number,
    part_of,
)
from limo.verify.maths.tables import table
from limo.verify.maths.tokens import FUNCTIONS, Cursor, Unparsed

_APPLIED = frozenset(table("functions")["applied"])
_BRACKETED = frozenset(table("functions")["bracketed"])
_INVERTED = frozenset(table("functions")["inverted"])
_CONSTANTS = {text: nodes.Constant(name) for text, name in table("symbols")["constants"].items()}
_ACCENTS = frozenset(table("symbols")["accents"])
_SYMBOLS = frozenset(table("symbols")["symbols"])
_RELATIONS = frozenset(table("symbols")["relations"])
_MATRICES = frozenset(table("symbols")["matrices"])
_CLOSERS = {"(": (")", "]"), "[": ("]", ")"), "]": ("[", "]")}
_INVERSE = ["^", "{", "-", "1", "}", "("]


class Grammar(Protocol):
    """The levels above the atoms, which stand inside brackets and groups (see `parser.Parser`)."""

    cursor: Cursor

    def listing(self, *closers: str) -> Node: ...
    def relation(self) -> Node: ...
    def sum(self) -> Node: ...
    def factor(self) -> Node: ...
    def exponent(self) -> Node: ...


def atom(parser: Grammar) -> Node:
    """The atom at the cursor."""
    cursor = parser.cursor
    with cursor.nesting:
        kind, text, _ = cursor.take()
        if kind == "num":
            return _numeral(parser, text)
        if kind == "sym":
            return _symbol(parser, text)
        if kind == "cmd":
            return _command(parser, text)
        if text in _CLOSERS:
            return _bracket(parser, text)
        if text == "{":
            return _braces(parser, "}")
        if text == "|":
            return _absolute(parser)
    raise Unparsed(f"unexpected {text!r}")


def starts_factor(cursor: Cursor) -> bool:
    """Whether a product may go on at the cursor."""
    kind, text, gap = cursor.token
    if kind in ("num", "sym"):
        return not (text == "U" and gap) and text != "mod"
    if kind == "cmd":
        return text in _STARTERS
    return text in ("(", "{") or (text in ("[", "|") and not cursor.n_bars)


def _numeral(parser: Grammar, text: str) -> Node:
    number, cursor = parse_number(text), parser.cursor
    if text.isdigit() and cursor.accept("_"):
        base = raw_group(cursor)
        if base.isdigit() and 2 <= int(base[:3]) <= 36:
            return nodes.BasedNumeral(text, int(base))
        raise Unparsed("a number with a subscript")
    if cursor.token.text == "\\frac" and text.isdigit():
        return _mixed_number(parser, number)
    return number


def _mixed_number(parser: Grammar, whole: nodes.Number) -> Node:
    """`1\\frac{3}{4}` is a sum when the fraction is plain, else a product."""
    start = parser.cursor.index
    parser.cursor.take()
    over, under = argument(parser), argument(parser)
    match over, under:
        case nodes.Number(a), nodes.Number(b) if min(a, b) > 0 and a.denominator == b.denominator == 1:
            return nodes.Sum((whole, nodes.Quotient(over, under)))
    parser.cursor.move(start)
    return whole


def _symbol(parser: Grammar, text: str) -> Node:
    cursor = parser.cursor
    if text in FUNCTIONS:
        return _call(parser, text)
    name = text + _subscript(cursor)
    if name in _CONSTANTS and not (
        name == "i" and [t.text for t in cursor.tokens[cursor.index : cursor.index + 3]] == ["(", "t", ")"]
    ):
        return _CONSTANTS[name]
    while cursor.accept("'"):
        name += "'"
    if cursor.token.text == "^" and cursor.ahead(1).text in ("\\prime", "'"):
        cursor.move(cursor.index + 2)
        name += "'"
    if name in _APPLIED and [token.text for token in cursor.tokens[cursor.index : cursor.index + 6]] == _INVERSE:
        cursor.move(cursor.index + 5)  # the inverse of a function, not one over it
        name += "^{-1}"
    if cursor.token.text == "(" and (application := _application(parser, name)):
        return application
    return nodes.Symbol(name)


def _application(parser: Grammar, name: str) -> Node | None:
    """`f(x)`, `u(t)`, `I(0)`: an application where the name is a function's or the argument a single atom."""
    cursor = parser.cursor
    start = cursor.index
    cursor.take()
    try:
        inner = parser.listing(")")
        cursor.expect(")")
    except Unparsed:
        cursor.move(start)
        return None
    single = isinstance(inner, nodes.Number | nodes.Symbol | nodes.Listing) or (
        isinstance(inner, nodes.Negative | nodes.Degrees) and isinstance(inner.operand, nodes.Number)
    )
    if name.rstrip("'").removesuffix("^{-1}").split("_")[0] in _APPLIED or (
        single and not (isinstance(inner, nodes.Number) and name[-1].isdigit())
    ):
        bare = isinstance(inner, nodes.Listing) and not inner.opening
        return nodes.Application(name, inner.children if bare else (inner,))
    cursor.move(start)
    return None


def _call(parser: Grammar, function: str) -> Node:
    """A known function with its power or base, and its arguments."""
    cursor = parser.cursor
    base = power = None
    while cursor.token.text in ("^", "_"):
        if cursor.take().text == "_":
            base = group(parser) if cursor.token.text == "{" else atom(parser)
        else:
            power = group(parser) if cursor.token.text == "{" else parser.exponent()
    arguments = _arguments(parser, function)
    if base is not None:
        arguments = (*arguments, base)
    if isinstance(power, nodes.Negative) and function in _INVERTED:
        return nodes.Call("arc" + function, arguments)
    call = nodes.Call(function, arguments)
    return call if power is None else nodes.Power(call, power)


def _arguments(parser: Grammar, function: str) -> tuple[Node, ...]:
    """In brackets, or the product that follows up to the next function, sign or slash."""
    cursor = parser.cursor
    if cursor.token.text in ("(", "{", "["):
        inner = atom(parser)
        return inner.items if isinstance(inner, nodes.Listing) else (inner,)
    if function in _BRACKETED:
        raise Unparsed(f"{function} without brackets")
    node = parser.factor()
    if function in ("sqrt", "cbrt"):
        return (node,)
    while starts_factor(cursor) and cursor.token.text not in FUNCTIONS:
        if cursor.token.text == "(" and cursor.previous.kind != "num":
            break
        node = multiply(node, parser.factor())
    return (node,)


def argument(parser: Grammar) -> Node:
    """A group, or one character: `\\frac12` takes one digit at a time."""
    cursor = parser.cursor
    kind, text, _ = cursor.token
    if text == "{":
        return group(parser)
    if text == "-":
        raise Unparsed("a sign where a group should be")
    if kind != "num":
        with cursor.nesting:
            return atom(parser)
    if len(text) > 1 and text.isdigit():
        cursor.split_number()
    number = parse_number(cursor.take().text)
    cursor.after_digit = cursor.index
    return number


def group(parser: Grammar) -> Node:
    """What stands in braces."""
    parser.cursor.expect("{")
    node = parser.listing("}")
    parser.cursor.expect("}")
    return node


def raw_group(cursor: Cursor) -> str:
    """The text of a subscript, of a unit's power, or of a name in braces."""
    token = cursor.take()
    if token.text != "{":
        return token.text
    text = ""
    while not cursor.accept("}"):
        if cursor.token.kind == "end" or len(text) > 40:
            raise Unparsed("a group that does not close")
        text += cursor.take().text.replace(" ", "")
    return text


def _subscript(cursor: Cursor) -> str:
    return "_" + raw_group(cursor) if cursor.accept("_") else ""


def _bracket(parser: Grammar, opening: str) -> Node:
    """Round and square brackets: grouping, a tuple, or an interval whose ends may differ."""
    with parser.cursor.bars(0):
        inner = parser.listing(*_CLOSERS[opening])
    closing = parser.cursor.take().text
    if closing not in _CLOSERS[opening]:
        raise Unparsed("brackets that do not match")
    if isinstance(inner, nodes.Listing) and not inner.opening and inner.joiner != "or":
        return nodes.Listing(opening, closing, inner.items, inner.joiner)
    if closing != {"(": ")", "[": "]"}.get(opening):
        raise Unparsed("brackets that do not match")
    return inner if opening == "(" or not isinstance(inner, nodes.Listing) else nodes.Listing("[", "]", (inner,))


def _braces(parser: Grammar, closing: str) -> Node:
    """`{...}` and `\\{...\\}`: a group, a set, or a set-builder."""
    cursor = parser.cursor
    if closing == "\\}":
        cursor.read_colon_as_bar(_RELATIONS)
    with cursor.bars(cursor.n_bars + 1):
        if cursor.accept(closing):
            return nodes.Listing("{", "}", ())
        inner = parser.listing(closing)
        if cursor.accept("|", "\\mid", ":"):
            condition = parser.listing(closing)
            cursor.expect(closing)
            return nodes.SetBuilder(inner, condition)
    cursor.expect(closing)
    is_set = closing == "\\}"
    if isinstance(inner, nodes.Ratio) and is_set:
        return nodes.SetBuilder(inner.parts[0], inner.parts[1])
    if isinstance(inner, nodes.Listing) and not inner.opening:
        return nodes.Listing("{" if is_set else "", "}" if is_set else "", inner.items)
    return nodes.Listing("{", "}", (inner,)) if is_set else inner


def _absolute(parser: Grammar) -> Node:
    with parser.cursor.bars(parser.cursor.n_bars + 1):
        inner = parser.sum()
    parser.cursor.expect("|")
    return nodes.Absolute(inner)


def _command(parser: Grammar, text: str) -> Node:
    if text in _COMMANDS:
        return _COMMANDS[text](parser)
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text in ("\\angle", "\\triangle") and (figure := _figure(parser.cursor, text)):
        return figure
    if text in ("\\Re", "\\Im") and parser.cursor.token.text in ("(", "{"):
        return part_of(text, atom(parser))
    if text in _ACCENTS:
        inner = atom(parser)
        if text in ("\\overline", "\\bar") and is_complex_number(inner):
            return conjugate(inner)
        if isinstance(inner, nodes.Number | nodes.Product | nodes.Sum | nodes.Quotient):
            raise Unparsed(f"{text} over an expression")
        symbol = marked(inner, text)
        subscript = _subscript(parser.cursor)
        return marked(symbol, subscript) if subscript else symbol
    if text in _SYMBOLS:
        return nodes.Symbol(text + _subscript(parser.cursor))
    raise Unparsed(f"no rule for {text}")


def _figure(cursor: Cursor, text: str) -> Node | None:
    """`\\angle ABC` is `\\angle CBA`; a triangle has no first corner, but where it corresponds to another one."""
    start, points = cursor.index, []
    while cursor.token.kind == "sym" and len(cursor.token.text) == 1 and cursor.token.text.isupper():
        points.append(cursor.take().text + _subscript(cursor) + "'" * cursor.accept("'"))
    if len(points) != 3:
        cursor.move(start)
        return None
    if text == "\\angle":
        points = min(points, points[::-1])
    elif not any(token.text in _RELATIONS for token in cursor.tokens):
        points.sort()
    return nodes.Symbol(text + "".join(points))


def _root(parser: Grammar) -> Node:
    index = parser.sum() if parser.cursor.accept("[") else None
    if index:
        parser.cursor.expect("]")
    inner = group(parser) if parser.cursor.token.text == "{" else atom(parser)
    return nodes.Call("root", (inner, index)) if index else nodes.Call("sqrt", (inner,))


def _fraction(over: Node, under: Node) -> Node:
    """A quotient, or a derivative: `\\frac{dy}{dx}` is no quotient of products."""
    (d, *of), (d_under, *by) = (node.factors if isinstance(node, nodes.Product) else (node,) for node in (over, under))
    if d == d_under == nodes.Symbol("d") and len(by) == 1 and isinstance(by[0], nodes.Symbol):
        return nodes.Application(f"d/d{by[0].name}", tuple(of))
    return nodes.Quotient(over, under)


def _rounded(function: str, closing: str) -> Callable[[Grammar], Node]:
    def read(parser: Grammar) -> Node:
        inner = parser.sum()
        parser.cursor.expect(closing)
        return nodes.Call(function, (inner,))

    return read


def _vector(parser: Grammar) -> Node:
    """`\\langle 1, 2 \\rangle`."""
    inner = parser.listing("\\rangle")
    parser.cursor.expect("\\rangle")
    return nodes.Listing("(", ")", inner.items if isinstance(inner, nodes.Listing) else (inner,))


def _blackboard(parser: Grammar) -> Node:
    """`\\mathbb{R}` is an interval, other letters are symbols."""
    name = raw_group(parser.cursor)
    reals = nodes.Listing("(", ")", (nodes.Negative(INFINITY), INFINITY))
    return reals if name == "R" else nodes.Symbol("\\mathbb" + name)


def _environment(parser: Grammar) -> Node:
    """Matrices and systems; every other environment is for Math-Verify."""
    cursor = parser.cursor
    name = raw_group(cursor)
    if name == "cases":
        return _system(parser)
    if name not in _MATRICES:
        raise Unparsed(f"environment {name}")
    if name == "array" and cursor.token.text == "{":
        raw_group(cursor)
    rows: list[tuple[Node, ...]] = []
    row: list[Node] = []
    while not cursor.accept("\\end"):
        if cursor.token.text in ("\\\\", "&", "\\hline"):
            if cursor.take().text == "\\\\" and row:
                rows.append(tuple(row))
                row = []
            continue
        row.append(parser.relation())
    if raw_group(cursor) != name:
        raise Unparsed("environments that do not match")
    return nodes.Matrix((*rows, tuple(row)) if row else tuple(rows))


def _system(parser: Grammar) -> Node:
    """`\\begin{cases} x = 1 \\\\ y = 2 \\end{cases}`: relations that hold together."""
    cursor = parser.cursor
    relations: list[Node] = []
    while not cursor.accept("\\end"):
        if not cursor.accept("\\\\", ",", ";"):
            relations.append(parser.relation())
    if raw_group(cursor) != "cases" or not all(isinstance(node, nodes.Relation) for node in relations) or not relations:
        raise Unparsed("cases that are no system")
    return nodes.Listing("", "", tuple(relations), "and")


_COMMANDS: dict[str, Callable[[Grammar], Node]] = {
    "\\frac": lambda parser: _fraction(argument(parser), argument(parser)),
    "\\binom": lambda parser: nodes.Call("binom", (argument(parser), argument(parser))),
    "\\sqrt": _root,
    "\\lfloor": _rounded("floor", "\\rfloor"),
    "\\lceil": _rounded("ceil", "\\rceil"),
    "\\langle": _vector,
    "\\mathbb": _blackboard,
    "\\emptyset": lambda parser: nodes.Listing("{", "}", ()),
    "\\begin": _environment,
    "\\{": lambda parser: _braces(parser, "\\}"),
}
_STARTERS = frozenset(_COMMANDS) | _ACCENTS | _SYMBOLS | frozenset(_CONSTANTS)
