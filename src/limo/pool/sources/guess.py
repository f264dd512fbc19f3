"""Guesses which columns hold statement, answer and options, where they are not found by their names.

    find_fields([{"nr": 1, "stem": "What is one and one?", "key": "2"}], "shop.jsonl")    # problem=stem, answer=key

A guess is taken where the names, or what the columns hold, leave one reading; otherwise the error offers it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

from limo.core.errors import InputError
from limo.core.records import Problem
from limo.core.rows import CHINESE, SourceRow
from limo.core.text import shorten, whole_number
from limo.pool.sources.fields import DIFFICULTIES, SOLUTIONS, TOPICS, WORKED, FieldMap, row_to_problem

LOOKED_AT = 200  # rows from which the columns are guessed
SHARE = 0.5  # of the rows that must give a problem with an answer, for a guess to be one
MOST_ANSWER = 100  # characters, on average, of an answer whose column has no telling name
LONGER = 3  # times the next column's mean length: then a column without a telling name is the statement
_HINTS = {
    "problem": ("problem", "question", "stem", "prompt", "task", "exercise", "query", "statement", "text",
                *CHINESE["problem"], "题"),
    "answer": ("answer", "key", "gold", "label", "result", "correct", "target", "ans", *CHINESE["answer"]),
    "options": ("option", "options", "choice", "choices", "选项"),
}  # fmt: skip
_NUMBERED = {"id", "nr", "no", "index", "idx", "number", "uuid", "row", "line", "编号", "序号"}
_OTHERS = {*TOPICS, *DIFFICULTIES, *SOLUTIONS, *WORKED, "source"}  # columns that are known to hold something else
_NO_HINT = 9
FEWEST = 5  # rows from which on what a column holds says something of it
SAME, ODD = 0.8, 0.05  # shares of rows from which on equal answers, and other odd values, are named; ours
_NOTHING = re.compile(r"(?:[-+]?inf|nan|null|none|nil|n/a|na|tbd|todo|[?？-]+|无|略|见解析)(?![^\W\d_]).*", re.I | re.S)
_IDENTIFIER = re.compile(r"(?=.*\d)(?=.*[a-z])(?:[0-9a-f]{8,}(?:-[0-9a-f]+)*|[a-z]+[_-]\d{3,}|[a-z]{2,}\d{2,})", re.I)
_DECISIONS = {"yes", "no", "true", "false", "unknown", "uncertain", "是", "否", "对", "错", "正确", "错误"}
_HAS_DIGIT = re.compile(r"[\d$\\^=]")  # or a formula
_LETTER = re.compile(r"[(（]?[A-HＡ-Ｈ][)）.]?")
_SHORT = 12  # characters of a statement, one of Chinese counted as three
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[\u4e00-\u9fff]+")
_CELL = re.compile(r"[-+]?[\d.,/%]*\d[\d.,/%]*|.{12,}[?？.。]|.{61,}", re.DOTALL)  # a number or sentence, no name
Table = Sequence[Mapping[str, Any]]


def head_of(found: Iterable[SourceRow]) -> list[dict[str, Any]]:
    """The first rows of a source that could be read, as the table to guess from."""
    return [row.value for row in islice(found, LOOKED_AT) if not row.error]


def find_fields(
    table: Table,
    file: str,
    given: FieldMap | None = None,
    strict: bool = False,
    do: str = "if this is right, add {fields}",
) -> FieldMap:
    """Which columns hold what: `given` where it is enough, otherwise with the columns that had to be guessed.

    Where the guess leaves several readings and `given` finds some statements, `given` stays, unless `strict`.  Raises
    InputError that names the columns with an example each, and the guess in `do`; only where there is one, unless
    `strict`.
    """
    given = given or FieldMap()
    heads = {str(name).partition(".")[0].lower() for row in table for name in row}
    named = [given.problem, given.answer, given.solution, given.source, given.topic, given.options]
    for column in (*named, *given.wrong_answers) if table else ():
        if column and column.partition(".")[0].lower() not in heads:
            known = list(dict.fromkeys(str(name) for row in table for name in row))
            shown = shorten(", ".join(known), 400)
            raise InputError("there is no such column", column, shown, "name one of them", known)
    if not table or (given.problem and given.answer) or _usable_share(table, given) >= SHARE:
        return given
    guess, is_sure = _guess(table, given)
    if cells := [name for name in (guess.problem, guess.answer) if _CELL.fullmatch(name.strip())] if guess else []:
        what, do = "the first line reads like a row, not like the names of columns", "add a line of names above it"
        raise InputError(what, f"{file}: {shorten(cells[0])}", "names, as problem,answer", do)
    if guess and is_sure:
        return guess
    if not strict and (guess is None or any(row_to_problem(dict(row), "", given).problem for row in table)):
        return given
    names = list(dict.fromkeys(name for row in table for name in row))
    shown = ", ".join(f"{name} ({str(table[0].get(name))[:30]!r})" for name in names) or "none"
    fields = _as_options(guess) if guess else "--field problem=COLUMN --field answer=COLUMN"
    do = do if guess else "name them: {fields}"
    do = do.format(fields=fields + (" (a guess)" if guess else ""))
    raise InputError("which columns hold problem and answer is not clear", file, f"of {shorten(shown, 400)}", do)


def oddities(problems: Sequence[Problem]) -> list[str]:
    """What speaks against these columns, by the problems that they give: each with its share and an example."""
    answers, notes = [problem.answer for problem in problems], []
    if len(answers) >= FEWEST:
        commonest, n = Counter(answers).most_common(1)[0]
        notes += [f"{n / len(answers):.0%} of the answers are {commonest!r}"] if n >= SAME * len(answers) else []
        n_words = len(set(answers)) if _are_few_words(answers) else 0
        notes += [f"{n_words} different answers in {len(answers)} rows, such as {commonest!r}"] if n_words else []
        notes += [f"the answers count the rows: {', '.join(answers[:3])}, ..."] if _counts(answers) else []
    for what, odd, all_of in (
        ("answers hold nothing", [text for text in answers if _NOTHING.fullmatch(text)], answers),
        ("answers read like identifiers", [text for text in answers if _IDENTIFIER.fullmatch(text)], answers),
        ("statements are short", [p.problem for p in problems if _n_letters(p.problem) < _SHORT], problems),
    ):
        if odd and len(odd) >= ODD * len(all_of):
            notes.append(f"{len(odd) / len(all_of):.0%} of the {what}, such as {shorten(odd[0], 40)!r}")
    lettered = [problem.answer for problem in problems if not problem.options and _LETTER.fullmatch(problem.answer)]
    if lettered and len(lettered) >= ODD * len(problems):
        note = f"{len(lettered) / len(problems):.0%} of the answers name options that were not found, such as"
        notes.append(f"{note} {lettered[0]!r}; if a column holds them, add --field options=COLUMN")
    return notes


def _counts(values: Sequence[object]) -> bool:
    """Whether the values are whole numbers, each one more than the one before."""
    numbers = [number for value in values if (number := whole_number(str(value))) is not None]
    return len(numbers) == len(values) and all(b == a + 1 for a, b in pairwise(numbers))


def _n_letters(text: str) -> int:
    return sum(3 if character > "\u2e80" else 1 for character in text)


def how_to_name(path: object, output: str) -> str:
    """What to do where a file's columns are not clear and no option names them: the `do` of `find_fields`."""
    return f"write it with plain names: limo pool ingest {path} {{fields}} -o {output}.parquet"


def named(fields: FieldMap) -> dict[str, str]:
    """The columns that a map names, by what they hold."""
    return {name: column for name, column in fields.model_dump(exclude_defaults=True).items()}


def _as_options(fields: FieldMap) -> str:
    return " ".join(f"--field {name}={column}" for name, column in named(fields).items())


def _guess(table: Table, given: FieldMap) -> tuple[FieldMap | None, bool]:
    """The best reading that makes enough rows problems, and whether it is the only one; None where there is none.

    A column with a telling name is not passed over for another only because some of its cells are empty.
    """
    table = list({repr(row): row for row in table}.values())  # a row that comes again says nothing of its columns
    problems, is_one_problem = _ranked("problem", table, given.problem)
    answers, is_one_answer = _ranked("answer", table, given.answer, (*problems[:1],))
    options = _ranked("options", table, given.options)[0][:1]
    pairs = [{"problem": p, "answer": a} for p in problems[:3] for a in answers[:3] if p != a]
    with_options = [pair | {"options": options[0]} for pair in pairs if options]
    best, best_share = None, 0.0
    for pair in [*with_options, *pairs]:
        fields = given.model_copy(update=pair)
        is_told_less = best is not None and _grade("answer", best.answer) < _grade("answer", fields.answer)
        if is_told_less and best_share >= SHARE:
            continue
        if (share := _usable_share(table, fields)) > best_share:
            best, best_share = fields, share
    if best is None or best_share < SHARE:
        return None, False
    is_first = (best.problem, best.answer) == (problems[0], answers[0])
    return best, is_one_problem and is_one_answer and is_first


def _ranked(need: str, table: Table, given: str, taken: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    """Columns that may hold the statement (long texts), the answer (short ones) or the options (lists), best first.

    And whether the first is the only reading.
    """
    if given:
        return [given], True
    ranks: list[tuple[int, bool, float, str]] = []
    for name in dict.fromkeys(name for row in table for name in row if name not in taken):
        values = [row[name] for row in table if row.get(name) not in (None, "")]
        are_lists = bool(values) and all(isinstance(value, list | dict) for value in values)
        grade = _grade(need, name)
        if need == "options":
            ranks += [(grade, False, 0.0, name)] if are_lists and grade < _NO_HINT else []
        elif len(values) >= SHARE * len(table) and not are_lists and not _is_other(name):
            length = sum(len(str(value)) for value in values) / len(values)
            if need == "problem":
                ranks.append((grade, False, -length, name))
            elif (grade < _NO_HINT or length <= MOST_ANSWER) and not _is_constant(values):
                ranks.append((grade, _are_few_words([str(value) for value in values]), length, name))
    ranks.sort()
    names = [rank[-1] for rank in ranks]
    if len(ranks) < 2 or ranks[0][0] < ranks[1][0]:
        return names, bool(ranks)
    is_longest = need == "problem" and ranks[0][0] == _NO_HINT and ranks[0][2] <= LONGER * ranks[1][2]
    return names, is_longest


def _grade(need: str, name: str) -> int:
    """How much a column's name says: 0 it is a word for it, 1 its last word is, 2 another is, 9 none."""
    words = [word.lower() for word in _WORDS.findall(name)]
    han = [hint for hint in _HINTS[need] if hint > "\u4e00" and len(hint) > 1]  # stand inside words, without a space
    places = [k for k, word in enumerate(words) if word in _HINTS[need] or any(hint in word for hint in han)]
    if not places:
        return _NO_HINT
    return 0 if len(words) == 1 else 1 if max(places) == len(words) - 1 else 2


def _is_other(name: str) -> bool:
    """Whether a column's name says that it numbers the rows, or holds what is neither statement nor answer."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return name.lower() in _OTHERS or (bool(words) and words[-1] in _NUMBERED)


def _are_few_words(values: Sequence[str]) -> bool:
    """Whether a column holds few words over and over, as chapters: no numbers, letters of options, yes or no."""
    distinct = {value.strip().lower() for value in values}
    are_words = all(len(text) > 1 and text not in _DECISIONS and not _HAS_DIGIT.search(text) for text in distinct)
    return len(values) >= FEWEST * len(distinct) and len(distinct) > 1 and are_words


def _is_constant(values: Sequence[object]) -> bool:
    return len(values) >= FEWEST and len({str(value) for value in values}) == 1


def _usable_share(table: Table, fields: FieldMap) -> float:
    read = [row_to_problem(dict(row), "", fields) for row in table]
    return sum(one.problem is not None and not one.reason for one in read) / max(1, len(read))
