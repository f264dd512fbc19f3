r"""Unicode folded to what the compiled scanner reads, a batch of texts at a time and character by character.

Python's own folding of a text (normal form KC, then symbols as LaTeX) costs as much as everything else that is done to
the text.  Nearly every character folds alike wherever it stands; so each is folded by Python once, when it is first
seen, and from then on by a compiled loop.  Texts with characters that join their neighbours (accents written apart,
Hangul letters) still go through Python whole.

    chars, ends = Folding(plain).batch(["x² ≤ 5", "Find １ + ２"])         # code points, and where each text ends

What it does not do: know what is folded to what; `limo.pool.canonical.normal` gives it the rule for a whole text.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from limo.pool.canonical.compiled import allocating, compiled

Array = Any  # of NumPy
N_CODES = 0x110000
_UNKNOWN, _SAME, _SPELLED, _RAISED, _LOWERED, _TOGETHER = range(6)
_RUN_EXTRA = 3  # a run of raised digits gets `^{` and `}`


def code_points(texts: Sequence[str]) -> tuple[Array, Array]:
    """All characters of the texts as numbers, one text after the other, and where each ends."""
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    chars = np.frombuffer(encoded, np.uint32).copy()  # read-only arrays would have everything compiled twice
    return chars, np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))


class Folding:
    """One rule of folding; safe to use from several threads.

    `whole` folds a text.  `raised` and `lowered` name characters of which a run becomes `^{...}` or `_{...}`, as
    `whole` does it too.  All else must fold alike in any company, but for characters that join others (see `_joins`).
    """

    def __init__(
        self,
        whole: Callable[[str], str],
        raised: Mapping[str, str] | None = None,
        lowered: Mapping[str, str] | None = None,
    ) -> None:
        self._whole = whole
        self._runs = {_RAISED: raised or {}, _LOWERED: lowered or {}}
        self._kinds, self._starts = np.zeros(N_CODES, np.uint8), np.zeros(N_CODES, np.int32)
        self._lengths, self._spelled = np.zeros(N_CODES, np.int32), np.empty(0, np.uint32)
        self._lock = threading.Lock()

    def batch(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The folded texts as code points, one after the other, and where each ends."""
        chars, ends = code_points(texts)
        as_is = np.fromiter(map(str.isascii, texts), np.bool_, len(texts))
        if as_is.all():
            return chars, ends
        unknown = _of_kind(chars, ends, as_is, self._kinds, _UNKNOWN)
        if unknown.any():
            self._learn({char for row in np.flatnonzero(unknown).tolist() for char in texts[row]})
        joined = _of_kind(chars, ends, as_is, self._kinds, _TOGETHER)
        if joined.any():
            whole = [self._whole(text) if one else text for text, one in zip(texts, joined.tolist(), strict=True)]
            chars, ends = code_points(whole)
        folded: tuple[Array, Array] = _folded(
            chars, ends, as_is | joined, self._kinds, self._starts, self._lengths, self._spelled
        )
        return folded

    def _learn(self, characters: set[str]) -> None:
        """Fold each character once by the rule for whole texts."""
        with self._lock:
            new = [char for char in sorted(characters) if self._kinds[ord(char)] == _UNKNOWN]
            kinds, spelled = zip(*map(self._single, new), strict=True) if new else ((), ())
            codes = np.array([ord(char) for char in new], np.int64)
            lengths = np.array([len(text) for text in spelled], np.int64)
            self._starts[codes] = len(self._spelled) + np.cumsum(lengths) - lengths
            self._lengths[codes] = lengths
            self._spelled = np.concatenate([self._spelled, code_points(spelled)[0]])
            self._kinds[codes] = kinds  # last: from now on other threads use the rest

    def _single(self, char: str) -> tuple[int, str]:
        for kind, run in self._runs.items():
            if char in run:
                return kind, run[char]
        if _joins(char):
            return _TOGETHER, ""
        folded = self._whole(f"x{char}x")[1:-1]  # between letters, since a text's ends are stripped
        return (_SAME, "") if folded == char else (_SPELLED, folded)


def _joins(char: str) -> bool:
    """Whether normal form KC, or lower case, may depend on what stands beside the character."""
    first = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.category(first)[0] == "M" or 0x1100 <= ord(first) <= 0x11FF or char == "Σ"


@allocating
def _of_kind(chars: Any, ends: Any, as_is: Any, kinds: Any, kind: int) -> Any:
    """Which texts hold a character of that kind, those `as_is` aside."""
    found, start = np.zeros(len(ends), np.bool_), 0
    for row in range(len(ends)):
        if not as_is[row]:
            for place in range(start, ends[row]):
                if kinds[chars[place]] == kind:
                    found[row] = True
                    break
        start = ends[row]
    return found


@allocating
def _folded(chars: Any, ends: Any, as_is: Any, kinds: Any, starts: Any, lengths: Any, spelled: Any) -> Any:
    """The texts with every character as it is spelled, and where they end; those `as_is` stay."""
    new_ends = np.empty(len(ends), np.int64)
    size = _sizes(chars, ends, as_is, kinds, lengths, new_ends)
    out = np.empty(size, np.uint32)
    start, n = 0, 0
    for row in range(len(ends)):
        if as_is[row]:
            out[n : n + ends[row] - start] = chars[start : ends[row]]
            n += ends[row] - start
        else:
            n = _write(chars[start : ends[row]], kinds, starts, lengths, spelled, out, n)
        start = ends[row]
    return out, new_ends


@compiled
def _sizes(chars: Any, ends: Any, as_is: Any, kinds: Any, lengths: Any, new_ends: Any) -> int:
    """How long all texts become, and in `new_ends` where each will end."""
    n, start = 0, 0
    for row in range(len(ends)):
        run = 0
        for place in range(start, start if as_is[row] else ends[row]):
            kind = kinds[chars[place]]
            if kind == _SAME:
                n, run = n + 1, 0
            else:
                n += lengths[chars[place]]
                in_run = kind in (_RAISED, _LOWERED)
                if in_run and kind != run:
                    n += _RUN_EXTRA
                run = kind if in_run else 0
        n += ends[row] - start if as_is[row] else 0
        start = ends[row]
        new_ends[row] = n
    return n


@compiled
def _write(text: Any, kinds: Any, starts: Any, lengths: Any, spelled: Any, out: Any, n: int) -> int:
    """One text into `out` from place `n` on; where it ends."""
    run = 0
    for place in range(len(text)):
        char = text[place]
        kind = kinds[char]
        if run != 0 and kind != run:
            out[n] = 125
            n, run = n + 1, 0
        if kind in (_RAISED, _LOWERED) and kind != run:
            out[n], out[n + 1] = 94 if kind == _RAISED else 95, 123
            n, run = n + 2, kind
        if kind == _SAME:
            out[n] = char
            n += 1
        else:
            for letter in range(starts[char], starts[char] + lengths[char]):
                out[n] = spelled[letter]
                n += 1
    if run != 0:
        out[n] = 125
        n += 1
    return n
