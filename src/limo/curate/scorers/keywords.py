"""The keyword traits of the paper: how long a chain is, and how often words of three lists stand in it.

The paper prints two words of each list; the full ones, English and Chinese, are `words/en.yaml` and `words/zh.yaml`.
Length is counted in words: runs of Latin letters or digits, two Han characters to a word.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from limo.core.files import shipped_yaml

TRAITS = ("elaboration", "verification", "exploration", "granularity")
COUNTED = TRAITS[1:]
_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*|[0-9]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_PER_WORD = 2


def measure(text: str) -> dict[str, float]:
    """The traits of one text, not scaled: `elaboration` (and `length`) in words, the others for 1,000 words."""
    text = text.lower().replace("\u2019", "'")
    words = _WORD.findall(text)
    n_han = 0 if text.isascii() else len(_HAN.findall(text))
    n_words = len(words) + n_han / _HAN_PER_WORD
    n_by_word = Counter(words)
    line = f" {'  '.join(words)} "  # two spaces between, so that neighbours do not share one
    n_by_trait = {
        trait: sum(
            line.count(f" {entry.replace(' ', '  ')} ") if " " in entry else n_by_word[entry]
            for entry in word_lists("en")[trait]
        )
        for trait in COUNTED
    }
    if n_han:
        for trait, entries in word_lists("zh").items():
            n_by_trait[trait] += sum(map(text.count, entries))
    frequencies = {trait: 1000 * n / n_words if n_words else 0.0 for trait, n in n_by_trait.items()}
    return {"length": n_words, "elaboration": n_words, **frequencies}


@cache
def word_lists(language: str) -> dict[str, tuple[str, ...]]:
    """The word lists of a language, by trait."""
    return {trait: tuple(entries) for trait, entries in shipped_yaml(__file__, f"words/{language}.yaml").items()}
