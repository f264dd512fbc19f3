"""`limo verify --audit FILE`: how often is the verifier right on rows that somebody labelled?

    audit = audit_file("labelled.jsonl", compare=True)
    audit.ours.accuracy, audit.ours.false_accepts[:3], audit.math_verify.accuracy

A row is one of `files` with `expected` (true: the completion is right); rows marked `disputed` are left out and
counted.  With `compare`, Math-Verify with its default settings is given the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.core.process.worker import Worker
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import Settings
from limo.core.records import Outcome, Verdict
from limo.core.text import shorten
from limo.verify.checker import Checker
from limo.verify.files import USUAL, Columns, completion_of, count_lines, numbered_lines, parse_row, problem_of
from limo.verify.maths.symbolic import open_comparer
from limo.verify.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Mistake:
    """A labelled row on which a verifier is wrong; `expected` is the label, the texts are shortened.

    `groups` are the names under which the row is counted: "all", its kind, and "as answer" or the like.
    """

    row: int
    groups: tuple[str, ...]
    answer: str
    completion: str
    expected: bool
    verdict: Verdict


@dataclass(slots=True)
class Accuracy:
    """One verifier on labelled rows.  An undecided row is right where the label is negative: it was not accepted."""

    name: str
    n_by_kind: dict[str, int] = field(default_factory=dict)  # with "all"
    false_accepts: list[Mistake] = field(default_factory=list)
    false_rejects: list[Mistake] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Labelled rows."""
        return self.n_by_kind.get("all", 0)

    @property
    def n_right(self) -> int:
        """Rows whose verdict agrees with the label."""
        return self.n - len(self.false_accepts) - len(self.false_rejects)

    @property
    def accuracy(self) -> float:
        """Right over all rows."""
        return self.n_right / self.n if self.n else 0.0

    def add(self, row: Mistake) -> None:
        """Count a row, and keep it where the verifier is wrong."""
        for group in row.groups:
            self.n_by_kind[group] = self.n_by_kind.get(group, 0) + 1
        if (row.verdict.outcome == "correct") != row.expected:
            (self.false_rejects if row.expected else self.false_accepts).append(row)

    def table(self) -> list[list[str]]:
        """A row for all kinds and one for each, with the columns of `Audit.table`."""
        rows = []
        for kind, n in sorted(self.n_by_kind.items(), key=lambda item: (item[0] != "all", item[0][:3] != "as ", item)):
            accepts, rejects = (
                sum(kind in mistake.groups for mistake in mistakes)
                for mistakes in (self.false_accepts, self.false_rejects)
            )
            rows.append([self.name, kind, str(n), f"{1 - (accepts + rejects) / n:.1%}", str(accepts), str(rejects)])
        return rows


@dataclass(slots=True)
class Audit:
    """The accuracy of the verifier and, where it was compared, of Math-Verify; disputed rows were left out."""

    ours: Accuracy
    math_verify: Accuracy | None
    n_disputed: int = 0

    @property
    def sides(self) -> list[Accuracy]:
        """What was audited."""
        return [side for side in (self.ours, self.math_verify) if side]

    def table(self) -> list[list[str]]:
        """Header and rows for printing."""
        head = ["verifier", "kind", "rows", "right", "wrong accepted", "right rejected"]
        return [head, *(row for side in self.sides for row in side.table())]

    def mistakes(self, most: int = 10) -> list[list[str]]:
        """Header and rows for printing: the first `most` mistakes of each type and how many more; [] without any."""
        rows = []
        for side in self.sides:
            for name, mistakes in (("wrong accepted", side.false_accepts), ("right rejected", side.false_rejects)):
                for m in mistakes[:most]:
                    why = ", ".join(filter(None, (m.verdict.outcome, m.verdict.tier, m.verdict.reason)))
                    rows.append([side.name, name, str(m.row), shorten(m.answer, 36), shorten(m.completion, 48), why])
                if len(mistakes) > most:
                    rows.append([side.name, name, "", "", "", f"and {len(mistakes) - most} more (--json has all)"])
        return [["verifier", "mistake", "row", "answer", "completion", "why"], *rows] if rows else []


def audit_file(
    path: str | Path,
    compare: bool = False,
    progress: Progress | None = None,
    verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
    columns: Columns = USUAL,
) -> Audit:
    """Audit the rows of a JSON-lines file.  `verifier` as for `Checker`.  Raises MissingFileError, InputError."""
    audit = Audit(Accuracy("limo"), Accuracy("Math-Verify") if compare else None)
    n_lines = count_lines(path)
    with (
        Checker(verifier) as checker,
        Worker(open_comparer, True) as worker,
        (progress or NoProgress()).stage("audit", n_lines) as stage,
    ):
        for number, line in numbered_lines(path):
            stage.advance()
            row = parse_row(number, line)
            if row.get("disputed"):
                audit.n_disputed += 1
            elif isinstance(row.get("expected"), bool):
                _audit_row(number, row, columns, checker, worker, audit)
            else:
                value, allowed = row.get("expected"), "expected: true or false"
                raise InputError(f"row {number} has no label", value, allowed, "label the row")
    return audit


def _audit_row(
    number: int, row: dict[str, Any], columns: Columns, checker: Checker, worker: Worker, audit: Audit
) -> None:
    problem, completion = problem_of(row, number, columns), completion_of(row, number, columns)
    text, kind, form = completion.text, str(row.get("kind", "")), row.get("as")
    groups = tuple(dict.fromkeys(("all", f"as {form}" if isinstance(form, str) else "all", kind or "all")))
    known = (number, groups, shorten(problem.answer), shorten(text[-400:]), bool(row["expected"]))
    audit.ours.add(Mistake(*known, checker.verify(problem, completion)))
    if audit.math_verify is not None:
        reply = worker.call((problem.answer, f"${text.strip().strip('$')}$" if "answer" in (kind, form) else text))
        same, reason = reply.value or (None, reply.failure)
        outcome: Outcome = "undecided" if same is None else "correct" if same else "wrong"
        audit.math_verify.add(Mistake(*known, Verdict(outcome, reason=reason)))
