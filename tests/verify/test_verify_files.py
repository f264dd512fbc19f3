"""Files of rows: the columns that come back, the summary, the audit, and the message for a bad line."""

import gzip
import json
import os
from dataclasses import asdict

import pytest

from limo.core.errors import InputError, MissingFileError, PartialError
from limo.core.process.limits import CallLimits
from limo.core.progress import NoProgress
from limo.core.records import Verdict
from limo.core.rows import write_rows
from limo.verify import files as verify_files
from limo.verify import maths_verifier as module
from limo.verify.audit import audit_file
from limo.verify.files import Columns, count_lines, verify_file

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
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("[1]", "line 2 is no JSON object"),
        ("{", "line 2"),
        ("{}", "no answer"),
        ('{"answer": "4", "answer": "5", "completion": "4"}', "answer.*stands twice"),
    ],
)
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


class FieldsVerifier:
    """A verifier of a user: correct where the row's fields arrived; it shows them as what it extracted."""

    identity, system = "fields", ""

    def verify(self, problem, completion):
        fields = [problem.id, problem.problem, problem.answer, problem.options, problem.meta]
        fields += [completion.text, completion.finish_reason, completion.reasoning]
        return Verdict("correct", json.dumps(fields))

    def why_not(self, problem):
        return ""


def test_all_that_a_row_says_of_problem_and_completion_reaches_the_verifier(tmp_path):
    rows = [
        {"id": 7, "question": "1+1?", "answer": 2, "completion": "two", "reasoning": "hm", "finish_reason": "length"},
        {"prompt": "1+1?", "gold": "B", "pred": "\\boxed{B}", "choices": {"A": "1", "B": "2"}, "meta": {"unit": "m"}},
        {"answer": "B", "text": None, "options": ["1", "2"]},
    ]
    out = tmp_path / "out.jsonl"
    verify_file(write(tmp_path / "rows.jsonl", rows), out, verifier=f"python:{__name__}:FieldsVerifier")
    assert [json.loads(json.loads(line)["extracted"]) for line in out.read_text().splitlines()] == [
        ["7", "1+1?", "2", None, {}, "two", "length", "hm"],
        ["", "1+1?", "B", ["1", "2"], {"unit": "m"}, "\\boxed{B}", "stop", ""],
        ["", "", "B", ["1", "2"], {}, "", "stop", ""],
    ]


@pytest.mark.parametrize("n_workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_row_whose_worker_was_killed_is_undecided_and_reported(tmp_path, n_workers, monkeypatch):
    lines = []
    monkeypatch.setattr(NoProgress, "log", lambda _, text: lines.append(text))
    deadly = {"answer": "1", "completion": "1", "meta": {"kill": True}}
    path, out = write(tmp_path / "rows.jsonl", [*ROWS, deadly, *ROWS]), tmp_path / "out.jsonl"
    summary = verify_file(path, out, n_workers, limits=CallLimits(), verifier=f"python:{__name__}:DeadlyVerifier")
    outcomes = [json.loads(line)["outcome"] for line in out.read_bytes().split(b"\n") if line]
    assert outcomes == ["wrong"] * 7 + ["undecided"] + ["wrong"] * 7
    assert summary.by_tier == {"none": 14, "guard": 1}
    assert lines == [
        "verify: 1 rows are undecided because no rule decides them, or they reached a limit "
        "(row 8: its process died (exit 9))"
    ]


class DeadlyVerifier(FieldsVerifier):
    """A verifier of a user that ends its process at rows that say so."""

    def verify(self, problem, completion):
        if problem.meta:
            os._exit(9)
        return Verdict("wrong")


LABELLED = [
    {"gold": "1/2", "pred": "0.5", "expected": True, "kind": "answer"},
    {"gold": "1/2", "pred": "0.6", "expected": False, "kind": "answer"},
    {"gold": "1.24e-8", "pred": "1.24 \\times 10^{-8}", "expected": True, "kind": "answer"},
    {"gold": "3", "pred": "4", "expected": True, "kind": "answer"},
    {"gold": "3", "pred": "3", "expected": False, "kind": "answer"},
    {"gold": "3", "pred": "3", "expected": False, "disputed": True},
]


def test_an_audit_counts_both_kinds_of_mistake_beside_math_verify(tmp_path):
    audit = audit_file(write(tmp_path / "labelled.jsonl", LABELLED), compare=True)
    assert (audit.ours.n, audit.ours.n_right, audit.n_disputed) == (5, 3, 1)
    assert [mistake.row for mistake in audit.ours.false_accepts] == [5]
    assert [mistake.row for mistake in audit.ours.false_rejects] == [4]
    assert audit.math_verify is not None
    assert audit.math_verify.n_right < audit.ours.n_right
    assert [row[:3] for row in audit.table()[1:3]] == [["limo", "all", "5"], ["limo", "answer", "5"]]
    assert [row[:5] for row in audit.mistakes()[1:3]] == [
        ["limo", "wrong accepted", "5", "3", "3"],
        ["limo", "right rejected", "4", "3", "4"],
    ]


def test_an_audit_prints_every_mistake_or_how_many_more_there_are(tmp_path):
    rows = [{"gold": "3", "pred": str(n), "expected": True} for n in range(4, 9)]
    audit = audit_file(write(tmp_path / "labelled.jsonl", rows))
    assert [row[2] for row in audit.mistakes()[1:]] == ["1", "2", "3", "4", "5"]
    *shown, rest = audit.mistakes(most=2)[1:]
    assert [row[2] for row in shown] == ["1", "2"]
    assert rest[-1].startswith("and 3 more")
    assert audit_file(write(tmp_path / "right.jsonl", LABELLED[:2])).mistakes() == []


def test_an_audit_has_no_second_line_for_rows_without_a_kind(tmp_path):
    rows = [{"gold": "3", "pred": "3", "expected": True}] * 2
    assert [row[:4] for row in audit_file(write(tmp_path / "a.jsonl", rows)).table()[1:]] == [
        ["limo", "all", "2", "100.0%"]
    ]
    mixed = audit_file(write(tmp_path / "b.jsonl", [*rows, {**rows[0], "kind": "number"}])).table()
    assert [row[1:3] for row in mixed[1:]] == [["all", "3"], ["number", "1"]]


def test_an_audit_has_a_line_for_bare_answers_and_one_for_whole_responses(tmp_path):
    rows = [
        {"gold": "3", "pred": "3", "expected": True, "as": "answer", "kind": "numbers"},
        {"gold": "3", "pred": "So it is 4.", "expected": True, "as": "response", "kind": "numbers"},
    ]
    table = audit_file(write(tmp_path / "labelled.jsonl", rows)).table()
    assert [row[1:] for row in table[1:]] == [
        ["all", "2", "50.0%", "0", "1"],
        ["as answer", "1", "100.0%", "0", "0"],
        ["as response", "1", "0.0%", "0", "1"],
        ["numbers", "2", "50.0%", "0", "1"],
    ]


@pytest.mark.parametrize("end", ["\n", ""])
def test_lines_are_counted_whether_or_not_the_last_one_ends(tmp_path, end):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + end)
    assert count_lines(path) == len(ROWS)
    progress = NoProgress()
    verify_file(path, None, 1, progress)
    last = progress.events[-1]
    assert (last.kind, last.n_done, last.total) == ("end", len(ROWS), len(ROWS))


def test_a_verify_that_is_stopped_says_so_and_not_that_it_is_done(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(verify_files, "_verified_lines", interrupt)
    progress = NoProgress()
    with pytest.raises(PartialError):
        verify_file(write(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl", 1, progress)
    assert [event.kind for event in progress.events] == ["start", "stop"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.ndjson"])
@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_row_that_is_too_long_is_passed_over_and_counted_and_the_others_are_verified(
    tmp_path, monkeypatch, name, place
):
    monkeypatch.setattr("limo.core.rows.MAX_ROW_BYTES", 1000)
    lines = [json.dumps(row) for row in ROWS]
    lines.insert(place, json.dumps({"answer": "4", "completion": "x" * 5000}))
    text = "".join(line + "\n" for line in lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    summary = verify_file(tmp_path / name, tmp_path / "out.jsonl", 1)
    whole = verify_file(write(tmp_path / "whole.jsonl", ROWS), tmp_path / "expected.jsonl", 1)
    assert len(summary.skipped) == 1 and summary.skipped[0].startswith(f"line {place + 1} ")
    assert "longer than 16 MB" in summary.skipped[0] and summary.by_kind == whole.by_kind
    strip = lambda file: [json.loads(line) | {"elapsed_s": 0} for line in open(tmp_path / file)]  # noqa: E731, SIM115
    assert strip("out.jsonl") == strip("expected.jsonl")
    if place == 0:  # an audit stops at the first row that it cannot take
        with pytest.raises(InputError, match=r"line .* is no row.*longer than 16 MB"):
            audit_file(tmp_path / name)


def test_a_rule_that_failed_is_counted_and_reported_with_its_row(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise IndexError

    lines = []
    monkeypatch.setattr(module, "equal", fail)
    monkeypatch.setattr(NoProgress, "log", lambda _, text: lines.append(text))
    summary = verify_file(write(tmp_path / "rows.jsonl", ROWS))
    assert summary.by_tier["failed"] == summary.by_kind["all"]["undecided"] == 6
    assert len(lines) == 1
    assert "6 rows are undecided because the verifier failed" in lines[0]
    assert "(row 1: a rule failed: IndexError in test_verify_files.py" in lines[0]


def test_what_verify_and_audit_return_can_be_written_as_json(tmp_path):
    path = write(tmp_path / "rows.jsonl", [row | {"expected": True} for row in ROWS])
    for result in (verify_file(path), audit_file(path, compare=True)):
        assert json.loads(json.dumps(asdict(result)))


def test_an_unlabelled_row_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"row 1 has no label"):
        audit_file(write(tmp_path / "rows.jsonl", [{"answer": "1", "pred": "1"}]))


TWO_ROWS = [{"answer": "2", "completion": "\\boxed{2}"}, {"answer": "3", "completion": "\\boxed{2}", "id": "名"}]


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.parquet", "a", "bom.jsonl", "bom.csv", "folder"]
)
def test_rows_of_every_kind_of_file_are_verified(tmp_path, name):
    path, mark = tmp_path / name, "\ufeff" if name.startswith("bom") else ""
    lines = mark + "".join(json.dumps(row) + "\n" for row in TWO_ROWS)
    if name.endswith(".parquet"):
        write_rows(TWO_ROWS, str(path))
    elif name.endswith(".csv"):
        path.write_text(mark + "answer,completion\n2,\\boxed{2}\n3,\\boxed{2}\n", encoding="utf-8")
    elif name == "folder":
        path.mkdir()
        (path / "one.jsonl").write_text(lines)
    else:
        content = json.dumps(TWO_ROWS).encode() if name.endswith(".json") else lines.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    summary = verify_file(path, tmp_path / "out.jsonl")
    assert summary.by_kind["all"]["correct"] == 1 and summary.n_rows == 2
    assert [json.loads(line)["outcome"] for line in (tmp_path / "out.jsonl").open()] == ["correct", "wrong"]


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.jsonl.gz", "out.tsv"])
def test_verdicts_are_not_written_into_a_file_whose_name_says_another_kind(tmp_path, name):
    (tmp_path / "a.jsonl").write_text(json.dumps(TWO_ROWS[0]) + "\n")
    with pytest.raises(InputError, match="verdicts are written as JSON lines"):
        verify_file(tmp_path / "a.jsonl", tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_row_nested_too_deeply_is_named_by_its_line(tmp_path):
    text = json.dumps(TWO_ROWS[0]) + "\n" + '{"answer": "1", "completion": "1", "x": ' + "[" * 900 + "]" * 900 + "}\n"
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(InputError, match="line 2 is no JSON object"):
        verify_file(tmp_path / "a.jsonl")


def test_an_interrupted_verify_keeps_an_earlier_output(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text(json.dumps(TWO_ROWS[0]) + "\n")
    (tmp_path / "out.jsonl").write_text("earlier")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(verify_files, "_verified_lines", interrupt)
    with pytest.raises(PartialError, match="the earlier output is kept"):
        verify_file(tmp_path / "a.jsonl", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "earlier"
    with pytest.raises(PartialError, match="what is done is in the output"):
        verify_file(tmp_path / "a.jsonl", tmp_path / "new.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "new.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    "names",
    [
        ("题目", "标准答案", "模型回答"), ("问题", "答案", "回答"), ("题干", "参考答案", "输出"),
        ("question", "expected_answer", "generation"),
        ("Problem", "Answer", "Response"),
    ],
)  # fmt: skip
def test_usual_names_of_columns_are_known(tmp_path, names):
    rows = [dict(zip(names, ("1+1?", "2", "答：一共2个。"), strict=True))]
    assert verify_file(write(tmp_path / "rows.jsonl", rows)).n_correct == 1


def test_a_column_of_any_name_is_given(tmp_path):
    path = write(
        tmp_path / "rows.jsonl", [{"stem": "1+1?", "reward": {"key": "2"}, "said": "So it is 2.", "text": "3"}]
    )
    columns = Columns.named({"problem": "stem", "answer": "reward.key", "completion": "said"})
    assert verify_file(path, columns=columns).n_correct == 1
    with pytest.raises(InputError, match=r"no such column: 'nope'.*stem, reward, said"):
        verify_file(path, columns=Columns.named({"answer": "nope"}))
    with pytest.raises(InputError, match="no such field: 'key'"):
        Columns.named({"key": "stem"})


def test_missing_columns_are_told_with_those_there_are_and_the_option(tmp_path):
    with pytest.raises(InputError, match=r"row 1 has no answer: 'stem, key'.*`标准答案`.*--field answer=COLUMN"):
        verify_file(write(tmp_path / "rows.jsonl", [{"stem": "1+1?", "key": "2"}]))


def test_the_first_wrong_and_undecided_rows_are_kept_as_examples(tmp_path):
    rows = [{"id": f"r{k}", "answer": "2", "completion": f"\\boxed{{{k}}}"} for k in range(1, 9)]
    examples = []
    verify_file(write(tmp_path / "rows.jsonl", rows), examples=examples)
    assert [example.row for example in examples] == ["r1", "r3", "r4", "r5", "r6"]
    assert examples[0] == ("r1", "wrong", "1", "2", "integers")


@pytest.mark.parametrize("value", [{"a": 1}, ["1"]])
def test_a_completion_that_is_no_text_is_bad_input_and_a_number_is_none(tmp_path, value):
    rows = [{"answer": "1", "completion": 1}, {"answer": "1", "completion": value}]
    with pytest.raises(InputError, match="row 2 has no text under completion"):
        verify_file(write(tmp_path / "rows.jsonl", rows))
    assert verify_file(write(tmp_path / "rows.jsonl", rows[:1])).n_rows == 1


def test_a_completion_in_parquet_that_is_not_utf8_is_bad_input(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array([b"\\boxed{1}", b"\xff\xfe"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"answer": ["1", "1"], "completion": texts}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="row 2 has no text under completion"):
        verify_file(tmp_path / "rows.parquet")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_rows_is_bad_input(tmp_path, text):
    (tmp_path / "rows.jsonl").write_text(text)
    for verify in (verify_file, audit_file):
        with pytest.raises(InputError, match="the file has no rows"):
            verify(tmp_path / "rows.jsonl")
