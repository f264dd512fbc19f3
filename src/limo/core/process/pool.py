"""Many calls over several workers: chunks go out, replies come back in order, a bounded number is read ahead.

with WorkerPool(2, open_handler) as pool:
    for payload, reply in pool.map(payloads, size_of=len): ...
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any

from limo.core.closing import Closing
from limo.core.errors import InputError
from limo.core.process.child import Handler
from limo.core.process.limits import CallLimits
from limo.core.process.worker import CallResult, Worker

FIRST_CHUNK, MAX_CHUNK = 16, 512  # payloads, while nothing is known of their pace, and at most
CHUNK_S = 0.06  # seconds that a chunk should take: long beside a message, short beside the end of a batch
MAX_CHUNKS, MAX_BYTES = 32, 32 << 20  # under way; one slow payload must not leave the other workers idle


class WorkerPool(Closing):
    """`n_workers` workers with the same handler.  A child starts when it is first needed."""

    def __init__(
        self, n_workers: int, open_handler: Callable[..., Handler], *arguments: Any, limits: CallLimits | None = None
    ) -> None:
        if n_workers < 1:
            raise InputError("a batch needs a worker", n_workers, "n_workers >= 1", "one for each core is enough")
        self._new_workers = lambda: [Worker(open_handler, *arguments, limits=limits) for _ in range(n_workers)]
        self.workers = self._new_workers()
        self._payload_s = CHUNK_S / FIRST_CHUNK  # seconds that a payload takes, as lately seen

    def close(self) -> None:
        """End the children; what is under way in other threads fails."""
        for worker in self.workers:
            worker.close()

    def map(self, payloads: Iterable[Any], size_of: Callable[[Any], int]) -> Generator[tuple[Any, CallResult]]:
        """Each payload with its reply, in order; `size_of` gives a payload's bytes.  Left early, the children end."""
        iterator = iter(payloads)
        free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.workers:
            free.put(worker)
        threads = ThreadPoolExecutor(len(self.workers), thread_name_prefix="limo-verify")
        waiting: deque[tuple[list[Any], int, Future[list[CallResult]]]] = deque()
        n_bytes, more, finished = 0, True, False
        try:
            while True:
                while more and len(waiting) < MAX_CHUNKS and (n_bytes < MAX_BYTES or len(waiting) < len(self.workers)):
                    n_wanted = max(1, min(MAX_CHUNK, int(CHUNK_S / self._payload_s)))
                    if chunk := list(islice(iterator, n_wanted)):
                        size = sum(map(size_of, chunk))
                        waiting.append((chunk, size, threads.submit(self._call, free, chunk)))
                        n_bytes += size
                    more = len(chunk) == n_wanted
                if not waiting:
                    break
                chunk, size, future = waiting.popleft()
                yield from zip(chunk, future.result(), strict=True)
                n_bytes -= size
            finished = True
        finally:
            if not finished:  # the replies under way are not wanted
                for *_, future in waiting:
                    future.cancel()
                self.close()
                self.workers = self._new_workers()
            threads.shutdown()

    def _call(self, free: SimpleQueue[Worker], chunk: list[Any]) -> list[CallResult]:
        worker, start = free.get(), time.perf_counter()
        try:
            replies = worker.call_many(chunk)
        finally:
            free.put(worker)
        self._payload_s = (self._payload_s + (time.perf_counter() - start) / len(chunk)) / 2
        return replies
