"""Makes a problem of a raw row: which column is the statement, which the answer.

Data sets keep the answer in a column, in a solution's last box (MATH, NuminaMath), after `####` (GSM8K) or in a list
(OlympiadBench).  The tables below say in which order names are tried; a `FieldMap` overrides them column by column.
Columns that are not used go into `meta`.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import Field

from limo.core.recipe import Settings
from limo.core.records import Problem
from limo.core.rows import ANSWERS, REPLIES, STATEMENTS
from limo.core.tables import NO_TEXT
from limo.core.text import language_of, parse_json
from limo.pool.sources.options import (
    KEYS,
    LETTERS,
    NAMES,
    UNREAD,
    AnswerIs,
    Options,
    answer_letter,
    find_options,
    read_options,
    shuffled,
    with_options,
    wrong_answers,
)

CHATS = ("messages", "conversations", "conversation", "chat")
SOLUTIONS = ("solution", "solutions", "answer_analysis", "explanation", "rationale", "generated_solution")
WORKED = (*REPLIES, "reasoning", "cot")
TOPICS = ("topic", "subject", "type", "domain", "subfield", "knowledge_point_routes", "category")
DIFFICULTIES = ("difficulty", "level", "difficulty_level")
CANONICAL = frozenset({"problem", "answer", "solution", "source", "topic", "language", "meta"})

_IMAGE = re.compile(r"!\[(?:[^\]!]|!(?!\[))*\]\(|<im(?:g|age)\b|<im(?:g|age)_|\\includegraphics|\[image", re.IGNORECASE)
_BOX, _BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{"), re.compile(r"(?<!\\)[{}]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BARE_ANSWER = re.compile(  # a formula without words; each text can be read in one way only
    r"(?!\s)(?:[^A-Za-z\n\\]|\\(?![A-Za-z])|(?:\\[A-Za-z]+|[A-Za-z])(?![A-Za-z])){1,40}"
)
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:\s*\\?%)?")


class FieldMap(Settings):
    """Which column holds what; empty = found by itself.  Dots go into nested objects (`reward_model.ground_truth`)."""

    problem: str = Field(default="", description="column of the statement")
    answer: str = Field(default="", description="column of the answer")
    solution: str = Field(default="", description="column of the worked solution")
    source: str = Field(default="", description="column that names where the problem comes from")
    topic: str = Field(default="", description="column of the topic")
    options: str = Field(default="", description="column of a multiple choice problem's options")
    wrong_answers: list[str] = Field(default_factory=list, description="columns of the wrong options, to be shuffled")
    answer_is: AnswerIs = Field(default="", description="what the key of options is; index0 and index1 count from 0, 1")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """The problem of a row, or None; and why it cannot be used as it is ("" = it can)."""

    problem: Problem | None
    reason: str = ""


def row_to_problem(row: dict[str, Any], source: str, fields: FieldMap | None = None, seed: int = 0) -> RowProblem:
    """The problem in `row`.  A problem with a reason is readable but not usable for training (no answer, image...).

    `seed` orders options of which the row keeps the right one apart from the wrong ones.
    """
    fields = fields or FieldMap()
    if row.keys() >= CANONICAL and isinstance(row["meta"], str | dict | None) and fields == FieldMap():
        return _canonical(row)
    names = _names(tuple(row))
    used: set[str] = set()
    statement, reply = _statement(row, names, fields, used)
    if not statement.strip():
        return RowProblem(None, "no problem text")
    answer, solution, parts = _answer(row, names, fields, used, reply)
    options, answer, why = _choice(row, names, fields, used, statement.strip(), answer, seed)
    statement = with_options(statement.strip(), options)
    origin = _named(row, names, fields.source, ("source", "data_source"), used) or source
    topic = _named(row, names, fields.topic, TOPICS, used)
    meta = {key: plain(value) for key, value in row.items() if key not in used}
    meta |= {"answer_kind": _answer_kind(answer, options, parts)}
    difficulty = _first(row, names, DIFFICULTIES, set())
    meta |= {"difficulty": plain(difficulty)} if difficulty is not None else {}
    problem = Problem.make(
        statement, answer, options=options or None, solution=solution, source=origin, topic=topic,
        language=language_of(statement), meta=meta,
    )  # fmt: skip
    return RowProblem(problem, _reason(problem, row, parts) or why)


def _choice(
    row: dict[str, Any], names: _Names, fields: FieldMap, used: set[str], statement: str, answer: str, seed: int
) -> tuple[list[str], str, str]:
    """The texts of the row's options, the answer (the letter where there are options), and why there is no letter."""
    options = find_options(row, fields.options, used)
    if options is None:
        wrong = wrong_answers(row, fields.wrong_answers, used) if answer else []
        if wrong:
            return (*shuffled(statement, answer, wrong, seed), "")
        unread = any(value for name in (fields.options, *NAMES) if (value := _at(row, names, name, set())))
        return [], answer, UNREAD if unread and re.fullmatch("[A-Z]", answer) else ""
    value = _at(row, names, fields.answer, set()) if fields.answer else _first(row, names, ANSWERS, set())
    keys = [answer if isinstance(value, str | dict | None) else value] if answer else []
    columns = [] if fields.answer else [column for column in KEYS if column in names]
    keys += [row[names[column]] for column in columns if isinstance(row[names[column]], str | int | float)]
    reason = ""
    for key in keys:
        letter, why = answer_letter(key, options, fields.answer_is)
        if letter:
            used.update(names[column] for column in columns if row[names[column]] is key)
            return list(options.texts), letter, ""
        reason = reason or why
    return list(options.texts), answer, reason or "no answer"


class _Names(dict[str, str]):
    """A row's columns by their name in lower case; made once for all rows with the same ones."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__((str(column).lower(), str(column)) for column in columns)
        self._among: dict[tuple[str, ...], tuple[str, ...]] = {}

    def among(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the wanted columns, in their order, that such a row can have, inside other columns too."""
        if wanted not in self._among:
            heads = [(path, path.lower(), path.lower().partition(".")[0]) for path in wanted]
            self._among[wanted] = tuple(path for path, whole, head in heads if whole in self or head in self)
        return self._among[wanted]


_names = lru_cache(maxsize=1024)(_Names)


def last_box(text: str) -> str:
    """What stands in the last whole `\\boxed{...}` of `text`, braces balanced; "" where there is none."""
    starts, last = {match.end() for match in _BOX.finditer(text)}, (0, 0)
    opened: list[int] = []
    for brace in _BRACE.finditer(text) if starts else ():
        if brace.group() == "{":
            opened.append(brace.end())
        elif opened and (start := opened.pop()) in starts and start > last[0]:
            last = start, brace.start()
    return text[slice(*last)].strip()


def plain(value: Any) -> Any:
    """The same value made of what JSON knows: no finite number becomes null, bytes and foreign types their text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):  # text of a binary column, or a picture
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"({len(value)} bytes)"
    return str(value)


def _canonical(row: dict[str, Any]) -> RowProblem:
    meta = row["meta"]
    if isinstance(meta, str):
        try:
            meta = parse_json(meta or "{}")
        except ValueError:
            return RowProblem(None, "meta is not JSON")
    texts = {key: _text(row[key]) for key in CANONICAL - {"meta"}}
    if not texts["problem"].strip():
        return RowProblem(None, "no problem text")
    own = {key: plain(value) for key, value in row.items() if key not in CANONICAL and key != "options"}
    meta, options, why = own | dict(meta or {}), _canonical_options(row.get("options")), ""
    if "options" not in row and isinstance(meta.get("options"), dict):  # a pool written before it was a column
        options = read_options(meta.pop("options"))
    if options is not None:
        letter, why = answer_letter(texts["answer"], options)
        texts["answer"] = letter or texts["answer"]
    listed = list(options.texts) if options else None
    problem = Problem.make(texts.pop("problem"), texts.pop("answer"), options=listed, **texts, meta=meta)
    if own.get("id") in ("", problem.id):  # the pool's own, not its owner's
        problem.meta.pop("id", None)
    return RowProblem(problem, _reason(problem, row, []) or why)


def _canonical_options(value: Any) -> Options | None:
    """Options as a pool holds them: a list of texts, in CSV as JSON."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = parse_json(value)
        except ValueError:
            return None
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return Options(tuple(value), tuple(LETTERS[: len(value)]))
    return read_options(value)


def _reason(problem: Problem, row: dict[str, Any], parts: list[str]) -> str:
    """Why the problem cannot be trained on, from its shape alone; "" where nothing speaks against it."""
    if any(_SURROGATE.search(text) for text in (problem.problem, problem.answer, problem.solution)):
        return "broken characters"
    if "Need_human_evaluate" in str(row.get("answer_type")) or str(row.get("question_type")).lower() == "proof":
        return "needs a person to check"
    if not problem.answer and not problem.options:
        return "no answer"
    if len(parts) > 1:
        return "several parts to answer"
    if _IMAGE.search(problem.problem):
        return "image missing"
    return ""


def _statement(row: dict[str, Any], names: _Names, fields: FieldMap, used: set[str]) -> tuple[str, str]:
    """The statement, and the reply where the row is a chat."""
    if fields.problem:
        return _text(_at(row, names, fields.problem, used)), ""
    value = _first(row, names, STATEMENTS, used)
    if value is None or isinstance(value, list):
        turns = value if isinstance(value, list) else _first(row, names, CHATS, used)
        return _turn(turns, ("user", "human")), _turn(turns, ("assistant", "gpt", "model"))
    statement = _text(value)
    if "instruction" in names and names["instruction"] in used and isinstance(row.get("input"), str) and row["input"]:
        used.add("input")  # Alpaca: the instruction says what to do, the input holds the problem
        statement += "\n" + row["input"]
    return statement, ""


def _turn(turns: Any, roles: tuple[str, ...]) -> str:
    """The first message of one of `roles` in a chat, in either of the two usual spellings."""
    for turn in turns if isinstance(turns, list) else []:
        if isinstance(turn, dict) and (turn.get("role") or turn.get("from")) in roles:
            return _text(turn.get("content") or turn.get("value"))
    return ""


def _answer(
    row: dict[str, Any], names: _Names, fields: FieldMap, used: set[str], reply: str
) -> tuple[str, str, list[str]]:
    """Answer, solution and the answer's parts, wherever the row keeps them."""
    value = _at(row, names, fields.answer, used) if fields.answer else _first(row, names, ANSWERS, used)
    parts = [_text(part) for part in value.values()] if isinstance(value, dict) else []
    if isinstance(value, dict):
        text = "; ".join(f"({key}) {part}" for key, part in zip(value, parts, strict=True))
    else:
        text = ", ".join(_text(part) for part in value) if isinstance(value, list) else _text(value)
    kept = _at(row, names, fields.solution, used) if fields.solution else _first(row, names, SOLUTIONS, used)
    solution = "\n\n".join(_text(part) for part in kept) if isinstance(kept, list) else _text(kept)
    reply = reply or _text(_first(row, names, WORKED, used))
    answer = _lifted(text)
    if answer != text.strip() and not solution:
        solution = text
    solution = solution or reply
    if not text.strip() and not fields.answer:
        answer = _lifted(solution) if _lifted(solution) != solution.strip() else ""
        if not answer and reply and len(reply) <= 80 and "\n" not in reply.strip():
            answer = reply.strip()
        if not answer and _BARE_ANSWER.fullmatch(solution.strip()):
            answer = solution.strip()  # s1K: the solution of a row is its answer
    return _bare(answer), solution.strip(), parts


def _lifted(text: str) -> str:
    """The answer that ends a worked text: after `####`, or in the last box; the text itself where neither stands."""
    text = text.strip()
    before, _, line = text.rpartition("\n")
    _, hashes, marked = line.partition("####")
    marked = marked.strip() if hashes else line.strip() * before.rstrip().endswith("####")
    return marked or last_box(text) or text


def _bare(answer: str) -> str:
    """`$ 5 $` -> `5`: one pair of delimiters around the whole answer is no part of it."""
    for left, right in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        inner = answer[len(left) : len(answer) - len(right)]
        if len(answer) > len(left + right) and answer.startswith(left) and answer.endswith(right) and "$" not in inner:
            return inner.strip()
    return answer.strip()


def _answer_kind(answer: str, options: list[str], parts: list[str]) -> str:
    if parts:
        return "parts"
    if options and set(answer) <= set(LETTERS[: len(options)]):
        return "choice"
    return "number" if _NUMBER.fullmatch(answer) else "expression"


def _first(row: dict[str, Any], names: _Names, wanted: tuple[str, ...], used: set[str]) -> Any:
    """The first of the `wanted` columns that holds something."""
    for name in names.among(wanted):
        value = _at(row, names, name, used)
        if value is not None and value != "" and value != []:
            return value
    return None


def _at(row: dict[str, Any], names: _Names, path: str, used: set[str]) -> Any:
    """The value at a dotted path, names compared without case; what is found counts as used."""
    if path.lower() in names:
        key = names[path.lower()]
        if row[key] is not None and row[key] != "":
            used.add(key)
        return row[key]
    head, _, rest = path.partition(".")
    inner = row.get(names.get(head.lower(), ""))
    return inner.get(rest) if rest and isinstance(inner, dict) else None


def _named(row: dict[str, Any], names: _Names, path: str, wanted: tuple[str, ...], used: set[str]) -> str:
    """A short name from a cell; a list gives its first entry and stays whole in `meta`."""
    seen: set[str] = set()
    value = _at(row, names, path, seen) if path else _first(row, names, wanted, seen)
    if isinstance(value, list):
        return _text(value[0]).strip() if value else ""
    used |= seen
    return _text(value).strip()


def _text(value: Any) -> str:
    """A cell as text, "" where it holds no finite number; whole floats lose their `.0` (AMC23 stores 27 as 27.0)."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bytes):  # of rows from Python; files have been decoded
        return value.decode(errors="surrogateescape")
    if isinstance(value, dict) and NO_TEXT in value:
        return str(value[NO_TEXT])  # its undecodable bytes are "broken characters" below
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dict | list):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(value)
