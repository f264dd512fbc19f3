"""The trees that one written answer may stand for: what its commas mean, where a chain of equations ends.

[t for t in interpret("1,234").trees]     # the number 1234, and the list 1, 234
interpret("x=1/3\\approx 0.33").trees  # x = 1/3
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

from limo.verify.maths.nodes import Node
from limo.verify.maths.normalise import WORD_CLOSE, WORD_OPEN, clean
from limo.verify.maths.parser import parse
from limo.verify.maths.times import compound_quantities
from limo.verify.maths.tokens import Unparsed
from limo.verify.maths.units import UNIT_LETTERS, is_unit, read_unit

_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d])(?!,\d)")
_EUROPEAN = re.compile(
    r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?(?![\d.])|(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)"
)
_SPACED = re.compile(r"(?<![\d.,\w}^_])\d{1,3}(?: \d{3})+(?!\d)(?=\s*(?:$|[.][\d]|[^\d\s,]))")
_INDIAN = re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?!\d)")
_DECIMAL = re.compile(r"^\s*([-+]?\d+),(\d+)(?=\s*(?:%|[A-Za-z\ue001\\]|$))")
_REMARK = r"\((?![^()]*(?:exclu|wrong|dozen|mod))[^()]*\)"
_COMMENT = re.compile(
    rf"\s*\(\s*-?\d*\.\d+\s*(?:\.\.\.|\\ldots)\s*\)\s*\Z|\s*{WORD_OPEN}\s*{_REMARK}\s*{WORD_CLOSE}\s*\Z|(?<=[a-z.])\s*{_REMARK}\s*(?={WORD_CLOSE}\s*\Z)"
)
_AMOUNT = re.compile(
    r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?:\s*\\times\s*10\s*\^\s*(?:\{\s*-?\d+\s*\}|-?\d+))?"
)
_WORD_START = re.compile(WORD_OPEN)
_QUALIFIER = re.compile(
    rf"((?:(?!\\forall|\bfor\b|\bwhere\b).)+?)[\s,;]*((?:{WORD_OPEN}?\s*(?:for(?!\s+some)|where|with|when)\b|\\forall)(?:(?!\bfor\b|\\forall|\bif\b).)*)"
)
_LAST_EQUAL = re.compile(r"(?<![<>!\\=])=(?!=)")


@dataclass(slots=True)
class Interpretations:
    """The trees a text may stand for, likeliest first; `failure`: why the text could not be parsed."""

    text: str
    qualifier: str = ""  # "for all x", which says where the answer holds
    is_doubtful: bool = False  # a list first, and a number if need be: `100,200` in a pool, `1,5` in a completion
    trees: list[Node] = field(default_factory=list)
    failure: str = ""


@lru_cache(maxsize=8192)
def interpret(text: str, *, from_pool: bool = False) -> Interpretations:
    """All interpretations of an answer; `from_pool`: it is the pool's, so `-3,0` is a list and no decimal."""
    cleaned = clean(text)
    main = _COMMENT.sub("", cleaned)
    qualified = _QUALIFIER.fullmatch(main)
    main, qualifier = (qualified[1], qualified[2]) if qualified else (main, "")
    result = Interpretations(cleaned, qualifier, _is_doubtful(main, from_pool))
    amounts = compound_quantities(main) or [_with_unit(main, from_pool)]
    for variant in (variant for amount in amounts for variant in _variants(amount, from_pool)):
        try:
            tree = parse(variant)
        except (Unparsed, RecursionError) as error:
            result.failure = result.failure or str(error)
            tail = _after_last_equal(variant)
            if tail is None:
                continue
            try:
                tree = parse(tail)
            except (Unparsed, RecursionError):
                continue
        if tree not in result.trees:
            result.trees.append(tree)
    return result


def _with_unit(text: str, from_pool: bool) -> str:
    """`5 kg m/s^2` with its unit as one word; letters that may be symbols only behind a space or in a completion."""
    amount = _AMOUNT.match(text)
    for at in ([amount.end()] if amount else []) + [
        match.start() for match in _WORD_START.finditer(text, len(text) - 80)
    ]:
        unit = text[at:].strip().replace(WORD_OPEN, " ").replace(WORD_CLOSE, " ")
        if not read_unit(unit):
            continue
        is_marked, letters = text[at] == WORD_OPEN, re.findall(r"[A-Za-z\\µ°]+", unit)
        apart = text[at : at + 1].isspace()
        is_word = bool(letters) and len(letters[0]) > 1 and is_unit(letters[0])
        if (
            is_marked
            or is_word
            or (len(letters) > 1 and (apart or not from_pool or any(len(part) > 1 for part in letters)))
        ):
            return f"{text[:at]} {WORD_OPEN}{unit}{WORD_CLOSE}"
        if apart and letters and ((from_pool and letters[0] in UNIT_LETTERS - {"h"} | {"M"}) or letters[0] == "K"):
            return f"{text[:at]} {WORD_OPEN}{unit}{WORD_CLOSE}"
    return text


def _is_doubtful(text: str, from_pool: bool) -> bool:
    """Whether a text with commas may as well be a list as one number."""
    if from_pool and re.fullmatch(r"[1-9]\d\d(?:,[1-9]\d\d)+", text):
        return sorted(text.split(",")) == text.split(",")
    return not from_pool and bool(re.fullmatch(r"[-+]?[1-9]\d*,\d", text))


def _variants(text: str, from_pool: bool) -> list[str]:
    grouped = _outside_brackets(_GROUPED, _outside_brackets(_INDIAN, text))
    spaced = _SPACED.sub(lambda m: m.group().replace(" ", ""), text)
    european = _EUROPEAN.sub(lambda m: m.group().replace(".", "").replace(",", "."), text)
    variants = [variant for variant in (grouped, spaced, european) if variant != text]
    if _is_doubtful(text, from_pool):
        return [text, *variants, _DECIMAL.sub(r"\1.\2", text)]
    decimal = _DECIMAL.match(text)
    if decimal and (len(decimal.group(2)) != 3 or decimal.group(1).strip("+-") == "0"):
        whole, part = decimal.groups()
        if len(part) > 1 or whole.strip("+-") == "0" or decimal.end() < len(text):
            variants.append(_DECIMAL.sub(r"\1.\2", text))
    if variants and re.search(r"\d,0\d", text):  # no list is written 10,000
        return variants
    return [*variants, text]


def _outside_brackets(pattern: re.Pattern[str], text: str) -> str:
    """Drop the commas of a pattern where no bracket is open."""

    def joined(match: re.Match[str]) -> str:
        before = text[: match.start()]
        opened = sum(before.count(c) for c in "([{") - sum(before.count(c) for c in ")]}")
        return match.group() if opened > 0 else match.group().replace(",", "")

    return pattern.sub(joined, text)


def _after_last_equal(text: str) -> str | None:
    """The end of a chain of equations whose beginning cannot be read."""
    if any(part in text for part in (",", ";", "\\begin{cases")) or any(
        text.count(a) != text.count(b) for a, b in ("()", "{}")
    ):
        return None
    *before, end = _LAST_EQUAL.split(text)
    depths = accumulate((char == "{") - (char == "}") for char in end)
    return end if before and end.strip() and min(depths) >= 0 else None
