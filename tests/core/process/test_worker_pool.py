"""A pool of workers: order, bounded read-ahead, chunks by pace, and an early end."""

import psutil
import pytest

from limo.core.errors import InputError
from limo.core.process.pool import CHUNK_S, MAX_CHUNK, MAX_CHUNKS, WorkerPool


def open_length():
    """For children: a handler that measures its payload."""
    return len


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(2, open_length) as made:
        yield made


def most_read_ahead(pool, payload, n_payloads, n_bytes):
    """How many payloads were read beyond those done, at most."""
    n_read, ahead = 0, []

    def payloads():
        nonlocal n_read
        for _ in range(n_payloads):
            n_read += 1
            yield payload

    for n_done, _ in enumerate(pool.map(payloads(), lambda _: n_bytes), 1):
        ahead.append(n_read - n_done)
    assert len(ahead) == n_payloads
    return max(ahead)


def test_replies_come_in_the_order_of_the_payloads(pool):
    payloads = ["x" * (n % 90) for n in range(5000)]
    assert list(pool.map(payloads, len)) == [(payload, (len(payload), "")) for payload in payloads]
    assert list(pool.map([], len)) == []


def test_payloads_are_read_only_as_they_are_needed(pool):
    assert 0 < most_read_ahead(pool, "x", 3 * MAX_CHUNKS * MAX_CHUNK // 2, 1) <= (MAX_CHUNKS + 1) * MAX_CHUNK


def test_long_payloads_are_read_ahead_by_bytes_and_not_by_number(pool):
    assert 0 < most_read_ahead(pool, "x", 8 * MAX_CHUNK, 1 << 20) <= 3 * MAX_CHUNK


@pytest.mark.parametrize(("payload_s", "size"), [(1.0, 1), (CHUNK_S / 50.5, 50), (1e-9, MAX_CHUNK)])
def test_chunks_are_small_where_payloads_are_slow_and_large_where_they_are_fast(payload_s, size, monkeypatch):
    with WorkerPool(2, open_length) as pool:
        sizes, call = [], pool._call
        monkeypatch.setattr(pool, "_call", lambda free, chunk: sizes.append(len(chunk)) or call(free, chunk))
        pool._payload_s = payload_s
        assert len(list(pool.map(["x"] * 700, len))) == 700
    assert sizes[0] == size
    assert sum(sizes) == 700


def test_a_batch_that_is_left_early_ends_its_processes_and_the_next_one_starts_others():
    others = psutil.Process().children()
    with WorkerPool(2, open_length) as pool:
        replies = pool.map(iter(lambda: "x", ""), len)
        assert next(replies) == ("x", (1, ""))
        processes = set(psutil.Process().children()).difference(others)
        assert processes
        replies.close()
        assert not psutil.wait_procs(processes, timeout=20)[1]
        assert [reply.value for _, reply in pool.map(["x", "xx"], len)] == [1, 2]


def test_an_error_while_payloads_are_read_reaches_the_caller(pool):
    def payloads():
        yield from ["x"] * 40
        raise InputError("line 41 is no JSON object")

    with pytest.raises(InputError, match="line 41"):
        list(pool.map(payloads(), len))


def test_a_pool_of_no_workers_is_refused():
    with pytest.raises(InputError, match="n_workers"):
        WorkerPool(0, open_length)
