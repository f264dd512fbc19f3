"""Server-sent events: the bytes of a stream to the text of each event, as the HTML standard (chapter 9.2) has it.

    reader = EventReader()
    for name, text in reader.feed(b'event: ping\\r\\ndata: {"choices":\\r\\ndata: []}\\r\\n\\r\\n'):
        ...                                     # b"ping", b'{"choices":\\n[]}'

A line ends with CR, LF or both; several `data` lines are one text; comments and other fields are skipped.  What servers
send besides is taken too: an event that is whole JSON and lacks the blank line after it, before another one or at the
end.  `[DONE]` ends the stream.
"""

from __future__ import annotations

from typing import Any

from limo.core.text import parse_json

MOST_DIGITS = 400  # of a whole number in what a server sends: far below what Python refuses
DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"
_ENDS = (b"\n", b"\r")
Events = list[tuple[bytes, bytes]]


class EventReader:
    """Reads events as they come, each as its name ('' where it has none) and its text."""

    def __init__(self) -> None:
        self.is_done = False
        self._unread = bytearray()  # of a line that has not ended
        self._name, self._data, self._n_data = b"", list[bytes](), 0  # of an event that has not ended
        self._is_after_cr, self._is_begun = False, False

    @property
    def n_kept(self) -> int:
        """Bytes that are kept for want of what follows."""
        return len(self._unread) + self._n_data

    def feed(self, data: bytes) -> Events:
        """The events that end in the next bytes."""
        self._unread += data[1:] if self._is_after_cr and data.startswith(b"\n") else data
        self._is_after_cr = data.endswith(b"\r") or (self._is_after_cr and not data)
        if not any(end in data for end in _ENDS):
            return []
        lines = bytes(self._unread).splitlines(keepends=True)
        self._unread = bytearray(lines.pop() if lines and not lines[-1].endswith(_ENDS) else b"")
        return [event for line in lines for event in self._read(line.rstrip(b"\r\n"))]

    def end(self) -> Events:
        """What came last, where nothing more comes and it is whole."""
        events = self._read(bytes(self._unread))
        self._unread.clear()
        return events + (self._take() if self._name == b"error" or is_json(b"\n".join(self._data)) else [])

    def _read(self, line: bytes) -> Events:
        line = line if self._is_begun else line.removeprefix(_BOM)
        self._is_begun = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        events: Events = []
        if not line:
            return self._take()
        if name == b"event":
            self._name = value
        elif name == b"data":
            is_done = value.strip() == DONE
            if is_done or (len(self._data) == 1 and is_json(self._data[0])):
                events = self._take()
            self.is_done |= is_done
            self._data.append(value)
            self._n_data += len(value)
        return events

    def _take(self) -> Events:
        name, text, self._name, self._data, self._n_data = self._name, b"\n".join(self._data), b"", [], 0
        return [(name, text)] if text.strip() and not self.is_done else []


def parse_sent(data: bytes) -> Any:
    """JSON of a server, in which a whole number that Python takes for too long is infinite: no count is one.

    Raises as `parse_json`.
    """
    return parse_json(data, make_whole=lambda digits: int(digits) if len(digits) < MOST_DIGITS else float("inf"))


def is_json(text: bytes) -> bool:
    """Whether a text is JSON."""
    try:
        parse_sent(text)
    except ValueError:
        return False
    return True
