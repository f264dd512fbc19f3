"""Multiple choice with the options at hand: a letter, its text, and the two against each other.

    by_choices(read_answer("C"), "18", {"B": "15", "C": "18"})     # "C"
    contradiction("C. 15", {"B": "15", "C": "18"})                # "the letter C with the text of B"

What it does not do: find the letter in a completion (`extract`), or know options that nobody gave.
"""

from __future__ import annotations

from collections.abc import Mapping

from limo.verify.answers import Answer
from limo.verify.maths.equal import equal
from limo.verify.maths.options import option_letters, option_text


def by_choices(wanted: Answer, text: str, options: Mapping[str, str]) -> str:
    """The letter of the option whose text was given instead, or the text where the answer is text and not a letter."""
    said = option_letters(text, loose=True)
    if not wanted.letters:
        return str(options[said]) if said in options and not equal(wanted.text, text).same else text
    met = [] if said else _options_with(text, options)
    return met[0] if len(met) == 1 else text


def contradiction(text: str, options: Mapping[str, str]) -> str:
    """Why a letter and the text beside it are two different options; "" where they are not."""
    said = option_letters(text, loose=True)
    beside = option_text(text)
    if said not in options or not beside or beside == said or equal(str(options[said]), beside).same:
        return ""
    others = [letter for letter in _options_with(beside, options) if letter != said]
    return f"the letter {said} with the text of {others[0]}" if others else ""


def _options_with(text: str, options: Mapping[str, str]) -> list[str]:
    return [letter for letter, option in options.items() if equal(str(option), text).same]
