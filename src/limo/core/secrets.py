"""Secrets of this process, hidden on every road out: messages, logs, the ledger, files.

    remember_secret(os.environ["MY_KEY"])      # where it is read
    hide_secrets(error_text)                   # where a text leaves: the key is hidden whole, altered, encoded or cut

Servers repeat a key as they please: JSON-escaped, percent-encoded, HTML-escaped, in base64 or hex, in other case, cut.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote

from limo.core.text import HIDDEN, hide_keys

CERTAIN = 12  # characters of a secret that no other text contains by chance: hidden in completions too
SHORT = 4  # characters: a shorter secret is hidden only where it stands alone
_WINDOW = 8  # characters in a row of a secret that are hidden wherever they stand
_TAIL = 3  # the same at a cut: before an ellipsis, after one, or at the end of a text
_CUT = re.compile(  # with half an escape before it
    r"(?:\\+(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|%[0-9a-f]?|&[#a-z0-9]{0,6})?(?:…|\.{3}|\*{3}|\Z)"
)
# One character as JSON and Python, URLs, and HTML write it, escaped once or several times over.
_ESCAPE = re.compile(
    r"\\+u([0-9a-f]{4})|\\+u\{([0-9a-f]{1,6})\}|\\+x([0-9a-f]{2})|%(?:25)*([0-9a-f]{2})|&(?:amp;)*#x([0-9a-f]{1,6});?"
    r"|&(?:amp;)*#([0-9]{1,7});?|&(?:amp;)*([a-z]{2,8});|\\+([^ux])",
    re.I | re.S,
)
_secrets: dict[str, list[str]] = {}  # by secret: itself and the forms that are no escapes of single characters
_in_completions: dict[str, set[str]] = {}  # by secret: the forms that are looked for in completions


def remember_secret(secret: str) -> None:
    """Hide this text from now on; an empty one is none."""
    if secret:
        _secrets[secret] = [secret, *({*_encoded(secret)} - {secret} if len(secret) >= SHORT else ())]
    if len(secret) >= CERTAIN:
        escaped = {json.dumps(secret)[1:-1], quote(secret, safe=""), html.escape(secret)}
        _in_completions[secret] = {*_secrets[secret], *escaped}


def _encoded(secret: str) -> Iterator[str]:
    units = [(character, 0, 0) for character in secret]
    for _ in range(2):  # a secret that holds escapes itself: all are undone where it is searched
        units = list(_unescape(units))
        yield "".join(unit[0] for unit in units)
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw.hex()
    for shift in range(3):  # where the secret stands behind other bytes; the ends depend on its neighbours
        text = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")[(0, 2, 3)[shift] : -1]
        yield from {text, text.replace("+", "-").replace("/", "_")}


def hide_in_completion(text: str) -> str:
    """A completion without the secrets that are too long to stand in it by chance, whole and in their usual forms."""
    for forms in _in_completions.values():
        for form in forms:
            text = text.replace(form, HIDDEN)
    return text


def hide_secrets(text: str) -> str:
    """A message without the secrets, and without what is shaped like a key."""
    spans = [span for forms in _secrets.values() for form in forms for span in _spans(text, form)]
    shown, end = [], 0
    for start, stop in sorted(spans):
        if stop > end:
            shown.append(text[end : max(start, end)] + (HIDDEN if start > end or not end else ""))
            end = stop
    return hide_keys("".join(shown) + text[end:])


def _spans(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where the secret, or enough of it, stands in a text: as it is, unescaped, and unescaped twice."""
    secret = "".join(secret.split()).lower()
    units = [(character, position, position + 1) for position, character in enumerate(text)]
    for _ in range(3):
        is_short = len(secret) < SHORT  # otherwise spaces and invisible characters may stand inside
        seen = [unit for unit in units if is_short or " " < unit[0] < "\x7f" or unit[0] == "…"]
        line = "".join(unit[0] for unit in seen).lower()
        for start, stop in _matches(line, secret):
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
        code, named, plain = next((g for g in match.groups()[:5] if g), None), match[7], match[8]
        number = int(code, 16) if code else int(match[6]) if match[6] else -1
        character = (
            chr(number) if 0 <= number < 0x110000 else html.unescape(f"&{named};")[:1] if named else plain or " "
        )
        yield character, units[match.start()][1], units[end - 1][2]
    yield from units[end:]


def _matches(line: str, secret: str) -> Iterator[tuple[int, int]]:
    """Spans of `line` that hold the secret, a stretch of it, or its beginning or end at a cut."""
    if not secret:
        return
    width = min(_WINDOW, max(min(len(secret), SHORT), len(secret) * 2 // 3))
    stretches = {secret[k : k + width] for k in range(len(secret) - width + 1)}
    for position in range(len(line) - width + 1):
        if line[position : position + width] in stretches:
            around = line[max(position - 1, 0) : position] + line[position + width : position + width + 1]
            if width >= SHORT or not any(map(str.isalnum, around)):
                yield position, position + width
    for cut in _CUT.finditer(line):
        start, stop = cut.span()
        for n in range(min(len(secret), width), _TAIL - 1, -1):
            if line[:start].endswith(secret[:n]):
                yield start - n, start
            if stop < len(line) and line[stop:].startswith(secret[-n:]):
                yield stop, stop + n
