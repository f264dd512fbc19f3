"""A server that answers with recorded completions through the OpenAI protocol, for trying recipes without a model.

    limo serve-replay samples/*.jsonl.gz --port 8900 --latency-ms 50 --fault 429=0.05 --fault reset=0.02
    server = ReplayServer([Path("math.jsonl.gz")], ReplayServerSettings(latency_s=0.05))
    with server.running() as url: ...               # http://127.0.0.1:PORT/v1

The problem is the last user message (or the prompt's end), the rollouts' indexes come from the header `X-Limo-Index`; a
client that sends none gets the recorded rollouts of a problem in turn.  What was not recorded is refused (422, with the
beginning of the prompt).  Faults befall the given shares of requests, drawn from a seed: 429 (with Retry-After), 500,
reset (the connection drops half way), half (half of the reply), drip (bytes so slow that a client should give up), type
(a page of HTML).  Sampling settings are ignored, and only this machine is served.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from limo.core.errors import InputError
from limo.core.recipe import Settings
from limo.core.records import Completion, problem_id
from limo.core.text import parse_json, shorten
from limo.models.openai.protocol import INDEX_HEADER, NOT_RECORDED, estimated_tokens
from limo.models.replay import Recording, read_recordings

if TYPE_CHECKING:
    from aiohttp import web

Fault = Literal["429", "500", "reset", "half", "drip", "type"]
HOST = "127.0.0.1"
MAX_ROLLOUTS = 128  # in one request
MAX_ENDS = 16  # ends of a plain prompt that are looked up
CHUNK = 16  # characters in one event of a stream: about four tokens


class ReplayServerSettings(Settings):
    """How the server behaves."""

    latency_s: float = Field(0.0, ge=0, description="seconds before a reply begins")
    tokens_per_s: float = Field(0.0, ge=0, description="tokens a second for each request; 0: at once")
    faults: dict[Fault, float] = Field(default_factory=dict, description="share of requests that each fault befalls")
    retry_after_s: float = Field(0.05, ge=0, description="Retry-After of a 429")
    drip_s: float = Field(30.0, ge=0, description="seconds between the bytes of a slow drip")
    repeat: bool = Field(False, description="answer indexes beyond the recorded ones from the first again")
    seed: int = Field(0, ge=0, description="of the faults")


class ReplayServer:
    """Recordings behind HTTP.  `n_requested` counts rollouts by (model, problem id, index), retries included.

    Raises InputError for shares of faults above 1 in all, or where nothing is recorded.
    """

    def __init__(self, files: Iterable[Path], settings: ReplayServerSettings | None = None) -> None:
        self.settings = settings or ReplayServerSettings()
        shares = self.settings.faults.values()
        if sum(shares) > 1 or min(shares, default=0) < 0:
            raise InputError("the faults' shares do not fit", self.settings.faults, "0..1 in all", "lower them")
        self.recordings, _ = read_recordings(files)
        if not self.recordings:
            raise InputError("nothing is recorded in these files", None, "JSON lines of completions", "check them")
        self.n_requested: Counter[tuple[str, str, int]] = Counter()
        self.n_requests = 0
        self._rng = random.Random(self.settings.seed)
        self._n_served: Counter[tuple[str, str]] = Counter()  # without index, by model and problem id

    @contextmanager
    def running(self, port: int = 0) -> Iterator[str]:
        """Serve from a thread while the block runs; the base URL.  Raises InputError when the port is taken.

        Port 0 is one that is free.
        """
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="limo-replay", daemon=True)
        thread.start()
        try:
            runner = asyncio.run_coroutine_threadsafe(self._start(port), loop).result()
            try:
                yield f"http://{HOST}:{runner.addresses[0][1]}/v1"
            finally:
                asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self, port: int) -> web.ServerRunner:
        from aiohttp import web

        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port, backlog=4096).start()
        except OSError as error:
            await runner.cleanup()
            raise InputError(
                f"the port cannot be used ({error.strerror})", port, "a free port", "name another --port"
            ) from error
        return runner

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/models"):
            return _json({"object": "list", "data": [{"id": name, "object": "model"} for name in self.recordings]})
        if request.method != "POST" or not request.path.endswith("/completions"):
            return _error("POST /v1/chat/completions or /v1/completions, GET /v1/models", 404)
        self.n_requests += 1
        try:
            body = parse_json(await request.read())
            recording = self.recordings.get(body["model"])
            if recording is None:
                known = shorten(", ".join(self.recordings), 300)
                return _error(f"no recordings of the model {body['model']!r}; there are: {known}", 404)
            statements = _statements(body)
            ids = [problem_id(statement) for statement in statements]
            problem = next((problem for problem in ids if recording.n_of(problem)), ids[0])
            indexes = self._indexes(request.headers.get(INDEX_HEADER), body, problem, recording)
            if not 1 <= len(indexes) <= MAX_ROLLOUTS:
                return _error(f"1 to {MAX_ROLLOUTS} rollouts a request", 400)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            return _error(f"the request cannot be read: {type(error).__name__}", 400)
        n_recorded = recording.n_of(problem) if self.settings.repeat else 0
        completions = [recording.find(problem, index % n_recorded if n_recorded else index) for index in indexes]
        for completion in completions:
            if completion.finish_reason == "error":
                beginning = shorten(
                    statements[0].strip()[:-1] + "…"
                )  # clients hide a prompt that an error repeats whole
                return _error(f"{completion.error}: {beginning}", NOT_RECORDED)
        self.n_requested.update((body["model"], problem, index) for index in indexes)
        try:
            return await self._reply(request, body, completions)
        except ConnectionError:  # the client has gone, or was meant to lose its connection
            return _error("gone", 500)

    def _indexes(self, header: str | None, body: Any, problem: str, recording: Recording) -> list[int]:
        if header is not None:
            return [int(number) for number in header.split(",", MAX_ROLLOUTS)]
        n, n_recorded = int(body.get("n") or 1), max(recording.n_of(problem), 1)
        if not 1 <= n <= MAX_ROLLOUTS:
            return []
        first = self._n_served[body["model"], problem]
        self._n_served[body["model"], problem] += n
        return [(first + k) % n_recorded for k in range(n)]

    async def _reply(self, request: web.BaseRequest, body: Any, completions: list[Completion]) -> web.StreamResponse:
        from aiohttp import web

        fault = self._draw_fault()
        await asyncio.sleep(self.settings.latency_s)
        if fault == "429":
            return _error("too many requests", 429, {"Retry-After": f"{self.settings.retry_after_s:g}"})
        if fault == "500":
            return _error("the server stumbled", 500)
        if fault == "type":
            page = "<html><body>Service portal: please sign in</body></html>"
            return web.Response(text=page, content_type="text/html")
        is_chat, tokens_per_s = request.path.endswith("/chat/completions"), self.settings.tokens_per_s
        if body.get("stream"):
            chunks, kind = list(_events(completions, is_chat)), "text/event-stream"
            pause_s = CHUNK / 4 / tokens_per_s if tokens_per_s else 0.0
        else:
            chunks, kind, pause_s = [_whole(completions, body["model"], is_chat)], "application/json", 0.0
            await asyncio.sleep(max(map(_n_tokens, completions)) / tokens_per_s if tokens_per_s else 0.0)
            if fault is None:
                return web.Response(body=chunks[0], content_type=kind)
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        if fault is None:
            for chunk in chunks:
                await asyncio.sleep(pause_s)
                await response.write(chunk)
        else:
            await self._write_half(request, response, b"".join(chunks), fault)
        return response

    async def _write_half(
        self, request: web.BaseRequest, response: web.StreamResponse, data: bytes, fault: str
    ) -> None:
        """Half of a reply, which then ends (half), drops its connection (reset) or crawls on (drip)."""
        await response.write(data[: len(data) // 2])
        if fault == "half":
            return
        for byte in data[len(data) // 2 :] if fault == "drip" else b"":
            await asyncio.sleep(self.settings.drip_s)
            await response.write(bytes([byte]))
        if request.transport is not None:
            request.transport.abort()

    def _draw_fault(self) -> str | None:
        draw = self._rng.random()
        for fault, share in self.settings.faults.items():
            draw -= share
            if draw < 0:
                return fault
        return None


def _statements(body: dict[str, Any]) -> list[str]:
    """What may be the problem: the last user message, or each end of the prompt that begins after an empty line."""
    if "messages" in body:
        return [str([message["content"] for message in body["messages"] if message["role"] == "user"][-1])]
    statements: list[str] = []
    rest = str(body["prompt"])
    while rest.strip() and len(statements) < MAX_ENDS:
        statements.append(rest)
        rest = rest.lstrip().partition("\n\n")[2]
    return statements


def _whole(completions: Sequence[Completion], model: str, is_chat: bool) -> bytes:
    choices: list[dict[str, Any]] = []
    for number, completion in enumerate(completions):
        content: dict[str, Any] = {"text": completion.text}
        if is_chat:
            content = {"message": {"role": "assistant", "content": completion.text}}
            if completion.reasoning:
                content["message"]["reasoning_content"] = completion.reasoning
        choices.append({"index": number, **content, "finish_reason": completion.finish_reason})
    kind = "chat.completion" if is_chat else "text_completion"
    reply = {"id": "replay", "object": kind, "created": 0, "model": model, "choices": choices}
    return json.dumps(reply | {"usage": _usage(completions)}).encode()


def _events(completions: Sequence[Completion], is_chat: bool) -> Iterator[bytes]:
    def event(number: int, name: str, text: str, reason: str | None) -> bytes:
        content: dict[str, Any] = {"delta": {name: text} if text else {}} if is_chat else {"text": text}
        return _event({"choices": [{"index": number, **content, "finish_reason": reason}]})

    for number, completion in enumerate(completions):
        for name, text in (("reasoning_content", completion.reasoning), ("content", completion.text)):
            for start in range(0, len(text), CHUNK):
                yield event(number, name, text[start : start + CHUNK], None)
        yield event(number, "content", "", completion.finish_reason)
    yield _event({"choices": [], "usage": _usage(completions)})
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _usage(completions: Sequence[Completion]) -> dict[str, int]:
    n_prompt, n_new = completions[0].n_prompt_tokens, sum(map(_n_tokens, completions))
    return {"prompt_tokens": n_prompt, "completion_tokens": n_new, "total_tokens": n_prompt + n_new}


def _n_tokens(completion: Completion) -> int:
    """As recorded, or the estimate of a client where nobody counted."""
    return completion.n_completion_tokens or estimated_tokens(completion.text, completion.reasoning)


def _error(message: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return _json({"error": {"message": message, "type": "replay"}}, status, headers)


def _json(value: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    from aiohttp import web

    return web.json_response(value, status=status, headers=headers)
