"""What stands beside a score: its noise, what it could have shown, the bounds of what was not decided, pass@k, maj@n.

details = score_details(rollouts)      # verified rollouts of one model on one benchmark
details.pass_at_k[4], details.majority, details.sentence
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from limo.core.records import Rollout
from limo.core.stats import (
    Interval,
    detectable_difference,
    expected_detectable,
    majority,
    mean_interval,
    pass_at_k_interval,
    score_interval,
)
from limo.rollouts.lacking import commonest_error, retry_options

WITHOUT_ANSWER = {"no_answer", "truncated", "undecided"}


@dataclass(frozen=True, slots=True)
class ScoreDetails:
    """`sampling`: share of the noise from sampling, 0..1, the rest is of the problems; None: one rollout a problem.

    `error`: standard error.  `detectable`: the smallest difference to another model that `n_problems` with `n_rollouts`
    each, on average, are expected to show (see `detectable_difference`).  `least`, `most`: the score if every truncated
    or undecided rollout were wrong, or right.  `pass_at_k`: by k, over the problems with k decided rollouts or more (a
    k that half of the problems lack is left out).  `majority`: maj@n, None where each problem has one rollout.
    """

    error: float
    sampling: float | None
    detectable: float
    n_problems: int
    n_rollouts: float
    least: float
    most: float
    pass_at_k: dict[int, Interval] = field(default_factory=dict)
    majority: Interval | None = None

    @property
    def sentence(self) -> str:
        """What the number is about and how sure it is, in words."""
        noise = "" if self.sampling is None else f", {self.sampling:.0%} of the noise is sampling"
        bounds = f"; {self.least:.1%} to {self.most:.1%} if what was cut or left open were wrong or right"
        return (
            f"about problems like these{noise}; {expected_detectable(self.n_problems, self.n_rollouts)}"
            f"{bounds if self.most > self.least else ''}"
        )


@dataclass(frozen=True, slots=True)
class MissingReplies:
    """How many replies a score lacks because their requests failed or were not sent, and the commonest reason.

    `least`, `most`: the score if all of them were wrong, or right; `options`: see `retry_options`.
    """

    n: int
    n_wanted: int
    least: float
    most: float
    why: str = ""
    options: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """That the score lacks replies, and its bounds."""
        return (
            f"{self.n:,} of {self.n_wanted:,} replies are missing; "
            f"{self.least:.1%} to {self.most:.1%} if they were wrong or right"
        )


def missing_replies(
    problem_ids: Sequence[str], n: int, rollouts: Iterable[Rollout], retries_errors: bool = True
) -> MissingReplies:
    """The missing ones of `n` replies to each problem."""
    n_came, n_decided, n_correct = (dict.fromkeys(problem_ids, 0) for _ in range(3))
    rollouts = list(rollouts)
    for rollout in rollouts:
        name, outcome = rollout.problem_id, rollout.outcome
        if rollout.completion.finish_reason == "error":
            continue
        n_came[name] += 1
        n_decided[name] += outcome != "undecided"
        n_correct[name] += outcome == "correct"
    lacks = {name: n - n_came[name] for name in problem_ids}
    of = [name for name in problem_ids if n_decided[name] + lacks[name]]
    least, most = (
        sum((n_correct[name] + right * lacks[name]) / (n_decided[name] + lacks[name]) for name in of) / max(1, len(of))
        for right in (0, 1)
    )
    why, options = commonest_error(rollouts)[1], retry_options(rollouts, retries_errors)
    return MissingReplies(sum(lacks.values()), n * len(problem_ids), least, most, why, options)


def score_details(rollouts: Iterable[Rollout]) -> ScoreDetails:
    """Details of the rollouts of one benchmark; pass@k by powers of two up to the rollouts of a problem, and these.

    Raises ValueError when no rollout is decided.
    """
    by_problem: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        by_problem.setdefault(rollout.problem_id, []).append(rollout)
    outcomes = {name: [rollout.outcome for rollout in group] for name, group in by_problem.items()}
    decided = {name: len(of) - of.count("undecided") for name, of in outcomes.items()}
    scored = [name for name in by_problem if decided[name]]
    n, n_correct = [decided[name] for name in scored], [outcomes[name].count("correct") for name in scored]
    estimate, most, n_rollouts = mean_interval(n_correct, n), max(n), round(sum(n) / len(n), 2)
    wanted = sorted({*(2**i for i in range(most.bit_length())), most})
    useful = [k for k in wanted if 2 * sum(m >= k for m in n) > len(n)]
    shares = [
        [(of.count("correct") + sum(of.count(name) for name in also)) / len(of) for of in outcomes.values()]
        for also in ((), ("truncated", "undecided"))
    ]
    answered = {name: [r for r in of if r.outcome not in WITHOUT_ANSWER] for name, of in by_problem.items()}
    votes = [majority(map(_vote, answered[name])) for name in scored]
    return ScoreDetails(
        error=estimate.error,
        sampling=estimate.sampling,
        detectable=detectable_difference(len(scored), n_rollouts),
        n_problems=len(scored),
        n_rollouts=n_rollouts,
        least=sum(shares[0]) / len(outcomes),
        most=sum(shares[1]) / len(outcomes),
        pass_at_k={k: pass_at_k_interval(n, n_correct, k).interval for k in useful},
        majority=score_interval(votes, [1] * len(votes)).interval if most > 1 else None,
    )


def _vote(rollout: Rollout) -> tuple[str, bool]:
    """The answer and whether it is right; a right one in any spelling counts as the problem's own answer."""
    assert rollout.verdict is not None
    is_right = rollout.verdict.outcome == "correct"
    return ("" if is_right else " ".join(rollout.verdict.extracted.split()), is_right)
