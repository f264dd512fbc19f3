"""Every rollout that was ever paid for, with its verdict, in one SQLite file.

Difficulty, chains and evaluation are three readings of this file, so a rollout is asked once, ever.  A row is named
by its content (problem, model, prompt, sampling, index), never by when or where it ran; adding it again changes
nothing, except that an answer takes the place of a failure.  What `add` returned from is on the disk (WAL, synced at
each commit), so a process killed at any point loses at most the group it was working on.

    with Ledger("runs/a/ledger.sqlite") as ledger:
        ledger.add(rollouts)
        right = [r for r in ledger.rollouts(model="weak") if r.verdict and r.verdict.outcome == "correct"]

Readable with plain SQL (`schema` tells the tables):

      SELECT problem_id, count(*) AS n, sum(outcome = 'correct') AS n_correct
      FROM rollouts LEFT JOIN verdicts ON rollout_id = id WHERE model = 'weak' GROUP BY problem_id;

What it does not do: ask a model, check an answer, or decide anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from limo.core.errors import InputError, LimoError, MissingFileError, StorageError
from limo.core.records import Completion, Rollout, Verdict
from limo.ledger import schema

TOGETHER = 256  # rollouts in one statement: 12 values each, and SQLite takes 32,766
STEP = 32  # a statement is filled up to a multiple of this with empty rows: few statements, which stay compiled
_ADD = """INSERT INTO rollouts(problem_id, model, prompt_hash, sampling_hash, attempt, text, finish_reason,
    n_prompt_tokens, n_completion_tokens, elapsed_s, error, reasoning)
    SELECT * FROM (VALUES {}) WHERE coalesce(column1, column5) IS NOT NULL"""
_ADD_VERDICTS = """INSERT INTO verdicts(rollout_id, outcome, extracted, reason, tier, elapsed_s, answer, verifier)
    SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL"""
_KNOWN = """WITH given(problem_id, model, prompt_hash, sampling_hash, attempt) AS (VALUES {})
    SELECT id, finish_reason != 'error', problem_id, model, prompt_hash, sampling_hash, attempt
    FROM given CROSS JOIN rollouts USING (problem_id, model, prompt_hash, sampling_hash, attempt)"""
_SET_VERDICT = """INSERT OR REPLACE INTO verdicts(rollout_id, outcome, extracted, reason, tier, elapsed_s, answer, verifier)
    SELECT id, ?, ?, ?, ?, ?, ?, ? FROM rollouts
    WHERE problem_id = ? AND model = ? AND prompt_hash = ? AND sampling_hash = ? AND attempt = ?"""
_SELECT = """SELECT problem_id, model, prompt_hash, sampling_hash, attempt, text, finish_reason, n_prompt_tokens,
    n_completion_tokens, r.elapsed_s, error, reasoning, outcome, extracted, reason, tier, v.elapsed_s, answer, verifier
    FROM rollouts AS r LEFT JOIN verdicts AS v ON v.rollout_id = r.id"""
_OUTCOMES = """SELECT problem_id, attempt, finish_reason = 'error', outcome, answer
    FROM rollouts LEFT JOIN verdicts ON rollout_id = id WHERE model = ? AND prompt_hash = ? AND sampling_hash = ?
    ORDER BY problem_id, attempt"""
_SPENT = """SELECT model, sum(n), sum(n_in), sum(n_out) FROM (
    SELECT model, count(*) AS n, sum(n_prompt_tokens) AS n_in, sum(n_completion_tokens) AS n_out FROM rollouts
    GROUP BY model UNION ALL SELECT model, 0, 0, sum(n_completion_tokens) FROM lost GROUP BY model) GROUP BY model"""
_LOSE = """INSERT INTO lost VALUES (?, ?, ?, ?, ?) ON CONFLICT(start, model, reason)
    DO UPDATE SET n = n + excluded.n, n_completion_tokens = n_completion_tokens + excluded.n_completion_tokens"""
_BY_OUTCOME = """SELECT iif(finish_reason = 'error', 'error', coalesce(outcome, '')) AS name, count(*)
    FROM rollouts LEFT JOIN verdicts ON rollout_id = id WHERE model = ? GROUP BY name"""
_WORKED = """INSERT INTO starts VALUES (?, ?) ON CONFLICT(start) DO UPDATE SET seconds = seconds + excluded.seconds"""
_HAS_VERDICT = """SELECT 1 FROM rollouts JOIN verdicts ON rollout_id = id
    WHERE problem_id = ? AND model = ? AND prompt_hash = ? AND sampling_hash = ? AND attempt = ?"""

Key = tuple[str, str, str, str, int]


class Ledger:
    """The file at `path`, made when missing; a context manager.  `read_only` opens an existing one without writing.

    Every method raises StorageError when the disk is full, read-only or the file is damaged; what was committed
    before stays.
    """

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        self.path = Path(path)
        self._start = uuid4().hex
        if read_only and not self.path.is_file():
            raise MissingFileError("there is no ledger", self.path, "a ledger.sqlite of a run", "check the path")
        with self._storage():
            if not read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            where = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(where, uri=True, timeout=30, isolation_level=None)
        try:
            with self._storage():
                schema.bring_up(self._db, self.path, read_only)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; committed rows are safe without it."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written in the block is committed together at its end, or not at all; blocks may be nested."""
        with self._storage(), schema.transaction(self._db):
            yield

    def add(self, rollouts: Iterable[Rollout]) -> int:
        """Add rollouts, with their verdicts where they have one, in one transaction; the number of new answers.

        A rollout that is there already stays as it is; one that failed (finish_reason `error`) gives way to an answer.
        """
        rows = list(rollouts)
        with self.transaction():
            return sum(self._add(rows[start : start + TOGETHER]) for start in range(0, len(rows), TOGETHER))

    def _add(self, rows: list[Rollout]) -> int:
        """Add a few with one statement for each table: threads that ask meanwhile are kept waiting once, not for each.

        SQLite numbers the rows of one statement one after another, so verdicts need not look for their rollouts.
        """
        new, n_new = rows, len(rows)
        try:
            last = self._together(_ADD, [_row(r) for r in new]).lastrowid
        except sqlite3.IntegrityError:  # some are here already, which is seldom; none was added
            new, n_new = self._new(rows)
            last = self._together(_ADD, [_row(r) for r in new]).lastrowid
        numbered = enumerate(new, (last or 0) - len(new) + 1)
        self._together(_ADD_VERDICTS, [(id, *_verdict_row(r.verdict)) for id, r in numbered if r.verdict is not None])
        return n_new

    def _new(self, rows: list[Rollout]) -> tuple[list[Rollout], int]:
        """Those that are to be added, and how many were new when they came, one after another.

        Failures that give way to one of them are taken out.
        """
        keys = [tuple([_storable(part) for part in r.key]) for r in rows]
        known = {tuple(row[2:]): (row[0], row[1]) for row in self._together(_KNOWN, keys)}
        new: dict[tuple[Any, ...], Rollout] = {}
        n_new, failed = 0, []
        for key, r in zip(keys, rows, strict=True):
            id, was_answer = known.get(key, (0, False))
            here = new.get(key)
            is_here, was_answer = bool(here or id), here.completion.finish_reason != "error" if here else was_answer
            if is_here and (was_answer or r.completion.finish_reason == "error"):
                continue
            if id and not here:
                failed.append((id,))  # it gives way, and so does a verdict that it may have
            new[key] = r
            n_new += 1
        self._db.executemany("DELETE FROM verdicts WHERE rollout_id = ?", failed)
        self._db.executemany("DELETE FROM rollouts WHERE id = ?", failed)
        return list(new.values()), n_new

    def _together(self, statement: str, rows: list[tuple[Any, ...]]) -> sqlite3.Cursor:
        """Run a statement over rows, if there are any; `{}` in it stands for them.  Text is made storable."""
        if not rows:
            return self._db.cursor()
        n_values, n_empty = len(rows[0]), -len(rows) % STEP
        values = [*chain.from_iterable(rows), *[None] * (n_values * n_empty)]
        whole = _filled(statement, n_values, len(rows) + n_empty)
        try:
            return self._db.execute(whole, values)
        except UnicodeEncodeError:
            return self._db.execute(whole, [_storable(value) for value in values])

    def set_verdicts(self, verdicts: Iterable[tuple[Key, Verdict]]) -> None:
        """Attach verdicts to rollouts by `Rollout.key`, in one transaction; an earlier verdict is replaced."""
        rows = [[_storable(value) for value in (*_verdict_row(verdict), *key)] for key, verdict in verdicts]
        with self.transaction():
            for row in rows:
                if self._db.execute(_SET_VERDICT, row).rowcount == 0:
                    raise KeyError(f"no such rollout: {row[7:]}")

    def rollouts(
        self, model: str | None = None, prompt_hash: str | None = None, sampling_hash: str | None = None
    ) -> Iterator[Rollout]:
        """The rollouts that fit, ordered by model, prompt, sampling, problem and index: never by arrival."""
        wanted = {"model": model, "prompt_hash": prompt_hash, "sampling_hash": sampling_hash}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " WHERE " + " AND ".join(f"{column} = ?" for column in given) if given else ""
        order = " ORDER BY model, prompt_hash, sampling_hash, problem_id, attempt"
        with self._storage():
            for row in self._db.execute(_SELECT + where + order, list(given.values())):
                verdict = Verdict(*row[12:]) if row[12] is not None else None
                problem_id, name, prompt, sampling, index = row[:5]
                yield Rollout(problem_id, name, prompt, sampling, index, Completion(*row[5:12]), verdict)

    def outcomes(self, model: str, prompt_hash: str, sampling_hash: str) -> Iterator[tuple[str, int, bool, str, str]]:
        """As `rollouts`, without their texts: problem id, index, whether it failed, outcome and answer of the verdict.

        Outcome and answer are '' where there is no verdict.
        """
        with self._storage():
            for row in self._db.execute(_OUTCOMES, (model, prompt_hash, sampling_hash)):
                yield row[0], row[1], bool(row[2]), row[3] or "", row[4] or ""

    def spent(self) -> dict[str, tuple[int, int, int]]:
        """By model: rollouts, tokens read and tokens written, with what is known of lost requests."""
        with self._storage():
            rows = self._db.execute(_SPENT).fetchall()
        return {name: (int(n), int(n_in or 0), int(n_out or 0)) for name, n, n_in, n_out in rows}

    def lose(self, model: str, reason: str, n: int, n_completion_tokens: int) -> None:
        """Count requests of this start that were sent and will never be rollouts."""
        with self.transaction():
            self._db.execute(_LOSE, (self._start, model, reason, n, n_completion_tokens))

    def worked(self, seconds: float) -> None:
        """Add to the time that this start has spent asking."""
        with self.transaction():
            self._db.execute(_WORKED, (self._start, seconds))

    def seconds(self) -> float:
        """Time spent asking, over all starts."""
        with self._storage():
            return float(self._db.execute("SELECT coalesce(sum(seconds), 0) FROM starts").fetchone()[0])

    def n_lost(self, model: str | None = None) -> int:
        """How many requests were lost, of all models or one, in all starts."""
        where, values = (" WHERE model = ?", [model]) if model is not None else ("", [])
        with self._storage():
            return int(self._db.execute("SELECT coalesce(sum(n), 0) FROM lost" + where, values).fetchone()[0])

    def merge(self, path: str | Path) -> int:
        """Take in another ledger's rollouts, verdicts and meanings; the number of new answers.  Again: no change.

        An answer that is here stays as it is; a failure gives way.  Raises InputError when one name stands for two
        models, MissingFileError, StorageError.
        """
        n_new = 0
        with Ledger(path, read_only=True) as other, self.transaction():
            for hash, kind, content in other._db.execute("SELECT hash, kind, content FROM meanings"):
                if self.explain(hash, kind, content) != content and kind == "model":
                    do = "give each model its name, and merge ledgers that agree on them"
                    raise InputError("the ledgers know two models by one name", hash, "one model a name", do)
            self._db.executemany(
                "INSERT OR IGNORE INTO lost VALUES (?, ?, ?, ?, ?)", other._db.execute("SELECT * FROM lost")
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO starts VALUES (?, ?)", other._db.execute("SELECT * FROM starts")
            )
            rollouts = other.rollouts()
            while batch := list(islice(rollouts, 1000)):
                n_new += self.add(batch)
                judged = [(r.key, r.verdict) for r in batch if r.verdict is not None]
                self.set_verdicts((key, verdict) for key, verdict in judged if not self._has_verdict(key))
        return n_new

    def _has_verdict(self, key: Key) -> bool:
        return self._db.execute(_HAS_VERDICT, key).fetchone() is not None

    def __len__(self) -> int:
        with self._storage():
            return int(self._db.execute("SELECT count(*) FROM rollouts").fetchone()[0])

    def explain(self, hash: str, kind: str, content: str) -> str:
        """Write down what a name in `rollouts` stands for, unless that is known; what is known of it.

        `kind` is `prompt` (its system text), `sampling` (JSON) or `model` (a hash of its files).
        """
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO meanings VALUES (?, ?, ?)", (hash, kind, _storable(content)))
            found = self._db.execute(
                "SELECT content FROM meanings WHERE hash = ? AND kind = ?", (hash, kind)
            ).fetchone()
        return str(found[0])

    def meanings(self) -> dict[tuple[str, str], str]:
        """What names stand for, by (kind, name); see `explain`."""
        with self._storage():
            return {(kind, name): text for name, kind, text in self._db.execute("SELECT * FROM meanings")}

    def n_by_outcome(self, model: str) -> dict[str, int]:
        """Rollouts of a model by the outcome of their verdict, and those that failed as `error`; '' has no verdict."""
        with self._storage():
            return {name: n for name, n in self._db.execute(_BY_OUTCOME, (model,))}

    def faults(self) -> list[str]:
        """What SQLite's own integrity check and the links between the tables complain of; empty when sound."""
        with self._storage():
            found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            found += [
                f"a verdict without its rollout: {row[1]}" for row in self._db.execute("PRAGMA foreign_key_check")
            ]
        return found

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """Turn what SQLite and the disk complain of into one StorageError."""
        try:
            yield
        except LimoError:
            raise
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
                raise  # a mistake of ours, not of the disk
            what, do = _complaint(str(error))
            raise StorageError(f"{what} ({error})", self.path, "", do) from error


def _complaint(text: str) -> tuple[str, str]:
    """What to say and to advise for an error text of SQLite or the system."""
    if "full" in text or "No space" in text or "disk I/O" in text:
        return "the ledger's disk is full or failing", "free some space and start again: what was committed is safe"
    if "readonly" in text or "read-only" in text.lower() or "unable to open" in text or "denied" in text:
        return "the ledger cannot be written", "check the permissions or name another folder"
    if "locked" in text:
        return "the ledger is in use", "wait for the other process or name another folder"
    return "the ledger is damaged", "restore a copy, or save what is left with: sqlite3 FILE .recover"


@cache
def _filled(statement: str, n_values: int, n_rows: int) -> str:
    return statement.format(", ".join([f"({', '.join('?' * n_values)})"] * n_rows))


def _row(r: Rollout) -> tuple[Any, ...]:
    c = r.completion
    named = (r.problem_id, r.model, r.prompt_hash, r.sampling_hash, r.index, c.text, c.finish_reason)
    return (*named, c.n_prompt_tokens, c.n_completion_tokens, c.elapsed_s, c.error, c.reasoning)


def _verdict_row(v: Verdict) -> tuple[Any, ...]:
    return (v.outcome, v.extracted, v.reason, v.tier, v.elapsed_s, v.answer, v.verifier)


def _storable(value: Any) -> Any:
    """Text that SQLite can hold: half surrogates, which no UTF-8 has, become U+FFFD."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
