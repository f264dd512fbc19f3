"""A secret stays in: whole, escaped, encoded, in pieces or cut, and without harm to other texts."""

from __future__ import annotations

import base64
import html
import json
import random
import string
from urllib.parse import quote

import pytest

from limo.core import secrets
from limo.core.secrets import hide_in_completion, hide_secrets, remember_secret
from limo.core.text import HIDDEN


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    monkeypatch.setattr(secrets, "_secrets", {})
    monkeypatch.setattr(secrets, "_in_completions", {})


FORMS = {
    "as it is": lambda key: key,
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "JSON, every character": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "JSON, every character, twice": lambda key: "".join(f"\\\\u{ord(c):04X}" for c in key),
    "Python": repr,
    "Python, every character": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "URL": lambda key: quote(key, safe=""),
    "URL twice": lambda key: quote(quote(key, safe=""), safe=""),
    "URL, every character": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "HTML": html.escape,
    "HTML twice": lambda key: html.escape(html.escape(key)),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(c):x};" for c in key),
    "HTML, decimal without ends": lambda key: "".join(f"&#{ord(c):05d}" for c in key),
    "URL in JSON": lambda key: json.dumps(quote(key)),
    "JSON in a URL": lambda key: quote(json.dumps(key)),
    "HTML in JSON": lambda key: json.dumps(html.escape(key)),
    "upper case": str.upper,
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 behind a user": lambda key: base64.b64encode(b"me:" + key.encode()).decode(),
    "base64 between others": lambda key: base64.urlsafe_b64encode(b"ab" + key.encode() + b"cd").decode(),
    "hexadecimal": lambda key: key.encode().hex(),
    "a character a line": "\n".join,
    "with invisible characters": "\u200b".join,
    "half, then cut": lambda key: key[: len(key) // 2 + 1] + "...",
    "a few characters, then cut": lambda key: key[:4] + "…",
    "cut at the end of the text": lambda key: key[:4],
    "cut within an escape": lambda key: "".join(f"\\u{ord(c):04x}" for c in key[:5])[:-2] + "…",
    "the end, after a cut": lambda key: "..." + key[-4:],
    "both ends": lambda key: key[:4] + "***" + key[-4:],
}
KEYS = ["q7Zx0Lk3vB9nT2mR", "q7Zx0Lk3+/W\"<&9b'T2\\", "a%41b&amp;c\\x41d", "hunter-2-hunter-3"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_hidden_in_each_form(form, key):
    remember_secret(key)
    shown = hide_secrets(f"status 401: sent with token {FORMS[form](key)}")
    assert shown.startswith("status 401: sent with token ") and HIDDEN in shown
    assert not any(key[k : k + 4].lower() in shown.lower() for k in range(len(key) - 3))


@pytest.mark.parametrize("key", ["x", "k9", "q7Z", "q7Zx", "q7Zx0", "q7Zx0L"])
@pytest.mark.parametrize("form", ["as it is", "JSON, every character", "URL, every character", "HTML, hexadecimal"])
def test_a_short_key_is_hidden_too(form, key):
    remember_secret(key)
    assert hide_secrets(f"the key is {FORMS[form](key)}.") == f"the key is {HIDDEN}."


def test_any_key_is_hidden_in_any_form_and_any_place():
    rng = random.Random(5)
    for _ in range(150):
        key = "".join(rng.choices(string.ascii_letters + string.digits + "-_.+/=:~", k=rng.randrange(8, 60)))
        secrets._secrets.clear()
        remember_secret(key)
        form = rng.choice(list(FORMS))
        shown = hide_secrets(f"{'noise ' * rng.randrange(5)}{FORMS[form](key)}")
        assert not any(key[k : k + 6].lower() in shown.lower() for k in range(len(key) - 5)), (form, key, shown)


def test_other_texts_stay_as_they_are():
    remember_secret("q7Zx0Lk3vB9nT2mR")
    for text in (
        "",
        "status 500: out of memory",
        "50% of \\n lines &amp; q7 more...",
        "é" * 100,
        "\\u",
        "%",
        "&#;",
        "…",
    ):
        assert hide_secrets(text) == text
    assert hide_secrets("sk-abcdefghijklmnopqrstuvwxyz") == HIDDEN  # its shape alone


def test_a_long_message_is_searched_to_its_end_and_not_cut():
    remember_secret("q7Zx0Lk3vB9nT2mR")
    assert hide_secrets("a " * 10_000 + "q7Zx0Lk3vB9nT2mR") == "a " * 10_000 + HIDDEN


def test_a_completion_loses_long_keys_and_no_word_that_happens_to_be_a_key():
    remember_secret("12345")
    remember_secret("q7Zx0Lk3+vB9nT2mR")
    assert hide_in_completion("so x = 12345") == "so x = 12345"
    for form in ("as it is", "JSON", "URL", "HTML", "base64", "hexadecimal"):
        shown = hide_in_completion(f"my key is {FORMS[form]('q7Zx0Lk3+vB9nT2mR')} you know")
        assert shown.startswith("my key is ") and HIDDEN in shown and "q7Zx" not in shown
