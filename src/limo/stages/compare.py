"""The compare stage: is one arm better than another?  The paired difference with an interval and a p value.

Both arms answer the same problems, so the difference is taken problem by problem: what makes a problem hard for both
cancels.  Training seeds vary as well as problems (single-seed swings are 5 to 15 points, 2504.07086).  Each benchmark
counts once, whatever its size.  Over a table of comparisons the p values are adjusted (Holm).

    outcomes = read_outcomes(["runs/base", "runs/limo"])     # arm, seed, benchmark, problem id -> pass rate in 0..1
    print(compare(outcomes, "limo", "base").sentence)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from limo.core.errors import InputError, MissingFileError, foreign_data
from limo.core.records import Provenance
from limo.core.run_files import check_unchanged
from limo.core.run_folder import LEDGER, RunFolder
from limo.core.stats import CONFIDENCE, Estimate, Interval, difference_interval, holm, seeds_interval, sign_flip
from limo.core.text import parse_json, short_names, shown_p, signed
from limo.ledger.of_run import check_run_ledger
from limo.stages.evaluate import EVALUATIONS, SCORES
from limo.stages.fingerprint import Facts, differences

Rates = Mapping[str, float]  # problem -> pass rate in 0..1
Outcomes = Mapping[str, Mapping[Any, Mapping[str, Rates]]]  # arm -> seed -> benchmark -> Rates
N_TRIALS, N_FLIPS = 400, 999  # of the self-test; drawn signs of each trial


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` = `arm` minus `against`, in -1..1, with its 95% interval, about problems like these.

    `p_value`: mid-p of sign flips over problems (for single answers McNemar's); `p_adjusted`: Holm's over the table
    that the comparison stands in.  `separable`: the interval leaves out 0, p_adjusted < .05, and there is more
    than one problem.  `n_better`, `n_worse`, `n_same` count problems by mean pass rate over seeds; `n_left_out` were
    not decided in every seed of both arms.  `sampling`: share of the noise that more rollouts would take away, None
    where unknown.  `detectable`: the smallest true difference that would have been seen with 80% probability, by the
    noise of these differences (`detectable_difference` is the one to expect before).
    """

    arm: str
    against: str
    difference: float
    low: float
    high: float
    separable: bool
    n_problems: int
    n_seeds: tuple[int, int]
    n_better: int
    n_worse: int
    n_same: int
    n_left_out: int
    p_value: float
    p_adjusted: float
    sampling: float | None
    detectable: float
    benchmarks: list[str]
    by_benchmark: dict[str, Interval] = field(default_factory=dict)

    @property
    def n_needed(self) -> int:
        """Problems that would show a true difference of this size with 80% probability; 0 where it is 0."""
        ratio = self.detectable / abs(self.difference) if self.difference else math.inf
        return math.ceil(self.n_problems * ratio**2) if ratio < math.inf else 0

    @property
    def sentence(self) -> str:
        """The result in words."""
        return _sentence(self)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Comparisons of identical arms: how many of `n_trials` were called separable, and had a p value below .05."""

    n_trials: int
    n_separable: int
    n_low_p: int


def run(
    runs: Sequence[str | Path], arm: str | None = None, against: str | None = None, baseline: str | None = None
) -> list[Comparison]:
    """Compare the arms of runs: `arm` against `against`, every other arm against `baseline`, or each with each.

    Of two arms the second is held against the first where none is named.  Raises InputError for arms that are not
    there or named by halves, MissingFileError for a run without scores.
    """
    outcomes = read_outcomes(runs)
    names = list(outcomes)
    if len(names) < 2:
        raise InputError("the runs do not hold two arms", ", ".join(names) or "none", "two or more", "name more runs")
    if arm is None and against is None:
        return compare_table(outcomes, pairs_of(names, baseline))
    if baseline or ((arm is None or against is None) and len(names) != 2):
        do = "give --arm and --against, or --baseline alone"
        raise InputError("it is not clear which arms to compare", ", ".join(names), "two names", do)
    return [compare(outcomes, arm or names[1 - (against == names[1])], against or names[arm == names[0]])]


def pairs_of(names: Sequence[str], baseline: str | None = None) -> list[tuple[str, str]]:
    """Every later arm against every earlier one, or every other arm against `baseline`."""
    if baseline is not None:
        if baseline not in names:
            raise InputError("there is no such arm", baseline, known=names, do="measure it first")
        return [(name, baseline) for name in names if name != baseline]
    return [(later, names[i]) for i in range(len(names)) for later in names[i + 1 :]]


def cut_off_notes(run: str | Path) -> list[str]:
    """In words, each benchmark of a run of `limo evaluate` of which more than half of the rollouts were cut off."""
    file, notes = Path(run) / EVALUATIONS, []
    if not file.is_file():  # scores of a lab, or imported ones
        return []
    with foreign_data("this file does not hold evaluations", file, "what `limo evaluate` writes", "evaluate again"):
        for one in parse_json(file.read_bytes())["evaluations"]:
            n, n_rollouts = int(one["n_by_outcome"]["truncated"]), int(one["score"]["n_rollouts"])
            if 2 * n > n_rollouts:
                of_all = f"{one['score']['benchmark']}: {n:,} of {n_rollouts:,} rollouts"
                notes.append(f"{of_all} are cut off before an answer: raise decoding.max_tokens")
    return notes


def read_outcomes(runs: Sequence[str | Path]) -> dict[str, dict[int, dict[str, dict[str, float]]]]:
    """Arm -> training seed -> benchmark -> problem id -> pass rate, from the `scores.json` of every run."""
    outcomes: dict[str, dict[int, dict[str, dict[str, float]]]] = {}
    for folder in runs:
        file = Path(folder) / SCORES
        if not Path(folder).exists():
            raise MissingFileError("there is no such run", folder, "the folder of a run", "check the path")
        if not file.is_file():
            raise MissingFileError("this run has no scores", file, "a run of `limo evaluate` or a lab", "make it")
        check_unchanged(folder)
        if (Path(folder) / LEDGER).is_file() and (Path(folder) / "recipe.yaml").is_file():
            check_run_ledger(RunFolder(folder))
        found = [(name, one) for name, rows in stored_scores(file).items() for one in rows]
        if not any(measured.outcomes for _, measured in found):
            what = "this file does not hold scores (it names no model that was measured)"
            raise InputError(what, file, "what `limo evaluate` writes", "evaluate again")
        for name, measured in found:
            of_seed = outcomes.setdefault(name, {}).setdefault(measured.seed, {})
            if repeated := sorted(of_seed.keys() & measured.outcomes.keys()):
                what = f"two runs measured {name} with seed {measured.seed}"
                raise InputError(what, repeated[0], "one", "give each model its name and each training its seed")
            of_seed.update(measured.outcomes)
    return outcomes


def run_differences(runs: Sequence[str | Path], arm: str, against: str) -> list[str]:
    """Where the settings of two measured arms differ, by the `scores.json` of their runs."""
    found: dict[str, dict[str, Facts]] = {arm: {}, against: {}}
    for stored in (stored_scores(Path(folder) / SCORES) for folder in runs):
        for name, facts in found.items():
            for measurement in stored.get(name, []):
                facts.update(measurement.fingerprint)
    return differences(found[arm], found[against])


class StoredMeasurement(BaseModel, extra="allow"):
    """One training seed's scores as `scores.json` holds them: benchmark -> problem id -> pass rate in 0..1."""

    seed: int
    outcomes: dict[str, dict[str, Annotated[float, Field(ge=0, le=1)]]]
    provenance: dict[str, Provenance] = {}
    fingerprint: dict[str, Facts] = {}


def stored_scores(file: Path) -> dict[str, list[StoredMeasurement]]:
    """The measurements of each arm in a `scores.json`.  Raises InputError for a file that holds something else."""
    with foreign_data("this file does not hold scores", file, "what `limo evaluate` writes", "evaluate again"):
        return TypeAdapter(dict[str, list[StoredMeasurement]]).validate_python(parse_json(file.read_bytes()))


def compare(outcomes: Outcomes, arm: str, against: str, benchmarks: Sequence[str] | None = None) -> Comparison:
    """Compare two arms over `benchmarks` (all that both have, when left out).  Raises InputError where that is none."""
    names = _benchmarks(outcomes, (arm, against), benchmarks)
    tables = {name: _paired(outcomes[arm], outcomes[against], name) for name in names}
    a, b = [table[0] for table in tables.values()], [table[1] for table in tables.values()]
    found, gaps = difference_interval(a, b), _gaps(a, b)
    n_better, n_worse = sum(bool(gap > 1e-9) for gap in gaps), sum(bool(gap < -1e-9) for gap in gaps)
    p_value = sign_flip(gaps)
    return Comparison(
        arm, against, *found.interval, _separable(found, p_value, len(gaps)), len(gaps),
        (len(outcomes[arm]), len(outcomes[against])), n_better, n_worse, len(gaps) - n_better - n_worse,
        n_left_out=sum(table[2] for table in tables.values()),
        p_value=p_value,
        p_adjusted=p_value,
        sampling=found.sampling,
        detectable=min(found.detectable, 1.0),
        benchmarks=names,
        by_benchmark={name: difference_interval([left], [right]).interval for name, (left, right, _) in tables.items()},
    )  # fmt: skip


def compare_table(
    outcomes: Outcomes, pairs: Sequence[tuple[str, str]], groups: Sequence[Sequence[str] | None] = (None,)
) -> list[Comparison]:
    """Every pair over every group of benchmarks (all that both have for None), the p values adjusted over them all."""
    found = [compare(outcomes, a, b, group) for a, b in pairs for group in groups]
    adjusted = holm({number: one.p_value for number, one in enumerate(found)})
    return [
        replace(one, p_adjusted=adjusted[number], separable=one.separable and adjusted[number] < 1 - CONFIDENCE)
        for number, one in enumerate(found)
    ]


def _gaps(a: list[Any], b: list[Any]) -> list[float]:
    """Differences of single problems, each weighed so that every benchmark counts once."""
    return [
        float(gap) / left.shape[1] / len(a)
        for left, right in zip(a, b, strict=True)
        for gap in left.mean(axis=0) - right.mean(axis=0)
    ]


def _separable(found: Estimate, p_value: float, n_problems: int) -> bool:
    return n_problems > 1 and (found.low > 0 or found.high < 0) and p_value < 1 - CONFIDENCE


def self_test(outcomes: Outcomes, arm: str, against: str, n_trials: int = N_TRIALS) -> SelfTest:
    """Compare what is the same by making: the answers of two arms, exchanged problem by problem at random.

    About 5% of the p values should lie below .05, and no more be called separable.
    """
    import numpy as np

    rng, n_separable, n_low_p = np.random.default_rng(0), 0, 0
    names = _benchmarks(outcomes, (arm, against), None)
    tables = [_paired(outcomes[arm], outcomes[against], name)[:2] for name in names]
    if any(left.shape != right.shape for left, right in tables):
        raise InputError("arms of different seeds cannot be exchanged", f"{arm}, {against}", "as many seeds", "")
    for _ in range(n_trials):
        kept = [rng.random(left.shape[1]) < 0.5 for left, _ in tables]
        a = [np.where(keep, left, right) for keep, (left, right) in zip(kept, tables, strict=True)]
        b = [np.where(keep, right, left) for keep, (left, right) in zip(kept, tables, strict=True)]
        gaps = _gaps(a, b)
        p_value = sign_flip(gaps, N_FLIPS)
        n_low_p += p_value < 1 - CONFIDENCE
        n_separable += _separable(difference_interval(a, b), p_value, len(gaps))
    return SelfTest(n_trials, n_separable, n_low_p)


def average(outcomes: Outcomes, arm: str, benchmarks: Sequence[str] | None = None) -> Estimate:
    """An arm's pass@1 over benchmarks, each counting once, and over its training seeds, with a 95% interval."""
    names = _benchmarks(outcomes, (arm,), benchmarks)
    return seeds_interval([_paired(outcomes[arm], None, name)[0] for name in names])


def _benchmarks(outcomes: Outcomes, arms: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    for arm in arms:
        if not outcomes.get(arm):
            raise InputError("there is no such arm", arm, known=outcomes, do="measure it first")
    tables = [by_benchmark for arm in arms for by_benchmark in outcomes[arm].values()]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    names = shared if wanted is None else list(wanted)
    missing = [name for name in names if name not in shared]
    if missing or not names:
        what = "not every seed of these arms has been measured on"
        raise InputError(what, ", ".join(missing) or "any benchmark", ", ".join(shared) or "none", "measure the rest")
    return names


def _paired(a: Mapping[Any, Any], b: Mapping[Any, Any] | None, benchmark: str) -> tuple[Any, Any, int]:
    """Arrays (seeds, problems) of both arms over the problems that every seed has, and how many were left out."""
    import numpy as np

    tables = [seed[benchmark] for arm in (a, b) if arm is not None for seed in arm.values()]
    every = set().union(*tables)
    problems = sorted(every.intersection(*tables))
    if not problems:
        raise InputError("the arms share no problem of this benchmark", benchmark, "the same problems", "measure again")
    rows = np.array([[table[problem] for problem in problems] for table in tables], dtype=float)
    if not ((rows >= 0) & (rows <= 1)).all():
        raise InputError("a pass rate is outside 0..1", benchmark, "0..1", "divide the correct by the decided rollouts")
    return rows[: len(a)], rows[len(a) :], len(every) - len(problems)


def _sentence(found: Comparison) -> str:
    difference, low, high = (100 * share for share in (found.difference, found.low, found.high))
    interval = f"95% interval {signed(low)} to {signed(high)}, p {shown_p(found.p_adjusted)}"
    shown = short_names([found.arm, found.against])
    arm, against = shown[found.arm], shown[found.against]
    if found.separable:
        side = "above" if difference > 0 else "below"
        text = f"{arm} is {abs(difference):.1f} points {side} {against} ({interval})"
    else:
        text = f"{arm} and {against} are not separable: {signed(difference)} points ({interval})"
    n_seeds, n_benchmarks = found.n_seeds, len(found.benchmarks)
    seeds = f"{n_seeds[0]} and {n_seeds[1]} training seeds" if max(n_seeds) > 1 else "one training seed each"
    of = f"{n_benchmarks} benchmark{'s' if n_benchmarks > 1 else ''}"
    return f"{text}; {found.n_problems} problems of {of}, {seeds}"
