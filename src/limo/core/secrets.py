"""Where keys are masked before anything is written: messages, logs, the ledger, recipes, reports, names of models.

    remember_secret(os.environ["MY_KEY"])      # where it is read
    hide_secrets(server_text)                  # where a text comes in: the key is hidden whole, altered, encoded or cut
    hide_in_own(message)                       # where one leaves that has words of ours: no key that may be one of them
    hide_in_parts(thought, answer)             # texts of any length: a long key is hidden whole, altered or encoded

Servers repeat a key as they please: JSON-escaped, percent-encoded, HTML-escaped, in base64 or hex, backwards, in other
case or width, as numbers, with something between its characters, cut.  Texts and forms of the key are compared by
their ASCII letters and digits alone, so that one search finds a form with whatever stands between; those of numbers by
their digits without zeros, so that one search finds `\\163`, `0x73`, `U+0073` and `115`; and in one
view each short number is the character whose code it is, as in `chr(115)+chr(107)` and in dumps.
"""

from __future__ import annotations

import base64
import codecs
import html
import json
import re
import string
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache, lru_cache
from itertools import pairwise
from struct import Struct
from urllib.parse import quote

from limo.core.text import HIDDEN, hide_keys

CERTAIN = 12  # letters and digits of a secret that no other text contains by chance: hidden in completions too
SHORT = 4  # characters: a shorter secret is hidden only where it stands alone
WORD = 5  # characters: a shorter secret is a word that our messages and recipes may hold
_WORDS = re.compile("{0}(?:[-_. ]{0})*".format("(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+)"))  # and so are these
LOST = 4  # characters at the end of a long secret that may be cut off
MAX_MESSAGE = 10_000  # characters at either end of a message that are searched for parts of a secret
_WINDOW = 8  # characters in a row of a secret that are hidden wherever they stand
_TAIL = 3  # the same at a cut: before an ellipsis, after one, or at the end of a text
_CUT = re.compile(  # with half an escape before it
    r"(?:\\+(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|%[0-9a-f]?|&[#a-z0-9]{0,6})?(?:…|\.{3}|\*{3}|\Z)"
)
# One character as JSON and Python, URLs, HTML, and terminals write it, escaped once or several times over.
_CODES = {
    "\\": r"\\(?<!\\\\)\\*(?=[ux0-7N])(?:(?-i:U)([0-9a-f]{8})|u([0-9a-f]{4})|u\{([0-9a-f]{1,6})\}|x([0-9a-f]{2})"
    r"|([0-7]{2,3})|N\{([a-z0-9 -]{1,99})\})",
    "%": "%(?:25)*([0-9a-f]{2})",
    "&": "&(?:amp;)*(?:#x([0-9a-f]{1,6});?|#([0-9]{1,7});?|([a-z][a-z0-9]{1,31}(?=;)|nbsp|shy);?)",
    "^": r"\^([@-_?])",
}
_ESCAPE = re.compile("|".join([*_CODES.values(), r"\\\\*([^ux])"]), re.I | re.S)
_CODE = {mark: re.compile(re.sub(r"\((?!\?)", "(?:", code).join("()"), re.I) for mark, code in _CODES.items()}
_CONTROL = re.compile(r"\\[afnrtv0]")
_SEQUENCE = re.compile(  # of a terminal; those of colours also where a log has taken the escape from them
    r"(?:\x1b\0*\[|\x9b)[ -?\0]*[@-~]|\x1b\0*[\]PX^_][^\x07\x1b]*\x07|\x1b\0*[ -/]*[0-~]|(?:ESC|\u241b)?\[[0-9;]*m"
)
_COLOUR = re.compile(r"\[[0-9;]*m")
_ERASE = re.compile("[\b\x7f]")
_TAG = re.compile("<[^<>]*>")
_NOTHING = "\0"  # in place of what is invisible
Forms = dict[str, tuple[str, ...]]
_PREFIX = "0xuoXUO"  # of numbers, and the zeros in them
_NO_PREFIX = str.maketrans(_PREFIX, "\\" * len(_PREFIX))
_CODED = {  # by base: numbers that may be codes of letters and digits; those of more digits are offsets
    10: re.compile("([0-9](?<![0-9].)[0-9]{1,3})(?![0-9])"),
    8: re.compile("([0-7](?<![0-9].)[0-7]{1,3})(?![0-9])"),
    2: re.compile("([01](?<![0-9].)[01]{5,7})(?![0-9])"),
    16: re.compile("([2-7](?<![0-9A-WYZa-wyz].)[0-9a-fA-F](?:[2-7][0-9a-fA-F])?)(?![0-9A-Za-z])"),
}
_PLAIN = (string.ascii_letters + string.digits).encode()
_SMALL = bytes(range(256)).lower()
_BETWEEN = bytes(set(range(128)) - set(_PLAIN))
_STRETCH = 6  # letters and digits of a form that are looked up
_secrets: dict[str, list[str]] = {}  # by secret: itself and the forms that are no escapes of single characters
_whole: Forms = {}  # by secret: those, and forms of which no part is searched
_numbers: Forms = {}  # by secret: its characters as numbers, without the zeros


def remember_secret(secret: str) -> None:
    """Hide this text from now on; an empty one is none."""
    if secret:
        forms = [secret, *({*_encoded(secret)} - {secret} if len(secret) >= SHORT else ())]
        _secrets[secret] = forms
        _whole[secret] = (*forms, *_escaped(secret))
        numbers = ("".join(format(ord(character), base) for character in secret) for base in "xdo")
        _numbers[secret] = tuple(form for number in numbers if len(form := number.replace("0", "")) >= CERTAIN)


def _encoded(secret: str) -> Iterator[str]:
    units = [(character, 0, 0) for character in secret]
    for _ in range(2):  # a secret that holds escapes itself: all are undone where it is searched
        units = list(_unescape(units))
        yield "".join(unit[0] for unit in units)
    yield secret[::-1]
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw.hex()
    for text in _shifted(raw, base64.b64encode, 6):
        yield from {text, text.replace("+", "-").replace("/", "_")}


def _escaped(secret: str) -> Iterator[str]:
    """Forms that stand whole in a text or nearly so; parts of them would stand in others by chance."""
    yield from (json.dumps(secret)[1:-1], quote(secret, safe=""), html.escape(secret))
    raw = secret.encode("utf-8", "surrogatepass")
    for encode in (base64.b32encode, base64.b32hexencode):
        yield from _shifted(raw, encode, 5)
    yield from (codecs.encode(secret, "rot13"), base64.b85encode(raw).decode(), base64.a85encode(raw).decode())
    for again in (raw[::-1], base64.b64encode(raw), raw.hex().encode(), secret.encode("utf-16-le", "replace")):
        yield again.hex()
        yield from _shifted(again, base64.b64encode, 6)
    yield raw.hex()[::-1]
    yield base64.b64encode(raw).decode().rstrip("=")[::-1]


def _shifted(raw: bytes, encode: Callable[[bytes], bytes], n_bits: int) -> Iterator[str]:
    """In letters of so many bits, where other bytes may stand before and behind, on which the ends depend."""
    for shift in range(5):  # of 6 bits the first three come again
        yield encode(bytes(shift) + raw).decode().rstrip("=")[-(-8 * shift // n_bits) : -1]


@cache
def _other_widths() -> dict[str, str]:
    """Characters that are another form of one ASCII letter or digit (full width, bold, circled, a tag), and which."""
    blocks = (range(0xAA, 0x2500), range(0xFF00, 0xFFF0), range(0x1D400, 0x1D800), range(0x1F100, 0x1F200))
    folded = {chr(code): unicodedata.normalize("NFKC", chr(code)) for block in blocks for code in block}
    starts = (0xE0000, 0xE00F0, 0xDC00, 0xDCF0)  # of tags and selectors, and of the second halves of their pairs
    invisible = {chr(start + code): chr(code) for start in starts for code in _PLAIN}
    return {one: form for one, form in folded.items() if len(form) == 1 and form.encode() in _PLAIN} | invisible


def _folded(text: str) -> str:
    """The text, of the same length, with ASCII letters and digits in their plain form."""
    others: dict[str | int, str | int | None] = {}
    if not text.isascii():
        raw = text.encode("utf-8", "ignore").translate(None, bytes(range(128)))
        others |= {one: _other_widths()[one] for one in _other_widths().keys() & set(raw.decode())}
    return text.translate(str.maketrans(others)) if others else text


def _squeezed(text: str) -> bytes:
    return text.encode("ascii", "ignore").translate(_SMALL, _BETWEEN)


def hide_in_parts(*parts: str) -> tuple[str, ...]:
    """Texts of a completion, as a thought and its answer, without the secrets that are too long to stand in them by
    chance, whole and in their usual forms, also where one stands across both."""
    spans, shown, start = list(_whole_spans("".join(parts), CERTAIN, _secrets)), [], 0
    for part in parts:
        own = [(max(a - start, 0), min(b - start, len(part))) for a, b in spans if a < start + len(part) and b > start]
        shown.append(_without(part, own))
        start += len(part)
    return tuple(shown)


def holds_secret(text: str) -> bool:
    """Whether a secret that is no word stands in a text, as it is or in another form."""
    strong = _strong_secrets()
    return any(secret in text for secret in strong) or any(True for _ in _whole_spans(text, SHORT, strong))


def hide_in_own(text: str) -> str:
    """A message that has words of ours, without the secrets that are no words, and without what is shaped like a key.

    A key such as `server`, `EMPTY` or `1` would be hidden in them and in paths; what came from elsewhere has lost it.
    """
    return hide_keys(_without(text, _whole_spans(text, SHORT, _strong_secrets())))


def _strong_secrets() -> set[str]:
    """Those that no message of ours contains by chance: neither short nor words or numbers alone, or long."""
    certain = {secret for secret in _secrets if len(_squeezed(secret)) >= CERTAIN}
    return certain | {secret for secret in _secrets if len(secret) >= WORD and not _WORDS.fullmatch(secret)}


def hide_secrets(text: str) -> str:
    """What came from elsewhere without the secrets, and without what is shaped like a key."""
    spans = [*_whole_spans(text, SHORT, _secrets)]
    last = len(text) - MAX_MESSAGE
    for offset, part in [(0, text[:MAX_MESSAGE]), (last, text[last:])] if last > MAX_MESSAGE else [(0, text)]:
        spans += [(offset + start, offset + stop) for start, stop in _part_spans(part)]
    return hide_keys(_without(text, spans))


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    shown, end = [], 0
    for start, stop in sorted(spans):
        if stop > end:
            shown.append(text[end : max(start, end)] + (HIDDEN if start > end or not end else ""))
            end = stop
    return "".join(shown) + text[end:]


def _views(text: str, folded: str) -> Iterator[tuple[Forms, bytes, Callable[[], str]]]:
    """A text as one may read it: which forms are searched, in which letters and digits, and what of the same length
    as the text has them in the same order."""
    squeezed = _squeezed(folded)
    yield _whole, squeezed, lambda: folded
    if text != folded:  # letters of other forms may be signs between others, as invisible ones are
        yield _whole, _squeezed(text), lambda: text
    yield _numbers, squeezed.translate(None, _PREFIX.encode()), lambda: folded.translate(_NO_PREFIX)
    for base, pattern in _CODED.items() if sum(map(squeezed.count, b"01234567")) >= 2 * _WINDOW else ():
        if len(parts := pattern.split(folded)) > 2 * _WINDOW:
            seen = "".join(_coded(part, base) if k % 2 else " " * len(part) for k, part in enumerate(parts))
            yield _whole, _squeezed(seen), lambda seen=seen: seen  # type: ignore[misc]
    for remove in (_undone, _without_sequences, _without_tags):
        if (visible := remove(folded)) != folded:
            folded = visible
            yield _whole, _squeezed(folded), lambda seen=visible: seen  # type: ignore[misc]


@lru_cache(4096)
def _coded(number: str, base: int) -> str:
    codes = bytes.fromhex(number) if base == 16 else [int(number, base)]
    return "".join(chr(code) for code in codes if code < 128).rjust(len(number), _NOTHING)


def _undone(text: str) -> str:
    """The text with each escape as what it stands for, if that is of ASCII or a form of it, at its end."""
    text = text.replace("\x1b\\", "\x07\0")  # ends of a terminal's sequences, and no escapes
    for mark, code in _CODE.items():
        if mark in text:
            parts = code.split(text)
            parts[1::2] = map(_undo, parts[1::2])
            text = "".join(parts)
    if "\\" in text:
        text = _CONTROL.sub(_NOTHING * 2, text).replace("\\b", "\0\b").replace("\\e", "\0\x1b")
    return text


@lru_cache(4096)
def _undo(written: str) -> str:
    escape = _ESCAPE.match(written)
    character = _meant(escape) if escape else _NOTHING
    character = _other_widths().get(character, character)
    return (character if character < "\x80" or character == "\x9b" else _NOTHING).rjust(len(written), _NOTHING)


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
    return _NOTHING.join(text[start + 1 : stop] for start, stop in pairwise(sorted(erased)))


def _without_tags(text: str) -> str:
    return _TAG.sub(_blank, text) if "<" in text else text


def _blank(match: re.Match[str]) -> str:
    return _NOTHING * len(match[0])


@lru_cache(16)
def _searched(
    forms_of: tuple[tuple[str, tuple[str, ...]], ...], least: int
) -> tuple[dict[str, int], set[str], frozenset[tuple[bytes]], Struct]:
    """What is searched of secrets: the letters and digits of forms and how many of them are certain, and forms with
    fewer of them than `least`, which are mostly marks.

    And stretches of the former, of which a text has one at this stride if it has the whole.
    """
    heads: dict[str, int] = {}
    marks = set()
    for form, n_letters in {(form, len(key)) for key, forms in forms_of for form in forms if form}:
        plain = _squeezed(_folded(form)).decode()
        if len(plain) < least:
            marks.add(form)
        else:
            n_head = max(CERTAIN, len(plain) - LOST * -(-len(form) // n_letters))
            heads[plain] = min(n_head, heads.get(plain, n_head))
    ends = {end.encode() for plain, n_head in heads.items() for end in (plain[:n_head], plain[-n_head:])}
    shortest = min(map(len, ends), default=1)
    n = min((shortest + 1) // 2, _STRETCH)
    stretches = frozenset((end[k : k + n],) for end in ends for k in range(len(end) - n + 1))
    return heads, marks, stretches, Struct(f"{n}s{shortest + 1 - 2 * n}x")


def _whole_spans(text: str, least: int, secrets: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where these secrets stand, in one of their forms, whatever stands between; none that has fewer characters.

    Whole, or, of long ones, without the first or the last few characters.
    """
    searched = [secret for secret in secrets if len(secret) >= least]
    folded = _folded(text) if searched else ""
    for forms_of, squeezed, blanked in _views(text, folded) if folded else ():
        forms = tuple((secret, forms_of[secret]) for secret in searched)
        heads, marks, stretches, stride = _searched(forms, least)
        for form in marks:
            yield from (match.span() for match in re.finditer(re.escape(form), text))
        if stretches.isdisjoint(stride.iter_unpack(squeezed + bytes(-len(squeezed) % stride.size))):
            continue
        for plain, n_head in heads.items():
            if plain[:n_head].encode() in squeezed:
                yield from _spans(plain, n_head, blanked())
            elif plain[-n_head:].encode() in squeezed:
                yield from _spans(plain, -n_head, blanked())


def _spans(plain: str, n_head: int, folded: str) -> Iterator[tuple[int, int]]:
    """Where at least so many of these letters and digits stand in a text, with whatever between: the first, or (below
    0) the last."""
    between, begin, end = "[^A-Za-z0-9]*?", "", ""
    if n_head < 0:
        for character in plain[:n_head]:
            begin = f"(?:{begin}{character}{between})?"
        certain = plain[n_head:]
    else:
        for character in reversed(plain[n_head:]):
            end = f"(?:{between}{character}{end})?"
        certain = plain[:n_head]
    pattern = r"[\\%&#\0]{0,16}" + begin + between.join(certain) + end
    for match in re.finditer(pattern, folded, re.I | re.A):
        around = folded[max(match.start() - 1, 0) : match.start()] + folded[match.end() : match.end() + 1]
        if len(plain) >= _WINDOW or not any(map(str.isalnum, around)):
            is_entity = "&" in match[0] and folded.startswith(";", match.end())  # its last one ends with it
            yield match.start(), match.end() + is_entity


def _part_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where a secret, or enough of it, stands in a text: as it is, unescaped, and unescaped twice."""
    forms = {"".join(form.split()).lower() for forms in _secrets.values() for form in forms}
    units = [(character, position, position + 1) for position, character in enumerate(_folded(text))] if forms else []
    for _ in range(3):
        for is_short in (False, True):  # in short ones no spaces and invisible characters may stand
            seen = [unit for unit in units if is_short or " " < unit[0] < "\x7f" or unit[0] == "…"]
            line = "".join(unit[0].lower()[:1] for unit in seen)
            cuts = [match.span() for match in _CUT.finditer(line)]
            for form in (form for form in forms if form and (len(form) < SHORT) == is_short):
                for start, stop in _matches(line, form, cuts):
                    yield seen[start][1], seen[stop - 1][2]
        unescaped = list(_unescape(units))
        if len(unescaped) == len(units):
            return
        units = unescaped


def _unescape(units: list[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    line, end = "".join(unit[0] for unit in units), 0
    for match in _ESCAPE.finditer(line):
        yield from units[end : match.start()]
        end = match.end()
        yield _meant(match), units[match.start()][1], units[end - 1][2]
    yield from units[end:]


def _meant(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    *codes, octal, name, byte, hexadecimal, decimal, named, caret, plain = escape.groups()
    if named or plain:
        return html.unescape(f"&{named};")[:1] if named else plain
    if name:
        with suppress(KeyError):
            return unicodedata.lookup(name)
        return " "
    code = next((code for code in (*codes, byte, hexadecimal) if code), None)
    number = int(code, 16) if code else int(octal, 8) if octal else int(decimal) if decimal else ord(caret) ^ 64
    return chr(number) if number < 0x110000 else " "


def _matches(line: str, secret: str, cuts: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans of `line` that hold the secret, a stretch of it, or its beginning or end at a cut."""
    width = min(_WINDOW, max(min(len(secret), SHORT), len(secret) * 2 // 3))
    for stretch in {secret[k : k + width] for k in range(len(secret) - width + 1)}:
        position = line.find(stretch)
        while position >= 0:
            around = line[max(position - 1, 0) : position] + line[position + width : position + width + 1]
            if width >= SHORT or not any(map(str.isalnum, around)):
                yield position, position + width
            position = line.find(stretch, position + 1)
    for start, stop in cuts:
        for n in range(min(len(secret), width), _TAIL - 1, -1):
            if line.endswith(secret[:n], 0, start):
                yield start - n, start
            if stop < len(line) and line.startswith(secret[-n:], stop):
                yield stop, stop + n
