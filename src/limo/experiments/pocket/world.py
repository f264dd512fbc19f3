"""The pocket world: ten families of word problems over a few shared skills, in English and Chinese.

A problem is a start value and `depth` operations on a running value (0..99).  Three families are curated, seven are
only tested; the wording is world.yaml.  The world writes problems and answers: chains are sampled from models.

    problems = sample_problems(["shop", "bus"], n=100, depths=range(1, 5), seed=1)
    problems[0].meta["depth"]
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from limo.core.records import Problem

LANGUAGES = ("en", "zh")
LETTERS = "ABCD"
LABELS = "KLMNOPQRSTUVWXYZ"  # of a statement's lines, from a random one on, so that chains can name a line
PRETRAIN_DEPTHS = range(1, 7)  # of every corpus and pool
BENCHMARK_DEPTHS = range(1, 9)  # 7 and 8 are longer than anything in any training
BENCHMARK_SEED = 20_240_601


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on the running value: `n` is the operand, `k` the number of groups of `n`."""

    kind: str
    n: int = 0
    k: int = 0

    @property
    def amount(self) -> int:
        """What is added or taken away."""
        return self.n * self.k if self.k else self.n


@dataclass(frozen=True, slots=True)
class Story:
    """A problem and everything that a solution is written from.

    `lines`: the start, each operation and the question in words; `values`: what the operations make of `start`.
    """

    family: str
    language: str
    start: int
    operations: tuple[Operation, ...]
    values: tuple[int, ...]
    lines: tuple[str, ...]
    first_label: int = 0
    options: tuple[int, ...] = ()

    @property
    def labels(self) -> str:
        """One letter a line of the statement: the start, each operation, the question."""
        return LABELS[self.first_label : self.first_label + len(self.operations) + 2]

    @property
    def statement(self) -> str:
        """What a solver reads: the lettered lines, then the options where there are any."""
        parts = [f"{label}: {line}" for label, line in zip(self.labels, self.lines, strict=True)]
        parts += [f"{letter}. {value}" for letter, value in zip(LETTERS, self.options, strict=False)]
        return " ".join(parts)

    @property
    def answer(self) -> str:
        """The answer as it stands in the box: a number, a number with its unit, or a letter."""
        if self.options:
            return LETTERS[self.options.index(self.values[-1])]
        unit = wording()["families"][self.family].get("unit", "")
        return f"{self.values[-1]} {unit}".strip()


@cache
def wording() -> Any:
    """The parsed world.yaml."""
    return yaml.safe_load(files("limo.experiments.pocket").joinpath("world.yaml").read_text(encoding="utf-8"))


@cache
def families(group: str = "") -> tuple[str, ...]:
    """Names of the families, all or of one group (`in-domain`, `out-of-domain`)."""
    return tuple(name for name, spec in wording()["families"].items() if group in ("", spec["group"]))


def apply(value: int, operation: Operation, wrap: int = 0) -> int | None:
    """The running value after `operation`; None outside the world's bounds (0..99, even halves)."""
    if operation.kind == "halve" and value % 2:
        return None
    amount = operation.amount if operation.kind.startswith("add") else -operation.amount
    result = {"double": value * 2, "halve": value // 2}.get(operation.kind, value + amount)
    if wrap:
        return result % wrap
    return result if 0 <= result <= 99 else None


def sample_story(family: str, depth: int, rng: random.Random) -> Story:
    """Draw one story; operations that leave the bounds are drawn again."""
    spec = wording()["families"][family]
    wrap = spec.get("wrap", 0)
    language = rng.choice(LANGUAGES)
    start = value = rng.randrange(wrap) if wrap else rng.randint(2, 90)
    operations: list[Operation] = []
    values: list[int] = []
    while len(operations) < depth:
        operation = _sample_operation(rng.choice(spec["ops"]), rng)
        result = apply(value, operation, wrap)
        if result not in (None, value):
            operations.append(operation)
            values.append(value := result)
    options = _sample_options((start, *values), rng) if spec.get("options") else ()
    first_label = rng.randrange(len(LABELS) - max(BENCHMARK_DEPTHS) - 1)
    lines = _write_lines(family, language, start, operations, rng)
    return Story(family, language, start, tuple(operations), tuple(values), lines, first_label, options)


def _sample_operation(kind: str, rng: random.Random) -> Operation:
    if kind in ("double", "halve"):
        return Operation(kind)
    if kind.endswith("groups"):
        return Operation(kind, n=rng.randint(2, 4), k=rng.randint(2, 3))
    return Operation(kind, n=rng.randint(2, 9))


def _sample_options(values: Sequence[int], rng: random.Random) -> tuple[int, ...]:
    """Four distinct numbers: the answer, then slips of it and values on the way."""
    answer = values[-1]
    near = [answer + d for d in (-10, -3, -2, -1, 1, 2, 3, 10)]
    wrong = sorted({v for v in (*near, *values) if 0 <= v <= 99 and v != answer})
    options = [answer, *rng.sample(wrong, 3)]
    rng.shuffle(options)
    return tuple(options)


def _write_lines(
    family: str, language: str, start: int, operations: Sequence[Operation], rng: random.Random
) -> tuple[str, ...]:
    """A story's lines, with wordings and names drawn from `rng`."""
    texts = wording()["families"][family][language]
    names = rng.sample(wording()["names"][language], len(operations) + 1)
    person = names if family == "ages" else [names[0]] * len(names)
    lines = [rng.choice(texts["start"]).format(v=start, a=person[0], b=person[0])]
    for number, operation in enumerate(operations, start=1):
        line = rng.choice(texts[operation.kind])
        lines.append(line.format(n=operation.n, k=operation.k, a=person[number - 1], b=person[number]))
    return (*lines, rng.choice(texts["ask"]).format(last=person[-1]))


def to_problem(story: Story, source: str) -> Problem:
    """The story as a record; `meta` holds `family` and `depth`."""
    meta: dict[str, object] = {"family": story.family, "depth": len(story.operations)}
    topic = wording()["families"][story.family]["topic"]
    return Problem.make(story.statement, story.answer, source=source, topic=topic, language=story.language, meta=meta)


def sample_problems(
    names: Sequence[str], n: int, depths: Iterable[int], seed: int, source: str = "pocket"
) -> list[Problem]:
    """`n` problems (repeats possible, as in any real pool), families and depths in even turn."""
    rng = random.Random(f"{source}/{seed}")
    cells = itertools.islice(itertools.cycle([(family, depth) for depth in depths for family in names]), n)
    return [to_problem(sample_story(family, depth, rng), f"{source}/{family}") for family, depth in cells]


def benchmark(family: str, n: int = 64) -> list[Problem]:
    """The held-out problems of one family, distinct, the same for ever; depths 1 to 8 in even turn."""
    rng = random.Random(f"benchmark/{family}/{BENCHMARK_SEED}")
    problems: dict[str, Problem] = {}
    depths = list(BENCHMARK_DEPTHS)
    while len(problems) < n:
        story = sample_story(family, depths[len(problems) % len(depths)], rng)
        problem = to_problem(story, f"benchmark/pocket-{family}")
        problems.setdefault(problem.id, problem)
    return list(problems.values())


@cache
def benchmark_ids() -> frozenset[str]:
    """Ids of every benchmark problem; no corpus may hold one."""
    return frozenset(problem.id for family in families() for problem in benchmark(family))
