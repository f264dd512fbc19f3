"""Multiple choice with the options at hand: a letter, the option's text, and the two against each other.

    letter_or_text(read_answer("C"), "18", {"B": "15", "C": "18"})     # "C"
    contradiction("C. 15", {"B": "15", "C": "18"})                    # "the letter C with the text of B"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase as LETTERS
from typing import Any

from limo.verify.answers import Answer
from limo.verify.maths.equal import equal
from limo.verify.maths.options import option_letters, option_text


def by_letter(options: Sequence[str] | None) -> dict[str, str]:
    """Options in order as letter -> text; {} where there are none."""
    return dict(zip(LETTERS, options or (), strict=False))


def letter_or_text(answer: Answer, text: str, options: Mapping[str, str]) -> str:
    """The letter of the option whose text was given instead, or the text where the answer is text and not a letter."""
    letter = option_letters(text, loose=True)
    if not answer.letters:
        return options[letter] if letter in options and not equal(answer.text, text).same else text
    same = [] if letter else _options_with(text, options)
    return same[0] if len(same) == 1 else text


def contradiction(text: str, options: Mapping[str, str]) -> str:
    """Why a letter and the text beside it are two different options; "" where they are not."""
    letter = option_letters(text, loose=True)
    beside = option_text(text)
    if letter not in options or not beside or beside == letter or equal(options[letter], beside).same:
        return ""
    others = [other for other in _options_with(beside, options) if other != letter]
    return f"the letter {letter} with the text of {others[0]}" if others else ""


def _options_with(text: str, options: Mapping[str, str]) -> list[str]:
    return [letter for letter, option in options.items() if equal(option, text).same]


def options_of_row(row: Mapping[str, Any], answer: str) -> tuple[str, list[str] | None]:
    """The answer and the options of a row that keeps them under `options` or `choices`: a list, or letter -> text.

    Letters that are not A, B, C, ... in order are renamed, and the answer with them.
    """
    value = next((row[name] for name in ("options", "choices") if isinstance(row.get(name), list | dict)), None)
    if isinstance(value, dict):
        renamed = dict(zip(map(str, value), LETTERS, strict=False))
        return renamed.get(answer.strip(), answer), [str(text) for text in value.values()]
    return answer, [str(text) for text in value] if value else None
