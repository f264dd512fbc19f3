"""The folder of a run: its recipe, environment and tables; a stage in it is either done or not begun.

`recipe.yaml` (resolved) holds the settings, `environment.json` the machine and packages, `problems.parquet` the pool
as it was read, `stages/` for each stage one Parquet file of what was kept and one of what was dropped and why.  Tables
are written whole, the kept one last; after a kill the same command continues.

A recipe may change while the run has made nothing.  Later, what depends on the changed keys is made again
(`Settings.run_steps`), and the ledger, which knows rollouts by model, prompt and sampling, pays for none twice.  What a
step wrote is noted in `outputs.json`: at the next start a step whose files are not as they were is made again, and all
after it.  `ledger.json` holds the ledger's name and how many rollouts it had: what is gone is not paid for again.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pydantic

from limo.core import run_files
from limo.core.environment import environment
from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.files import atomic, hash_path, locked, remove, storage_errors, write_json, write_text
from limo.core.recipe import Settings, differing, is_within
from limo.core.records import Dropped, Problem, Row
from limo.core.run_files import INPUTS, OUTPUTS, LedgerNote, checker, read_json, read_outputs, read_recipe, readable
from limo.core.tables import read_table, write_table

PROBLEMS = "problems.parquet"
ASKED = "asked.json"
"""What a lab was last started for: the names of its experiments, and the training seeds."""
LEDGER_NOTE = "ledger.json"
LEDGER = "ledger.sqlite"
LACKS = "lacks.json"
"""What steps lack since requests failed for good, by step."""
_BOOKKEEPING = {"recipe.yaml", "environment.json", INPUTS, OUTPUTS, LEDGER_NOTE, LACKS, ASKED, ".lock"}
_FOLDERS = {"stages", "selected", "model", "checkpoints"}
_RESULTS = {PROBLEMS, LEDGER, "funnel.json", "scores.json", "evaluations.json", "undecided.json"}
OWN_NAMES = _BOOKKEEPING | _FOLDERS | _RESULTS
"""What limo writes into runs, where nothing else is to be written."""


@dataclass(frozen=True, slots=True)
class StageCounts:
    """Counts of a stage: rows kept, rows dropped, and the dropped ones by reason."""

    n_kept: int
    n_dropped: int
    n_by_reason: dict[str, int] = field(default_factory=dict)


class RunFolder:
    """One run.  With a recipe it is opened for work (use `with`: it is locked); without one it is only read.

    `contents`: key of the recipe -> hash of what its path holds: a copy elsewhere is no other recipe, and another
    content is.  `models`: hashes by name of what may not change in a run, since its ledger names rollouts by it.
    `redone`: after opening, one line about what a changed recipe or file makes anew and replaces, or ''; logged too.

    Raises InputError when the folder was made by another recipe or models or another process works in it,
    MissingFileError when it should be read and is no run, StorageError when the disk refuses or its ledger is gone.
    """

    def __init__(
        self, path: str | Path, recipe: Settings | None = None, contents: Mapping[str, str] | None = None,
        models: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self.redone = ""
        self._recipe, self._models = recipe, dict(models or {})
        self._contents = {key: value for key, value in (contents or {}).items() if value}
        self._held = contextlib.ExitStack()
        self._is_open = False
        if recipe is None and not (self.path / "recipe.yaml").is_file():
            allowed = "a folder made by a limo command"
            do = "check the path; a run is there from the beginning of its command on, such as limo curate"
            raise MissingFileError("this folder is not a run", path, allowed, do)

    @property
    def ledger_path(self) -> Path:
        """Where this run's rollouts are, unless the recipe shares a ledger between runs."""
        return self.path / LEDGER

    def __enter__(self) -> Self:
        if self._recipe is not None:
            self._open(self._recipe)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._held.close()

    def _open(self, recipe: Settings) -> None:
        with storage_errors(self.path):
            (self.path / "stages").mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.path, "another process uses this run"))
            self._refuse_without_recipe()
            self.check_ledger(None)
            if self._has_results():
                self._compare_inputs(self._models)
            self._check_recipe(recipe)
            for leftover in [*self.path.glob(".*.tmp"), *self.path.glob("stages/.*.tmp")]:
                remove(leftover)
            self._is_open = True
            self._check_outputs(list(recipe.run_steps()))
            self._store_inputs({**self._contents, **self._models})
            self._store_environment()
            self._held = stack.pop_all()

    def check_inputs(self, files: Mapping[str, str]) -> None:
        """Compare the content of files and folders, by name, with that of the run's first start; absent ones are not.

        Raises InputError for one that has changed: what is done already would answer for another input.
        """
        self._must_be_open()
        hashes = {name: content for name, path in files.items() if (content := hash_path(path))}
        self._compare_inputs(hashes, files)
        self._store_inputs(hashes)

    def _compare_inputs(self, hashes: Mapping[str, str], shown: Mapping[str, str] | None = None) -> None:
        stored = self.input_hashes()
        for name in hashes:
            if hashes[name] != stored.get(name, hashes[name]):
                what, value = f"{name} has changed since this run was begun", shown[name] if shown else self.path
                raise InputError(what, value, "the same content", "put the former file back or name another --run")

    def check_ledger(self, n_rollouts: int | None, names: Sequence[str] = ()) -> str:
        """Compare the ledger's number of rollouts and its names, if it is open, with what they were; note them.

        Returns the name.  Raises StorageError for a ledger that is another, is gone, empty, or holds fewer rollouts:
        they would be paid for again.
        """
        note, file = self.path / LEDGER_NOTE, self.ledger_path
        stored = run_files.read_ledger_note(note)
        n_before, name = stored.n_rollouts, stored.name or next(iter(names), "")
        if names and name not in names:
            do = f"put the run's own back (`limo ledger merge` takes both into one), or remove {note.name} there"
            raise StorageError("this ledger is not that of this run", file, "the ledger as it was", do)
        is_gone = note.is_file() and not (file.is_file() and file.stat().st_size)
        if is_gone or (n_rollouts is not None and n_rollouts < n_before):
            what = f"the ledger of this run held {n_before:,} rollouts, and {'is gone' if is_gone else 'lacks some'}"
            do = f"put it back, name another --run, or remove {note.name} there to pay for them again"
            raise StorageError(what, file, "the ledger as it was", do)
        now = LedgerNote(max(n_rollouts or 0, n_before), name)
        if self._is_open and n_rollouts is not None and (now != stored or not note.is_file()):
            self.write_json(note.name, asdict(now))
        return name

    def input_hashes(self) -> dict[str, str]:
        """What the run was begun with: the hash of each file and folder by its name."""
        return self.read_json(INPUTS, dict[str, str]) if (self.path / INPUTS).exists() else {}

    def _store_inputs(self, hashes: Mapping[str, str]) -> None:
        stored = self.input_hashes()
        if hashes.items() - stored.items():
            self.write_json(INPUTS, {**stored, **hashes})

    def _check_recipe(self, recipe: Settings) -> None:
        """Take the recipe as the run's own, once what a changed one makes anew is removed.  Raises InputError."""
        file = self.path / "recipe.yaml"
        if self._has_results():
            stored, inputs = _stored(file, type(recipe)), self.input_hashes()
            keys = differing(stored, recipe.identity())
            keys = [key for key in keys if key not in self._contents or inputs.get(key) != self._contents[key]]
            keys += [key for key, content in self._contents.items() if inputs.get(key, content) != content]
            if keys:
                self._forget(keys, recipe.run_steps())
            elif stored == recipe.identity():
                return
        else:
            (self.path / INPUTS).unlink(missing_ok=True)
        write_text(file, recipe.to_yaml())

    def differs(self) -> bool:
        """Whether the run was begun with another recipe."""
        file, recipe = self.path / "recipe.yaml", self._recipe
        return recipe is not None and file.exists() and _stored(file, type(recipe)) != recipe.identity()

    def _refuse_without_recipe(self) -> None:
        """Raise StorageError for a run whose recipe is gone: whether its results are those asked for cannot be told."""
        if (self.path / "environment.json").is_file() and not (self.path / "recipe.yaml").is_file():
            do = "put the recipe back, or name another --run"
            raise StorageError("the recipe of this run is gone", self.path / "recipe.yaml", "the file as it was", do)

    def _has_results(self) -> bool:
        """Whether anything but the notes of the run itself is there."""
        files = (path for path in self.path.rglob("*") if path.is_file() and path.name not in _BOOKKEEPING)
        return (self.path / "recipe.yaml").exists() and any(path.suffix != ".tmp" for path in files)

    def _forget(self, keys: list[str], steps: Mapping[str, Sequence[str]]) -> None:
        """Remove what depends on changed keys: a step, and all after it.  Raises InputError where no step does."""
        names, positions = list(steps), []
        for key in keys:
            found = [n for n, name in enumerate(names) if any(is_within(key, other) for other in steps[name])]
            positions.append(found[0] if found else -1)
        shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
        if min(positions) < 0:
            what = f"this run was made by another recipe (differs in {shown})"
            do = "set the keys back or name another --run"
            do += " (`limo ledger merge` takes its rollouts along)" if self.ledger_path.exists() else ""
            raise InputError(what, self.path, "the recipe it was begun with", do)
        self._remove_from(names, min(positions), f"the recipe has changed in {shown}")
        if not min(positions):
            (self.path / INPUTS).unlink(missing_ok=True)

    def redo(self, step: str, steps: Iterable[str], why: str) -> None:
        """Remove one of the run's steps and all after it, to be made anew; the ledger keeps their rollouts."""
        self._must_be_open()
        names = list(steps)
        self._remove_from(names, names.index(step), why)

    def _remove_from(self, names: Sequence[str], first: int, why: str) -> None:
        """Remove a step and all after it."""
        gone = ", ".join(name for name in names[first:] if self.done(name) or (self.path / name).exists())
        self.redone = f"{why}: made anew from {names[first]} on"
        self.redone += f"; replaced, and not kept: {gone}; another --run keeps both" if gone else ""
        logging.getLogger(__name__).warning(self.redone)
        with storage_errors(self.path):
            for kept in self.path.glob("stages/*.kept.parquet"):
                if kept.name.removesuffix(".kept.parquet") not in names[:first]:
                    kept.unlink()
                    kept.with_name(kept.name.replace(".kept.", ".dropped.")).unlink(missing_ok=True)
            for name in names[first:]:
                (self.path / name).unlink(missing_ok=True)
        if noted := read_outputs(self.path):
            write_json(self.path / OUTPUTS, {step: noted[step] for step in noted if step in names[:first]})

    def _note_outputs(self, step: str, files: Mapping[Path, str]) -> None:
        hashes = {str(file.relative_to(self.path)): content for file, content in files.items()}
        if (noted := read_outputs(self.path)).get(step, {}) != hashes:
            write_json(self.path / OUTPUTS, {k: of for k, of in {**noted, step: hashes}.items() if of})

    def _check_outputs(self, names: Sequence[str]) -> None:
        """Remove the first of the steps `names` of which a file is not as it was written, and all after it."""
        noted = read_outputs(self.path)
        for number, step in enumerate(names):
            files = noted.get(step, {})
            is_table = f"stages/{step}.kept.parquet" in files
            if is_table and not self.done(step) and not noted.keys() & {*names[number + 1 :]}:
                continue  # killed between this note and the table's own name
            for file, content in files.items():
                if hash_path(self.path / file) != content:
                    self._remove_from(names, number, f"{file} is not as it was written")
                    return

    def _store_environment(self) -> None:
        """Store the environment of the first start; those of later starts that differ are added."""
        now, file = environment(), self.path / "environment.json"
        stored: Row = self.read_json(file.name, Row) if file.exists() else dict(now)
        later = stored["later"] if isinstance(stored.get("later"), list) else []
        if now not in ({key: value for key, value in stored.items() if key != "later"}, *later):
            stored["later"] = [*later, now]
        self.write_json(file.name, stored)

    def done(self, stage: str) -> bool:
        """Whether both tables of the stage are there."""
        return self._file(stage, "kept").exists()

    def write_stage(self, stage: str, kept: list[Row], dropped: list[Dropped], also: Iterable[Path] = ()) -> None:
        """Store what a stage kept and what it dropped; a stage written again replaces the former whole.

        `also`: other files that it wrote in the run, which are to stay as they are too.
        """
        self._must_be_open()
        orders = self._orders()
        order = str(orders.get(stage, max(orders.values(), default=-1) + 1))
        why = [{"problem_id": d.problem_id, "stage": d.stage, "reason": d.reason, "detail": d.detail} for d in dropped]
        with storage_errors(self.path):
            self._file(stage, "kept").unlink(missing_ok=True)  # from here until the last line the stage is not done
        with atomic(self._file(stage, "dropped")) as path:
            write_table(why, path, {"limo.order": order}, exact=True)
        with atomic(self._file(stage, "kept")) as path:
            write_table(kept, path, {"limo.order": order}, exact=True)
            files = {self._file(stage, "dropped"): hash_path(self._file(stage, "dropped"))}
            files[self._file(stage, "kept")] = hash_path(path)  # noted before it has its name: no kill falls between
            self._note_outputs(stage, files | {file: hash_path(file) for file in also})

    def write_problems(self, problems: list[Problem]) -> None:
        """Store the pool of the run, once; stages name its rows by number and add columns of their own."""
        self._must_be_open()
        with atomic(self.path / PROBLEMS) as path:
            write_table([asdict(problem) for problem in problems], path, exact=True)

    def read_problems(self) -> list[Problem]:
        """The pool of the run, in the order in which it was stored."""
        file = self.path / PROBLEMS
        with readable(file, "the run has no pool", "run the stage that reads it"):
            return checker(list[Problem]).validate_python(read_table(file))

    def read_stage(self, stage: str) -> list[Row]:
        """The rows that the stage kept; a key that a row lacked is None."""
        return self._read(stage, "kept")

    def read_dropped(self, stage: str) -> list[Dropped]:
        """What the stage dropped and why."""
        rows, file = self._read(stage, "dropped"), self._file(stage, "dropped")
        with readable(file):
            return checker(list[Dropped]).validate_python(rows)

    def counts(self) -> dict[str, StageCounts]:
        """Every stage that is done, in the order they were done, with its counts: the funnel."""
        import pyarrow.parquet as pq

        orders = self._orders()
        counted: dict[str, StageCounts] = {}
        for stage in sorted(filter(self.done, orders), key=lambda stage: orders[stage]):
            file = self._file(stage, "kept")
            with readable(file):
                n_kept = pq.read_metadata(file.absolute()).num_rows
            reasons = Counter(d.reason for d in self.read_dropped(stage))
            counted[stage] = StageCounts(n_kept, sum(reasons.values()), dict(reasons.most_common()))
        return counted

    def _orders(self) -> dict[str, int]:
        """The position of each stage, as noted in its file of dropped rows, which is written first."""
        import pyarrow.parquet as pq

        orders = {}
        for file in (self.path / "stages").glob("*.dropped.parquet"):
            with readable(file):
                notes = pq.read_metadata(file.absolute()).metadata or {}
            orders[file.name.removesuffix(".dropped.parquet")] = int(notes.get(b"limo.order", b"0"))
        return orders

    def write_json(self, name: str, value: object) -> None:
        """Store a small value as a file of the run, whole."""
        self._must_be_open()
        write_json(self.path / name, value)
        if self._recipe is not None and name in self._recipe.run_steps():
            self._note_outputs(name, {self.path / name: hash_path(self.path / name)})

    def remove_json(self, name: str) -> None:
        """Remove what `write_json` stored, its note first."""
        self._must_be_open()
        self._note_outputs(name, {})
        (self.path / name).unlink(missing_ok=True)

    def read_json(self, name: str, kind: Any = Any) -> Any:
        """A value stored by `write_json`, of that type."""
        return read_json(self.path / name, kind, "the run has no such file", "run the stage that writes it")

    def _file(self, stage: str, kind: str) -> Path:
        return self.path / "stages" / f"{stage}.{kind}.parquet"

    def _read(self, stage: str, kind: str) -> list[Row]:
        if not self.done(stage):
            raise MissingFileError("this stage is not done", f"{self.path}: {stage}", "", "run it first")
        with readable(file := self._file(stage, kind)):
            return read_table(file)

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("a RunFolder is written only inside `with RunFolder(path, recipe)`")


class RunPool:
    """The pool of a run, and the rows by which the tables of its stages name their problems.

    A row holds the problem's `id`, its `row` in problems.parquet, and in `meta` the keys that stages added to it.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self._number_of: dict[tuple[str, ...], int] = {}
        for number, problem in enumerate(problems):
            self._number_of.setdefault(_key(problem), number)

    def rows(self, problems: Iterable[Problem]) -> list[Row]:
        """A row for each problem, whose `meta` may have grown."""
        rows = []
        for problem in problems:
            number = self._number_of[_key(problem)]
            old = self.problems[number].meta
            added = {key: value for key, value in problem.meta.items() if key not in old or old[key] != value}
            rows.append({"id": problem.id, "row": number, "meta": added})
        return rows

    def problem(self, row: Row) -> Problem:
        """The problem that a row names."""
        problem = self.problems[row["row"]]
        return replace(problem, meta={**problem.meta, **row["meta"]}) if row.get("meta") else problem


def _key(problem: Problem) -> tuple[str, ...]:
    """Ids repeat before duplicates are dropped: what else makes two rows of a pool the same."""
    return (problem.id, problem.answer, problem.solution, problem.source, problem.topic, problem.language)


def _stored(file: Path, model: type[Settings]) -> Row:
    """The run's recipe with the defaults of today for keys that were not known when it was made."""
    values = read_recipe(file)
    try:
        return model.model_validate(values).identity()
    except pydantic.ValidationError:
        return values  # of another kind of recipe; the comparison will name the keys
