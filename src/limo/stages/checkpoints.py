"""The checkpoints of a training, scored on the same problems: the curve, last against best, and the luck in "best".

The best of many checkpoints looks better than it is: it was chosen for its score.  How much of its lead is luck is
simulated by exchanging the outcomes of every problem among the checkpoints, which makes them equal.

    print(checkpoint_curve({"epoch 1": {"b": {"p1": 1.0}}, "epoch 2": {"b": {"p1": 0.0}}}).sentence)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limo.core.errors import InputError, MissingFileError
from limo.core.progress import Progress
from limo.core.stats import Interval
from limo.core.text import shown_p
from limo.models.settings import LocalModelSettings, open_model
from limo.rollouts.runner import ModelOpener
from limo.stages import evaluate
from limo.stages.compare import Comparison, Rates, average, compare, read_outcomes

N_EXCHANGES = 2000  # the luck is then known to 2% of itself


@dataclass(frozen=True, slots=True)
class Curve:
    """`scores`: checkpoint -> macro average with its interval, in order; `best` is the highest, the first of equals.

    `lead`: best minus last.  `luck`: mean lead of the best of as many equal checkpoints over a given one, and the ends
    of 95% of the leads; `p_value`: share of them as large as this one's.  `comparison`: best against last, paired,
    as if the best had not been chosen.
    """

    scores: dict[str, Interval]
    best: str
    last: str
    lead: float
    luck: Interval
    p_value: float
    comparison: Comparison | None

    @property
    def sentence(self) -> str:
        """Whether the best is more than luck."""
        lead, luck = 100 * self.lead, [100 * share for share in self.luck]
        if self.best == self.last:
            return f"the last checkpoint, {self.last}, is the best of {len(self.scores)}"
        side = "within" if self.p_value >= 0.05 else "beyond"
        return (
            f"checkpoint {self.best} is {lead:.1f} points above the last, {self.last}, which is {side} luck: "
            f"the best of {len(self.scores)} equal checkpoints is {luck[0]:.1f} points above the last "
            f"(95%: {luck[1]:.1f} to {luck[2]:.1f}; p {shown_p(self.p_value)})"
        )


def run(
    recipe: evaluate.Recipe,
    training: str | Path,
    folder: str | Path,
    progress: Progress | None = None,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
) -> Curve:
    """Score every checkpoint that a training run kept, and draw the curve.

    Each checkpoint has a run of its own in `folder`, so the same call again measures nothing twice.  Raises InputError
    where the recipe's model is not local, MissingFileError where the training kept no checkpoints.
    """
    if not isinstance(recipe.model, LocalModelSettings):
        raise InputError("checkpoints are folders", recipe.model.kind, "model.kind local", "serve and score each alone")
    outcomes = {}
    for name, path in checkpoints_of(training).items():
        model = recipe.model.model_copy(update={"path": str(path), "name": f"{recipe.model.name}@{name}"})
        of_one = recipe.model_copy(update={"model": model})
        evaluate.run(of_one, Path(folder) / f"checkpoint-{name}", progress, n_workers, opener)
        (seeds,) = read_outcomes([Path(folder) / f"checkpoint-{name}"]).values()
        outcomes[name] = seeds[recipe.seed]
    return checkpoint_curve(outcomes)


def checkpoints_of(training: str | Path) -> dict[str, Path]:
    """Update number -> folder of each checkpoint of a training run, in order.  Raises MissingFileError for none."""
    folders = [*Path(training).glob("checkpoints/checkpoint-*"), *Path(training).glob("checkpoint-*")]
    found = {int(match[1]): path for path in folders if (match := re.fullmatch(r"checkpoint-(\d+)", path.name))}
    if not found:
        do = "train with method.keep_checkpoints=true"
        raise MissingFileError("this training kept no checkpoints", training, "folders checkpoint-N", do)
    return {str(number): found[number] for number in sorted(found)}


def checkpoint_curve(outcomes: Mapping[str, Mapping[str, Rates]]) -> Curve:
    """The curve of checkpoints: name -> benchmark -> problem -> pass rate in 0..1, in the order of training.

    Raises InputError for fewer than two, or for benchmarks and problems that they do not share.
    """
    import numpy as np

    names = list(outcomes)
    if len(names) < 2:
        raise InputError("a curve needs checkpoints", ", ".join(names) or "none", "two or more", "keep each epoch's")
    by_arm = {name: {0: outcomes[name]} for name in names}
    shared = [name for name in outcomes[names[0]] if all(name in outcomes[other] for other in names)]
    if not shared:
        raise InputError("checkpoints share no benchmark", ", ".join(names), "one or more", "score all on the same")
    tables = []
    for benchmark in shared:
        problems = sorted(set.intersection(*(set(outcomes[name][benchmark]) for name in names)))
        if not problems:
            raise InputError("checkpoints share no problem", benchmark, "the same problems", "score all on the same")
        tables.append(np.array([[outcomes[name][benchmark][problem] for problem in problems] for name in names]))
    means = np.mean([table.mean(axis=1) for table in tables], axis=0)
    best, lead = int(means.argmax()), float(means.max() - means[-1])
    rng, leads = np.random.default_rng(0), np.zeros(N_EXCHANGES)
    for number in range(N_EXCHANGES):
        drawn = np.mean([rng.permuted(table, axis=0).mean(axis=1) for table in tables], axis=0)
        leads[number] = drawn.max() - drawn[-1]
    low, high = np.quantile(leads, [0.025, 0.975])
    return Curve(
        scores={name: average(by_arm, name, shared).interval for name in names},
        best=names[best],
        last=names[-1],
        lead=lead,
        luck=Interval(float(leads.mean()), float(low), float(high)),
        p_value=float((1 + (leads >= lead - 1e-12).sum()) / (N_EXCHANGES + 1)),
        comparison=compare(by_arm, names[best], names[-1], shared) if best != len(names) - 1 else None,
    )
