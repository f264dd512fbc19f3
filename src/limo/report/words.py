"""The report's own words and figures in both languages: labels from `words.yaml`, numbers, durations, drop reasons.

Words stand in a data file so that a translator needs no Python, and so that a test can hold the two languages
against each other.

    >>> say("level", "zh"), points(0.6137), points(-0.02, signed=True), seconds(3723)
    ('等级', '61.4', '−2.0', '1 h 02 min')

What it does not do: sentences about results (`sentences`), and words that a model reads (`prompts`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from limo.report.content import Language, Said

_HERE = Path(__file__).parent
_BETWEEN_HAN = re.compile(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")  # a space stands between scripts, not inside one


@cache
def data(name: str) -> dict[str, Any]:
    """One of the YAML files beside this module, read once."""
    loaded: dict[str, Any] = yaml.safe_load((_HERE / name).read_text(encoding="utf-8"))
    return loaded


def say(key: str, language: Language, **values: object) -> str:
    """The word for `key`; `{name}` in it is filled from `values`.  An unknown key is a bug: KeyError."""
    text: str = data("words.yaml")[key][language]
    filled = text.format(**values) if values else text
    return _BETWEEN_HAN.sub("", filled) if language == "zh" else filled


def both(key: str, **values: Said | str | int) -> Said:
    """The word for `key` in both languages, each filled in its own."""
    return Said(*(say(key, language, **_spoken(values, language)) for language in ("en", "zh")))


def _spoken(values: dict[str, Said | str | int], language: Language) -> dict[str, object]:
    return {name: value.text(language) if isinstance(value, Said) else value for name, value in values.items()}


def reason(text: str) -> Said:
    """A fixed drop reason of some stage in both languages; one that has no translation is shown as it is."""
    plain = text.replace("_", " ")
    return Said(plain, data("reasons.yaml").get(plain, plain))


def points(share: float, signed: bool = False) -> str:
    """A share as percent (or percentage points) with one decimal and a true minus sign; never "−0.0"."""
    text = f"{abs(share) * 100:.1f}"
    if text == "0.0":
        return text
    return ("−" if share < 0 else "+" if signed else "") + text


def count(n: int) -> str:
    """A count with thousands separated: 12,800."""
    return f"{n:,}"


def short_count(n: float) -> str:
    """A count in at most four characters for narrow places: 950, 1.2k, 31M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.1f}".removesuffix(".0")[:3].removesuffix(".") + unit
    return f"{n:.0f}"


def times(x: float) -> str:
    """How many times: 2 figures, no exponent."""
    return f"{x:,.0f}" if x >= 10 else f"{x:.1f}".removesuffix(".0")


def seconds(s: float) -> str:
    """A duration as people say it: 24 s, 3 min 05 s, 1 h 02 min."""
    whole = round(s)
    if whole < 60:
        return f"{s:.1f} s" if s < 10 and s != whole else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def hidden(character: str) -> bool:
    """Whether a character would not show, or would change how its neighbours show (NUL, bidi marks, surrogates)."""
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def spelled(character: str) -> str:
    """A hidden character as its code point in brackets."""
    return f"⟨U+{ord(character):04X}⟩"


def plain(text: str, width: int = 400) -> str:
    """A label made safe for one line: hidden characters spelled out, white space folded, at most `width` long."""
    line = " ".join("".join(spelled(c) if hidden(c) else c for c in text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
