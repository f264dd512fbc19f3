"""The protocol: a body says what was asked for, and whatever a server sends is completions or a BadReply."""

from __future__ import annotations

import json

import pytest

from limo.core.prompts import messages
from limo.core.records import Sampling
from limo.models.completer import Request
from limo.models.openai.protocol import BadReply, Bodies, StreamReader, loads, read_reply, request_body
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


def test_odd_json_is_the_same_for_both_readers():
    for odd in (b"[NaN]", b"1e400", b'"\\ud800"', b"\xef\xbb\xbf7", '{"a": 1}'.encode("utf-16"), b'{"a": 1, "a": 2}'):
        assert repr(loads(odd)) == repr(json.loads(odd))


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
@pytest.mark.parametrize("seed", [True, False])
def test_a_body_says_what_is_asked_for_whoever_asked_before(endpoint, seed):
    wishes = HttpSettings(endpoint=endpoint, seed=seed)
    bodies = Bodies(wishes, "m")
    first, second = PROBLEMS[:2]
    asked = [
        [Request(problem, said, sampling, index + k) for k in range(n)]
        for problem in (first, second)
        for said in (messages(problem.problem), messages(problem.problem, "Be brief."))
        for sampling in (Sampling(), Sampling(0.5))
        for n in (1, 2)
        for index in (0, 5)
    ]
    for asks in [*asked, *asked[::-1]]:
        assert json.loads(bodies.of(asks)) == request_body(wishes, "m", asks)
    assert len({bodies.of(asks) for asks in asked}) == len(asked) // (1 if seed else 2)
