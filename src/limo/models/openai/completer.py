"""Models behind any OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`, hosted ones.

An event loop in a thread of its own keeps up to `in_flight` requests open over all servers, while the caller verifies
and stores what came.  A request that fails is tried again elsewhere or later (see `fleet`); one that no try brings
home comes back as an `error` completion with the reason; servers that all stay silent stop the run, which the same
command continues.

    completer = HttpCompleter(["http://localhost:8000/v1"], "Qwen/QwQ-32B", settings=HttpSettings(in_flight=512))
    for group in completer.complete(iter(requests)):
        ...

Unlike other completers it understands a request iterator that yields None: nothing now, ask again later.

What it does not do: start a server, or follow a redirect (a key must not travel to another host).
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import groupby
from queue import SimpleQueue
from urllib.parse import urlsplit

from limo.core.errors import InputError
from limo.core.records import Completion
from limo.core.text import hide_keys
from limo.models.completer import CANCELLED, Capabilities, Completer, CompletionGroup, Request
from limo.models.openai.secrets import Secrets
from limo.models.openai.sending import Sender
from limo.models.openai.servers import Fleet
from limo.models.openai.settings import HttpSettings

GROUP = 1024  # completions handed back, and so committed, together at most
SELDOM = 20_000  # objects made between two looks for garbage; Python's own is 700
Task = asyncio.Task[list[Completion]]
_COLLECTING = threading.Lock()
_n_seldom, _before = 0, gc.get_threshold()


class HttpCompleter(Completer):
    """A served model.  `model` is its name there, `name` what the ledger calls it.

    Its identity names everything that changes what it draws, but not where it is served.  Raises InputError for an
    address or a key that cannot be used; `complete` raises ModelError when no request can ever work, PartialError when
    servers stay away.
    """

    def __init__(
        self, base_urls: Iterable[str], model: str, name: str | None = None, settings: HttpSettings | None = None
    ) -> None:
        self.settings = settings or HttpSettings()
        self.name, self.model = name or model, model
        self.urls = [checked_url(url) for url in base_urls]
        if not self.urls:
            raise InputError("no server to ask", None, "one base_url or more", "for example http://localhost:8000/v1")
        self.secrets = Secrets.of(self.settings.api_key_env)
        extra = json.dumps([model, self.settings.endpoint, self.settings.extra], sort_keys=True)
        self.capabilities = Capabilities(
            concurrent=True, speculative=self.settings.eager, stop_texts=True, retries_errors=True,
            identity=hashlib.blake2b(extra.encode(), digest_size=8).hexdigest(),
        )  # fmt: skip
        self._line: _Line | None = None

    def complete(self, requests: Iterator[Request | None]) -> Iterator[CompletionGroup]:
        """Keep `in_flight` requests open; yield what is finished, as soon as the caller takes it, in any order."""
        in_flight = _allowed(self.settings.in_flight)
        with seldom_collected(), _Line(self) as line:
            self._line = line
            more = True
            try:
                while more or line.n_open:
                    while more and line.n_open < in_flight:
                        wanted, more = _pull(requests, in_flight - line.n_open)
                        line.send(wanted, self.settings.n_per_request)
                        if not wanted:
                            break
                    if not line.n_open:
                        break
                    yield line.receive()
            finally:
                self._line = None

    def cancel(self, problem_ids: Iterable[str]) -> None:
        """Give up the open requests of these problems; they come back with the finish reason `cancelled`."""
        if self._line is not None:
            self._line.cancel(list(problem_ids))


class _Line:
    """The thread with the event loop, and the two ways to it: requests there, groups back."""

    def __init__(self, completer: HttpCompleter) -> None:
        self.completer = completer
        self.n_open = 0
        self._fault: BaseException | None = None
        self._back: SimpleQueue[CompletionGroup | BaseException] = SimpleQueue()
        self._finished: CompletionGroup = []  # in the thread, until it has looked at everything that came
        self._tasks: dict[str, set[Task]] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="limo-http", daemon=True)

    def __enter__(self) -> _Line:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def send(self, requests: list[Request], n_per_request: int) -> None:
        """Hand over requests; neighbours of one problem share a request."""
        self.n_open += len(requests)
        bundles: list[list[Request]] = []
        for _, same in groupby(requests, key=lambda r: (r.problem.id, r.sampling)):
            together = list(same)
            bundles += [together[k : k + n_per_request] for k in range(0, len(together), n_per_request)]
        if bundles:
            self._loop.call_soon_threadsafe(self._begin, bundles)

    def receive(self) -> CompletionGroup:
        """Wait for a finished request; it and all others that are finished by then, before any fault is raised."""
        found: CompletionGroup = []
        while not found or (len(found) < GROUP and not self._back.empty()):
            if self._fault is not None and self._back.empty():
                raise self._fault
            one = self._back.get()
            if isinstance(one, BaseException):
                self._fault = self._fault or one
            else:
                found += one
        self.n_open -= len(found)
        return found

    def cancel(self, problem_ids: list[str]) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._cancel, problem_ids)

    # In the thread.

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=fast_loop()) as runner:
                runner.run(self._serve())
        except BaseException as error:  # the boundary of the thread: whoever waits must hear of it
            self._back.put(error)
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        c = self.completer
        fleet = Fleet(c.urls, 2 * c.settings.backoff_s)
        async with Sender(fleet, c.model, c.settings, c.secrets) as self._sender:
            self._ready.set()
            await self._end.wait()
            tasks = [task for of_problem in self._tasks.values() for task in of_problem]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, bundles: list[list[Request]]) -> None:
        for asks in bundles:
            task = self._loop.create_task(self._sender.ask(asks))
            self._tasks.setdefault(asks[0].problem.id, set()).add(task)
            task.add_done_callback(partial(self._came, asks))

    def _came(self, asks: list[Request], task: Task) -> None:
        """A task is over, be it that it was cancelled before it began."""
        of_problem = self._tasks[asks[0].problem.id]
        of_problem.discard(task)
        if not of_problem:
            del self._tasks[asks[0].problem.id]
        error = None if task.cancelled() else task.exception()
        if error is not None:  # the boundary of a task: whoever waits must hear of it
            self._hand_over()  # what is finished comes before what went wrong
            self._back.put(error)
            return
        if not self._finished:  # handed over together: each time the caller wakes costs more than a completion
            self._loop.call_soon(self._hand_over)
        completions = [Completion("", CANCELLED)] * len(asks) if task.cancelled() else task.result()
        self._finished += zip(asks, completions, strict=True)

    def _cancel(self, problem_ids: list[str]) -> None:
        for name in problem_ids:
            for task in self._tasks.get(name, ()):
                task.cancel()

    def _hand_over(self) -> None:
        self._back.put(self._finished)
        self._finished = []


def _pull(requests: Iterator[Request | None], n: int) -> tuple[list[Request], bool]:
    """Up to `n` requests, fewer where there is nothing now; and whether there may be more later."""
    wanted: list[Request] = []
    while len(wanted) < n:
        try:
            request = next(requests)
        except StopIteration:
            return wanted, False
        if request is None:
            break
        wanted.append(request)
    return wanted, True


def checked_url(url: str) -> str:
    """The address without a slash at its end.  Raises InputError, which shows no password, when it is none."""
    parts = urlsplit(url.strip())
    shown = hide_keys(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("this is no address of a server", shown, "http://host:port/v1", "see the server's start")
    if parts.username or parts.password or parts.query or shown != url:
        raise InputError("an address may hold no key", shown, "http://host:port/v1", "name its variable in api_key_env")
    return url.strip().rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let Python look for circles of garbage less often: with thousands of open requests it is a sixth of the work.

    For the whole process, which gets its own threshold back when the last block ends.
    """
    global _n_seldom, _before
    with _COLLECTING:
        _n_seldom += 1
        if _n_seldom == 1:
            _before = gc.get_threshold()
            if 0 < _before[0] < SELDOM:
                gc.set_threshold(SELDOM, *_before[1:])
    try:
        yield
    finally:
        with _COLLECTING:
            _n_seldom -= 1
            if not _n_seldom:
                gc.set_threshold(*_before)


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, which takes half the time a request; asyncio's own where it is not installed."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _allowed(in_flight: int) -> int:
    """As many requests as this process may have open files for, its limit raised as far as the system lets it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = in_flight + 128
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return in_flight if soft == resource.RLIM_INFINITY else max(1, min(in_flight, soft - 128))
