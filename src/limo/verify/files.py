"""`limo verify FILE.jsonl`: a verdict beside every row of a file, in order, over all cores, in flat memory.

    summary = verify_file("rows.jsonl", "rows.verified.jsonl", n_workers=2)
    summary.n_correct, summary.by_kind["all"]

A row is {answer, completion} with optional kind, choices and finish_reason; what other tools call these (gold, pred,
response) is understood.  Each row comes back with `outcome, extracted, reason, tier, elapsed_s`.  The children read
the JSON and write what is to be added to it, so that the parent only moves bytes.  Interrupted, the rows done so far
are a valid file.

What it does not do: resume (a verdict is cheaper than remembering it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from limo.errors import InputError, MissingFileError, PartialError
from limo.files import storage
from limo.progress import Progress, Silent
from limo.records import Verdict
from limo.verify.check import FAILED, Checker
from limo.verify.decimals import DOUBLE_DIGITS
from limo.verify.engine import Limits

ANSWER, COMPLETION = ("answer", "gold"), ("completion", "response", "pred", "text")
Line = tuple[bytes, str, str, str, str]
BUFFER = 1 << 18
OUTCOMES = ("correct", "wrong", "no_answer", "truncated", "undecided")


@dataclass(slots=True)
class Summary:
    """Counts of a verified file: outcomes by kind ("all" first), verdicts by tier, the first rule that failed."""

    n_rows: int = 0
    by_kind: dict[str, dict[str, int]] = field(default_factory=lambda: {"all": dict.fromkeys(OUTCOMES, 0)})
    by_tier: dict[str, int] = field(default_factory=dict)
    first_failure: str = ""

    @property
    def n_correct(self) -> int:
        """Rows whose completion answers correctly."""
        return self.by_kind["all"]["correct"]

    @property
    def n_failed(self) -> int:
        """Rows left undecided by a mistake in our own rules."""
        return self.by_tier.get(FAILED, 0)

    def add(self, kind: str, outcome: str, tier: str, reason: str = "") -> None:
        """Count one verdict."""
        self.n_rows += 1
        self.by_kind["all"][outcome] += 1
        if kind and kind != "all":
            if kind not in self.by_kind:
                self.by_kind[kind] = dict.fromkeys(OUTCOMES, 0)
            self.by_kind[kind][outcome] += 1
        self.by_tier[tier or "none"] = self.by_tier.get(tier or "none", 0) + 1
        if tier == FAILED and not self.first_failure:
            self.first_failure = f"row {self.n_rows}: {reason}"

    def table(self) -> list[list[str]]:
        """Header and rows for printing: kind, each outcome, share correct of the decided."""
        rows = [["kind", *OUTCOMES, "correct of decided"]]
        for kind, counts in self.by_kind.items():
            decided = sum(counts[o] for o in OUTCOMES if o != "undecided")
            share = f"{counts['correct'] / decided:.1%}" if decided else "-"
            rows.append([kind, *(str(counts[o]) for o in OUTCOMES), share])
        return rows


def verify_file(
    path: str | Path,
    out: str | Path | None = None,
    n_workers: int = 1,
    progress: Progress | None = None,
    limits: Limits | None = None,
    tolerance: float = 0.0,
    digits: int = DOUBLE_DIGITS,
) -> Summary:
    """Check every row of `path`; write the rows with their verdicts to `out` if given.  Settings as for `Checker`.

    Raises MissingFileError, InputError (a line that is no row, by number), StorageError, and PartialError when
    interrupted: then `out` holds the rows done so far.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError("there is no such file", path, "JSON lines of {answer, completion}", "check the path")
    target = Path(out) if out is not None else Path(os.devnull)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp") if out is not None else target
    summary, progress = Summary(), progress or Silent()
    with storage(target), Checker(n_workers, limits, tolerance, digits) as checker:
        try:
            with (
                open(path, "rb", BUFFER) as source,
                open(temporary, "wb", BUFFER) as sink,
                progress.stage("verify", _count(path)) as stage,
            ):
                for line, *verdict in check_lines(checker, _lines(source)):
                    sink.write(line)
                    summary.add(*verdict)
                    if summary.n_rows % 100 == 0:
                        stage.advance(100, correct=summary.n_correct)
                stage.advance(summary.n_rows % 100, correct=summary.n_correct)
        except KeyboardInterrupt:
            _finish(temporary, target, out)
            raise PartialError(
                "interrupted", f"{summary.n_rows} rows done", "", "what is done is in the output"
            ) from None
        except BaseException:
            if out is not None:
                temporary.unlink(missing_ok=True)
            raise
        _finish(temporary, target, out)
    if summary.n_failed:
        progress.say(
            f"verify: {summary.n_failed} verdicts are undecided because a rule failed, which is a mistake of limo; "
            f"please report it ({summary.first_failure})"
        )
    return summary


def _finish(temporary: Path, target: Path, out: object) -> None:
    if out is not None:
        os.replace(temporary, target)


def _count(path: Path) -> int:
    with open(path, "rb") as source:
        return sum(block.count(b"\n") for block in iter(lambda: source.read(1 << 20), b""))


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1; empty lines are skipped.  Split at b"\\n" only (U+2028 occurs in real rows)."""
    for number, line in enumerate(source, 1):
        if not line.isspace():
            yield number, line


def check_lines(checker: Checker, lines: Iterable[tuple[int, bytes]]) -> Iterator[Line]:
    """Rows of a JSON-lines file (number, line), each with its verdict, over all of the checker's processes."""
    if checker.n_workers == 1:
        for number, line in lines:
            yield with_verdict(line, *verify_line(checker, number, line))
        return
    for question, (values, reason) in checker.spread(("line", number, line) for number, line in lines):
        if values is not None and len(values) == 1:
            raise InputError(values[0])
        found = undecided_line(question[1], question[2], reason) if values is None else values
        yield with_verdict(question[2], *found)


def with_verdict(line: bytes, added: bytes, *rest: str) -> Line:
    """The line with what `verify_line` gave for it."""
    return line[: line.rindex(b"}")] + added if added[:1] == b"," else added, *rest  # type: ignore[return-value]


def verify_line(checker: Checker, number: int, line: bytes) -> Line:
    """What a row's verdict adds to its line (for `with_verdict`); kind, outcome, tier and reason for the summary."""
    row = parse_row(number, line)
    verdict = row_verdict(checker, row)
    return _added(row, verdict), str(row.get("kind", "")), verdict.outcome, verdict.tier, verdict.reason


def undecided_line(number: int, line: bytes, reason: str) -> Line:
    """A row whose checker died."""
    row = parse_row(number, line)
    added = _added(row, Verdict("undecided", "", reason, "guard"))
    return added, str(row.get("kind", "")), "undecided", "guard", reason


def _added(row: dict[str, Any], verdict: Verdict) -> bytes:
    """The end of the line from the verdict on; the whole line where it has a verdict already, or no other field."""
    fields = {
        "outcome": verdict.outcome,
        "extracted": verdict.extracted,
        "reason": verdict.reason,
        "tier": verdict.tier,
        "elapsed_s": round(verdict.elapsed_s, 6),
    }
    return dumps(row | fields) if not row or row.keys() & fields.keys() else b", " + dumps(fields)[1:]


def dumps(row: dict[str, Any]) -> bytes:
    """One JSON line; lone surrogates, which models do write, are escaped."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row).encode() + b"\n"


def parse_row(number: int, line: bytes) -> dict[str, Any]:
    """The object on a line.  Raises InputError with the line's number."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise InputError(
            f"line {number} is no JSON object",
            line[:60].decode("utf-8", "replace"),
            "{answer, completion}",
            "mend or drop the line",
        )
    return row


def row_verdict(checker: Checker, row: dict[str, Any]) -> Verdict:
    """The verdict on a row, by whichever names its fields have."""
    answer = field_of(row, ANSWER)
    completion = field_of(row, COMPLETION)
    choices = row.get("choices")
    return checker.check(
        answer,
        completion if isinstance(completion, str) else "" if completion is None else str(completion),
        str(row.get("finish_reason") or "stop"),
        choices if isinstance(choices, list | dict) else None,
    )


def field_of(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the fields that the row has.  Raises InputError where it has none."""
    for name in names:
        if name in row:
            return row[name]
    raise InputError(f"a row has no {names[0]}", ", ".join(row)[:80], " or ".join(names), "name the field so")
