"""Server-sent events: every form that the standard allows is the same completion, and an error says what it is."""

from __future__ import annotations

import json

import pytest

from limo.models.openai.client import BadReply
from limo.models.openai.events import EventReader
from limo.models.openai.protocol import StreamReader


def chunk(text="", reason=None, index=0, **more):
    return json.dumps({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": reason}]} | more)


PLAIN = [f"data: {chunk('so ')}", "", f"data: {chunk('4')}", "", f"data: {chunk('', 'stop')}", "", "data: [DONE]", ""]
A, B, END = (chunk(*parts) for parts in (("so ",), ("4",), ("", "stop")))


def spread(event):
    """An event over several `data` lines."""
    return "\n".join(f"data: {line}" for line in json.dumps(json.loads(event), indent=1).split("\n"))


FORMS = {
    "LF": "\n".join(PLAIN) + "\n",
    "CR LF": "\r\n".join(PLAIN) + "\r\n",
    "CR": "\r".join(PLAIN) + "\r",
    "a leading BOM": "\ufeff" + "\n".join(PLAIN) + "\n",
    "no space": "\n".join(PLAIN).replace("data: ", "data:") + "\n",
    "several lines of data": f"{spread(A)}\n\n{spread(B)}\n\n{spread(END)}\n\ndata: [DONE]\n\n",
    "comments": f": ping\n\ndata: {A}\n: ping\n\n:\n\ndata: {B}\n\ndata: {END}\n\n",
    "other fields": f"id: 1\nevent: message\nretry: 10\ndata: {A}\n\ndata: {B}\nevent: chunk\n\nodd\ndata: {END}\n\n",
    "other events": f"event: ping\ndata: alive\n\ndata: {A}\n\ndata: {B}\n\nevent: done\ndata: {END}\n\n",
    "null events": f"data: null\n\ndata: {A}\n\ndata\n\ndata:\n\ndata: {B}\n\ndata: {END}\n\ndata: null\n\n",
    "null choices": f'data: {{"choices": [null]}}\n\ndata: {A}\n\ndata: {B}\n\ndata: {END}\n\n',
    "no blank lines": f"data: {A}\ndata: {B}\ndata: {END}\ndata: [DONE]\n",
    "no end of the last line": f"data: {A}\n\ndata: {B}\n\ndata: {END}",
    "an error that is none": f"data: {chunk('so ', error=None)}\n\ndata: {chunk('4', error={})}\n\ndata: {END}\n\n",
    "something after the end": "\n".join(PLAIN) + "\ndata: [nonsense\n\nevent: error\ndata: no\n\n",
    "a cut event after the end": f"data: {A}\n\ndata: {B}\n\ndata: {END}\n\n" + 'data: {"usage": {"compl',
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_stream_is_the_same_completion_however_it_is_cut(form, size):
    data, stream = FORMS[form].encode(), StreamReader(1)
    for start in range(0, len(data), size):
        if stream.feed(data[start : start + size]) is None:
            break
    (found,) = stream.completions()
    assert (found.text, found.finish_reason) == ("so 4", "stop")


BROKEN = {
    "event: error": "event: error\ndata: {\"message\": \"out of room\"}\n\n",
    "event: error, text": "event: error\ndata: out of room\n\n",
    "event: error, last": "event: error\ndata: out of room",
    "event: error, after its data": "data: {\"code\": 5, \"message\": \"out of room\"}\nevent: error\n\n",
    "error": "data: {\"error\": {\"message\": \"out of room\"}}\n\n",
    "error, text": "data: {\"error\": \"out of room\"}\n\n",
    "error beside choices": f"data: {chunk('', 'error', error={'message': 'out of room'})}\n\n",
    "error of a choice": 'data: {"choices": [{"index": 0, "error": {"message": "out of room"}, "delta": {}}]}\n\n',
}  # fmt: skip


@pytest.mark.parametrize("form", BROKEN)
def test_what_an_error_in_a_stream_says_is_in_the_error(form):
    stream = StreamReader(1)
    with pytest.raises(BadReply, match="out of room"):
        stream.feed(f"data: {A}\n\n{BROKEN[form]}".encode())
        stream.completions()
    assert stream.partial()[0] == "so "


def test_events_have_the_text_that_the_standard_says():
    """The examples of its chapter 9.2.6."""
    for text, events in {
        "data: YHOO\ndata: +2\ndata: 10\n\n": [(b"", b"YHOO\n+2\n10")],
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n": [
            (b"", b"first event"), (b"", b"second event"), (b"", b" third event"),
        ],
        "data:test\n\ndata: test\n\n": [(b"", b"test"), (b"", b"test")],
        "event: add\ndata: 7\n\nevent: remove\n\ndata: 8\n\n": [(b"add", b"7"), (b"", b"8")],
        " data: no\n\ndata: yes\n\n": [(b"", b"yes")],
    }.items():  # fmt: skip
        assert EventReader().feed(text.encode()) == events


def test_an_event_of_many_lines_is_bounded_and_read_in_proportion():
    stream = StreamReader(1)
    with pytest.raises(BadReply, match="longer than"):
        for _ in range(1 << 12):
            stream.feed(b"data: x" * 1000 + b"\ndata: " + b"[" * 1000 + b"\n")


def test_a_completion_that_has_not_ended_where_the_stream_says_that_it_has_costs_no_other():
    for end, n in ((b"data: [DONE]\n\n", 2), (b"", 0)):
        stream = StreamReader(2)
        stream.feed(f"data: {chunk('A', 'stop', 0)}\n\ndata: {chunk('B', None, 1)}\n\n".encode() + end)
        if not n:  # the connection may have broken, and a retry gives both
            with pytest.raises(BadReply, match="ended before the completion did"):
                stream.completions()
            continue
        whole, cut = stream.completions()
        assert (whole.text, cut.finish_reason) == ("A", "error") and "ended before" in cut.error


def test_one_completion_of_a_stream_that_cannot_be_read_costs_no_other():
    stream = StreamReader(3)
    for text in (chunk("A", "stop", 0), chunk(7, None, 1), chunk("B", "abort", 1), chunk("C", "stop", 2)):
        stream.feed(f"data: {text}\n\n".encode())
    found = stream.completions()
    assert [c.text for c in found] == ["A", "", "C"] and [c.finish_reason for c in found] == ["stop", "error", "stop"]
    assert "no text: '7'" in found[1].error
