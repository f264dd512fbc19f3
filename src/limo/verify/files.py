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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from limo.core.errors import InputError, MissingFileError, PartialError
from limo.core.files import storage_errors
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import Completion, Problem, Verdict
from limo.verify.checker import Checker, as_text
from limo.verify.choice import options_of_row
from limo.verify.process.limits import FAILED, Limits
from limo.verify.process.spread import Crew
from limo.verify.verifier import Verifier

ANSWER, COMPLETION = ("answer", "gold"), ("completion", "response", "pred", "text")
STATEMENT = ("problem", "question", "prompt")
Line = tuple[bytes, str, str, str, str]
Counted = Sequence[str]  # kind, outcome, tier, reason
Checked = tuple[bytes, list[Counted]]  # lines with their verdicts, and what is to be counted of them
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
    verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
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
    summary, progress = Summary(), progress or NoProgress()
    with storage_errors(target), Checker(verifier, n_workers, limits) as checker:
        try:
            with (
                open(path, "rb", BUFFER) as source,
                open(temporary, "wb", BUFFER) as sink,
                progress.stage("verify", _count(path)) as stage,
            ):
                told = 0
                for lines, verdicts in _checked(checker, path, source):
                    sink.write(lines)
                    for verdict in verdicts:
                        summary.add(*verdict)
                    if summary.n_rows - told >= 100:
                        stage.advance(summary.n_rows - told, correct=summary.n_correct)
                        told = summary.n_rows
                stage.advance(summary.n_rows - told, correct=summary.n_correct)
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
        progress.log(
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


def _lines(source: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Lines with their numbers from 1 and where they begin; empty ones are left out.  Split at b"\\n" only (U+2028
    occurs in real rows)."""
    start = 0
    for number, line in enumerate(source, 1):
        if not line.isspace():
            yield number, start, line
        start += len(line)


def _checked(checker: Checker, path: Path, source: BinaryIO) -> Iterator[Checked]:
    """The file's rows with their verdicts, some at a time: from this process, or from children that read the file."""
    if checker.is_here:
        for number, _, line in _lines(source):
            added, *counted = verify_line(checker.verifier, number, line)
            yield _joined([line], [added]), [counted]
    else:
        yield from _spread(checker.crew(), path, source)


def _spread(crew: Crew, path: Path, source: BinaryIO) -> Iterator[Checked]:
    """The children read their rows from the file themselves; what travels is where a row stands and what it gets."""
    name = str(path.absolute())
    items = ((("line", number, start, len(line), name), line) for number, start, line in _lines(source))
    with closing(crew.chunks(items)) as chunks:
        for chunk, replies in chunks:
            lines, added, counted = [], [], []
            for (question, line), (values, reason) in zip(chunk, replies, strict=True):
                if values is None:
                    values = undecided_line(question[1], line, reason)
                elif len(values) == 1:
                    raise InputError(values[0])
                lines.append(line)
                added.append(values[0])
                counted.append(values[1:])
            yield _joined(lines, added), counted


def _joined(lines: list[bytes], added: list[bytes]) -> bytes:
    """The lines with what `verify_line` gave for them."""
    parts: list[bytes | memoryview] = []
    for line, more in zip(lines, added, strict=True):
        if more[:1] == b",":
            parts.append(memoryview(line)[: line.rindex(b"}")])
        parts.append(more)
    return b"".join(parts)


def verify_line(verifier: Verifier, number: int, line: bytes) -> Line:
    """What a row's verdict adds to its line (see `_added`); kind, outcome, tier and reason for the summary."""
    row = parse_row(number, line)
    verdict = row_verdict(verifier, row)
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


def row_verdict(verifier: Verifier, row: dict[str, Any]) -> Verdict:
    """The verdict on a row, by whichever names its fields have."""
    problem, completion = problem_of(row), field_of(row, COMPLETION)
    text = completion if isinstance(completion, str) else "" if completion is None else str(completion)
    return verifier.verify(problem, Completion(text, str(row.get("finish_reason") or "stop")))


def problem_of(row: dict[str, Any]) -> Problem:
    """The problem of a row: its answer, and its `options` or `choices` where it has them."""
    statement = next((row[name] for name in STATEMENT if isinstance(row.get(name), str)), "")
    meta = row["meta"] if isinstance(row.get("meta"), dict) else {}
    answer, options = options_of_row(row, as_text(field_of(row, ANSWER)))
    return Problem(str(row.get("id") or ""), statement, answer, options, meta=meta)


def field_of(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the fields that the row has.  Raises InputError where it has none."""
    for name in names:
        if name in row:
            return row[name]
    raise InputError(f"a row has no {names[0]}", ", ".join(row)[:80], " or ".join(names), "name the field so")
