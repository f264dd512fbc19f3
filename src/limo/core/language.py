"""What the command line prints, in the reader's language, by a pack of translations of the code's English.

    set_language("zh")
    translated("the file is empty")             # 文件为空
    translated("kept 12, dropped 3")            # 保留 12，剔除 3

A pack, `language.NAME.yaml` beside this module, maps English texts to others.  `{name}` stands for what varies, `{n}`,
of one letter, for a number; what stands there is translated too, whole or as a list of pieces, and stays as it is if it
is a name.  {command}, {path}, {file}, {folder} and {text} stay as they are, {error} (what Python, the system or a
server says) where it has no entry.  For the rest a line is translated whole, or left English whole.
Files, ledgers and `--json` are English always.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from limo.core.files import shipped_yaml

ENGLISH = "en"
_FOLDER = Path(__file__).parent
LANGUAGES = (ENGLISH, *sorted(path.name.split(".")[1] for path in _FOLDER.glob("language.*.yaml")))
_BLANK = re.compile(r"\{(\w+)\}")
_NUMBER = r"[+−-]?[0-9][0-9,.]*(?:e[+-][0-9]+)?%?"
_PATHS = frozenset(("path", "file", "folder"))
_KEPT = _PATHS | {"command", "text"}
_FOREIGN = "error"
_NO_WORDS = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\{[^}]*\}|limo \w+|pip install \S+|[!-~]*[-/._=:A-Z0-9{\[][!-~]*")
_PROSE = re.compile(r"\b[a-z]{2,} [a-z]{2,}\b")
_chosen = ENGLISH


def set_language(language: str) -> None:
    """Print in this language from now on; English where there is no pack of that name."""
    global _chosen
    _chosen = language if language in LANGUAGES else ENGLISH


def current_language() -> str:
    """The language that is printed."""
    return _chosen


def translated(text: str, language: str = "") -> str:
    """A text, line by line, in a language, by default the chosen one; a line without an entry as it is."""
    pack = _pack(language or _chosen)
    return "\n".join(pack.entry(line) or line for line in text.split("\n"))


def translated_together(texts: Sequence[str], language: str = "") -> list[str]:
    """Pieces of one line: each in the language, or all as they are where words of one have no entry."""
    others = [_pack(language or _chosen).value(text) for text in texts]
    return [str(other) for other in others] if None not in others else list(texts)


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
        self.entry = lru_cache(4096)(self._entry)

    def value(self, text: str) -> str | None:
        """The translation of a text that may also be a name or a number; None for words without an entry."""
        return self._counted(text) or (self._list(text, self.value) if _is_prose(text) else text)

    def _entry(self, text: str) -> str | None:
        """The translation of a text; None without an entry."""
        if text in self.whole:
            return self.whole[text]
        for pattern, other in self.patterns:
            if match := pattern.fullmatch(text):
                values = {name: self._blank(name, own) for name, own in match.groupdict().items()}
                if None not in values.values():
                    return other.format(**values)
        return None

    def _blank(self, name: str, text: str) -> str | None:
        """What stands in a blank: a list all of whose pieces have entries comes before a pattern over its marks."""
        if name in _KEPT:
            return None if name in _PATHS and _is_prose(text) else text
        other = self.whole.get(text) or self._list(text, self._counted) or self.value(text)
        return text if other is None and name == _FOREIGN else other

    def _list(self, text: str, value: Callable[[str], str | None]) -> str | None:
        """A list, piece by piece; None where a piece has no translation, or none differs from its own."""
        for mark in filter(text.__contains__, ("; ", ", ", " -> ")):
            pieces = text.split(mark)
            others = list(map(value, pieces))
            if None not in others and others != pieces:
                return (self.whole.get(mark) or mark).join(map(str, others))
        return None

    def _counted(self, text: str) -> str | None:
        name, _, number = text.rpartition(" ")
        own = self.entry(name) if name and number[:1].isdigit() else None
        return f"{own} {number}" if own else self.entry(text)


def _is_prose(text: str) -> bool:
    """Whether a text reads as words of English, once what is quoted, code or a path is taken out."""
    return bool(_PROSE.search(_NO_WORDS.sub("|", text)))


def _pattern(text: str) -> re.Pattern[str]:
    parts: list[Any] = _BLANK.split(text)  # texts and names in turn
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = [f"(?P<{name}>{'.+?' if len(name) > 1 else _NUMBER})" for name in parts[1::2]]
    return re.compile("".join(parts))
