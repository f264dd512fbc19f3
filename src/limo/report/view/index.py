"""The index that browsing needs beside a ledger: facts of its rollouts without their texts, and a full-text index.

It is a SQLite file of its own (`ledger.view.sqlite`), made from the ledger's tables (`ledger.schema`) and the run's
Parquet files, brought up to date when it is opened, and safe to delete:

- `problems(number, id, problem, answer, options, source, topic)`: the run's pool in order, then what else the ledger
  names, with empty texts;
- `settings(number, model, prompt_hash, sampling_hash)` and `cells(id, problem, setting, rollout_index, outcome,
  reason, n_tokens, level)`: the ledger's rollouts; `outcome` is that of the verdict, else `error` or `unverified`;
- `fates(problem, stage, fate)`: where and why problems were dropped, and those that the last stage kept; a stage that
  kept one of a problem's rollouts did not drop the problem, whatever it dropped of the others;
- `facets(kind, value, n)`: the values that can be filtered by, with their counts;
- `texts`: FTS5 over the completions; the texts themselves stay in the ledger alone.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from limo.core.errors import RESTORE, InputError, foreign_data
from limo.core.files import sqlite_reading_address
from limo.core.progress import NoProgress, Progress
from limo.core.tables import decode_columns
from limo.core.text import content_hash

VERSION = 2
KEPT = "kept"
"""Fate of the problems that the last stage of a run kept."""
_TABLES = (
    "CREATE TABLE about(name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE problems(number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, problem TEXT NOT NULL,
        answer TEXT NOT NULL, options TEXT NOT NULL, source TEXT NOT NULL, topic TEXT NOT NULL)""",
    """CREATE TABLE settings(number INTEGER PRIMARY KEY, model TEXT NOT NULL, prompt_hash TEXT NOT NULL,
        sampling_hash TEXT NOT NULL, UNIQUE(model, prompt_hash, sampling_hash))""",
    """CREATE TABLE cells(id INTEGER PRIMARY KEY, problem INTEGER NOT NULL, setting INTEGER NOT NULL,
        rollout_index INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, n_tokens INTEGER NOT NULL,
        level TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX cells_of_problem ON cells(problem, setting, rollout_index, outcome)",
    "CREATE TABLE fates(problem INTEGER, stage TEXT, fate TEXT, PRIMARY KEY (problem, stage, fate)) WITHOUT ROWID",
    "CREATE TABLE facets(kind TEXT, value TEXT, n INTEGER NOT NULL, PRIMARY KEY (kind, value))",
    """CREATE VIRTUAL TABLE texts USING fts5(text, content='', columnsize=0,
        tokenize="unicode61 remove_diacritics 2")""",
)
_CELLS = """INSERT INTO cells(id, problem, setting, rollout_index, outcome, reason, n_tokens)
    SELECT r.id, p.number, s.number, r.rollout_index,
        coalesce(v.outcome, iif(r.finish_reason = 'error', 'error', 'unverified')), coalesce(v.reason, ''),
        r.n_completion_tokens
    FROM l.rollouts AS r INDEXED BY facts JOIN problems AS p ON p.id = r.problem_id
    JOIN settings AS s ON s.model = r.model AND s.prompt_hash = r.prompt_hash AND s.sampling_hash = r.sampling_hash
    LEFT JOIN l.verdicts AS v ON v.rollout_id = r.id"""
_FACETS = (
    "SELECT 'verdict', outcome, count(*) FROM cells GROUP BY outcome",
    "SELECT 'reason', reason, count(*) FROM cells WHERE reason != '' GROUP BY reason ORDER BY 3 DESC LIMIT 200",
    "SELECT 'level', level, count(*) FROM cells WHERE level != '' GROUP BY level",
    "SELECT 'model', model, count(*) FROM cells JOIN settings AS s ON s.number = setting GROUP BY model",
    "SELECT 'verifier', verifier, count(*) FROM l.verdicts GROUP BY verifier",
    "SELECT 'source', source, count(*) FROM problems WHERE source != '' GROUP BY source ORDER BY 3 DESC LIMIT 200",
    "SELECT 'stage', stage, count(DISTINCT problem) FROM fates GROUP BY stage",
    "SELECT 'fate', fate, count(DISTINCT problem) FROM fates GROUP BY fate",
)
_HAN = re.compile(r"([\u3400-\u9fff])")  # written without spaces: each character is a word of the index
_BATCH = 500


def open_index(ledger: Path, folder: Path | None, progress: Progress | None = None) -> Path:
    """Bring the index of a ledger up to date and return its file; `folder` is the run's, if there is one.

    Where the ledger's folder cannot be written, the index is made among the temporary files.  Raises InputError where
    SQLite was built without full-text search, and for a run whose files do not fit.
    """
    with foreign_data("this run cannot be indexed", folder or ledger, "what limo wrote", RESTORE):
        return _open_index(ledger, folder, progress)


def _open_index(ledger: Path, folder: Path | None, progress: Progress | None) -> Path:
    file = ledger.with_suffix(".view.sqlite")
    try:
        _update(file, ledger, folder, progress or NoProgress())
    except sqlite3.OperationalError as error:
        if "no such module: fts5" in str(error):
            do = "use another build of Python"
            raise InputError("this SQLite has no full-text search", sqlite3.sqlite_version, "with FTS5", do) from error
        if not any(text in str(error) for text in ("readonly", "unable to open", "attempt to write")):
            raise
        file = Path(tempfile.gettempdir()) / f"limo-view-{content_hash(str(ledger.absolute()))}.sqlite"
        _update(file, ledger, folder, progress or NoProgress())
    return file


def _update(file: Path, ledger: Path, folder: Path | None, progress: Progress) -> None:
    signature = _signature(ledger, folder)
    for _ in range(2):
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rwc", uri=True, isolation_level=None)) as db:
            about = _about(db)
            if about.get("version", str(VERSION)) == str(VERSION):
                db.execute("ATTACH ? AS l", (sqlite_reading_address(ledger),))
                if not about or about["last"] == _row_name(db, about["last_id"]):
                    if about.get("signature") != signature:
                        _fill(db, folder, progress, about, signature)
                    return
        file.unlink()  # of another version, another ledger, or no index at all


def _about(db: sqlite3.Connection) -> dict[str, str]:
    """What is noted of an index; nothing of an empty file, `version` '' of one that is none."""
    try:
        tables = {name for (name,) in db.execute("SELECT name FROM main.sqlite_master")}
        return dict(db.execute("SELECT name, value FROM about")) if tables else {}
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise
        return {"version": ""}


def _row_name(db: sqlite3.Connection, row_id: str) -> str:
    """A row of the ledger, by which it is known again when the ledger has grown."""
    select = "SELECT problem_id, model, rollout_index FROM l.rollouts WHERE id = ?"
    return json.dumps(db.execute(select, (int(row_id),)).fetchone())


def _signature(ledger: Path, folder: Path | None) -> str:
    """Sizes and times of every file that the index is made from."""
    files = [ledger, ledger.with_name(ledger.name + "-wal")]
    files += [folder / "problems.parquet", *sorted((folder / "stages").glob("*.parquet"))] if folder else []
    stats = []
    for path in files:
        with suppress(FileNotFoundError):
            stats.append((path.name, path.stat().st_size, path.stat().st_mtime_ns))
    return json.dumps(stats)


def _fill(
    db: sqlite3.Connection, folder: Path | None, progress: Progress, about: dict[str, str], signature: str
) -> None:
    """Add the texts of new rollouts, and make everything else anew, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    if not about:
        for statement in _TABLES:
            db.execute(statement)
    last_id = _add_texts(db, int(about.get("last_id", "0")), progress)
    for table in ("problems", "settings", "cells", "fates", "facets"):
        db.execute(f"DELETE FROM {table}")
    if folder is not None:
        _add_problems(db, folder)
    insert = "INSERT OR IGNORE INTO problems(id, problem, answer, options, source, topic)"
    db.execute(f"{insert} SELECT DISTINCT problem_id, '', '', '', '', '' FROM l.rollouts INDEXED BY facts")
    columns = "model, prompt_hash, sampling_hash"
    db.execute(f"INSERT INTO settings({columns}) SELECT DISTINCT {columns} FROM l.rollouts INDEXED BY facts")
    db.execute(_CELLS)
    if folder is not None:
        _add_levels(db, folder / "stages")
        _add_fates(db, folder / "stages")
    for facet in _FACETS:
        db.execute(f"INSERT INTO facets {facet}")
    notes = {"version": VERSION, "signature": signature, "last_id": last_id, "last": _row_name(db, str(last_id))}
    db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", [(name, str(value)) for name, value in notes.items()])
    db.execute("COMMIT")


def _add_texts(db: sqlite3.Connection, last_id: int, progress: Progress) -> int:
    """Index the completions that came after `last_id`; the last id."""
    n_new = db.execute("SELECT count(*) FROM l.rollouts WHERE id > ?", (last_id,)).fetchone()[0]
    if not n_new:
        return last_id
    select = "SELECT id, reasoning, text FROM l.rollouts WHERE id > ? ORDER BY id LIMIT ?"
    with progress.stage("indexing texts", n_new) as stage:
        while rows := db.execute(select, (last_id, _BATCH)).fetchall():
            texts = [(row_id, searchable(f"{reasoning}\n{text}")) for row_id, reasoning, text in rows]
            db.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", texts)
            last_id = rows[-1][0]
            stage.advance(len(rows))
    return last_id


def searchable(text: str) -> str:
    """A text as the index reads it: Han characters apart from each other."""
    return text if text.isascii() else _HAN.sub(r" \1 ", text)


def _batches(file: Path, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Some columns of a table of the run, a few rows at a time; nothing where it is not there or has them not."""
    import pyarrow.parquet as pq

    if not file.is_file():
        return
    with pq.ParquetFile(file.absolute()) as table:
        there = [name for name in columns if name in table.schema_arrow.names]
        for batch in table.iter_batches(_BATCH, columns=there) if len(there) == len(columns) else ():
            yield decode_columns(batch)


def _add_problems(db: sqlite3.Connection, folder: Path) -> None:
    insert = "INSERT OR IGNORE INTO problems(id, problem, answer, options, source, topic) VALUES (?, ?, ?, ?, ?, ?)"
    for rows in _batches(folder / "problems.parquet", ("id", "problem", "answer", "options", "source", "topic")):
        values = [
            (row["id"], row["problem"], row["answer"], json.dumps(row["options"] or []), row["source"], row["topic"])
            for row in rows
        ]
        db.executemany(insert, _encodable(values))


def _add_levels(db: sqlite3.Connection, stages: Path) -> None:
    """The levels of graded chains, at the rollouts that they were made from."""
    graded = _batches(stages / "grade.kept.parquet", ("problem_id", "chain_hash", "level"))
    level_by_hash = {row["chain_hash"]: row["level"] for rows in graded for row in rows}
    names = ("problem_id", "teacher", "prompt_hash", "sampling_hash", "index", "text")
    set_level = """UPDATE cells SET level = ? WHERE problem = (SELECT number FROM problems WHERE id = ?)
        AND setting = (SELECT number FROM settings WHERE model = ? AND prompt_hash = ? AND sampling_hash = ?)
        AND rollout_index = ?"""
    for rows in _batches(stages / "chains.kept.parquet", names) if level_by_hash else ():
        hashes = [content_hash(row["problem_id"], row["text"]) for row in rows]  # as the stage names its chains
        keys = [tuple(row[name] for name in names[:-1]) for row in rows]
        levels = [(level_by_hash.get(name, ""), *key) for name, key in zip(hashes, keys, strict=True)]
        db.executemany(set_level, _encodable(levels))


def _add_fates(db: sqlite3.Connection, stages: Path) -> None:
    insert = "INSERT OR IGNORE INTO fates SELECT number, ?, ? FROM problems WHERE id = ?"
    delete = "DELETE FROM fates WHERE stage = ? AND problem = (SELECT number FROM problems WHERE id = ?)"
    for file in sorted(stages.glob("*.dropped.parquet")):
        stage = file.name.removesuffix(".dropped.parquet")
        for rows in _batches(file, ("problem_id", "reason")):
            db.executemany(insert, _encodable([(stage, row["reason"], row["problem_id"]) for row in rows]))
        for rows in _batches(stages / f"{stage}.kept.parquet", ("problem_id",)):
            db.executemany(delete, _encodable([(stage, row["problem_id"]) for row in rows]))
    for stage in ("export", "select"):  # problems that a later stage drops were kept by earlier ones: the last counts
        file = stages / f"{stage}.kept.parquet"
        for rows in _batches(file, ("problem_id",)):
            db.executemany(insert, _encodable([(stage, KEPT, row["problem_id"]) for row in rows]))
        if file.is_file():
            return


def _encodable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows that SQLite can hold: half surrogates, which UTF-8 does not have, become question marks."""
    return [tuple(v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in row) for row in rows]
