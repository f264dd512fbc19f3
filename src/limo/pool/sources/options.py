"""Options of multiple choice problems: read from any of the usual shapes, written into the statement, keyed.

A model must see the options, so they belong to the statement; the answer is always the letter.

    options = {"A": "2", "B": "3"}
    with_options("How many?", options)      # "How many?\\nA. 2\\nB. 3"
    as_letter("3", options)                 # "B"

What it does not do: guess options out of running text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from limo.core.text import content_hash, normalise_statement

NAMES = ("answer_option_list", "options", "choices", "option")
LETTERS = "ABCDEFGHIJ"
_WRITTEN = re.compile(r"(?:^|[\s(（\n$}])A\s*[.．、:：)）][\s\S]*?[\s(（\n$}]B\s*[.．、:：)）]")


def options_of(row: dict[str, Any], names: dict[str, str], column: str, used: set[str]) -> dict[str, str]:
    """Letter -> text of the row's options, {} where it has none."""
    for name in (column,) if column else NAMES:
        key = names.get(name.lower())
        found = _options(row[key]) if key is not None else {}
        if found:
            used.add(str(key))
            return found
    letters = [letter for letter in "ABCDE" if row.get(letter) not in (None, "")]
    if letters[:2] == ["A", "B"]:  # one column an option, as in CMMLU
        used.update(letters)
        return {letter: str(row[letter]).strip() for letter in letters}
    return {}


def _options(value: Any) -> dict[str, str]:
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # ARC: {"label": [...], "text": [...]}
        labels = value.get("label") or list(LETTERS)
        return {str(label): str(text).strip() for label, text in zip(labels, value["text"], strict=False)}
    if isinstance(value, dict):
        return {str(key): str(text).strip() for key, text in value.items() if str(key) in LETTERS and text}
    if not isinstance(value, list):
        return {}
    flat = [item[0] if isinstance(item, list) and item else item for item in value]
    if flat and all(isinstance(item, dict) and "content" in item for item in flat):  # TAL-SCQ
        return {str(item.get("aoVal") or LETTERS[n]): str(item["content"]).strip() for n, item in enumerate(flat[:10])}
    if len(flat) >= 2 and all(isinstance(item, str) for item in flat):
        return {LETTERS[n]: _unlettered(item) for n, item in enumerate(flat[:10])}
    return {}


def _unlettered(text: str) -> str:
    """`A. 5` and `(A) 5` -> `5`."""
    return re.sub(r"^\s*[(（]?[A-J][.．、:：)）]\s*", "", text).strip()


def with_options(statement: str, options: dict[str, str]) -> str:
    """The statement with its options below it, unless it already holds them."""
    if not options or _WRITTEN.search(statement):
        return statement
    return statement.rstrip() + "".join(f"\n{letter}. {text}" for letter, text in options.items())


def as_letter(answer: str, options: dict[str, str]) -> str:
    """The letter that an answer means: a letter itself, an index from 0, or the text of one option."""
    if not options or answer in options:
        return answer
    letter = re.fullmatch(r"[(（]?([A-J])[)）.．]?", answer.strip())
    if letter and letter[1] in options:
        return letter[1]
    wanted = normalise_statement(answer)
    same = [key for key, text in options.items() if normalise_statement(text) == wanted]
    if len(same) == 1:
        return same[0]
    if answer.isdigit() and int(answer) < len(options) and not same:
        return list(options)[int(answer)]
    return answer


def shuffled(statement: str, right: str, wrong: Sequence[str], seed: int) -> tuple[dict[str, str], str]:
    """Options in an order drawn from the seed and the statement, and the letter of the right one.

    The order depends on nothing else, so adding or removing problems moves no key.
    """
    texts = [right, *wrong]
    order = list(range(len(texts)))
    random.Random(f"{seed}:{content_hash(normalise_statement(statement))}").shuffle(order)
    options = {LETTERS[n]: texts[place].strip() for n, place in enumerate(order)}
    return options, LETTERS[order.index(0)]
