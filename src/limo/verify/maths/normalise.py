"""One spelling for the many ways of writing the same mathematics, before anything is parsed.

    clean(r"$\\\\left(\\\\dfrac{1}{2},\\\\;\\\\infty\\\\right)$")   # r"(\\\\frac{1}{2}, \\\\infty)"
    compact(r"\\\\text{ Even }")                                # "even"

Invisible characters go, Unicode mathematics becomes LaTeX, delimiters and spacing commands go, words in `\\\\text{}`
are set between two private marks so that the parser can tell them from products of letters.

What it does not do: change a value.  Commas stay (whether they group thousands is a question for `syntax`).
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from limo.verify.maths.chinese import to_arabic

WORD_OPEN, WORD_CLOSE, DOLLAR = "\ue001", "\ue002", "\ue003"
MAX_ANSWER = 6000
_INVISIBLE = dict.fromkeys(
    [
        *range(0x00, 0x09),
        0x0B,
        *range(0x0E, 0x20),
        0x7F,
        0xAD,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x206A),
        0xFE0F,
        0xFEFF,
        0xE001,
        0xE002,
        0xE003,
    ]
)
_SUPERS, _SUBS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "₀₁₂₃₄₅₆₇₈₉₊₋"
_SUPER_OF, _SUB_OF = dict(zip(_SUPERS, "0123456789+-()ni", strict=True)), dict(zip(_SUBS, "0123456789+-", strict=True))
_SUPER, _SUB = re.compile(f"[{_SUPERS}]+"), re.compile(f"[{_SUBS}]+")
_VULGAR = {
    "½": (1, 2),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅕": (1, 5),
    "⅖": (2, 5),
    "⅗": (3, 5),
    "⅘": (4, 5),
    "⅙": (1, 6),
    "⅚": (5, 6),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
}
_GREEK_NAMES = dict(
    zip(
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩϕ",
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "pi",
            "rho",
            "sigma",
            "tau",
            "upsilon",
            "phi",
            "chi",
            "psi",
            "omega",
            "Gamma",
            "Delta",
            "Theta",
            "Lambda",
            "Xi",
            "Pi",
            "Sigma",
            "Phi",
            "Psi",
            "Omega",
            "phi",
        ],
        strict=True,
    )
)
GREEK = frozenset(_GREEK_NAMES.values())
_SYMBOLS = {
    "×": r"\times ",
    "÷": "/",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "•": r"\cdot ",
    "−": "-",
    "–": "-",
    "—": "-",
    "－": "-",
    "√": r"\sqrt ",
    "∛": r"\sqrt[3] ",
    "∞": r"\infty ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "⩽": r"\le ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "≡": r"\equiv ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "°": r"^\circ ",
    "º": r"^\circ ",
    "∠": r"\angle ",
    "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "′": "'",
    "’": "'",
    "″": "''",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "→": r"\to ",
    "∣": "|",
    "…": r"\ldots ",
    "△": r"\triangle ",
    "∨": r"\lor ",
    "∧": r"\land ",
    "¬": r"\neg ",
    "∖": r"\setminus ",
    "⊥": r"\perp ",
    "“": '"',
    "”": '"',
    "，": ",",
    "、": ",",
    "；": ";",
    "：": ":",
    "．": ".",
    "％": "%",
    "€": "$",
    "£": "$",
    "¥": "$",
    "￥": "$",
}
_CHARS = str.maketrans(
    {
        **_SYMBOLS,
        **{k: f"\\{v} " for k, v in _GREEK_NAMES.items()},
        **{k: rf"\frac{{{a}}}{{{b}}}" for k, (a, b) in _VULGAR.items()},
    }
)
_WRAP = (
    r"text|mbox|textbf|textit|textrm|textsf|textnormal|texttt|mathrm|mathbf|mathit|mathsf|mathtt|rm|bf|operatorname\*?"
)
_WORDS = re.compile(rf"\\(?:{_WRAP})\s*\{{([^{{}}]*)\}}")
_STYLE = re.compile(
    r"\\(?:boldsymbol|bm|pmb|mathcal|mathscr|mathfrak|vec|overrightarrow|displaystyle|textstyle|scriptstyle"
    r"|limits|nolimits|left|right|mathstrut|rm|bf|it|large|Large|mathopen|mathclose|mathord|mathrel"
    r"|[bB]igg?[lrm]?)(?![A-Za-z])"
)
_SPACES = re.compile(
    r"\\(?:quad|qquad|enspace|thinspace|medspace|thickspace|hfill|par|newline|noindent)(?![A-Za-z])"
    r"|\\[hvm]space\*?\{[^{}]*\}|(?<!\\)\\[;: >]|~|\\h?phantom\{[^{}]*\}"
)
_ALIASES = [
    (re.compile(pattern), to)
    for pattern, to in (
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"\\(?:leqslant|leqq|leq)(?![A-Za-z])", r"\\le"),
        (r"\\(?:geqslant|geqq|geq)(?![A-Za-z])", r"\\ge"),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\neq(?![A-Za-z])|\\not\s*=|!=", r"\\ne "),
        (r"<=", r"\\le "),
        (r">=|=>(?=\s*-?\d)", r"\\ge "),
        (r"\\varnothing(?![A-Za-z])|\\empty(?![A-Za-z])", r"\\emptyset"),
        (r"\\(?:degree|deg)(?![A-Za-z])", r"^\\circ "),
        (r"\^\s*\{\s*\\circ\s*\}", r"^\\circ "),
        (r"\\lvert|\\rvert|\\vert|\\mvert", "|"),
        (r"\\lVert|\\rVert|\\Vert|\\\|", "‖"),
        (r"\\colon(?![A-Za-z])", ":"),
        (r"\\(?:dots[cbmio]?|cdots|hdots|ldots)(?![A-Za-z])", r"\\ldots "),
        (r"\\(?:lbrace|\{)", r"\\{"),
        (r"\\(?:rbrace|\})", r"\\}"),
        (r"\\lbrack", "["),
        (r"\\rbrack", "]"),
        (r"\\(?:varphi)(?![A-Za-z])", r"\\phi"),
        (r"\\varepsilon(?![A-Za-z])", r"\\epsilon"),
        (r"\\infin(?![A-Za-z])", r"\\infty"),
        (r"\\(?:R|reals)(?![A-Za-z])", r"\\mathbb{R}"),
        (r"\*\*", "^"),
        (r"\\(?:ast|star)(?![A-Za-z])", "*"),
        (r"(?<![A-Za-z\\])(?:np|math|sp|sympy|numpy)\.(?=[a-z])", ""),
        (r"(?<![A-Za-z\\])frac(?=\s*\{)", r"\\frac"),
        (r"\\div(?![A-Za-z])", "/"),
        (r"\\(?:over)(?![A-Za-z])", "/"),
        (r"\\bigcup", r"\\cup"),
        (r"\\tag\s*\{[^{}]*\}", ""),
        (r"\\(?:percent)(?![A-Za-z])", "%"),
        (r"(?<=\d)\s*([ap])\.\s?m\.?(?![A-Za-z])", r" \1m"),
        (r"\\%", "%"),
        (r"\\mathbb\s*R\b", r"\\mathbb{R}"),
        (r"(?<=[\d\s}])(?:percent(?:age)?|pct)\b", "%"),
        (r"(?<=[\d)\]}])\s*(or|and)(?=[A-Z(\d\\-])", r" \1 "),
    )
]
_GROUPING = re.compile(
    r"(?<=\d)(?:,\\!\s*|\\!,|\\,|,\\,|\s?\{\s*,\s*\}\s?|\{\\,\}|\\ |\\;|[\u2009\u202f\u00a0'_]|,\\;)(?=\d{3}(?!\d))"
)
_UNIT_BRACE = re.compile(r"\\\s*(?=$)")
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALED = re.compile(
    rf"(?<![\d.,])(\d[\d,]{{0,40}}(?:\.\d{{1,30}})?)(\s*(?:\\text\s*\{{\s*)?)({'|'.join(_SCALES)})\b", re.I
)
_SYNONYMS = {
    word: group
    for group, words in {
        "\\emptyset": "nosolution nosolutions norealsolution norealsolutions nosolutionexists "
        "nosolutionsexist 无解 \\{\\} none",
        "doesnotexist": "dne notexist notexists 不存在",
        "yes": "是 true 正确 对",
        "no": "否 false 错误 错",
        "allrealnumbers": "\\mathbb{r} (-\\infty,\\infty) (-\\infty,+\\infty) 全体实数",
        **{str(i): word for i, word in enumerate(_ONES)},
        **{
            str(10 * i + j): f"{ten}{_ONES[j]} {ten}-{_ONES[j]}" if j else ten
            for i, ten in enumerate(_TENS, 2)
            for j in range(10)
        },
    }.items()
    for word in words.split()
}
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*\{?\s*(\d+)\s*\}?")
_ORDINAL = re.compile(
    r"(?<=\d)\s*\^\s*\{\s*\\(?:text|mathrm|textrm)\s*\{\s*(?:st|nd|rd|th)\s*\}\s*\}"
    r"|(?<=\d)\s*\^?\s*\\(?:text|mathrm|textrm|textsuperscript)\s*\{\s*(?:st|nd|rd|th)\s*\}"
    r"|(?<=\d)(?:st|nd|rd|th)\b"
)
_AMOUNT = re.compile(rf"{DOLLAR}\s*(\d[\d,]*(?:\.\d+)?)(?=[\s}})\].]*\Z)")
_EDGE = ".,;:。 \t\n"


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """The text in one spelling; parsing and comparing start from here."""
    text = text[:MAX_ANSWER].translate(_INVISIBLE).replace("\x0crac", r"\frac")
    text = _SUPER.sub(lambda m: "^{" + "".join(_SUPER_OF[c] for c in m.group()) + "}", text)
    text = _SUB.sub(lambda m: "_{" + "".join(_SUB_OF[c] for c in m.group()) + "}", text)
    text = _GROUPING.sub("", text)
    text = re.sub(r"(?<=\d)。(?=\d)", ".", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_CHARS)).translate(_CHARS)
    if "\\begin" not in text and "\\\\" in text:
        text = re.sub(r"\\{2,}(?=[A-Za-z{}%!,;()\[\]])", r"\\", text)
    elif "\\\\begin" in text and not re.search(r"(?<!\\)\\[A-Za-z]", text):  # escaped twice, line ends too
        text = text.replace("\\\\", "\\")
    text = _SCALED.sub(_scaled, text) if "llion" in text or "housand" in text else text
    text = _latex(to_arabic(text)).rstrip(_EDGE).lstrip(",;: \t\n")
    return text if re.match(r"\.\d", text) else text.lstrip(".")


def _scaled(match: re.Match[str]) -> str:
    """`2.5 million` as 2500000; what `\\text{` opened stays open."""
    value = Fraction(match.group(1).replace(",", "")) * _SCALES[match.group(3).lower()]
    return match.group() if value.denominator > 1 else str(value.numerator) + match.group(2)


def _latex(text: str) -> str:
    if "\\" in text or "$" in text:
        text = unbox(text)
        text = re.sub(r"\\left\s*\.|\\right\s*\.", "", text)
        text = _STYLE.sub(" ", text)
        text = _GROUPING.sub("", text).replace(r"\!", "").replace(r"\,", " ")
        text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text).replace(r"\$", DOLLAR).replace("$", " ")
        text = _AMOUNT.sub(rf"\1 {WORD_OPEN}dollars{WORD_CLOSE} ", text).replace(DOLLAR, "")
    if "mod" in text:
        text = _congruence(text)
    text = _ORDINAL.sub("", text)
    text = _REPEATING.sub(_repeating, _SPACES.sub(" ", text))
    for pattern, to in _ALIASES:
        text = pattern.sub(to, text)
    for _ in range(4):
        text, n = _WORDS.subn(_word, text)
        if not n:
            break
    text = text.replace(r"\'", "'").replace(r"\_", "_").replace(r"\&", "&").replace(r"\#", "#")
    text = text.strip().strip("*`").strip()
    return re.sub(r"\s+", " ", _UNIT_BRACE.sub("", text))


def _congruence(text: str) -> str:
    """The many ways of writing a modulus, as `\\pmod`; "mod" between numbers stays an operation."""
    text = re.sub(r"\\(?:text|mathrm|operatorname)\s*\{\s*mod\s*\}", "mod", text)
    text = re.sub(r"\(\s*(?:\\?[bp]?mod|\\!)(?![A-Za-z])\s*([^()]{1,40})\)", r"\\pmod{\1}", text)
    return re.sub(r"\\?[bp]?mod(?![A-Za-z])", r"\\pmod", text) if "\\equiv" in text else text


def _word(match: re.Match[str]) -> str:
    """A single letter in roman type is a symbol; more is a word, except names of functions."""
    content = match.group(1).strip()
    if len(content) <= 1 or re.fullmatch(r"[\d\s.,+\-*/^_=()%\\]*", content) or "\\operatorname" in match.group():
        return " \\" + content + " " if "\\operatorname" in match.group() and content.isalpha() else content
    if content.lower() in ("percent", "percentage", "pct"):
        return "%"
    if re.search(r"[\\_^=+]", content) and not re.search(r"[A-Za-z]{3}", content):
        return content
    return f" {WORD_OPEN}{content}{WORD_CLOSE} "


def _repeating(match: re.Match[str]) -> str:
    """`0.1\\overline{6}` as the fraction it is."""
    whole, start, period = match.groups()
    if len(start) + len(period) > 60:
        return match.group()
    nines = 10 ** len(period) - 1
    value = int((whole or "0") + start or "0") * nines + int(period)
    return rf"\frac{{{value}}}{{{nines * 10 ** len(start)}}}"


def unbox(text: str) -> str:
    """`\\boxed{x}` becomes x."""
    for _ in range(8):
        start = re.search(r"\\f?boxed\s*\{", text)
        if not start:
            break
        depth, end = 1, start.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0) if text[end - 1] != "\\" else 0
            end += 1
        text = text[: start.start()] + text[start.end() : end - (0 if depth else 1)] + text[end:]
    return text


@lru_cache(maxsize=8192)
def compact(text: str) -> str:
    """The cleaned text without spaces, marks or needless braces: two that agree are the same answer.

    Words are compared without case; a single letter keeps its case.
    """
    text = clean(text).replace(WORD_OPEN, "").replace(WORD_CLOSE, "")
    text = re.sub(r"\s+", "", text)
    text = _SYNONYMS.get(text.lower().rstrip(".。"), text)
    text = re.sub(r"([\^_])\{(\w)\}", r"\1\2", text)
    if re.fullmatch(r"[A-Za-z\u4e00-\u9fff'\-.,()\"]{2,}", text) and re.search(r"[A-Za-z]{2}", text):
        text = text.lower()
    return text.strip(_EDGE + '"')
