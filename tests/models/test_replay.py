"""Recordings: found by statement and index, and every line that cannot be read is named."""

from __future__ import annotations

import gzip
import json

import pytest

from limo.core.errors import InputError, LimoError, MissingFileError
from limo.core.records import Problem, Sampling
from limo.models.completer import Request
from limo.models.replay import ReplayCompleter

ROW = {"problem": "What is 1+1?", "model": "m", "index": 0, "text": "\\boxed{2}"}


@pytest.fixture
def recorded(tmp_path):
    def write(rows, name="said.jsonl", model="m"):
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return ReplayCompleter([path], model)

    return write


def request(completer, statement="What is 1+1?", indexes=(0,)):
    requests = [Request(Problem.make(statement, "2"), [], Sampling(), index) for index in indexes]
    return [completion for group in completer.complete(iter(requests)) for _, completion in group]


@pytest.mark.parametrize("name", ["said.jsonl", "said.jsonl.gz"])
def test_a_recorded_rollout_is_found_up_to_white_space(recorded, name):
    completer = recorded([ROW | {"n_completion_tokens": 7}], name)
    (found,) = request(completer, " What is\n1+1?")
    assert (found.text, found.finish_reason, found.n_completion_tokens) == ("\\boxed{2}", "stop", 7)


def test_rollouts_without_a_number_count_in_the_order_of_the_file(recorded):
    rows = [{"problem": "What is 1+1?", "model": "m", "response": text} for text in ("a", "b")]
    assert [one.text for one in request(recorded(rows), indexes=(1, 0))] == ["b", "a"]


def test_what_was_not_recorded_is_a_failure_and_says_so(recorded):
    completer = recorded([ROW])
    assert request(completer, indexes=(3,))[0].error == "rollout 3 was not recorded (1 were)"
    (other,) = request(completer, "What is 2+2?")
    assert (other.finish_reason, other.error) == ("error", "the problem was not recorded")


def test_a_line_separator_inside_a_text_ends_no_line(recorded):
    assert request(recorded([json.dumps(ROW | {"text": "a\u2028b"}, ensure_ascii=False)]))[0].text == "a\u2028b"


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ("{", "cannot be read"),
        ("[1]", "cannot be read"),
        (ROW | {"problem": None}, "lacks its problem or text"),
        ({"problem": "p", "model": "m"}, "lacks its problem or text"),
        (ROW | {"index": -1}, "bad index"),
        (ROW | {"index": "x"}, "bad index"),
        (ROW | {"index": 2**63}, "bad index"),
        (ROW | {"index": 5, "n_completion_tokens": 2**62}, "bad index"),
        (ROW | {"finish_reason": "tired"}, "unknown finish_reason"),
        (ROW | {"finish_reason": ["stop"]}, "unknown finish_reason"),
        ("[" * 100_000, "cannot be read"),
        ('{"problem": ' + "[" * 5000 + "]" * 5000 + "}", "cannot be read"),
        ("x" * (17 << 20), "cannot be read"),
        (ROW | {"text": "another"}, "recorded twice"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(recorded, row, part):
    with pytest.raises(InputError, match=part) as caught:
        recorded([ROW, row])
    assert "said.jsonl:2" in str(caught.value) or part == "lacks its problem or text"


def test_a_model_that_was_not_recorded_is_named_with_those_that_were(recorded):
    with pytest.raises(InputError, match=r"'other' \(allowed: m\)"):
        recorded([ROW], model="other")


def test_a_recording_that_is_not_there_or_cut_off_is_named(tmp_path):
    with pytest.raises(MissingFileError):
        ReplayCompleter([tmp_path / "none.jsonl"], "m")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode() * 50)[:-9])
    with pytest.raises(LimoError, match=r"damaged|cannot be read"):
        ReplayCompleter([tmp_path / "cut.jsonl.gz"], "m")
