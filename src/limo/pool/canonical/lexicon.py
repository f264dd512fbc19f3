"""The words and LaTeX commands that the scanner treats specially: by name, and as the table for compiled code."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from limo.pool.canonical import buffers

_FONTS = (
    "text textbf textit textrm textsf texttt textnormal mathrm mathbf mathit mathsf boldsymbol bm mbox hbox emph "
    "operatorname mathbb mathcal mathscr mathfrak Bbb"
)
_DROPPED = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle limits quad qquad rm bf "
    "blank"  # what `spelling.respell` writes for a line or brackets to be filled in
)
SYNONYMS = {
    "dfrac": r"\frac", "tfrac": r"\frac", "leq": r"\le", "leqslant": r"\le", "geq": r"\ge", "geqslant": r"\ge",
    "neq": r"\ne", "lbrace": r"\{", "rbrace": r"\}", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lt": "<",
    "gt": ">", "to": r"\rightarrow", "degree": r"\circ", "ldots": r"\dots", "cdots": r"\dots", "dotsc": r"\dots",
    "dotsb": r"\dots", "dbinom": r"\binom", "tbinom": r"\binom", "overrightarrow": r"\vec", "varnothing": r"\emptyset",
    "lVert": r"\|", "rVert": r"\|", "Vert": r"\|", "land": r"\wedge", "lor": r"\vee", "lnot": r"\neg",
    "bot": r"\perp", "varepsilon": r"\epsilon", "varphi": r"\phi", "vartheta": r"\theta", "varrho": r"\rho",
}  # fmt: skip
_ALONE = (  # commands without arguments
    "circ degree prime infty perp top ast star alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu "
    "xi pi rho sigma tau phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega varepsilon varphi "
    "vartheta varrho"
)
_FUNCTIONS = (  # with or without a backslash, or in a font
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp gcd lcm max min sup inf "
    "lim det dim ker deg arg"
)
_ACCENTS = "sqrt vec overline bar hat widehat tilde dot ddot underline"  # of one argument, in braces or without
_OPERATORS = "times div le ge ne cdot pm mp"
_WORDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
          "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]  # fmt: skip
_TENS = ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"]
NUMBER_WORDS = {word: str(n) for n, word in enumerate(_WORDS, start=2)} | {
    word: str(10 * n) for n, word in enumerate(_TENS, start=3)
}  # `one` is a pronoun too, and no number
_OPENERS = (
    "a after all also an and any are as assume assuming at before both but by calculate can compute consider define "
    "denote describe determine did do does during each either enter evaluate every expand express factor finally find "
    "first five following for from give given he hence her here his how however i if in initially is it its let many "
    "my next no note now of on one out over please prove round she show simplify since sketch so solve some suppose "
    "that the their then there therefore these they this those through to today together under use using was we were "
    "what when where which while who whose why with write you your reduce work rewrite factor convert round estimate "
    "state tell report name list choose select pick draw verify check explain obtain add begin start remember recall "
    "among another because between beyond despite inside near once only other outside per several such than thus "
    "until whenever whether within without hint call place put take make form leave not yes no"
)
_BITS = (1 << 64) - 1
_MIX = 0x9E3779B97F4A7C15


def _flags(lists: Iterable[tuple[str, int]]) -> dict[str, int]:
    flags: dict[str, int] = {}
    for words, flag in lists:
        for word in words.split():
            flags[word] = flags.get(word, 0) | flag
    return flags


COMMAND_FLAGS = _flags([
    (_FONTS, buffers.IS_FONT), (_DROPPED, buffers.IS_DROPPED), (_ACCENTS, buffers.IS_ROOT),
    (_ALONE, buffers.IS_ALONE), (" ".join(SYNONYMS), buffers.IS_SYNONYM), (_OPERATORS, buffers.IS_OPERATOR),
    (_FUNCTIONS, buffers.IS_FUNCTION),
])  # fmt: skip
WORD_FLAGS = _flags([
    (" ".join(NUMBER_WORDS), buffers.IS_NUMBER), (_OPENERS, buffers.IS_OPENER), (_FUNCTIONS, buffers.IS_FUNCTION),
])  # fmt: skip


def mix(hashed: int, value: int) -> int:
    """`buffers.mix` on Python's integers: one more 64-bit value into a running hash."""
    mixed = ((hashed ^ value) * _MIX) & _BITS
    return mixed ^ (mixed >> 32)


def hash_token(spelling: str, kind: int) -> int:
    """`buffers.hash_of` on Python's text: the hash of a token spelled in ASCII, eight letters at a time."""
    hashed, raw = mix(int(buffers.SEED), kind), spelling.encode("ascii")
    n_whole = len(raw) // 8 * 8
    for start in range(0, n_whole, 8):
        hashed = mix(hashed, int.from_bytes(raw[start : start + 8], "big"))
    return mix(hashed, int.from_bytes(raw[n_whole:], "big") ^ (len(raw) << 56 & _BITS))


@lru_cache(maxsize=1)
def lexicon_table() -> Any:
    """The hash table that `buffers` describes; column 0 holds what the scanner writes itself: `dots`."""
    entries = [(word, buffers.COMMAND, flags) for word, flags in COMMAND_FLAGS.items()]
    entries += [(word, buffers.WORD, flags) for word, flags in WORD_FLAGS.items()]
    table = np.zeros((4 + buffers.N_SPELLED, buffers.N_SLOTS + len(entries)), np.uint64)
    table[buffers.L_SPELLED, 0] = hash_token("dots", buffers.COMMAND)
    for word, kind, flags in entries:
        hashed = hash_token(word, kind)
        slot = buffers.free_slot(table, hashed)
        table[buffers.L_HASH, slot], table[buffers.L_FLAGS, slot] = hashed, flags
        if flags & buffers.IS_NUMBER:
            table[buffers.L_VALUE, slot] = hash_token(NUMBER_WORDS[word], buffers.NUMBER)
        if flags & buffers.IS_SYNONYM:
            codes = list(map(ord, SYNONYMS[word]))
            table[buffers.L_SPELLED : buffers.L_SPELLED + len(codes), slot] = codes
    return table
