"""Addresses: what is none, or may hold a secret, is refused when a recipe is read, in one line without the secret."""

from __future__ import annotations

import pytest

from limo.core.errors import InputError, RecipeError
from limo.core.recipe import load
from limo.core.secrets import hide_secrets
from limo.models.openai.address import checked_address
from limo.models.openai.client import api_key
from limo.models.settings import HttpModelSettings


@pytest.mark.parametrize(
    ("address", "checked"),
    [
        ("http://gpu1:8000/v1", "http://gpu1:8000/v1"),
        (" https://host/v1/ ", "https://host/v1"),
        ("http://[::1]:8000/v1/chat/completions", "http://[::1]:8000/v1"),
        ("http://[fe80::1%25eth0]:8000/v1", "http://[fe80::1%25eth0]:8000/v1"),
        ("http://пример.рф/v1", "http://пример.рф/v1"),
    ],
)
def test_an_address_is_taken(address, checked):
    assert checked_address(address) == checked


NONE = [
    "", "host:8000", "ftp://host", "http://", "http://h:99999", "http://h:-1", "http://h:port", "http://h:8:9",
    "http://h:0", "http://[::1", "http://::1]:80", "http://[zz]/", "http://h h/v1", "http://h\x1b[2J/v1", "http://h/\nv1",
    "http://a..b/v1", "http://" + "a" * 70 + "/v1", "http://h\\v1",
]  # fmt: skip
SECRET = [
    "http://me:s3cret@h/v1", "http://s3cret@h/v1", "http://me:s3?cret@h/v1", "me:s3cret@h", "http://h/v1?key=s3cret",
    "http://h/v1#s3cret", "http://h:99999/v1?key=s3cret", "http://[::1?k=s3cret", "http://me:s3cret@[::1", "//s3cret@h",
    "http://h/v1?a=b#s3cret", "http://me:http://s3cret@h", "http://h/sk-s3cretabcdefghijklmnopq",
]  # fmt: skip


@pytest.mark.parametrize("address", NONE + SECRET, ids=ascii)
def test_what_is_none_or_may_hold_a_secret_is_refused_with_the_recipe(address, tmp_path):
    with pytest.raises(InputError) as caught:
        checked_address(address)
    assert "s3cret" not in str(caught.value) and "\x1b" not in str(caught.value)
    with pytest.raises(RecipeError) as caught:
        load(HttpModelSettings, None, ["name=m", f"base_urls=[{address!r}]"])
    assert "s3cret" not in str(caught.value) and "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "do"),
    [("gpu1:8000", "begin it with http"), ("gpu1", "begin it with http"), ("http://gpu1:0/v1", "1 to 65535"),
     ("ftp://gpu1:8000/v1", "the server's start")],
)  # fmt: skip
def test_what_an_address_lacks_is_said(address, do):
    with pytest.raises(InputError, match=do):
        checked_address(address)


@pytest.mark.parametrize(
    "extra",
    ['{"api_key": "s3cret"}', '{"headers": {"Authorization": "s3cret"}}', '{"x": [{"apiKey": "s3cret"}]}',
     '{"password": "s3cret"}', '{"access_token": "s3cret"}', '{"x-api-key": "s3cret"}', '{"client_secret": "s3cret"}',
     '{"a": "value of MY_KEY"}', '{"value of MY_KEY": 1}'],
)  # fmt: skip
def test_a_key_among_the_further_fields_is_refused(extra, monkeypatch):
    monkeypatch.setenv("MY_KEY", "value of MY_KEY")
    with pytest.raises(RecipeError, match="key") as caught:
        load(
            HttpModelSettings,
            None,
            ["name=m", "base_urls=[http://h/v1]", "http.api_key_env=MY_KEY", f"http.extra={extra}"],
        )
    assert "s3cret" not in str(caught.value) and "value of" not in str(caught.value)


PASTED = ["q7Zx0Lk3vB9nT2mR", "sk-proj-abc", "sk_live_4eC39HqLyjW", "hf_abcdefghijklmnopqrstuv", "KEY=s3cret",
          "AKIAIOSFODNN7EXAMPLE", "0123abcd", "\u30ad\u30fc", "-" * 40]  # fmt: skip


@pytest.mark.parametrize("pasted", PASTED)
def test_a_key_in_the_place_of_a_variables_name_is_not_shown(pasted):
    for refuse in (
        lambda: api_key(pasted),
        lambda: load(HttpModelSettings, None, ["name=m", "base_urls=[http://h/v1]", f"http.api_key_env={pasted!r}"]),
    ):
        with pytest.raises((InputError, RecipeError), match=r"no name of .*not the key") as caught:
            refuse()
        assert pasted not in str(caught.value)
        assert pasted not in hide_secrets(f"continue with: limo init --api-key-env {pasted}")


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "my_key", "_KEY2", "KEY_2024", "A"])
def test_a_variable_that_is_not_set_is_named(name):
    with pytest.raises(InputError, match=rf"not set: '{name}'"):
        api_key(name)


def test_a_variable_that_is_set_may_have_any_name(monkeypatch):
    monkeypatch.setenv("q7Zx0Lk3vB9nT2mR", "the key of that name")
    assert api_key("q7Zx0Lk3vB9nT2mR").get_secret_value() == "the key of that name"


def test_fields_that_only_sound_like_keys_are_taken():
    extra = "{eos_token: x, stop_token_ids: [1], prompt_cache_key: a, max_tokens: 3, api_key: null}"
    model = load(HttpModelSettings, None, ["name=m", "base_urls=[http://h/v1]", f"http.extra={extra}"])
    assert model.http.extra["eos_token"] == "x"
