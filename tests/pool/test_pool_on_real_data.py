"""The rules on real pools and real pairs, where the checkout has them beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from limo.core.records import Problem
from limo.pool.benchmark_index import BenchmarkIndex, DecontaminateSettings
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import ANOTHER_ANSWER, dedup
from limo.pool.ingest import ingest, stream
from limo.pool.sources.benchmarks import benchmarks, load_benchmark, load_present
from limo.pool.sources.readers import rows

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data (../shared/data) is not beside this checkout")


def _pools() -> list[Path]:
    return sorted((DATA / "pools").glob("*")) if DATA.is_dir() else []


@pytest.mark.slow
@pytest.mark.parametrize("path", _pools(), ids=lambda path: path.name)
def test_every_pool_is_understood_without_a_mapping_and_its_counts_add_up(path: Path) -> None:
    done = ingest([path])
    n_rows = sum(1 for _ in rows(path))
    assert len(done.problems) + len(done.dropped) == n_rows > 0
    assert all(problem.answer for problem in done.problems)
    assert all(dropped.reason and dropped.detail["line"] for dropped in done.dropped)


def test_the_math500_problems_inside_past_aime_are_found() -> None:
    pool = ingest([DATA / "pools" / "aime_1983_2023.jsonl.gz"]).problems
    _, dropped = decontaminate(pool, {"MATH500": load_benchmark("MATH500", DATA / "benchmarks")})
    found = {hit["benchmark_row"]: hit["method"] for d in dropped for hit in d.detail["hits"][:1]}  # type: ignore[index]
    exact, near = {80, 101, 285, 292, 412, 489}, {110, 475}
    assert exact | near <= set(found)
    assert {found[row] for row in exact} == {"same text"}
    assert len(dropped) <= 12  # and hardly anything else in 975 problems


@pytest.mark.slow
def test_every_pair_known_to_be_exact_is_among_the_hits() -> None:
    known, _ = load_present(DATA / "benchmarks")
    named = {file: name for name, entry in benchmarks().items() for file in entry.files if isinstance(file, str)}
    pairs = [row.value for row in rows(DATA / "pairs" / "benchmark_vs_pool.jsonl.gz")]
    there = {path.name.removesuffix(".jsonl.gz"): path for path in _pools()}
    wanted = {(p["pool"], p["pool_row"], named[p["benchmark"]], p["bench_row"]) for p in pairs if p["kind"] == "exact"}
    wanted = {one for one in wanted if one[0] in there}
    found = set()
    for pool in {one[0] for one in wanted}:
        items = list(stream([there[pool]]))
        problems = [one for one in items if isinstance(one, Problem)]
        place = {(one.id, one.problem): row for row, one in enumerate(items) if isinstance(one, Problem)}
        hits = BenchmarkIndex(known, DecontaminateSettings(ngram="off")).search(problems)
        for row, hit in hits:
            found.add((pool, place[problems[row].id, problems[row].problem], hit.benchmark, hit.benchmark_row))
    assert len(wanted) == 13 and wanted <= found


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_no_problem_with_a_changed_number_and_another_answer_is_merged(every: int) -> None:
    merged = []
    for row in [*rows(DATA / "pairs" / "gsm_hard_number_swaps.jsonl.gz")][::every]:
        pair = row.value
        if pair["same_answer"] or not pair["original"]:
            continue
        changed, original = (
            Problem.make(pair["problem"], str(pair["answer"])),
            Problem.make(pair["original"], pair["original_answer"]),
        )
        merged += dedup([changed, original])[1]
    # One pair's texts are equal to the letter: there is nothing to tell apart but a wrong key, and it is named.
    assert [d.reason for d in merged] == ([ANOTHER_ANSWER] if every == 1 else [])
