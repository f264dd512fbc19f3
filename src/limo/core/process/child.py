"""The program of a worker's child process: it applies one function to payloads until its parent goes away.

The parent (`worker`) first sends `(limits, module, function, arguments)`; the function returns the handler of payloads.
Then each message is a list of payloads, answered by one or more lists of `(value, failure)` in the same order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from mmap import mmap
from multiprocessing.connection import Connection
from typing import Any

from limo.core.process.limits import CallLimits, limit_this_process, set_timers

SEND_EVERY_S = 0.1  # replies wait no longer for others; a message for each would cost more than a simple row
PARENT_CHECK_S = 5.0
Handler = Callable[[Any], Any]


def serve(pipe_fd: int, position_fd: int) -> None:
    """Answer messages on the pipe until it closes or the parent is gone; `position_fd` is a file of 8 bytes."""
    pipe, position, parent = Connection(pipe_fd), mmap(position_fd, 8), os.getppid()
    try:
        limits, *target = pipe.recv()
        limit_this_process(limits)
        handler = _open_handler(*target)
        while os.getppid() == parent:
            if pipe.poll(PARENT_CHECK_S):
                _answer(pipe, position, handler, pipe.recv(), limits)
    except (EOFError, OSError):
        return


def _open_handler(module: str, function: str, arguments: tuple[Any, ...]) -> Handler:
    try:
        return getattr(import_module(module), function)(*arguments)
    except Exception as error:  # reported for every payload
        return partial(_raise, error)


def _raise(error: Exception, _: Any) -> None:
    raise error


def _answer(pipe: Connection, position: mmap, handler: Handler, payloads: list[Any], limits: CallLimits) -> None:
    """Send a reply for each payload; `position` counts those begun, so that a death shows which one it was."""
    replies: list[tuple[Any, str]] = []
    sent_at = time.monotonic()
    for n_begun, payload in enumerate(payloads, 1):
        position[:] = n_begun.to_bytes(8, "little")
        set_timers(limits.time_s, limits.wall_s)
        replies.append(reply_of(handler, payload))
        if n_begun == len(payloads) or time.monotonic() - sent_at > SEND_EVERY_S:
            set_timers(0, 0)  # a slow parent must not use up the time of a payload
            pipe.send(replies)
            replies, sent_at = [], time.monotonic()


def reply_of(handler: Handler, payload: Any) -> tuple[Any, str]:
    """What the handler returns, or None and what it raised: a failed payload is data."""
    try:
        return handler(payload), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"[:300].removesuffix(": ")
