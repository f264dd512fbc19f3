"""The tables of a ledger (SQLite), version by version, and the upgrade of an older file.

Version 5 (`PRAGMA user_version`; `application_id` is 'LIMO'):

- `rollouts(id, problem_id, model, prompt_hash, sampling_hash, rollout_index, text, finish_reason, n_prompt_tokens,
  n_completion_tokens, elapsed_s, error, reasoning)`: `rollout_index` counts from 0; times in seconds; `reasoning` is
  the thought where a server keeps it apart from the text.
- `verdicts(rollout_id, outcome, extracted, reason, tier, elapsed_s, answer, verifier)`: the latest verdict of a
  rollout, if it has one; `answer` is the problem's answer at that time ('' from a ledger of version 1), `verifier` the
  identity of the verifier ('' from a ledger of version 3 or older).
- `definitions(hash, kind, content)`: what a `prompt` hash (the system text), a `sampling` hash (JSON) or a `model` name
  (a hash of its files) stands for; `tokens`, by model: `estimated` where its server did not count some of them;
  `ledger`: random names of this ledger and of those merged into it, by which runs know their own.
- `lost(start, model, reason, n, n_completion_tokens)`: requests that were sent and gave no rollout, counted for each
  start of the program: `cancelled` ones (their problem was decided meanwhile), with the tokens known to have come.
- `starts(start, seconds)`: how long each start has spent requesting, up to a second less where it was killed.

    prepare(sqlite3.connect("runs/a/ledger.sqlite"), Path("runs/a/ledger.sqlite"), read_only=False)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from limo.core.errors import StorageError

APPLICATION_ID = int.from_bytes(b"LIMO", "big")
# One entry a version; a file at version k has had the first k applied.  Never edit one that was released: add another.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE rollouts(
            id INTEGER PRIMARY KEY, problem_id TEXT NOT NULL, model TEXT NOT NULL, prompt_hash TEXT NOT NULL,
            sampling_hash TEXT NOT NULL, attempt INTEGER NOT NULL, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
            n_prompt_tokens INTEGER NOT NULL, n_completion_tokens INTEGER NOT NULL, elapsed_s REAL NOT NULL,
            error TEXT NOT NULL, UNIQUE(model, prompt_hash, sampling_hash, problem_id, attempt))""",
        """CREATE TABLE verdicts(
            rollout_id INTEGER PRIMARY KEY REFERENCES rollouts(id), outcome TEXT NOT NULL, extracted TEXT NOT NULL,
            reason TEXT NOT NULL, tier TEXT NOT NULL, elapsed_s REAL NOT NULL)""",
        "CREATE TABLE meanings(hash TEXT, kind TEXT, content TEXT NOT NULL, PRIMARY KEY (kind, hash))",
    ),
    ("ALTER TABLE verdicts ADD COLUMN answer TEXT NOT NULL DEFAULT ''",),
    (
        "ALTER TABLE rollouts ADD COLUMN reasoning TEXT NOT NULL DEFAULT ''",
        """CREATE TABLE lost(start TEXT, model TEXT, reason TEXT, n INTEGER NOT NULL,
            n_completion_tokens INTEGER NOT NULL, PRIMARY KEY (start, model, reason))""",
        "CREATE TABLE starts(start TEXT PRIMARY KEY, seconds REAL NOT NULL)",
        # what resuming and budgets read, without walking through the texts
        """CREATE INDEX facts ON rollouts(model, prompt_hash, sampling_hash, problem_id, attempt, finish_reason,
            n_prompt_tokens, n_completion_tokens)""",
    ),
    ("ALTER TABLE verdicts ADD COLUMN verifier TEXT NOT NULL DEFAULT ''",),
    (
        "ALTER TABLE rollouts RENAME COLUMN attempt TO rollout_index",  # in the indexes too
        "ALTER TABLE meanings RENAME TO definitions",
    ),
)
_STORED_AS = {"TEXT": ("text",), "INTEGER": ("integer",), "REAL": ("real", "integer")}
# What a value must be besides its type: an index that Python's shifts take, counts whose sums do not overflow.
_BOUNDS = {
    "rollouts": "problem_id != '' AND model != '' AND rollout_index BETWEEN 0 AND 1 << 31 "
    "AND n_prompt_tokens BETWEEN 0 AND 1 << 40 "
    "AND n_completion_tokens BETWEEN 0 AND 1 << 40",
    "verdicts": "outcome IN ('correct', 'wrong', 'no_answer', 'truncated', 'undecided') "
    "AND elapsed_s BETWEEN 0 AND 1e12",
    "definitions": "kind != 'sampling' OR json_valid(content)",
    "lost": "n BETWEEN 0 AND 1 << 40 AND n_completion_tokens BETWEEN 0 AND 1 << 40",
    "starts": "seconds BETWEEN 0 AND 1e12",
}

_ORPHAN = "SELECT rollout_id FROM verdicts EXCEPT SELECT id FROM rollouts LIMIT 1"  # over an index, not the texts


def prepare(db: sqlite3.Connection, path: Path, read_only: bool) -> None:
    """Check that the file is a whole ledger of a known version; make its tables, or upgrade older ones.

    A file of an older version is upgraded even when it is opened for reading only, if it can be written: nothing in it
    is lost.  `db` is in autocommit mode.  Raises StorageError for another program's file, for a newer version, for an
    older one that cannot be written, and for tables or values that are none of a ledger.
    """
    db.execute("PRAGMA trusted_schema = OFF")
    version = _pragma(db, "user_version")
    kinds = [kind for (kind,) in db.execute("SELECT type FROM sqlite_master")]
    if (kinds or read_only) and _pragma(db, "application_id") != APPLICATION_ID:
        raise StorageError("the file is empty or of another program", path, "a ledger", "name another file")
    if version < 1 and (kinds or read_only):
        what, do = f"the ledger has version {version}, which none has", "restore a copy: another program has changed it"
        raise StorageError(what, path, f"1 to {len(MIGRATIONS)}", do)
    if version > len(MIGRATIONS):
        known = f"version {len(MIGRATIONS)} or older"
        raise StorageError(f"the ledger has version {version}", path, known, "use the limo that made it, or newer")
    if programs := {"view", "trigger"} & set(kinds):
        do = "it was changed by another program: use a copy of before"
        raise StorageError(f"the ledger holds a {min(programs)}", path, "tables and indexes", do)
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # a commit is a group of rollouts: the sync costs nothing beside it
    if not read_only and version < len(MIGRATIONS):
        _upgrade(db)
    elif version < len(MIGRATIONS):
        try:
            uri = f"{path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as writable:
                _upgrade(writable)
        except sqlite3.OperationalError as error:
            do = f"make the file and its folder writable, or copy it, and run: limo ledger show {path.name}"
            what = f"the ledger has version {version} and cannot be upgraded here ({error})"
            raise StorageError(what, path, f"version {len(MIGRATIONS)}", do) from error
    if kinds and (fault := _fault(db)):
        raise StorageError(f"the ledger is damaged ({fault})", path, "tables as limo writes them", "restore a copy")


def _fault(db: sqlite3.Connection) -> str:
    """The first table or index that is not as limo makes it, or value that limo does not write; '' if there is none."""
    known, there = _made(), _shapes(db)
    for name, shape in known.items():
        if name not in there:
            return f"its {name} is gone"
        if there[name] != shape:
            return f"its {name} is not as limo makes it"
    for table, columns in _stored_as().items():
        types = " AND ".join(f"typeof({name}) IN {kinds}" for name, kinds in columns.items())
        for valid in (types, _BOUNDS[table]):  # apart: bounds are read from an index, types without the texts
            row = db.execute(f"SELECT rowid FROM {table} WHERE NOT ({valid}) LIMIT 1").fetchone()
            if row:
                return f"{table} holds a value that does not fit, in row {row[0]}"
    row = db.execute(_ORPHAN).fetchone()
    if row:
        return f"a verdict without its rollout: {row[0]}"
    return ""


Shape = tuple[tuple[str, tuple[object, ...]], ...]


@cache
def _made() -> dict[str, Shape]:
    """The shapes of all tables and indexes of a new ledger."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        _upgrade(db)
        return _shapes(db)


def _shapes(db: sqlite3.Connection) -> dict[str, Shape]:
    """By the name of each table and index its columns: of a table type, NOT NULL, default and place in the key."""
    entries = db.execute("SELECT type, name FROM sqlite_master WHERE type IN ('table', 'index')").fetchall()
    rows = {name: db.execute(f"SELECT * FROM pragma_{kind}_info(?)", (name,)).fetchall() for kind, name in entries}
    return {
        name: tuple((row[1], row[2:]) if kind == "table" else (row[2], row[:1]) for row in rows[name])
        for kind, name in entries
    }


@cache
def _stored_as() -> dict[str, dict[str, str]]:
    """The columns of each table, and how their values are stored, as a list in SQL."""
    sql = {kind: "('" + "', '".join(stored) + "')" for kind, stored in _STORED_AS.items()}
    return {table: {name: sql[str(facts[0])] for name, facts in _made()[table]} for table in _BOUNDS}


def _upgrade(db: sqlite3.Connection) -> None:
    """Apply the migrations that the file has not had; all of them or none."""
    with transaction(db):
        for statements in MIGRATIONS[_pragma(db, "user_version") :]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Everything written in the block is committed together at its end, or not at all; blocks may be nested."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
