"""A thought with no text after it, on every road by which it comes: a server, a file of rows, a recording."""

import json

import pytest

from limo.core.records import Completion, Problem
from limo.models.openai import protocol
from limo.verify.checker import Checker
from limo.verify.files import verify_file

THOUGHTS = [
    ("so it is\n\\[ \\boxed{7} \\]", "stop", "correct"),
    ("so it is\n\\[ \\boxed{7} \\]", "length", "correct"),
    ("perhaps \\boxed{7}, but then", "length", "truncated"),
    ("it must be 7", "stop", "no_answer"),
    ("so it is \\boxed{8}", "stop", "wrong"),
]


@pytest.mark.parametrize(("thought", "finish_reason", "outcome"), THOUGHTS)
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_servers_reply_without_content_is_read_in_its_thought(thought, finish_reason, outcome, field):
    message = {"role": "assistant", "content": None, field: thought}
    completion = protocol._read_choice({"message": message, "finish_reason": finish_reason})
    with Checker() as checker:
        assert checker.verify(Problem("", "", "7"), completion).outcome == outcome


@pytest.mark.parametrize("kind", ["maths", "numeric", "exact"])
def test_each_verifier_reads_it(kind):
    with Checker(kind) as checker:
        assert checker.verify(Problem("", "", "7"), Completion("", reasoning="so \\boxed{7}")).outcome == "correct"
        assert checker.verify(Problem("", "", "7"), Completion("\\boxed{8}", reasoning="\\boxed{7}")).outcome == "wrong"


def test_a_row_of_a_file_is_read_in_its_reasoning(tmp_path):
    path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows = [{"answer": "7", "completion": None, "reasoning": t, "finish_reason": f} for t, f, _ in THOUGHTS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    verify_file(path, out)
    assert [json.loads(line)["outcome"] for line in out.read_text().splitlines()] == [o for *_, o in THOUGHTS]
