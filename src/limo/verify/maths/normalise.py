"""One spelling for the many ways of writing the same mathematics, before anything is parsed; no value changes.

clean(r"$\\left(\\dfrac{1}{2},\\;\\infty\\right)$")   # r"(\\frac{1}{2}, \\infty)"
compact(r"\\text{ Even }")                                # "even"
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from operator import methodcaller

from limo.verify.maths.tables import languages, table
from limo.verify.maths.units import UNIT_LETTERS, read_unit

WORD_OPEN, WORD_CLOSE = "\ue001", "\ue002"
MAX_ANSWER = 6000
_INVISIBLE = dict.fromkeys(code for first, last in table("symbols")["invisible"] for code in range(first, last + 1))
_TABLE, _LATEX = table("symbols"), table("latex")
_SUPERSCRIPTS, _SUBSCRIPTS = _TABLE["superscripts"], _TABLE["subscripts"]
_SUPER, _SUB = (re.compile(f"[{''.join(script)}]+") for script in (_SUPERSCRIPTS, _SUBSCRIPTS))
GREEK = frozenset(_TABLE["greek"].values())
_CHARACTERS = str.maketrans(
    {
        **_TABLE["characters"],
        **{letter: f"\\{name} " for letter, name in _TABLE["greek"].items()},
        **{sign: rf"\frac{{{value.replace('/', '}{')}}}" for sign, value in _TABLE["fractions"].items()},
    }
)
_WORDS = re.compile(rf"\\(?:{'|'.join(_LATEX['text_commands'])})\s*\{{([^{{}}]*)\}}")
_MINUS_WORD = re.compile(
    r"\A[\s$]*(?:\\text\s*\{\s*(?:负|minus|negative)\s*\}\s*|(\\text\s*\{\s*)?(?:负|(?:minus|negative)\s+))"
    r"(?=\.?\d|\\(?!text)[a-z])",
    re.I,
)
_FIRST, _ALIASES, _INTERVALS = (  # functions, because re looks at a string with a backslash anew for every text
    [(re.compile(pattern), methodcaller("expand", replacement)) for pattern, replacement in _LATEX[name]]
    for name in ("first", "aliases", "intervals")
)
_GROUPING = re.compile(
    r"(?<=\d)(?:,\\!\s*|\\!,|\\,|,\\,|\s?\{\s*,\s*\}\s?|\{\\,\}|\\ |\\;|[\u2009\u202f\u00a0'_]|,\\;)(?=\d{3}(?!\d))"
)
_LAST_BACKSLASH = re.compile(r"\\\s*(?=$)")
_ENGLISH = table("languages/english")
_SCALES = _ENGLISH["scales"]
_SCALED = re.compile(
    rf"(?<![\d.,])(\d[\d,]{{0,40}}(?:\.\d{{1,30}})?)(\s*(?:\\text\s*\{{\s*)?)({'|'.join(_SCALES)})\b", re.I
)


def _number_words(ones: list[str], tens: list[str]) -> dict[str, str]:
    """ "twelve" and "twenty-one" as "12" and "21"."""
    numbers = {word: str(value) for value, word in enumerate(ones)}
    for ten, word in enumerate(tens, 2):
        numbers[word] = str(10 * ten)
        for one in range(1, 10):
            numbers[word + ones[one]] = numbers[f"{word}-{ones[one]}"] = str(10 * ten + one)
    return numbers


_SYNONYMS = {
    synonym: answer
    for language in languages()
    for answer, synonyms in language["synonyms"].items()
    for synonym in synonyms
}
_SMALL_WORDS = {word: int(number) for word, number in _number_words(_ENGLISH["ones"], _ENGLISH["tens"]).items()}
_PARTS, _UPRIGHT = _ENGLISH["parts"], re.compile(r"\\text\s*\{([A-Za-z\s-]*)\}")
_FIRST_WORD = re.compile(r"[\s.$]*(?:\\text\s*\{\s*)?([A-Za-z]+)")
_HYPHEN = re.compile(r"(?<=[A-Za-z])-(?=[A-Za-z])")
_IN_NUMBERS = {"minus", "negative", "a", "an", "and", "point", "hundred", *_SMALL_WORDS, *_SCALES}
_IN_NUMBERS |= {word + ending for word in _PARTS for ending in ("", "s")}
_GOES_ON = re.compile(  # 0.1666...: a period three times and dots
    r"(?<![\d.(])(\d{0,12}\.\d{0,12}?)(\d{1,6}?)\2{2,20}\s*(?:\\[lcd]?dots|\.{3})(?![\d.A-Za-z])"
)
_LIST_GOES_ON = re.compile(r"(?<![\d.])(\d+)\s*,?\s*(?:\\[lcd]?dots|\.{3})[\s}$]*\Z")  # 12, ... is no 12, nor is 5...
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*\{?\s*(\d+)\s*\}?")
_CIRCLED = frozenset(map(chr, range(0x2460, 0x2474)))
_BETWEEN_CIRCLED = re.compile(r"\\text|\\mathrm|[\s{}$、,，;；和与及()（）]|and")
REFUSALS = "".join(_TABLE["refusals"])
NO_ORNAMENT = f"(?![{REFUSALS}➕➖➗])"
_MARKS_AT_ENDS = re.compile(
    f"\\A(?:{NO_ORNAMENT}[\u2600-\u27bf\u2b50\u220e\U0001f300-\U0001faff\\s])+"
    f"|(?:{NO_ORNAMENT}[\u2600-\u27bf\u2b50\u220e\u25a0\u25a1\U0001f300-\U0001faff\\s.])+\\Z"
)
_HTML, _MONEY = {"sup": "^", "sub": "_"}, table("units")["money"]
_MONEY_BEFORE = re.compile(rf"(?<![\w\\])({'|'.join(map(re.escape, _MONEY))})\s*(\d(?:[\d.,]*\d)?)")
_MONEY_BEHIND = re.compile(r"(?<=\d)\s*([€£¥₹])")
_SENTENCE_START = re.compile(
    r"\A\s*((?:[A-Za-z]{1,15}(?:\\ |[\s~])+){2,12}(?:is|are|equals))(?:\\ |[\s~:])+(?=[\d\\($-])"
)
_NUMBER_IN_WORDS = re.compile(r"(?<![\w.,])-?\d+(?:[.,]\d+)*(?![\w])")
_LAST_JOIN = re.compile(r"(.*\S)[\s,]+(and|or)\Z", re.S)
_DOLLARS = re.compile(r"(?:\\\$|\A\s*\$)\s*(\d[\d,]*(?:\.\d+)?)(?=[\s}\])$.]*\Z)")
_CHINESE = table("languages/chinese")
_DIGITS, _SMALL, _LARGE = _CHINESE["digits"], _CHINESE["small_scales"], _CHINESE["large_scales"]
_NUMERAL = f"[{''.join([*_DIGITS, *_SMALL, *_LARGE])}]"
_FRACTION = re.compile(rf"({_NUMERAL}+|\d+)分之({_NUMERAL}+|\d+(?:\.\d+)?)")
_MIXED = re.compile(rf"({_NUMERAL}+|\d+)又(?=\\frac|\d+/\d)")
_WHOLE = re.compile(
    rf"^(\s*(?:\\text\s*\{{\s*)?)([负]?{_NUMERAL}+(?:点[{''.join(_DIGITS)}]+)?)(?=\s*(?:{_CHINESE['measures']}|\}}|[.．。]?$))"
)
_CHINESE_SCALED = re.compile(rf"(\d+(?:\.\d+)?)\s*([{''.join(_LARGE)}]+)")
_BRACE, _BOXED, _EDGE = re.compile(r"(?<!\\)[{}]"), re.compile(r"\\f?boxed\s*\{"), ".,;:。 \t\n"


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """The text in one spelling; parsing and comparing start from here."""
    text = text[:MAX_ANSWER].translate(_INVISIBLE).replace("\x0crac", r"\frac")
    if "<" in text or "&" in text:
        text = re.sub(r"<(sup|sub)>(.*?)</\1>", lambda m: f"{_HTML[m[1]]}{{{m[2]}}}", text)
        text = html.unescape(text) if re.search(r"&#?\w+;", text) else text
    text = _SUPER.sub(lambda m: "^{" + "".join(_SUPERSCRIPTS[c] for c in m.group()) + "}", text)
    text = _SUB.sub(lambda m: "_{" + "".join(_SUBSCRIPTS[c] for c in m.group()) + "}", text)
    text = _GROUPING.sub("", text)
    text = re.sub(r"(?<=\d)。(?=\d)", ".", text)
    if _CIRCLED.intersection(text):
        text = _circled(text)
    text = money_behind(text)
    if not text.isascii():
        text = _MARKS_AT_ENDS.sub("", text)
        text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)
    if "\\begin" not in text and "\\\\" in text:
        text = re.sub(r"\\{2,}(?=[A-Za-z{}%!,;()\[\]])", r"\\", text)
    elif "\\\\begin" in text and not re.search(r"(?<!\\)\\[A-Za-z]", text):  # escaped twice, line ends too
        text = text.replace("\\\\", "\\")
    if "dots" in text or "..." in text:
        text = _LIST_GOES_ON.sub(r"\1, \\ldots", _GOES_ON.sub(r"\1\\overline{\2}", text))
    text = numerals(text)
    text = _SCALED.sub(_scaled, text) if "llion" in text or "housand" in text else text
    text = _latex(text).rstrip(_EDGE).lstrip(",;: \t\n")
    return text if re.match(r"\.\d", text) else text.lstrip(".")


def money_behind(text: str) -> str:
    """`€5` and `EUR 5` as 5 EUR, `$5` as 5 USD where its sign is no delimiter."""
    text = _MONEY_BEFORE.sub(lambda m: rf"{m[2]} \text{{{_MONEY[m[1]]}}}", text.replace("￥", "¥"))
    if text.count("$") in (1, 3):  # with a pair around the formula
        text = _DOLLARS.sub(r"\1 \\text{USD}", text)
    return _MONEY_BEHIND.sub(lambda m: rf" \text{{{_MONEY[m[1]]}}}", text)


def _circled(text: str) -> str:
    """`①③` and `①、③` as the list 1, 3; circled digits beside anything else stay signs of their own."""
    digits = _BETWEEN_CIRCLED.sub("", text)
    if _CIRCLED.issuperset(digits):
        return ", ".join(str(ord(digit) - 0x245F) for digit in digits)
    return "".join(rf"\circled{{{ord(c) - 0x245F}}}" if c in _CIRCLED else c for c in text)


def _scaled(match: re.Match[str]) -> str:
    """`2.5 million` as 2500000; what `\\text{` opened stays open."""
    value = Fraction(match.group(1).replace(",", "")) * _SCALES[match.group(3).lower()]
    return match.group() if value.denominator > 1 else str(value.numerator) + match.group(2)


def numerals(text: str) -> str:
    """Numbers in words, English or Chinese, in digits, and the word before a number that is its sign as a sign."""
    return _MINUS_WORD.sub(lambda m: "-" + (m[1] or ""), to_arabic(from_words(text)), count=1)


def from_words(text: str) -> str:
    """`two hundred and five`, `minus two thirds` and `five percent` in digits; any other text as it is."""
    if not (first := _FIRST_WORD.match(text)) or first[1].lower() not in _IN_NUMBERS:
        return text
    inner = _UPRIGHT.fullmatch(text.strip(" .$"))
    given = _HYPHEN.sub(" ", (inner[1] if inner else text[:200]).strip(" .$")).split()
    words = [word.lower() for word in given]
    sign = "-" if words and words[0] in ("minus", "negative") else ""
    start, n = len(sign), next((at for at, word in enumerate(words[:20]) if word not in _IN_NUMBERS), len(words[:20]))
    value = _number(words[start:n]) if n > start else None
    unit = " ".join(given[n:])
    return text if value is None or (unit and not read_unit(unit)) else f"{sign}{value} {unit}".rstrip()


def _number(words: list[str]) -> str | None:
    """A number in words; None where they are none."""
    if words == ["half"]:
        return r"\frac{1}{2}"
    if words[0] not in _SMALL_WORDS and (words[0] not in ("a", "an") or len(words) == 1):
        return None
    if "point" in words:
        at = words.index("point")
        whole, digits = _count(words[:at]), [_SMALL_WORDS.get(word, 10) for word in words[at + 1 :]]
        return None if whole is None or max(digits, default=10) > 9 else f"{whole}.{''.join(map(str, digits))}"
    part = _PARTS.get(words[-1].removesuffix("s"))
    if part is None:
        value = _count(words)
        return None if value is None else str(value)
    at = len(words) - 1 - words[::-1].index("and") if "and" in words else 0
    above = _count(words[at + 1 if at else 0 : -1])
    if above is None or (above == 1) is words[-1].endswith("s"):  # `twenty third` is an ordinal
        return None
    whole = _count(words[:at]) if at else 0
    return None if whole is None else rf"{whole or ''}\frac{{{above}}}{{{part}}}"


def _count(words: list[str]) -> int | None:
    """A whole number in words; None where they are none."""
    total, section, scale = 0, 0, math.inf
    for at, word in enumerate(words):
        if word in ("a", "an") and at == 0:
            section = 1
        elif word in _SMALL_WORDS:
            value, last = _SMALL_WORDS[word], section % 100
            if section and (value == 0 or (last and not (last >= 20 and last % 10 == 0 and value < 10))):
                return None
            section += value
        elif word == "hundred" and 0 < section < 100:
            section *= 100
        elif word in _SCALES and section and _SCALES[word] < scale:
            scale = _SCALES[word]
            total, section = total + section * scale, 0
        elif word != "and" or not 0 < at < len(words) - 1 or words[at - 1] not in ("hundred", *_SCALES):
            return None
    return total + section


def _latex(text: str) -> str:
    if "\\" in text or "$" in text:
        text = unbox(text)
        text = _rewritten(text, _FIRST)
        text = _GROUPING.sub("", text).replace(r"\!", "").replace(r"\,", " ")
        text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text).replace(r"\$", "").replace("$", " ")
    if "mod" in text:
        text = _congruence(text)
    text = _SENTENCE_START.sub(rf"{WORD_OPEN}\1{WORD_CLOSE} ", text)
    text = _REPEATING.sub(_repeating, _rewritten(text, _ALIASES))
    for _ in range(4):
        text, n_words = _WORDS.subn(_word, text)
        if not n_words:
            break
    if "[" in text or "]" in text:
        text = _rewritten(text, _INTERVALS)
    text = text.replace(r"\'", "'").replace(r"\_", "_").replace(r"\&", "&").replace(r"\#", "#")
    text = text.strip().strip("*`").strip()
    return re.sub(r"\s+", " ", _LAST_BACKSLASH.sub("", text))


def _rewritten(text: str, rules: list[tuple[re.Pattern[str], methodcaller]]) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _congruence(text: str) -> str:
    """The many ways of writing a modulus, as `\\pmod`; "mod" between numbers stays an operation."""
    text = re.sub(r"\\(?:text|mathrm|operatorname)\s*\{\s*mod\s*\}", "mod", text)
    text = re.sub(r"\(\s*(?:\\?[bp]?mod|\\!)(?![A-Za-z])\s*([^()]{1,40})\)", r"\\pmod{\1}", text)
    return re.sub(r"\\?[bp]?mod(?![A-Za-z])", r"\\pmod", text) if "\\equiv" in text else text


def _word(match: re.Match[str]) -> str:
    """A letter in roman type is a symbol or the unit of a number; more is a word, except names of functions."""
    content = match.group(1).strip()
    if content in UNIT_LETTERS | {"M", "K"} and re.search(
        r"[\d})]\s*\Z", match.string[max(0, match.start() - 8) : match.start()]
    ):
        return f" {WORD_OPEN}{content}{WORD_CLOSE} "
    if len(content) <= 1 or re.fullmatch(r"[\d\s.,+\-*/^_=()%\\]*", content) or "\\operatorname" in match.group():
        content = " " * match.string[: match.start()][-1:].isalpha() + content  # apart from the command before it
        return " \\" + content + " " if "\\operatorname" in match.group() and content.isalpha() else content
    if content.lower() in ("percent", "percentage", "pct"):
        return "%"
    if re.search(r"[\\_^=+]", content) and not re.search(r"[A-Za-z]{3}", content):
        return content
    if join := _LAST_JOIN.match(content):
        return f" {WORD_OPEN}{join[1]}{WORD_CLOSE} {join[2]} "
    words = _NUMBER_IN_WORDS.sub(rf"{WORD_CLOSE} \g<0> {WORD_OPEN}", content)
    return f" {WORD_OPEN}{words}{WORD_CLOSE} ".replace(WORD_OPEN + WORD_CLOSE, "")


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
    pairs = braced(text, _BOXED)
    return without(text, [cut for start, inner, end in pairs for cut in ((start, inner), (end - 1, end))])


def braced(text: str, command: re.Pattern[str]) -> list[tuple[int, int, int]]:
    """Where a command that ends in its brace begins, where its content does, and where its closing brace ends."""
    starts = {match.end(): match.start() for match in command.finditer(text)}
    opened: list[int] = []
    found = []
    for brace in _BRACE.finditer(text) if starts else ():
        if brace.group() == "{":
            opened.append(brace.end())
        elif opened and (inner := opened.pop()) in starts:
            found.append((starts[inner], inner, brace.end()))
    return found


def without(text: str, cuts: Iterable[tuple[int, int]]) -> str:
    """A text without these parts of it; one may lie in another."""
    kept, at = [], 0
    for start, end in sorted(cuts):
        kept.append(text[at:start])
        at = max(at, end)
    return "".join([*kept, text[at:]])


def closing_brace(text: str, start: int, end: int) -> int | None:
    """Index of the brace that closes the one at `start`, before `end`; None where there is none."""
    depth = 0
    for brace in _BRACE.finditer(text, start, end):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return brace.start()
    return None


@lru_cache(maxsize=8192)
def compact(text: str) -> str:
    """The cleaned text without spaces, marks or needless braces: two that agree are the same answer.

    Words are compared without case; a single letter keeps its case.
    """
    text = clean(text).replace(WORD_OPEN, "").replace(WORD_CLOSE, "")
    text = re.sub(r"(?<![A-Za-z\\])[A-Za-z]{2,}(?![A-Za-z])", _small, text)
    text = re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text)
    text = _SYNONYMS.get(text.lower().rstrip(".。"), text)
    text = re.sub(r"([\^_])\{(\w)\}", r"\1\2", text)
    return text.strip(_EDGE + '"')


def _small(match: re.Match[str]) -> str:
    """A word in small letters; letters side by side (`ABC`, `Rr`) keep their case."""
    word = match.group()
    known = word.lower() in _SYNONYMS or word.lower() in _SYNONYMS.values()
    is_word = known or (len(word) > 2 and (word[1:].islower() or (len(word) > 4 and word.isupper())))
    return word.lower() if is_word and re.search("[aeiouyAEIOUY]", word) else word


def to_arabic(text: str) -> str:
    """The text with its Chinese numbers rewritten; anything else is left as it is."""
    if not re.search(r"[\u4e00-\u9fff〇]", text):
        return text
    if text.strip() in ("半", "一半"):
        return r"\frac{1}{2}"
    text = _FRACTION.sub(_chinese_fraction, text)
    text = _MIXED.sub(lambda m: f"{m[1] if m[1].isdigit() else numeral(m[1])} ", text)
    text = _CHINESE_SCALED.sub(_chinese_scaled, text)
    return _WHOLE.sub(lambda m: _chinese_decimal(m[2]) + m[1], text)


def numeral(text: str) -> int | None:
    """The value of a run of Chinese numerals; None where it is not one."""
    if not 0 < len(text) < 40 or any(c not in _DIGITS and c not in _SMALL and c not in _LARGE for c in text):
        return None
    if all(c in _DIGITS for c in text):
        return int("".join(str(_DIGITS[c]) for c in text))
    total = section = digit = 0
    place = 1  # of a digit with no sign of its place behind it: 三百五 is 350, 三百零五 is 305
    for char in text:
        if char in _DIGITS:
            digit, place = _DIGITS[char], place if _DIGITS[char] else 1
        elif char in _SMALL:
            section, digit, place = section + (digit or 1) * _SMALL[char], 0, _SMALL[char] // 10
        else:
            total, section, digit, place = (total + section + digit * place) * _LARGE[char], 0, 0, _LARGE[char] // 10
    return total + section + digit * place


def _chinese_decimal(text: str) -> str:
    sign = "-" if text.startswith("负") else ""
    whole, dot, rest = text.removeprefix("负").partition("点")
    value = numeral(whole)
    if value is None:
        return text
    return f"{sign}{value}" + ("." + "".join(str(_DIGITS[c]) for c in rest) if dot else "")


def _chinese_fraction(match: re.Match[str]) -> str:
    below, above = match.groups()
    if below == "百":
        return (str(numeral(above)) if not above[0].isdigit() else above) + r"\%"
    low = int(below) if below.isdigit() else numeral(below)
    high = above if above[0].isdigit() else numeral(above)
    return match.group() if low is None or high is None else rf"\frac{{{high}}}{{{low}}}"


def _chinese_scaled(match: re.Match[str]) -> str:
    value = Fraction(match.group(1)) * math.prod(_LARGE[char] for char in match.group(2))
    return str(value.numerator) if value.denominator == 1 else match.group()
