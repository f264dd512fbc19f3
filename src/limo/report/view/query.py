"""Questions to the indexes of one or more runs: the rows of a page, their cells, and a problem with its rollouts.

    with Browser([OpenedRun("a", ledger, index)]) as browser:
        page = browser.page(Filters(verdict="wrong", q="let me check"))

A row is a problem, a column a model of a run.  Pages continue behind a key (the place of the last problem), so the
last one costs as much as the first.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from limo.core.closing import Closing
from limo.core.errors import InputError
from limo.core.files import sqlite_reading_address
from limo.core.records import Provenance
from limo.core.text import shorten, whole_number
from limo.report.view.index import searchable
from limo.report.words import unmarked

PAGE = 50
MAX_FILTER = 1000  # characters; SQLite compares no longer ones, and takes its time over them
"""Problems on a page."""
_EXCERPT = 160  # characters around the first match
_WORDS = re.compile(r'"([^"]*)"|(\S+)')
_ROLLOUT = """SELECT problem_id, model, prompt_hash, sampling_hash, rollout_index, text, reasoning, finish_reason,
    error, n_completion_tokens, outcome, extracted, reason, tier, answer, verifier
    FROM rollouts AS r LEFT JOIN verdicts AS v ON v.rollout_id = r.id WHERE r.id = ?"""


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run to browse: what it is called, its ledger, and the index beside it."""

    name: str
    ledger: Path
    index: Path


HOST, PORT = "127.0.0.1", 8910  # where the page is unless the command says otherwise


class Column(NamedTuple):
    """A model of a run, counted from 1."""

    run: int
    model: str

    @property
    def key(self) -> str:
        """What addresses call it."""
        return f"{self.run}:{self.model}"


@dataclass(frozen=True, slots=True)
class Filters:
    """What problems must have; '' leaves open.  All but `problem`, `source`, `stage` and `fate` are met by one rollout.

    `q`: words and "phrases" of its completion; `model`, `prompt`, `sampling`: one or more, as a Provenance names them;
    `solved` and `unsolved`: columns that have a correct rollout of the problem, and that have rollouts but none.
    `verifier` and `run` restrict nothing: the page says whether they are the ones it shows; `lang` is its language.
    """

    q: str = ""
    problem: str = ""
    source: str = ""
    stage: str = ""
    fate: str = ""
    verdict: str = ""
    reason: str = ""
    level: str = ""
    model: str = ""
    solved: str = ""
    unsolved: str = ""
    prompt: str = ""
    sampling: str = ""
    verifier: str = ""
    run: str = ""
    lang: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Filters:
        """Those that an address names, where a hidden character may stand as its mark; others are left out.

        Raises InputError for one that is too long to be searched.
        """
        given = {field.name: unmarked(query[field.name].strip()) for field in fields(cls) if field.name in query}
        for name, text in given.items():
            if len(text) > MAX_FILTER:
                what, allowed = f"the filter `{name}` has {len(text):,} characters", f"{MAX_FILTER:,} characters"
                raise InputError(what, shorten(text, 40), allowed, "search for fewer of its words")
        return cls(**given)

    def query(self, **others: object) -> str:
        """The part of an address that names these filters, and other parameters behind them."""
        return urlencode({name: value for name, value in (asdict(self) | others).items() if value not in ("", None)})


def query_of(*sources: Provenance) -> str:
    """The part of an address, after the `?`, that opens the rollouts behind a number, of one or several sources."""
    parts = ((one.model, one.prompt_hash, one.sampling_hash, one.verifier, one.run) for one in sources)
    model, prompt, sampling, verifier, run = (", ".join(dict.fromkeys(of)) for of in zip(*parts, strict=True))
    return Filters(model=model, prompt=prompt, sampling=sampling, verifier=verifier, run=run).query()


class Cell(NamedTuple):
    """A rollout without its text; `matches`: it meets the filters of rollouts."""

    run: int
    id: int
    column: Column
    rollout_index: int
    outcome: str
    reason: str
    n_tokens: int
    level: str
    matches: bool


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A problem and its cells by column; `place` is its key among the pages."""

    place: str
    id: str
    problem: str
    answer: str
    options: str
    source: str
    topic: str
    fates: list[tuple[int, str, str]]
    cells: dict[Column, list[Cell]]
    excerpt: str


@dataclass(frozen=True, slots=True)
class Page:
    """Problems, how many match in all, and the place behind which the next page begins ('' on the last)."""

    rows: list[ProblemRow]
    n_matching: int
    after: str


class Browser(Closing):
    """The indexes and ledgers of some runs, opened for reading; a context manager."""

    def __init__(self, runs: Sequence[OpenedRun]) -> None:
        self.runs = list(runs)
        self._stack = ExitStack()
        self._db = self._stack.enter_context(closing(_connect(":memory:")))
        most = self._db.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED)
        if len(runs) > most:
            raise InputError("these are too many runs for one page", len(runs), f"at most {most}", "name fewer")
        for number, run in enumerate(self.runs, 1):
            self._db.execute(f"ATTACH ? AS r{number}", (f"{run.index.absolute().as_uri()}?mode=ro",))
        addresses = [sqlite_reading_address(run.ledger) for run in self.runs]
        self._ledgers = [self._stack.enter_context(closing(_connect(address))) for address in addresses]
        self._numbers = range(1, len(self.runs) + 1)
        models = "SELECT DISTINCT model FROM r{}.settings ORDER BY model"
        self.columns = [Column(k, model) for k in self._numbers for (model,) in self._db.execute(models.format(k))]

    def close(self) -> None:
        self._stack.close()

    def facet(self, kind: str) -> dict[str, int]:
        """The values of a kind over all runs, with their counts."""
        union = " UNION ALL ".join(f"SELECT * FROM r{k}.facets" for k in self._numbers)
        select = f"SELECT value, sum(n) FROM ({union}) WHERE kind = ? GROUP BY value ORDER BY value"
        return dict(self._db.execute(select, (kind,)))

    def page(self, filters: Filters, after: str = "", n: int = PAGE) -> Page:
        """The `n` matching problems behind a place, in the order of their run's pool.

        Raises InputError for a place or a column that cannot be one.
        """
        start_run, start_number = _place(after) if after else (0, 0)
        where, values = self._where(filters)
        found: list[tuple[int, int, str]] = []
        n_matching = 0
        for k in self._numbers:
            others = "".join(f" AND p.id NOT IN (SELECT id FROM r{j}.problems)" for j in range(1, k))
            problems = f"FROM r{k}.problems AS p WHERE {where}{others}"
            n_matching += self._db.execute(f"SELECT count(*) {problems}", values).fetchone()[0]
            if k >= start_run and len(found) <= n:
                behind = values | {"behind": start_number if k == start_run else -1, "n": n + 1 - len(found)}
                select = f"SELECT {k}, p.number, p.id {problems} AND p.number > :behind ORDER BY p.number LIMIT :n"
                found += self._db.execute(select, behind).fetchall()
        shown = found[:n]
        rows = self._rows([(f"{k}.{number}", problem_id) for k, number, problem_id in shown], filters)
        return Page(rows, n_matching, rows[-1].place if len(found) > n else "")

    def problem(self, problem_id: str, filters: Filters) -> ProblemRow:
        """One problem with all its cells.  Raises InputError where no run has it."""
        for k in self._numbers:
            row = self._db.execute(f"SELECT number FROM r{k}.problems WHERE id = ?", (problem_id,)).fetchone()
            if row:
                return self._rows([(f"{k}.{row[0]}", problem_id)], filters)[0]
        raise InputError("no run has this problem", problem_id, "", "go back to the list")

    def rollout(self, run: int, row_id: int) -> dict[str, Any]:
        """A rollout with its texts and verdict.  Raises InputError where the ledger has it not."""
        row = None
        if 1 <= run <= len(self.runs) and row_id < 1 << 62:
            cursor = self._ledgers[run - 1].execute(_ROLLOUT, (row_id,))
            row = cursor.fetchone()
        if row is None:
            raise InputError("no run has this rollout", f"{run}.{row_id}", "", "go back to the list")
        return dict(zip((entry[0] for entry in cursor.description), row, strict=True))

    def _rows(self, places: list[tuple[str, str]], filters: Filters) -> list[ProblemRow]:
        """The problems at these places, with the cells that every run has of them."""
        cells: dict[str, dict[Column, list[Cell]]] = {problem_id: {} for _, problem_id in places}
        fates: dict[str, list[tuple[int, str, str]]] = {problem_id: [] for _, problem_id in places}
        marks = ", ".join("?" * len(places))
        ids = [problem_id for _, problem_id in places]
        matching = self._matching(filters, ids)
        for k in self._numbers:
            select = f"""SELECT p.id, c.id, model, rollout_index, outcome, reason, n_tokens, level
                FROM r{k}.problems AS p JOIN r{k}.cells AS c ON c.problem = p.number
                JOIN r{k}.settings AS s ON s.number = setting WHERE p.id IN ({marks})
                ORDER BY p.number, setting, rollout_index"""
            for problem_id, row_id, model, *facts in self._db.execute(select, ids):
                cell = Cell._make((k, row_id, Column(k, model), *facts, (k, row_id) in matching))
                cells[problem_id].setdefault(cell.column, []).append(cell)
            select = f"""SELECT p.id, {k}, stage, fate FROM r{k}.problems AS p JOIN r{k}.fates AS f
                ON f.problem = p.number WHERE p.id IN ({marks})"""
            for problem_id, *fate in self._db.execute(select, ids):
                fates[problem_id].append(tuple(fate))
        rows = []
        for place, problem_id in places:
            k, number = _place(place)
            select = f"SELECT problem, answer, options, source, topic FROM r{k}.problems WHERE number = ?"
            texts: tuple[str, str, str, str, str] = self._db.execute(select, (number,)).fetchone()
            own = cells[problem_id]
            matches = (cell for of_column in own.values() for cell in of_column if cell.matches)
            excerpt = self._excerpt(next(matches, None), filters.q)
            rows.append(ProblemRow(place, problem_id, *texts, fates[problem_id], own, excerpt))
        return rows

    def _matching(self, filters: Filters, problem_ids: list[str]) -> set[tuple[int, int]]:
        """Which rollouts of these problems meet the filters of rollouts; none where there are no such filters."""
        where, values = _rollout_conditions(filters)
        if not where:
            return set()
        names = {f"id{n}": problem_id for n, problem_id in enumerate(problem_ids)}
        chosen = ", ".join(f":{name}" for name in names)
        matching = set()
        for k in self._numbers:
            select = f"""SELECT c.id FROM r{k}.cells AS c JOIN r{k}.settings AS s ON s.number = c.setting
                WHERE c.problem IN (SELECT number FROM r{k}.problems WHERE id IN ({chosen})) AND {where.format(k=k)}"""
            matching |= {(k, row_id) for (row_id,) in self._db.execute(select, names | values)}
        return matching

    def _where(self, filters: Filters) -> tuple[str, dict[str, Any]]:
        """The condition that a problem `p` must meet, and its values."""
        values: dict[str, Any] = {"source": filters.source, "stage": filters.stage, "fate": filters.fate}
        values["like"] = "%" + re.sub(r"([\\%_])", r"\\\1", filters.problem) + "%"
        values["exactly"] = filters.problem
        clauses = ["p.source = :source"] if filters.source else []
        clauses += ["(p.problem LIKE :like ESCAPE '\\' OR p.id = :exactly)"] if filters.problem else []
        conditions, more = _rollout_conditions(filters)
        if conditions:
            clauses.append(self._in_any(
                f"JOIN r{{k}}.cells AS c ON c.problem = x.number JOIN r{{k}}.settings AS s ON s.number = c.setting"
                f" WHERE {conditions}"
            ))  # fmt: skip
        if filters.stage or filters.fate:
            fate = " AND ".join(f"{name} = :{name}" for name in ("stage", "fate") if getattr(filters, name))
            clauses.append(self._in_any(f"JOIN r{{k}}.fates AS f ON f.problem = x.number WHERE {fate}"))
        for name in ("solved", "unsolved"):
            if key := getattr(filters, name):
                run, values[name] = self._column(key)
                of_column = f"""EXISTS (SELECT 1 FROM r{run}.problems AS x
                    JOIN r{run}.cells AS c ON c.problem = x.number
                    JOIN r{run}.settings AS s ON s.number = c.setting WHERE x.id = p.id AND s.model = :{name}"""
                clauses += [f"{of_column})", f"NOT {of_column} AND c.outcome = 'correct')"]
                if name == "solved":
                    clauses[-2:] = [f"{of_column} AND c.outcome = 'correct')"]
        return " AND ".join(clauses) or "1", values | more

    def _in_any(self, rest: str) -> str:
        """That a problem is, in any run, among those that `rest` leaves of `problems AS x`."""
        selects = (f"SELECT x.id FROM r{k}.problems AS x {rest.format(k=k)}" for k in self._numbers)
        return f"p.id IN ({' UNION ALL '.join(selects)})"

    def _column(self, key: str) -> Column:
        named = {column.key: column for column in self.columns}
        if key not in named:
            raise InputError("there is no such column", key, "RUN:MODEL", "choose one of the list")
        return named[key]

    def _excerpt(self, cell: Cell | None, q: str) -> str:
        """What stands around the first match in a rollout; '' without a search."""
        if cell is None or not q:
            return ""
        rollout = self.rollout(cell.run, cell.id)
        text = f"{rollout['reasoning']}\n{rollout['text']}"
        match = (pattern := search_pattern(q)) and pattern.search(text)
        start = max(0, (match.start() if match else 0) - _EXCERPT // 3)
        return ("…" if start else "") + text[start : start + _EXCERPT] + ("…" if start + _EXCERPT < len(text) else "")


def _connect(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    db.execute("PRAGMA query_only = ON")
    return db


def _place(place: str) -> tuple[int, int]:
    run, number = map(whole_number, place.partition(".")[::2])
    if run is None or number is None:
        raise InputError("this is no place among the pages", place, "RUN.NUMBER", "go back to the list")
    return run, number


def _rollout_conditions(filters: Filters) -> tuple[str, dict[str, str]]:
    """What a rollout (a cell `c` with its setting `s`) must meet, over `{k}`, the run's number; '' for anything."""
    clauses, values = [], {}
    for name, column in (("verdict", "c.outcome"), ("reason", "c.reason"), ("level", "c.level")):
        if value := getattr(filters, name):
            clauses.append(f"{column} = :{name}")
            values[name] = value
    for name, column in (("model", "s.model"), ("prompt", "s.prompt_hash"), ("sampling", "s.sampling_hash")):
        if value := getattr(filters, name):
            clauses.append(f"instr(', ' || :{name} || ', ', ', ' || {column} || ', ')")
            values[name] = value
    if filters.q:
        clauses.append("c.id IN (SELECT rowid FROM r{k}.texts WHERE texts MATCH :words)")
        values["words"] = _match_expression(filters.q)
    return " AND ".join(clauses), values


def _searched(q: str) -> list[str]:
    """The words and phrases of a search that hold a letter or digit."""
    pieces = [phrase or word for phrase, word in _WORDS.findall(q)]
    return [piece.strip('"') for piece in pieces if any(map(str.isalnum, piece))]


def _match_expression(q: str) -> str:
    """A search in FTS5's own language: all words and phrases; a word that ends in * may go on."""
    pieces = _searched(q.replace("\0", " "))  # which would end the expression
    quoted = [(searchable(piece.rstrip("*")).replace('"', '""'), piece.endswith("*")) for piece in pieces]
    return " ".join(f'"{piece}"{" *" if goes_on else ""}' for piece, goes_on in quoted) or '""'


def search_pattern(q: str) -> re.Pattern[str] | None:
    """A pattern of what a search looks for, to mark it in a text."""
    words = ["[^\\w]+".join(map(re.escape, re.findall(r"\w+", piece))) for piece in _searched(q)]
    return re.compile("|".join(sorted(filter(None, words), key=len, reverse=True)), re.IGNORECASE) if words else None
