"""The protocol: a body says what was asked for, and whatever a server sends is completions or a BadReply."""

from __future__ import annotations

import json

import pytest

from limo.core.prompts import messages
from limo.core.records import Sampling
from limo.models.completer import Request
from limo.models.openai.client import BadReply
from limo.models.openai.protocol import StreamReader, read_reply, request_body
from limo.models.openai.settings import HttpSettings
from rollout_cases import PROBLEMS

DEEP = b"[" * 100_000


def reply(choice, rest=b""):
    return b'{"choices": [' + choice + b"]" + rest + b"}"


@pytest.mark.parametrize(
    "odd", [b'"a\\ud800b"', b'"\\ud83d\\ude00"', b'"\xc3\xa9 \xe2\x80\xa8"', b'"\\u0000"', b'"' + b"x" * 10**6 + b'"']
)
def test_a_text_comes_as_pythons_own_reader_reads_it(odd):
    (found,) = read_reply(reply(b'{"message": {"content": ' + odd + b"}}"), 1)
    assert found.text == json.loads(odd)


@pytest.mark.parametrize("odd", [b"NaN", b"-Infinity", b"1e400", b"1" * 30, b"-7", b"true", b"[]", b'"9"'])
def test_an_odd_count_costs_no_completion(odd):
    rest = b', "usage": {"prompt_tokens": ' + odd + b', "completion_tokens": 5}'
    (found,) = read_reply(reply(b'{"message": {"content": "4"}}', rest), 1)
    assert (found.text, found.n_completion_tokens) == ("4", 5)
    assert found.n_prompt_tokens in (0, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"choices"',
        b'{"choices": null}',
        b'{"choices": 5}',
        b'{"choices": []}',
        DEEP,
        b'{"choices": ' + DEEP,
        reply(b"7"),
        reply(b'{"message": 7}'),
        reply(b'{"message": {"content": 7}}'),
        reply(b'{"message": {"content": "\xff"}}'),
        reply(b'{"message": {"content": "a"}, "index": 1e400}'),
        reply(b'{"message": {"content": "a"}, "index": NaN}'),
        reply(b'{"message": {"content": "a"}, "index": "first"}'),
        reply(b'{"message": {"content": "a"}, "index": [1]}'),
        reply(b'{"message": {"content": "a"}, "finish_reason": "abort"}'),
    ],
)
def test_nonsense_is_a_bad_reply(data):
    with pytest.raises(BadReply):
        read_reply(data, 1)
    with pytest.raises(BadReply):
        stream = StreamReader(1)
        stream.feed(b"data: " + data.replace(b'"message"', b'"delta"') + b"\n\n")
        stream.completions()


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
@pytest.mark.parametrize("seed", [True, False])
def test_a_body_has_a_seed_of_each_rollouts_own_or_none(endpoint, seed):
    settings = HttpSettings(endpoint=endpoint, seed=seed)
    requests = [Request(PROBLEMS[0], messages(PROBLEMS[0].problem), Sampling(), index) for index in (0, 1)]
    first, second = (request_body(settings, "m", [request]) for request in requests)
    assert ("seed" in first) == seed == (first != second)
    assert ("messages" in first) == (endpoint == "chat")
    assert request_body(settings, "m", requests) == first | {"n": 2}


def test_of_a_stream_that_breaks_off_the_first_completion_is_kept_as_far_as_it_came():
    stream = StreamReader(2)
    for number, text in ((1, "other"), (0, "It "), (0, "is")):
        stream.feed(b'data: {"choices": [{"index": %d, "delta": {"content": "%s"}}]}\n' % (number, text.encode()))
    stream.feed(b'data: {"choices": [{"index": 0, "delta": {"con')
    assert stream.partial() == ("It is", "") and stream.n_chunks == 3
    with pytest.raises(BadReply):
        stream.completions()
