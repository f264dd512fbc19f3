"""Benchmarks are data; their files are checked; GPQA's key moves with its options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limo.core.errors import InputError, MissingFileError
from limo.pool.sources.benchmarks import (
    benchmark,
    benchmarks,
    duplicates,
    load_benchmark,
    load_benchmarks,
    load_present,
)


def _write(path: Path, table: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    return path


AIME = [{"problem": f"Problem with {n} marbles", "answer": str(n)} for n in range(30)]


def test_the_paper_s_ten_are_known_with_their_groups() -> None:
    groups = [entry.group for entry in benchmarks().values()]
    assert (groups.count("in-domain"), groups.count("out-of-domain"), groups.count("extra")) == (3, 7, 5)


def test_an_unknown_name_names_the_nearest() -> None:
    assert benchmark("aime24") == benchmark("AIME24")
    with pytest.raises(InputError, match="did you mean 'MATH500'"):
        benchmark("math50")


@pytest.mark.parametrize("name", ["aime24.jsonl", "aime.jsonl", "aime/test.jsonl"])
def test_a_benchmark_is_found_in_a_folder_by_its_file_names(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name, AIME)
    problems = load_benchmark("AIME24", tmp_path)
    assert len(problems) == 30 and problems[7].answer == "7" and problems[7].source == "AIME24"
    assert [p.meta["row"] for p in problems] == list(range(30))


def test_a_benchmark_in_two_parts_is_read_in_order(tmp_path: Path) -> None:
    _write(tmp_path / "aime_test2025-II.jsonl", AIME[15:])
    _write(tmp_path / "aime_test2025-I.jsonl", AIME[:15])
    assert [p.answer for p in load_benchmark("AIME25", tmp_path)] == [str(n) for n in range(30)]


def test_a_missing_or_short_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="AIME24"):
        load_benchmark("AIME24", tmp_path)
    with pytest.raises(InputError, match=r"wrong number of rows.*'29'.*30"):
        load_benchmark("AIME24", _write(tmp_path / "aime.jsonl", AIME[:29]))
    with pytest.raises(MissingFileError, match="hub"):
        load_benchmark("Gaokao")


def test_a_file_under_a_name_of_your_own_is_your_benchmark(tmp_path: Path) -> None:
    assert len(load_benchmark("mine", _write(tmp_path / "x.jsonl", AIME[:5]))) == 5
    with pytest.raises(InputError, match="no such benchmark"):
        load_benchmark("mine", tmp_path)


def test_rows_that_no_rule_can_check_stay_because_the_score_counts_them(tmp_path: Path) -> None:
    table = [{"problem": "p", "answer": {"1": "a", "2": "b"}}, {"problem": "see ![](x.png)", "answer": "2"}]
    problems = load_benchmark("mine", _write(tmp_path / "x.jsonl", table))
    assert [p.meta.get("unchecked") for p in problems] == ["several parts to answer", "image missing"]
    assert problems[0].answer == "(1) a; (2) b"


def test_repeated_rows_are_named_and_kept(tmp_path: Path) -> None:
    problems = load_benchmark("mine", _write(tmp_path / "x.jsonl", [*AIME[:3], {**AIME[0], "answer": "9"}]))
    assert len(problems) == 4
    assert [d.detail for d in duplicates(problems)] == [{"row": 3, "first_row": 0, "same_answer": False}]


def test_gpqa_s_options_are_shuffled_and_its_key_moves_along(tmp_path: Path) -> None:
    table = [
        {"Question": f"Q{n}?", "Correct Answer": f"right {n}\n", "Incorrect Answer 1": "w1", "Incorrect Answer 2": "w2",
         "Incorrect Answer 3": "w3", "Explanation": "because"}
        for n in range(198)
    ]  # fmt: skip
    path = _write(tmp_path / "gpqa_diamond.jsonl", table)
    problems = load_benchmark("GPQA", tmp_path)
    for n, problem in enumerate(problems):
        assert problem.options["ABCD".index(problem.answer)] == f"right {n}"  # type: ignore[index]
        assert f"\n{problem.answer}. right {n}" in problem.problem
        assert "w1" not in str({k: v for k, v in problem.meta.items()})
    assert {p.answer for p in problems} == set("ABCD") and problems[0].solution == "because"
    assert load_benchmark("GPQA", path) == problems
    assert [p.answer for p in load_benchmark("GPQA", path, seed=1)] != [p.answer for p in problems]


def test_a_slot_takes_any_number_of_rows_and_is_nobody_s_default(tmp_path: Path) -> None:
    _write(tmp_path / "post_cutoff.jsonl", AIME[:3])
    assert len(load_benchmark("PostCutoff", tmp_path)) == 3
    with pytest.raises(MissingFileError, match="AIME24"):  # asked for all, it is AIME24 that is missed first
        load_benchmarks((), tmp_path)


def test_a_folder_says_what_it_holds_and_what_it_does_not(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no benchmark is in the folder"):
        load_present(tmp_path)
    _write(tmp_path / "aime.jsonl", AIME)
    _write(tmp_path / "postcutoff.jsonl", AIME[:2])
    found, missing = load_present(tmp_path)
    assert {name: len(rows) for name, rows in found.items()} == {"AIME24": 30, "PostCutoff": 2}
    assert "MATH500" in missing and "PostCutoff" not in missing and len(missing) == 13
    _write(tmp_path / "amc.jsonl", AIME)
    with pytest.raises(InputError, match="AMC23 has the wrong number of rows"):
        load_present(tmp_path)


def test_a_hub_that_gives_nothing_ends_in_what_to_name_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(MissingFileError, match=r"benchmark MATH500: .*reach the Hub.*name a file of it: MATH500=FILE"):
        load_benchmark("MATH500")
