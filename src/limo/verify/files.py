"""`limo verify FILE`: a verdict for every row of a JSON-lines file, in order, over several workers, in flat memory.

    summary = verify_file("rows.jsonl", "rows.verified.jsonl", n_workers=2)
    summary.n_correct, summary.by_kind["all"]

A row is {answer, completion}, by these or other usual names (`Columns`), with `finish_reason`, `reasoning`,
`options` (or `choices`), `problem`, `id` and `meta` where there are any; `kind` groups rows in the summary.  It comes
back with `outcome, extracted, reason, tier, elapsed_s`.  Interrupted, the rows done so far are a valid file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from limo.core.errors import InputError, MissingFileError, PartialError
from limo.core.files import atomic, kind_of
from limo.core.interrupts import stop_has_arrived
from limo.core.process.limits import CallLimits
from limo.core.progress import NoProgress, Progress
from limo.core.records import Completion, Problem, Verdict
from limo.core.rows import (
    ALLOWED,
    ANSWERS,
    CHINESE,
    REPLIES,
    STATEMENTS,
    TOO_LONG,
    bounded_lines,
    check_text,
    is_packed,
    json_line,
    no_rows,
    parse_line,
    read_file,
    text_of,
)
from limo.core.tables import NO_TEXT
from limo.core.text import shorten
from limo.verify.checker import Checker, as_text
from limo.verify.choice import options_of_row
from limo.verify.decision import FAILED

if TYPE_CHECKING:
    from limo.core.recipe import Settings
    from limo.verify.verifier import Verifier

OUTCOMES = ("correct", "wrong", "no_answer", "truncated", "undecided")
VerifiedLine = tuple[bytes, str, str, str, str]  # the line with its verdict, kind, outcome, tier, reason
BUFFER = 1 << 18
ADVANCE = 100  # rows between two reports of progress
SHOWN, MOST_EXAMPLES = ("wrong", "undecided"), 5


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of problem, answer and completion, each in the order in which they are tried."""

    problem: tuple[str, ...] = (*STATEMENTS, *CHINESE["problem"])
    answer: tuple[str, ...] = ("answer", *ANSWERS, *CHINESE["answer"])
    completion: tuple[str, ...] = ("completion", "response", "pred", *REPLIES, *CHINESE["completion"], "text")

    @classmethod
    def named(cls, given: Mapping[str, str]) -> Columns:
        """Those that `given` names, and the usual ones of what it does not.  Raises InputError for another name."""
        known = list(cls.__slots__)
        if wrong := [name for name in given if name not in known]:
            raise InputError("a row of verify has no such field", wrong[0], _quoted(known), "name one of them", known)
        return cls(**{name: (column,) for name, column in given.items()})

    def find(self, need: str, row: Mapping[str, Any], number: int = 0) -> Any:
        """The value in the first of the columns for `need` that the row has, in any case.  Raises InputError."""
        names = getattr(self, need)
        for name in names:
            if name in row:
                return row[name]
        lowered = {str(name).lower(): value for name, value in row.items()}
        for name in names:
            head, _, rest = name.lower().partition(".")
            inner = lowered.get(head)
            if name.lower() in lowered or (rest and isinstance(inner, dict) and rest in inner):
                return lowered[name.lower()] if name.lower() in lowered else inner[rest]  # type: ignore[index]
        known = shorten(", ".join(map(str, row)), 200)
        if len(names) == 1:
            raise InputError("there is no such column", names[0], known, "name one of them", list(map(str, row)))
        what = f"row {number} has no {need}" if number else f"a row has no {need}"
        raise InputError(what, known, _quoted(dict.fromkeys(names)), f"name its column: --field {need}=COLUMN")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


USUAL = Columns()


class Example(NamedTuple):
    """A verified row in short: its `id`, else its number, the verdict, and the known answer."""

    row: str
    outcome: str
    extracted: str
    answer: str
    reason: str


@dataclass(slots=True)
class Summary:
    """Counts of a verified file: outcomes by kind ("all" first), verdicts by tier, and the first of each failure.

    `skipped`: the lines that are too long to be read, in words; they have no verdict.
    """

    n_rows: int = 0
    skipped: list[str] = field(default_factory=list)
    by_kind: dict[str, dict[str, int]] = field(default_factory=lambda: {"all": dict.fromkeys(OUTCOMES, 0)})
    by_tier: dict[str, int] = field(default_factory=dict)
    first_by_tier: dict[str, str] = field(default_factory=dict)

    @property
    def n_correct(self) -> int:
        """Rows whose completion answers correctly."""
        return self.by_kind["all"]["correct"]

    def add(self, kind: str, outcome: str, tier: str, reason: str = "") -> None:
        """Count one verdict."""
        self.n_rows += 1
        for name in {"all", kind or "all"}:
            self.by_kind.setdefault(name, dict.fromkeys(OUTCOMES, 0))[outcome] += 1
        self.by_tier[tier or "none"] = self.by_tier.get(tier or "none", 0) + 1
        if tier in (FAILED, "guard"):
            self.first_by_tier.setdefault(tier, f"row {self.n_rows}: {reason}")

    def table(self) -> list[list[str]]:
        """Header and rows for printing: kind, each outcome, share correct of the decided."""
        rows = [["kind", *OUTCOMES, "correct of decided"]]
        for kind, counts in self.by_kind.items():
            n_decided = sum(counts.values()) - counts["undecided"]
            share = f"{counts['correct'] / n_decided:.1%}" if n_decided else "-"
            rows.append([kind, *(str(counts[outcome]) for outcome in OUTCOMES), share])
        return rows

    def warnings(self) -> list[str]:
        """A line for rows left undecided by a limit, and one for those left so by a mistake in the verifier."""
        causes = {
            "guard": "no rule decides them, or they reached a limit",
            FAILED: "the verifier failed on them: correct it if it is yours, else report it",
        }
        return [
            f"verify: {self.by_tier[tier]} rows are undecided because {cause} ({self.first_by_tier[tier]})"
            for tier, cause in causes.items()
            if tier in self.by_tier
        ]


def verify_file(
    path: str | Path,
    out: str | Path | None = None,
    n_workers: int = 1,
    progress: Progress | None = None,
    limits: CallLimits | None = None,
    verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
    columns: Columns = USUAL,
    examples: list[Example] | None = None,
) -> Summary:
    """Verify every row of `path`; write the rows with their verdicts to `out` if given.  `verifier` as for `Checker`.

    The first `MOST_EXAMPLES` rows that are wrong or undecided are appended to `examples`.

    Raises MissingFileError, InputError (a line that is no row, by number), StorageError, and PartialError when
    interrupted: then `out` holds the rows done so far.
    """
    if (out is not None and kind_of(out) not in ("", ".jsonl", ".ndjson", ".json")) or is_packed(out or ""):
        raise InputError("verdicts are written as JSON lines", out, "a name in .jsonl", "rename it")
    n_lines = count_lines(path)
    summary, progress, interrupted = Summary(), progress or NoProgress(), False
    if Path(path).is_fifo():
        progress.log(f"{path} is a pipe: its rows are verified as they come, until whoever writes there closes it")
    with (
        Checker(verifier, n_workers, limits) as checker,
        nullcontext(os.devnull) if out is None else atomic(out) as written,
        open(written, "wb", BUFFER) as target,
    ):
        try:
            with progress.stage("verify", n_lines) as stage:
                for written_line, *counted in _verified_lines(checker, path, columns, summary):
                    target.write(written_line)
                    summary.add(*counted)
                    if examples is not None and counted[1] in SHOWN and len(examples) < MOST_EXAMPLES:
                        examples.append(_example(parse_row(summary.n_rows, written_line), columns, summary.n_rows))
                    if summary.n_rows % ADVANCE == 0:
                        stage.advance(ADVANCE, correct=summary.n_correct)
                stage.advance(summary.n_rows % ADVANCE, correct=summary.n_correct)
        except KeyboardInterrupt:
            stop_has_arrived()
            interrupted = True
            if out is not None and Path(out).exists():
                what, done = "interrupted; the earlier output is kept", f"{summary.n_rows} rows done"
                raise PartialError(what, done, "", "start it again for all rows") from None
    for line in summary.warnings():
        progress.log(line)
    if interrupted:
        do = "what is done is in the output" if out is not None else "nothing was written: -o FILE keeps what is done"
        raise PartialError("interrupted", f"{summary.n_rows} rows done", "", do)
    return summary


def _verified_lines(checker: Checker, path: str | Path, columns: Columns, summary: Summary) -> Iterator[VerifiedLine]:
    lines, opened = numbered_lines(path, summary.skipped.append), partial(open_line_handler, columns=columns)
    with closing(checker.map(opened, lines, lambda payload: len(payload[1]))) as replies:
        for (number, line), reply in replies:
            if isinstance(reply.value, str):
                _read_line(columns, number, line)  # in parts, which are translated
                raise InputError(reply.value)
            failed = Verdict("undecided", "", reply.failure, "guard")
            yield reply.value or _verified(parse_row(number, line), failed)


def open_line_handler(
    verifier: Verifier, columns: Columns = USUAL
) -> Callable[[tuple[int, bytes]], VerifiedLine | str]:
    """The function that verifies a numbered line; it returns a text where the line is no row."""
    return partial(_verify_line, verifier, columns)


def _verify_line(verifier: Verifier, columns: Columns, numbered_line: tuple[int, bytes]) -> VerifiedLine | str:
    try:
        row, problem, completion = _read_line(columns, *numbered_line)
    except InputError as error:
        return str(error)
    return _verified(row, verifier.verify(problem, completion))


def _read_line(columns: Columns, number: int, line: bytes) -> tuple[dict[str, Any], Problem, Completion]:
    row = parse_row(number, line)
    return row, problem_of(row, number, columns), completion_of(row, number, columns)


def _example(row: dict[str, Any], columns: Columns, number: int) -> Example:
    answer = as_text(columns.find("answer", row))
    return Example(str(row.get("id") or number), row["outcome"], row["extracted"], answer, row["reason"])


def _verified(row: dict[str, Any], verdict: Verdict) -> VerifiedLine:
    row |= {name: getattr(verdict, name) for name in ("outcome", "extracted", "reason", "tier")}
    row["elapsed_s"] = round(verdict.elapsed_s, 6)
    return json_line(row), str(row.get("kind", "")), verdict.outcome, verdict.tier, verdict.reason


def count_lines(path: str | Path) -> int | None:
    """Lines of a file of JSON lines; None for a pipe and for rows of another kind.  Raises MissingFileError."""
    if not Path(path).exists():
        raise MissingFileError("there is no such file", path, "rows of {answer, completion}", "check the path")
    if Path(path).is_socket():
        raise InputError("a socket cannot be read as a file", path, ALLOWED, "write the rows to a file or a pipe")
    if not _is_json_lines(path) or not Path(path).is_file():
        return None
    n_lines, last = 0, b"\n"
    with open(path, "rb") as source:
        while block := source.read(1 << 20):
            n_lines, last = n_lines + block.count(b"\n"), block
    return n_lines + (not last.endswith(b"\n"))


def numbered_lines(path: str | Path, skip: Callable[[str], None] | None = None) -> Iterator[tuple[int, bytes]]:
    """JSON lines that are not empty, with their numbers from 1, of a file of rows of any kind.

    A line that is longer than a row may be is passed over where `skip` takes it in words.  Raises what
    `limo.core.rows` does, and InputError for a line that is no row, or no line.
    """
    n_lines = 0
    if not _is_json_lines(path):
        for n_lines, row in enumerate(read_file(path), 1):  # noqa: B007
            if skip and row.error == TOO_LONG:
                skip(f"line {row.line} of {row.file} is {TOO_LONG}")
                continue
            if row.error:
                raise InputError(
                    f"line {row.line} of {row.file} is no row", row.error, "{answer, completion}", "mend it"
                )
            yield row.line, json_line(row.value)
    else:
        with open(path, "rb", BUFFER) as source:
            for number, line in enumerate(bounded_lines(source), 1):
                if line is None and not skip:
                    allowed, do = "{answer, completion}", "mend or drop the line"
                    raise InputError(f"line {number} is no row", TOO_LONG, allowed, do)
                if line is None:
                    skip(f"line {number} is {TOO_LONG}")  # type: ignore[misc]
                elif not line.isspace():
                    yield number, line
                n_lines += line is None or not line.isspace()
    if not n_lines:
        raise no_rows(path)


def _is_json_lines(path: str | Path) -> bool:
    """Whether the lines of a file or a pipe are its rows: most files are, and then the workers parse them."""
    is_rows = Path(path).exists() and not Path(path).is_dir() and not is_packed(path)
    return is_rows and kind_of(path) in ("", ".jsonl", ".ndjson")


def parse_row(number: int, line: bytes) -> dict[str, Any]:
    """The object on a line.  Raises InputError with the line's number."""
    row = parse_line("", number, line)
    if row.error:
        why = f"{row.error}: {line[:60].decode('utf-8', 'replace').strip()}"
        raise InputError(f"line {number} is no JSON object", why, "{answer, completion}", "mend or drop the line")
    return row.value


def problem_of(row: dict[str, Any], number: int = 0, columns: Columns = USUAL) -> Problem:
    """The problem of a row.  Raises InputError where it has no answer."""
    meta = row["meta"] if isinstance(row.get("meta"), dict) else {}
    if len(columns.problem) == 1:  # the user's own name
        columns.find("problem", row, number)
    problem = next((row[name] for name in columns.problem if name in row), "")
    used = {"answer": columns.find("answer", row, number), "problem": problem}
    broken = {name: value for name, value in used.items() if isinstance(value, dict) and NO_TEXT in value}
    check_text(broken, number, broken)
    answer, options = options_of_row(row, as_text(used["answer"]))
    return Problem(str(row.get("id") or ""), text_of(row, columns.problem) or "", answer, options, meta=meta)


def completion_of(row: dict[str, Any], number: int = 0, columns: Columns = USUAL) -> Completion:
    """The completion of a row: a text or number.  Raises InputError where it has none."""
    value, finish_reason = columns.find("completion", row, number), str(row.get("finish_reason") or "stop")
    if isinstance(value, dict | list):
        check_text({"completion": value}, number, ["completion"])
    return Completion(as_text(value), finish_reason, reasoning=as_text(row.get("reasoning")))
