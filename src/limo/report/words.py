"""Words, figures and claims of a report in both languages: labels from `words.yaml`, numbers, sentences.

A claim is written from one comparison.  Where that is not separable the sentence says so, whatever the difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from limo.core.files import shipped_yaml
from limo.core.language import current_language, translated
from limo.report.content import ArmRow, ComparisonRow, Language, LocalizedText, Report, close_up

HEADLINE_CLAIMS = 4  # comparisons in words at the top of the page
MATCHED = 0.05  # budgets within 5% count as equal: an epoch rarely divides evenly (our choice)
_MARK = re.compile(r"⟨U\+((?!D[89A-F])[0-9A-F]{4}|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4})⟩")
_BUDGET = ("n_examples", "n_updates", "n_tokens")


def read_data(name: str) -> dict[str, Any]:
    """One of the YAML files beside this module."""
    values: dict[str, Any] = shipped_yaml(__file__, name)
    return values


def page_language() -> Language:
    """The language of reports: the reader's, if they are written in it."""
    return "zh" if current_language() == "zh" else "en"


def word(key: str, language: Language, **values: object) -> str:
    """The text of `key` in words.yaml; `{name}` in it is filled from `values`.  Raises KeyError for an unknown key."""
    text: str = read_data("words.yaml")[key][language]
    filled = text.format(**values) if values else text
    return close_up(filled, language)


def localized(key: str, **values: LocalizedText | str | int) -> LocalizedText:
    """The text of `key` in both languages, each filled with the values in its own."""

    def fill(language: Language) -> str:
        own = {name: v.text(language) if isinstance(v, LocalizedText) else v for name, v in values.items()}
        return word(key, language, **own)

    return LocalizedText(fill("en"), fill("zh"))


def benchmark_group(group: str, language: Language) -> str:
    """The heading of a group of benchmarks; of those in no group only that they are benchmarks."""
    return word("ungrouped" if group == "all" else group, language)


def drop_reason(reason: str) -> LocalizedText:
    """A stage's drop reason in both languages; one without a translation is shown as it is."""
    text = reason.replace("_", " ")
    return LocalizedText(text, translated(text, "zh"))


def verdict_reason(reason: str) -> LocalizedText:
    """Why a verifier decided as it did, in words; a rule that has none is shown by its name."""
    words = read_data("words.yaml").get(f"reason_{reason}")
    return LocalizedText(words["en"], words["zh"]) if words else LocalizedText(reason, translated(reason, "zh"))


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
    """A count in at most five characters: 950, 1.2k, 31M, 2e+18."""
    if n >= 1e15:
        return f"{n:.0e}"
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= 0.9995 * size:  # what would be written as 1000 of the next smaller
            return f"{n / size:.1f}".removesuffix(".0")[:3].removesuffix(".") + unit
    return f"{n:.0f}"


def ratio(x: float) -> str:
    """How many times: two figures, no exponent."""
    return f"{x:,.0f}" if x >= 10 else f"{x:.1f}".removesuffix(".0")


def is_hidden(character: str) -> bool:
    """Whether a character does not show, or changes how others show (NUL, bidi marks, surrogates)."""
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def code_point(character: str) -> str:
    """A character as its code point in brackets."""
    return f"⟨U+{ord(character):04X}⟩"


def marked(text: str) -> str:
    """A text with its hidden characters as code points."""
    return "".join(code_point(c) if is_hidden(c) else c for c in text)


def shown(value: object) -> object:
    """What a template writes: hidden characters of a text as code points, whatever field it came from."""
    return marked(value) if type(value) is str and not value.isprintable() else value


def unmarked(text: str) -> str:
    """The text that `marked` was given; half surrogates, which no address can hold, stay marks."""
    return _MARK.sub(lambda match: chr(int(match[1], 16)), text)


def one_line(text: str, width: int = 400) -> str:
    """A label for one line: hidden characters as code points, white space folded, at most `width` characters."""
    text = text[: 20 * width]  # enough for a line, however much white space it has
    line = " ".join(marked(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def shared_benchmarks(report: Report, arms: Iterable[str]) -> set[str]:
    """The benchmarks on which each of the arms has a score, of the arms whose scores are shown."""
    of_arm = [{row.benchmark for row in report.scores if row.arm == arm} for arm in dict.fromkeys(arms)]
    shown = [names for names in of_arm if names]
    return set.intersection(*shown) if shown else set()


def comparison_claim(report: Report, row: ComparisonRow) -> LocalizedText:
    """What a comparison shows, with its interval; a sentence that came with the comparison is used as it is."""
    if row.sentence_en:
        return LocalizedText(row.sentence_en, row.sentence_zh)
    key = "ties" if not row.separable else "beats" if row.difference > 0 else "loses"
    low, high = (-row.high, -row.low) if key == "loses" else (row.low, row.high)  # "3 points below": turned as well
    difference = points(abs(row.difference)) if row.separable else points(row.difference, signed=True)
    a, b, where = report.arm(row.a).label, report.arm(row.b).label, localized(f"where_{row.group}")
    n_shared = len(shared_benchmarks(report, (row.a, row.b)))
    if row.group == "all" and len(report.benchmarks) == 1:
        where = localized("where_one", name=report.benchmarks[0].label)
    elif row.group == "all" and 0 < n_shared < len(report.benchmarks):
        where = localized("where_shared", n=n_shared)
    return localized(key, a=a, b=b, d=difference, low=points(low), high=points(high), where=where)


def headline_claims(report: Report) -> list[LocalizedText]:
    """The claims at the top of the page: those given, else the comparisons over all benchmarks, else all of them.

    Of a report that compares nothing: the first claim of its sections.
    """
    if report.headline:
        return report.headline
    over_all = [row for row in report.comparisons if row.group == "all"]
    compared = [comparison_claim(report, row) for row in (over_all or report.comparisons)[:HEADLINE_CLAIMS]]
    return compared or [claim for section in report.sections for claim in section.claims][:1]


def budgets_match(a: int, b: int) -> bool:
    """Whether two budgets count as equal: within 5% of the larger, and not both 0."""
    return max(a, b) > 0 and abs(a - b) <= MATCHED * max(a, b)


def budget_claims(report: Report) -> list[LocalizedText]:
    """For each compared pair of trained arms, the budget of the first relative to that of the second."""
    pairs = dict.fromkeys((row.a, row.b) for row in report.comparisons)
    return [claim for a, b in pairs if (claim := _budget_claim(report.arm(a), report.arm(b)))]


def _budget_claim(a: ArmRow, b: ArmRow) -> LocalizedText | None:
    ratios = [text for name in _BUDGET if (text := _budget_ratio(name, getattr(a, name), getattr(b, name)))]
    if not ratios:
        return None
    facts = LocalizedText(", ".join(text.en for text in ratios), "，".join(text.zh for text in ratios))
    return localized("budget_against", a=a.label, b=b.label, facts=facts)


def _budget_ratio(name: str, a: int, b: int) -> LocalizedText | None:
    if not a or not b:
        return None
    if budgets_match(a, b):
        return localized(f"budget_same_{name}")
    return localized(f"ratio_{name}", x=ratio(a / b)) if a > b else localized(f"share_{name}", x=ratio(b / a))
