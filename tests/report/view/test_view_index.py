"""The index beside a ledger follows it."""

from __future__ import annotations

import os
import sqlite3

import pytest

from limo.core.errors import StorageError
from limo.core.progress import NoProgress
from limo.core.records import Completion, Rollout, Verdict
from limo.ledger.store import Ledger
from limo.report.view.index import open_index
from limo.report.view.query import Browser, Filters
from view_cases import PROBLEMS, opened, write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", ("weak",), PROBLEMS[:5])


def n_found(run, q):
    with Browser([opened(run)]) as browser:
        return browser.page(Filters(q=q)).n_matching


def texts_indexed(run):
    progress = NoProgress()
    open_index(run / "ledger.sqlite", run, progress)
    return sum(event.n_done for event in progress.events if event.kind == "end")


def test_a_second_opening_reads_no_text_again(run):
    assert texts_indexed(run) == 15
    assert texts_indexed(run) == 0


def test_only_what_came_since_is_read(run):
    assert n_found(run, "quokka") == 0
    new = Rollout(PROBLEMS[0].id, "late", "p", "s", 0, Completion("a quokka"), Verdict("correct"))
    with Ledger(run / "ledger.sqlite") as ledger:
        ledger.add([new])
    assert texts_indexed(run) == 1
    assert n_found(run, "quokka") == 1


def test_a_failure_that_was_replaced_is_not_found_by_its_old_text(run):
    key = (PROBLEMS[0].id, "late", "p", "s", 0)
    for text, finish_reason in (("broken platypus", "error"), ("whole quokka", "stop")):
        with Ledger(run / "ledger.sqlite") as ledger:
            ledger.add([Rollout(*key, Completion(text, finish_reason))])
        n_found(run, "any")
    assert (n_found(run, "platypus"), n_found(run, "quokka")) == (0, 1)


def test_a_new_verdict_is_shown(run):
    with Browser([opened(run)]) as browser:
        before = browser.page(Filters(verdict="undecided")).n_matching
    with Ledger(run / "ledger.sqlite") as ledger:
        ledger.set_verdicts([((PROBLEMS[0].id, "weak", "prompt-a", "sampling-a", 0), Verdict("undecided"))])
    with Browser([opened(run)]) as browser:
        assert (before, browser.page(Filters(verdict="undecided")).n_matching) == (0, 1)


def test_another_ledger_in_its_place_gets_an_index_of_its_own(run):
    assert n_found(run, "crates") == 4
    for file in run.glob("ledger.sqlite*"):
        file.unlink()
    with Ledger(run / "ledger.sqlite") as ledger:
        ledger.add([Rollout("another", "m", "p", "s", k, Completion("a quokka")) for k in range(40)])
    assert (n_found(run, "crates"), n_found(run, "quokka")) == (0, 1)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to look at" * 9, b""])
def test_a_file_that_is_no_index_is_replaced(run, content):
    (run / "ledger.view.sqlite").write_bytes(content)
    assert n_found(run, "crates") == 4


def test_a_run_without_a_pool_shows_its_problems_by_id(run):
    (run / "problems.parquet").unlink()
    with Browser([opened(run)]) as browser:
        rows = browser.page(Filters()).rows
    assert {row.id for row in rows} == {problem.id for problem in PROBLEMS[:5]}
    assert {row.problem for row in rows} == {""}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_has_its_index_elsewhere(run):
    run.chmod(0o500)
    assert open_index(run / "ledger.sqlite", run).parent != run


def test_a_disk_that_refuses_the_index_of_a_folder_gets_it_elsewhere(run, monkeypatch):
    connect, tried = sqlite3.connect, []

    def refuse_once(address, **how):
        tried.append(address)
        if len(tried) == 1:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(address, **how)

    monkeypatch.setattr(sqlite3, "connect", refuse_once)
    file = open_index(run / "ledger.sqlite", run)
    assert file.parent != run
    file.unlink()


def test_a_ledger_of_another_program_is_refused_before_it_is_indexed(tmp_path):
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("CREATE TABLE other(x)")
    with pytest.raises(StorageError):
        Ledger(tmp_path / "ledger.sqlite", read_only=True)
