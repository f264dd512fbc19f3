"""The boxes of a completion: `\\\\boxed{}` in its spellings, balanced, joined, left open.

    find_box("so \\\\boxed{1} and \\\\boxed{2}")        # "1, 2"
    ends_in_box("... = 5. \\\\boxed{5} \\\\]")          # "5"

Only the last boxes are looked at and each for a bounded length, so that a text of nothing but boxes costs no more.
"""

from __future__ import annotations

import re

MAX_BOX, MAX_PLAIN = 4000, 400
MAX_BOXES, MAX_WORDS = 24, 64  # how many of the last boxes, and of the words "boxed" and "fbox", are looked at
_BOX = re.compile(
    r"(?:\\+|\\begin|(?<![A-Za-z\\]))f?boxed\s*(?=\{(?!\s*\}))|\\+fbox\s*(?=\{(?!\s*\}))|\\+find_box(?=\s*-?(?:[\d\w]|\\(?:frac|sqrt|pi|text)))"
)
_BRACE = re.compile(r"(?<!\\)[{}]")
_TOKEN = re.compile(r"\s*(?:\\[A-Za-z]+|-?[\w.]+)")
_UNIT = re.compile(r"\}?\s*\$?\s*(\\?%|percent\b|pct\b)")
_JOINED = re.compile(r"^[^A-Za-z]*$|\b(?:and|or)\b|[和或与及]")
_SEPARATE = re.compile(r"\b(?:later|then|finally|after|instead|but|not|now|previous(?:ly)?|earlier|first)\b", re.I)


def find_box(text: str, *, cut: bool = False) -> str:
    """Content of the last balanced box, joined to the boxes before it where they form one list; "" if none."""
    starts = _starts(text)
    boxes: list[tuple[int, int, str]] = []
    for start in starts:
        end = _closing(text, start)
        if end is None:
            continue
        content = text[start + 1 : end] if text[start] == "{" else text[start:end]
        if content.strip():
            boxes.append((start, end, content.strip()))
    if not boxes:
        return "" if cut or not starts or _closing(text, starts[-1]) is not None else _unclosed(text, starts[-1])
    group = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        gap = re.sub(r"\\+(?:text|boxed|fbox|quad|qquad)\b|\\[()\[\]]", " ", text[box[1] + 1 : group[0][0]])
        if len(gap) > 60 or "\n\n" in gap.strip() or not _JOINED.search(gap) or _SEPARATE.search(gap):
            break
        group.insert(0, box)
    contents = list(dict.fromkeys([content for *_, content in group]))
    unit = _UNIT.match(text, group[-1][1], group[-1][1] + 16) if len(contents) == 1 else None
    return ", ".join(contents) + (" " + unit.group(1) if unit else "")


def _starts(text: str) -> list[int]:
    """Where the contents of the last boxes begin, found from the end by plain search: no completion is too long."""
    words: list[int] = []
    for word in ("boxed", "fbox"):
        position, n_found = text.rfind(word), 0
        while position >= 0 and n_found < MAX_WORDS:
            words.append(position)
            position, n_found = text.rfind(word, 0, position), n_found + 1
    matches = [_BOX.match(text, _command_start(text, position)) for position in sorted(words)[-MAX_WORDS:]]
    return sorted({match.end() for match in matches if match})[-MAX_BOXES:]


def _command_start(text: str, at: int) -> int:
    """Where a command begins whose name goes on at `at`: before its f, `\\begin` and backslashes."""
    at -= text[at - 1 : at] == "f"
    at -= 6 if text.endswith("\\begin", 0, at) else 0
    first = max(0, at - 8)
    return first + len(text[first:at].rstrip("\\"))


def ends_in_box(thought: str) -> str:
    """The box that is the last thing in a thought that was cut before its closing mark."""
    start = thought.find("{", max(thought.rfind("\\boxed"), 0))
    end = _closing(thought, start) if start >= 0 else None
    return find_box(thought, cut=True) if end and re.fullmatch(r"[\s$*.\\\])<|/]{0,20}", thought[end + 1 :]) else ""


def cut_in_box(text: str) -> bool:
    """A long text whose last words are a box that was never closed."""
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    return (
        start >= 0
        and len(text) >= MAX_PLAIN
        and len(text) - start < MAX_PLAIN
        and _closing(text, text.find("{", start)) is None
    )


def _closing(text: str, start: int) -> int | None:
    """Index of the brace that closes the one at `start`; for an unbraced box, the end of its token."""
    if start >= len(text):
        return None
    if text[start] != "{":
        token = _TOKEN.match(text, start)
        return token.end() if token else None
    depth = 0
    for brace in _BRACE.finditer(text, start, start + MAX_BOX):
        if brace.group() == "{":
            depth += 1
        elif depth == 1:
            return brace.start()
        else:
            depth -= 1
    return None


def _unclosed(text: str, start: int) -> str:
    """A box whose brace was forgotten: the rest of its line."""
    rest = text[start + 1 : start + 1 + MAX_PLAIN]
    parts = re.split(r"(?<!\\)\$|\\\]|\\\)|\n", rest, maxsplit=1)
    ended = len(parts) > 1 or len(text) < MAX_PLAIN
    return parts[0].strip(" .") if ended and len(rest) < MAX_PLAIN else ""
