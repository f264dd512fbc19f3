"""The error family: everything limo raises on purpose is a `LimoError`.

A message has four parts: what is wrong, the value, what is allowed, what to do.  Each child has a second parent from
the standard library, so that `except ValueError` catches it too.  A failed rollout or verdict is data, not an
exception.
"""

from __future__ import annotations


class LimoError(Exception):
    """Root of the family.  `exit_code` is what the command line returns."""

    exit_code = 2

    def __init__(self, what: str, value: object = None, allowed: str = "", do: str = "") -> None:
        text = what
        if value is not None:
            text += f": {str(value)!r}"
        if allowed:
            text += f" (allowed: {allowed})"
        if do:
            text += f"; {do}"
        super().__init__(text)

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
    """The work stopped cleanly before its end (budget, interruption); the same command goes on."""

    exit_code = 3
