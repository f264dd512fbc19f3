r"""The scanner and the other loops over a pool in plain Python: the specification of the compiled ones.

Each function gives the same arrays as its compiled namesake in `scanner` and `kernels`, to the bit.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from limo.pool.canonical import buffers
from limo.pool.canonical.buffers import COMMAND, HAN, NUMBER, NUMBER_WORD, OPERATOR, SIGN, WORD
from limo.pool.canonical.kernels import MAX_EXTRA_WORDS
from limo.pool.canonical.lexicon import COMMAND_FLAGS, NUMBER_WORDS, SYNONYMS, WORD_FLAGS, hash_token, mix

_BITS = (1 << 64) - 1
_SEED, _SECOND = int(buffers.SEED), 0xC2B2AE3D27D4EB4F
_S = r"[\x00-\x20$&~\x7f]*"  # white space
_SPACES, _LETTERS, _DIGITS = re.compile(_S), re.compile("[A-Za-z]*"), re.compile("[0-9]*")
_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]+))?")
_PAUSE = re.compile(r",(?:[\x00-\x20$&~\x7f]|\\[^A-Za-z{}|%#_])+[A-Za-z]{3}")  # `\` and `\,` are white space too


def scan_batch(chars: Any, ends: Any, keep: bool) -> tuple[Any, Any, Any, list[str]]:
    """`scanner.scan_batch`."""
    tokens: list[tuple[int, ...]] = []
    keys, token_ends, forms = np.empty((len(ends), buffers.N_KEYS), np.uint64), [], []
    for row, (start, end) in enumerate(pairwise([0, *ends.tolist()])):
        scan = _Scan(chars[start:end].tobytes().decode("utf-32-le", "surrogatepass"))
        keys[row] = scan.keys()
        tokens += [(hashed, kind, start + at, start + stop, name) for hashed, kind, at, stop, name in scan.tokens]
        token_ends.append(len(tokens))
        forms += [scan.canonical] if keep else []
    columns = np.array(tokens, np.uint64).reshape(-1, buffers.N_COLUMNS)
    return columns, keys, np.array(token_ends, np.int64), forms


class _Scan:
    """One statement: its canonical form, and its tokens as (hash, kind, start, end, hash of a name or 0)."""

    def __init__(self, text: str) -> None:
        self.text, self.out, self.tokens = text, list[str](), list[tuple[int, int, int, int, int]]()
        self.after_space, self.sentence_begins = False, True
        self.open_braces, self.symbols = list[bool](), list[int]()
        position = 0
        while position < len(text):
            position = self._element(position)
        self.canonical = "".join(self.out).rstrip(".,;:!")

    def keys(self) -> tuple[int, ...]:
        """The two hashes of the canonical form, and those of the numbers, symbols and names in order."""
        first, second, codes = _SEED, _SECOND, list(map(ord, self.canonical))
        for start in range(0, len(codes), 3):
            three = sum(code << 21 * place for place, code in enumerate(codes[start : start + 3]))
            first, second = mix(first, three), (second ^ three) * _SECOND & _BITS
            second ^= second >> 32
        return (
            first,
            second,
            _hash_all(hashed for hashed, kind, *_ in self.tokens if kind in (NUMBER, NUMBER_WORD)),
            _hash_all(self.symbols),
            _hash_all(name for *_, name in self.tokens if name),
        )

    def _char(self, position: int) -> str:
        return self.text[position : position + 1]

    def _emit(self, written: str) -> None:
        """Canonical characters; a space only where it separates two digits."""
        if self.after_space and self.out and _is_digit(self.out[-1][-1]) and _is_digit(written[0]):
            self.out.append(" ")
        self.after_space = False
        self.out.append(written)

    def _token(self, hashed: int, kind: int, start: int, end: int, name: int = 0) -> None:
        self.tokens.append((hashed, kind, start, end, name))
        self.sentence_begins = False

    def _braced(self, start: int, end: int, kind: int) -> None:
        self._emit("{" + self.text[start:end] + "}")
        self.symbols += map(ord, "{" + (self.text[start:end] if kind == WORD else "") + "}")
        self._token(hash_token(self.text[start:end].lower(), kind), kind, start, end)

    def _element(self, position: int) -> int:
        """Read what stands at `position`; where the next element starts."""
        char, following = self.text[position], self._char(position + 1)
        if _is_letter(char):
            return self._word(position)
        if _SPACES.match(char).end():  # type: ignore[union-attr]
            self.after_space = True
            return position + 1
        if _is_digit(char) or (char == "." and _is_digit(following)):
            return self._number(position)
        if char == "\\":
            return self._backslash(position)
        if char in "{}":
            self._brace(char)
            return position + 1
        if char in "^_":
            self._emit(char)
            self.symbols.append(ord(char))
            if char == "^":
                self._token(ord(char), SIGN, position, position + 1)
            return self._short_group(position + 1)
        return self._mark(position)

    def _word(self, position: int) -> int:
        stop = _end(_LETTERS, self.text, position)
        word = self.text[position:stop]
        n_capitals = sum(map(str.isupper, word))
        lower = word[0].isupper() and (n_capitals == 1 < len(word) or n_capitals == len(word) > 3)
        self._emit(word.lower() if lower else word)
        if len(word) == 1 and word not in "AIa":
            self.symbols.append(ord(word))
        flags, begins = WORD_FLAGS.get(word.lower(), 0), self.sentence_begins
        if flags & buffers.IS_FUNCTION:
            self.symbols.append(hash_token(word.lower(), WORD))
        is_name = word[0].isupper() and not (begins and flags & (buffers.IS_NUMBER | buffers.IS_OPENER))
        name = hash_token(word, WORD) if is_name else 0
        if flags & buffers.IS_NUMBER:
            self._token(hash_token(NUMBER_WORDS[word.lower()], NUMBER), NUMBER_WORD, position, stop, name)
        else:
            self._token(hash_token(word.lower(), WORD), WORD, position, stop, name)
        return stop

    def _number(self, position: int) -> int:
        """A number as it is written; its token has no idle zeros."""
        number = _NUMBER.match(self.text, position)
        assert number is not None  # it matches the empty text
        decimals = (number[2] or "").rstrip("0")
        written = (number[1] or "0") + ("." + decimals if decimals else "")
        self._emit((number[1] or "0") + ("." + number[2] if number[2] else ""))
        self._token(hash_token(written, NUMBER), NUMBER, position, number.end())
        return number.end()

    def _backslash(self, position: int) -> int:
        char = self._char(position + 1)
        if _is_letter(char):
            return self._command(position)
        if char in ("%", "#", "_"):
            return self._mark(position + 1)
        if char in ("{", "}", "|"):
            self._emit("\\" + char)
            self.symbols.append(ord(char))
            self.sentence_begins = False
        else:
            self.after_space = True
        return position + 2

    def _command(self, position: int) -> int:
        stop = _end(_LETTERS, self.text, position + 1)
        name = self.text[position + 1 : stop]
        flags = COMMAND_FLAGS.get(name, 0)
        if flags & buffers.IS_FUNCTION:
            return self._word(position + 1)
        if flags & (buffers.IS_DROPPED | buffers.IS_FONT):
            self.after_space = True
            brace = _end(_SPACES, self.text, stop)
            if flags & buffers.IS_DROPPED or self._char(brace) != "{":
                return stop
            self._open(of_font=True)
            return brace + 1
        is_root = self._named(name, position, stop) & buffers.IS_ROOT
        return self._short_group(stop) if is_root else stop

    def _named(self, name: str, position: int, stop: int) -> int:
        """Write a command under its one name; the flags of that name."""
        written = SYNONYMS.get(name, "\\" + name)
        self._emit(written)
        if not _is_letter(written[-1]):  # a sign: `|`, `<`, `\{`
            self.symbols.append(ord(written[-1]))
            if len(written) == 1:
                self._token(mix(_SEED, ord(written)), OPERATOR, position, stop)
            return 0
        self.symbols.append(hash_token(written[1:], COMMAND))
        flags = COMMAND_FLAGS.get(written[1:], 0)
        kind = OPERATOR if flags & buffers.IS_OPERATOR else COMMAND
        self._token(hash_token(written[1:], COMMAND), kind, position, stop)
        return flags

    def _short_group(self, position: int) -> int:
        r"""Braces for an argument of `^`, `_` or a root without: `^2` becomes `^{2}`, `^\circ` becomes `^{\circ}`."""
        first = _end(_SPACES, self.text, position)
        char = self._char(first)
        if _is_letter(char) or _is_digit(char):
            self._braced(first, first + 1, NUMBER if _is_digit(char) else WORD)
            return first + 1
        stop = _end(_LETTERS, self.text, first + 1)
        name = self.text[first + 1 : stop]
        if char != "\\" or not COMMAND_FLAGS.get(name, 0) & buffers.IS_ALONE:
            return position
        self._emit("{")
        self.symbols.append(ord("{"))
        self._named(name, first, stop)
        self._emit("}")
        self.symbols.append(ord("}"))
        return stop

    def _open(self, of_font: bool) -> None:
        self.open_braces.append(of_font and len(self.open_braces) < buffers.MAX_DEPTH)

    def _brace(self, char: str) -> None:
        """An opening or closing brace; those of fonts are dropped."""
        self.sentence_begins = False
        if char == "{":
            self._emit("{")
            self.symbols.append(ord("{"))
            self._open(of_font=False)
        elif self.open_braces and self.open_braces.pop():
            self.after_space = True
        else:
            self._emit("}")
            self.symbols.append(ord("}"))

    def _mark(self, position: int) -> int:
        """Everything else: punctuation, operators, Han characters, letters of other alphabets."""
        char = self.text[position]
        if self.text.startswith("...", position):
            self._emit("\\dots")
            self._token(hash_token("dots", COMMAND), COMMAND, position, position + 3)
            self.symbols.append(hash_token("dots", COMMAND))
            return position + 3
        if char in ".?":  # marks of a sentence but before digits
            if _is_digit(self._char(position + 1)):
                self._emit(char)
            self.sentence_begins = True
        elif char in '"`' or (char == "'" and not self._is_prime(position)) or _PAUSE.match(self.text, position):
            pass
        else:
            self._emit(char)
            self.sentence_begins = char in "!:" or (char == "(" and self.sentence_begins)
            is_minus = char != "-" or not self._is_hyphen(position)
            if char.isascii() and is_minus and char not in ".,;:!":
                self.symbols.append(ord(char))
            if 0x3400 <= ord(char) <= 0x9FFF:
                self._token(mix(_SEED, ord(char)), HAN, position, position + 1)
            elif char in "-+*/=<>!|%" and is_minus:
                self._token(mix(_SEED, ord(char)), OPERATOR, position, position + 1)
                self.sentence_begins = char == "!"
        return position + 1

    def _is_prime(self, position: int) -> bool:
        """`f'` and `A''` are mathematics; the apostrophe of `Tom's` and a quotation mark are not."""
        first = max(0, position - 16)
        while position > first and self.text[position - 1] == "'":
            position -= 1
        return _is_letter(self.text[max(0, position - 1) : position]) and not (
            position > 1 and _is_letter(self.text[position - 2])
        )

    def _is_hyphen(self, position: int) -> bool:
        """`two-digit` and `9-kilometer` are hyphenated; `x-1` and `ab-cd` are differences."""
        before = position >= 3 and _end(_LETTERS, self.text, position - 3) == position
        return before or _end(_LETTERS, self.text, position + 1) >= position + 4


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where a run of the pattern's characters from `position` on ends."""
    return pattern.match(text, position).end() if position < len(text) else position  # type: ignore[union-attr]


def _is_letter(char: str) -> bool:
    return char.isascii() and char.isalpha()


def _is_digit(char: str) -> bool:
    return char.isascii() and char.isdigit()


def _hash_all(values: Any) -> int:
    hashed = _SEED
    for value in values:
        hashed = mix(hashed, value)
    return hashed


def minima(values: Any, ends: Any, multipliers: Any) -> Any:
    """`kernels.minima`."""
    times, plus = multipliers
    smallest = np.full((len(ends), len(times)), 0xFFFFFFFF, np.uint32)
    for row, (start, end) in enumerate(pairwise([0, *ends.tolist()])):
        if end > start:
            mixed = values[start:end, None] * times + plus
            smallest[row] = (mixed ^ (mixed >> np.uint32(15))).min(axis=0)
    return smallest


def rewordings(
    order: Any, group: Any, values: Any, ends: Any, words: Any, word_ends: Any, least: float
) -> tuple[Any, Any]:
    """`kernels.rewordings`."""
    twin, similarity = np.full(len(group), -1, np.int64), np.zeros(len(group))
    staying: dict[int, list[tuple[int, set[int], Counter[int]]]] = {}  # by group
    for row in order.tolist():
        grams = set(values[ends[row - 1] if row else 0 : ends[row]].tolist())
        content = Counter(words[word_ends[row - 1] if row else 0 : word_ends[row]].tolist())
        better = staying.setdefault(int(group[row]), [])
        for other, other_grams, other_content in better:
            alike = jaccard(grams, other_grams, least)
            sides = content - other_content, other_content - content
            critical = any(word & 1 for side in sides for word in side)
            same = not critical and not all(sides) and max(map(Counter.total, sides)) <= MAX_EXTRA_WORDS
            if same and alike >= least and alike > similarity[row]:
                twin[row], similarity[row] = other, alike
        if twin[row] < 0:
            better.append((row, grams, content))
    return twin, similarity


def jaccard(left: set[int], right: set[int], least: float) -> float:
    """Jaccard similarity; 0 where the sizes alone keep it below `least`."""
    sizes = len(left), len(right)
    n_shared = len(left & right) if min(sizes) >= least * max(sizes) else 0
    return n_shared / (sum(sizes) - n_shared) if n_shared else 0.0


def content_words(tokens: Any, token_ends: Any, table: Any) -> tuple[Any, Any]:
    """`kernels.content_words`."""
    known = {word: (meaning, weight) for word, meaning, weight in table.T.tolist() if word}
    found, ends = list[int](), list[int]()
    for start, end in pairwise([0, *token_ends.tolist()]):
        words, n_ordered = list[int](), 0
        for hashed, kind, first, last, _ in tokens[start:end].tolist():
            meaning, weight = known.get(hashed, (hashed, 0))
            if meaning and (kind == HAN or (kind == WORD and last - first != 1)):
                n_ordered += weight == 2
                place = mix(meaning, n_ordered) if weight == 2 else meaning
                words.append(place >> 32 & 0xFFFFFFFE | (weight > 0))
        found += sorted(words)
        ends.append(len(found))
    return np.array(found, np.uint32), np.array(ends, np.int64)


def word_runs(chars: Any, ends: Any, n: int) -> tuple[Any, Any]:
    """`kernels.word_runs`."""
    times, hashes, run_ends = int(buffers.RUN_MULTIPLIER), list[int](), list[int]()
    for start, end in pairwise([0, *ends.tolist()]):
        text = chars[start:end].tobytes().decode("utf-32-le", "surrogatepass")
        words = [_hash_all(map(ord, _lower(word))) for word in _RUN_WORD.findall(text)]
        for first in range(len(words) - n + 1):
            rolling = 0
            for word in words[first : first + n]:
                rolling = (rolling * times + word) & _BITS
            hashes.append(mix(_SEED, rolling) >> 32)
        run_ends.append(len(hashes))
    return np.array(hashes, np.uint32), np.array(run_ends, np.int64)


_RUN_WORD = re.compile(r"[\u3400-\u9fff]|[^\x00-\x20\u3400-\u9fff]+")


def _lower(word: str) -> str:
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), word)
