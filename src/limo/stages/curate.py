"""The curate stage and its `Recipe` (limo-v1, limo-v2): from a pool to a dataset, continued where it was stopped.

ingest -> dedup -> decontaminate -> each filter -> chains -> grade -> select -> export.  Each step writes what it kept
and what it dropped (with the reason) into the run folder and is skipped when that is there, so the same command again
does only what is missing.  Rollouts go through the ledger, which pays for each once.

    run(load(Recipe, "replay", ["data=../shared/data"]), "runs/replay").funnel

`problems.parquet` of the run holds the pool as it was read; the tables of the steps name its rows by number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field, model_validator

from limo.core import prompts
from limo.core.errors import RESTORE, InputError, foreign_data
from limo.core.heartbeat import announced
from limo.core.pass_rate_band import PassRateBand
from limo.core.progress import NoProgress, Progress
from limo.core.records import Chain, Completion, Dropped, Grade, PassRate, Problem, Row, Verdict
from limo.core.run_folder import PROBLEMS, RunFolder, RunPool
from limo.curate.chains import ChainSettings, accept, chain_hash, chains_from_table, official_rollout
from limo.curate.dataset import (
    DatasetCard,
    ExportSettings,
    ModelUse,
    count_contaminated,
    dataset_row,
    rows_hash,
    write_dataset,
)
from limo.curate.difficulty import TOO_EASY, SuspectSettings, apply_band, find_suspects, pass_rate_of, rate_columns
from limo.curate.funnel import FunnelRow, check_funnel, describe_dropped, how_to_loosen, read_funnel, tightest_setting
from limo.curate.grade import GradeSettings, grade, grade_rows, match_grades
from limo.curate.select import Candidate, SelectSettings, select, selected_rows, why_fewer
from limo.ledger.of_run import check_run_ledger, open_run_ledger
from limo.ledger.store import Ledger
from limo.models.settings import ModelSettings, open_model
from limo.pool.decontaminate import DecontaminateSettings, decontaminate
from limo.pool.dedup import DedupSettings, dedup
from limo.pool.ingest import IngestSettings, ingest
from limo.pool.sources.benchmarks import BenchmarkFile, load_benchmarks, load_files
from limo.rollouts.collect import CollectionStopped
from limo.rollouts.judge_verifier import JudgeVerifier, open_recipe_verifier
from limo.rollouts.judging import ChainGraderSettings, grade_by_model
from limo.rollouts.lacking import Lack, note_lacks, noted_lacks
from limo.rollouts.runner import ModelOpener, RolloutRunner, RolloutSettings
from limo.stages.rollouts import UNDECIDED, BandedRolloutSettings, ModelStageRecipe, source_files
from limo.verify.checker import Checker

SELECTED = "selected"
SUSPECT = "suspect"
OTHER_STEPS = {"ingest", "dedup", "decontaminate", "chains", "grade", "select", "export"}


class FilterSettings(BandedRolloutSettings):
    """Keeps a problem when `low` to `high` of all rollouts (`n` times the number of models) are correct."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="names the step, for example weak_filter")
    low: int = Field(ge=0, description="fewest correct rollouts; paper v2: 0 of 4, then 1 of 32")
    high: int = Field(ge=0, description="most correct rollouts; paper v2: 0 of 4, then 3 of 32")
    teacher: bool = Field(False, description="its rollouts may become chains too")


class Recipe(ModelStageRecipe):
    """Everything that a curation depends on."""

    pool: IngestSettings = Field(description="where problems come from")
    dedup: DedupSettings = Field(default_factory=DedupSettings)
    benchmarks: dict[str, BenchmarkFile] = Field(
        default_factory=dict,
        description="name: file or pool of the benchmarks kept out, or a mapping with path and fields; "
        "empty: those of `decontaminate.benchmarks`",
    )
    decontaminate: DecontaminateSettings = Field(default_factory=DecontaminateSettings)
    filters: list[FilterSettings] = Field(
        default_factory=list, description="in order; paper v2: 0 of 4, then 1..3 of 32"
    )
    suspect: SuspectSettings = Field(default_factory=SuspectSettings)
    teachers: list[RolloutSettings] = Field(default_factory=list, description="write chains for what the filters kept")
    chains: ChainSettings = Field(default_factory=ChainSettings)
    grade: GradeSettings = Field(default_factory=GradeSettings)
    judge: ChainGraderSettings | None = Field(None, description="the judge, where `grade.scorer` is judge")
    select: SelectSettings = Field(default_factory=SelectSettings)
    system: str = Field(prompts.SYSTEM, description="system text of every exported row, whatever the teacher's was")
    export: ExportSettings = Field(default_factory=ExportSettings)

    def input_files(self) -> dict[str, str]:
        """Recordings, sources that are files, and the benchmarks kept out."""
        return super().input_files() | source_files(self, self.pool) | self._benchmark_files()

    def pool_files(self) -> dict[str, str]:
        """What the pool is made from, and the benchmarks kept out of it; a path may be a name on the hub."""
        sources = {f"source {source.name or source.path}": self.resolve(source.path) for source in self.pool.sources}
        return sources | self._benchmark_files()

    def _benchmark_files(self) -> dict[str, str]:
        files = {f"benchmark {name}": self.resolve(file.path) for name, file in self.benchmarks.items()}
        folder = self.decontaminate.path
        return files | ({"folder of benchmarks (decontaminate.path)": self.resolve(folder)} if folder else {})

    def load_benchmarks(self, only_files: bool = False, progress: Progress | None = None) -> dict[str, list[Problem]]:
        """The benchmarks kept out of the pool, by name; those of the hub not, with `only_files`."""
        settings, own = self.decontaminate, load_files(self.benchmarks, self.data)
        if (own and not settings.benchmarks) or (only_files and not settings.path):
            return own
        if progress and not settings.path:
            progress.log("reading benchmarks from the hub, or its cache where there is no network")
        return own | load_benchmarks(settings.benchmarks, self.resolve(settings.path) if settings.path else None)

    @property
    def models(self) -> list[ModelSettings]:
        """Every model: of the filters, the teachers and the judge."""
        judges = [self.judge] if self.judge else []
        return [model for settings in [*self.filters, *self.teachers, *judges] for model in settings.models]

    def run_steps(self) -> dict[str, list[str]]:
        """The steps, and what each depends on beside the ones before it."""
        filters = {settings.name: [f"filters.{n}", "suspect"] for n, settings in enumerate(self.filters)}
        pool = {"ingest": ["pool", "verifier"], "dedup": ["dedup"], "decontaminate": ["benchmarks", "decontaminate"]}
        chains = {"chains": ["filters", "teachers", "chains", "suspect"], "grade": ["grade", "judge"]}
        chosen = {"select": ["select"], "export": ["export", "system"]}
        return {**pool, **filters, **chains, **chosen, "funnel.json": [], UNDECIDED: []}

    @model_validator(mode="after")
    def _is_consistent(self) -> Recipe:
        names = [settings.name for settings in self.filters]
        if len(set(names)) < len(names) or set(names) & OTHER_STEPS:
            raise ValueError(
                f"the filters' names must differ from each other and from {', '.join(sorted(OTHER_STEPS))}"
            )
        if not self.teachers and not any(settings.teacher for settings in self.filters):
            raise ValueError("no model writes chains: add an entry to `teachers`, or set `teacher: true` on a filter")
        if self.grade.scorer == "judge" and self.judge is None:
            raise ValueError("the scorer `judge` needs `judge`: the models that give marks")
        return self


@dataclass(frozen=True, slots=True)
class CurateResult:
    """The dataset's folder, the funnel, whether this call did anything, and replies that never came."""

    folder: Path
    funnel: list[FunnelRow]
    n_selected: int
    did_nothing: bool
    lacks: list[Lack]


def run(
    recipe: Recipe,
    folder: str | Path,
    progress: Progress | None = None,
    n_workers: int = 1,
    opener: ModelOpener = open_model,
    retry_errors: bool = False,
) -> CurateResult:
    """Do what is missing of the run in `folder`; `n_workers` processes verify.

    `opener` makes a completer of a model's settings and the recipe's `data` folder.  With `retry_errors` rollouts that
    failed are requested again, and every step from the first with rollouts on is made anew.  Raises InputError (the
    input cannot be used, or a step keeps nothing: its table then holds the reasons), CollectionStopped, ModelError,
    StorageError.
    """
    recipe = recipe.with_prompts()
    run_folder = RunFolder(folder, recipe, recipe.verifier_code(), recipe.model_hashes())
    if retry_errors or not run_folder.done("export") or run_folder.differs():
        recipe.check_inputs()
    with run_folder:
        run_folder.check_inputs(recipe.pool_files())
        if retry_errors:
            first = next((one.name for one in recipe.filters), "chains")
            run_folder.redo(first, recipe.run_steps(), "failed requests are sent again")
        run_folder.remove_json(UNDECIDED)  # of a start that was stopped
        runner = recipe.runner(progress or NoProgress(), opener, retry_errors)
        try:
            return _Curation(recipe, run_folder, runner, n_workers).run()
        except CollectionStopped as stopped:
            run_folder.write_json(UNDECIDED, stopped.undecided)
            raise


Split = tuple[list[Row], list[Dropped]]


class _Curation:
    """One call of `run`; `done` names the steps done in it."""

    def __init__(self, recipe: Recipe, folder: RunFolder, runner: RolloutRunner, n_workers: int) -> None:
        self.recipe, self.folder, self.runner, self.n_workers = recipe, folder, runner, n_workers
        self.progress, self.pool = runner.progress, RunPool([])
        self.done: list[str] = []
        self.rates: dict[str, list[PassRate]] = defaultdict(list)  # by problem, one a filter it passed

    def run(self) -> CurateResult:
        folder = self.folder.path / SELECTED
        if all(self.folder.done(name) for name in self.recipe.run_steps() if "." not in name) and folder.is_dir():
            check_run_ledger(self.folder)
            self.progress.log(f"nothing to do: {folder} is complete")
            return self._result(folder)
        problems = self._pool()
        for settings in self.recipe.filters:
            problems = self._filter(settings, problems)
        chains = self._chains(problems)
        self._export(self._select(problems, *self._grade(problems, chains)), folder)
        return self._result(folder)

    def _result(self, folder: Path) -> CurateResult:
        funnel = self._funnel()
        if self.done or not (self.folder.path / "funnel.json").is_file():  # a kill may fall between the last two writes
            self.folder.write_json("funnel.json", [asdict(row) for row in funnel])
        lacks = noted_lacks(self.folder, self.recipe.run_steps())
        return CurateResult(folder, funnel, funnel[-1].n_kept, not self.done, lacks)

    def _step(self, name: str, n_in: int | None, work: Callable[[], Split], *also: Path) -> list[Row]:
        """Do the step, which writes `also`, unless it is done; the rows it kept.  `n_in` None: all kept and dropped."""
        if not self.folder.done(name):
            n_lacks = len(self.runner.lacks)
            with announced(self.progress, f"{name}: begins"):
                kept, dropped = work()
            note_lacks(self.folder, name, self.runner.lacks[n_lacks:])
            if n_in is not None and n_in != len(kept) + len(dropped):
                raise AssertionError(f"{name}: {n_in} came in, {len(kept)} were kept and {len(dropped)} dropped")
            self.folder.write_stage(name, kept, dropped, also)
            self.done.append(name)
            self.progress.log(f"{name}: kept {len(kept):,}, dropped {describe_dropped(dropped)}")
        rows = self.folder.read_stage(name)
        if not rows:
            lost = self.folder.read_dropped(name)
            key = tightest_setting(lost, name if name in Recipe.model_fields else self.recipe.run_steps()[name][0])
            do = how_to_loosen(key, self.folder.path)
            reasons = describe_dropped(lost, with_detail=True)
            raise InputError(f"nothing is left after {name}", reasons, "at least one kept", do)
        return rows

    def _pool(self) -> list[Problem]:
        recipe = self.recipe

        def read() -> Split:
            sources = [s.model_copy(update={"path": recipe.resolve(s.path)}) for s in recipe.pool.sources]
            ingested = ingest(sources, recipe.why_not(), recipe.pool)
            self.folder.write_problems(ingested.problems)
            rows = [{"id": problem.id, "row": number} for number, problem in enumerate(ingested.problems)]
            return rows, ingested.dropped

        self._step("ingest", None, read, self.folder.path / PROBLEMS)
        problems = self.folder.read_problems()
        self.pool = RunPool(problems)
        rows = self._step("dedup", len(problems), lambda: self._split(dedup(problems, recipe.dedup)))
        unique = [self.pool.problem(row) for row in rows]

        def compare() -> Split:
            benchmarks = recipe.load_benchmarks(progress=self.progress)
            return self._split(decontaminate(unique, benchmarks, recipe.decontaminate))

        return [self.pool.problem(row) for row in self._step("decontaminate", len(unique), compare)]

    def _split(self, split: tuple[list[Problem], list[Dropped]]) -> Split:
        return self.pool.rows(split[0]), split[1]

    def _filter(self, settings: FilterSettings, problems: list[Problem]) -> list[Problem]:
        name, band = settings.name, PassRateBand(settings.low, settings.high, settings.n_in_all)

        def work() -> Split:
            with open_run_ledger(self.folder) as ledger, self._verifier(ledger) as checker:
                rates = self.runner.run(settings, problems, ledger, checker, name, band)
                kept, dropped = apply_band(problems, rates, band, name)
                so_far = self.recipe.filters[: self.recipe.filters.index(settings) + 1]
                answers = self.runner.rollouts(so_far, problems, ledger)
                evidence = find_suspects(problems, answers, self.recipe.suspect, checker.same)
            outcomes = [rollout.verdict.outcome for of in answers.values() for rollout in of if rollout.verdict]
            if (n_cut := outcomes.count("truncated")) * 4 > len(outcomes):
                of_all = f"{n_cut:,} of {len(outcomes):,} rollouts"
                self.progress.log(f"{name}: {of_all} are cut off before an answer: raise sampling.max_tokens")
            easy = {d.problem_id for d in dropped if d.reason == TOO_EASY}
            suspect = evidence.keys() - easy  # a key that most rollouts reach is right, whatever else they agree on
            if settings is not self.recipe.filters[-1]:  # weak models agree on errors: stronger ones come later
                suspect -= {problem.id for problem in kept}
            dropped = [d for d in dropped if d.problem_id not in suspect]
            dropped += [Dropped(p.id, name, SUSPECT, evidence[p.id]) for p in problems if p.id in suspect]
            sound = [problem for problem in kept if problem.id not in suspect]
            rows = zip(self.pool.rows(sound), sound, strict=True)
            return [row | rate_columns(rates[problem.id], band) for row, problem in rows], dropped

        rows = self._step(name, len(problems), work)
        for row in rows:
            self.rates[row["id"]].append(pass_rate_of(row, name))
        return [self.pool.problem(row) for row in rows]

    def _chains(self, problems: list[Problem]) -> list[Chain]:
        teachers = [settings for settings in self.recipe.filters if settings.teacher] + self.recipe.teachers

        def work() -> Split:
            with open_run_ledger(self.folder) as ledger, self._verifier(ledger) as checker:
                for number, teacher in enumerate(self.recipe.teachers, start=1):
                    stage = f"teacher {number} of {len(self.recipe.teachers)}"
                    self.runner.run(teacher, problems, ledger, checker, stage)
                rollouts = self.runner.rollouts(teachers, problems, ledger)
                everyone = self.runner.rollouts([*self.recipe.filters, *self.recipe.teachers], problems, ledger)
                for problem, verdict in self._official(problems, checker):
                    rollouts[problem.id].append(official_rollout(problem, verdict))
                evidence = find_suspects(problems, everyone, self.recipe.suspect, checker.same)
            kept: list[Row] = []
            dropped: list[Dropped] = []
            for problem in problems:
                if problem.id in evidence:
                    suspect = Dropped(problem.id, "chains", SUSPECT, evidence[problem.id])
                    dropped += [suspect] * len(rollouts[problem.id])
                    continue
                chains, others = accept(problem, rollouts[problem.id], self.recipe.chains)
                kept += [asdict(chain) for chain in chains]
                dropped += others
            if len(kept) + len(dropped) != sum(map(len, rollouts.values())):
                raise AssertionError("chains: a rollout was lost")
            return kept, dropped

        return chains_from_table(self._step("chains", None, work))

    def _verifier(self, ledger: Ledger) -> Checker | JudgeVerifier:
        return open_recipe_verifier(self.recipe.verifier, self.runner, ledger, self.n_workers)

    def _official(self, problems: list[Problem], checker: Checker | JudgeVerifier) -> Iterator[tuple[Problem, Verdict]]:
        """The problems whose official solution competes, checked like any chain."""
        solved = [problem for problem in problems if problem.solution.strip()] if self.recipe.chains.official else []
        return zip(solved, checker.verify_many((p, Completion(p.solution)) for p in solved), strict=True)

    def _grade(self, problems: list[Problem], chains: list[Chain]) -> tuple[list[Chain], list[Grade]]:
        def work() -> Split:
            columns: dict[str, list[float]] | None = None
            missing: dict[int, str] = {}
            if self.recipe.grade.scorer == "judge" and self.recipe.judge is not None:
                statements = {problem.id: problem.problem for problem in problems}
                of_chains = [statements[chain.problem_id] for chain in chains]
                with open_run_ledger(self.folder) as ledger:
                    columns, missing = grade_by_model(chains, of_chains, self.recipe.judge, self.runner, ledger)
            marked = [chain for position, chain in enumerate(chains) if position not in missing]
            dropped = [
                Dropped(chains[k].problem_id, "grade", "no marks", {"chain": chain_hash(chains[k]), "why": reason})
                for k, reason in missing.items()
            ]
            return grade_rows(marked, grade(marked, self.recipe.grade, columns)), dropped

        return match_grades(chains, self._step("grade", len(chains), work))

    def _select(self, problems: list[Problem], chains: list[Chain], grades: list[Grade]) -> list[Candidate]:
        by_id = {problem.id: problem for problem in problems}
        pairs = zip(chains, grades, strict=True)
        candidates = [Candidate(by_id[c.problem_id], c, g, tuple(self.rates[c.problem_id])) for c, g in pairs]

        def work() -> Split:
            kept, dropped = select(candidates, self.recipe.select)
            return selected_rows(kept), dropped

        rows = self._step("select", len(candidates), work)
        by_hash = {chain_hash(candidate.chain): candidate for candidate in candidates}
        kept = [by_hash[row["chain_hash"]] for row in rows]
        if message := why_fewer(kept, self.folder.read_dropped("select"), self.recipe.select):
            self.progress.log(message)
        return kept

    def _export(self, selected: list[Candidate], folder: Path) -> None:
        chats = [prompts.messages(candidate.problem.problem, self.recipe.system) for candidate in selected]
        rows = [dataset_row(one, rank, chat) for rank, (one, chat) in enumerate(zip(selected, chats, strict=True), 1)]
        public, inputs = self.recipe.model_copy(update={"data": ""}).public(), self.folder.input_hashes()
        funnel = [step for step in self._funnel() if step.stage != "export"]
        hits = count_contaminated(self.folder.read_dropped("decontaminate"))
        uses, scorer = models_of(self.recipe), self.recipe.grade.scorer
        card = DatasetCard(funnel, public.to_yaml(), public.hash, self.recipe.export, hits, uses, scorer, inputs)
        write_dataset(rows, folder, card)
        whole = {"rows_hash": rows_hash(rows)}
        names = [{key: line[key] for key in ("rank", "problem_id", "chain_hash")} | whole for line in rows]
        self.folder.write_stage("export", names, [], (f for f in folder.iterdir() if f.suffix != ".md"))  # edited cards
        self.done.append("export")
        self.progress.log(f"export: {len(rows):,} rows in {folder}")

    def _funnel(self) -> list[FunnelRow]:
        found = "the files of this run cannot be read together"
        with nullcontext() if self.done else foreign_data(found, str(self.folder.path), "what limo wrote", RESTORE):
            rows = read_funnel(self.folder)
            check_funnel(rows)  # what this start made must add up
        return rows


def models_of(recipe: Recipe) -> list[ModelUse]:
    """Every model of a recipe with its stage, for the card."""
    uses = [(one.name, one) for one in recipe.filters] + [("teacher", one) for one in recipe.teachers]
    uses += [("judge", recipe.judge)] if recipe.judge else []
    sampling = "temperature {temperature:g}, top_p {top_p:g}, at most {max_tokens:,} tokens, seed {seed}"
    return [
        ModelUse(stage, model.name, settings.n, sampling.format(**settings.sampling.model_dump()))
        for stage, settings in uses
        for model in settings.models
    ]
