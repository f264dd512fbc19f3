"""`limo verify --audit FILE`: how right is the checker on rows that somebody labelled?

    report = audit_file("labelled.jsonl", compare=True)
    report.ours.accuracy, report.ours.false_accepts[:3], report.plain.accuracy

A row is {answer, pred or completion, expected}; rows marked `disputed` are left out and counted.  With `compare`, plain
Math-Verify (delimiters supplied, default settings) is asked the same rows, in the same killable children.

What it does not do: settle who is right, the label or the checker; it shows the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.text import shorten
from limo.verify.checker import Checker, as_text
from limo.verify.files import ANSWER, COMPLETION, field_of, parse_row, row_verdict
from limo.verify.process.limits import Limits
from limo.verify.process.workers import Worker
from limo.verify.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Miss:
    """A row that a checker got wrong: what it was, what was said, and why."""

    row: int
    kind: str
    answer: str
    completion: str
    expected: bool
    outcome: str
    extracted: str = ""
    tier: str = ""
    reason: str = ""


@dataclass(slots=True)
class Side:
    """One checker's record on labelled rows."""

    name: str
    n: int = 0
    n_right: int = 0
    false_accepts: list[Miss] = field(default_factory=list)
    false_rejects: list[Miss] = field(default_factory=list)
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Right over all rows; an undecided row is right where the label is negative (it was not accepted)."""
        return self.n_right / self.n if self.n else 0.0

    def add(self, miss: Miss) -> None:
        """Count a row, and keep it if it was got wrong."""
        right = (miss.outcome == "correct") == miss.expected
        self.n += 1
        self.n_right += right
        counts = self.by_kind.setdefault(miss.kind or "all", {"n": 0, "right": 0})
        counts["n"] += 1
        counts["right"] += right
        if not right:
            (self.false_rejects if miss.expected else self.false_accepts).append(miss)


@dataclass(slots=True)
class Audit:
    """Ours, plain Math-Verify if asked, and the rows left out because their label is disputed."""

    ours: Side
    plain: Side | None
    n_disputed: int

    def table(self) -> list[list[str]]:
        """Header and rows for printing: checker and kind, rows, accuracy, false accepts, false rejects."""
        rows = [["checker", "kind", "rows", "right", "wrong accepted", "right rejected"]]
        for side in [s for s in (self.ours, self.plain) if s]:
            rows.append(
                [
                    side.name,
                    "all",
                    str(side.n),
                    f"{side.accuracy:.1%}",
                    str(len(side.false_accepts)),
                    str(len(side.false_rejects)),
                ]
            )
            for kind, counts in sorted(side.by_kind.items()):
                accepts = sum(m.kind == kind for m in side.false_accepts)
                rejects = sum(m.kind == kind for m in side.false_rejects)
                rows.append(
                    [
                        side.name,
                        kind,
                        str(counts["n"]),
                        f"{counts['right'] / counts['n']:.1%}",
                        str(accepts),
                        str(rejects),
                    ]
                )
        return rows

    def examples(self, most: int = 10) -> list[list[str]]:
        """Header and rows for printing: of each kind of mistake the first `most`; empty where there is none."""
        rows = []
        for side in [s for s in (self.ours, self.plain) if s]:
            for what, misses in (("wrong accepted", side.false_accepts), ("right rejected", side.false_rejects)):
                for m in misses[:most]:
                    why = ", ".join(filter(None, (m.outcome, m.tier, m.reason)))
                    rows.append([side.name, what, str(m.row), shorten(m.answer, 36), shorten(m.completion, 48), why])
        return [["checker", "mistake", "row", "answer", "completion", "why"], *rows] if rows else []


def audit_file(
    path: str | Path,
    compare: bool = False,
    progress: Progress | None = None,
    limits: Limits | None = None,
    verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
) -> Audit:
    """Audit the rows of a JSON-lines file.  Settings as for `Checker`.  Raises MissingFileError, InputError."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            "there is no such file", path, "JSON lines of {answer, pred, expected}", "check the path"
        )
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    return audit([parse_row(i, line) for i, line in enumerate(lines, 1)], compare, progress, limits, verifier)


def audit(
    rows: Iterable[dict[str, Any]],
    compare: bool = False,
    progress: Progress | None = None,
    limits: Limits | None = None,
    verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
) -> Audit:
    """Audit labelled rows.  Settings as for `Checker`."""
    ours, plain, n_disputed = Side("limo"), Side("Math-Verify") if compare else None, 0
    rows = list(rows)
    with (
        Checker(verifier, 1, limits) as checker,
        Worker(limits) as worker,
        (progress or NoProgress()).stage("audit", len(rows)) as stage,
    ):
        for number, row in enumerate(rows, 1):
            stage.advance()
            if row.get("disputed"):
                n_disputed += 1
                continue
            if not isinstance(row.get("expected"), bool):
                raise InputError(
                    f"row {number} has no label", row.get("expected"), "expected: true or false", "label the row"
                )
            _ask_both(number, row, checker, worker, ours, plain)
    return Audit(ours, plain, n_disputed)


def _ask_both(
    number: int, row: dict[str, Any], checker: Checker, worker: Worker, ours: Side, plain: Side | None
) -> None:
    verdict = row_verdict(checker, row)
    answer, completion = as_text(field_of(row, ANSWER)), as_text(field_of(row, COMPLETION))
    about = (number, str(row.get("kind", "")), shorten(answer), shorten(completion[-400:]), bool(row["expected"]))
    ours.add(Miss(*about, verdict.outcome, verdict.extracted, verdict.tier, verdict.reason))
    if plain is not None:
        bare = row.get("kind") == "answer"
        ((same, reason),) = worker.ask(
            [("plain", answer, f"${completion.strip().strip('$')}$" if bare else completion)]
        )
        plain.add(Miss(*about, "undecided" if same is None else "correct" if same else "wrong", reason=reason))
