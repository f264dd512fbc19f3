"""What a training did with a model's reach: solutions it elicited, taught, and lost.  It is the question of the paper.

A problem is within a base's reach where the base solves it in one of `k` rollouts (T = 1).  Solved is the problem that
is solved more often than not.  By problem, for a model trained from the base:

- elicited: within reach, not solved before, solved now;
- taught: beyond reach, solved now;
- lost: solved before, not solved now.

    print(reach({"p1": (3, 256), ...}, {"p1": 0.0, ...}, {"p1": 1.0, ...}).sentence)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from limo.core.errors import InputError, MissingFileError, foreign_data
from limo.core.stats import Interval, pass_at_k, score_interval
from limo.core.text import parse_json
from limo.stages.compare import Rates, read_outcomes
from limo.stages.evaluate import EVALUATIONS

KINDS = ("elicited", "taught", "lost")
MOST_UNEVEN = 0.5  # of `k`: fewer rollouts of a problem say too little of what is beyond reach


@dataclass(frozen=True, slots=True)
class Reach:
    """Shares of the problems, 0..1, with 95% intervals; problem ids by kind; `k`: rollouts that make the reach.

    `within` is the base's pass@k.  `n_left_out` problems had no result in one of the three, or too few rollouts.
    """

    k: int
    within: Interval
    elicited: Interval
    taught: Interval
    lost: Interval
    problems: dict[str, list[str]]
    n_problems: int
    n_left_out: int

    @property
    def sentence(self) -> str:
        """The three shares in words."""
        told = [
            f"{name} {interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"
            for name, interval in ((kind, getattr(self, kind)) for kind in KINDS)
        ]
        return (
            f"{', '.join(told)} of {self.n_problems} problems, {self.within.value:.1%} within pass@{self.k} of the base"
        )


def run(runs: Sequence[str | Path], sampled: str | Path, arm: str, against: str, k: int | None = None) -> Reach:
    """What training made `arm` of `against`, its base: both scored in `runs`, and the base sampled often in `sampled`.

    Raises InputError for arms that are not there and scores that share no problem, MissingFileError for no scores.
    """
    outcomes = read_outcomes(runs)
    for name in (arm, against):
        if name not in outcomes:
            raise InputError("there is no such arm", name, known=outcomes, do="measure it first")
    before, after = (rates_by_problem(outcomes[name].values()) for name in (against, arm))
    return reach(read_counts(sampled), before, after, k)


def rates_by_problem(of_seeds: Iterable[Mapping[str, Rates]]) -> dict[str, float]:
    """Problem -> mean pass rate over the training seeds that have it; a problem's name begins with its benchmark."""
    rates: dict[str, list[float]] = {}
    for by_benchmark in of_seeds:
        for benchmark, of in by_benchmark.items():
            for problem, rate in of.items():
                rates.setdefault(f"{benchmark}/{problem}", []).append(rate)
    return {problem: mean(found) for problem, found in rates.items()}


def read_counts(folder: str | Path) -> dict[str, tuple[int, int]]:
    """Problem -> (correct, decided) rollouts of a run of `limo evaluate`."""
    file = Path(folder) / EVALUATIONS
    if not file.is_file():
        raise MissingFileError("this run has no evaluations", file, "a run of `limo evaluate`", "sample the base often")
    with foreign_data("this file does not hold evaluations", file, "what `limo evaluate` writes", "evaluate again"):
        stored = parse_json(file.read_bytes())["evaluations"]
        return {
            f"{one['score']['benchmark']}/{problem}": (one["n_correct_by_problem"][problem], int(n))
            for one in stored
            for problem, n in one["n_decided_by_problem"].items()
        }


def reach(
    base: Mapping[str, tuple[int, int]], before: Mapping[str, float], after: Mapping[str, float], k: int | None = None
) -> Reach:
    """The shares of elicited, taught and lost problems.

    `base`: problem -> (correct, decided) rollouts of the base at T = 1; `before`, `after`: problem -> pass rate of the
    base and of the trained model as they are scored; `k` default: the most rollouts of a problem.  A problem whose base
    has fewer than half of `k` is left out; with fewer than `k` its reach is that of what there is.  Raises InputError
    where no problem has all three.
    """
    k = k or max((n for _, n in base.values()), default=1)
    everything = base.keys() | before.keys() | after.keys()
    names = sorted(
        name for name in base.keys() & before.keys() & after.keys() if base[name][1] >= max(1, MOST_UNEVEN * k)
    )
    if not names:
        do = f"sample the base {k} times at temperature 1 on the benchmark that both were scored on"
        raise InputError("no problem has a reach and both scores", f"{len(everything)} problems", "one or more", do)
    within = {name: pass_at_k([n], [n_correct], min(k, n))[0] for name in names for n_correct, n in [base[name]]}
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in names:
        solved_before, solved_now = before[name] > 0.5, after[name] > 0.5
        if solved_now and not solved_before:
            kinds["elicited" if within[name] > 0.5 else "taught"].append(name)
        elif solved_before and not solved_now:
            kinds["lost"].append(name)
    intervals = {kind: _share(len(found), len(names)) for kind, found in kinds.items()}
    held = score_interval([within[name] for name in names], [1] * len(names)).interval
    return Reach(k, held, **intervals, problems=kinds, n_problems=len(names), n_left_out=len(everything) - len(names))


def _share(n_found: int, n: int) -> Interval:
    return score_interval([1.0] * n_found + [0.0] * (n - n_found), [1] * n).interval
