"""Columns with names of the user's own: what is guessed, what is offered, and one guess for pools and benchmarks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from limo.cli.command import benchmark_overrides
from limo.core.errors import InputError, MissingFileError
from limo.core.recipe import load
from limo.core.records import Problem
from limo.pool.decontaminate import DecontaminateSettings, decontaminate
from limo.pool.ingest import Source, ingest
from limo.pool.shards import ingest_shards
from limo.pool.sources.benchmarks import find_benchmarks, load_benchmark, load_files
from limo.pool.sources.fields import FieldMap
from limo.pool.sources.guess import find_fields, named, oddities
from limo.stages import curate, evaluate

ROWS = [{"nr": k, "stem": f"Ada has {k} red and {k} blue pens: how many?", "key": str(2 * k)} for k in range(1, 9)]
UNSURE = [{"left": f"Ada has {k} red and {k} blue pens: how many?", "u": str(2 * k), "v": str(k)} for k in range(1, 9)]


def _write(path: Path, table: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    return str(path)


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"problem": "What is 1 + 1?", "answer": "2"}, {}),
        ({"question": "What is 1 + 1?", "solution": "It is \\boxed{2}."}, {}),
        ({"id": 7, "stem": "What is one and one?", "key": "2"}, {"problem": "stem", "answer": "key"}),
        ({"c1": "What is the sum of one and one?", "c2": "2"}, {"problem": "c1", "answer": "c2"}),
        ({"row": 3, "c1": "What is one and one, please?", "c2": "2", "topic": "+"}, {"problem": "c1", "answer": "c2"}),
        ({"answer_type": "int", "stem": "What is one and one?", "key": "2"}, {"problem": "stem", "answer": "key"}),
        ({"taskText": "What is one and one?", "rightAnswer": "2"}, {"problem": "taskText", "answer": "rightAnswer"}),
        ({"题型": "填空", "题目": "一加一等于多少？请写出答案。", "答案": "2"}, {"problem": "题目", "answer": "答案"}),
        (
            {"stem": "Which one is blue?", "my options": ["sky", "sun"], "key": "A"},
            {"problem": "stem", "answer": "key", "options": "my options"},
        ),
    ],
)  # fmt: skip
def test_columns_are_guessed_only_where_they_are_not_found_by_name(row, fields):
    assert named(find_fields([row] * 5, "f.jsonl", strict=True)) == fields


def test_a_column_that_the_user_names_is_kept_and_the_other_guessed():
    given = FieldMap(answer="v")
    assert named(find_fields(UNSURE, "f.jsonl", given)) == {"problem": "left", "answer": "v"}


def test_an_unsure_guess_is_an_error_that_offers_it(tmp_path):
    with pytest.raises(InputError, match="if this is right, add --field problem=left --field answer=v"):
        ingest([_write(tmp_path / "a.jsonl", UNSURE)])
    with pytest.raises(InputError, match=r"limo pool ingest .*a\.jsonl --field problem=left --field answer=v"):
        load_benchmark("mine", tmp_path / "a.jsonl")


def test_a_worked_text_is_no_answer_and_an_unanswered_pool_stays_as_it_is(tmp_path):
    told = [{"stem": row["stem"], "told": "First we count, then we add. " * 9} for row in ROWS]
    with pytest.raises(InputError, match="--field problem=COLUMN"):
        find_fields(told, "f.jsonl", strict=True)
    unanswered = [{"problem": row["stem"], "u": row["key"], "v": row["key"]} for row in ROWS]
    assert {row.reason for row in ingest([_write(tmp_path / "a.jsonl", unanswered)]).dropped} == {"no answer"}


def test_pool_and_benchmark_have_one_guess(tmp_path):
    file = _write(tmp_path / "odd.jsonl", ROWS)
    pool, benchmark = ingest([file]).problems, load_benchmark("mine", file)
    assert [(p.problem, p.answer) for p in pool] == [(p.problem, p.answer) for p in benchmark]
    assert [p.answer for p in pool] == [row["key"] for row in ROWS]
    assert ingest([Source(path=file, fields=FieldMap(problem="stem", answer="nr"))]).problems[0].answer == "1"


def test_a_pool_s_folder_is_a_benchmark_for_evaluate_curate_and_decontaminate(tmp_path):
    file, folder = _write(tmp_path / "odd.jsonl", ROWS), tmp_path / "pool"
    ingest_shards(folder, [file])
    problems = ingest([file]).problems
    model = {"kind": "replay", "name": "m", "files": ["m.jsonl"]}
    values = {"benchmarks": {"mine": str(folder)}, "model": model}
    assert len(evaluate.Recipe.model_validate(values).load_benchmarks()["mine"]) == len(ROWS)
    found, _ = find_benchmarks([f"mine={folder}"], "")
    kept, dropped = decontaminate(problems, found, DecontaminateSettings())
    assert not kept and len(dropped) == len(ROWS)
    with pytest.raises(MissingFileError, match="the file of mine is not there"):
        find_benchmarks([f"mine={tmp_path / 'nope'}"], "")


def test_a_recipe_names_a_benchmark_s_columns_and_a_path_alone_stays_short(tmp_path):
    file = _write(tmp_path / "a.jsonl", UNSURE)
    words = [f"benchmarks.mine.path={file}", "benchmarks.mine.fields.problem=left", "benchmarks.mine.fields.answer=v"]
    recipe = load(curate.Recipe, "limo-v2", [*words, "decontaminate.path=''"])
    assert recipe.load_benchmarks(only_files=True)["mine"][0].answer == "1"
    assert load_files({"mine": recipe.benchmarks["mine"]})["mine"][1].answer == "2"
    assert curate.Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    short = load(evaluate.Recipe, "evaluate", ["benchmarks={mine: a.jsonl}"])
    assert "benchmarks:\n  mine: a.jsonl\n" in short.to_yaml()


@pytest.mark.parametrize(
    "lines",
    [
        "What is one and one?,2",
        "Compute the sum of one and one.,two",
        "一加一等于多少？请写出计算的过程。,2",
        "Add one to one,2",
    ],
)
def test_a_csv_without_a_line_of_names_does_not_lose_its_first_row(tmp_path, lines):
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{lines}{k}\n" for k in range(8)), encoding="utf-8")
    with pytest.raises(InputError, match="the first line reads like a row"):
        ingest([str(path)])


@pytest.mark.parametrize("names", ["question.,right?", "题目。,答案", "nr. 1,2nd value"])
def test_odd_names_of_columns_are_names(tmp_path, names):
    path = tmp_path / "a.csv"
    path.write_text(names + "\n" + "".join(f"How many are {k} and {k} apples?,{2 * k}\n" for k in range(8)))
    assert len(ingest([str(path)]).problems) == 8


def test_a_column_of_equal_values_is_no_answer():
    table = [{"a": f"What is {k} times {k}, written out?", "label": "5 points", "d": k * k} for k in range(6)]
    assert named(find_fields(table, "x")) == {"problem": "a", "answer": "d"}
    short = [{"label": "5", "stem": "What is two plus three?", "n": 7}]
    assert named(find_fields(short, "x"))["answer"] == "label", "too few rows to say so"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["5 points"] * 8 + ["3"], "89% of the answers are '5 points'"),
        (["7" * 5000, *map(str, range(4, 12))], ""),  # more digits than `int` reads
        ([str(k) for k in range(4, 12)], "the answers count the rows: 4, 5, 6, ..."),
        (["inf points", "N/A", "7", "9", "4 m"], "40% of the answers hold nothing, such as 'inf points'"),
        (["q_0012", "q_0017", "q_0031", "7", "9"], "60% of the answers read like identifiers, such as 'q_0012'"),
        (["3e5f9a0c1b", "0c1b3e5f9a", "1"], "67% of the answers read like identifiers, such as '3e5f9a0c1b'"),
        (["7", "9", "7", "11", "\\frac{1}{2}", "\\infty", "infinitely many", "x^2", "2x", "no", "无数个"], ""),
        (["1", "2", "2", "4", "1", "9.8 m/s^2", "-", "10"], "12% of the answers hold nothing, such as '-'"),
    ],
)
def test_answers_of_a_wrong_column_are_odd_and_ordinary_ones_are_not(answers, said):
    problems = [Problem.make(f"What is {k} plus {k} times {k}?", answer) for k, answer in enumerate(answers)]
    assert oddities(problems) == ([said] if said else [])


def test_letters_of_options_that_were_not_found_are_odd():
    said = "25% of the answers name options that were not found, such as 'C'; "
    texts = [f"Which of the metals number {k} conducts best?" for k in range(8)]
    without = [Problem.make(text, ("C", "12", "7", "3 m")[k % 4]) for k, text in enumerate(texts)]
    assert oddities(without) == [said + "if a column holds them, add --field options=COLUMN"]
    assert oddities([replace(problem, options=("iron", "lead", "copper", "gold")) for problem in without]) == []


def test_short_statements_are_odd_in_any_language():
    problems = [Problem.make(text, "5") for text in ("What?", "一加一？", "一加一等于几？", "How many are 2 and 3?")]
    assert oddities(problems) == ["25% of the statements are short, such as 'What?'"]


def test_a_column_with_a_telling_name_is_the_answer_though_some_of_its_cells_are_empty():
    rows = [
        {"exercise": f"A rod of {k} m stands upright. How long is it, in words of rod {k}?", "result": f"{k} m"}
        | {"chapter": ("statics", "optics")[k % 2]}
        for k in range(1, 31)
    ]
    rows[3]["result"], rows[4]["result"] = "", None
    assert named(find_fields(rows, "rods.jsonl", strict=True)) == {"problem": "exercise", "answer": "result"}


def test_of_columns_without_telling_names_one_of_few_words_is_offered_last():
    rows = [
        {"exercise": f"A rod of {k} m stands upright. How long is it, in words of rod {k}?", "v": f"{k}.25 kilometres"}
        | {"part": ("rods", "lens")[k % 2]}
        for k in range(1, 31)
    ]
    with pytest.raises(InputError, match=r"--field answer=v "):
        find_fields(rows, "rods.jsonl", strict=True)


@pytest.mark.parametrize(
    ("words", "is_odd"),
    [("statics optics", True), ("yes no", False), ("1/2 3", False), ("True False", False)],
)
def test_answers_that_are_few_words_over_and_over_are_odd(words, is_odd):
    some = words.split()
    problems = [Problem.make(f"How does the rod number {k} stand upright?", some[k % 2]) for k in range(20)]
    assert oddities(problems) == [f"2 different answers in 20 rows, such as {some[0]!r}"] * is_odd


@pytest.mark.parametrize(("given", "words"), [(["X=a", "X=b"], "given twice.*'X'"), (["=a"], "no name.*'=a'")])
def test_a_benchmark_of_a_name_given_twice_or_of_none_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        find_benchmarks(given, "")
    with pytest.raises(InputError, match=words):
        benchmark_overrides(given)
