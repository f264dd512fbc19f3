"""Cleaned text to tokens (numbers, commands, symbols, words, brackets), and the cursor that the parser moves over them.

A run of letters is one token when it is a name, and single letters otherwise: `xy` is a product, `apples` a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from limo.verify.maths.normalise import GREEK, WORD_CLOSE, WORD_OPEN
from limo.verify.maths.tables import languages, table
from limo.verify.maths.units import is_unit

MAX_TOKENS, MAX_DEPTH = 1500, 40
FUNCTIONS = frozenset(table("functions")["names"])
_BRACKETED = frozenset(table("functions")["bracketed"])
_JOINS = {word: sign for language in languages() for word, sign in language["joins"].items()}
_SHORT_WORDS = frozenset(word for language in languages() for word in language.get("short_words", ()))
_TOKEN = re.compile(
    rf"(?P<gap>\s*)(?:(?P<num>(?:\d+(?:\.\d+|\.(?![\d.]))?|\.\d+)(?:[eE][-+]?\d+(?![\dA-Za-z]))?)|(?P<cmd>\\[A-Za-z]+|\\\\|\\.)"
    rf"|{WORD_OPEN}(?P<text>[^{WORD_CLOSE}]*){WORD_CLOSE}|(?P<han>[\u3400-\u9fff]+)|(?P<sym>[A-Za-z]+)|(?P<op>.))",
    re.S,
)
_LOGIC = {"lor": "or", "vee": "or", "land": "and", "wedge": "and"}
_VOWEL = re.compile(r"[aeiou]", re.I)


class Unparsed(Exception):
    """The text is no mathematics that this parser reads; the reason is the message."""


class Token(NamedTuple):
    """`gap`: white space stood before it."""

    kind: Literal["num", "cmd", "sym", "word", "op", "end"]
    text: str
    gap: bool


def tokenise(text: str) -> list[Token]:
    """All tokens, an `end` last.  Raises Unparsed when there are too many."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        gap = bool(match["gap"]) or not tokens
        if match["num"] is not None:
            tokens.append(Token("num", match["num"], gap))
        elif match["cmd"] is not None:
            tokens.append(_command(match["cmd"], gap))
        elif match["text"] is not None:
            tokens.append(_word(match["text"].strip(), True, text[match.end() :].lstrip()[:1], tokens))
        elif match["han"] is not None:
            tokens.append(_word(match["han"], True, "", tokens))
        elif match["sym"] is not None:
            tokens.extend(_letters(match["sym"], gap, tokens))
        elif match["op"].strip():
            tokens.append(Token("op", match["op"], gap))
        if len(tokens) > MAX_TOKENS:
            raise Unparsed("too long to read as one expression")
    tokens.append(Token("end", "", True))
    return tokens


def _command(text: str, gap: bool) -> Token:
    name = text[1:]
    if name in FUNCTIONS and name not in ("sqrt", "binom"):
        return Token("sym", name, gap)
    if name in _LOGIC:
        return Token("op", _LOGIC[name], gap)
    return Token("sym", text, gap) if name in GREEK else Token("cmd", text, gap)


def _word(text: str, gap: bool, following: str, before: list[Token]) -> Token:
    bare = text.strip(" ,;.").lower()
    if bare in _JOINS:
        return Token("op", _JOINS[bare], gap)
    if (
        text in FUNCTIONS
        and not (_ends_value(before) and is_unit(text))
        and (text not in _BRACKETED or following in "({[_\\")
    ):
        return Token("sym", text, gap)
    return Token("word", text, gap)


def _letters(text: str, gap: bool, before: list[Token]) -> list[Token]:
    """A run of Latin letters: one name or word, or a product of single letters."""
    lower = text.lower()
    if _ends_value(before) and is_unit(text):
        return [Token("word", text, gap)]
    if text in FUNCTIONS:
        return [Token("sym", text, gap)]
    if text in GREEK:
        return [Token("sym", "\\" + text, gap)]
    if lower in _JOINS and (gap or len(text) == 3):
        return [Token("op", _JOINS[lower], gap)]
    if lower in ("inf", "infty", "infinity", "oo"):
        return [Token("cmd", "\\infty", gap)]
    if len(text) == 1:
        return [Token("sym", text, gap)]
    if _is_word(text, gap):
        return [Token("word", text, gap)]
    return [Token("sym", letter, gap and i == 0) for i, letter in enumerate(text)]


def _ends_value(before: list[Token]) -> bool:
    return bool(before) and (before[-1].kind == "num" or before[-1].text in (")", "}", "%"))


def _is_word(text: str, gap: bool) -> bool:
    if len(text) >= 4:
        return bool(_VOWEL.search(text)) and text[1:].islower()
    return not text.isupper() and gap and len(text) == 3 and bool(_VOWEL.search(text)) and text.lower() in _SHORT_WORDS


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
    """Tokens, the current one and its index, the depth of nesting, and how many bars `|` are open.

    `after_digit`: the index behind the last digit that was a whole argument, as the 2 of `\\frac123`.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.token, self.index = tokens, tokens[0], 0
        self.after_digit = -1
        self.nesting, self.n_bars = Nesting(), 0

    @property
    def previous(self) -> Token:
        return self.tokens[self.index - 1]

    def ahead(self, n: int) -> Token:
        """The token `n` places on; the last one beyond the end."""
        return self.tokens[min(self.index + n, len(self.tokens) - 1)]

    def move(self, index: int) -> None:
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
        parts = self.token.text[0], self.token.text[1:]
        self.tokens[self.index : self.index + 1] = [Token("num", part, False) for part in parts]
        self.move(self.index)

    def read_colon_as_bar(self, relations: frozenset[str]) -> None:
        r"""In `\{x : x > 2\}`: a single colon, with a relation behind it, inside one pair of braces."""
        tokens, first = self.tokens, self.index
        end = next((k for k in range(first, len(tokens)) if tokens[k].text in ("\\}", "\\{")), first)
        colons = [k for k in range(first, end) if tokens[k].text == ":"]
        if len(colons) == 1 and any(token.text in relations for token in tokens[colons[0] : end]):
            tokens[colons[0]] = tokens[colons[0]]._replace(text="\\mid")
            self.token = tokens[first]

    @contextmanager
    def bars(self, n: int) -> Iterator[None]:
        """`n` bars open inside."""
        before, self.n_bars = self.n_bars, n
        try:
            yield
        finally:
            self.n_bars = before
