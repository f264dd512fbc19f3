"""Text in its plainest forms: hashes, bounded JSON, a problem's normal form, hostile characters shown, numbers."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

MAX_DEPTH = 100  # lists and objects of a JSON text inside each other

_SPACE = re.compile(r"\s+")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_HAN = re.compile(r"[\u3400-\u9fff]")
# Shapes of keys: OpenAI and its kin, Hugging Face, GitHub, AWS, Google, Slack, bearer tokens, user:password in a URL.
# Each with texts, in small letters, of which one stands in every match: shapes that cannot match are not searched.
_KEYS = {
    r"\b(?:sk|pk|rk|gsk|xai|nvapi)-[A-Za-z0-9_-]{16,}": ("sk-", "pk-", "rk-", "xai-", "nvapi-"),
    r"\bhf_[A-Za-z0-9]{20,}": ("hf_",),
    r"\bgh[pousr]_[A-Za-z0-9]{30,}": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    r"\bAKIA[A-Z0-9]{16}\b": ("akia",),
    r"\bAIza[A-Za-z0-9_-]{30,}": ("aiza",),
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}": ("xox",),
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/-]{12,}=*": ("bearer",),
    r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)": ("://",),
}
HIDDEN = "[hidden]"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LATIN = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")  # LaTeX commands are no language
_PHRASE = re.compile(_LATIN.pattern + r"(?: [A-Za-z]{2,})+")  # beside Han characters `dx` or `max` is a formula's
# What models put around their thought, and around the solution after it.
THOUGHT_START = re.compile(r"<think(?:ing)?>|<\|begin_of_thought\|>", re.IGNORECASE)
THOUGHT_END = re.compile(r"</think(?:ing)?>|<\|end_of_thought\|>", re.IGNORECASE)
THOUGHT_MARKER = re.compile(r"</?think(?:ing)?>|<\|(?:begin|end)_of_(?:thought|solution)\|>", re.IGNORECASE)


def content_hash(*parts: str) -> str:
    """16 hex digits (64 bits of BLAKE2b) of the parts; their boundaries count."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def parse_json(
    data: str | bytes,
    make_object: Callable[[list[tuple[str, Any]]], Any] | None = None,
    make_whole: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a JSON text, its objects made by `make_object` of their pairs where that is given.

    Whole numbers are made by `make_whole` of their digits where that is given.

    Raises ValueError, also where it is nested deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(data, object_pairs_hook=make_object, parse_int=make_whole)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    n_open = data.count(b"[") + data.count(b"{") if isinstance(data, bytes) else data.count("[") + data.count("{")
    layer, depth = [value], 0
    while n_open > MAX_DEPTH and layer:  # breadth first, since recursion is what is to be avoided
        depth += 1
        if depth > MAX_DEPTH + 1:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        layers = (item.values() if isinstance(item, dict) else item for item in layer if isinstance(item, dict | list))
        layer = [inner for items in layers for inner in items]
    return value


def whole_number(text: str) -> int | None:
    """The whole number that a text of at most 18 decimal digits is, None for any other: `int` has a limit."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def normalise_statement(text: str) -> str:
    """NFKC, invisible characters dropped, white space folded to single spaces."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return " ".join(text.split())


def language_of(text: str) -> str:
    """`zh` where Han characters outnumber words of Latin phrases, else `en` where there are Latin words, or `und`."""
    n_han = 0 if text.isascii() else len(_HAN.findall(text))
    if n_han and n_han > sum(len(phrase.split()) for phrase in _PHRASE.findall(text)):
        return "zh"
    return "en" if _LATIN.search(text) else "und"


def join_thought(thought: str, text: str) -> str:
    """A thought that is kept apart and the text after it, as models write them; markers that either holds count."""
    return close_thoughts(f"<think>\n{thought.strip()}\n</think>\n\n{text.lstrip()}")[0] if thought else text


def close_thoughts(text: str) -> tuple[str, bool]:
    """The text with every thought opened and closed once, and whether its last one is left open.

    A first end without a start gets one, since chat templates open the thought in the prompt; other marks without a
    partner are taken out.
    """
    parts, end, is_open, n_thoughts = [], 0, False, 0
    for mark in THOUGHT_MARKER.finditer(text):
        starts, ends = THOUGHT_START.fullmatch(mark[0]), THOUGHT_END.fullmatch(mark[0])
        parts.append(text[end : mark.start()])
        end = mark.end()
        if ends and not is_open and not n_thoughts:
            start = mark[0].replace("</", "<").replace("|end", "|begin").replace("|END", "|BEGIN")
            parts, n_thoughts = [f"{start}\n{''.join(parts).lstrip()}", mark[0]], 1
        elif (starts and not is_open) or (ends and is_open) or not (starts or ends):
            parts.append(mark[0])
            n_thoughts += bool(starts)
            is_open = bool(starts) or (is_open and not ends)
    return "".join(parts) + text[end:], is_open


def hide_keys(text: str) -> str:
    """`text` with everything that is shaped like a key or a password in an address replaced by `[hidden]`."""
    small = text.lower()
    shapes = [shape for shape, parts in _KEYS.items() if any(part in small for part in parts)]
    return re.sub("|".join(shapes), HIDDEN, text) if shapes else text


def printable(text: str) -> str:
    """`text` with control characters (escapes of a terminal) and what turns the direction of writing made visible."""
    return _CONTROL.sub(_escaped, text)


def visible(text: str) -> str:
    """A name as `printable`, invisible characters and line ends as their codes too: it looks as no other does."""
    return "".join(one if one.isprintable() else _escaped([one]) for one in text)


def _escaped(match: re.Match[str] | list[str]) -> str:
    return ascii(match[0])[1:-1]


def operations(flops: float) -> str:
    """Floating-point operations as every table and line has them: 6.6e+10."""
    return f"{flops:.1e}"


def as_argument(path: str) -> str:
    """A path as a command line takes it: one that begins like an option comes with its folder."""
    return f"./{path}" if path.startswith("-") else path


def shorten(text: str, width: int = 80) -> str:
    """One line of at most `width` characters, for messages."""
    line = _SPACE.sub(" ", text).strip()
    return line if len(line) <= width else line[: width - 1] + "…"


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names of models as they are shown: without a folder or the owner before a slash, where they stay different."""
    short = [name.rstrip("/").rsplit("/", 1)[-1] or name for name in names]
    return dict(zip(names, short if len(set(short)) == len(short) else names, strict=True))


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, as it is read: +3.0, −2.5 (a true minus sign)."""
    return f"{value:+.{digits}f}".replace("-", "−")


def shown_p(p: float) -> str:
    """A p value, to stand after "p": = 0.012, < 0.001."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"
