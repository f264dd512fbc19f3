"""The error family: everything limo raises on purpose is a `LimoError`.

A message has four parts: what is wrong, the value, what is allowed, what to do; for a name out of a known set the
nearest is suggested.  Each child has a second parent from the standard library, so that `except ValueError` catches it
too.  A failed rollout or verdict is data, not an exception.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """The question that names the one of `known` that is spelt most like `name`, case aside; "" where none is."""
    by_fold = {str(one).casefold(): str(one) for one in known}
    near = difflib.get_close_matches(str(name).casefold(), by_fold, n=1, cutoff=0.6)
    return f"did you mean {by_fold[near[0]]!r}?" if near else ""


class LimoError(Exception):
    """Root of the family.  `exit_code` is what the command line returns.

    `known`: the names that are allowed, where the value is to be one of a known set; the nearest is what to do then.
    """

    exit_code = 2

    def __init__(
        self, what: str, value: object = None, allowed: str = "", do: str = "", known: Iterable[object] | None = None
    ) -> None:
        self.what = what
        if known is not None:
            names = list(known)
            allowed, do = allowed or ", ".join(map(str, names)) or "none", did_you_mean(value, names) or do
        self._parts: tuple[Any, ...] = (what, value, allowed, do)
        super().__init__(self.text())

    def text(self, translated: Callable[[Sequence[str]], Sequence[str]] = tuple) -> str:
        """The message in one line, its parts translated together."""
        what, value, allowed, do = self._parts
        parts = translated((what, ": ", f" (allowed: {allowed})" if allowed else "", "; ", do))
        shown = "" if value is None else f"{parts[1]}{str(value)!r}"
        return f"{parts[0]}{shown}{parts[2]}" + (f"{parts[3]}{parts[4]}" if do else "")

    def rename(self, path: object, shown: object) -> None:
        """Name a path as the user knows it."""
        parts = (None if part is None else str(part).replace(str(path), str(shown)) for part in self._parts)
        self.what, self._parts = self.what.replace(str(path), str(shown)), tuple(parts)
        self.args = (str(self).replace(str(path), str(shown)),)

    def __str__(self) -> str:  # an OSError among the parents would print fields of its own
        return str(self.args[0])


class InputError(LimoError, ValueError):
    """A value that the user gave cannot be used."""


class MissingFileError(LimoError, FileNotFoundError):
    """A file or folder that the user named is not there."""


class RecipeError(LimoError, ValueError):
    """A recipe does not fit its model; the message lists every fault, not only the first."""


class ModelError(LimoError, RuntimeError):
    """A model folder or endpoint cannot be used."""


class StorageError(LimoError, OSError):
    """The disk is full, read-only, or a file on it is damaged; what was committed before is intact."""


class PartialError(LimoError, RuntimeError):
    """The work stopped cleanly before its end (budget, interruption); the same command, with `options`, goes on."""

    exit_code = 3
    options: Sequence[str] = ()


_MEMORY = ("start new thread", "failed to map segment", "allocate memory", "not enough memory", "static TLS block")
"""How the interpreter, the loader of libraries and torch say that they got no memory."""


def machine_limit(error: BaseException | None) -> tuple[str, str] | None:
    """What this machine had too little of, and what to do; None for an error of another kind, whoever wrapped it."""
    for _ in range(10):
        own = not isinstance(error, LimoError)
        number, text = getattr(error, "errno", None), str(error)[:2000] if own else ""
        if own and number in (errno.EMFILE, errno.ENFILE):
            return "this process may open no more files", "raise the limit (`ulimit -n`) and start it again"
        if isinstance(error, MemoryError) or (own and number == errno.ENOMEM) or any(said in text for said in _MEMORY):
            do = "free some or raise the limits (`ulimit -v`, `ulimit -u`), or give fewer --workers, and start it again"
            return "this machine has not enough memory", do
        error = error and (error.__cause__ or error.__context__)
    return None


RESTORE = "restore the files or make them anew; report it where limo wrote them so"
"""What to do with a run whose files cannot be read together."""


@contextmanager
def foreign_data(what: str, value: object, allowed: str = "", do: str = "") -> Iterator[None]:
    """Turn whatever goes wrong in reading data that was made or changed elsewhere into one InputError.

    Only for reading: types and structure of such data can break any line that looks at them.  Errors of the disk
    and memory, missing packages and what limo raises on purpose pass as they are.
    """
    try:
        yield
    except (LimoError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(f"{what} ({reason})", value, allowed, do) from error


def named_once(given: Iterable[str], what: str) -> dict[str, str]:
    """`NAME=VALUE` words as a mapping.  Raises InputError for a name that is given twice, or none."""
    named: dict[str, str] = {}
    for name, _, value in (word.partition("=") for word in given):
        if not name:
            raise InputError(f"{what} has no name", f"={value}", "NAME=VALUE", "put a name before the '='")
        if name in named:
            raise InputError(f"the name of {what} is given twice", name, "each once", "give one of them another name")
        named[name] = value
    return named
