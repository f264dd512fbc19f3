"""The curation, from pool to dataset, as one function that goes on where it was stopped.

ingest -> dedup -> decontaminate -> each filter -> chains -> grade -> select -> export.  Each stage writes what it
kept and what it dropped (with the reason) into the run folder and is skipped when that is there, so the same command
again does only what is missing, and nothing once all is done.  Rollouts are asked through the ledger, which pays for
each once.

    recipe = load(CurateRecipe, "replay", ["data=../shared/data"])
    done = curate(recipe, "runs/replay")
    print(render(done.funnel))

What it does not do: train or evaluate; and it knows no model, only the settings by which rollouts opens one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.errors import InputError, MissingFileError
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import EXECUTION_ONLY, Settings
from limo.core.records import Chain, Completion, Dropped, Grade, PassRate, Problem, Verdict
from limo.core.run_folder import RunFolder
from limo.curate.chains import ChainSettings, accept, chain_hash, official
from limo.curate.difficulty import SuspectSettings, apply_band, suspects
from limo.curate.export import Asked, Card, ExportSettings, contamination, export, row, rows_hash
from limo.curate.funnel import FunnelRow, check, render
from limo.curate.grade import GradeSettings, grade
from limo.curate.select import Candidate, SelectSettings, select, shortfall
from limo.curate.tables import chains_of, graded_of, graded_rows, problems_of, rated, rows_of, selected_rows, why
from limo.ledger.store import Ledger
from limo.models.settings import ModelSettings, open_model
from limo.pool.decontaminate import DecontaminateSettings, decontaminate
from limo.pool.dedup import DedupSettings, dedup
from limo.pool.ingest import IngestSettings, ingest
from limo.pool.sources.benchmarks import load_benchmark, load_benchmarks
from limo.pool.sources.readers import SUFFIXES
from limo.rollouts.budget import Budget
from limo.rollouts.collect import CollectionStopped
from limo.rollouts.judging import ChainJudgeSettings, judge_chains
from limo.rollouts.runner import ModelOpener, RolloutRunner, RolloutSettings
from limo.rollouts.stopping import Band
from limo.verify.checker import Checker, verifiable

__all__ = ["CurateRecipe", "Curated", "FilterSettings", "FunnelRow", "curate", "graded", "problems_after", "render"]

SELECTED = "selected"
SUSPECT = "suspect"
UNDECIDED = "undecided.json"  # the ids that a run left open when it was stopped by its budget or by Ctrl-C


class FilterSettings(RolloutSettings):
    """Keep a problem when `low` to `high` of all rollouts (`n` times the number of models) are correct."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="names the stage, for example weak_filter")
    low: int = Field(0, ge=0, description="fewest correct rollouts")
    high: int = Field(0, ge=0, description="most correct rollouts")
    teacher: bool = Field(False, description="its rollouts may become chains too")

    @property
    def band(self) -> Band:
        """The band over the rollouts of all its models."""
        return Band(self.low, self.high, self.n_in_all)

    @model_validator(mode="after")
    def _fits(self) -> FilterSettings:
        if not self.low <= self.high <= self.n_in_all:
            raise ValueError(f"{self.low}..{self.high} of {self.n_in_all} rollouts is an empty band")
        return self


class CurateRecipe(Settings):
    """Everything that a curation depends on."""

    data: str = Field("", description="folder where the relative paths of sources, benchmarks and recordings start")
    pool: IngestSettings = Field(description="where problems come from")
    dedup: DedupSettings = Field(default_factory=DedupSettings)
    benchmarks: dict[str, str] = Field(
        default_factory=dict,
        description="name: file of the benchmarks kept out of the pool; empty: those of `decontaminate.benchmarks`",
    )
    decontaminate: DecontaminateSettings = Field(default_factory=DecontaminateSettings)
    filters: list[FilterSettings] = Field(
        default_factory=list, description="in order; paper v2: 0 of 4, then 1..3 of 32"
    )
    suspect: SuspectSettings = Field(default_factory=SuspectSettings)
    teachers: list[RolloutSettings] = Field(
        default_factory=list, description="asked for chains on what the filters kept"
    )
    chains: ChainSettings = Field(default_factory=ChainSettings)
    grade: GradeSettings = Field(default_factory=GradeSettings)
    judge: ChainJudgeSettings | None = Field(None, description="who is asked for marks, where `grade.scorer` is judge")
    select: SelectSettings = Field(default_factory=SelectSettings)
    system: str = Field(prompts.SYSTEM, description="system text of every exported row, whatever the teacher was told")
    export: ExportSettings = Field(default_factory=ExportSettings)
    budget: Budget = Field(
        default_factory=Budget,
        description="the most that rollouts may cost; reached: exit 3",
        json_schema_extra=EXECUTION_ONLY,
    )

    @property
    def models(self) -> list[ModelSettings]:
        """Every model that is asked, filters first."""
        judges = [self.judge] if self.judge else []
        return [model for one in [*self.filters, *self.teachers, *judges] for model in one.models]

    @model_validator(mode="after")
    def _whole(self) -> CurateRecipe:
        names = [one.name for one in self.filters]
        if len(set(names)) < len(names) or set(names) & _RESERVED:
            raise ValueError(f"the filters' names must differ from each other and from {', '.join(sorted(_RESERVED))}")
        if not self.teachers and not any(one.teacher for one in self.filters):
            raise ValueError("no model gives chains: add an entry to `teachers`, or set `teacher: true` on a filter")
        if self.grade.scorer == "judge" and self.judge is None:
            raise ValueError("the scorer `judge` needs `judge`: the models that are asked for marks")
        return self


_RESERVED = {"ingest", "dedup", "decontaminate", "chains", "grade", "select", "export"}


@dataclass(frozen=True, slots=True)
class Curated:
    """What a curation left: the dataset's folder, the funnel, and whether anything was done this time."""

    folder: Path
    funnel: list[FunnelRow]
    n_selected: int
    did_nothing: bool


def curate(
    recipe: CurateRecipe,
    folder: str | Path,
    progress: Progress | None = None,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
) -> Curated:
    """Do what is missing of the run in `folder`; `n_workers` processes check answers.

    `opener` turns a model's settings (and the recipe's `data` folder) into a completer.  Raises LimoError: the input
    cannot be used, or a stage leaves nothing (its table then says why).
    """
    with RunFolder(folder, recipe) as run:
        try:
            return _Curation(recipe, run, progress or NoProgress(), n_workers, opener).run()
        except CollectionStopped as stopped:
            run.write_json(UNDECIDED, stopped.undecided)
            raise


def graded(run: RunFolder) -> tuple[list[Chain], list[Grade]]:
    """Every graded chain of a run, not only the best of each problem; for `select.levels` and for audits."""
    return graded_of(chains_of(run.read_stage("chains")), run.read_stage("grade"))


def problems_after(run: RunFolder, stage: str) -> list[Problem]:
    """The problems that were left after `ingest`, `dedup`, `decontaminate` or a filter."""
    return problems_of(run.read_stage(stage))


Split = tuple[list[dict[str, Any]], list[Dropped]]


class _Curation:
    """One call of `curate`; `did` names the stages done in it."""

    def __init__(
        self, recipe: CurateRecipe, run: RunFolder, progress: Progress, n_workers: int, opener: ModelOpener
    ) -> None:
        self.recipe, self.at, self.progress, self.n_workers = recipe, run, progress, n_workers
        prices = {model.name: model.price for model in recipe.models}
        self.runner = RolloutRunner(opener, recipe.data, progress, recipe.budget, prices)
        self.did: list[str] = []
        self.rates: dict[str, list[PassRate]] = defaultdict(list)  # by problem, one a filter it passed

    def run(self) -> Curated:
        """All stages in order."""
        folder = self.at.path / SELECTED
        if self.at.done("export") and folder.is_dir():
            self.progress.log(f"nothing to do: {folder} is complete")
            return self._result(folder)
        problems = self._pool()
        for one in self.recipe.filters:
            problems = self._filter(one, problems)
        chains = self._chains(problems)
        self._export(self._select(problems, *self._grade(problems, chains)), folder)
        return self._result(folder)

    def _result(self, folder: Path) -> Curated:
        funnel = self._funnel()
        stored = [asdict(one) for one in funnel]
        if self.did:
            self.at.write_json("funnel.json", stored)
        return Curated(folder, funnel, funnel[-1].n_kept, not self.did)

    # Stages.  Each hands `_stage` the work to do if its tables are not there, and reads its tables back.

    def _stage(self, name: str, n_in: int | None, work: Callable[[], Split]) -> list[dict[str, Any]]:
        """Do the stage unless it is done; what it kept.  `n_in` None: as many as it kept and dropped."""
        if not self.at.done(name):
            kept, dropped = work()
            if n_in is not None and n_in != len(kept) + len(dropped):
                raise AssertionError(f"{name}: {n_in} came in, {len(kept)} were kept and {len(dropped)} dropped")
            self.at.write_stage(name, kept, dropped)
            self.did.append(name)
            self.progress.log(f"{name}: kept {len(kept):,}, dropped {why(dropped)}")
        rows = self.at.read_stage(name)
        if not rows:
            do = "loosen that stage, or bring more problems or rollouts, in a new --run"
            raise InputError(f"nothing is left after {name}", why(self.at.read_dropped(name)), "at least one kept", do)
        return rows

    def _pool(self) -> list[Problem]:
        recipe = self.recipe

        def read() -> Split:
            sources = [one.model_copy(update={"path": self._path(one.path)}) for one in recipe.pool.sources]
            done = ingest(sources, verifiable, recipe.pool)
            return rows_of(done.problems), done.dropped

        problems = problems_of(self._stage("ingest", None, read))
        unique = problems_of(self._stage("dedup", len(problems), lambda: _as_rows(dedup(problems, recipe.dedup))))
        settings = recipe.decontaminate
        work = lambda: _as_rows(decontaminate(unique, self._benchmarks(), settings))  # noqa: E731
        return problems_of(self._stage("decontaminate", len(unique), work))

    def _filter(self, one: FilterSettings, problems: list[Problem]) -> list[Problem]:
        def work() -> Split:
            with Ledger(self.at.ledger_path) as ledger, Checker(self.n_workers) as checker:
                rates = self.runner.run(one, problems, ledger, checker, one.name, one.band)
                kept, dropped = apply_band(problems, rates, one.low, one.high, one.name)
                asked = self.recipe.filters[: self.recipe.filters.index(one) + 1]
                answers = self.runner.rollouts(asked, problems, ledger)
                evidence = suspects(problems, answers, self.recipe.suspect, checker.same)
            easy = {d.problem_id for d in dropped if d.reason == "solved too often"}
            bad = evidence.keys() - easy  # a key that most rollouts reach is sound, whatever else they agree on
            if one is not self.recipe.filters[-1]:  # weak models agree on errors: stronger ones have not been asked
                bad -= {problem.id for problem in kept}
            dropped = [d for d in dropped if d.problem_id not in bad]
            dropped += [Dropped(p.id, one.name, SUSPECT, evidence[p.id]) for p in problems if p.id in bad]
            rows = [asdict(p) | rated(rates[p.id], one.low, one.high) for p in kept if p.id not in bad]
            return rows, dropped

        rows = self._stage(one.name, len(problems), work)
        for line in rows:
            self.rates[line["id"]].append(PassRate(line["model"], line["n"], line["n_decided"], line["n_correct"]))
        return problems_of(rows)

    def _chains(self, problems: list[Problem]) -> list[Chain]:
        asked = [one for one in self.recipe.filters if one.teacher] + self.recipe.teachers

        def work() -> Split:
            with Ledger(self.at.ledger_path) as ledger, Checker(self.n_workers) as checker:
                for number, teacher in enumerate(self.recipe.teachers, start=1):
                    stage = f"teacher {number} of {len(self.recipe.teachers)}"
                    self.runner.run(teacher, problems, ledger, checker, stage)
                rollouts = self.runner.rollouts(asked, problems, ledger)
                everyone = self.runner.rollouts([*self.recipe.filters, *self.recipe.teachers], problems, ledger)
                for problem, verdict in self._official(problems, checker):
                    rollouts[problem.id].append(official(problem, verdict))
                evidence = suspects(problems, everyone, self.recipe.suspect, checker.same)
            kept: list[dict[str, Any]] = []
            dropped: list[Dropped] = []
            for problem in problems:
                if problem.id in evidence:
                    dropped += [
                        Dropped(problem.id, "chains", SUSPECT, evidence[problem.id]) for _ in rollouts[problem.id]
                    ]
                    continue
                chains, others = accept(problem, rollouts[problem.id], self.recipe.chains)
                kept += rows_of(chains)
                dropped += others
            if len(kept) + len(dropped) != sum(map(len, rollouts.values())):
                raise AssertionError("chains: a rollout was lost")
            return kept, dropped

        return chains_of(self._stage("chains", None, work))

    def _official(self, problems: list[Problem], checker: Checker) -> Iterator[tuple[Problem, Verdict]]:
        """The problems whose official solution competes, checked like any chain."""
        solved = [one for one in problems if one.solution.strip()] if self.recipe.chains.official else []
        return zip(solved, checker.verify_many((one, Completion(one.solution)) for one in solved), strict=True)

    def _grade(self, problems: list[Problem], chains: list[Chain]) -> tuple[list[Chain], list[Grade]]:
        def work() -> Split:
            columns: dict[str, list[float]] | None = None
            missing: dict[int, str] = {}
            if self.recipe.grade.scorer == "judge" and self.recipe.judge is not None:
                statements = {problem.id: problem.problem for problem in problems}
                asked = [statements[chain.problem_id] for chain in chains]
                with Ledger(self.at.ledger_path) as ledger:
                    columns, missing = judge_chains(chains, asked, self.recipe.judge, self.runner, ledger)
            some = [chain for place, chain in enumerate(chains) if place not in missing]
            dropped = [
                Dropped(chains[at].problem_id, "grade", "no marks", {"chain": chain_hash(chains[at]), "why": reason})
                for at, reason in missing.items()
            ]
            return graded_rows(some, grade(some, self.recipe.grade, columns)), dropped

        return graded_of(chains, self._stage("grade", len(chains), work))

    def _select(self, problems: list[Problem], chains: list[Chain], grades: list[Grade]) -> list[Candidate]:
        by_id = {problem.id: problem for problem in problems}
        pairs = zip(chains, grades, strict=True)
        candidates = [Candidate(by_id[c.problem_id], c, g, tuple(self.rates[c.problem_id])) for c, g in pairs]

        def work() -> Split:
            kept, dropped = select(candidates, self.recipe.select)
            return selected_rows(kept), dropped

        rows = self._stage("select", len(candidates), work)
        by_hash = {chain_hash(candidate.chain): candidate for candidate in candidates}
        kept = [by_hash[line["chain_hash"]] for line in rows]
        if short := shortfall(kept, self.at.read_dropped("select"), self.recipe.select):
            self.progress.log(short)
        return kept

    def _export(self, selected: list[Candidate], folder: Path) -> None:
        prompt = [prompts.messages(one.problem.problem, self.recipe.system) for one in selected]
        rows = [row(one, rank, messages) for rank, (one, messages) in enumerate(zip(selected, prompt, strict=True), 1)]
        public = self.recipe.model_copy(update={"data": ""})  # where the data lies on this machine says nothing
        funnel = [one for one in self._funnel() if one.stage != "export"]
        found = contamination(self.at.read_dropped("decontaminate"))
        asked, scorer = asked_of(self.recipe), self.recipe.grade.scorer
        card = Card(funnel, public.to_yaml(), public.hash, self.recipe.export, found, asked, scorer)
        export(rows, folder, card)
        names = [
            {"rank": one["rank"], "problem_id": one["problem_id"], "chain_hash": one["chain_hash"]} for one in rows
        ]
        self.at.write_stage("export", [name | {"rows_hash": rows_hash(rows)} for name in names], [])
        self.did.append("export")
        self.progress.log(f"export: {len(rows):,} rows in {folder}")

    # What the stages share.

    def _path(self, path: str) -> str:
        """`path` under the recipe's data folder, unless it only exists as it is or can be a name on the hub."""
        under = Path(self.recipe.data) / path
        is_file = path.lower().removesuffix(".gz").removesuffix(".zst").endswith(SUFFIXES)
        elsewhere = Path(path).exists() or not is_file
        return path if elsewhere and not under.exists() else str(under)

    def _benchmarks(self) -> dict[str, list[Problem]]:
        named, settings = self.recipe.benchmarks, self.recipe.decontaminate
        files = {name: self._path(path) for name, path in named.items()}
        for name, file in files.items():
            if not Path(file).exists():
                raise MissingFileError(f"the benchmark {name} is not there", file, "a file of problems", "check `data`")
        own = {name: load_benchmark(name, file) for name, file in files.items()}
        if own and not settings.benchmarks:
            return own
        return own | load_benchmarks(settings.benchmarks, self._path(settings.path) if settings.path else None)

    def _funnel(self) -> list[FunnelRow]:
        """The stages that are done, in order; what is counted turns from problems to rollouts to chains on the way."""
        rows: list[FunnelRow] = []
        for stage, counts in self.at.counts().items():
            n_in = counts.n_kept + counts.n_dropped
            unit = _UNITS.get(stage, "problems")
            kept = self.at.read_stage(stage)
            n_problems = len({line.get("problem_id") or line["id"] for line in kept})
            rows.append(FunnelRow(stage, unit, n_in, counts.n_kept, n_problems, counts.n_by_reason))
        check(rows)
        return rows


_UNITS = {"ingest": "rows", "chains": "rollouts", "grade": "chains", "select": "chains", "export": "chains"}


def asked_of(recipe: CurateRecipe) -> list[Asked]:
    """Every model of a recipe with its stage, for the card."""
    askings = [(one.name, one) for one in recipe.filters] + [("teacher", one) for one in recipe.teachers]
    askings += [("judge", recipe.judge)] if recipe.judge else []
    told = "temperature {temperature:g}, top_p {top_p:g}, at most {max_tokens:,} tokens, seed {seed}"
    return [
        Asked(stage, model.name, one.n, told.format(**one.sampling.model_dump()))
        for stage, one in askings
        for model in one.models
    ]


def _as_rows(split: tuple[list[Problem], list[Dropped]]) -> Split:
    return rows_of(split[0]), split[1]
