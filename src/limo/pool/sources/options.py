"""Options of multiple choice problems: read from the usual shapes, written into the statement, the key made a letter.

How a key is read, where `answer_is` of the source's field map does not say:

1. A label of the row (`B`, `(B)`, `b`, ARC's `2` of `label: ["1", "2", ...]`), or several of them (`AC`, `["A", "C"]`).
2. A number (not text) within the list is an index from 0, as MMLU and class labels have it.  A number one past the end
   speaks for a source that counts from 1: that row is dropped, and `ingest` stops at the end of the source.
3. The text of exactly one option.
4. Digits as text that may be an index (0 to the number of options) are ambiguous, whether or not an option reads the
   same, and so are numbers that are both an index and another option among options that are numbers: the row is
   dropped with a reason that names `answer_is` (index0, index1, letter or text).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase as LETTERS
from typing import Any, Literal

from limo.core.records import append_options
from limo.core.text import content_hash, normalise_statement, parse_json, whole_number

AnswerIs = Literal["", "letter", "text", "index0", "index1"]
NAMES = ("answer_option_list", "options", "choices", "option")
KEYS = ("answerkey", "answer_key", "answer_idx", "answer_index", "correct_option", "correct", "label", "cop")
AMBIGUOUS = "the key may be a number or a text of an option: set fields.answer_is"
FROM_ONE = "the key is one past the last option: set fields.answer_is to index1 or index0"
UNREAD = "the options cannot be read: two or more texts are needed"
NOT_AN_OPTION = "answer is not among the options"
_COLUMN = re.compile(r"[A-J]|(?:[Oo]p|[Oo]pt|[Oo]ption|[Cc]hoice)[ _]?(?:[A-Ja-j]|\d)")
_WRONG = re.compile(r"(?:distractor|incorrect[ _]answer|wrong[ _]answer)[ _]?\d|incorrect_answers|distractors", re.I)
_KEY = re.compile(r"[(（\[]?\s*([A-Za-z])\s*[)）\].．:：]?")
_SEVERAL = re.compile(r"[(（\[]?([A-Z](?:\s*(?:,|，|、|;|and|和)?\s*[A-Z])+)[)）\]]?[.．]?")
_LEAD = r"[(（\[]?{}\s*[.．、:：)）\]]\s*"  # before an option's text, for its letter
_LAYOUT = re.compile(r"\\(?:textbf|textrm|text|mathrm|mathbf|qquad|quad|[()\[\],;:! ])|[\s$*{}~]")


@dataclass(frozen=True, slots=True)
class Options:
    """The texts of the options in order, the labels that the row gives them, and whether they are numbers there."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    are_numbers: bool = False


def find_options(row: Mapping[str, Any], column: str = "", used: set[str] | None = None) -> Options | None:
    """The options of a row, None where it has none; the columns that hold them are added to `used`."""
    used = set() if used is None else used
    columns = {str(key).lower(): str(key) for key in row}
    for name in (column,) if column else NAMES:
        key = columns.get(name.lower())
        options = read_options(row[key]) if key is not None else None
        if options:
            used.add(str(key))
            return options
    for family in () if column else _families(tuple(map(str, row))):
        options = read_options({label: row[key] for label, key in family})
        if options:
            used.update(key for _, key in family)
            return options
    return None


@lru_cache(maxsize=1024)
def _families(columns: tuple[str, ...]) -> list[list[tuple[str, str]]]:
    """Columns of one option each, as (label, column): A, B, C in CMMLU; opa, opb in MedMCQA; option1, option2."""
    families: dict[str, list[tuple[str, str]]] = {}
    for column in columns:
        if _COLUMN.fullmatch(column):
            families.setdefault(column[:-1], []).append((column[-1].upper(), column))
    starts = (["A", "B"], ["1", "2"])
    return [sorted(family) for family in families.values() if [label for label, _ in sorted(family)][:2] in starts]


@lru_cache(maxsize=1024)
def _wrong_columns(columns: tuple[str, ...]) -> list[str]:
    return [column for column in columns if _WRONG.fullmatch(str(column))]


def read_options(value: Any) -> Options | None:
    """Options from a list of texts or numbers, a mapping from labels, the shapes of ARC and TAL-SCQ, or one text.

    A text holds them as JSON, or one a line with their letters in order (`A. 21`).
    """
    if isinstance(value, str):
        value = _listed(value)
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # ARC: {"label": [...], "text": [...]}
        labels = value.get("label") if isinstance(value.get("label"), list) else None
        return _options(value["text"], labels)
    if isinstance(value, dict):
        cells = {str(label).strip().upper(): cell for label, cell in value.items()}
        labels = sorted(cells)
        if len(labels) < len(value) or not all(re.fullmatch(r"[A-Z]|\d", label) for label in labels):
            return None
        return _options([cells[label] for label in labels], labels)
    if not isinstance(value, list):
        return None
    flat = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in value]
    if flat and all(isinstance(item, dict) and "content" in item for item in flat):  # TAL-SCQ
        labels = [str(item.get("aoVal") or LETTERS[number]) for number, item in enumerate(flat[:26])]
        return _options([item["content"] for item in flat], labels)
    if flat and all(isinstance(item, dict) and isinstance(item.get("text"), str | int | float) for item in flat):
        labels = [str(item.get("label") or LETTERS[number]) for number, item in enumerate(flat[:26])]
        return _options([item["text"] for item in flat], labels)
    return _options(flat, None)


def _listed(text: str) -> Any:
    """The options of one text: its JSON, else its lines where each begins with its letter; None where neither."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return parse_json(text)
        except ValueError:
            return None
    lines = [line.strip() for line in text.strip().split("\n") if line.strip()]
    is_led = len(lines) <= len(LETTERS) and all(
        re.match(_LEAD.format(letter), line) for letter, line in zip(LETTERS, lines, strict=False)
    )
    return lines if is_led else None


def _options(cells: list[Any], labels: list[Any] | None) -> Options | None:
    """None where the cells are not two to 26 texts or numbers; options missing at the end are left out."""
    if labels is not None and len(labels) != len(cells):
        return None
    while cells and (cells[-1] is None or cells[-1] == ""):
        cells = cells[:-1]
    kinds = (str, int, float, type(None))
    if not 2 <= len(cells) <= len(LETTERS) or not all(isinstance(cell, kinds) for cell in cells):
        return None
    if any(isinstance(cell, bool) for cell in cells):
        return None
    texts = ["" if cell is None else _plain_number(cell).strip() for cell in cells]
    led = [re.match(_LEAD.format(letter), text) for letter, text in zip(LETTERS, texts, strict=False)]
    if all(led):  # "A) 21": the labels are no part of the texts
        texts = [text[match.end() :].strip() for text, match in zip(texts, led, strict=True) if match]
    given = LETTERS[: len(texts)] if labels is None else [str(label).strip() for label in labels[: len(texts)]]
    return Options(tuple(texts), tuple(given), all(isinstance(cell, int | float) for cell in cells))


def _plain_number(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def wrong_answers(row: Mapping[str, Any], columns: Sequence[str], used: set[str]) -> list[str]:
    """The wrong options of a row that keeps them apart from the right one (SciQ, GPQA); [] where one is missing."""
    names = list(columns) or _wrong_columns(tuple(map(str, row)))
    cells = [row.get(name) for name in names]
    if len(cells) == 1 and isinstance(cells[0], list):
        cells = list(cells[0])
    if not cells or not all(isinstance(cell, str | int | float) and str(cell).strip() for cell in cells):
        return []
    used.update(names)
    return [_plain_number(cell) for cell in cells]


def answer_letter(key: Any, options: Options, answer_is: AnswerIs = "") -> tuple[str, str]:
    """The letters that a key means, and why there is none; see the module's text for the rule."""
    parts = [str(part).strip() for part in key] if isinstance(key, list) else []
    text = "".join(parts) if parts and all(len(part) == 1 for part in parts) else _plain_number(key).strip()
    is_number = isinstance(key, int | float) and not isinstance(key, bool)
    n = len(options.texts)
    if answer_is in ("index0", "index1"):
        first, number = int(answer_is[-1]), whole_number(text)
        if number is None or not first <= number < n + first:
            return "", NOT_AN_OPTION
        return LETTERS[number - first], ""
    letter = "" if answer_is == "text" else _label(text, options)
    same = [] if answer_is == "letter" else _same_text(text, options)
    if letter or answer_is == "letter":
        return letter, "" if letter else NOT_AN_OPTION
    if answer_is == "text" or not re.fullmatch(r"\d{1,2}", text) or int(text) > n:
        return (same[0], "") if len(same) == 1 else ("", NOT_AN_OPTION)
    if not is_number:
        return "", AMBIGUOUS
    if int(text) == n:
        return (same[0], "") if len(same) == 1 and options.are_numbers else ("", FROM_ONE)
    by_index = LETTERS[int(text)]
    return ("", AMBIGUOUS) if options.are_numbers and same and same != [by_index] else (by_index, "")


def _label(text: str, options: Options) -> str:
    """The letters of the labels that a key names, "" where it names none."""
    if text in options.labels:
        return LETTERS[options.labels.index(text)]
    upper = [label.upper() for label in options.labels]
    match = _KEY.fullmatch(text)
    if match and match[1].upper() in upper:
        return LETTERS[upper.index(match[1].upper())]
    several = _SEVERAL.fullmatch(text)
    found = re.findall(r"[A-Z](?![a-z])", several[1]) if several else []
    if found and len(set(found)) == len(found) and set(found) <= set(upper):
        return "".join(sorted(LETTERS[upper.index(label)] for label in found))
    return ""


def _same_text(text: str, options: Options) -> list[str]:
    """The letters of the options that read like the text, layout aside."""
    wanted = _bare(normalise_statement(text))
    pairs = zip(LETTERS, options.texts, strict=False)
    return [letter for letter, option in pairs if option and _bare(normalise_statement(option)) == wanted]


def with_options(statement: str, texts: Sequence[str]) -> str:
    """The statement with its options below it, unless it lists them itself: every label with its text, in order."""
    return statement if not texts or _lists(statement, texts) else append_options(statement, texts)


def _lists(statement: str, texts: Sequence[str]) -> bool:
    end = len(statement)
    for letter, text in reversed(list(zip(LETTERS, texts, strict=False))):
        marker = rf"(?<![A-Za-z0-9\\])[(（\[{{]*\s*{letter}\s*[)）.．、:：\]}}]+"
        markers = list(re.finditer(marker, statement[:end]))
        if not markers:
            return False
        segment = statement[markers[-1].end() : end]
        if end == len(statement) and len(text.split("\n")) == 1:
            segment = segment.strip().partition("\n")[0]
        if _bare(segment) != _bare(text):
            return False
        end = markers[-1].start()
    return True


def _bare(text: str) -> str:
    """A text without its layout and the punctuation at its ends."""
    return _LAYOUT.sub("", text).strip(".,;，。；、)(（）")


def shuffled(statement: str, right: str, wrong: Sequence[str], seed: int) -> tuple[list[str], str]:
    """Options in an order drawn from the seed and the statement, and the letter of the right one.

    The order depends on nothing else, so adding or removing problems moves no key.
    """
    texts = [right, *wrong]
    order = list(range(len(texts)))
    random.Random(f"{seed}:{content_hash(normalise_statement(statement))}").shuffle(order)
    return [texts[number].strip() for number in order], LETTERS[order.index(0)]
