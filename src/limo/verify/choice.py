"""The `choice` verifier, and options for all: a letter, the option's text, and the two against each other.

ChoiceVerifier().verify(Problem.make("Who?", "B", options=["Ann", "Bo"]), Completion("Answer: B")).outcome
same_option(read_answer("C"), "18", {"B": "15", "C": "18"}).same     # True
contradiction("C. 15", {"B": "15", "C": "18"})                    # "the letter C with the text of B"
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase as LETTERS
from typing import Any

from limo.core.prompts import CHOICE_SYSTEM
from limo.core.records import Completion, Problem
from limo.verify.answers import Answer
from limo.verify.decision import RuleVerifier
from limo.verify.extract import Extraction, extract_from
from limo.verify.maths.equal import Comparison, equal
from limo.verify.maths.options import option_letters, option_text

_LATE = re.compile(
    r"(?i:answer|option|choice|boxed|答案|选)[^A-Za-z0-9\n]{0,20}(?:is|are)?[^A-Za-z0-9\n]{0,12}([H-Z])(?![A-Za-z])"
)
_LED = re.compile(r"\W*([H-Z])\s*(?:[.．:：、)）]|\Z)")


class ChoiceVerifier(RuleVerifier):
    """Compares the option that a completion names, by letter or by text, with the key: one letter or several."""

    system = CHOICE_SYSTEM
    identity = "choice/7"

    def why_not(self, problem: Problem) -> str:
        """Why this key cannot be checked: it names none of the options, or there are none and it is no letter."""
        return key_error(problem) or ("" if _key(problem) else "the answer is no letter of an option")

    def extract(self, problem: Problem, completion: Completion) -> Extraction:
        """The answer, a letter where one is named."""
        extraction = extract_from(completion, letters=True)
        late = [match[1] for match in _LATE.finditer(completion.text)] if len(problem.options or ()) > 7 else []
        if late and not option_letters(extraction.text, loose=True):
            return replace(extraction, text=late[-1])
        return extraction

    def decide(self, problem: Problem, extraction: Extraction) -> Comparison:
        """Wrong where the letter and the text beside it are two options, or the letter is none."""
        if reason := self.why_not(problem):
            return Comparison(None, "type", reason)
        text, options = extraction.text, by_letter(problem.options)
        if why := contradiction(extraction.fallback or text, options):
            return Comparison(False, "choice", why)
        letters = option_letters(text, loose=True) or _letter_after_g(text)
        if not letters and options:
            letters = "".join(_options_with(text, options)[:1])
        if not letters:
            return Comparison(False, "choice", "neither a letter nor the text of an option")
        if options and not set(letters) <= options.keys():
            return Comparison(False, "choice", f"the letter {letters} is none of the options")
        return Comparison(set(letters) == set(_key(problem)), "choice", "letters")


def _key(problem: Problem) -> str:
    """The letters of the key, which may be the text of an option too."""
    letters = option_letters(problem.answer) or _letter_after_g(problem.answer)
    return letters or "".join(_options_with(problem.answer, by_letter(problem.options))[:1])


def _letter_after_g(text: str) -> str:
    """H, I, J, ... at the start of a text, which answers without options rarely have."""
    match = _LED.match(text)
    return match[1] if match else ""


def key_error(problem: Problem) -> str:
    """Why the answer of a problem with options is none of them; "" where it is one, or there are no options."""
    options = by_letter(problem.options)
    letters = set(problem.answer.strip())
    if not options or (letters and letters <= options.keys()):
        return ""
    if len(_options_with(problem.answer, options)) == 1:
        return ""
    return "the key is none of the options"


def by_letter(options: Sequence[str] | None) -> dict[str, str]:
    """Options in order as letter -> text; {} where there are none."""
    return dict(zip(LETTERS, options or (), strict=False))


def same_option(answer: Answer, text: str, options: Mapping[str, str]) -> Comparison | None:
    """Whether key and text, each a letter or the text of one option, are the same option; None where one is neither."""
    known, stated = (
        _option_of(side, letters, options) for side, letters in ((answer.text, answer.letters), (text, ""))
    )
    return Comparison(known == stated, "normalised", "letters") if known and stated else None


def _option_of(text: str, letters: str, options: Mapping[str, str]) -> str:
    """The letter of the one option that a text names or is; "" where there is none."""
    letters = letters or option_letters(text, loose=True)
    same = [] if letters in options else _options_with(text, options)
    return letters if letters in options else same[0] if len(same) == 1 else ""


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
    """The answer and the options of a row with the column `options`, `choices` or 选项: a list, or letter -> text.

    Letters that are not A, B, C, ... in order are renamed, and the answer with them.
    """
    value = next((row[name] for name in ("options", "choices", "选项") if isinstance(row.get(name), list | dict)), None)
    if isinstance(value, dict):
        renamed = dict(zip(map(str, value), LETTERS, strict=False))
        return renamed.get(answer.strip(), answer), [str(text) for text in value.values()]
    return answer, [str(text) for text in value] if value else None
