"""The pocket world: chains of lines, each of which sends a number through an invented machine, in ten wordings.

A machine is a random table on 0..31, so that nothing but having seen its entries gives them; machines are met by a
power law.  A line may carry a modifier before its machine: `twice`, `big` (only from 16 up), `other` (somebody else's
line), `undo` (the inverse table), `mirror` (of 31 less the number); `choice` puts options behind the question.  Whoever
overlooks a modifier follows the line as if it were plain.  The wording is world.yaml, English and Chinese; the world
writes problems and answers, chains are sampled from models.

    problems = sample_problems(["shop", "bus"], n=100, depths=range(1, 6), seed=1)
    problems[0].meta      # family, depth, modifiers, start, values (after each line)
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from limo.core.errors import InputError
from limo.core.files import shipped_yaml
from limo.core.records import Problem

N_VALUES = 32  # a machine maps 0..31 onto itself
BIG = 16  # from here on a line with `big` counts
LANGUAGES = ("en", "zh")
LETTERS = "ABCD"
LABELS = tuple(f"{letter}:" for letter in "KLMNOPQRSTUVWXYZ")  # of lines, from a random one on
LINE_MODIFIERS = ("twice", "big", "other", "undo", "mirror")
MODIFIERS = (*LINE_MODIFIERS, "choice")
DEPTHS = range(1, 6)  # of every corpus, pool and benchmark
EVEN_RATE = 0.225  # of each modifier where they are drawn evenly: 1.2 a problem
WORLD_SEED = 71_114  # of the tables
BENCHMARK_SEED = 4_050_817
MOST_BENCHMARK = 150  # problems of a benchmark
DEFAULT_N_MACHINES = 64
_SYLLABLES = ("BDFGHJKLMNPRSTVZ", "aeiou", "lnrkmxp")  # of the machines' names


@dataclass(frozen=True)
class World:
    """The machines: names, tables and how often each is met.  Another seed is another world of the same words."""

    n_machines: int = DEFAULT_N_MACHINES
    seed: int = WORLD_SEED

    @cached_property
    def tables(self) -> tuple[tuple[int, ...], ...]:
        """What each machine makes of 0..31."""
        rng = random.Random(f"tables/{self.seed}")
        return tuple(tuple(rng.sample(range(N_VALUES), N_VALUES)) for _ in range(self.n_machines))

    @cached_property
    def inverses(self) -> tuple[tuple[int, ...], ...]:
        """The value that each machine turns into 0..31."""
        return tuple(tuple(table.index(value) for value in range(N_VALUES)) for table in self.tables)

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """Their names, the most frequent first.  Raises InputError for more machines than names."""
        names = ["".join(parts) for parts in itertools.product(*_SYLLABLES)]
        if not 1 <= self.n_machines <= len(names):
            allowed = f"1 to {len(names)}, as there are names"
            raise InputError("the world cannot have so many machines", self.n_machines, allowed, "change n_machines")
        random.Random("names").shuffle(names)
        return tuple(names[: self.n_machines])

    @cached_property
    def _cumulative(self) -> list[float]:
        return list(itertools.accumulate((rank + 4) ** -0.7 for rank in range(self.n_machines)))

    def sample_machine(self, rng: random.Random, n_active: int = 0) -> int:
        """A machine by its frequency, among the `n_active` most frequent (0: all)."""
        return rng.choices(range(n := n_active or self.n_machines), cum_weights=self._cumulative[:n])[0]

    def apply(self, value: int, modifier: str, machine: int) -> int:
        """The value behind a line."""
        table = self.tables[machine]
        after = {
            "twice": table[table[value]],
            "big": table[value] if value >= BIG else value,
            "other": value,
            "undo": self.inverses[machine][value],
            "mirror": table[N_VALUES - 1 - value],
        }
        return after.get(modifier, table[value])


WORLD = World()


@dataclass(frozen=True, slots=True)
class Story:
    """A problem and everything that a chain is written from.

    `lines`: (modifier or '', machine); `values`: the value behind each line; `options`: ranges in the order A, B, C, D.
    """

    world: World
    family: str
    language: str
    start: int
    lines: tuple[tuple[str, int], ...]
    values: tuple[int, ...]
    start_words: str
    ask_words: str
    first_label: int
    options: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """One a line of the statement: the start, each machine, the question."""
        return LABELS[self.first_label : self.first_label + len(self.lines) + 2]

    @property
    def modifiers(self) -> list[str]:
        """Those of the lines in order, and `choice`."""
        return [modifier for modifier, _ in self.lines if modifier] + (["choice"] if self.options else [])

    @property
    def unit(self) -> list[str]:
        """The unit's word behind start and answer, where the family has one."""
        unit = wording()["families"][self.family].get("unit")
        return [unit] if unit else []

    @property
    def words(self) -> list[str]:
        """What a solver reads, word by word."""
        texts, named = wording()["words"][self.language], wording()["families"][self.family][self.language]
        written = [self.labels[0], self.start_words, str(self.start), *self.unit]
        for label, (modifier, machine) in zip(self.labels[1:], self.lines, strict=False):
            written += [label, *([texts[modifier]] if modifier else []), self.world.machines[machine], named["place"]]
        written += [self.labels[-1], self.ask_words]
        if self.options:
            written += [texts["choice"], *itertools.chain(*zip(self.options, LETTERS, strict=True))]
        return written

    @property
    def answer(self) -> list[str]:
        """The words in the box: a number, a number with its unit, or a letter."""
        if self.options:
            return [LETTERS[self.options.index(range_of(self.values[-1], self.language))]]
        return [str(self.values[-1]), *self.unit]


def ranges(language: str) -> list[str]:
    """The words of the four ranges that options name, from the lowest on."""
    return list(wording()["ranges"][language])


def range_of(value: int, language: str) -> str:
    """The range that holds a value."""
    return ranges(language)[value * len(LETTERS) // N_VALUES]


def wording() -> Any:
    """The parsed world.yaml."""
    return shipped_yaml(__file__, "world.yaml")


@cache
def families(group: str = "") -> tuple[str, ...]:
    """Names of the families, all or of one group (`in-domain`, `out-of-domain`)."""
    return tuple(name for name, spec in wording()["families"].items() if group in ("", spec["group"]))


def to_text(words: Sequence[str]) -> str:
    """Words with spaces between them, none inside braces, a new line before a label.

    The tokenizer splits the text into the same words.
    """
    return re.sub(r" (?=[K-Z]:)", "\n", re.sub(r"(?<=\{) | (?=\})", "", " ".join(words)))


def sample_modifiers(rng: random.Random, rates: Mapping[str, float] | None = None) -> list[str]:
    """Each modifier with its rate, independently; evenly by default."""
    return [name for name in MODIFIERS if rng.random() < (rates[name] if rates else EVEN_RATE)]


def sample_story(
    family: str,
    depth: int,
    rng: random.Random,
    modifiers: Sequence[str] = (),
    world: World = WORLD,
    n_active: int = 0,
    is_even: bool = False,
) -> Story:
    """Draw one story with these modifiers, one a line at most; those for which there is no line are left out.

    `n_active`: only so many of the most frequent machines; `is_even`: machines and modifiers alike often, many of both.
    """
    spec = wording()["families"][family]
    language = rng.choice(LANGUAGES)
    of_lines = [name for name in modifiers if name != "choice"]
    rng.shuffle(of_lines)
    placed = (of_lines + [""] * depth)[:depth]
    rng.shuffle(placed)
    if is_even:
        placed = [rng.choice((*LINE_MODIFIERS, "", "")) for _ in range(depth)]
    start = value = rng.randrange(N_VALUES)
    lines, values = [], []
    for modifier in placed:
        machine = rng.randrange(world.n_machines) if is_even else world.sample_machine(rng, n_active)
        value = world.apply(value, modifier, machine)
        lines.append((modifier, machine))
        values.append(value)
    has_options = "choice" in modifiers or spec.get("options", False)
    options = tuple(rng.sample(ranges(language), len(LETTERS))) if has_options else ()
    first_label = rng.randrange(len(LABELS) - max(DEPTHS) - 1)
    words = (rng.choice(spec[language]["start"]), rng.choice(spec[language]["ask"]))
    return Story(world, family, language, start, tuple(lines), tuple(values), *words, first_label, options)


def to_problem(story: Story, source: str) -> Problem:
    """The story as a record; `meta` holds `family`, `depth`, `modifiers`, `start` and `values` (behind each line)."""
    meta: dict[str, object] = {
        "family": story.family,
        "depth": len(story.lines),
        "modifiers": story.modifiers,
        "start": story.start,
        "values": list(story.values),
    }
    return Problem.make(
        to_text(story.words),
        " ".join(story.answer),
        options=list(story.options) or None,
        source=source,
        topic=wording()["families"][story.family]["topic"],
        language=story.language,
        meta=meta,
    )


def sample_problems(
    names: Sequence[str], n: int, depths: Iterable[int], seed: int, source: str = "pocket", world: World = WORLD
) -> list[Problem]:
    """`n` problems of a pool (repeats possible), families and depths in even turn, modifiers by the pool's rates."""
    rng = random.Random(f"{source}/{seed}")
    cells = itertools.islice(itertools.cycle([(family, depth) for depth in depths for family in names]), n)
    rates = wording()["pool_rates"]
    stories = (sample_story(family, depth, rng, sample_modifiers(rng, rates), world) for family, depth in cells)
    return [to_problem(story, f"{source}/{story.family}") for story in stories]


def held_out_problems(family: str, n: int, seed: str, world: World = WORLD) -> list[Problem]:
    """`n` distinct problems for a test: depths 1 to 5 and none, one and two modifiers in even turn, each as often."""
    rng = random.Random(seed)
    problems: dict[str, Problem] = {}
    cells = itertools.cycle([(depth, n_modifiers) for n_modifiers in (0, 1, 2) for depth in DEPTHS])
    for depth, n_modifiers in cells:
        if len(problems) == n:
            return list(problems.values())
        story = sample_story(family, depth, rng, rng.sample(MODIFIERS, n_modifiers), world)
        problem = to_problem(story, f"{seed.partition('/')[0]}/pocket-{family}")
        problems.setdefault(problem.id, problem)
    raise AssertionError("cycle does not end")


def benchmark(family: str, n: int = 64, world: World = WORLD) -> list[Problem]:
    """The benchmark of one family: its problems are the same for ever."""
    return held_out_problems(family, n, f"benchmark/{family}/{BENCHMARK_SEED}", world)


@cache
def benchmark_ids(world: World = WORLD) -> frozenset[str]:
    """Ids of every benchmark problem; no corpus may hold one."""
    return frozenset(problem.id for family in families() for problem in benchmark(family, MOST_BENCHMARK, world))
