"""Addresses of servers: checked when a recipe is read, and shown without what may be secret in them.

checked_address("http://gpu1:8000/v1/")        # "http://gpu1:8000/v1"
"""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from limo.core.errors import InputError
from limo.core.secrets import hide_secrets
from limo.core.text import hide_keys, printable, shorten

MAX_LOCATION = 4000  # characters of where a redirect leads that are read
_ALLOWED = "http://host:port/v1"


def checked_address(address: str) -> str:
    """The address without a slash at its end.  Raises InputError, which shows nothing secret, when it is none."""
    address = address.strip()
    shown = shown_address(address)
    try:
        from yarl import URL  # aiohttp's own reader

        parts, port = urlsplit(address), URL(address).port
        (parts.hostname or "").encode("ascii" if ":" in parts.netloc.rpartition("]")[0] else "idna")
    except ValueError:
        raise InputError("this is no address of a server", shown, _ALLOWED, "check brackets and port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port or not _is_plain(address):
        do = "see the server's start" if "://" in address else "begin it with http:// or https://"
        do = do if port != 0 else "give the port on which the server listens, 1 to 65535"
        raise InputError("this is no address of a server", shown, _ALLOWED, do)
    if shown != address:
        do = "put a key into a variable, and name that in http.api_key_env"
        raise InputError("an address may hold no user, password, query or fragment", shown, _ALLOWED, do)
    return address.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")


def shown_address(address: str) -> str:
    """The address without user, password, query and fragment, and without what is shaped like a key."""
    scheme, slashes, rest = address.rpartition("://") if address.count("://") == 1 else ("", "", address)
    host = rest.rpartition("@")[2]
    end = re.search(r"[?#]", host)
    host = host[: end.start()] + "?[hidden]" if end else host
    return hide_keys(scheme + slashes + ("[hidden]@" if "@" in rest else "") + host)


def led_to(address: str, location: str) -> str:
    """Where a redirect of `address` leads, as it can be shown; '' where nothing that can be read says so."""
    try:
        target = shown_address(hide_secrets(urljoin(address, location[:MAX_LOCATION]))) if location else ""
    except ValueError:
        return ""
    return shorten(printable(target), 200)


def _is_plain(address: str) -> bool:
    return address.isprintable() and not re.search(r"[\s\\^`{}|<>\"]", address)
