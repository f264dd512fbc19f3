"""Verify the stored completions of a ledger again, without requesting any: after a verifier or an answer has changed.

Failed rollouts stay undecided; the replies of judges are left, since their problem is not one of the pool.  Each batch
is committed whole; after a kill, running it again completes the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from limo.core.errors import InputError
from limo.core.progress import NoProgress, Progress
from limo.core.records import Problem, Rollout, Row
from limo.core.text import shorten
from limo.ledger.store import Ledger
from limo.rollouts.collect import BatchVerifier, verify_completions
from limo.rollouts.runner import JUDGE_REPLY

BATCH = 1000  # verdicts written together
N_SHOWN = 20  # changed verdicts that are printed


@dataclass(slots=True)
class ReverifySummary:
    """Counts of rollouts: by outcome now, by `before -> now` where it changed, and those that were left as they are.

    `lacking` are the problems that the given ones lack, whose rollouts were verified on the answers that their verdicts
    name.  `changed` lists the rollouts whose outcome changed, with what was found, the answer, and the new reason.
    """

    n_by_outcome: Counter[str] = field(default_factory=Counter)
    n_changed: Counter[str] = field(default_factory=Counter)
    n_left: Counter[str] = field(default_factory=Counter)
    lacking: set[str] = field(default_factory=set)
    changed: list[Row] = field(default_factory=list)

    def table(self) -> list[list[object]]:
        """Head and rows for printing."""
        rows: list[list[object]] = [["verdict", "rollouts"]]
        rows += [[outcome, n] for outcome, n in self.n_by_outcome.most_common()]
        rows += [[f"changed: {change}", n] for change, n in self.n_changed.most_common()]
        return rows + [[f"not verified: {reason}", n] for reason, n in self.n_left.most_common()]

    def changed_table(self) -> list[list[object]]:
        """Head and the first rollouts whose outcome changed, for printing."""
        rows: list[list[object]] = [["problem", "model", "index", "before", "now", "found", "answer", "reason"]]
        return rows + [[shorten(str(value), 40) for value in row.values()] for row in self.changed[:N_SHOWN]]


def reverify(
    ledger: str | Path, verifier: BatchVerifier, problems: Iterable[Problem] = (), progress: Progress | None = None
) -> ReverifySummary:
    """Verify every stored completion again.  `problems` come before the answers that the verdicts name.

    Raises InputError, before any verdict is written, when none of the given problems is one of the ledger's,
    MissingFileError, StorageError.
    """
    by_id, summary = {problem.id: problem for problem in problems}, ReverifySummary()
    with (
        Ledger(ledger, read_only=True) as source,
        Ledger(ledger) as target,
        (progress or NoProgress()).stage("verify", len(source)) as stage,
    ):
        if by_id and len(source) and not any(rollout.problem_id in by_id for rollout in source.rollouts()):
            what, allowed = "none of the problems given is one of this ledger's", "the pool of its run"
            raise InputError(what, ledger, allowed, "name it with --pool, or leave --pool out")
        stored = source.rollouts()
        while batch := list(islice(stored, BATCH)):
            pairs: list[tuple[Rollout, Problem]] = []
            for rollout in batch:
                answer, identity = (rollout.verdict.answer, rollout.verdict.verifier) if rollout.verdict else ("", "")
                problem = by_id.get(rollout.problem_id) or Problem(rollout.problem_id, "", answer)
                if identity.startswith(JUDGE_REPLY):
                    summary.n_left["the reply of a judge"] += 1
                    continue
                if by_id and rollout.problem_id not in by_id:
                    summary.lacking.add(rollout.problem_id)
                if not problem.answer:
                    summary.n_left["no answer known"] += 1
                else:
                    pairs.append((rollout, problem))
            verdicts = verify_completions(verifier, [(problem, rollout.completion) for rollout, problem in pairs])
            target.set_verdicts((rollout.key, verdict) for (rollout, _), verdict in zip(pairs, verdicts, strict=True))
            for (rollout, _), verdict in zip(pairs, verdicts, strict=True):
                before = rollout.verdict.outcome if rollout.verdict else "none"
                summary.n_by_outcome[verdict.outcome] += 1
                if before != verdict.outcome:
                    summary.n_changed[f"{before} -> {verdict.outcome}"] += 1
                    names = {"problem_id": rollout.problem_id, "model": rollout.model, "index": rollout.index}
                    names |= {"before": before, "now": verdict.outcome, "extracted": verdict.extracted}
                    summary.changed.append(names | {"answer": verdict.answer, "reason": verdict.reason})
            stage.advance(len(batch), changed=summary.n_changed.total())
    return summary
