"""Verdicts taken anew, without asking any model: after a better checker, or an answer that was corrected.

    done = renew("runs/a/ledger.sqlite", checker)                        # on the answers the verdicts were taken on
    done = renew("runs/a/ledger.sqlite", checker, {problem_id: "12"})    # on these

Failures stay undecided.  Killed on the way, the verdicts of whole batches are new and the others old; again does all.

What it does not do: change a rollout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from limo.core.progress import NoProgress, Progress
from limo.core.records import Problem, Rollout
from limo.ledger.store import Ledger
from limo.rollouts.collect import BatchVerifier

BATCH = 1000  # verdicts written together


@dataclass(slots=True)
class Renewed:
    """Counts: rollouts by outcome now, those whose outcome changed by `before -> now`, and those without an answer."""

    n_by_outcome: Counter[str] = field(default_factory=Counter)
    n_changed: Counter[str] = field(default_factory=Counter)
    n_unknown: int = 0

    def table(self) -> list[list[object]]:
        """Head and rows for printing."""
        rows: list[list[object]] = [
            ["verdict", "rollouts"],
            *([name, n] for name, n in self.n_by_outcome.most_common()),
        ]
        rows += [[f"changed: {name}", n] for name, n in self.n_changed.most_common()]
        return rows + ([["no answer known", self.n_unknown]] if self.n_unknown else [])


def renew(
    ledger: str | Path,
    checker: BatchVerifier,
    answers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Renewed:
    """Check every stored completion again.  `answers` by problem id go before those that the verdicts name.

    Raises MissingFileError, StorageError.
    """
    known, done = answers or {}, Renewed()
    with (
        Ledger(ledger, read_only=True) as source,
        Ledger(ledger) as target,
        (progress or NoProgress()).stage("verify", len(source)) as stage,
    ):
        for batch in _batches(source.rollouts()):
            _renew(batch, checker, known, target, done)
            stage.advance(len(batch), changed=sum(done.n_changed.values()))
    return done


def _renew(
    batch: list[Rollout], checker: BatchVerifier, known: Mapping[str, str], target: Ledger, done: Renewed
) -> None:
    rows = []
    for rollout in batch:
        answer = known.get(rollout.problem_id) or (rollout.verdict.answer if rollout.verdict else "")
        if rollout.completion.finish_reason == "error":
            done.n_by_outcome["undecided"] += 1
        elif not answer:
            done.n_unknown += 1
        else:
            rows.append((rollout, answer))
    verdicts = checker.verify_many([(Problem(r.problem_id, "", a), r.completion) for r, a in rows])
    new = [(r, replace(v, answer=a, verifier=checker.identity)) for (r, a), v in zip(rows, verdicts, strict=True)]
    target.set_verdicts([(rollout.key, verdict) for rollout, verdict in new])
    for rollout, verdict in new:
        before = rollout.verdict.outcome if rollout.verdict else "none"
        done.n_by_outcome[verdict.outcome] += 1
        if before != verdict.outcome:
            done.n_changed[f"{before} -> {verdict.outcome}"] += 1


def _batches(rollouts: Iterator[Rollout]) -> Iterator[list[Rollout]]:
    while batch := list(islice(rollouts, BATCH)):
        yield batch
