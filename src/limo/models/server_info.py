"""What a server says of itself: engine and version, the model's context, its chat template.

There is no standard for it, so the addresses of vLLM, SGLang, llama.cpp and Ollama are tried, each briefly; what is not
answered, or not as expected, is left out: a context of more than `MAX_CONTEXT` tokens, a model whose name is longer
than `MAX_NAME` characters.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from limo.core.errors import ModelError
from limo.core.secrets import hide_secrets, holds_secret
from limo.core.text import content_hash, hide_keys, parse_json, printable, shorten
from limo.models.openai.address import checked_address, led_to
from limo.models.openai.client import api_key, broken, proxy_of, raise_for_proxy, request_headers, why_unreachable
from limo.models.settings import HttpModelSettings

if TYPE_CHECKING:
    import aiohttp
    from pydantic import SecretStr

TIMEOUT_S = 5.0
MAX_BYTES = 16 << 20  # hosted routers list hundreds of models, each with a page of description
MAX_CONTEXT = 100_000_000  # tokens; the longest of any model is a tenth of it
MAX_NAME = 200  # characters of a model's name
MAX_MODELS = 2000  # of a server; the largest routers have some hundreds
_PATHS = {"models": "/v1/models", "vllm": "/version", "sglang": "/get_server_info", "llama.cpp": "/props"}
_PATHS |= {"ollama": "/api/version"}
Answers = dict[
    str, dict[str, Any]
]  # by the names of `_PATHS`; under `status` the status of each, under `why` its fault


def server_info(settings: HttpModelSettings) -> dict[str, str]:
    """`engine`, `context` (tokens), `dtype`, `template` (hash) of the first server, as far as it says them.

    Raises ModelError where it does not answer, InputError for an address, proxy or key that cannot be used.
    """
    facts = _facts(_answers(settings.base_urls[0], settings.http.api_key_env), settings.source)
    return {name: shorten(printable(hide_secrets(str(value))), 100) for name, value in facts.items() if value}


def _facts(answers: Answers, name: str) -> dict[str, Any]:
    """What the answers say of the server and its model of that name."""
    model, props, sglang = _listed(answers).get(name, {}), answers["llama.cpp"], answers["sglang"]
    versions = {kind: answers[kind].get("version") for kind in ("vllm", "sglang", "ollama")}
    engines = [
        f"{kind} {version}" for kind, version in (versions | {"llama.cpp": props.get("build_info")}).items() if version
    ]
    return {
        "engine": engines[0] if engines else model.get("owned_by"),
        "context": _context(answers, model),
        "dtype": sglang.get("dtype"),
        "template": content_hash(template) if isinstance(template := props.get("chat_template"), str) else None,
    }


def _context(answers: Answers, model: dict[str, Any]) -> int | None:
    """The context that is said of a model, in tokens."""
    defaults, meta = answers["llama.cpp"].get("default_generation_settings"), model.get("meta")
    contexts = [
        model.get("max_model_len"),
        answers["sglang"].get("context_length"),
        defaults.get("n_ctx") if isinstance(defaults, dict) else None,
        meta.get("n_ctx_train") if isinstance(meta, dict) else None,
    ]
    return next((n for n in contexts if isinstance(n, int) and 1 < n <= MAX_CONTEXT), None)


class ServedModel(NamedTuple):
    """A model at a server: its name there, its context in tokens and the slots for requests, where they are said."""

    name: str
    context: int | None = None
    slots: int | None = None


def served_models(base_url: str, api_key_env: str = "") -> list[ServedModel]:
    """Every model of a server.  Raises ModelError where it does not answer or lists none, InputError."""
    answers = _answers(base_url, api_key_env)
    names = _listed(answers)
    usable = [name for name in names if name.strip() and name.isprintable() and len(name) <= MAX_NAME]
    if len(usable) > MAX_MODELS:
        do = "write the recipes without --server, and the models' names into them"
        raise ModelError("the server lists too many models", len(usable), f"at most {MAX_MODELS:,}", do)
    shown = [name for name in usable if name == hide_keys(name) and not holds_secret(name)]
    if not shown:
        _raise_status(answers, base_url, api_key_env)
        what = "the server lists no models"
        if why := answers["why"].get("models") or (
            "their names hold the key" if usable else "their names cannot be used" if names else ""
        ):
            what += f" ({why})"
        do = "give the address that ends in /v1, and the key's variable with --api-key-env where it needs one"
        raise ModelError(what, base_url, "an OpenAI-compatible server", do)
    slots = answers["llama.cpp"].get("total_slots")
    n_slots = slots if isinstance(slots, int) and 0 < slots <= 20_000 else None
    return [ServedModel(name, _context(answers, names[name]), n_slots) for name in shown]


def _raise_status(answers: Answers, url: str, api_key_env: str) -> None:
    """Raise ModelError where the status of the list of models says why there is none."""
    status = answers["status"].get("models", 200)
    if status in (401, 403):
        if not api_key_env:
            do = "put a key into a variable and name it with --api-key-env"
            raise ModelError(f"the server wants a key (status {status})", url, "", do)
        do = f"check {api_key_env}, or name another variable with --api-key-env"
        raise ModelError(f"the server refuses the key (status {status})", url, "", do)
    if 300 <= status < 400:
        to, do = answers["why"].get("models"), "give the address that it leads to"
        where = f"{url} -> {to}" if to else url
        raise ModelError(f"the server sends the request elsewhere (status {status})", where, "no redirect", do)
    if status >= 500 or status == 429:
        raise ModelError(f"the server cannot list its models now (status {status})", url, "", "try again later")


def _listed(answers: Answers) -> dict[str, dict[str, Any]]:
    """What the server says of each of its models, by name."""
    models, by_name = answers["models"].get("data"), dict[str, dict[str, Any]]()
    for entry in models if isinstance(models, list) else []:
        if isinstance(entry, dict) and isinstance(name := entry.get("id"), str):
            by_name.setdefault(name, entry)
    return by_name


def _answers(base_url: str, api_key_env: str) -> Answers:
    key, url = api_key(api_key_env), checked_address(base_url)  # what is shown of it lacks the key
    with ThreadPoolExecutor(1) as thread:  # this thread may have an event loop already
        return thread.submit(lambda: asyncio.run(_get_all(url, key))).result()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to a byte more than is taken."""
    body = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        body += part
        if len(body) > MAX_BYTES:
            break
    return bytes(body)


async def _get_all(url: str, key: SecretStr) -> Answers:
    import aiohttp

    root, proxy = url.removesuffix("/v1"), proxy_of(url, bool(key))
    status: dict[str, Any] = {}  # by the names of `_PATHS`
    why: dict[str, Any] = {}  # the same: why an answer is none
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def get(name: str) -> dict[str, Any] | None:
            """A JSON object, empty where something else came; None where nothing did."""
            try:
                # headers of the session would go to a proxy too, the key among them
                async with session.get(
                    root + _PATHS[name], headers=request_headers(key), allow_redirects=False, proxy=proxy
                ) as response:
                    raise_for_proxy(response.status, proxy or url)
                    status[name] = response.status
                    if to := led_to(str(response.url), response.headers.get("Location", "")):
                        why[name] = to
                    body = await _read(response) if response.status == 200 else b"{}"
            except TimeoutError:
                why[name] = f"no answer within {TIMEOUT_S:g} s"
                return None
            except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a head that aiohttp cannot parse
                is_met = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError)
                text = broken(error) if is_met else why_unreachable(error, url, proxy)
                why[name] = shorten(printable(hide_secrets(text)), 200)
                return None
            if len(body) > MAX_BYTES:
                why[name] = f"its answer is longer than {MAX_BYTES >> 20} MB"
                return {}
            try:
                value = parse_json(body)
            except (ValueError, RecursionError):
                why[name] = "its answer is not JSON"
                return {}
            return value if isinstance(value, dict) else {}

        answers = await asyncio.gather(*map(get, _PATHS))
    if all(answer is None for answer in answers):
        do = "start it, or correct its address (--server, or base_urls in the recipe)"
        raise ModelError(f"the server does not answer ({why['models']})", url, "a running server", do)
    return {"status": status, "why": why} | dict(zip(_PATHS, (answer or {} for answer in answers), strict=True))
