"""The protocol: a body says what is requested, and whatever a server sends is completions or a BadReply."""

from __future__ import annotations

import json

import pytest

from limo.core.prompts import messages
from limo.core.records import Sampling
from limo.models.completer import Request
from limo.models.openai import protocol
from limo.models.openai.client import BadReply
from limo.models.openai.protocol import Limits, MixedStream, StreamReader, limits_of, read_reply, request_body
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
def test_an_odd_count_costs_no_completion_is_estimated_and_told_once(odd, caplog):
    protocol._warn_once.cache_clear()
    rest = b', "usage": {"prompt_tokens": ' + odd + b', "completion_tokens": 5}'
    (found,) = read_reply(reply(b'{"message": {"content": "4"}}', rest), 1, messages("What is 2+2?"))
    assert (found.text, found.n_completion_tokens) == ("4", 5)
    assert found.n_prompt_tokens > 6 and found.is_estimated
    for _ in range(3):
        read_reply(reply(b'{"message": {"content": "4"}}', rest), 1, messages("What is 2+2?"))
    assert [record.message for record in caplog.records if "they are estimated" in record.message]
    assert len(caplog.records) == 1


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
    assert stream.partial() == ("It is", "")
    with pytest.raises(BadReply):
        stream.completions()


@pytest.mark.parametrize("index", [b"", b', "index": 0', b', "index": null', b', "index": 7'])
def test_completions_without_numbers_of_their_own_are_taken_in_order(index):
    choices = b", ".join(b'{"message": {"content": "%d"}%s}' % (k, index) for k in range(4))
    assert [completion.text for completion in read_reply(reply(choices), 4)] == ["0", "1", "2", "3"]


def test_completions_are_taken_by_their_numbers_where_these_differ():
    choices = b", ".join(b'{"message": {"content": "%d"}, "index": %d}' % (k, k) for k in (2, 0, 1))
    assert [completion.text for completion in read_reply(reply(choices), 3)] == ["0", "1", "2"]


def streamed(n, events):
    stream = StreamReader(n)
    for index, text, reason, role in events:
        delta = {"content": text} | ({"role": role} if role else {})
        stream.feed(
            b"data: "
            + json.dumps({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}).encode()
            + b"\n"
        )
    return [completion.text for completion in stream.completions()]


MIXED = {
    "one after the other": [(0, "A", None, ""), (0, "A", "stop", ""), (0, "B", None, ""), (0, "B", "stop", "")],
    "in turns": [(0, "A", None, ""), (0, "B", None, ""), (0, "", "stop", ""), (0, "", "stop", "")],
    "in turns, with roles": [(0, "A", None, "assistant"), (0, "B", None, "assistant"), (0, "", "stop", "")],
    "in turns, one longer": [(0, "A", None, ""), (0, "B", "stop", ""), (0, "B", None, "")],
}


@pytest.mark.parametrize("name", MIXED)
def test_a_stream_that_mixes_completions_is_refused_and_never_taken_for_one(name):
    with pytest.raises(MixedStream):
        streamed(2, MIXED[name])


def test_a_stream_that_repeats_its_end_or_its_role_is_taken():
    assert streamed(1, [(0, "A", None, "assistant"), (0, "A", "stop", ""), (0, "", "stop", "")]) == ["AA"]
    events = [(k, text, reason, "") for text, reason in (("A", None), ("A", "stop"), ("", "stop")) for k in (0, 1)]
    assert streamed(2, events) == ["AA", "AA"]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("stop", "stop"), ("STOP", "stop"), (" Stop ", "stop"), ("EOS", "stop"), ("end_turn", "stop"), (None, "stop"),
     ("FINISH_REASON_STOP", "stop"), ("MAX_TOKENS", "length"), ("Length", "length"), ("tool_calls", "other"),
     ("content_filter", "other"), ("function_call", "other"), ("\x1b[31mred\x1b]0;title\x07", "other"),
     ("x" * 10**6, "other"),
     (["stop"], "other"), ({"a": 1}, "other")],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_a_reason_is_one_of_four_and_what_the_server_calls_it_is_short_and_clean(reason, kind):
    choice = json.dumps({"message": {"content": "4"}, "finish_reason": reason}).encode()
    (found,) = read_reply(reply(choice), 1)
    assert (found.text, found.finish_reason) == ("4", kind)
    assert bool(found.error) == (kind == "other") and len(found.error) < 100 and found.error.isprintable()


@pytest.mark.parametrize("message", [b'{"content": null}', b'{"content": null, "reasoning_content": null}', b"{}"])
def test_no_text_for_counted_tokens_is_a_failure_that_says_so(message):
    rest = b', "usage": {"completion_tokens": 900}'
    (found,) = read_reply(reply(b'{"message": ' + message + b"}", rest), 1)
    assert (found.finish_reason, found.n_completion_tokens) == ("other", 900) and "900 tokens" in found.error


def test_a_call_of_tools_in_place_of_text_is_named():
    (found,) = read_reply(reply(b'{"message": {"content": null, "tool_calls": [{"id": "1"}]}}'), 1)
    assert (found.finish_reason, found.error) == ("other", "the server returned tool_calls and no text")


DONE = b"data: [DONE]\n\n"


def stream_of(n, *choices, end=DONE):
    stream = StreamReader(n)
    for choice in choices:
        stream.feed(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
    stream.feed(end)
    return [(c.text, c.reasoning, c.finish_reason) for c in stream.completions()]


def test_a_stream_that_ends_in_order_without_reasons_is_taken_as_a_whole_reply_is():
    parts = [{"delta": {"role": "assistant", "content": "so "}}, {"delta": {"content": "4"}}]
    assert stream_of(1, *parts) == [("so 4", "", "stop")]
    assert stream_of(2, *parts, {"index": 1, "delta": {"reasoning": "5"}}) == [("so 4", "", "stop"), ("", "5", "stop")]
    for cut in ((1, *parts[:0]), (1, {"delta": {"role": "assistant", "content": ""}})):
        with pytest.raises(BadReply):
            stream_of(*cut)
    with pytest.raises(BadReply, match="ended before"):
        stream_of(1, *parts, end=b"")
    ended = {"index": 1, "delta": {"content": "5"}, "finish_reason": "stop"}
    assert stream_of(2, *parts, ended) == [("", "", "error"), ("5", "", "stop")]  # others have one: it was cut


@pytest.mark.parametrize(
    "numbers", [(5, 5, 5), (0, 5, 5), (5, 5, 0), (0, 5, 0), (5, 0, 5), (None, 7, None), (-1, -1, 0)], ids=str
)
def test_of_one_completion_the_numbers_of_its_parts_do_not_count(numbers):
    first, text, end = ({"index": number} for number in numbers)
    first |= {"delta": {"role": "assistant", "content": ""}}
    text |= {"delta": {"content": "4"}}
    assert stream_of(1, first, text, end | {"delta": {}, "finish_reason": "length"}) == [("4", "", "length")]
    stream = StreamReader(1)
    for choice in (first, text):
        stream.feed(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
    assert stream.partial() == ("4", "")
    with pytest.raises(BadReply):  # two texts are two completions, of which the first has not ended
        stream_of(1, {"index": 0, "delta": {"content": "3"}}, text | {"index": 1, "finish_reason": "stop"}, end=b"")


def test_a_message_in_an_event_is_read_as_it_is_in_a_whole_reply():
    whole = {"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
    assert stream_of(1, whole) == [("4", "", "stop")]
    with pytest.raises(BadReply, match="several messages"):
        stream_of(1, whole | {"finish_reason": None}, whole)
    assert stream_of(1, whole | {"delta": {"content": "4"}}) == [("4", "", "stop")]


def test_a_role_in_each_part_of_a_stream_begins_no_other_completion():
    part = {"index": 0, "delta": {"role": "assistant", "content": "4"}}
    assert stream_of(1, part, part, part | {"finish_reason": "stop"}) == [("444", "", "stop")]
    with pytest.raises(MixedStream):  # of several it may: they are requested one by one
        stream_of(2, part, part, part | {"index": 1, "finish_reason": "stop"})


def test_reasoning_without_content_is_a_completion():
    (found,) = read_reply(
        reply(b'{"message": {"content": null, "reasoning_content": "so 4"}}', b', "usage": {"completion_tokens": 9}'), 1
    )
    assert (found.finish_reason, found.text, found.reasoning) == ("stop", "", "so 4")


@pytest.mark.parametrize("usage", [b"null", b"7", b"[]", b"{}", b'{"completion_tokens": 0, "prompt_tokens": 0}'])
def test_tokens_that_are_not_counted_are_estimated_whole_and_streamed(usage):
    text, rest = b"so 2+2=4 " * 100, b', "usage": ' + usage
    (whole,) = read_reply(reply(b'{"message": {"content": "' + text + b'"}}', rest), 1, messages("What is 2+2?"))
    stream = StreamReader(1, messages("What is 2+2?"))
    stream.feed(b"data: " + reply(b'{"delta": {"content": "' + text + b'"}, "finish_reason": "stop"}', rest) + b"\n")
    for found in (whole, *stream.completions()):
        assert found.is_estimated and 300 < found.n_completion_tokens < 900 and 6 < found.n_prompt_tokens < 500


def test_counts_that_a_server_gives_are_taken_as_they_are():
    rest = b', "usage": {"prompt_tokens": 9, "completion_tokens": 3}'
    (found,) = read_reply(reply(b'{"message": {"content": "4"}}', rest), 1, messages("What is 2+2?"))
    assert (found.n_prompt_tokens, found.n_completion_tokens, found.is_estimated) == (9, 3, False)


@pytest.mark.parametrize(
    "count", [b"2147483648", b"9007199254740991", b"9007199254740992", b"-1", b"9" * 5000, b"-" + b"9" * 5000]
)
def test_counts_that_no_completion_has_are_estimated_and_cost_no_reply(count):
    text, usage = b'{"message": {"content": "4"}}', b', "usage": {"completion_tokens": %b}' % count
    (found,) = read_reply(reply(text, usage), 1)
    assert found.text == "4" and found.n_completion_tokens == 1 and found.is_estimated
    stream = StreamReader(1)
    stream.feed(b"data: " + reply(b'{"delta": {"content": "4"}, "finish_reason": "stop"}', usage) + b"\n\n")
    assert [c.text for c in stream.completions()] == ["4"]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [({"completion_tokens": 2**31 - 1}, (None, None)), ({"completion_tokens": 2049}, (None, None)),
     ({"completion_tokens": 2048}, (None, 2048)), ({"completion_tokens": 512, "prompt_tokens": 10**6}, (None, 512)),
     ({"prompt_tokens": 9000, "completion_tokens": 9}, (9000, 9))],
)  # fmt: skip
def test_counts_beyond_what_was_requested_are_estimated(usage, counted):
    requests = [Request(PROBLEMS[0], messages("What is 2+2?"), Sampling(max_tokens=512), index) for index in range(4)]
    body = request_body(HttpSettings(), "m", requests)
    choice, rest = b'{"message": {"content": "a text of 20 letters"}}', b', "usage": ' + json.dumps(usage).encode()
    found = read_reply(reply(choice, rest), 4, requests[0].messages, limits_of(body, len(json.dumps(body)), 4))
    assert found[0].is_estimated == (None in counted)
    assert found[0].n_completion_tokens == counted[1] or (counted[1] is None and found[0].n_completion_tokens == 10)
    assert found[0].n_prompt_tokens == counted[0] or (counted[0] is None and found[0].n_prompt_tokens < 1000)


@pytest.mark.parametrize(
    ("extra", "most"),
    [({}, 512), ({"max_completion_tokens": 9000}, 9000), ({"max_tokens": None, "max_completion_tokens": 99}, 99),
     ({"max_tokens": None}, 2**31 - 1), ({"max_tokens": -1}, 2**31 - 1), ({"max_tokens": "x"}, 2**31 - 1)],
)  # fmt: skip
def test_the_most_new_tokens_are_those_that_the_body_allows(extra, most):
    body = request_body(HttpSettings(extra=extra), "m", [Request(PROBLEMS[0], [], Sampling(max_tokens=512), 0)])
    assert limits_of(body, 100, 1).n_new == most
    assert limits_of(body, 100, 3).n_new == min(3 * most, 2**31 - 1)


def test_a_server_that_takes_no_heed_of_max_tokens_is_believed_as_far_as_its_text_goes():
    choice, rest = b'{"message": {"content": "' + b"ab " * 1000 + b'"}}', b', "usage": {"completion_tokens": 1500}'
    (found,) = read_reply(reply(choice, rest), 1, (), Limits(100, 5))
    assert found.n_completion_tokens == 1500


@pytest.mark.parametrize("is_stream", [False, True])
def test_texts_far_longer_than_the_tokens_are_no_reply(is_stream):
    limits = Limits(100, 1000)
    text = b"x" * (limits.n_characters + 1)
    with pytest.raises(BadReply, match="for 1,000 tokens at most"):
        if is_stream:
            stream = StreamReader(1, (), limits)
            for _ in range(2):
                part = text[: len(text) // 2 + 1]
                stream.feed(b"data: " + reply(b'{"delta": {"content": "' + part + b'"}}') + b"\n\n")
        else:
            read_reply(reply(b'{"message": {"content": "' + text + b'"}}'), 1, (), limits)


BAD_CHOICES = {
    b'{"index": 1, "message": {"content": 7}, "finish_reason": "stop"}': ("error", "no text: '7'"),
    b'{"index": 1, "message": null, "finish_reason": "stop"}': ("error", "no completion"),
    b'{"index": 1, "message": {"content": null}, "finish_reason": "stop"}': ("other", "returned no text"),
    b'{"index": 1, "message": {"content": "a"}, "finish_reason": "abort"}': ("error", "gave up"),
    b'{"index": 1, "error": {"message": "out of room"}}': ("error", "out of room"),
    b'{"index": "one", "message": {"content": "a"}}': ("error", "no completion"),
    b"null": ("error", "no completion"),
    b"7": ("error", "no completion"),
}


@pytest.mark.parametrize("bad", BAD_CHOICES)
def test_a_choice_that_cannot_be_read_costs_none_beside_it(bad):
    good = b'{"index": %d, "message": {"content": "%d"}, "finish_reason": "stop"}'
    rest = b', "usage": {"prompt_tokens": 5, "completion_tokens": 30}'
    found = read_reply(reply(b", ".join([good % (2, 2), bad, good % (0, 0)]), rest), 3)
    assert [completion.text for completion in found] == ["0", "", "2"]
    reason, words = BAD_CHOICES[bad]
    assert [completion.finish_reason for completion in found] == ["stop", reason, "stop"] and words in found[1].error
    assert sum(completion.n_completion_tokens for completion in found) == 30


def test_an_error_in_place_of_a_reply_says_what_it_is():
    with pytest.raises(BadReply, match="the reply is an error: out of room"):
        read_reply(b'{"error": {"message": "out of room", "code": 502}}', 1)


def test_a_line_of_a_stream_is_bounded_and_read_once():
    stream, part = StreamReader(1), b"data: " + b" " * (1 << 16)
    with pytest.raises(BadReply, match="longer than"):
        for _ in range(1000):
            stream.feed(part)
    stream = StreamReader(1)
    for byte in b'data: {"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]}\n':
        stream.feed(bytes([byte]))
    assert stream.completions()[0].text == "4"
