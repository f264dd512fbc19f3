"""The records made of rows of loose files (see `limo.core.rows`).

A row is what `limo curate` exports or what people have: `messages` (the chain is the last assistant turn) or a text
under one of a few names; for selecting, the problem and the columns that `limo grade` wrote as well.

    chains = chains_from_rows(read_rows("chains.jsonl"))

A row that lacks what is needed is an InputError that names its number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

from pydantic import TypeAdapter

from limo.core.errors import InputError, foreign_data
from limo.core.records import LEVELS, UNVERIFIED, Chain, Grade, PassRate, Problem, Row, Verdict, problem_id
from limo.core.rows import STATEMENTS, check_text, text_of
from limo.curate.select import Candidate

_VERDICT, _RATES = TypeAdapter(Verdict), TypeAdapter(list[PassRate])
_TEXT = ("completion", "response", "text", "solution")


def chains_from_rows(rows: Sequence[Row]) -> list[Chain]:
    """The chain of each row, in order; lineage that a row lacks stays empty."""
    chains = []
    for number, row in enumerate(rows, 1):
        with _readable(number):
            chains.append(_chain(row, number))
    return chains


def candidates_from_rows(rows: Sequence[Row]) -> list[Candidate]:
    """Graded rows as what selecting takes.  Raises InputError where a row was not graded or names no problem."""
    candidates = []
    for number, (row, chain) in enumerate(zip(rows, chains_from_rows(rows), strict=True), 1):
        with _readable(number):
            candidates.append(_candidate(row, chain, number))
    return candidates


def _readable(number: int) -> AbstractContextManager[None]:
    return foreign_data("a row's lineage cannot be read", f"row {number}", "the types that limo writes", "mend the row")


def _chain(row: Row, number: int) -> Chain:
    text = _turn(row, "assistant") or text_of(row, _TEXT)
    if not isinstance(text, str):
        check_text(row, number, _TEXT)
        allowed = "`messages` with an assistant turn, or one of " + ", ".join(_TEXT)
        raise InputError(f"row {number} has no chain", ", ".join(row), allowed, "rename the column")
    verdict = row.get("verdict")
    return Chain(
        _problem_id(row),
        text,
        str(row.get("teacher", "")),
        str(row.get("prompt_hash", "")),
        str(row.get("sampling_hash", "")),
        int(row.get("index") or 0),
        int(row.get("n_tokens") or 0),
        _VERDICT.validate_python(verdict) if isinstance(verdict, dict) else Verdict("undecided", reason=UNVERIFIED),
    )


def _candidate(row: Row, chain: Chain, number: int) -> Candidate:
    if not chain.problem_id:
        check_text(row, number, STATEMENTS)
        allowed = "`problem_id`, a user turn in `messages`, or one of " + ", ".join(STATEMENTS)
        raise InputError(f"row {number} names no problem", ", ".join(row), allowed, "rename the column")
    score, level = row.get("score"), row.get("level")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score) or level not in LEVELS:
        what = f"row {number} has no grade" if score is level is None else f"the grade of row {number} cannot be used"
        shown, allowed = f"score {score}, level {level}", "`score`, a finite number, and `level`, L1 to L5"
        raise InputError(what, shown, allowed, "run `limo grade` first")
    traits = row.get("traits")
    grade = Grade(traits if isinstance(traits, dict) else {}, float(score), level)
    known = {name: str(row.get(name) or "") for name in ("source", "topic", "language")}
    problem = Problem(chain.problem_id, _statement(row), str(row.get("answer") or ""), **known)  # type: ignore[arg-type]
    return Candidate(problem, chain, grade, tuple(_RATES.validate_python(row.get("pass_rates") or [])))


def _problem_id(row: Row) -> str:
    statement = _statement(row)
    return str(row.get("problem_id") or (problem_id(statement) if statement else ""))


def statement_of(row: Row, number: int) -> str:
    """The problem's statement.  Raises InputError for a row without one."""
    statement = _statement(row)
    if not statement:
        check_text(row, number, STATEMENTS)
        allowed = "a user turn in `messages`, or one of " + ", ".join(STATEMENTS)
        raise InputError(f"row {number} has no problem", ", ".join(row), allowed, "rename the column")
    return statement


def _statement(row: Row) -> str:
    return text_of(row) or _turn(row, "user") or ""


def _turn(row: Row, role: str) -> str | None:
    """The last turn of that role in `messages`, if there is one."""
    messages = row.get("messages")
    turns = messages if isinstance(messages, list) else []
    texts = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == role]
    return texts[-1] if texts and isinstance(texts[-1], str) else None
