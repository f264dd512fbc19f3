"""A long batch over several children: chunks go out, replies come back in order, a bounded number is under way.

    crew = Crew(2, Limits(), pickle.dumps(open_verifier))
    for items, replies in crew.chunks((("row", problem, completion), text) for ...): ...

Every item is a question for a child and what the caller keeps of it meanwhile; the size of what is kept bounds how far
is read ahead.  Math-Verify costs more to import than thousands of verdicts, and most batches need it for a few pairs:
the first such questions are put off by the children that meet them and go to one of them, which imports it while the
others go on.  A batch that has many gets it in every child.

What it does not do: know what the questions are about.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any

from limo.verify.process.limits import PUT_OFF, Limits
from limo.verify.process.workers import Reply, Shared, Worker

FIRST, CHUNK = 32, 512  # rows in the first chunks, while nothing is known of their pace, and in the largest
CHUNK_S = 0.06  # seconds that a chunk should take: long beside a message, short beside the end of a batch
AHEAD, AHEAD_BYTES = 32, 32 << 20  # chunks and bytes under way, so that one slow question stops no other worker
FEW = 24  # questions for Math-Verify that one child answers for all; as many take about as long as its import
Question = tuple[Any, ...]
Item = tuple[Question, Any]  # with something that has a length


class Crew:
    """`n_workers` children, the first of them for what the others put off.  Nothing starts before it is needed."""

    def __init__(self, n_workers: int, limits: Limits, opener: bytes) -> None:
        shared = Shared()
        self.workers = [Worker(limits, shared, opener=opener) for _ in range(n_workers)]
        self.heavy = self.workers[0]
        self.n_put_off, self.closed = 0, False
        self.row_s = CHUNK_S / FIRST  # seconds that a row takes, as lately seen

    def start(self) -> None:
        """Start the children now, so that they import what they need while the caller does."""
        for worker in self.workers:
            worker.start()

    def close(self) -> None:
        """End the children; what is under way in other threads ends as undecided."""
        self.closed = True
        for worker in self.workers:
            worker.close()

    def chunks(self, items: Iterable[Item]) -> Generator[tuple[list[Item], list[Reply]]]:
        """Some items and their replies, in order.  Left early, the children end."""
        items = iter(items)
        free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.workers:
            free.put(worker)
        # A thread may wait for what was put off; the others must still be enough to keep every child at work.
        threads = ThreadPoolExecutor(len(self.workers) + FEW, thread_name_prefix="limo-verify")
        waiting: deque[tuple[list[Item], int, Future[list[Reply]]]] = deque()
        n_bytes, more, finished = 0, True, False
        try:
            while waiting or more:
                while more and len(waiting) < AHEAD and (n_bytes < AHEAD_BYTES or len(waiting) < 2 * len(self.workers)):
                    n_rows = max(1, min(CHUNK, int(CHUNK_S / self.row_s)))
                    chunk = list(islice(items, n_rows))
                    more = len(chunk) == n_rows
                    if chunk:
                        size = sum(len(kept) for _, kept in chunk)
                        questions = [question for question, _ in chunk]
                        waiting.append((chunk, size, threads.submit(self._ask, free, questions)))
                        n_bytes += size
                if waiting:
                    chunk, size, future = waiting.popleft()
                    yield chunk, future.result()
                    n_bytes -= size
            finished = True
        finally:
            if not finished:  # what is under way is not wanted
                for *_, future in waiting:
                    future.cancel()
                self.close()
            threads.shutdown(wait=True)

    def _ask(self, free: SimpleQueue[Worker], questions: list[Question]) -> list[Reply]:
        worker, start = free.get(), time.perf_counter()
        try:
            replies = list(worker.stream(questions, heavy=self.n_put_off >= FEW))
        finally:
            free.put(worker)
        self.row_s = (self.row_s + (time.perf_counter() - start) / len(questions)) / 2
        put_off = [place for place, reply in enumerate(replies) if reply == PUT_OFF]
        if put_off:
            self.n_put_off += len(put_off)
            for place, reply in zip(put_off, self.heavy.ask([questions[place] for place in put_off]), strict=True):
                replies[place] = reply
        return replies
