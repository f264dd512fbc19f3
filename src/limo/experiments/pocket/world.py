"""The pocket world: ten families of word problems over a few shared skills, in English and Chinese.

A problem is a start value and a list of operations on a running value (0..99, small operands); `depth` is the number
of operations and the world's difficulty.  Three families serve curation, seven are only ever tested.  The wording is
data (world.yaml).  This module writes problems and answers only: chains for training are sampled from models.

    problems = sample_problems(["shop", "bus"], n=100, depths=range(1, 5), seed=1)
    problems[0].meta["depth"]

What it does not do: solutions (corpus.py writes those, for pre-training alone) and training.
"""

from __future__ import annotations

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
LABELS = "KLMNOPQRSTUVWXYZ"
"""Lines of a statement are lettered from a random one on, so that a reasoner can say where it is."""
PRETRAIN_DEPTHS = range(1, 7)
"""Depths that any corpus or pool holds.  Benchmarks go deeper: see BENCHMARK_DEPTHS."""
BENCHMARK_DEPTHS = range(1, 9)
"""Depth 7 and 8 are longer than anything in any training."""
BENCHMARK_SEED = 20_240_601


@dataclass(frozen=True, slots=True)
class Op:
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

    `lines` are the start, each operation and the question in words, without their letters; `values` are what the
    operations make of `start`, one after the other.
    """

    family: str
    language: str
    start: int
    ops: tuple[Op, ...]
    values: tuple[int, ...]
    lines: tuple[str, ...]
    first_label: int = 0
    options: tuple[int, ...] = ()

    @property
    def labels(self) -> str:
        """One letter a line of the statement: the start, each operation, the question."""
        return LABELS[self.first_label : self.first_label + len(self.ops) + 2]

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


def apply(value: int, op: Op, wrap: int = 0) -> int | None:
    """The running value after `op`, or None where the world's bounds (0..99, even halves) forbid it."""
    match op.kind:
        case "add" | "add_groups":
            result = value + op.amount
        case "sub" | "sub_groups":
            result = value - op.amount
        case "double":
            result = value * 2
        case _:
            if value % 2:
                return None
            result = value // 2
    if wrap:
        return result % wrap
    return result if 0 <= result <= 99 else None


def sample_story(family: str, depth: int, rng: random.Random) -> Story:
    """Draw one story; operations that leave the bounds are drawn again."""
    spec = wording()["families"][family]
    wrap = spec.get("wrap", 0)
    language = rng.choice(LANGUAGES)
    start = value = rng.randrange(wrap) if wrap else rng.randint(2, 90)
    ops: list[Op] = []
    values: list[int] = []
    while len(ops) < depth:
        op = _sample_op(rng.choice(spec["ops"]), rng)
        result = apply(value, op, wrap)
        if result is None or result == value:
            continue
        value = result
        ops.append(op)
        values.append(value)
    options = _sample_options((start, *values), rng) if spec.get("options") else ()
    first_label = rng.randrange(len(LABELS) - max(BENCHMARK_DEPTHS) - 1)
    lines = _word(family, language, start, ops, rng)
    return Story(family, language, start, tuple(ops), tuple(values), lines, first_label, options)


def _sample_op(kind: str, rng: random.Random) -> Op:
    if kind in ("double", "halve"):
        return Op(kind)
    if kind.endswith("groups"):
        return Op(kind, n=rng.randint(2, 4), k=rng.randint(2, 3))
    return Op(kind, n=rng.randint(2, 9))


def _sample_options(values: Sequence[int], rng: random.Random) -> tuple[int, ...]:
    """Four distinct numbers: the answer, then slips of it and values on the way."""
    answer = values[-1]
    near = [answer + d for d in (-10, -3, -2, -1, 1, 2, 3, 10)]
    wrong = sorted({v for v in (*near, *values) if 0 <= v <= 99 and v != answer})
    options = [answer, *rng.sample(wrong, 3)]
    rng.shuffle(options)
    return tuple(options)


def _word(family: str, language: str, start: int, ops: Sequence[Op], rng: random.Random) -> tuple[str, ...]:
    """A story's lines, wordings and names drawn from `rng`."""
    texts = wording()["families"][family][language]
    names = rng.sample(wording()["names"][language], len(ops) + 1)
    person = names if family == "ages" else [names[0]] * len(names)
    lines = [rng.choice(texts["start"]).format(v=start, a=person[0], b=person[0])]
    for number, op in enumerate(ops, start=1):
        lines.append(rng.choice(texts[op.kind]).format(n=op.n, k=op.k, a=person[number - 1], b=person[number]))
    return (*lines, rng.choice(texts["ask"]).format(last=person[-1]))


def to_problem(story: Story, source: str) -> Problem:
    """The story as a record; `meta` holds `family` and `depth`."""
    meta: dict[str, object] = {"family": story.family, "depth": len(story.ops)}
    topic = wording()["families"][story.family]["topic"]
    return Problem.make(story.statement, story.answer, source=source, topic=topic, language=story.language, meta=meta)


def sample_problems(
    names: Sequence[str], n: int, depths: Iterable[int], seed: int, source: str = "pocket"
) -> list[Problem]:
    """`n` problems (repeats possible, as in any real pool), families and depths in even turn."""
    rng = random.Random(f"{source}/{seed}")
    levels = list(depths)
    cells = [(name, depth) for depth in levels for name in names]
    return [
        to_problem(sample_story(*cells[number % len(cells)], rng), f"{source}/{cells[number % len(cells)][0]}")
        for number in range(n)
    ]


def benchmark(family: str, n: int = 64) -> list[Problem]:
    """The held-out problems of one family, distinct, the same for ever; depths 1 to 8 in even turn."""
    rng = random.Random(f"benchmark/{family}/{BENCHMARK_SEED}")
    found: dict[str, Problem] = {}
    depths = list(BENCHMARK_DEPTHS)
    while len(found) < n:
        story = sample_story(family, depths[len(found) % len(depths)], rng)
        problem = to_problem(story, f"benchmark/pocket-{family}")
        found.setdefault(problem.id, problem)
    return list(found.values())


@cache
def benchmark_ids() -> frozenset[str]:
    """Ids of every benchmark problem, which no corpus may hold."""
    return frozenset(problem.id for family in families() for problem in benchmark(family))
