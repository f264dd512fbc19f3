"""The content of a report as one tree of plain records.

Filled by a lab or from run folders, drawn by `page` and `tables`, kept as JSON by `store`.

Values, interval ends and differences are shares (0..1, -1..1); pages and tables show them times 100.  An empty Chinese
text falls back to the English one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from limo.core.records import Outcome, Provenance

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
_SPACE_BETWEEN_HAN = re.compile(
    r"(?<=[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]) (?=[\u3000-\u303f\u3400-\u9fff\uff00-\uffef])"
)


def close_up(text: str, language: Language) -> str:
    """A text whose blanks were filled; in Chinese without the spaces between Chinese characters."""
    return _SPACE_BETWEEN_HAN.sub("", text) if language == "zh" else text


BenchmarkGroup = Literal["in-domain", "out-of-domain", "all"]
BENCHMARK_GROUPS: tuple[BenchmarkGroup, ...] = get_args(BenchmarkGroup)
StepKind = Literal["", "step", "check", "turn"]
FORMAT = 3


class _Closed:
    """Base of the records: `store.load` refuses keys that a record does not have."""

    __slots__ = ()
    __pydantic_config__ = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class LocalizedText(_Closed):
    """One text in both languages."""

    en: str
    zh: str = ""

    @classmethod
    def filled(cls, texts: Mapping[str, str], **values: object) -> LocalizedText:
        """The entry of a YAML file of texts, by language, with its blanks filled, each in its own language."""

        def fill(language: Language) -> str:
            own = {name: v.text(language) if isinstance(v, LocalizedText) else v for name, v in values.items()}
            return close_up(texts[language].format(**own), language)

        return cls(*map(fill, LANGUAGES))

    def text(self, language: Language) -> str:
        """The text in `language`; English where no Chinese was given."""
        return self.zh if language == "zh" and self.zh else self.en


class _Labelled(_Closed):
    """Base of the records with a name that the page shows."""

    __slots__ = ()
    label_en: str
    label_zh: str

    @property
    def label(self) -> LocalizedText:
        """The name that the page shows."""
        return LocalizedText(self.label_en, self.label_zh)


@dataclass(frozen=True, slots=True)
class ArmRow(_Labelled):
    """A measured arm; its budget is that of training with one seed, over all epochs.

    `color`: a name of the palette (else it gets a free one); `headline`: shown in the headline chart and the radar.
    """

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


@dataclass(frozen=True, slots=True)
class BenchmarkRow(_Labelled):
    """A pool that is never trained on; `group`: whether its kind of problems was, `all` where that is not known."""

    name: str
    label_en: str
    label_zh: str = ""
    group: BenchmarkGroup = "in-domain"


@dataclass(frozen=True, slots=True)
class ScoreRow(_Closed):
    """An arm's score on a benchmark with a 95% interval; `provenance` has an entry for each training seed and arm."""

    arm: str
    benchmark: str
    value: float
    low: float
    high: float
    n_problems: int = 0
    n_rollouts: int = 0
    n_seeds: int = 1
    provenance: list[Provenance] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AverageRow(_Closed):
    """An arm's mean over the benchmarks of a group, each counting once, with a 95% interval."""

    arm: str
    group: BenchmarkGroup
    value: float
    low: float
    high: float
    provenance: list[Provenance] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ComparisonRow(_Closed):
    """`difference` = a - b, paired by problem, with a 95% interval; `words.comparison_claim` writes missing words."""

    a: str
    b: str
    group: BenchmarkGroup
    difference: float
    low: float
    high: float
    separable: bool
    sentence_en: str = ""
    sentence_zh: str = ""
    provenance: list[Provenance] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LevelRow(_Closed):
    """The score after training on chains of one level, and the mean length of the trained model's completions."""

    level: str
    value: float
    low: float
    high: float
    n_tokens_mean: float = 0.0
    n_examples: int = 0
    provenance: list[Provenance] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StageRow(_Labelled):
    """A stage of curation: counts in, kept, and dropped by reason; what is counted may change between stages."""

    stage: str
    label_en: str
    label_zh: str = ""
    n_in: int = 0
    n_kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    unit: Literal["rows", "problems", "rollouts", "chains"] = "problems"

    @property
    def n_unexplained(self) -> int:
        """What is neither kept nor dropped with a reason; anything but 0 is an error and is shown as one."""
        return self.n_in - self.n_kept - sum(self.dropped.values())

    def drops(self) -> list[tuple[str, int]]:
        """Reasons and counts of the drops, largest first."""
        return sorted(self.dropped.items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True, slots=True)
class CaseRollout(_Closed):
    """One arm's completion of a case's problem, and its verdict.

    `steps`: where each piece of the completion ends, in characters, and what it is: a step, one that checks, one that
    turns back, or '' for what is no step.  Empty: the completion is shown in one piece.
    """

    arm: str
    completion: str
    outcome: Outcome
    extracted: str = ""
    reason: str = ""
    n_tokens: int = 0
    provenance: Provenance | None = None
    steps: list[tuple[int, StepKind]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case(_Closed):
    """A problem with the rollouts of several arms, to be shown side by side; those with a remark are studied first.

    An arm may have several rollouts.  All cases together are the grid of problems and arms.
    """

    problem: str
    answer: str
    rollouts: list[CaseRollout]
    benchmark: str = ""
    level: str = ""
    remark_en: str = ""
    remark_zh: str = ""

    @property
    def remark(self) -> LocalizedText:
        """Why this case is shown."""
        return LocalizedText(self.remark_en, self.remark_zh)


@dataclass(frozen=True, slots=True)
class OverlapRow(_Closed):
    """How many problems of one source of the pool one method found in a benchmark, and what was done with them."""

    benchmark: str
    source: str
    method: str
    decision: Literal["drop", "report"]
    n_problems: int


@dataclass(frozen=True, slots=True)
class HitRow(_Closed):
    """A problem of the pool and the benchmark problem that it shares `words` with; `score` in 0..1."""

    benchmark: str
    source: str
    method: str
    decision: Literal["drop", "report"]
    score: float
    words: str
    problem: str
    benchmark_problem: str


@dataclass(frozen=True, slots=True)
class SeriesRow(_Labelled):
    """One line, or one set of bars, of a chart: `y` over `x`, with intervals where `low` and `high` are given.

    In a chart with categories `x` are their numbers, from 0; a category that is not in `x` has no bar.
    """

    label_en: str
    label_zh: str
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    color: str = ""


@dataclass(frozen=True, slots=True)
class ChartRow(_Closed):
    """A chart of numbers.  `percent`: `y` are shares, shown times 100 on an axis from 0 to 100."""

    title: LocalizedText
    kind: Literal["lines", "bars"]
    series: list[SeriesRow]
    x_label: LocalizedText
    y_label: LocalizedText
    categories: list[LocalizedText] = field(default_factory=list)
    log_x: bool = False
    percent: bool = False


@dataclass(frozen=True, slots=True)
class DataTable(_Closed):
    """A table whose cells are written already; the first column is words."""

    caption: LocalizedText
    heads: list[LocalizedText]
    rows: list[list[LocalizedText]]
    note: LocalizedText = field(default_factory=lambda: LocalizedText(""))


@dataclass(frozen=True, slots=True)
class Prediction(_Closed):
    """What was predicted before the run, and whether it came true.

    `partly`: the direction did, in a size outside the predicted range; `open`: the run does not decide it.
    """

    text: LocalizedText
    outcome: Literal["held", "partly", "failed", "open"]


@dataclass(frozen=True, slots=True)
class Section(_Closed):
    """A chapter of the report with content of its own: claims in words, predictions, charts and tables.

    `kind`: a question of an experiment stands before budgets and funnel, a detail after them.  `name`: a-z, 0-9, _ and
    -, unique; the page's address of the chapter.
    """

    name: str
    title: LocalizedText
    lead: LocalizedText = field(default_factory=lambda: LocalizedText(""))
    claims: list[LocalizedText] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    charts: list[ChartRow] = field(default_factory=list)
    tables: list[DataTable] = field(default_factory=list)
    kind: Literal["question", "detail"] = "detail"


@dataclass(frozen=True, slots=True)
class Report(_Closed):
    """Everything that a report shows.  The section of an empty part is left out, and the page says so.

    `headline`: the claims, computed from `comparisons` where empty.  `recipe`: as YAML.  `rebuild`: the command that
    makes this report again.  `hits`: the surest pairs of `overlaps`, with both texts.  `check_words`: underlined in
    completions without `steps`.  `paper`: whether to show the published results, marked as such, beside these.
    """

    title: LocalizedText
    subtitle: LocalizedText = field(default_factory=lambda: LocalizedText(""))
    headline: list[LocalizedText] = field(default_factory=list)
    arms: list[ArmRow] = field(default_factory=list)
    benchmarks: list[BenchmarkRow] = field(default_factory=list)
    scores: list[ScoreRow] = field(default_factory=list)
    averages: list[AverageRow] = field(default_factory=list)
    comparisons: list[ComparisonRow] = field(default_factory=list)
    levels: list[LevelRow] = field(default_factory=list)
    funnel: list[StageRow] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    overlaps: list[OverlapRow] = field(default_factory=list)
    hits: list[HitRow] = field(default_factory=list)
    notes: list[LocalizedText] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    recipe: str = ""
    rebuild: str = ""
    check_words: list[str] = field(default_factory=list)
    paper: bool = True
    format: int = FORMAT

    @property
    def is_trained(self) -> bool:
        """Whether the budget of any arm's training is known."""
        return any(arm.n_examples or arm.n_updates for arm in self.arms)

    def arm(self, name: str) -> ArmRow:
        """The arm of that name; an arm that only a case names is shown under that name."""
        return next((arm for arm in self.arms if arm.name == name), ArmRow(name, name))

    def average(self, arm: str, group: BenchmarkGroup) -> AverageRow | None:
        """An arm's average over a group, if measured."""
        return next((row for row in self.averages if row.arm == arm and row.group == group), None)

    def score(self, arm: str, benchmark: str) -> ScoreRow | None:
        """An arm's score on a benchmark, if measured."""
        return next((row for row in self.scores if row.arm == arm and row.benchmark == benchmark), None)

    def headline_arms(self) -> list[ArmRow]:
        """The arms of the headline chart, in their order."""
        return [arm for arm in self.arms if arm.headline]
