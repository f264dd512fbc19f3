"""Addresses: what is none, or may hold a secret, is refused when a recipe is read, in one line without the secret."""

from __future__ import annotations

import pytest

from limo.core.errors import InputError, RecipeError
from limo.core.recipe import load
from limo.models.openai.address import checked_address
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


def test_fields_that_only_sound_like_keys_are_taken():
    extra = "{eos_token: x, stop_token_ids: [1], prompt_cache_key: a, max_tokens: 3, api_key: null}"
    model = load(HttpModelSettings, None, ["name=m", "base_urls=[http://h/v1]", f"http.extra={extra}"])
    assert model.http.extra["eos_token"] == "x"
