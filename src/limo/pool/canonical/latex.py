r"""LaTeX in the compiled scanner: fonts and spacing leave no trace, synonyms become one, short forms get braces.

`\dfrac12`, `\frac{1}{2}` and `1/2` are one thing typeset three ways, and so are `x^2` and `x^{2}`.

    command(chars, place, end, lexicon, work, tokens)        # reads what starts with the backslash at `place`

What it does not do: know LaTeX; a command that no table names stands for itself.
"""

from __future__ import annotations

from typing import Any

from limo.pool.canonical.characters import after_letters, after_spaces, at, is_digit, is_letter
from limo.pool.canonical.compiled import compiled
from limo.pool.canonical.sink import (
    COMMAND,
    DROPPED,
    GAP,
    IS_ACCENT,
    IS_ALONE,
    IS_DROPPED,
    IS_FONT,
    IS_FRACTION,
    IS_OPERATOR,
    IS_ROOT,
    IS_SYNONYM,
    L_SPELLED,
    NUMBER,
    OPENS,
    OPERATOR,
    PLAIN,
    SEED,
    TWICE,
    WORD,
    boxed,
    emit,
    emit_word,
    find,
    fold,
    hash_of,
    meaning,
    pop,
    push,
    token,
)  # fmt: skip


@compiled
def command(chars: Any, place: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    """Read the command at `place`, whose name is at least one letter; where the next thing starts."""
    stop = after_letters(chars, place + 1, end)
    entry = find(lexicon, hash_of(chars, place + 1, stop, COMMAND, False))
    flags = meaning(lexicon, entry)
    if flags & IS_DROPPED:
        work[GAP] = 1
        return stop
    if flags & IS_FONT:
        work[GAP] = 1
        brace = after_spaces(chars, stop, end)
        if at(chars, brace, end) != 123:
            return stop
        push(work, DROPPED)
        return brace + 1
    flags = _named(chars, place, stop, entry, lexicon, work, tokens)
    if flags & IS_FRACTION:
        return _short_fraction(chars, stop, end, work, tokens)
    if flags & IS_ROOT:
        return short_group(chars, stop, end, lexicon, work, tokens)
    return _accent(chars, stop, end, lexicon, work, tokens) if flags & IS_ACCENT else stop


@compiled
def _named(chars: Any, place: int, stop: int, entry: int, lexicon: Any, work: Any, tokens: Any) -> int:
    """Write a command under its one name; what that name means."""
    if meaning(lexicon, entry) & IS_SYNONYM == 0:
        emit(work, chars[place])
        emit_word(work, chars, place + 1, stop, False)
        flags, hashed = meaning(lexicon, entry), hash_of(chars, place + 1, stop, COMMAND, False)
    else:
        spelled, last = lexicon[L_SPELLED:, entry], 0
        while spelled[last] != 0:
            emit(work, spelled[last])
            last += 1
        if not is_letter(spelled[last - 1]):  # a sign: `|`, `<`, `\{`
            if last == 1:
                token(work, tokens, fold(SEED, spelled[0]), OPERATOR, place, stop)
            return 0
        hashed = hash_of(spelled, 1, last, COMMAND, False)
        flags = meaning(lexicon, find(lexicon, hashed))
    token(work, tokens, hashed, OPERATOR if flags & IS_OPERATOR else COMMAND, place, stop)
    return flags


@compiled
def short_group(chars: Any, place: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    r"""What `^`, `_` or a root takes without braces gets them: `^2` becomes `^{2}`, `^\circ` becomes `^{\circ}`."""
    first = after_spaces(chars, place, end)
    char = at(chars, first, end)
    if is_letter(char) or is_digit(char):
        boxed(work, tokens, chars, first, first + 1, NUMBER if is_digit(char) else WORD)
        return first + 1
    stop = after_letters(chars, first + 1, end)
    entry = find(lexicon, hash_of(chars, first + 1, stop, COMMAND, False)) if char == 92 else 0
    if meaning(lexicon, entry) & IS_ALONE:
        emit(work, 123)
        _named(chars, first, stop, entry, lexicon, work, tokens)
        emit(work, 125)
        return stop
    return place


@compiled
def _short_fraction(chars: Any, place: int, end: int, work: Any, tokens: Any) -> int:
    r"""`\frac12` becomes `\frac{1}{2}`, and `\frac1{23}` becomes `\frac{1}{23}`."""
    for _ in range(2):
        digit = after_spaces(chars, place, end)
        if not is_digit(at(chars, digit, end)):
            break
        boxed(work, tokens, chars, digit, digit + 1, NUMBER)
        place = digit + 1
    return place


@compiled
def _accent(chars: Any, place: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    r"""`\bar{r}_1` becomes `\bar{r_{1}}`: people write either."""
    brace = after_spaces(chars, place, end)
    letter = at(chars, brace + 1, end)
    if at(chars, brace, end) != 123 or not is_letter(letter) or at(chars, brace + 2, end) != 125:
        return place
    sign = after_spaces(chars, brace + 3, end)
    if at(chars, sign, end) != 95:
        return place
    emit(work, 123)
    emit(work, letter)
    emit(work, 95)
    token(work, tokens, hash_of(chars, brace + 1, brace + 2, WORD, True), WORD, brace + 1, brace + 2)
    after = after_spaces(chars, sign + 1, end)
    if at(chars, after, end) == 123:
        emit(work, 123)
        push(work, TWICE)
        return after + 1
    after = short_group(chars, sign + 1, end, lexicon, work, tokens)
    emit(work, 125)
    return after


@compiled
def brace(char: int, work: Any) -> None:
    """An opening or closing brace, which stands unless its font went."""
    work[OPENS] = 0
    if char == 123:
        emit(work, 123)
        push(work, PLAIN)
        return
    what = pop(work)
    if what == DROPPED:
        work[GAP] = 1
        return
    emit(work, 125)
    if what == TWICE:
        emit(work, 125)
