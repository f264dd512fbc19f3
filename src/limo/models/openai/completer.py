"""Models behind any OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`, hosted ones.

An event loop in a thread of its own keeps up to `in_flight` rollouts requested over all servers, while the caller
verifies and stores what came.  See `retry` for what follows from which failure.

    completer = HttpCompleter(["http://localhost:8000/v1"], "Qwen/QwQ-32B", settings=HttpSettings(in_flight=512))
    for group in completer.complete(iter(requests)):
        ...
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any

from limo.core.errors import InputError, ModelError
from limo.core.progress import duration
from limo.core.records import Completion
from limo.models.completer import CANCELLED, Capabilities, Completer, CompletionGroup, Request
from limo.models.openai.address import checked_address
from limo.models.openai.client import HttpClient, api_key
from limo.models.openai.retry import RetryingSender
from limo.models.openai.settings import HttpSettings

LOG = logging.getLogger(__name__)
QUIET_S = 5.0  # without a finished request, after which an empty group is yielded
MAX_GROUP = 1024  # completions yielded, and so committed, together
SPARE_FILES = 128  # files that this process may need besides its connections


class HttpCompleter(Completer):
    """A served model.  `model` is its name at the servers, `name` what the ledger calls it.

    Its identity covers everything that changes what is drawn, but not where it is served.  Raises InputError for an
    address, proxy or key that cannot be used; `complete` raises ModelError when no request can ever work, PartialError
    when all servers stay silent.
    """

    def __init__(
        self, base_urls: Iterable[str], model: str, name: str | None = None, settings: HttpSettings | None = None
    ) -> None:
        self.settings = settings or HttpSettings()
        self.name, self.model = name or model, model
        self.key = api_key(self.settings.api_key_env)  # before an address that may hold it is shown
        self.urls = [checked_address(url) for url in base_urls]
        if not self.urls:
            raise InputError("there is no server", None, "one base_url or more", "for example http://localhost:8000/v1")
        drawn_from = json.dumps([model, self.settings.endpoint, self.settings.extra], sort_keys=True)
        self.capabilities = Capabilities(
            concurrent=True,
            speculative=self.settings.speculative,
            stop_texts=True,
            retries_errors=True,
            identity=hashlib.blake2b(drawn_from.encode(), digest_size=8).hexdigest(),
        )
        self._open: _OpenRequests | None = None

    def complete(self, requests: Iterator[Request | None]) -> Iterator[CompletionGroup]:
        """Keep `in_flight` rollouts requested; yield what is finished, in any order."""
        in_flight = _within_file_limit(self.settings.in_flight)
        with _OpenRequests(self, in_flight) as self._open:
            has_more = True
            while has_more or self._open.n:
                while has_more and self._open.n < in_flight and not self._open.has_failed:
                    batch, has_more = _pull(requests, in_flight - self._open.n)
                    self._open.send(batch)
                    if not batch:
                        break
                if not self._open.n:
                    break
                yield self._open.receive()

    def cancel(self, problem_ids: Iterable[str]) -> None:
        """Cancel the open requests of these problems; they come back with the finish reason `cancelled`."""
        if self._open is not None:
            self._open.cancel(problem_ids)

    def stop_waiting(self) -> int:
        """Give up the requests that wait for a server that is busy or away; they come back as `cancelled`."""
        return self._open.stop_waiting() if self._open is not None else 0

    def waits_for(self) -> str:
        """The server that is waited for, and what it does."""
        return self._open.waits_for() if self._open is not None else ""

    def longest_s(self) -> float:
        """By when the open tries have ended, each in its `timeout_s` and `max_tokens` at `min_tokens_per_s`."""
        return self._open.longest_s() if self._open is not None else 0.0


class _OpenRequests:
    """The requests that are open in an event loop's thread; `n` counts their rollouts."""

    def __init__(self, completer: HttpCompleter, n_connections: int) -> None:
        self.n = 0
        self._n_per_request = completer.settings.n_per_request
        c = completer
        self._client = HttpClient(c.urls, c.key, c.settings.timeout_s, n_connections)
        self._sender = RetryingSender(self._client, c.urls, c.model, c.settings)
        self._by_problem: dict[str, set[Future[list[Completion]]]] = {}
        self._finished: SimpleQueue[tuple[list[Request], Future[list[Completion]]]] = SimpleQueue()
        self._error: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="limo-http", daemon=True)

    def __enter__(self) -> _OpenRequests:
        self._thread.start()
        self._run(self._client.__aenter__()).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop_waiting(self) -> int:
        """Give up the requests that wait for their next try; how many rollouts."""
        n = self._sender.n_waiting
        self._loop.call_soon_threadsafe(self._sender.stop_waiting)
        return n

    def waits_for(self) -> str:
        """As of the completer."""
        return self._sender.servers.waits_for(time.monotonic())

    def longest_s(self) -> float:
        """As of the completer."""
        return self._sender.longest_s

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.__aexit__()

    def send(self, requests: list[Request]) -> None:
        """Send requests; neighbouring rollouts of one problem share one."""
        self.n += len(requests)
        for _, group in groupby(requests, key=lambda request: (request.problem.id, request.sampling)):
            rollouts = list(group)
            for start in range(0, len(rollouts), self._n_per_request):
                self._send_one(rollouts[start : start + self._n_per_request])

    def _send_one(self, rollouts: list[Request]) -> None:
        future = self._run(self._sender.complete(rollouts))
        self._by_problem.setdefault(rollouts[0].problem.id, set()).add(future)
        future.add_done_callback(lambda future: self._finished.put((rollouts, future)))

    def receive(self) -> CompletionGroup:
        """Wait for a finished request and return it with all others that are; an error is raised after them.

        Where a server refuses, what others are working on is waited for: it is paid for.  Where none is finished for a
        while the group is empty.
        """
        group: CompletionGroup = []
        while not group or (len(group) < MAX_GROUP and not self._finished.empty()):
            if self._error is not None and self._finished.empty() and not (self._by_problem and self._is_refusal):
                raise self._error
            try:
                rollouts, future = self._finished.get(timeout=QUIET_S)
            except Empty:
                break
            futures = self._by_problem[rollouts[0].problem.id]
            futures.discard(future)
            if not futures:
                del self._by_problem[rollouts[0].problem.id]
            if future.cancelled():
                group += [(request, Completion("", CANCELLED)) for request in rollouts]
            elif error := future.exception():
                self._fail(error)
            else:
                group += zip(rollouts, future.result(), strict=True)
        self.n -= len(group)
        return group

    @property
    def has_failed(self) -> bool:
        """Whether an error ends the work, so that nothing more is to be sent."""
        return self._error is not None

    @property
    def _is_refusal(self) -> bool:
        return isinstance(self._error, ModelError)

    def _fail(self, error: BaseException) -> None:
        """Note the first error; those that wait for another try are given up."""
        if self._error is None:
            self._error = error
            self._loop.call_soon_threadsafe(self._sender.stop_waiting)
            if self._is_refusal and (n := self._sender.n_tries):
                left = duration(self._sender.longest_s)
                LOG.warning("%s; waiting for %d outstanding requests, %s at most", error, n, left)

    def cancel(self, problem_ids: Iterable[str]) -> None:
        """Cancel the open requests of these problems."""
        for problem_id in problem_ids:
            for future in list(self._by_problem.get(problem_id, ())):
                future.cancel()


def _pull(requests: Iterator[Request | None], n: int) -> tuple[list[Request], bool]:
    """Up to `n` requests, fewer where there is nothing to request now; and whether there may be more later."""
    batch: list[Request] = []
    while len(batch) < n:
        try:
            request = next(requests)
        except StopIteration:
            return batch, False
        if request is None:
            break
        batch.append(request)
    return batch, True


def _within_file_limit(in_flight: int) -> int:
    """`in_flight`, or fewer, with a warning, where this process may not open so many connections."""
    import resource

    n_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if n_files == resource.RLIM_INFINITY or in_flight <= n_files - SPARE_FILES:
        return in_flight
    allowed = max(1, n_files - SPARE_FILES)
    LOG.warning(
        "in_flight is %d instead of %d: this process may open %d files (`ulimit -n`)", allowed, in_flight, n_files
    )
    return min(allowed, in_flight)
