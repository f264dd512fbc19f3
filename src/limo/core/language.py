"""What the command line prints, in the reader's language, by a pack of translations of the code's English.

    use("zh")
    translated("the file is empty")             # 文件为空
    translated("kept 12, dropped 3")            # 保留 12，剔除 3

A pack, `language.NAME.yaml` beside this module, maps English texts to others.  `{name}` stands for what varies, `{n}`,
of one letter, for a number; what stands there is translated too: a list where each piece of it has an entry, else the
whole, else each clause between semicolons that has an entry.  What has no entry stays English, so a pack may grow piece
by piece, and another language is another file.
Files, ledgers and `--json` are English always.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from limo.core.files import shipped_yaml

ENGLISH = "en"
_FOLDER = Path(__file__).parent
LANGUAGES = (ENGLISH, *sorted(path.name.split(".")[1] for path in _FOLDER.glob("language.*.yaml")))
_BLANK = re.compile(r"\{(\w+)\}")
_NUMBER = r"[+-]?[0-9][0-9,.]*%?"
_chosen = ENGLISH


def use(language: str) -> None:
    """Print in this language from now on; English where there is no pack of that name."""
    global _chosen
    _chosen = language if language in LANGUAGES else ENGLISH


def chosen() -> str:
    """The language that is printed."""
    return _chosen


def translated(text: str, language: str = "") -> str:
    """A text, line by line, in a language, by default the chosen one; a line without an entry as it is."""
    pack = _pack(language or _chosen)
    return "\n".join(pack.entry(line) or line for line in text.split("\n"))


def width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


@cache
def _pack(language: str) -> _Pack:
    return _Pack(shipped_yaml(__file__, f"language.{language}.yaml") if language != ENGLISH else {})


class _Pack:
    """The entries of one language: whole texts, and patterns of those with blanks.

    Those that begin with words come first, since one that begins with a blank would take their words for what varies;
    then the longest.
    """

    def __init__(self, entries: dict[str, str]) -> None:
        blank = [text for text in entries if _BLANK.search(text)]
        blank.sort(key=lambda text: (text.startswith("{"), -len(_BLANK.sub("", text))))
        self.whole = {text: other for text, other in entries.items() if text not in blank}
        self.patterns = [(_pattern(text), entries[text]) for text in blank]

    def entry(self, text: str) -> str | None:
        """The translation of a text; None without an entry."""
        if text in self.whole:
            return self.whole[text]
        for pattern, other in self.patterns:
            if match := pattern.fullmatch(text):
                return other.format(**{name: self._value(value) for name, value in match.groupdict().items()})
        return None

    def _value(self, text: str) -> str:
        """What stands in a blank: a list of pieces that all have entries, else the whole, else clauses one by one."""
        if text in self.whole:
            return self.whole[text]
        pieces: list[str | None] = []
        for mark in (", ", "; "):
            pieces = [self._counted(piece) for piece in text.split(mark)]
            if len(pieces) > 1 and all(pieces):
                return (self.entry(mark) or mark).join(map(str, pieces))
        clauses = zip(text.split("; "), pieces, strict=True)
        return self._counted(text) or (self.entry("; ") or "; ").join(own or clause for clause, own in clauses)

    def _counted(self, text: str) -> str | None:
        name, _, number = text.rpartition(" ")
        own = self.entry(name) if name and number[:1].isdigit() else None
        return f"{own} {number}" if own else self.entry(text)


def _pattern(text: str) -> re.Pattern[str]:
    parts: list[Any] = _BLANK.split(text)  # texts and names in turn
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = [f"(?P<{name}>{'.+?' if len(name) > 1 else _NUMBER})" for name in parts[1::2]]
    return re.compile("".join(parts))
