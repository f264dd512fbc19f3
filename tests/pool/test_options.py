"""Options are read from the usual shapes, stand in the prompt, and the key becomes the letter that the source means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limo.core.errors import InputError
from limo.core.records import Problem
from limo.pool.ingest import Source, ingest, read_pool, write_pool
from limo.pool.sources.fields import FieldMap, row_to_problem
from limo.pool.sources.options import AMBIGUOUS, FROM_ONE, NOT_AN_OPTION, UNREAD, shuffled, with_options

FOUR = ["4", "2", "1", "0"]
WORDS = ["red", "green", "blue", "grey"]
Q = "Which?"
ASK = {"question": Q}


@pytest.mark.parametrize(
    ("row", "options", "letter"),
    [
        pytest.param({**ASK, "choices": WORDS, "answer": 2}, WORDS, "C", id="MMLU"),
        pytest.param({**ASK, "choices": FOUR, "answer": 1}, FOUR, "B", id="MMLU, an index that is also a text"),
        pytest.param({**ASK, "choices": WORDS, "answer": 0}, WORDS, "A", id="MMLU, the first"),
        pytest.param({**ASK, "options": WORDS, "answer": "D", "answer_index": 3}, WORDS, "D", id="MMLU-Pro"),
        pytest.param(
            {"question": Q, "options": [*"abcdefghij"], "answer": "I", "answer_index": 8}, [*"abcdefghij"], "I",
            id="MMLU-Pro, ten options",
        ),
        pytest.param(
            {"question": Q, "choices": {"text": WORDS, "label": ["A", "B", "C", "D"]}, "answerKey": "B"}, WORDS, "B",
            id="ARC",
        ),
        pytest.param(
            {"question": Q, "choices": {"text": WORDS, "label": ["1", "2", "3", "4"]}, "answerKey": "2"}, WORDS, "B",
            id="ARC, labels of digits",
        ),
        pytest.param(
            {"question": Q, "choices": {"text": FOUR, "label": ["1", "2", "3", "4"]}, "answerKey": "4"}, FOUR, "D",
            id="ARC, a label that is also a text",
        ),
        pytest.param(
            {"question_stem": Q, "choices": {"text": WORDS, "label": [*"ABCD"]}, "answerKey": "D"}, WORDS, "D",
            id="OpenBookQA",
        ),
        pytest.param(
            {"question": Q, "choices": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}],
             "answerKey": "B"}, ["red", "blue"], "B", id="CommonsenseQA",
        ),
        pytest.param({"Question": Q, **dict(zip("ABCD", WORDS, strict=True)), "Answer": "C"}, WORDS, "C", id="CMMLU"),
        pytest.param(
            {"id": 0, "question": Q, **dict(zip("ABCD", WORDS, strict=True)), "answer": "A", "explanation": "x"},
            WORDS, "A", id="C-Eval",
        ),
        pytest.param({**ASK, "A": 0, "B": 1, "answer": "A"}, ["0", "1"], "A", id="columns of numbers"),
        pytest.param({**ASK, "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 0}, [*"wxyz"], "A", id="MedMCQA"),
        pytest.param({**ASK, "option1": "x", "option2": "y", "answer": "2"}, ["x", "y"], "B", id="WinoGrande"),
        pytest.param({**ASK, "option_a": "x", "option_b": "y", "answer": "b"}, ["x", "y"], "B", id="option_a"),
        pytest.param(
            {"question": Q, "options": ["A)21", "B)21.5", "C)22"], "correct": "C", "rationale": "..."},
            ["21", "21.5", "22"], "C", id="AQuA",
        ),
        pytest.param(
            {"question": Q, "options": dict(zip("ABCD", WORDS, strict=True)), "answer": "blue", "answer_idx": "C"},
            WORDS, "C", id="MedQA",
        ),
        pytest.param(
            {"question": Q, "options": {"A": "x", "B": "y"}, "answer": "x, as its text goes on", "answer_idx": "A"},
            ["x", "y"], "A", id="MedQA, a text that is written otherwise",
        ),
        pytest.param(
            {"problem": Q, "answer_option_list": [[{"aoVal": "A", "content": "2 "}], [{"aoVal": "B", "content": "3"}]],
             "answer_value": "B"}, ["2", "3"], "B", id="TAL-SCQ",
        ),
        pytest.param(
            {"question": Q, "options": ["(A)red", "(B)green", "(C)blue"], "label": "B"}, ["red", "green", "blue"], "B",
            id="AGIEval",
        ),
        pytest.param({**ASK, "options": WORDS, "answer": "AC"}, WORDS, "AC", id="several letters"),
        pytest.param({**ASK, "options": WORDS, "answer": "C, A"}, WORDS, "AC", id="several letters, a comma"),
        pytest.param({**ASK, "options": WORDS, "answer": ["A", "C"]}, WORDS, "AC", id="a list of letters"),
        pytest.param({**ASK, "options": WORDS, "answer": "(b)"}, WORDS, "B", id="a small letter in brackets"),
        pytest.param({**ASK, "options": WORDS, "answer": "B."}, WORDS, "B", id="a letter and a stop"),
        pytest.param({**ASK, "options": WORDS, "answer": "grey"}, WORDS, "D", id="the text"),
        pytest.param({**ASK, "options": ["$5$", "$6$"], "answer": "6"}, ["$5$", "$6$"], "B", id="text, no dollars"),
        pytest.param({**ASK, "options": [12, 15, 18], "answer": 18}, ["12", "15", "18"], "C", id="numbers as text"),
        pytest.param({**ASK, "options": ["12", "15", "18"], "answer": "15"}, ["12", "15", "18"], "B", id="digits"),
        pytest.param({**ASK, "options": {"A": 0, "B": 1}, "answer": "A"}, ["0", "1"], "A", id="a value of 0"),
        pytest.param({**ASK, "options": {"B": "y", "A": "x"}, "answer": "B"}, ["x", "y"], "B", id="order of keys"),
        pytest.param({**ASK, "options": {"a": "x", "b": "y"}, "answer": "b"}, ["x", "y"], "B", id="small labels"),
        pytest.param(
            {"question": Q, "options": {"A": "x", "B": "y", "C": None, "D": None}, "answer": "B"}, ["x", "y"], "B",
            id="options that are not there",
        ),
        pytest.param(
            {"question": Q, "options": ["A. Smith", "B. Franklin"], "answer": "A"}, ["Smith", "Franklin"], "A",
            id="labels in front of all",
        ),
        pytest.param(
            {"question": Q, "options": ["J. Smith", "B. Franklin"], "answer": "A"}, ["J. Smith", "B. Franklin"], "A",
            id="initials are no labels",
        ),
        pytest.param(
            {"question": Q, "options": '["red", "blue"]', "answer": "B"}, ["red", "blue"], "B", id="a text of JSON",
        ),
        pytest.param(
            {"question": Q, "options": "A. red\n(B) blue\n\nC：x", "answer": "B"}, ["red", "blue", "x"], "B",
            id="a text of lines",
        ),
    ],
)  # fmt: skip
def test_a_known_shape_gives_its_options_and_the_letter(row: dict[str, Any], options: list[str], letter: str) -> None:
    shaped = row_to_problem(row, "here")
    assert shaped.problem is not None and shaped.reason == ""
    assert (shaped.problem.options, shaped.problem.answer) == (options, letter)
    listed = "".join(f"\n{name}. {text}" for name, text in zip("ABCDEFGHIJ", options, strict=False))
    assert shaped.problem.problem == Q + listed and shaped.problem.meta["answer_kind"] == "choice"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"options": WORDS, "answer": "1"}, AMBIGUOUS),  # B or A, as the source counts
        ({"options": WORDS, "answer": "4"}, AMBIGUOUS),
        ({"options": FOUR, "answer": "1"}, AMBIGUOUS),  # the text of C, or B, or A
        ({"options": [4, 2, 1, 0], "answer": 1}, AMBIGUOUS),
        ({"options": WORDS, "answer": 4}, FROM_ONE),
        ({"options": WORDS, "answer": 7}, NOT_AN_OPTION),
        ({"options": WORDS, "answer": -1}, NOT_AN_OPTION),
        ({"options": WORDS, "answer": "E"}, NOT_AN_OPTION),
        ({"options": WORDS, "answer": "AE"}, NOT_AN_OPTION),
        ({"options": WORDS, "answer": "pink"}, NOT_AN_OPTION),
        ({"options": WORDS, "answer": True}, NOT_AN_OPTION),
        ({"options": ["5", "5", "6"], "answer": "5"}, NOT_AN_OPTION),  # two options read so
        ({"options": WORDS}, "no answer"),
        ({"options": ["write it on the sheet"], "answer": "A"}, UNREAD),
        ({"options": [["x"], {"y": 1}], "answer": "B"}, UNREAD),
        ({"options": "not a list", "answer": "C"}, UNREAD),
        ({"Choices": "A. red\nC. blue", "answer": "C"}, UNREAD),
        ({"options": 3, "answer": "C"}, UNREAD),
    ],
)
def test_a_key_that_names_no_option_for_sure_is_dropped_with_its_reason(row: dict[str, Any], reason: str) -> None:
    assert row_to_problem({"question": Q, **row}, "here").reason == reason


@pytest.mark.parametrize(
    ("answer_is", "options", "answer", "letter"),
    [
        ("index0", WORDS, "1", "B"),
        ("index0", FOUR, 0, "A"),
        ("index0", WORDS, 4, ""),
        ("index1", WORDS, "7" * 5000, ""),
        ("index1", WORDS, "1", "A"),
        ("index1", FOUR, 4, "D"),
        ("index1", WORDS, 0, ""),
        ("index1", WORDS, "B", ""),
        ("text", FOUR, 1, "C"),
        ("text", FOUR, "1", "C"),
        ("text", ["B", "A", "C", "D"], "A", "B"),
        ("text", WORDS, "pink", ""),
        ("letter", ["B", "A", "C", "D"], "A", "A"),
        ("letter", WORDS, "red", ""),
        ("letter", FOUR, 1, ""),
    ],
)
def test_the_source_may_say_what_its_key_is(answer_is: str, options: list[str], answer: object, letter: str) -> None:
    fields = FieldMap(answer_is=answer_is)
    shaped = row_to_problem({"question": Q, "options": options, "answer": answer}, "here", fields)
    assert shaped.problem is not None
    assert (shaped.reason == "", shaped.problem.answer if letter else "") == (bool(letter), letter)


def test_a_source_that_counts_from_1_is_stopped_until_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    rows = [{"question": f"q{n}", "options": WORDS, "answer": n} for n in (1, 2, 3, 4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="answer_is"):
        ingest([path])
    done = ingest([Source(path=str(path), fields=FieldMap(answer_is="index1"))])
    assert [problem.answer for problem in done.problems] == [*"ABCD"]
    done = ingest([Source(path=str(path), fields=FieldMap(answer_is="index0"))])
    assert [problem.answer for problem in done.problems] == [*"BCD"] and done.dropped[0].reason == NOT_AN_OPTION


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("P(A) = 0.3 and P(B) = 0.5. What is P(A and B)?", ["0.15", "0.8"]),
        ("In a triangle, angle A: 30 degrees, angle B: 40 degrees. What is C?", ["110", "70"]),
        ("Points A (1, 2) and B (3, 4) are given. How long is AB?", ["2", "2\\sqrt{2}"]),
        ("Set A: {1, 2}; set B: {2, 3}. What is their union?", ["{2}", "{1, 2, 3}"]),
        ("A. Smith and B. Jones share 10 apples. How many has each?", ["5", "4"]),
        ("Train A: 60 km/h. Train B: 80 km/h. Which is faster?", ["train A", "train B"]),
        ("Bag A) holds 3 balls and bag B) holds 5. How many in all?", ["8", "15"]),
        ("Vitamin A, B and C: which is made by the skin?", ["none", "all"]),
        ("Hepatitis A. Hepatitis B. Which is chronic?", ["A only", "B only"]),
        ("(A) is true if (B) is. Is (A) true?", ["yes", "no"]),
        ("Blood of type A: from whom? Of type B: from whom?", ["from O", "from AB"]),
        ("f(A)=A^2 and f(B)=B. Find f(2).", ["4", "2"]),
    ],
)
def test_a_statement_that_only_names_a_and_b_gets_its_options(statement: str, options: list[str]) -> None:
    assert with_options(statement, options) == f"{statement}\nA. {options[0]}\nB. {options[1]}"


@pytest.mark.parametrize(
    "statement",
    [
        "How many? A. 2 B. 3 C. 4 cm",
        "How many?\nA) 2\nB) 3\nC) 4 cm",
        "How many? (A) 2 (B) 3 (C) 4 cm.",
        "有几个？\nA、2\nB、3\nC、4 cm",
        "How many? $\\textbf{(A) }2\\qquad\\textbf{(B) }3\\qquad\\textbf{(C) }4 cm$",
        "In triangle ABC, angle A: 30. How many? A. $2$; B. $3$; C. $4$ cm",
        "How many? A. 2 B. 3 C. 4 cm\nThink well.",
    ],
)
def test_options_that_stand_in_the_statement_are_not_written_twice(statement: str) -> None:
    assert with_options(statement, ["2", "3", "4 cm"]) == statement


@pytest.mark.parametrize(
    "row",
    [
        {"question": Q, "correct_answer": "right", "distractor1": "w1", "distractor2": "w2", "distractor3": "w3"},
        {"Question": Q, "Correct Answer": "right", "Incorrect Answer 1": "w1", "Incorrect Answer 2": "w2"},
        {"question": Q, "correct_answer": "right", "incorrect_answers": ["w1", "w2"]},
    ],
    ids=["SciQ", "GPQA", "OpenTDB"],
)
def test_wrong_options_that_are_kept_apart_are_shuffled_in(row: dict[str, Any]) -> None:
    problem = row_to_problem(row, "here").problem
    assert problem is not None and problem.options is not None
    assert problem.options["ABCD".index(problem.answer)] == "right" and "w1" in problem.problem
    assert "w1" not in str(problem.meta)


def test_shuffled_options_move_the_key_along_and_depend_on_the_seed_only() -> None:
    keys = set()
    for seed in range(20):
        options, letter = shuffled("p", "right", ["w1", "w2", "w3"], seed)
        assert options["ABCD".index(letter)] == "right" and sorted(options) == ["right", "w1", "w2", "w3"]
        assert shuffled("p", "right", ["w1", "w2", "w3"], seed) == (options, letter)
        keys.add(letter)
    assert keys == set("ABCD")


@pytest.mark.parametrize("name", ["pool.parquet", "pool.jsonl", "pool.jsonl.gz"])
def test_options_are_a_column_of_a_pool(tmp_path: Path, name: str) -> None:
    problems = [Problem.make("p", "B", options=["1 m", "2 m"]), Problem.make("q", "7")]
    write_pool(problems, tmp_path / name)
    assert read_pool(tmp_path / name) == problems
    if name == "pool.parquet":
        import pyarrow.parquet as pq

        assert str(pq.read_schema(tmp_path / name).field("options").type).startswith("list<")


def test_a_pool_of_before_options_were_a_column_is_still_read(tmp_path: Path) -> None:
    row = {"id": "", "problem": "p", "answer": "B", "solution": "", "source": "s", "topic": "", "language": "en"}
    row |= {"meta": {"options": {"A": "x", "B": "y"}, "answer_kind": "choice"}}
    (tmp_path / "old.jsonl").write_text(json.dumps(row) + "\n")
    (problem,) = read_pool(tmp_path / "old.jsonl")
    assert (problem.options, problem.answer, problem.meta) == (["x", "y"], "B", {"answer_kind": "choice"})


def test_columns_that_are_called_a_and_b_are_no_options() -> None:
    assert row_to_problem({"question": "a + b?", "a": 1, "b": 2, "answer": 3}, "here").problem.options is None  # type: ignore[union-attr]
