"""A text as one may read it: its escapes undone, its numbers as characters, without what a page does not show.

    for seen, kind in readings(text): squeezed(seen)

Every reading is as long as the text, and has letters and digits where the text has what stands for them.
"""

from __future__ import annotations

import html
import re
import string
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, lru_cache
from itertools import pairwise, product, repeat

MANY = 16  # numbers in a text that may be the characters of a secret
# One character as JSON and Python, URLs, HTML, and terminals write it, escaped once or several times over.
_CODES = {
    "\\": r"\\(?<!\\\\)\\*(?=[ux0-7N])(?:(?-i:U)([0-9a-f]{8})|u([0-9a-f]{4})|u\{([0-9a-f]{1,6})\}|x([0-9a-f]{2})"
    r"|([0-7]{2,3})|N\{([a-z0-9 -]{1,99})\})",
    "%": "%(?:25)*([0-9a-f]{2})",
    "&": "&(?:amp;)*(?:#x([0-9a-f]{1,6});?|#([0-9]{1,7});?|([a-z][a-z0-9]{1,31}(?=;)|nbsp|shy);?)",
    "^": r"\^([@-_?])",
}
_ESCAPE = re.compile("|".join(_CODES.values()), re.I)
_CODE = {mark: re.compile(re.sub(r"\((?!\?)", "(?:", code).join("()"), re.I) for mark, code in _CODES.items()}
_DUMP = re.compile(r"[^\w\n]*[0-9a-f]{6,16}:?[ \t]+(\S.*)", re.I)  # a line of one: its offset, and what stands there
_COLUMN = re.compile(r"((?:\S+ )*\S+)  \S+")  # numbers, and text behind them
_CONTROL = re.compile(r"\\[afnrtv0]")
_SEQUENCE = re.compile(  # of a terminal; those of colours also where a log has taken the escape from them
    r"(?:\x1b\0*\[|\x9b)[ -?\0]*[@-~]|\x1b\0*[\]PX^_][^\x07\x1b]*\x07|\x1b\0*[ -/]*[0-~]|(?:ESC|\u241b)?\[[0-9;]*m"
)
_COLOUR = re.compile(r"\[[0-9;]*m")
_ERASE = re.compile("[\b\x7f]")
_TAG = re.compile("<[^<>]*>")
_COMMAND = re.compile(r"(\\[A-Za-z]+)")  # of TeX
NOTHING = "\0"  # in place of what is invisible
_CODED = {  # by base: numbers that may be codes of letters and digits; those of more digits are offsets
    10: re.compile("([0-9](?<![0-9].)[0-9]{1,3})(?![0-9])"),
    8: re.compile("([0-7](?<![0-9].)[0-7]{1,3})(?![0-9])"),
    2: re.compile("([01](?<![0-9].)[01]{5,7})(?![0-9])"),
    16: re.compile("([2-7](?<![0-9A-WYZa-wyz].)[0-9a-fA-F](?:[2-7][0-9a-fA-F])?)(?![0-9A-Za-z])"),
}
_PLAIN = (string.ascii_letters + string.digits).encode()
_SMALL = bytes(range(256)).lower()
_BETWEEN = bytes(set(range(128)) - set(_PLAIN))


@cache
def _other_widths() -> dict[str, str]:
    """Characters that are another form of one ASCII letter or digit (full width, bold, circled, a tag), and which."""
    blocks = (range(0xAA, 0x2500), range(0xFF00, 0xFFF0), range(0x1D400, 0x1D800), range(0x1F100, 0x1F200))
    folded = {chr(code): unicodedata.normalize("NFKC", chr(code)) for block in blocks for code in block}
    starts = (0xE0000, 0xE00F0, 0xDC00, 0xDCF0)  # of tags and selectors, and of the second halves of their pairs
    invisible = {chr(start + code): chr(code) for start in starts for code in _PLAIN}
    return {one: form for one, form in folded.items() if len(form) == 1 and form.encode() in _PLAIN} | invisible


def folded(text: str) -> str:
    """The text, of the same length, with ASCII letters and digits in their plain form."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "ignore").translate(None, bytes(range(128)))
    others = {ord(one): _other_widths()[one] for one in _other_widths().keys() & set(raw.decode())}
    return text.translate(others) if others else text


@lru_cache(1)
def squeezed(text: str) -> bytes:
    """Its ASCII letters, in small, and digits."""
    return text.encode("ascii", "ignore").translate(_SMALL, _BETWEEN)


def readings(text: str) -> Iterator[tuple[str, str]]:
    """A text as one may read it, and what is searched there: `texts`, `numbers`, or `lines` that are hidden whole."""
    plain = folded(text)
    yield plain, "texts"
    yield plain, "numbers"
    if text != plain:  # letters of other forms may be signs between others, as invisible ones are
        yield text, "texts"
    for base, pattern in _CODED.items() if sum(map(squeezed(plain).count, b"01234567")) >= MANY else ():
        if len(parts := pattern.split(plain)) > MANY:
            parts[::2] = map(" ".__mul__, map(len, parts[::2]))
            parts[1::2] = map(_coded, parts[1::2], repeat(base))
            yield "".join(parts), "texts"
    for seen in _dumped(plain) if "0000" in plain else ():
        yield seen, "lines"
    if "\\" in plain:
        yield _without_commands(plain), "texts"
    for remove in (undone, _without_sequences, _without_tags):
        if (visible := remove(plain)) != plain:
            plain = visible
            yield plain, "texts"


def _dumped(text: str) -> Iterator[str]:
    """The lines of a dump alone, each as the characters that it shows, or as its numbers' bytes in either order."""
    lines = text.replace("\\n", "\0\n").split("\n")
    words = [match[1].rstrip("\0 \t\r") if (match := _DUMP.match(line)) else "" for line in lines]
    if not any(words):
        return
    letters = ["".join(word for word in one.split() if len(word) == 1) for one in words]
    yield "\n".join(map(_at_end, letters, lines))
    before_text = [match[1] if (match := _COLUMN.fullmatch(one)) else one for one in words]
    for base, is_turned in product((2, 8, 10, 16), (False, True)):
        numbers = before_text if base in (2, 16) else words
        yield "\n".join(
            _at_end(_bytes_of(one, base, is_turned), line) for one, line in zip(numbers, lines, strict=True)
        )


def _at_end(text: str, line: str) -> str:
    return text.rjust(len(line), NOTHING)


def _bytes_of(numbers: str, base: int, is_turned: bool) -> str:
    seen = []
    with suppress(ValueError, OverflowError):  # up to what is none: text
        for number in numbers.split():
            seen.append(int(number, base).to_bytes(8, "little" if is_turned else "big"))
    return b"".join(seen).replace(b"\0", b"").decode("latin-1")


@lru_cache(4096)
def _coded(number: str, base: int) -> str:
    codes = bytes.fromhex(number) if base == 16 else [int(number, base)]
    return "".join(chr(code) for code in codes if code < 128).rjust(len(number), NOTHING)


def undone(text: str) -> str:
    """The text with each escape as what it stands for, if that is of ASCII or a form of it, at its end."""
    text = text.replace("\x1b\\", "\x07\0")  # ends of a terminal's sequences, and no escapes
    for mark, code in _CODE.items():
        if mark in text:
            parts = code.split(text)
            parts[1::2] = map(_undo, parts[1::2])
            text = "".join(parts)
    if "\\" in text:
        text = _CONTROL.sub(NOTHING * 2, text).replace("\\b", "\0\b").replace("\\e", "\0\x1b")
        text = text.replace('\\"', '\0"').replace("\\/", "\0/")
    return text


@lru_cache(4096)
def _undo(written: str) -> str:
    escape = _ESCAPE.match(written)
    character = _meant(escape) if escape else NOTHING
    character = _other_widths().get(character, character)
    return (character if character < "\x80" or character == "\x9b" else NOTHING).rjust(len(written), NOTHING)


def _without_sequences(text: str) -> str:
    if "\x1b" in text or "\x9b" in text or _COLOUR.search(text):
        text = _SEQUENCE.sub(_blank, text)
    return _erased(text) if "\b" in text or "\x7f" in text else text


def _erased(text: str) -> str:
    """The text without the characters that are erased, each by the next backspace that no other one takes."""
    left, erased, end = [], [-1, len(text)], 0  # stretches that are not erased yet, and positions that are
    for match in _ERASE.finditer(text):
        left.append((end, match.start()))
        end = match.end()
        while left:
            start, stop = left.pop()
            if start < stop:
                left.append((start, stop - 1))
                if text[stop - 1].isprintable():
                    erased.append(stop - 1)
                    break
    return NOTHING.join(text[start + 1 : stop] for start, stop in pairwise(sorted(erased)))


def _without_commands(text: str) -> str:
    parts = _COMMAND.split(text)
    parts[1::2] = map(NOTHING.__mul__, map(len, parts[1::2]))
    return "".join(parts)


def _without_tags(text: str) -> str:
    return _TAG.sub(_blank, text) if "<" in text else text


def _blank(match: re.Match[str]) -> str:
    return NOTHING * len(match[0])


def _meant(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    *codes, octal, name, byte, hexadecimal, decimal, named, caret = escape.groups()
    if named:
        return html.unescape(f"&{named};")[:1]
    if name:
        with suppress(KeyError):
            return unicodedata.lookup(name)
        return " "
    code = next((code for code in (*codes, byte, hexadecimal) if code), None)
    number = int(code, 16) if code else int(octal, 8) if octal else int(decimal) if decimal else ord(caret) ^ 64
    return chr(number) if number < 0x110000 else " "
