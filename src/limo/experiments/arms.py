"""Experiments as data: arms (which chains, how trained, how prompted), questions, and what was predicted of them.

`questions.yaml` holds those of the pocket lab, `paper/questions.yaml` those of the paper lab.  An entry with `each`
stands for one arm a combination of values:

    "k{k}": {each: {k: [1, 4, 16]}, label: ["{k} examples", "{k} 个样例"], selection: {by: random, k: "{k}"}, ...}

    questions = load_questions()
    questions.experiment("rq5").arms        # names; questions.arms[name] is the arm
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from limo.core.bounded_yaml import load_yaml
from limo.core.errors import InputError, RecipeError
from limo.core.recipe import Settings
from limo.core.records import Level
from limo.core.text import content_hash
from limo.curate.select import Order

QUESTIONS = Path(__file__).with_name("questions.yaml")
CURATED = "curated"
TINY, N_SUBSETS = 4, 5  # a result of so few examples is over so many subsets at least: they differ much

Rule = Literal["limo"] | Order
Expected = Literal["above", "below", "same"]


class Selection(Settings):
    """Which chains an arm is trained on (or has in its prompt).  The defaults are LIMO's own selection.

    All conditions hold together; then `by` takes `k` of what is left, one chain a problem.
    """

    source: str = Field(
        CURATED,
        description="curated: problems that passed the filters; else a collection, or published rows, of the recipe",
    )
    stratum: str = Field("", description="problems of one stratum of the recipe")
    style: str = Field("", description="chains that were prompted for one style of the recipe")
    level: Level | Literal[""] = Field("", description="chains of one level; levels share problems where they can")
    equal_length: bool = Field(
        False, description="levels, or LIMO's ranks, within chains of like length, so that length tells nothing"
    )
    diversity: float = Field(0.0, ge=0, le=1, description="LIMO's rank against unlikeness, as in `select.diversity`")
    is_wrong: bool = Field(False, description="whole chains whose answer is wrong, instead of correct ones")
    by: Rule = Field("limo", description="limo: as the curate stage selects; else an order of `limo.curate.select`")
    k: int = Field(0, ge=0, description="how many; 0: as many as LIMO selects")
    among: int = Field(0, ge=0, description="of the first so many of LIMO's own order; 0: of all")
    seed: int = Field(0, ge=0, description="of the draw")
    is_redrawn: bool = Field(False, description="every training seed draws its own subset")
    change: Literal["", "shuffled", "false_facts", "answer_only", "frame"] = Field(
        "", description="what is done to the chains: see `limo.experiments.transforms`"
    )

    def drawn(self, training_seed: int) -> Selection:
        """The selection of one training seed."""
        return self.model_copy(update={"seed": self.seed + training_seed}) if self.is_redrawn else self


class Training(Settings):
    """How an arm is trained: a section of the lab's recipe, and what differs from it."""

    method: Literal["sft", "lora", "grpo"] = Field("sft", description="the recipe's section")
    budget: Literal["updates", "epochs", "tokens"] = Field(
        "updates", description="what is as much as for LIMO's own selection; the batch is the same for every arm"
    )
    student: str = Field("", description="the model that is trained; '' = the recipe's")
    after: str = Field("", description="the arm whose trained model this training starts from")
    flops_of: str = Field("", description="the arm at whose training cost, as measured, this one ends (grpo)")
    n_points: int = Field(0, ge=0, description="checkpoints that are scored too, for a curve over cost")
    rate: Literal["half", "same", "double"] = Field("same", description="of the section's learning rate")
    changes: dict[str, Any] = Field(default_factory=dict, description="settings that differ from the section's")

    @property
    def needed_arm(self) -> str:
        """The arm that must be measured before, with the same seed: whose model or cost it takes; '' none."""
        return self.after or self.flops_of


class Prompting(Settings):
    """How an arm is asked on benchmarks; the defaults are the recipe's own prompt and decoding."""

    is_begun: bool = Field(False, description="the first words of a note are given (the lab says which)")
    n_shots: int = Field(0, ge=0, description="examples of the arm's selection in the prompt")
    n_samples: int = Field(0, ge=0, description="rollouts a problem at temperature 1; 0: the recipe's decoding")


class Arm(Settings):
    """One variant of an experiment.  Without `training` it is the student as it is."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the arm and its folder")
    label: tuple[str, str] = Field(description="what a report calls it, in English and Chinese")
    selection: Selection | None = Field(None, description="what it is trained on, or has in its prompt")
    training: Training | None = Field(None, description="how; None: not trained")
    student: str = Field("", description="the model of an untrained arm; '' = the recipe's")
    prompting: Prompting = Field(default_factory=Prompting)
    series: tuple[str, str] = Field(("", ""), description="the line over the number of examples that it is a point of")
    is_headline: bool = Field(False, description="shown in the headline chart and the radar")

    @model_validator(mode="after")
    def _is_consistent(self) -> Arm:
        if (self.training or self.prompting.n_shots) and self.selection is None:
            raise ValueError("a training and examples in the prompt need a `selection`; {} is LIMO's own")
        if self.selection and not (self.training or self.prompting.n_shots):
            raise ValueError("a `selection` needs `training`, or `prompting.n_shots`")
        return self

    @property
    def hash(self) -> str:
        """Names what is measured: a stored measurement of another hash is of another arm."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"label", "series", "is_headline"})
        return content_hash(json.dumps(values, sort_keys=True))

    @property
    def is_rl(self) -> bool:
        """Whether it trains on problems without chains."""
        return self.training is not None and self.training.method == "grpo"

    def seeds(self, seeds: Sequence[int]) -> list[int]:
        """Its training seeds: those of the run, more for a few examples drawn anew by each, one where none trains."""
        if self.training is None:
            return list(seeds[:1])
        is_tiny = self.selection is not None and self.selection.is_redrawn and 0 < self.selection.k <= TINY
        others = (seed for seed in itertools.count() if seed not in seeds)
        return [*seeds, *itertools.islice(others, max(0, N_SUBSETS - len(seeds)) if is_tiny else 0)]


class PredictedPair(Settings):
    """A comparison of two arms over all benchmarks, and what was expected of it before any run.

    `points`: the expected difference a - b in points, from the lower to the upper end; `same`: not separable.
    """

    a: str
    b: str
    expect: Expected
    points: tuple[float, float]
    of: Literal["answers", "notes"] = Field("answers", description="right answers, or completions in a note's form")

    @model_validator(mode="after")
    def _is_consistent(self) -> PredictedPair:
        low, high = self.points
        if low > high or (self.expect == "above" and low < 0) or (self.expect == "below" and high > 0):
            raise ValueError(f"`points` {low:g} to {high:g} do not fit `expect: {self.expect}`")
        return self


class SeedClaim(Settings):
    """A row of the seed document's comparison tables, beside what was measured.

    `measured` is a text with figures of arms in it: `{score[limo]}`, `{beyond[limo]}` (out of domain), `{notes[limo]}`
    (in a note's form), `{tokens[limo]}` (written), `{cost[limo]}` (operations, chains and training).
    """

    aspect: tuple[str, str]
    claim: tuple[str, str]
    measured: tuple[str, str]


class PublishedFigure(Settings):
    """A published result of the paper, in percent, that an arm is held against."""

    arm: str
    benchmark: str = Field(description="its name, or average")
    value: float
    version: Literal["v1", "v2"]
    source: str


class Experiment(Settings):
    """A question of the paper: its arms, how they are drawn, and the comparisons with what was predicted of them."""

    name: str
    question: tuple[str, str]
    arms: list[str]
    predictions: list[PredictedPair] = Field(default_factory=list)
    pairs: list[tuple[str, str]] = Field(default_factory=list, description="compared without a prediction")
    figures: list[PublishedFigure] = Field(default_factory=list, description="what the paper reports for its arms")
    short: list[str] = Field(default_factory=list, description="its arms in the short lab; empty: not part of it")
    chart: Literal["bars", "lines", "cost", "reach"] = Field(
        "bars", description="lines: over the number of examples; cost: also over operations; reach: elicited or taught"
    )
    note: tuple[str, str] = Field(("", ""), description="how to read it, and what the literature says")
    seed_claims: list[SeedClaim] = Field(default_factory=list, description="what the seed document's table says")

    def of_short_lab(self) -> Experiment:
        """The experiment with its arms of the short lab, and the comparisons among them."""
        kept = [row for row in self.predictions if {row.a, row.b} <= set(self.short)]
        return self.model_copy(update={"arms": self.short, "predictions": kept})


class Questions(Settings):
    """All arms by name, and the experiments over them."""

    arms: dict[str, Arm]
    experiments: list[Experiment]

    @model_validator(mode="after")
    def _names_are_known(self) -> Questions:
        for experiment in self.experiments:
            pairs = [name for row in experiment.predictions for name in (row.a, row.b)]
            pairs += [name for pair in experiment.pairs for name in pair] + [row.arm for row in experiment.figures]
            for name in [*experiment.arms, *experiment.short, *pairs]:
                if name not in self.arms:
                    raise ValueError(f"{experiment.name}: there is no arm {name!r}")
            if missing := {*pairs, *experiment.short} - set(experiment.arms):
                raise ValueError(f"{experiment.name}: {sorted(missing)[0]!r} is none of its arms")
        needed = {arm.training.needed_arm for arm in self.arms.values() if arm.training} - {""}
        if unknown := needed - set(self.arms):
            raise ValueError(f"there is no arm {sorted(unknown)[0]!r} to start from")
        return self

    def experiment(self, name: str, others: Sequence[str] = ()) -> Experiment:
        """The experiment of that name.  Raises InputError; `others` are names that another lab has."""
        names = [experiment.name for experiment in self.experiments]
        if name not in names:
            raise InputError("there is no such experiment", name, known=[*names, *others], do="name one of them")
        return self.experiments[names.index(name)]

    def short_lab(self) -> list[Experiment]:
        """The experiments of the short lab, each with its arms there."""
        return [experiment.of_short_lab() for experiment in self.experiments if experiment.short]

    def arms_of(self, experiments: Iterable[Experiment]) -> list[Arm]:
        """The arms of experiments, each once, after those that they start from."""
        names = dict.fromkeys(name for experiment in experiments for name in experiment.arms)
        starts = {training.needed_arm for name in names if (training := self.arms[name].training)}
        return [self.arms[name] for name in dict.fromkeys([*sorted(starts - {""}), *names])]


def asked_of(experiments: Sequence[Experiment], seeds: Sequence[int]) -> dict[str, Any]:
    """What a lab was started for, as its folder notes it."""
    return {"experiments": {experiment.name: experiment.arms for experiment in experiments}, "seeds": list(seeds)}


def load_questions(path: Path = QUESTIONS) -> Questions:
    """The questions of a YAML file.  Raises RecipeError where it does not fit."""
    values, _ = load_yaml(path.read_text(encoding="utf-8"))
    return read_questions(values, path.name)


def read_questions(values: Mapping[str, Any], where: str) -> Questions:
    """The questions of `arms` and `experiments` as a file holds them.  Raises RecipeError naming `where`."""
    arms = {name: {"name": name} | arm for entry in values["arms"].items() for name, arm in _expanded(*entry)}
    experiments = [
        {"name": name, **row, **{key: _matching(row.get(key, []), arms) for key in ("arms", "short")}}
        for name, row in values["experiments"].items()
    ]
    try:
        return Questions.model_validate({"arms": arms, "experiments": experiments})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:4])
        raise RecipeError(f"{where} does not fit: {faults}") from None


def _expanded(name: str, values: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The arms that an entry stands for: one for each combination of the values of its `each`."""
    each = values.get("each", {})
    rest = {key: value for key, value in values.items() if key != "each"}
    for combination in itertools.product(*each.values()):
        filled = dict(zip(each, combination, strict=True))
        yield str(_filled(name, filled)), _filled(rest, filled)


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
    """The value with `{name}` filled in at any depth; a text that is one name alone becomes the value itself."""
    if isinstance(value, dict):
        return {key: _filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, names) for item in value]
    if not isinstance(value, str) or not names:
        return value
    return names[value[1:-1]] if value[1:-1] in names and value == f"{{{value[1:-1]}}}" else value.format(**names)


def _matching(patterns: Sequence[str], arms: Iterable[str]) -> list[str]:
    """The arms that patterns name, in their order; a pattern that matches nothing stays, for the check to name it."""
    found = [[name for name in arms if fnmatchcase(name, pattern)] or [pattern] for pattern in patterns]
    return list(dict.fromkeys(itertools.chain(*found)))
