"""A server that answers with recorded completions: the OpenAI protocol without a model.

For trying recipes where there is no GPU, and for tests.

    limo serve-replay samples/*.jsonl.gz --port 8900 --latency-ms 50 --fault 429=0.05 --fault reset=0.02
    server = ReplayServer([Path("math.jsonl.gz")], ServeSettings(latency_s=0.05))
    with server.running() as url: ...               # http://127.0.0.1:PORT/v1

The problem is the last user message (or the prompt's end), the attempt comes from the header `X-Limo-Attempt`; a
client that sends none gets the recorded attempts of a problem in turn.  What was not recorded is refused (422).  Faults
befall the given shares of requests, drawn from a seed: 429 (with Retry-After), 500, reset (the connection drops half
way), half (half of the JSON), drip (bytes so slow that a client should give up), type (a page of HTML).

What it does not do: look at sampling settings (a recording is one draw), or serve anything but this machine.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from limo.core.errors import InputError
from limo.core.recipe import Settings
from limo.core.records import Completion, problem_id
from limo.core.text import shorten
from limo.models.openai.protocol import loads
from limo.models.openai.sending import ATTEMPT, NOT_RECORDED
from limo.models.replay import Recording, read_recordings

if TYPE_CHECKING:
    from aiohttp import web

Fault = Literal["429", "500", "reset", "half", "drip", "type"]
HOST = "127.0.0.1"
PIECE = 16  # characters in one event of a stream: about four tokens


class ServeSettings(Settings):
    """How the server behaves."""

    latency_s: float = Field(0.0, ge=0, description="seconds before a reply begins")
    tokens_per_s: float = Field(0.0, ge=0, description="tokens written a second and request; 0: at once")
    faults: dict[Fault, float] = Field(default_factory=dict, description="share of requests that each fault befalls")
    retry_after_s: float = Field(0.05, ge=0, description="what a 429 asks for")
    drip_s: float = Field(30.0, ge=0, description="seconds between the bytes of a slow drip")
    repeat: bool = Field(False, description="answer attempts beyond the recorded ones from the first again")
    seed: int = Field(0, ge=0, description="of the faults")


class ReplayServer:
    """Recordings behind HTTP.  `n_asked` counts the rollouts asked for by (model, problem id, index), retries too.

    Raises InputError for shares of faults above 1 in all, or where nothing is recorded.
    """

    def __init__(self, files: Iterable[Path], settings: ServeSettings | None = None) -> None:
        self.settings = settings or ServeSettings()
        shares = self.settings.faults.values()
        if sum(shares) > 1 or min(shares, default=0) < 0:
            raise InputError("the faults' shares do not fit", self.settings.faults, "0..1 in all", "lower them")
        self.recordings, _ = read_recordings(files)
        if not self.recordings:
            raise InputError("nothing is recorded in these files", None, "JSON lines of completions", "check them")
        self.n_asked: Counter[tuple[str, str, int]] = Counter()
        self.n_requests = 0
        self._rng = random.Random(self.settings.seed)
        self._turns: Counter[tuple[str, str]] = Counter()
        self._ids: dict[str, str] = {}

    @contextmanager
    def running(self, port: int = 0) -> Iterator[str]:
        """Serve from a thread while the block runs; the base URL."""
        ready, stop = threading.Event(), asyncio.Event()
        found: list[Any] = []
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            try:
                found.append(await self.start(port))
            except BaseException as error:  # told in the thread that waits
                found.append(error)
            ready.set()
            await stop.wait()
            if not isinstance(found[0], BaseException):
                await self.stop()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="limo-replay", daemon=True)
        thread.start()
        ready.wait()
        try:
            if isinstance(found[0], BaseException):
                raise found[0]
            yield f"http://{HOST}:{found[0]}/v1"
        finally:
            loops[0].call_soon_threadsafe(stop.set)
            thread.join()

    async def start(self, port: int = 0) -> int:
        """Listen on this machine; the port (0: one that is free).  Raises InputError when it is taken."""
        from aiohttp import web

        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port, backlog=4096).start()
        except OSError as error:
            await self._runner.cleanup()
            raise InputError(f"the port cannot be used ({error.strerror})", port, "a free port", "--port") from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/models"):
            return _json({"object": "list", "data": [{"id": name, "object": "model"} for name in self.recordings]})
        if request.method != "POST" or not request.path.endswith("/completions"):
            return _json(_error("POST /v1/chat/completions or /v1/completions, GET /v1/models"), 404)
        self.n_requests += 1
        try:
            body = loads(await request.read())
            name, texts = body["model"], _statements(body)
            recording = self.recordings.get(name)
            if recording is None:
                known = shorten(", ".join(self.recordings), 300)
                return _json(_error(f"no recordings of the model {name!r}; there are: {known}"), 404)
            ids = [self._id(text) for text in texts]
            problem = next((one for one in ids if recording.n_of(one)), ids[0])
            indexes = self._indexes(request.headers.get(ATTEMPT), name, problem, recording, body)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            return _json(_error(f"the request cannot be read: {type(error).__name__}"), 400)
        for index in indexes:
            self.n_asked[name, problem, index] += 1
        n_known = recording.n_of(problem) if self.settings.repeat else 0
        found = [recording.find(problem, index % n_known if n_known else index) for index in indexes]
        missing = [one for one in found if isinstance(one, str)]
        if missing:
            return _json(_error(missing[0]), NOT_RECORDED)
        try:
            return await self._answer(request, body, [one for one in found if isinstance(one, Completion)])
        except ConnectionError:  # the client has gone, or was meant to lose its connection
            return _json(_error("gone"), 500)

    def _indexes(self, header: str | None, name: str, problem: str, recording: Recording, body: Any) -> list[int]:
        if header is not None:
            return [int(number) for number in header.split(",")]
        n, known = int(body.get("n") or 1), max(recording.n_of(problem), 1)
        turn = self._turns[name, problem]
        self._turns[name, problem] += n
        return [(turn + k) % known for k in range(n)]

    def _id(self, statement: str) -> str:
        found = self._ids.get(statement)
        if found is None:
            found = self._ids[statement] = problem_id(statement)
        return found

    async def _answer(self, request: web.BaseRequest, body: Any, found: list[Completion]) -> web.StreamResponse:
        fault = self._fault()
        if self.settings.latency_s:
            await asyncio.sleep(self.settings.latency_s)
        if fault == "429":
            return _json(_error("too many requests"), 429, {"Retry-After": f"{self.settings.retry_after_s:g}"})
        if fault == "500":
            return _json(_error("the server stumbled"), 500)
        if fault == "type":
            return _reply(b"<html><body>Service portal: please sign in</body></html>", "text/html")
        chat = request.path.endswith("/chat/completions")
        if body.get("stream"):
            return await self._stream(request, found, chat, fault)
        n_tokens = max(_n_tokens(one) for one in found)
        if self.settings.tokens_per_s:
            await asyncio.sleep(n_tokens / self.settings.tokens_per_s)
        data = _whole(tuple(found), body["model"], chat)
        if fault is None:
            return _reply(data, "application/json")
        if fault == "half":
            return _reply(data[: len(data) // 2], "application/json")
        return await self._broken(request, data, fault)

    def _fault(self) -> str | None:
        draw = self._rng.random()
        for fault, share in self.settings.faults.items():
            draw -= share
            if draw < 0:
                return fault
        return None

    async def _broken(self, request: web.BaseRequest, data: bytes, fault: str) -> web.StreamResponse:
        """A reply that begins well and then drops (reset) or crawls (drip)."""
        from aiohttp import web

        reply = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(data))})
        await reply.prepare(request)
        await reply.write(data[: len(data) // 2])
        if fault == "drip":
            for byte in data[len(data) // 2 :]:
                await asyncio.sleep(self.settings.drip_s)
                await reply.write(bytes([byte]))
        if request.transport is not None:
            request.transport.abort()
        return reply

    async def _stream(
        self, request: web.BaseRequest, found: list[Completion], chat: bool, fault: str | None
    ) -> web.StreamResponse:
        from aiohttp import web

        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        events = list(_events(found, chat))
        for number, event in enumerate(events):
            if fault is not None and number >= len(events) // 2:
                if fault == "half":
                    await reply.write(event[: len(event) // 2] + b"\n\n")
                if fault == "drip":
                    await asyncio.sleep(self.settings.drip_s)
                if request.transport is not None:
                    request.transport.abort()
                return reply
            if self.settings.tokens_per_s:
                await asyncio.sleep(PIECE / 4 / self.settings.tokens_per_s)
            await reply.write(event)
        await reply.write_eof()
        return reply


def _statements(body: dict[str, Any]) -> list[str]:
    """What may be the problem: the last user message, or each end of the prompt that begins after an empty line."""
    if "messages" in body:
        return [str([one["content"] for one in body["messages"] if one["role"] == "user"][-1])]
    parts = str(body["prompt"]).split("\n\n")
    return ["\n\n".join(parts[k:]) for k in range(len(parts)) if parts[k].strip()]


@lru_cache(maxsize=4096)  # a pool that is tried again and again is written once
def _whole(found: tuple[Completion, ...], model: str, chat: bool) -> bytes:
    choices: list[dict[str, Any]] = []
    for number, one in enumerate(found):
        message = {"role": "assistant", "content": one.text} | (
            {"reasoning_content": one.reasoning} if one.reasoning else {}
        )
        said: dict[str, Any] = {"message": message} if chat else {"text": one.text}
        choices.append({"index": number, **said, "finish_reason": one.finish_reason})
    kind = "chat.completion" if chat else "text_completion"
    reply = {"id": "replay", "object": kind, "created": 0, "model": model, "choices": choices, "usage": _usage(found)}
    return json.dumps(reply).encode()


def _events(found: list[Completion], chat: bool) -> Iterator[bytes]:
    for number, one in enumerate(found):
        for name, text in (("reasoning_content", one.reasoning), ("content", one.text)):
            for start in range(0, len(text), PIECE):
                piece = text[start : start + PIECE]
                said: dict[str, Any] = {"delta": {name: piece}} if chat else {"text": piece}
                yield _event({"choices": [{"index": number, **said, "finish_reason": None}]})
        last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        yield _event({"choices": [{"index": number, **last, "finish_reason": one.finish_reason}]})
    yield _event({"choices": [], "usage": _usage(found)})
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _usage(found: Sequence[Completion]) -> dict[str, int]:
    n_prompt, n_new = found[0].n_prompt_tokens, sum(_n_tokens(one) for one in found)
    return {"prompt_tokens": n_prompt, "completion_tokens": n_new, "total_tokens": n_prompt + n_new}


def _n_tokens(one: Completion) -> int:
    """As recorded, or four characters a token where nobody counted."""
    return one.n_completion_tokens or (len(one.text) + len(one.reasoning) + 3) // 4


def _error(said: str) -> dict[str, Any]:
    return {"error": {"message": said, "type": "replay"}}


def _json(value: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return _reply(json.dumps(value).encode(), "application/json", status, headers)


def _reply(data: bytes, kind: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    from aiohttp import web

    return web.Response(body=data, status=status, headers={"Content-Type": kind, **(headers or {})})
