"""The boxes of a completion: `\\\\boxed{}` in its spellings, balanced, joined, left open.

    find_box("so \\\\boxed{1} and \\\\boxed{2}.").text     # "1, 2"
    ends_in_box("... = 5. \\\\boxed{5} \\\\]")              # "5"

Only the last boxes are read and all but the last for a bounded length, so the cost is linear in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from limo.verify.maths.normalise import braced, closing_brace, without

MAX_BOX, MAX_PLAIN = 4000, 400
MAX_BOXES, MAX_WORDS = 24, 64  # how many of the last boxes, and of the words "boxed" and "fbox", are looked at
_BOX = re.compile(
    r"(?:\\+|\\begin|(?<![A-Za-z\\]))f?boxed\s*(?=\{(?!\s*\}))|\\+fbox\s*(?=\{(?!\s*\}))"
    r"|\\+boxed(?=\s*(?:-?\s*\.?\d|\\(?:d?frac|sqrt|pi|text)|[A-HJ-Zb-hj-z](?![A-Za-z'])))"
)
_TOKEN = re.compile(r"\s*(?:\\[A-Za-z]+(?:\s*\{[^{}]*\}|\s*\d){0,2}|-?\s*[\w.]+)")
_UNIT = re.compile(r"\}?\s*\$?\s*(\\?%|(?:percent|pct|dozen|hundred|thousand|[mbtr]+illion|squared|cubed)\b)")
_JOINED = re.compile(r"^[^A-Za-z]*$|\b(?:and|or)\b|[和或与及]")
_SEPARATE = re.compile(r"\b(?:later|then|finally|after|instead|but|not|now|previous(?:ly)?|earlier|first)\b", re.I)
_APPROXIMATION = re.compile(r"\s*(?:\\approx|\\simeq|≈|~)")
_STRUCK = re.compile(  # out, or commented out; `<s>` at the beginning and `1~~\\text{or}~~2` are none
    r"<!--.*?(?:-->|\Z)|(?!\A<s>)<(del|strike|s)>(?:(?!<(?:del|strike|s)>).)*?</\1>"
    r"|(?:(?<![\w~\\$])~~(?![\s~])|(?<=\w)~~(?=\w))(?!\\text\s*\{[^{}]{0,12}\}~~)(?:(?!~~|\n\n).)*(?<!\s)~~(?!~)"
    r"|(?:\A|(?<=\n))%(?=[% \t$\\(\[]*f?boxed|[^\n=]*(?:answer|答案))[^\n]*",
    re.S | re.I,
)
_STRIKE = re.compile(r"\\(?:[xbh]?cancel|[sx]out|[hv]?phantom)\{")


class Box(NamedTuple):
    """What the last box holds ("" where it was left open and is not readable), and where the text goes on behind it.

    `start` is where the content of the first box of its list begins.
    """

    text: str
    end: int
    is_open: bool = False
    start: int = 0


def find_box(text: str) -> Box | None:
    """The last box, joined to the boxes before it where they form one list; None where there is none."""
    starts = _starts(text)
    if not starts:
        return None
    if _closing(text, starts[-1], len(text)) is None:
        line = _unclosed(text, starts[-1])
        return Box(line, starts[-1] + 1 + len(line), is_open=True)
    boxes: list[tuple[int, int, str]] = []
    for start in starts:
        end = _closing(text, start, len(text) if start == starts[-1] else start + MAX_BOX)
        content = "" if end is None else text[start + 1 : end] if text[start] == "{" else text[start:end]
        if end is not None and content.strip() and not (boxes and _APPROXIMATION.match(content)):
            boxes.append((start, end, content.strip()))
    if not boxes:
        return None
    group = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        gap = re.sub(r"\\+(?:text|boxed|fbox|quad|qquad)\b|\\[()\[\]]", " ", text[box[1] + 1 : group[0][0]])
        if len(gap) > 60 or "\n\n" in gap.strip() or not _JOINED.search(gap) or _SEPARATE.search(gap):
            break
        group.insert(0, box)
    contents = list(dict.fromkeys([content for *_, content in group]))
    unit = _UNIT.match(text, group[-1][1], group[-1][1] + 24) if len(contents) == 1 else None
    text = ", ".join(contents) + (" " + unit.group(1) if unit else "")
    return Box(text, unit.end() if unit else group[-1][1] + 1, start=group[0][0])


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
    box = find_box(thought)
    at_end = box is not None and not box.is_open and re.fullmatch(r"[\s$*.\\\])<|/}]{0,20}", thought[box.end :])
    return box.text if box and at_end else ""


def _closing(text: str, start: int, end: int) -> int | None:
    """Index of the brace that closes the one at `start`; for an unbraced box, the end of its token."""
    if text[start : start + 1] != "{":
        token = _TOKEN.match(text, start)
        return token.end() if token else None
    return closing_brace(text, start, end)


def _unclosed(text: str, start: int) -> str:
    """A box whose brace was forgotten: the rest of its line; "" where the text ends in it."""
    rest = text[start + 1 : start + 1 + MAX_PLAIN]
    parts = re.split(r"(?<!\\)\$|\\\]|\\\)|\n", rest, maxsplit=1)
    ended = len(parts) > 1 or len(text) < MAX_PLAIN
    return parts[0].strip(" .") if ended and len(rest) < MAX_PLAIN else ""


def without_struck(text: str) -> str:
    """A text without what is struck out, commented out or invisible in it."""
    is_struck = ("~" in text and "~~" in text) or ("%" in text and ("\n%" in text or text[0] == "%"))
    if is_struck or ("<" in text and ("</" in text or "<!--" in text)):
        text = _STRUCK.sub(" ", text)
    if "cancel{" in text or "out{" in text or "phantom{" in text:
        text = without(text, [(start, end) for start, _, end in braced(text, _STRIKE)])
    return text
