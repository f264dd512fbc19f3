"""Unicode's forms of a statement: raised and lowered characters, symbols, full width and traditional Chinese."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from limo.core.text import normalise_statement
from limo.pool.canonical.markup import without_markup

GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
_SYMBOLS = {
    "−": "-", "‐": "-", "‑": "-", "–": "-", "—": " ", "×": r"\times ", "÷": r"\div ", "·": r"\cdot ", "⋅": r"\cdot ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "√": r"\sqrt ", "∞": r"\infty ",
    "∠": r"\angle ", "△": r"\triangle ", "∈": r"\in ", "°": r"^{\circ}", "∥": r"\parallel ", "⊥": r"\perp ",
    "±": r"\pm ", "∓": r"\mp ", "∪": r"\cup ", "∩": r"\cap ", "→": r"\rightarrow ", "≈": r"\approx ", "∑": r"\sum ",
    "∫": r"\int ", "⊂": r"\subset ", "⊆": r"\subseteq ", "∅": r"\emptyset ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
    "。": ".", "、": ",", "“": '"', "”": '"', "‘": "'", "’": "'", "\u2044": "/", "\u2217": "*", "∶": ":", "～": "~",
    "∁": r"\complement ", "∖": r"\setminus ", "∉": r"\notin ", "∀": r"\forall ", "∃": r"\exists ", "≡": r"\equiv ",
    "≅": r"\cong ", "∼": r"\sim ", "∏": r"\prod ", "∂": r"\partial ", "⇒": r"\Rightarrow ", "∧": r"\wedge ",
    "∨": r"\vee ", "¬": r"\neg ", "⊕": r"\oplus ", "⊙": r"\odot ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "′": "'", "″": "''", "‴": "'''",
    **{chr(0x2460 + n): f"({n + 1})" for n in range(20)},
}  # fmt: skip
for _name in GREEK.split():
    _unicode_name = _name.replace("lambda", "lamda").upper()
    _SYMBOLS[unicodedata.lookup(f"GREEK SMALL LETTER {_unicode_name}")] = f"\\{_name} "
    if _name in ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "phi", "psi", "omega"):
        _SYMBOLS[unicodedata.lookup(f"GREEK CAPITAL LETTER {_unicode_name}")] = f"\\{_name.title()} "
_SCRIPTS: dict[str, dict[int, str]] = {"<super>": {}, "<sub>": {}}
for _code in (
    *range(0xB0, 0x250),
    *range(0x2B0, 0x300),
    *range(0x1D2C, 0x1DC0),
    *range(0x2070, 0x20A0),
    0x2C7C,
    0x2C7D,
):
    _kind, _, _base = unicodedata.decomposition(chr(_code)).partition(" ")
    if _kind in _SCRIPTS and " " not in _base and chr(_code) not in "ªº":
        _SCRIPTS[_kind][_code] = chr(int(_base, 16)).replace("−", "-")
for _code in (*range(0xBC, 0xBF), *range(0x2150, 0x215F)):
    _SYMBOLS[chr(_code)] = r"\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", chr(_code)).split("\u2044"))
_SYMBOL = re.compile("[" + "".join(_SYMBOLS) + "]")
_RAISED, _LOWERED = (re.compile("[" + "".join(map(chr, codes)) + "]+") for codes in _SCRIPTS.values())
_JOINS = "\ufffe"  # no character: stands for one that joins its neighbours
_NOT_ONE = np.uint32(0xFFFFFFFF)  # no code point: stands for several characters, or none


def normalise_all(texts: Iterable[str]) -> list[str]:
    """Statements without markup, with LaTeX for Unicode's symbols and simplified Chinese for traditional."""
    return STATEMENTS.normalise(map(without_markup, texts))


def normalise_unicode(text: str) -> str:
    """Raised and lowered characters, symbols and full width as LaTeX and ASCII; lines stay."""
    text = _RAISED.sub(lambda run: "^{" + run[0].translate(_SCRIPTS["<super>"]) + "}", text)
    text = _LOWERED.sub(lambda run: "_{" + run[0].translate(_SCRIPTS["<sub>"]) + "}", text)
    lines = map(normalise_statement, _replace_symbols(text).split("\n"))
    return _replace_symbols("\n".join(lines)).translate(_SIMPLIFIED)


def _replace_symbols(text: str) -> str:
    """Symbols as LaTeX; a substitution is several times faster than a translation where few occur."""
    return _SYMBOL.sub(lambda symbol: _SYMBOLS[symbol[0]], text)


class _SimplifiedChinese(dict[int, str]):
    """Traditional characters as simplified ones, each when it is first seen."""

    def __missing__(self, code: int) -> str:
        self[code] = _opencc().convert(chr(code)) if 0x3400 <= code <= 0x9FFF else chr(code)
        return self[code]


@cache
def _opencc() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


_SIMPLIFIED = _SimplifiedChinese()


class UnicodeNormaliser(dict[int, str]):
    """Applies a rule for whole texts character by character, up to white space.

    A character is replaced alike wherever it stands, so the rule is applied once to each, when it is first seen.
    Texts with characters that join their neighbours (accents apart, Hangul letters, those of `joining`) take the rule.
    """

    def __init__(self, rule: Callable[[str], str], joining: Iterable[int] = ()) -> None:
        super().__init__()
        self._rule = rule
        self._single = np.zeros(sys.maxunicode + 1, np.uint32)  # what one character becomes; 0: not seen, _NOT_ONE
        self._single[:128] = np.arange(128)
        for code in joining:
            self._keep(code, _JOINS)

    def normalise(self, texts: Iterable[str]) -> list[str]:
        """The texts; ASCII ones as they are."""
        texts = list(texts)
        rows = [row for row, text in enumerate(texts) if not text.isascii()]
        joined = "\0".join([texts[row] for row in rows])
        if joined.count("\0") >= max(len(rows), 1):  # a text holds one itself
            parts = [self._replaced(texts[row]) for row in rows]
        else:
            parts = self._replaced(joined).split("\0")
        for row, text in zip(rows, parts, strict=False):
            texts[row] = self._rule(texts[row]) if _JOINS in text else text
        return texts

    def _replaced(self, text: str) -> str:
        """Each character replaced; `_JOINS` for those that join their neighbours."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        single = self._single[codes]
        unseen = codes[(single == 0) & (codes != 0)]
        if len(unseen):
            for code in set(unseen.tolist()):
                self._learn(code)
            single = self._single[codes]
        longer = np.flatnonzero(single == _NOT_ONE)
        single[longer] = 0
        replaced = str(single.tobytes(), "utf-32-le", "surrogatepass")
        pieces, last = [], 0
        for place in longer.tolist():
            pieces += [replaced[last:place], self[codes[place]]]
            last = place + 1
        return "".join([*pieces, replaced[last:]])

    def _learn(self, code: int) -> None:
        char = chr(code)
        first = unicodedata.normalize("NFKD", char)[0]
        joins = unicodedata.category(first)[0] == "M" or 0x1100 <= ord(first) <= 0x11FF or char == "Σ"
        self._keep(code, _JOINS if joins else self._rule(f"x{char}x")[1:-1])

    def _keep(self, code: int, text: str) -> None:
        self[code] = text  # first: other threads look here for what is not one character
        self._single[code] = ord(text) if len(text) == 1 else _NOT_ONE


STATEMENTS = UnicodeNormaliser(normalise_unicode, [*_SCRIPTS["<super>"], *_SCRIPTS["<sub>"]])
LOWER_CASE = UnicodeNormaliser(lambda text: normalise_statement(text).lower().translate(_SIMPLIFIED))
