"""Keys: read from the environment, and kept out of everything that is written or shown.

A recipe names the variable that holds a key, never the key.  What a server says is cleaned before anyone sees it, since
some servers repeat the request, its key included, in their errors.

    secrets = Secrets.of("OPENAI_API_KEY")
    headers = secrets.headers()
    print(secrets.clean(reply, hidden=[message["content"]]))

What it does not do: keep keys (the environment does), or look for secrets inside problems and completions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from limo.core.errors import InputError
from limo.core.text import HIDDEN, hide_keys

LEAST = 6  # shorter texts than this are words, not secrets


class Secrets:
    """At most one key; `repr` shows nothing of it."""

    __slots__ = ("_key",)

    def __init__(self, key: str = "") -> None:
        self._key = key

    @classmethod
    def of(cls, variable: str) -> Secrets:
        """The key in an environment variable; none where no variable is named.  Raises InputError when it is unset."""
        key = os.environ.get(variable, "").strip() if variable else ""
        if variable and not key:
            raise InputError("the variable with the key is not set", variable, "a key", f"export {variable}=...")
        if not key.isascii() or not key.isprintable():
            raise InputError("the key cannot be sent", variable, "one line of ASCII", "look at the variable again")
        return cls(key)

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN if self._key else ''})"

    def headers(self) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def clean(self, text: str, hidden: Iterable[str] = ()) -> str:
        """`text` without the key, without anything shaped like one, and without the `hidden` texts."""
        for one in (self._key, *hidden):
            if len(one) >= LEAST:
                text = text.replace(one, HIDDEN)
        return hide_keys(text)
