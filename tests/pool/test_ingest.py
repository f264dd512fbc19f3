"""Counts add up to the row, whatever the sources hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.core.errors import InputError
from limo.core.recipe import load
from limo.core.records import Problem
from limo.pool.ingest import IngestSettings, Source, ingest, read_pool, write_pool
from limo.verify.verifier import open_verifier

POOL = [
    Problem.make("1+1?", "2", solution="s", source="a", topic="t", language="en", meta={"k": [1, None, "x\u2028"]}),
    Problem.make("求 $x$", "-3", language="zh"),
]


def _lines(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["pool.parquet", "pool.jsonl", "pool.jsonl.gz"])
def test_a_pool_that_is_written_is_read_back_the_same(tmp_path: Path, name: str) -> None:
    assert write_pool(POOL, tmp_path / name) == 2
    assert read_pool(tmp_path / name) == POOL


@pytest.mark.parametrize("name", ["pool.parquet", "pool.jsonl", "pool.jsonl.gz"])
def test_the_same_pool_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    write_pool(POOL, tmp_path / name)
    write_pool(POOL, tmp_path / "b" / name)
    assert (tmp_path / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_pool_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    write_pool(POOL, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="broken characters"):
        write_pool([Problem.make("lone \ud800", "1")], path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["pool.parquet"]


def test_an_unknown_kind_of_pool_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="parquet"):
        write_pool(POOL, tmp_path / "pool.xlsx")


def test_every_row_is_kept_or_dropped_with_its_line(tmp_path: Path) -> None:
    path = _lines(
        tmp_path / "a.jsonl",
        '{"problem": "p", "answer": "1"}',
        "broken",
        '{"problem": "q"}',
        '{"problem": "prove it", "answer": "see above"}',
        '{"problem": "r", "answer": "2"}',
    )
    done = ingest([path], why_not=lambda problem: "words" if " " in problem.answer else "")
    assert [problem.problem for problem in done.problems] == ["p", "r"]
    assert [(d.detail["line"], d.reason) for d in done.dropped] == [
        (2, "malformed row"),
        (3, "no answer"),
        (4, "answer cannot be checked"),
    ]
    assert done.dropped[2].detail["why"] == "words"


def test_unverifiable_answers_are_kept_when_asked(tmp_path: Path) -> None:
    path = _lines(tmp_path / "a.jsonl", '{"problem": "p", "answer": "any"}')
    done = ingest([path], lambda answer: "never", IngestSettings(keep_unverifiable=True))
    assert len(done.problems) == 1


def test_the_source_is_the_row_s_own_then_the_file_s_unless_named(tmp_path: Path) -> None:
    path = _lines(
        tmp_path / "file.jsonl", '{"problem": "p", "answer": "1", "source": "own"}', '{"problem": "q", "answer": "1"}'
    )
    assert [p.source for p in ingest([path]).problems] == ["own", "file"]
    assert {p.source for p in ingest([Source(path=str(path), name="mine")]).problems} == {"mine"}


def test_columns_that_are_not_understood_give_one_line_with_their_names(tmp_path: Path) -> None:
    path = _lines(tmp_path / "a.jsonl", '{"body": "p", "sol": "1"}', "broken")
    with pytest.raises(InputError, match=r"body .*sol .*--field problem=body --field answer=sol"):
        ingest([path])
    with pytest.raises(InputError, match=r"there is no such column.*bodi.*body, sol"):
        ingest([Source(path=str(path), fields={"problem": "bodi"})])  # type: ignore[arg-type]
    done = ingest([Source(path=str(path), fields={"problem": "body", "answer": "sol"})])  # type: ignore[arg-type]
    assert len(done.problems) == 1


def test_a_pool_in_use_is_read_strictly(tmp_path: Path) -> None:
    path = _lines(tmp_path / "a.jsonl", '{"problem": "p", "answer": "1"}', "broken", '{"problem": "q"}')
    with pytest.raises(InputError, match=r"2 rows .*line 2"):
        read_pool(path)
    assert len(read_pool(_lines(tmp_path / "b.jsonl", '{"problem": "q"}'), require_answer=False)) == 1


def test_sources_in_a_recipe_may_be_plain_paths(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("sources: [a.jsonl, {path: b/, name: mine, fields: {problem: q}}]\n")
    read = load(IngestSettings, recipe)
    assert [source.path for source in read.sources] == ["a.jsonl", "b/"] and read.sources[1].fields.problem == "q"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ["problem", "question", "prompt", "messages", "answer", "solution", "options", "meta", "input", "source", "level"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(_KEYS, _VALUES, max_size=6), min_size=1, max_size=5))
def test_no_row_however_odd_breaks_ingest_or_gets_lost(tmp_path_factory: pytest.TempPathFactory, table: list) -> None:
    path = tmp_path_factory.mktemp("odd") / "a.jsonl"
    fine = {"problem": "fine", "answer": "1"}
    path.write_text("".join(json.dumps(row) + "\n" for row in [fine, *table]))
    done = ingest([path])
    assert len(done.problems) + len(done.dropped) == len(table) + 1
    write_pool(done.problems, path.with_name("pool.parquet"))
    assert read_pool(path.with_name("pool.parquet")) == done.problems


def test_a_row_nested_too_deeply_is_one_dropped_row_whole_or_in_a_field(tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    canonical = {name: "" for name in ("id", "solution", "source", "topic", "language")} | {"options": None}
    rows = [
        json.dumps({"problem": "Add 3 and 9?", "answer": "12"}),
        '{"problem": "Add 3 and 8?", "answer": "11", "meta": ' + deep + "}",
        json.dumps({"problem": "Add 3 and 7?", "answer": "10", "meta": deep} | canonical),
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    ingested = ingest([tmp_path / "rows.jsonl"])
    assert [problem.answer for problem in ingested.problems] == ["12"]
    assert sorted(row.reason for row in ingested.dropped) == ["malformed row", "meta is not JSON"]


OWN_RULES = """
class Raises:
    identity = system = "x"
    verify = None
    def why_not(self, problem):
        return {}["unit"]

class Silent(Raises):
    def why_not(self, problem):
        return None
"""


@pytest.mark.parametrize(("rules", "why"), [("Raises", "KeyError"), ("Silent", "None, which is no text")])
def test_a_why_not_that_fails_costs_the_row_and_is_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, why: str
) -> None:
    (tmp_path / "rules_of_ingest.py").write_text(OWN_RULES)
    monkeypatch.syspath_prepend(tmp_path)
    pool = _lines(tmp_path / "pool.jsonl", '{"problem": "1+1?", "answer": "2"}')
    problems, (dropped,) = ingest([pool], open_verifier(f"python:rules_of_ingest:{rules}").why_not)
    assert not problems and dropped.reason == "answer cannot be checked" and why in str(dropped.detail["why"])


def test_a_limit_draws_the_same_problems_at_every_start_and_drops_the_others_with_the_reason(tmp_path: Path) -> None:
    lines = [json.dumps({"problem": f"What is {i} plus {i}?", "answer": str(2 * i)}) for i in range(40)]
    path = _lines(tmp_path / "a.jsonl", *lines, json.dumps({"problem": "", "answer": "1"}))
    few, more = (ingest([path], settings=IngestSettings(limit=n)) for n in (5, 10))
    assert len(few.problems) == 5 and len(few.dropped) == 36
    assert sum(record.reason == "not drawn" for record in few.dropped) == 35
    assert {problem.id for problem in few.problems} < {problem.id for problem in more.problems}
    turned = _lines(tmp_path / "b.jsonl", *reversed(lines))
    again = ingest([turned], settings=IngestSettings(limit=5))
    assert {problem.id for problem in again.problems} == {problem.id for problem in few.problems}
