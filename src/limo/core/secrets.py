"""Where keys are masked before anything is written: messages, logs, the ledger, recipes, reports, names of models.

    remember_secret(os.environ["MY_KEY"])      # where it is read
    hide_secrets(server_text)                  # where a text comes in: the key is hidden whole, altered, encoded or cut
    hide_in_own(message)                       # where one leaves that has words of ours: no key that may be one of them
    hide_in_parts(thought, answer)             # texts of any length: a long key is hidden whole, altered or encoded

Servers repeat a key as they please: JSON-escaped, percent-encoded, HTML-escaped, in base64 or hex, backwards, in other
case or width, as numbers, with something between its characters, cut.  Readings of a text and forms of the key are
compared by their ASCII letters and digits alone, so that one search finds a form with whatever stands between; those of
numbers by their digits without zeros, so that one search finds `\\163`, `0x73`, `U+0073` and `115`.
"""

from __future__ import annotations

import base64
import codecs
import html
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from struct import Struct
from urllib.parse import quote

from limo.core.readings import NOTHING, folded, readings, squeezed, undone
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
_WRITTEN = re.compile(f"(?<!{NOTHING}){NOTHING}*[^{NOTHING}]")  # a character, with what is left of its escape
Forms = dict[str, tuple[str, ...]]
_IGNORED = b"0xuoXUO"  # in numbers: their prefixes, and zeros
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
    plain = secret
    for _ in range(2):  # a secret that holds escapes itself: all are undone where it is searched
        yield (plain := undone(plain).replace(NOTHING, ""))
    yield secret[::-1]
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw.hex()
    for text in _shifted(raw, base64.b64encode, 6):
        yield from {text, text.replace("+", "-").replace("/", "_")}


def _escaped(secret: str) -> Iterator[str]:
    """Forms that stand whole in a text or nearly so; parts of them would stand in others by chance."""
    yield from (json.dumps(secret)[1:-1], quote(secret.encode("utf-8", "surrogatepass"), ""), html.escape(secret))
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
    certain = {secret for secret in _secrets if len(squeezed(secret)) >= CERTAIN}
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


@lru_cache(16)
def _searched(
    forms_of: tuple[tuple[str, tuple[str, ...]], ...], least: int, ignored: str
) -> tuple[set[tuple[bytes, str, bool]], set[str], frozenset[tuple[bytes]], Struct]:
    """What is searched of secrets: of each form the letters and digits that are certain, its first and its last, with a
    pattern and whether it is a word; and forms with fewer of them than `least`, which are mostly marks.

    And stretches of the former, of which a text has one at this stride if it has the whole.
    """
    ends, marks = set[tuple[bytes, str, bool]](), set[str]()
    for form, n_letters in {(form, len(key)) for key, forms in forms_of for form in forms if form}:
        plain = squeezed(folded(form)).decode()
        if len(plain) < least:
            marks.add(form)
        else:
            n, is_word = max(CERTAIN, len(plain) - LOST * -(-len(form) // n_letters)), len(plain) < _WINDOW
            ends.add((plain[:n].encode(), _pattern("", plain[:n], plain[n:], ignored), is_word))
            ends.add((plain[-n:].encode(), _pattern(plain[:-n], plain[-n:], "", ignored), is_word))
    shortest = min((len(end) for end, *_ in ends), default=1)
    n = min((shortest + 1) // 2, _STRETCH)
    stretches = frozenset((end[k : k + n],) for end, *_ in ends for k in range(len(end) - n + 1))
    return ends, marks, stretches, Struct(f"{n}s{shortest + 1 - 2 * n}x")


def _pattern(before: str, certain: str, behind: str, ignored: str) -> str:
    """Letters and digits with whatever stands between, and as many of those before and behind as are there."""
    begin = end = ""
    between = f"(?:[^A-Za-z0-9]|[{ignored}])*?" if ignored else "[^A-Za-z0-9]*?"
    for character in before:
        begin = f"(?:{begin}{character}{between})?"
    for character in reversed(behind):
        end = f"(?:{between}{character}{end})?"
    return rf"[{ignored}\\%&#\0]{{0,16}}" + begin + between.join(certain) + end


def _whole_spans(text: str, least: int, secrets: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where these secrets stand, in one of their forms, whatever stands between; none that has fewer characters.

    Whole, or, of long ones, without the first or the last few characters.
    """
    searched = [secret for secret in secrets if len(secret) >= least]
    if not searched:
        return
    texts, numbers = (tuple((secret, forms[secret]) for secret in searched) for forms in (_whole, _numbers))
    of_texts, of_numbers = _searched(texts, least, ""), _searched(numbers, least, _IGNORED.decode())
    for seen, kind in readings(text):
        ends, marks, stretches, stride = of_numbers if kind == "numbers" else of_texts
        letters = squeezed(seen).translate(None, _IGNORED) if kind == "numbers" else squeezed(seen)
        for form in marks:
            yield from (match.span() for match in re.finditer(re.escape(form), text))
        if stretches.isdisjoint(stride.iter_unpack(letters + bytes(-len(letters) % stride.size))):
            continue
        for certain, pattern, is_word in ends:
            for start, stop in _spans(pattern, is_word, seen) if certain in letters else ():
                if kind == "lines":
                    start, stop = seen.rfind("\n", 0, start) + 1, (seen.find("\n", stop) + 1 or len(seen) + 1) - 1
                yield start, stop


def _spans(pattern: str, is_word: bool, text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(pattern, text, re.I | re.A):
        around = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
        if not is_word or not any(map(str.isalnum, around)):
            is_entity = "&" in match[0] and text.startswith(";", match.end())  # its last one ends with it
            yield match.start(), match.end() + is_entity


def _part_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where a secret, or enough of it, stands in a text: as it is, unescaped, and unescaped twice."""
    forms = {"".join(form.split()).lower() for forms in _secrets.values() for form in forms}
    line, spans = folded(text) if forms else "", [(k, k + 1) for k in range(len(text))]
    for _ in range(3):
        for is_short in (False, True):  # in short ones no spaces and invisible characters may stand
            seen = [k for k, one in enumerate(line) if is_short or " " < one < "\x7f" or one == "…"]
            letters = "".join(line[k].lower()[:1] for k in seen)
            cuts = [match.span() for match in _CUT.finditer(letters)]
            for form in (form for form in forms if form and (len(form) < SHORT) == is_short):
                for start, stop in _matches(letters, form, cuts):
                    yield spans[seen[start]][0], spans[seen[stop - 1]][1]
        escaped, line = line, undone(line)
        if line == escaped:
            return
        written = [match.span() for match in _WRITTEN.finditer(line)]
        line = "".join(line[stop - 1] for _, stop in written)
        spans = [(spans[start][0], spans[stop - 1][1]) for start, stop in written]


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
