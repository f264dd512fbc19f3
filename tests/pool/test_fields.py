"""The common shapes of a row are understood without a mapping."""

from __future__ import annotations

import time
from typing import Any

import pytest

from limo.pool.sources.fields import FieldMap, last_box, row_to_problem

SHAPES: list[tuple[str, dict[str, Any], str, str]] = [
    ("plain", {"problem": "1+1?", "answer": "2"}, "1+1?", "2"),
    ("GSM8K", {"question": "1+1?", "answer": "One and one <<1+1=2>>.\n#### 2"}, "1+1?", "2"),
    ("GSM8K with a comma", {"question": "big?", "answer": "So\n#### 1,000"}, "big?", "1,000"),
    ("MATH", {"problem": "1/2+1/2?", "solution": r"It is $\boxed{\frac{2}{2}}$."}, "1/2+1/2?", r"\frac{2}{2}"),
    ("last box wins", {"problem": "p", "solution": r"\boxed{1} no, \boxed{2}"}, "p", "2"),
    ("answer is the whole solution", {"problem": "p", "answer": r"Since x, \boxed{7}."}, "p", "7"),
    ("floats of whole numbers", {"problem": "p", "answer": 27.0}, "p", "27"),
    ("zero is an answer", {"problem": "p", "answer": 0}, "p", "0"),
    ("OlympiadBench", {"question": "p", "final_answer": ["$74$"], "solution": ["s"]}, "p", "74"),
    ("expected answer", {"problem": "p", "expected_answer": "3", "generated_solution": "s"}, "p", "3"),
    ("Alpaca", {"instruction": "Solve.", "input": "1+1", "output": "2"}, "Solve.\n1+1", "2"),
    ("Alpaca without input", {"instruction": "1+1?", "input": "", "output": r"\boxed{2}"}, "1+1?", "2"),
    (
        "messages",
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"},
                      {"role": "assistant", "content": r"so \boxed{5}"}]},
        "p",
        "5",
    ),
    ("ShareGPT", {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "#### 5"}]}, "p", "5"),
    ("verl", {"prompt": [{"role": "user", "content": "p"}], "reward_model": {"ground_truth": "9"}}, "p", "9"),
    ("case of names", {"Question": "p", "Answer": "4"}, "p", "4"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "statement", "answer"), SHAPES, ids=[case[0] for case in SHAPES])
def test_a_common_shape_is_understood(name: str, row: dict[str, Any], statement: str, answer: str) -> None:
    shaped = row_to_problem(row, "here")
    assert shaped.problem is not None
    assert (shaped.problem.problem, shaped.problem.answer, shaped.reason) == (statement, answer, "")


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"text": "p"}, "no problem text"),
    ({"problem": "   ", "answer": "2"}, "no problem text"),
    ({"problem": "p"}, "no answer"),
    ({"problem": "p", "answer": None, "solution": "no box here"}, "no answer"),
    ({"problem": "p", "answer": float("nan")}, "no answer"),
    ({"problem": "p", "answer": float("inf")}, "no answer"),  # 1e400
    ({"problem": "p", "answer": b"\xff5"}, "broken characters"),
    ({"problem": b"bad \xff", "answer": "2"}, "broken characters"),
    ({"problem": "p", "answer": "x", "answer_type": "Need_human_evaluate"}, "needs a person to check"),
    ({"problem": "p", "answer": "x", "question_type": "proof"}, "needs a person to check"),
    ({"problem": "see ![](a.png)", "answer": "2"}, "image missing"),
    ({"problem": "see <image_1>", "answer": "2"}, "image missing"),
    ({"problem": "p", "answer": {"1": "a", "2": "b"}}, "several parts to answer"),
    ({"problem": "p", "answer": "Z", "options": ["1", "2"]}, "answer is not among the options"),
    ({"problem": "bad \ud800", "answer": "2"}, "broken characters"),
]


@pytest.mark.parametrize(("row", "reason"), UNFIT, ids=[f"{case[1]} {n}" for n, case in enumerate(UNFIT)])
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], reason: str) -> None:
    assert row_to_problem(row, "here").reason == reason


def test_bytes_are_their_text_and_a_picture_s_are_counted() -> None:
    row = {"problem": b"p", "answer": b"5", "tag": "\u4e00".encode(), "picture": {"bytes": b"\xff" * 3000}}
    problem = row_to_problem(row, "h").problem
    assert problem is not None and (problem.problem, problem.answer) == ("p", "5")
    assert (problem.meta["tag"], problem.meta["picture"]) == ("\u4e00", {"bytes": "(3000 bytes)"})


def test_what_is_not_understood_is_kept_in_meta() -> None:
    problem = row_to_problem(
        {"problem": "p", "answer": "2", "year": 1999, "rate": float("inf"), "subject": "Algebra"}, "h"
    ).problem
    assert problem is not None
    assert problem.meta["year"] == 1999 and problem.meta["rate"] is None and problem.topic == "Algebra"


def test_a_mapping_overrides_what_would_be_found() -> None:
    row = {"problem": "wrong", "q": {"text": "right"}, "answer": "wrong", "key": "7"}
    problem = row_to_problem(row, "here", FieldMap(problem="q.text", answer="key")).problem
    assert problem is not None and (problem.problem, problem.answer) == ("right", "7")


def test_a_canonical_row_comes_back_as_it_was_and_an_id_or_column_of_its_owners_is_kept_apart() -> None:
    row = {"id": "p-17", "problem": "p", "answer": "2", "solution": "s", "source": "x", "topic": "t",
           "language": "en", "meta": '{"a": 1}', "author": "me"}  # fmt: skip
    problem = row_to_problem(row, "here").problem
    assert problem is not None and problem.source == "x" and problem.id != "p-17"
    assert problem.meta == {"a": 1, "id": "p-17", "author": "me"}
    again = row_to_problem({**row, "id": problem.id}, "here").problem
    assert again is not None and again.meta == {"a": 1, "author": "me"}


def test_boxes_are_balanced_and_an_open_one_is_none() -> None:
    assert last_box(r"a } \boxed{1 \boxed{2} {3}} \boxed{") == "2"
    assert last_box(r"\boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert last_box(r"\boxed{\{1, 2\}}") == r"\{1, 2\}"
    assert last_box(r"\boxed{3} and \boxed{\frac{1}{2}") == "3"
    assert last_box("no box") == ""


def test_a_solution_that_is_a_formula_without_words_is_the_answer() -> None:
    row = {"question": "What is 2 to the 7th?", "solution": "128"}
    problem = row_to_problem(row, "s1").problem
    assert problem is not None and problem.answer == "128"
    worded = row_to_problem({**row, "solution": "It is small"}, "s1")
    assert worded.problem is not None and worded.problem.answer == "" and worded.reason == "no answer"


@pytest.mark.parametrize("text", ["\\boxed{", "\\boxed{ {", "\\frac", "####", "#### \n", " ", "$", "\\text{", "!["])
@pytest.mark.parametrize("end", ["", "\nx\ny"])
@pytest.mark.parametrize("column", ["problem", "answer", "solution"])
def test_a_row_is_read_in_time_linear_in_its_length(text: str, end: str, column: str) -> None:
    began = time.process_time()
    row_to_problem({"problem": "What is 1+1?", column: text * 20_000 + end}, "here")
    assert time.process_time() - began < 3


def test_what_stands_behind_hashes_at_the_end_is_the_answer() -> None:
    for solution in ("It is\n#### 5", "It is #### 5\n", "####\n\n5", "x\n\\boxed{4} ####5"):
        problem = row_to_problem({"problem": "How many?", "solution": solution}, "here").problem
        assert problem is not None and problem.answer == "5"
    problem = row_to_problem({"problem": "How many?", "solution": "#### 5\nSo \\boxed{6}."}, "here").problem
    assert problem is not None and problem.answer == "6"
