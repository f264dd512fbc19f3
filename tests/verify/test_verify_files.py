"""Files of rows: the columns that come back, the summary, the audit, and what is said of a bad line."""

import json
from dataclasses import asdict

import pytest

from limo.core.errors import InputError, MissingFileError
from limo.core.progress import NoProgress
from limo.verify import maths_verifier as module
from limo.verify.audit import audit, audit_file
from limo.verify.files import verify_file

ROWS = [
    {"answer": "4", "completion": "\\boxed{4}", "kind": "number"},
    {"answer": "4", "completion": "\\boxed{5}", "kind": "number", "extra": [1, 2]},
    {"gold": "C", "response": "the answer is (C).", "kind": "choice"},
    {"answer": 27.0, "completion": "\\boxed{27}\u2028"},
    {"answer": "4", "completion": "no idea", "finish_reason": "length"},
    {"answer": "B", "completion": "\\boxed{7}", "choices": ["5", "7"], "kind": "choice"},
    {"answer": "1", "completion": "\ud800 \\boxed{1}"},
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("n_workers", [1, 2])
def test_every_row_comes_back_in_order_with_its_verdict(tmp_path, n_workers):
    out = tmp_path / "out.jsonl"
    summary = verify_file(write(tmp_path / "rows.jsonl", ROWS), out, n_workers)
    back = [json.loads(line) for line in out.read_bytes().split(b"\n") if line]
    assert [row["outcome"] for row in back] == [
        "correct",
        "wrong",
        "correct",
        "correct",
        "truncated",
        "correct",
        "correct",
    ]
    assert all({"extracted", "reason", "tier", "elapsed_s"} <= row.keys() for row in back)
    assert back[1]["extra"] == [1, 2]
    assert (summary.n_rows, summary.n_correct, summary.by_kind["choice"]["correct"]) == (7, 5, 2)
    assert summary.table()[1][:2] == ["all", "5"]


def test_without_an_output_only_the_summary_is_made(tmp_path):
    assert verify_file(write(tmp_path / "rows.jsonl", ROWS)).n_rows == 7
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize(("bad", "words"), [("[1]", "line 2 is no JSON object"), ("{", "line 2"), ("{}", "no answer")])
def test_a_bad_line_is_named_and_leaves_no_output(tmp_path, bad, words, n_workers):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"answer": "1", "completion": "1"}\n' + bad + "\n")
    with pytest.raises(InputError, match=words):
        verify_file(path, tmp_path / "out.jsonl", n_workers)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(MissingFileError):
        verify_file(tmp_path / "none.jsonl")
    with pytest.raises(MissingFileError):
        audit_file(tmp_path / "none.jsonl")


def test_an_audit_counts_both_kinds_of_mistake_beside_plain_math_verify(tmp_path):
    labelled = [
        {"gold": "1/2", "pred": "0.5", "expected": True, "kind": "answer"},
        {"gold": "1/2", "pred": "0.6", "expected": False, "kind": "answer"},
        {"gold": "1.24e-8", "pred": "1.24 \\times 10^{-8}", "expected": True, "kind": "answer"},
        {"gold": "3", "pred": "4", "expected": True, "kind": "answer"},
        {"gold": "3", "pred": "3", "expected": False, "kind": "answer"},
        {"gold": "3", "pred": "3", "expected": False, "disputed": True},
    ]
    found = audit_file(write(tmp_path / "labelled.jsonl", labelled), compare=True)
    assert (found.ours.n, found.ours.n_right, found.n_disputed) == (5, 3, 1)
    assert [m.row for m in found.ours.false_accepts] == [5]
    assert [m.row for m in found.ours.false_rejects] == [4]
    assert found.plain is not None
    assert found.plain.n_right < found.ours.n_right
    assert found.table()[1][:3] == ["limo", "all", "5"]
    assert [line[:5] for line in found.examples()[1:3]] == [
        ["limo", "wrong accepted", "5", "3", "3"],
        ["limo", "right rejected", "4", "3", "4"],
    ]
    assert len(found.examples(0)) == 0


def test_a_rule_that_failed_is_counted_and_said_with_its_row(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise IndexError

    said = []
    monkeypatch.setattr(module, "equal", fail)
    monkeypatch.setattr(NoProgress, "log", lambda _, text: said.append(text))
    summary = verify_file(write(tmp_path / "rows.jsonl", ROWS))
    assert summary.n_failed == summary.by_kind["all"]["undecided"] == 6
    assert summary.first_failure.startswith("row 1: a rule failed: IndexError in test_verify_files.py")
    assert len(said) == 1
    assert summary.first_failure in said[0]


def test_what_verify_and_audit_return_can_be_written_as_json(tmp_path):
    path = write(tmp_path / "rows.jsonl", [row | {"expected": True} for row in ROWS])
    for found in (verify_file(path), audit_file(path)):
        assert json.loads(json.dumps(asdict(found)))


def test_an_unlabelled_row_is_refused():
    with pytest.raises(InputError, match="no label"):
        audit([{"answer": "1", "pred": "1"}])
