r"""What two statements must share to be the same problem: a normal form that respects mathematics.

White space, delimiters, fonts and synonyms of LaTeX are no difference; digits, signs and operators are.  From the
normal form come the four things that duplicates and contamination are judged by: the canonical text, the numbers in
order, the names in order, and overlapping word n-grams with the numbers masked.

    canonical(r"Find $\dfrac12 + x$.") == canonical(r"find \(\frac{1}{2}+x\)")       # True
    numbers("Tom has two apples and 3.50 dollars")                                  # ("2", "3.5")

What it does not do: algebra.  `x+1` and `1+x` are different texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from limo.text import normalise_statement

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_SUBSCRIPTS = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SYMBOLS = str.maketrans({
    "−": "-", "‐": "-", "‑": "-", "–": "-", "—": " ", "×": r"\times ", "÷": r"\div ", "·": r"\cdot ", "⋅": r"\cdot ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ",
    "∠": r"\angle ", "△": r"\triangle ", "∈": r"\in ", "°": r"^{\circ}", "∥": r"\parallel ", "⊥": r"\perp ",
    "。": ".", "、": ",", "“": '"', "”": '"', "‘": "'", "’": "'", "~": " ", "&": " ", "$": " ", "\u2044": "/",
})  # fmt: skip
_NUMBERING = re.compile(
    r"^\s*(?:(?:problem|question|example|exercise|例|题)\s*\d{1,4}\s*[.:)]?\s+|\d{1,3}\s*[.)]\s+(?=\D))"
    r"|\(\s*\d{1,3}\s*(?:points?|marks?|分)\s*\)",
    re.IGNORECASE,
)
_FONTS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|hbox|emph|operatorname)\s*\{([^{}]*)\}")
_DROPPED = re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|quad|qquad|rm|bf)(?![A-Za-z])"
                      r"|\\\\|\\[()\[\],;:!> ]")  # fmt: skip
_SYNONYMS = {"dfrac": "frac", "tfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge",
             "neq": "ne", "lbrace": "{", "rbrace": "}", "lvert": "|", "rvert": "|", "to": "rightarrow",
             "degree": "circ", "ldots": "dots", "cdots": "dots", "dotsc": "dots", "dotsb": "dots"}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SHORT_GROUP = re.compile(r"([\^_]|\\sqrt)\s*([A-Za-z0-9])(?![A-Za-z0-9]*\])")
_SHORT_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_SLASHED = re.compile(r"(?<![\w.}/\\])(\d+) ?/ ?(\d+)(?![\w./{])")
_ACCENT = re.compile(r"\\(overline|bar|hat|vec|tilde)\{(\w)\}(_\{[^{}]*\})")
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\})(?=\d{3}(?!\d))")
_SPACE = re.compile(r"\s+")
_SPACE_BUT_BETWEEN_DIGITS = re.compile(r"(?<!\d) | (?!\d)")
_PERIOD = re.compile(r"[.?](?!\d)|[\"'`]|,(?= [a-z]{3})")  # sentence marks, and commas before words
_WORD_CASE = re.compile(r"(?<![A-Za-z\\])(?:[A-Z][a-z]+|[A-Z]{4,})(?![A-Za-z])")

_WORDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
          "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]  # fmt: skip
_TENS = ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"]
NUMBER_WORDS = {word: str(n) for n, word in enumerate(_WORDS, start=2)} | {
    word: str(10 * n) for n, word in enumerate(_TENS, start=3)
}
_TOKEN = re.compile(r"\\[A-Za-z]+|[A-Za-z]+|\d+(?:\.\d+)?|\.\d+|[\u3400-\u9fff]|[-+*/=<>!|%^]")
_OPERATORS = frozenset("+-*/=<>!%|") | {r"\times", r"\div", r"\le", r"\ge", r"\ne", r"\cdot", r"\pm", r"\mp"}
_WHOLE_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}")
_ASIDE = re.compile(r"\\?%|\^(?:\{\\circ\}|\\circ)|^[a-z]=(?=(?:\\frac|\\sqrt|\\pi|[^=A-Za-z])+$)")
# ^ per cent, degrees, and the `x=` of `x=4`; `y=2x` is an equation and stays
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_HAN = re.compile(r"[\u3400-\u9fff]")
_STARTS_SENTENCE = re.compile(r"(?:^|[.!?:\n])[\s\"'(]*$")
_OPENERS = frozenset([
    "a", "after", "all", "also", "an", "and", "any", "are", "as", "assume", "assuming", "at", "before", "both",
    "but", "by", "calculate", "can", "compute", "consider", "define", "denote", "describe", "determine", "did",
    "do", "does", "during", "each", "either", "enter", "evaluate", "every", "expand", "express", "factor",
    "finally", "find", "first", "five", "following", "for", "from", "give", "given", "he", "hence", "her", "here",
    "his", "how", "however", "i", "if", "in", "initially", "is", "it", "its", "let", "many", "my", "next", "no",
    "note", "now", "of", "on", "one", "out", "over", "please", "prove", "round", "she", "show", "simplify",
    "since", "sketch", "so", "solve", "some", "suppose", "that", "the", "their", "then", "there", "therefore",
    "these", "they", "this", "those", "through", "to", "today", "together", "under", "use", "using", "was", "we",
    "were", "what", "when", "where", "which", "while", "who", "whose", "why", "with", "write", "you", "your",
])  # fmt: skip
_NAME = re.compile(r"(?<![A-Za-z\\])[A-Z][A-Za-z]*")


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """One line of plain LaTeX: synonyms folded, fonts and delimiters gone, letters' case kept."""
    text = _SUPERSCRIPTS.sub(lambda match: "^{" + match[0].translate(_RAISED) + "}", text)
    text = _SUBSCRIPTS.sub(lambda match: "_{" + match[0].translate(_LOWERED) + "}", text)
    text = normalise_statement(text.translate(_SYMBOLS)).translate(_SYMBOLS).replace("...", r"\dots ")
    text = _FONTS.sub(r" \1 ", _NUMBERING.sub(" ", text))
    text = _DROPPED.sub(" ", text)
    text = _COMMAND.sub(lambda match: "\\" + _SYNONYMS.get(match[1], match[1]), text)
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = _SHORT_GROUP.sub(r"\1{\2}", text)
    text = _ACCENT.sub(r"\\\1{\2\3}", _SLASHED.sub(r"\\frac{\1}{\2}", text))
    text = _THOUSANDS.sub("", text)
    return _SPACE.sub(" ", text).strip()


def canonical(text: str) -> str:
    """The text that equal problems share: no spaces but between digits, sentence marks gone, words in lower case."""
    text = _WORD_CASE.sub(lambda match: match[0].lower(), clean(text))
    text = _PERIOD.sub("", text)
    return _SPACE_BUT_BETWEEN_DIGITS.sub("", _SPACE.sub(" ", text)).strip().rstrip(".,;:!")


def tokens(text: str) -> list[str]:
    """Words in lower case, LaTeX commands, numbers, Han characters and operators, in order; hyphens are none."""
    text = clean(text)
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "-" and _is_hyphen(text, match.start()):
            continue
        found.append(token if token[0] == "\\" else _number(token.lower()))
    return found


def plain_words(text: str) -> list[str]:
    """Lower-case words between white space, Han characters one by one: what kindred projects' n-gram rules count."""
    return _HAN.sub(r" \g<0> ", normalise_statement(text).lower()).split()


def masked(words: Sequence[str]) -> list[str]:
    """The tokens with every number made `0`."""
    return ["0" if word[0].isdigit() else word for word in words]


def numbers(words: Sequence[str]) -> tuple[str, ...]:
    """The numbers among the tokens, in order; number words count, `one` (a pronoun too) does not."""
    return tuple(word for word in words if word[0].isdigit())


def digits(text: str) -> tuple[str, ...]:
    """The numbers written in digits, in order."""
    return tuple(_number(match) for match in _DIGITS.findall(clean(text)))


def operators(words: Sequence[str]) -> tuple[str, ...]:
    """The operators and relations among the tokens, in order: a swapped sign is another problem."""
    return tuple(word for word in words if word in _OPERATORS)


def names(text: str) -> tuple[str, ...]:
    """Capitalised words in order, but the usual first words of a sentence: people, points, sets."""
    text = clean(text)
    found = []
    for match in _NAME.finditer(text):
        word = match[0].lower()
        if (word in _OPENERS or word in NUMBER_WORDS) and _STARTS_SENTENCE.search(text, 0, match.start()):
            continue
        found.append(match[0])
    return tuple(found)


def ngrams(words: Sequence[str], n: int) -> list[str]:
    """All runs of `n` words; the whole text where it is shorter (and not empty)."""
    if len(words) <= n:
        return [" ".join(words)] if words else []
    return [" ".join(words[start : start + n]) for start in range(len(words) - n + 1)]


def jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    """Shared over all; 0 where both are empty."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared) if shared else 0.0


def plain_answer(answer: str) -> str:
    r"""An answer as a key: `\dfrac{1}{2}` and `1/2` meet, `5.0` and `5`, `(A)` and `A`; no mathematics beyond that."""
    text = canonical(answer.replace("\\boxed", ""))
    text = _ASIDE.sub("", _WHOLE_FRACTION.sub(r"\1/\2", text)).strip("{}")
    option = re.fullmatch(r"\(?([A-Ja-j])\)?", text)
    if option:
        return option[1].upper()
    if re.fullmatch(r"[-+]?\d*\.\d+", text):
        text = text.rstrip("0").rstrip(".")
    return re.sub(r"^([-+]?)0+(?=\d)", r"\1", text).removeprefix("+")


def _is_hyphen(text: str, place: int) -> bool:
    """`two-digit` and `9-kilometer` are hyphenated; `x-1` and `ab-cd` are differences."""
    before, after = text[max(0, place - 3) : place], text[place + 1 : place + 4]
    return (len(before) == 3 and before.isalpha()) or (len(after) == 3 and after.isalpha())


def _number(token: str) -> str:
    if token in NUMBER_WORDS:
        return NUMBER_WORDS[token]
    if token[0] == "." and len(token) > 1:
        token = "0" + token
    if "." in token and token[0].isdigit():
        return token.rstrip("0").rstrip(".")
    return unicodedata.normalize("NFKC", token)
