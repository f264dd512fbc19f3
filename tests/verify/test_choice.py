"""Letters, options and their texts: by `choice`, and by `maths` for problems with options."""

import json

import pytest

from limo.core.records import Completion, Problem
from limo.verify.checker import Checker
from limo.verify.files import verify_file

LENGTHS = ["12 m", "14 m", "18 m", "15 m"]


@pytest.fixture(scope="module", params=["choice", "maths"])
def checker(request):
    with Checker(request.param) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("\\boxed{C}", "correct"),
        ("\\boxed{18 m}", "correct"),
        ("\\boxed{C. 18 m}", "correct"),
        ("\\boxed{\\text{(C) 18 m}}", "correct"),
        ("The answer is (C).", "correct"),
        ("Answer: C", "correct"),
        ("**Answer: C**", "correct"),
        ("答案是C。", "correct"),
        ("\\boxed{C. 15 m}", "wrong"),
        ("\\boxed{15 m}", "wrong"),
        ("\\boxed{D}", "wrong"),
        ("\\boxed{A, C}", "wrong"),
        ("\\boxed{19 m}", "wrong"),
        ("Answer: B", "wrong"),
        ("", "no_answer"),
    ],
)
def test_an_option_is_named_by_letter_or_by_text(checker, text, outcome):
    assert checker.verify(Problem("", "How far?", "C", LENGTHS), Completion(text)).outcome == outcome


@pytest.mark.parametrize(
    ("options", "answer", "text", "outcome"),
    [
        ([*"tuvwxyzabc"], "I", "\\boxed{I}", "correct"),
        ([*"tuvwxyzabc"], "I", "The answer is (I).", "correct"),
        ([*"tuvwxyzabc"], "I", "Answer: J", "wrong"),
        ([*"tuvwxyzabc"], "B", "Answer: J", "wrong"),
        (LENGTHS, "AC", "\\boxed{A, C}", "correct"),
        (LENGTHS, "AC", "\\boxed{CA}", "correct"),
        (LENGTHS, "AC", "\\boxed{A}", "wrong"),
        (LENGTHS, "C", "Answer: F", "wrong"),
        (["negligence", "nuisance", "trespass"], "B", "Answer: nuisance", "correct"),
        (["negligence", "nuisance", "trespass"], "B", "Answer: (A) negligence", "wrong"),
        (None, "B", "Answer: B", "correct"),
        (None, "B", "Answer: C", "wrong"),
    ],
)
def test_the_choice_verifier_takes_any_number_of_options(options, answer, text, outcome):
    with Checker("choice") as choice:
        assert choice.verify(Problem("", "Which?", answer, options), Completion(text)).outcome == outcome


@pytest.mark.parametrize("answer, fits", [("C", True), ("AD", True), ("18 m", True), ("E", False), ("19 m", False)])
def test_a_key_that_is_none_of_the_options_is_reported(checker, answer, fits):
    assert (checker.why_not(Problem("", "How far?", answer, LENGTHS)) == "") == fits


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("name", ["options", "choices"])
def test_a_file_s_rows_bring_their_options(tmp_path, name, n_workers):
    texts = ["\\boxed{18 m}", "\\boxed{C. 15 m}", "\\boxed{C}", "\\boxed{B}"]
    listed = [LENGTHS, dict(zip("ABCD", LENGTHS, strict=True))]
    rows = [{"answer": "C", "completion": text, name: listed[n % 2]} for n, text in enumerate(texts)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    verify_file(tmp_path / "rows.jsonl", tmp_path / "out.jsonl", n_workers)
    found = [json.loads(line)["outcome"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == ["correct", "wrong", "correct", "wrong"]
