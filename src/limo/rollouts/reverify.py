"""Verify the stored completions of a ledger again, without requesting any: after a verifier or an answer has changed.

    summary = reverify("runs/a/ledger.sqlite", verifier)               # on the answers that the verdicts name
    summary = reverify("runs/a/ledger.sqlite", verifier, problems)     # on these problems

Failed rollouts stay undecided, and the replies of judges are left as they are: their problem is the text that the
judge read, not one of the pool.  Each batch is committed whole; after a kill, running it again completes the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from limo.core.progress import NoProgress, Progress
from limo.core.records import Problem, Rollout
from limo.ledger.store import Ledger
from limo.rollouts.collect import BatchVerifier
from limo.rollouts.judging import JUDGE_REPLY

BATCH = 1000  # verdicts written together


@dataclass(slots=True)
class ReverifySummary:
    """Counts of rollouts: by outcome now, by `before -> now` where it changed, and those that could not be verified."""

    n_by_outcome: Counter[str] = field(default_factory=Counter)
    n_changed: Counter[str] = field(default_factory=Counter)
    n_without_answer: int = 0
    n_judge_replies: int = 0

    def table(self) -> list[list[object]]:
        """Head and rows for printing."""
        rows: list[list[object]] = [["verdict", "rollouts"]]
        rows += [[outcome, n] for outcome, n in self.n_by_outcome.most_common()]
        rows += [[f"changed: {change}", n] for change, n in self.n_changed.most_common()]
        skipped = {"no answer known": self.n_without_answer, "replies of a judge, not verified": self.n_judge_replies}
        return rows + [[reason, n] for reason, n in skipped.items() if n]


def reverify(
    ledger: str | Path,
    verifier: BatchVerifier,
    problems: Iterable[Problem] = (),
    progress: Progress | None = None,
) -> ReverifySummary:
    """Verify every stored completion again.  `problems` come before the answers that the verdicts name.

    Raises MissingFileError, StorageError.
    """
    by_id, summary = {problem.id: problem for problem in problems}, ReverifySummary()
    with (
        Ledger(ledger, read_only=True) as source,
        Ledger(ledger) as target,
        (progress or NoProgress()).stage("verify", len(source)) as stage,
    ):
        rollouts = source.rollouts()
        while batch := list(islice(rollouts, BATCH)):
            _reverify(batch, verifier, by_id, target, summary)
            stage.advance(len(batch), changed=sum(summary.n_changed.values()))
    return summary


def _reverify(
    batch: list[Rollout],
    verifier: BatchVerifier,
    by_id: Mapping[str, Problem],
    target: Ledger,
    summary: ReverifySummary,
) -> None:
    pairs: list[tuple[Rollout, Problem]] = []
    for rollout in batch:
        answer = rollout.verdict.answer if rollout.verdict else ""
        problem = by_id.get(rollout.problem_id) or Problem(rollout.problem_id, "", answer)
        if rollout.verdict and rollout.verdict.verifier.startswith(JUDGE_REPLY):
            summary.n_judge_replies += 1
        elif rollout.completion.finish_reason == "error":
            summary.n_by_outcome["undecided"] += 1
        elif not problem.answer:
            summary.n_without_answer += 1
        else:
            pairs.append((rollout, problem))
    verdicts = list(verifier.verify_many((problem, rollout.completion) for rollout, problem in pairs))
    new = [
        (rollout, replace(verdict, answer=problem.answer, verifier=verifier.identity))
        for (rollout, problem), verdict in zip(pairs, verdicts, strict=True)
    ]
    target.set_verdicts((rollout.key, verdict) for rollout, verdict in new)
    for rollout, verdict in new:
        before = rollout.verdict.outcome if rollout.verdict else "none"
        summary.n_by_outcome[verdict.outcome] += 1
        if before != verdict.outcome:
            summary.n_changed[f"{before} -> {verdict.outcome}"] += 1
