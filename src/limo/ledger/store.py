"""Every rollout that was ever paid for, with its verdict, in one SQLite file.

A row is named by its content (problem, model, prompt, sampling, index), never by when or where it ran; adding it again
changes nothing, except that a completion replaces a failure.  Once `add` has returned, its rows are on the disk (WAL,
synced at each commit).  `schema` lists the tables.

    with Ledger("runs/a/ledger.sqlite") as ledger:
        ledger.add(rollouts)
        correct = [r for r in ledger.rollouts(model="weak") if r.verdict and r.verdict.outcome == "correct"]
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from math import inf
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from limo.core.closing import Closing
from limo.core.errors import InputError, LimoError, MissingFileError, StorageError
from limo.core.files import check_room, sqlite_reading_address
from limo.core.records import FAILED, OTHER, Completion, Provenance, Rollout, Verdict
from limo.ledger import schema

_KEY = "problem_id = ? AND model = ? AND prompt_hash = ? AND sampling_hash = ? AND rollout_index = ?"
_ADD = """INSERT OR REPLACE INTO rollouts(problem_id, model, prompt_hash, sampling_hash, rollout_index, text,
    finish_reason, n_prompt_tokens, n_completion_tokens, elapsed_s, error, reasoning)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RANK = {"error": 0, OTHER: 1}  # of a finish reason; 2 for all others
_FINISH_REASON = f"SELECT finish_reason FROM rollouts WHERE {_KEY}"
_SET_VERDICT = f"""INSERT OR REPLACE INTO verdicts(rollout_id, outcome, extracted, reason, tier, elapsed_s, answer,
    verifier) SELECT id, ?, ?, ?, ?, ?, ?, ? FROM rollouts WHERE {_KEY}"""
_STORED = f"""SELECT text, finish_reason, rollout_id IS NULL FROM rollouts LEFT JOIN verdicts ON rollout_id = id
    WHERE {_KEY}"""
_DELETE_VERDICT = f"DELETE FROM verdicts WHERE rollout_id = (SELECT id FROM rollouts WHERE {_KEY})"
_SELECT = """SELECT problem_id, model, prompt_hash, sampling_hash, rollout_index, text, finish_reason, n_prompt_tokens,
    n_completion_tokens, r.elapsed_s, error, reasoning, outcome, extracted, reason, tier, v.elapsed_s, answer, verifier
    FROM rollouts AS r LEFT JOIN verdicts AS v ON v.rollout_id = r.id"""
_OUTCOMES = """SELECT problem_id, rollout_index, finish_reason, coalesce(outcome, ''), coalesce(answer, ''),
    coalesce(verifier, '') FROM rollouts LEFT JOIN verdicts ON rollout_id = id"""
_ORDER = " ORDER BY model, prompt_hash, sampling_hash, problem_id, rollout_index"
_USAGE = """SELECT model, total(n), total(n_in), total(n_out) FROM (
    SELECT model, count(*) AS n, total(n_prompt_tokens) AS n_in, total(n_completion_tokens) AS n_out FROM rollouts
    GROUP BY model UNION ALL SELECT model, 0, 0, total(n_completion_tokens) FROM lost GROUP BY model) GROUP BY model"""
_COUNT_LOST = """INSERT INTO lost VALUES (?, ?, ?, ?, ?) ON CONFLICT(start, model, reason)
    DO UPDATE SET n = n + excluded.n, n_completion_tokens = n_completion_tokens + excluded.n_completion_tokens"""
_BY_OUTCOME = """SELECT iif(finish_reason = 'error', 'error', coalesce(outcome, '')) AS name, count(*)
    FROM rollouts LEFT JOIN verdicts ON rollout_id = id WHERE model = ? GROUP BY name"""
_ADD_SECONDS = """INSERT INTO starts VALUES (?, ?)
    ON CONFLICT(start) DO UPDATE SET seconds = seconds + excluded.seconds"""

_UNDEFINED = """WITH used(kind, hash) AS (SELECT 'prompt', prompt_hash FROM rollouts UNION
    SELECT 'sampling', sampling_hash FROM rollouts) SELECT kind, hash FROM used WHERE hash NOT IN
    (SELECT hash FROM definitions WHERE definitions.kind = used.kind) LIMIT 1"""

Key = tuple[str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """A rollout without its text.  `outcome`, `answer` and `verifier` are those of its verdict, '' without one."""

    problem_id: str
    index: int
    finish_reason: str
    outcome: str
    answer: str
    verifier: str


class Usage(NamedTuple):
    """What a model was used for; the tokens include those known of lost requests."""

    n_rollouts: int
    n_prompt_tokens: int
    n_completion_tokens: int


class MergeCounts(NamedTuple):
    """`n_new` rollouts were added; `n_conflicts` are held by both ledgers with different texts: the first one stays."""

    n_new: int
    n_conflicts: int


class Ledger(Closing):
    """The file at `path`, made when missing; a context manager.  `read_only` opens an existing one for reading.

    Every method raises StorageError when the disk is full, read-only or the file is damaged; what was committed
    before stays.
    """

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        self.path = Path(path)
        self._start = uuid4().hex
        if read_only and not self.path.is_file() and not self.path.is_dir():
            raise MissingFileError("there is no ledger", self.path, "a ledger.sqlite of a run", "check the path")
        if self.path.is_dir():
            do = "name a file in it, such as ledger.sqlite"
            raise InputError("a ledger is a file, and this is a folder", self.path, "the name of a file", do)
        if self.path.exists() and not self.path.is_file():
            what, do = "a ledger is a file, and this is a device or a pipe", "name another file"
            raise InputError(what, self.path, "the name of a file", do)
        with self._storage_errors():
            if not read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            uri = sqlite_reading_address(self.path) if read_only else f"{self.path.absolute().as_uri()}?mode=rwc"
            self._db = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
            self._db.execute(f"PRAGMA query_only = {int(read_only)}")
        try:
            with self._storage_errors():
                schema.prepare(self._db, self.path, read_only)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file; committed rows are safe without it."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written in the block is committed together at its end, or not at all; blocks may be nested."""
        with self._storage_errors(), schema.transaction(self._db):
            yield

    def add(self, rollouts: Iterable[Rollout]) -> int:
        """Add rollouts, with their verdicts where they have one, in one transaction; how many were new.

        A stored rollout stays as it is, unless its request failed (finish_reason `error`) and the new one's did not, or
        the server ended it (`other`) and not the new one.
        """
        new: dict[Key, Rollout] = {}
        n_new, replaced = 0, []
        with self.transaction():
            for rollout in rollouts:
                key = _storable(rollout.key)
                stored = self._db.execute(_FINISH_REASON, key).fetchone() if key not in new else None
                before = new[key].completion.finish_reason if key in new else stored[0] if stored else None
                if before is None or _RANK.get(before, 2) < _RANK.get(rollout.completion.finish_reason, 2):
                    new[key] = rollout
                    n_new += 1
                    replaced += [key] if stored else []
            self._db.executemany(_DELETE_VERDICT, replaced)
            self._db.executemany(_ADD, [_storable((*r.key, *_completion_row(r.completion))) for r in new.values()])
            self.set_verdicts((r.key, r.verdict) for r in new.values() if r.verdict is not None)
        return n_new

    def set_verdicts(self, verdicts: Iterable[tuple[Key, Verdict]]) -> None:
        """Attach verdicts to rollouts by `Rollout.key`, in one transaction; an earlier verdict is replaced.

        Raises KeyError, and writes nothing, when a rollout is not in the ledger.
        """
        rows = [_storable((*_verdict_row(verdict), *key)) for key, verdict in verdicts]
        with self.transaction():
            n_set = self._db.executemany(_SET_VERDICT, rows).rowcount if rows else 0
            if n_set < len(rows):
                raise KeyError(f"{len(rows) - n_set} verdicts are of rollouts that the ledger does not hold")

    def rollouts(
        self, model: str | None = None, prompt_hash: str | None = None, sampling_hash: str | None = None,
        problem_ids: Iterable[str] | None = None,
    ) -> Iterator[Rollout]:  # fmt: skip
        """The matching rollouts, ordered by model, prompt, sampling, problem and index: never by arrival."""
        where, values = _where(model, prompt_hash, sampling_hash, problem_ids)
        with self._storage_errors():
            for row in self._db.execute(_SELECT + where + _ORDER, values):
                verdict = Verdict(*row[12:]) if row[12] is not None else None
                problem_id, name, prompt, sampling, index = row[:5]
                if not 0 <= row[9] < inf:  # checked here, since it lies behind the text
                    raise self._damaged(f"a time of {row[9]} s, of {problem_id}")
                yield Rollout(problem_id, name, prompt, sampling, index, Completion(*row[5:12]), verdict)

    def _damaged(self, fault: str) -> StorageError:
        do = "restore a copy"
        return StorageError(f"the ledger is damaged ({fault})", self.path, "tables as limo writes them", do)

    def outcomes(
        self, model: str, prompt_hash: str, sampling_hash: str, problem_ids: Iterable[str] | None = None
    ) -> Iterator[StoredOutcome]:
        """As `rollouts`, without their texts."""
        where, values = _where(model, prompt_hash, sampling_hash, problem_ids)
        with self._storage_errors():
            for row in self._db.execute(_OUTCOMES + where + _ORDER, values):
                yield StoredOutcome(*row)

    def usage_by_model(self) -> dict[str, Usage]:
        """Rollouts and tokens of each model."""
        with self._storage_errors():
            rows = self._db.execute(_USAGE).fetchall()
        return {model: Usage(*map(int, counts)) for model, *counts in rows}

    def count_lost(self, model: str, reason: str, n: int, n_completion_tokens: int) -> None:
        """Count requests of this start that were sent and will never be rollouts."""
        with self.transaction():
            self._db.execute(_COUNT_LOST, (self._start, model, reason, n, n_completion_tokens))

    def n_lost(self, model: str | None = None) -> int:
        """How many requests were lost, of all models or one, in all starts."""
        where, values = (" WHERE model = ?", [model]) if model is not None else ("", [])
        with self._storage_errors():
            return int(self._db.execute("SELECT coalesce(sum(n), 0) FROM lost" + where, values).fetchone()[0])

    def add_seconds(self, seconds: float) -> None:
        """Add to the time that this start has spent requesting."""
        with self.transaction():
            self._db.execute(_ADD_SECONDS, (self._start, seconds))

    def seconds(self) -> float:
        """Time spent requesting, over all starts."""
        with self._storage_errors():
            return float(self._db.execute("SELECT coalesce(sum(seconds), 0) FROM starts").fetchone()[0])

    def merge(self, path: str | Path) -> MergeCounts:
        """Add another ledger's rollouts, verdicts and definitions.  Repeating it is safe.

        A stored completion stays as it is; a failure is replaced.  Raises InputError when one name stands for two
        models, MissingFileError, StorageError.
        """
        n_new = n_conflicts = 0
        with Ledger(path, read_only=True) as other, self.transaction():
            if not len(self):
                check_room(self.path, other.path.stat().st_size, "this ledger")
            for (kind, name), content in other.definitions().items():
                if self.define(kind, name, content) != content and kind == "model":
                    do = "give each model its own name, and merge ledgers that agree on them"
                    raise InputError("the ledgers hold two models by one name", name, "one model a name", do)
            lost, starts = other._db.execute("SELECT * FROM lost"), other._db.execute("SELECT * FROM starts")
            self._db.executemany("INSERT OR IGNORE INTO lost VALUES (?, ?, ?, ?, ?)", lost)
            self._db.executemany("INSERT OR IGNORE INTO starts VALUES (?, ?)", starts)
            rollouts = other.rollouts()
            while batch := list(islice(rollouts, 1000)):
                n_new += self.add(batch)
                for rollout in batch:
                    text, finish_reason, lacks_verdict = self._db.execute(_STORED, rollout.key).fetchone()
                    if text != rollout.completion.text:
                        n_conflicts += not {finish_reason, rollout.completion.finish_reason} & set(FAILED)
                    elif rollout.verdict and lacks_verdict:
                        self.set_verdicts([(rollout.key, rollout.verdict)])
        return MergeCounts(n_new, n_conflicts)

    def __len__(self) -> int:
        with self._storage_errors():
            return int(self._db.execute("SELECT count(*) FROM rollouts").fetchone()[0])

    def define(self, kind: str, name: str, content: str) -> str:
        """Store what a name in `rollouts` stands for, unless it is defined; its definition.

        `kind` is `prompt` (its system text), `sampling` (JSON), `model` (a hash of its files), `tokens` (`estimated`
        for a model of which some tokens were not counted by its server) or `ledger` (see `names`).
        """
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO definitions VALUES (?, ?, ?)", _storable((name, kind, content)))
            select = "SELECT content FROM definitions WHERE hash = ? AND kind = ?"
            return str(self._db.execute(select, (name, kind)).fetchone()[0])

    def definitions(self) -> dict[tuple[str, str], str]:
        """What names stand for, by (kind, name); see `define`."""
        with self._storage_errors():
            rows = self._db.execute("SELECT kind, hash, content FROM definitions")
            return {(kind, name): content for kind, name, content in rows}

    def check_definitions(self) -> None:
        """Raise StorageError where a prompt or sampling of rollouts has no definition: what they are is lost then."""
        with self._storage_errors():
            if row := self._db.execute(_UNDEFINED).fetchone():
                raise self._damaged(f"the {row[0]} {row[1]} of rollouts is not defined")

    def names(self) -> list[str]:
        """By which runs know this ledger: its own and those of ledgers that it was merged with, the oldest first."""
        with self._storage_errors():
            rows = self._db.execute("SELECT hash FROM definitions WHERE kind = 'ledger' ORDER BY rowid").fetchall()
        return [name for (name,) in rows]

    def give_name(self, name: str = "") -> str:
        """Give this ledger a name, by default a new random one, which copies and merged ledgers keep."""
        self.define("ledger", name := name or uuid4().hex, "")
        return name

    def estimated(self) -> set[str]:
        """The models of which some tokens are estimates."""
        return {name for kind, name in self.definitions() if kind == "tokens"}

    def n_by_outcome(self, model: str) -> dict[str, int]:
        """Rollouts of a model by the outcome of their verdict; failed ones as `error`, those without verdict as ''."""
        with self._storage_errors():
            return dict(self._db.execute(_BY_OUTCOME, (model,)).fetchall())

    def integrity_errors(self) -> list[str]:
        """The complaints of SQLite's integrity check, and times that are none; empty when sound."""
        with self._storage_errors():
            errors = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            times = self._db.execute(
                "SELECT problem_id, elapsed_s FROM rollouts WHERE NOT elapsed_s BETWEEN 0 AND 1e12"
            )
            return errors + [f"a time of {seconds} s, of {problem_id}" for problem_id, seconds in times]

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        """Turn the errors of SQLite and of the disk into StorageError."""
        try:
            yield
        except LimoError:
            raise
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
                raise  # a mistake in this program, not of the disk
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB and not _is_sqlite(self.path):
                what, do = "the file is empty or of another program", "name another file"
                raise StorageError(what, self.path, "a ledger", do) from error
            what, do = _explanation(str(error))
            raise StorageError(f"{what} ({error})", self.path, "", do) from error


def provenance(rollouts: Iterable[Rollout], run: str | Path = "", ledger: str | Path = "") -> Provenance:
    """The source of a number computed from rollouts (one or more) of a ledger; several models etc. are all named."""
    rows = [(r.model, r.prompt_hash, r.sampling_hash, r.verdict.verifier if r.verdict else "") for r in rollouts]
    columns = [", ".join(sorted(set(names) - {""})) for names in zip(*rows, strict=True)]
    return Provenance(str(run), str(ledger), *columns)


def _is_sqlite(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _explanation(error: str) -> tuple[str, str]:
    """What is wrong and what to do, for an error text of SQLite or of the system."""
    if "full" in error or "No space" in error or "disk I/O" in error:
        return "the ledger's disk is full or failing", "free some space and start again: what was committed is safe"
    if "unable to open" in error:
        return (
            "the ledger cannot be opened here",
            "check the permissions, or copy its folder to where it can be written",
        )
    if "readonly" in error or "read-only" in error.lower() or "denied" in error:
        return "the ledger cannot be written", "check the permissions or name another folder"
    if "locked" in error:
        return "the ledger is in use", "wait for the other process or name another folder"
    return "the ledger is damaged", "restore a copy, or save what is left with: sqlite3 FILE .recover"


def _where(
    model: str | None, prompt_hash: str | None, sampling_hash: str | None, problem_ids: Iterable[str] | None
) -> tuple[str, list[str]]:
    """A WHERE clause over what is given, and its values."""
    filters = {"model = ?": model, "prompt_hash = ?": prompt_hash, "sampling_hash = ?": sampling_hash}
    if problem_ids is not None:
        filters["problem_id IN (SELECT value FROM json_each(?))"] = json.dumps(list(problem_ids))
    given = {clause: value for clause, value in filters.items() if value is not None}
    return (" WHERE " + " AND ".join(given) if given else ""), list(given.values())


_completion_row = attrgetter(
    *(f.name for f in fields(Completion) if f.name != "is_estimated")
)  # in the order of the columns
_verdict_row = attrgetter(*(field.name for field in fields(Verdict)))


def _storable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values that SQLite can hold: half surrogates, which UTF-8 does not have, become U+FFFD."""
    return tuple([
        value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if isinstance(value, str) and not value.isascii()
        else value
        for value in values
    ])  # fmt: skip
