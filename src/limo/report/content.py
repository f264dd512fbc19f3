"""What a report says, as one tree of plain records: filled by a lab, kept as JSON, drawn by `page` and `tables`.

The tree stands between those who measure and the one who draws, so that a report can be drawn again years later
from its JSON alone, and so that drawing can never compute a number of its own.  Every value, interval end and
difference is a share in 0..1 (differences in -1..1); pages and tables show them times 100.  Every text that a
person reads comes in English and Chinese; an empty Chinese text falls back to the English one.

    report = Report(title=Said("The lab", "实验室"), arms=[Arm("base", "Base model", "基础模型")])
    save(report, "runs/lab/report.json")
    assert load("runs/lab/report.json") == report

What it does not do: statistics (intervals come in), drawing, or any reading of a run's stages.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from limo.core.errors import InputError, MissingFileError
from limo.core.files import atomic
from limo.core.records import LEVELS, Outcome
from limo.core.text import shorten

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
Group = Literal["in-domain", "out-of-domain", "all"]
GROUPS: tuple[Group, ...] = ("in-domain", "out-of-domain", "all")
FORMAT = 1
_CLOSED = {"extra": "forbid"}  # read by pydantic in `load`: an unknown key is a fault, not a shrug


@dataclass(frozen=True, slots=True)
class Said:
    """One text in both languages."""

    __pydantic_config__ = _CLOSED

    en: str
    zh: str = ""

    def text(self, language: Language) -> str:
        """The text in `language`; English where no Chinese was given."""
        return self.zh if language == "zh" and self.zh else self.en


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant that was measured.  `n_tokens` and `n_updates` count training over all epochs, one seed.

    `color` names a colour of the palette (`base`, `bulk`, `limo`, `L1`..`L5`; anything else gets a free one);
    `headline` is whether the arm stands in the headline chart and the radar.
    """

    __pydantic_config__ = _CLOSED

    name: str
    label_en: str
    label_zh: str = ""
    model: str = ""
    n_examples: int = 0
    n_tokens: int = 0
    n_updates: int = 0
    seconds: float = 0.0
    color: str = ""
    headline: bool = True

    @property
    def label(self) -> Said:
        """The name that a person reads."""
        return Said(self.label_en, self.label_zh)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A held-out pool; `group` says whether its family of problems was among those trained on."""

    __pydantic_config__ = _CLOSED

    name: str
    label_en: str
    label_zh: str = ""
    group: Literal["in-domain", "out-of-domain"] = "in-domain"

    @property
    def label(self) -> Said:
        """The name that a person reads."""
        return Said(self.label_en, self.label_zh)


@dataclass(frozen=True, slots=True)
class ArmScore:
    """An arm's score on a benchmark with a 95% interval; `n_rollouts` in all, over `n_seeds` trainings."""

    __pydantic_config__ = _CLOSED

    arm: str
    benchmark: str
    value: float
    low: float
    high: float
    n_problems: int = 0
    n_rollouts: int = 0
    n_seeds: int = 1


@dataclass(frozen=True, slots=True)
class Average:
    """An arm's plain mean over the benchmarks of a group, each benchmark counting once, with a 95% interval."""

    __pydantic_config__ = _CLOSED

    arm: str
    group: Group
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` = a - b, paired by problem, over a group, with a 95% interval.

    `separable` is the measurer's own verdict.  Where no sentence is given, `sentences.compared` writes one.
    """

    __pydantic_config__ = _CLOSED

    a: str
    b: str
    group: Group
    difference: float
    low: float
    high: float
    separable: bool
    sentence_en: str = ""
    sentence_zh: str = ""


@dataclass(frozen=True, slots=True)
class LevelScore:
    """What training on chains of one level gave: a score, and how long the trained model's completions were."""

    __pydantic_config__ = _CLOSED

    level: str
    value: float
    low: float
    high: float
    n_tokens_mean: float = 0.0
    n_examples: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of curation: what came in, what was kept, and every drop under its reason; `unit` is what is counted.

    A stage that counts other things than the one before it (problems, then their rollouts) breaks the chain; the
    charts name the unit at each bar.
    """

    __pydantic_config__ = _CLOSED

    stage: str
    label_en: str
    label_zh: str = ""
    n_in: int = 0
    n_kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    unit: Literal["rows", "problems", "rollouts", "chains"] = "problems"

    @property
    def label(self) -> Said:
        """The name that a person reads."""
        return Said(self.label_en, self.label_zh)

    @property
    def n_unexplained(self) -> int:
        """What is neither kept nor dropped with a reason; anything but 0 is a fault and is shown as one."""
        return self.n_in - self.n_kept - sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one arm wrote on a case's problem, and what it was worth."""

    __pydantic_config__ = _CLOSED

    arm: str
    completion: str
    outcome: Outcome
    extracted: str = ""
    reason: str = ""
    n_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One problem with several attempts to look at side by side."""

    __pydantic_config__ = _CLOSED

    problem: str
    answer: str
    attempts: list[Attempt]
    benchmark: str = ""
    level: str = ""
    remark_en: str = ""
    remark_zh: str = ""

    @property
    def remark(self) -> Said:
        """Why this case is worth a look."""
        return Said(self.remark_en, self.remark_zh)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What problems of a pool share with a benchmark: how many by one method from one source, and what followed."""

    __pydantic_config__ = _CLOSED

    benchmark: str
    source: str
    method: str
    decision: Literal["drop", "report"]
    n_problems: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One problem of the pool beside the benchmark problem that it shares `words` with; `score` in 0..1."""

    __pydantic_config__ = _CLOSED

    benchmark: str
    source: str
    method: str
    decision: Literal["drop", "report"]
    score: float
    words: str
    problem: str
    benchmark_problem: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report shows.  An empty part leaves its section out, and the page says so.

    `headline`: the claims, first one largest; left empty they are computed from `comparisons`.
    `environment`: what a rerun would want to know (versions, processor, commit), in the order to show.
    `recipe`: the resolved recipe as YAML.  `rebuild`: the command that makes this report again.
    `overlaps`: contamination by benchmark, source and method, `hits` the surest of it with both texts.
    `check_words`: words to underline in completions (those that the grade counted as checking).
    `paper`: whether to show the published results, marked as such, beside these.
    """

    __pydantic_config__ = _CLOSED

    title: Said
    subtitle: Said = field(default_factory=lambda: Said(""))
    headline: list[Said] = field(default_factory=list)
    arms: list[Arm] = field(default_factory=list)
    benchmarks: list[Benchmark] = field(default_factory=list)
    scores: list[ArmScore] = field(default_factory=list)
    averages: list[Average] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    levels: list[LevelScore] = field(default_factory=list)
    funnel: list[Stage] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    recipe: str = ""
    rebuild: str = ""
    check_words: list[str] = field(default_factory=list)
    paper: bool = True
    format: int = FORMAT

    def arm(self, name: str) -> Arm:
        """The arm of that name; an arm that only a case knows is shown under its bare name."""
        return next((arm for arm in self.arms if arm.name == name), Arm(name, name))

    def average(self, arm: str, group: Group) -> Average | None:
        """An arm's average over a group, if measured."""
        return next((row for row in self.averages if row.arm == arm and row.group == group), None)

    def score(self, arm: str, benchmark: str) -> ArmScore | None:
        """An arm's score on a benchmark, if measured."""
        return next((row for row in self.scores if row.arm == arm and row.benchmark == benchmark), None)

    def headline_arms(self) -> list[Arm]:
        """The arms of the headline chart, in their order."""
        return [arm for arm in self.arms if arm.headline]


def check(report: Report) -> None:
    """Raise InputError, naming every fault, where a number is impossible or a name stands for nothing."""
    faults = [*_name_faults(report), *_number_faults(report)]
    if faults:
        raise InputError(
            "the report's content does not hold together",
            "; ".join(faults[:8]),
            "shares in 0..1 with low <= value <= high, names that are defined",
            "measure again, or mend the JSON",
        )


def _name_faults(report: Report) -> Iterator[str]:
    arms, benchmarks = [arm.name for arm in report.arms], [row.name for row in report.benchmarks]
    for names, what in ((arms, "arm"), (benchmarks, "benchmark")):
        yield from (f"{what} {name!r} stands twice" for name in sorted({n for n in names if names.count(n) > 1}))
    used = {row.arm for row in report.scores} | {row.arm for row in report.averages}
    used |= {name for pair in report.comparisons for name in (pair.a, pair.b)}
    yield from (f"no arm {name!r}" for name in sorted(used - set(arms)))
    yield from (f"no benchmark {name!r}" for name in sorted({row.benchmark for row in report.scores} - set(benchmarks)))
    yield from (f"no level {row.level!r}" for row in report.levels if row.level not in LEVELS)


def _number_faults(report: Report) -> Iterator[str]:
    shares: Iterable[ArmScore | Average | LevelScore] = (*report.scores, *report.averages, *report.levels)
    for row in shares:
        if not 0 <= row.low <= row.value <= row.high <= 1:
            yield f"{row.value} [{row.low}, {row.high}] of {getattr(row, 'arm', '') or getattr(row, 'level', '')!r}"
    for pair in report.comparisons:
        if not -1 <= pair.low <= pair.difference <= pair.high <= 1:
            yield f"{pair.difference} [{pair.low}, {pair.high}] of {pair.a!r} - {pair.b!r}"
    counts = [n for s in report.funnel for n in (s.n_in, s.n_kept, *s.dropped.values())]
    counts += [row.n_problems for row in report.overlaps]
    counts += [n for arm in report.arms for n in (arm.n_examples, arm.n_tokens, arm.n_updates)]
    if any(n < 0 for n in counts):
        yield f"a count below 0 ({min(counts)})"
    if any(not math.isfinite(arm.seconds) for arm in report.arms):
        yield "seconds that are no number"


def save(report: Report, path: str | Path) -> None:
    """Write the tree as JSON, atomically.  Raises InputError (content) or StorageError (disk)."""
    check(report)
    # ASCII escapes carry even a lone surrogate, which a model's broken bytes can leave in a completion.
    text = json.dumps(asdict(report), indent=1, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="ascii")


def load(path: str | Path) -> Report:
    """Read what `save` wrote.  Raises MissingFileError, or InputError with every fault."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError("there is no such report", path, "a report.json", "run the experiment first")
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError("the report is not JSON", path, "what save() writes", shorten(str(error), 120)) from None
    if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise InputError("the report is of a later format", values["format"], f"up to {FORMAT}", "use a newer limo")
    report = _build(values, str(path))
    check(report)
    return report


def _build(values: Any, name: str) -> Report:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Report).validate_python(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:6]]
        raise InputError("the report does not fit", name, "what save() writes", "; ".join(faults)) from None
