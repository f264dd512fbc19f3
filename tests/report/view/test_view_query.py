"""Filters, pages and searches over one run and over two."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limo.core.errors import InputError
from limo.core.records import Provenance
from limo.report.view.query import Browser, Filters, query_of
from view_cases import PROBLEMS, opened, outcome, write_run

N = len(PROBLEMS)


def numbers(browser, **filters):
    """The positions, in the pool, of all problems that match."""
    found, after = [], ""
    position = {problem.id: k for k, problem in enumerate(PROBLEMS)}
    while True:
        page = browser.page(Filters(**filters), after)
        found += [position.get(row.id, -1) for row in page.rows]
        if not page.after:
            assert page.n_matching == len(found)
            return found
        after = page.after


def test_pages_hold_every_problem_once_in_the_order_of_the_pool(one_run):
    assert numbers(one_run) == list(range(N))


def test_two_runs_show_each_problem_once_with_the_columns_of_both(browser):
    assert numbers(browser) == [*range(N), -1]
    row = browser.problem(PROBLEMS[70].id, Filters())
    assert [(column.run, column.model, len(cells)) for column, cells in row.cells.items()] == [
        (1, "strong", 3), (1, "weak", 3), (2, "weak", 1)
    ]  # fmt: skip


def test_a_verdict_and_a_model_must_be_of_one_rollout(one_run):
    expected = [i for i in range(N) if any(outcome(i, "weak", k) == "truncated" for k in range(3))]
    assert numbers(one_run, verdict="truncated", model="weak") == expected
    assert numbers(one_run, verdict="truncated", model="strong") == []


def test_what_one_model_solves_and_another_does_not(one_run):
    expected = [i for i in range(N) if all(outcome(i, "weak", k) != "correct" for k in range(3))]
    assert numbers(one_run, solved="1:strong", unsolved="1:weak") == expected
    assert numbers(one_run, solved="1:weak", unsolved="1:strong") == []


def test_a_problem_without_rollouts_of_a_column_is_not_unsolved_by_it(browser):
    assert min(n for n in numbers(browser, unsolved="2:weak") if n >= 0) >= 60


@pytest.mark.parametrize(
    ("q", "n"),
    [
        ("crates", N - 1), ('"let me check"', N - 1), ('"check me let"', 0), ("boxed 17", 1), ("CRATES weak", N - 2),
        ("crat*", N - 1), ("crat", 0), ("勾股定理", 1), ("股定", 1), ("股勾", 0), ("\\boxed{17}", 1),
    ],
)  # fmt: skip
def test_words_phrases_beginnings_and_chinese_are_found(one_run, q, n):
    assert len(numbers(one_run, q=q)) == n


@pytest.mark.parametrize(
    "q", ['"', "AND", "NEAR(", "text:x", "*", "((", "'; DROP TABLE cells", "\0a", "x" * 5000, '""']
)
def test_no_search_is_an_error(one_run, q):
    one_run.page(Filters(q=q))
    assert len(numbers(one_run)) == N


def test_a_problem_with_a_kept_rollout_was_not_dropped_by_that_stage_whatever_it_dropped_of_the_others(tmp_path):
    folder = write_run(tmp_path / "run", ("strong",), PROBLEMS[:40])
    (kept, lost), stages = PROBLEMS[20:22], folder / "stages"
    rows = [{"problem_id": problem.id, "reason": "wrong answer"} for problem in (kept, lost)]
    pq.write_table(pa.Table.from_pylist(rows), stages / "chains.dropped.parquet")
    chains = [row for row in pq.read_table(stages / "chains.kept.parquet").to_pylist() if row["problem_id"] != lost.id]
    pq.write_table(pa.Table.from_pylist(chains), stages / "chains.kept.parquet")
    with Browser([opened(folder)]) as browser:
        fates = {problem.id: browser.problem(problem.id, Filters()).fates for problem in (kept, lost)}
    assert fates[kept.id] == [(1, "select", "kept")] and (1, "chains", "wrong answer") in fates[lost.id]


def test_a_search_marks_its_rollouts_and_shows_a_piece_of_one(one_run):
    (row,) = one_run.page(Filters(q="\\boxed{17}", model="weak")).rows
    assert {cell.column.model for cells in row.cells.values() for cell in cells if cell.matches} == {"weak"}
    assert "boxed{17}" in row.excerpt


@pytest.mark.parametrize(("text", "n"), [("ship 11", 11), ("100%", 0), ("_", 0), ("求", 1), (PROBLEMS[5].id, 1)])
def test_problems_are_found_by_a_piece_of_their_statement_or_their_id(one_run, text, n):
    assert len(numbers(one_run, problem=text)) == n


def test_stage_drop_reason_level_and_source(one_run):
    assert numbers(one_run, stage="weak_filter") == list(range(10))
    assert numbers(one_run, fate="too easy") == list(range(10))
    assert numbers(one_run, stage="select", fate="kept") == list(range(20, 30))
    assert numbers(one_run, level="L3") == list(range(2, N, 5))
    assert numbers(one_run, source="set1") == list(range(1, 120, 2))


def test_the_menus_hold_what_there_is_with_its_count(one_run):
    assert one_run.facet("reason") == {"boxed": 3 * N, "last line": 3 * N}
    assert one_run.facet("stage") == {"select": 10, "weak_filter": 10}


def test_a_number_opens_on_the_rollouts_behind_it(one_run):
    query = query_of(Provenance("runs/a", "runs/a/ledger.sqlite", "weak, other", "prompt-a", "sampling-a", "maths/3"))
    assert query == "model=weak%2C+other&prompt=prompt-a&sampling=sampling-a&verifier=maths%2F3&run=runs%2Fa"
    assert len(numbers(one_run, model="weak, other", prompt="prompt-a", sampling="sampling-a")) == N
    assert numbers(one_run, model="weak", prompt="prompt") == []


@pytest.mark.parametrize("after", ["x", "1", "1.", "1.x", "-1.2", "1.99999999999999999999", "²"])
def test_a_place_that_is_none_is_refused(one_run, after):
    with pytest.raises(InputError):
        one_run.page(Filters(), after)


def test_filters_and_their_address_are_the_same(one_run):
    filters = Filters(q='"a b" & c', verdict="wrong", solved="1:x y")
    from urllib.parse import parse_qsl

    assert Filters.of_query(dict(parse_qsl(filters.query(after="1.2")))) == filters
